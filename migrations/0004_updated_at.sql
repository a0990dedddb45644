-- updated_at follows every UPDATE that does not set it itself, even to the value it had: a copy or a dual write says
-- when a row changed. Only a trigger UPDATE OF a column can tell that the statement named it, so a first one leaves a
-- note for the second. Triggers fire in order of name, both for one row before the next row's.

CREATE OR REPLACE FUNCTION flipgate_updated_at_given() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('flipgate.updated_at_given', TG_RELID::text, true);
    RETURN NEW;
END
$$;

CREATE OR REPLACE FUNCTION flipgate_touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- A foreign key's cascade (a corrected video_id) is no change of the row's own.
    IF pg_trigger_depth() > 1 THEN
        RETURN NEW;
    END IF;
    IF current_setting('flipgate.updated_at_given', true) = TG_RELID::text THEN
        PERFORM set_config('flipgate.updated_at_given', '', true);
    ELSE
        NEW.updated_at := now();
    END IF;
    RETURN NEW;
END
$$;

DROP TRIGGER IF EXISTS updated_at_1_given ON content;
CREATE TRIGGER updated_at_1_given BEFORE UPDATE OF updated_at ON content
    FOR EACH ROW EXECUTE FUNCTION flipgate_updated_at_given();
DROP TRIGGER IF EXISTS updated_at_2_touch ON content;
CREATE TRIGGER updated_at_2_touch BEFORE UPDATE ON content
    FOR EACH ROW EXECUTE FUNCTION flipgate_touch_updated_at();
DROP TRIGGER IF EXISTS updated_at_1_given ON content_summaries;
CREATE TRIGGER updated_at_1_given BEFORE UPDATE OF updated_at ON content_summaries
    FOR EACH ROW EXECUTE FUNCTION flipgate_updated_at_given();
DROP TRIGGER IF EXISTS updated_at_2_touch ON content_summaries;
CREATE TRIGGER updated_at_2_touch BEFORE UPDATE ON content_summaries
    FOR EACH ROW EXECUTE FUNCTION flipgate_touch_updated_at();
