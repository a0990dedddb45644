-- A name that was deleted although no record had it: the delete may have come before the record, from an older copy or a
-- writer that is late. It holds every record of that id or video; video_id is the name without a leading yt:.
ALTER TABLE tombstones ADD COLUMN IF NOT EXISTS named boolean NOT NULL DEFAULT false;

-- Listed newest first, and looked at every few seconds whether there is a new one.
CREATE INDEX IF NOT EXISTS tombstones_deleted_at_idx ON tombstones (deleted_at);

-- Once a record of that name was there and is deleted, its tombstone is that record's, and holds as any other does.
CREATE OR REPLACE FUNCTION flipgate_bury() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format(
        'INSERT INTO %I.tombstones (id, video_id, deleted_at, deleted_by) VALUES ($1, $2, clock_timestamp(), session_user)
         ON CONFLICT (id) DO UPDATE SET video_id = excluded.video_id, deleted_at = excluded.deleted_at,
             deleted_by = excluded.deleted_by, named = false', TG_TABLE_SCHEMA)
    USING OLD.id, CASE WHEN OLD.video_id_absent THEN NULL ELSE OLD.video_id END;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flipgate_bury() FROM PUBLIC;

COMMENT ON COLUMN tombstones.named IS 'deleted by name although nothing was there: holds every record of that id or video';
