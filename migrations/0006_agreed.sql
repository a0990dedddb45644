-- What both stores last agreed on, row by row, and what was deleted.

-- agreed is the SHA-256 of the row, as the SQLite row it stands for, that both stores had when it was last copied;
-- agreed_before the ones before it, newest first. The rules are in src/migrate/judge.rs.
ALTER TABLE content
    ADD COLUMN IF NOT EXISTS analysis_of   jsonb,
    ADD COLUMN IF NOT EXISTS agreed        bytea,
    ADD COLUMN IF NOT EXISTS agreed_before bytea[];
ALTER TABLE content_summaries
    ADD COLUMN IF NOT EXISTS raw_of        jsonb,
    ADD COLUMN IF NOT EXISTS agreed        bytea,
    ADD COLUMN IF NOT EXISTS agreed_before bytea[];

-- Rows copied before these columns were there; rows that others wrote have no spelling to stand for.
UPDATE content SET analysis_of = analysis_json, updated_at = updated_at
WHERE analysis_of IS NULL AND agreed IS NULL AND analysis_json IS NOT NULL
    AND (analysis_text IS NOT NULL OR analysis_json = jsonb_build_object('categories', categories_of));
UPDATE content_summaries SET raw_of = raw_json, updated_at = updated_at
WHERE raw_of IS NULL AND agreed IS NULL AND raw_json IS NOT NULL AND raw_text IS NOT NULL;

-- No value may be too long for an index: a row refused would shift every list and count. A hash has no limit; the
-- other index holds the beginning of the name, and the query asks for both.
DROP INDEX IF EXISTS content_channel_name_idx;
CREATE INDEX content_channel_name_idx ON content USING hash (channel_name);
DROP INDEX IF EXISTS content_channel_key_idx;
CREATE INDEX content_channel_key_idx ON content (left(replace(channel_name, U&'\2013', '-'), 200));

-- What a record is found by, made of built-in functions only: a function of our own took a third of what storing a
-- record costs. {"names": [category, …], "subjects": [{"category", "subcategories"}, …], "legacy": subcategory}, an en
-- dash counting as a hyphen; a filter asks whether it contains one such document.
ALTER TABLE content DROP COLUMN IF EXISTS facets;
DROP FUNCTION IF EXISTS flipgate_facets(jsonb, text, jsonb);
ALTER TABLE content ADD COLUMN facets jsonb GENERATED ALWAYS AS (replace(
    jsonb_set(
        jsonb_set(
            CASE WHEN subcategory IS NULL THEN '{}' ELSE jsonb_object(ARRAY['legacy', subcategory]) END,
            '{names}',
            jsonb_path_query_array(
                coalesce(category_json, '[]'), 'strict $[*] ? (@.type() == "string")', '{}', true)),
        '{subjects}',
        jsonb_path_query_array(
            coalesce(
                CASE WHEN (analysis_json -> 'categories') IS NOT DISTINCT FROM categories_of
                    THEN subcategories_json -> 'categories' ELSE analysis_json -> 'categories' END,
                '[]'),
            'strict $[*] ? (@.category.type() == "string")', '{}', true))::text,
    U&'\2013', '-')::jsonb) STORED;
CREATE INDEX content_facets_idx ON content USING gin (facets jsonb_path_ops);

-- Long texts: lz4 takes half of the time of storing a summary away. A server built without it keeps what it has.
DO $$
BEGIN
    ALTER TABLE content_summaries
        ALTER COLUMN html SET COMPRESSION lz4, ALTER COLUMN body SET COMPRESSION lz4,
        ALTER COLUMN raw_json SET COMPRESSION lz4, ALTER COLUMN raw_of SET COMPRESSION lz4,
        ALTER COLUMN raw_text SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR syntax_error THEN
    RAISE NOTICE 'this server has no lz4';
END
$$;

-- Records that were deleted. Whoever copies, verifies or writes looks here first: an older copy must not come back.
CREATE TABLE IF NOT EXISTS tombstones (
    id         text COLLATE "C" PRIMARY KEY,
    video_id   text COLLATE "C",
    deleted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    deleted_by text NOT NULL DEFAULT session_user
);
CREATE INDEX IF NOT EXISTS tombstones_video_id_idx ON tombstones (video_id);

-- As its owner and by no search_path of the caller's: whoever may delete a record need not be able to write here, and
-- can neither avoid nor forge it.
CREATE OR REPLACE FUNCTION flipgate_bury() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format(
        'INSERT INTO %I.tombstones (id, video_id, deleted_at, deleted_by) VALUES ($1, $2, clock_timestamp(), session_user)
         ON CONFLICT (id) DO UPDATE SET video_id = excluded.video_id, deleted_at = excluded.deleted_at,
             deleted_by = excluded.deleted_by', TG_TABLE_SCHEMA)
    USING OLD.id, CASE WHEN OLD.video_id_absent THEN NULL ELSE OLD.video_id END;
    RETURN NULL;
END
$$;

-- Firing a trigger asks for no right to its function; hanging it on a table of one's own does, and would run what that
-- table's triggers do as the owner.
REVOKE ALL ON FUNCTION flipgate_bury() FROM PUBLIC;

DROP TRIGGER IF EXISTS tombstone ON content;
CREATE TRIGGER tombstone AFTER DELETE ON content FOR EACH ROW EXECUTE FUNCTION flipgate_bury();

-- Only the legacy summary is revision 0, and nothing is below it.
ALTER TABLE content_summaries DROP CONSTRAINT IF EXISTS content_summaries_revision_check;
ALTER TABLE content_summaries ADD CONSTRAINT content_summaries_revision_check CHECK (revision >= 0) NOT VALID;

-- A video_id that someone fills in is no longer absent.
CREATE OR REPLACE FUNCTION flipgate_video_id_given() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.video_id_absent := false;
    RETURN NEW;
END
$$;
DROP TRIGGER IF EXISTS video_id_given ON content;
CREATE TRIGGER video_id_given BEFORE UPDATE OF video_id ON content FOR EACH ROW
    WHEN (OLD.video_id_absent AND NEW.video_id_absent AND NEW.video_id IS DISTINCT FROM OLD.video_id)
    EXECUTE FUNCTION flipgate_video_id_given();

COMMENT ON COLUMN content.analysis_of IS 'what analysis_json was when analysis_text was stored';
COMMENT ON COLUMN content_summaries.raw_of IS 'what raw_json was when raw_text was stored';
COMMENT ON TABLE tombstones IS 'records that were deleted, and must not come back from an older copy';
