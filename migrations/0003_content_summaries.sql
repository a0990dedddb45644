-- Summaries: every revision of every variant, and the one legacy summary older libraries hold for a record.

CREATE TABLE IF NOT EXISTS content_summaries (
    id         bigserial PRIMARY KEY,
    video_id   text COLLATE "C" NOT NULL REFERENCES content (video_id) ON DELETE CASCADE ON UPDATE CASCADE,
    variant    text NOT NULL DEFAULT 'comprehensive',
    revision   integer NOT NULL DEFAULT 1,
    html       text NOT NULL,
    raw_json   jsonb,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    UNIQUE (video_id, variant, revision)
);

-- body is the summary as it was written, html what it was rendered to; body is shown while html is still that.
ALTER TABLE content_summaries
    ADD COLUMN IF NOT EXISTS legacy          boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS source_id       bigint,
    ADD COLUMN IF NOT EXISTS body            text,
    ADD COLUMN IF NOT EXISTS html_md5        text,
    ADD COLUMN IF NOT EXISTS raw_text        text,
    ADD COLUMN IF NOT EXISTS metadata_text   text,
    ADD COLUMN IF NOT EXISTS is_latest       boolean,
    ADD COLUMN IF NOT EXISTS file_size       bigint,
    ADD COLUMN IF NOT EXISTS word_count      bigint,
    ADD COLUMN IF NOT EXISTS created_at_of   timestamptz,
    ADD COLUMN IF NOT EXISTS created_at_text text,
    ADD COLUMN IF NOT EXISTS updated_at_of   timestamptz,
    ADD COLUMN IF NOT EXISTS updated_at_text text,
    ADD COLUMN IF NOT EXISTS extra           jsonb;
ALTER TABLE content_summaries
    ADD COLUMN IF NOT EXISTS body_kept boolean GENERATED ALWAYS AS (md5(html) = html_md5) STORED;

-- A record deleted takes its summaries along; one whose video_id is corrected keeps them.
ALTER TABLE content_summaries DROP CONSTRAINT IF EXISTS content_summaries_video_id_fkey;
ALTER TABLE content_summaries ADD CONSTRAINT content_summaries_video_id_fkey
    FOREIGN KEY (video_id) REFERENCES content (video_id) ON DELETE CASCADE ON UPDATE CASCADE;

-- A legacy summary and a variant of the same type and revision 1 must both survive. The legacy one is revision 0, which
-- no variant can have (SQLite checks revision > 0): so (video_id, variant, revision) stays unique without exception,
-- writers may go on naming it in ON CONFLICT, and the legacy row never counts as the latest revision of its variant.
ALTER TABLE content_summaries DROP CONSTRAINT IF EXISTS content_summaries_legacy_check;
ALTER TABLE content_summaries ADD CONSTRAINT content_summaries_legacy_check CHECK (legacy = (revision = 0));
CREATE UNIQUE INDEX IF NOT EXISTS content_summaries_legacy_idx ON content_summaries (video_id) WHERE legacy;
CREATE INDEX IF NOT EXISTS content_summaries_latest_idx ON content_summaries (video_id, variant, revision DESC);

COMMENT ON COLUMN content_summaries.legacy IS 'from SQLite''s content_summaries, the one the API shows whatever its type; revision 0';
COMMENT ON COLUMN content_summaries.source_id IS 'id of the row in SQLite''s content_summaries or summary_variants';
