CREATE TRIGGER update_latest_revision
AFTER INSERT ON summary_variants
BEGIN
    UPDATE summary_variants
    SET is_latest = 0, updated_at = datetime('now')
    WHERE video_id = NEW.video_id AND variant_type = NEW.variant_type AND id != NEW.id;
END;

CREATE TRIGGER update_timestamp
AFTER UPDATE ON summary_variants
BEGIN
    UPDATE summary_variants SET updated_at = datetime('now') WHERE id = NEW.id;
END;
