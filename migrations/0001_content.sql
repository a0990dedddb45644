-- The library's records. The first statement is the plan's table; everything the dashboard's answers and the way back
-- to SQLite need besides is added by the second, so that a database that already has the plan's table is completed.

CREATE TABLE IF NOT EXISTS content (
    id               text COLLATE "C" PRIMARY KEY,
    video_id         text COLLATE "C" NOT NULL UNIQUE,
    title            text COLLATE "C" NOT NULL,
    channel_name     text,
    canonical_url    text,
    thumbnail_url    text,
    duration_seconds integer,
    indexed_at       timestamptz DEFAULT now(),
    updated_at       timestamptz DEFAULT now(),
    analysis_json    jsonb,
    topics_json      jsonb,
    language         text,
    content_type     text,
    complexity_level text,
    has_audio        boolean DEFAULT false
);

-- Three suffixes, one rule. X_text is a value as SQLite spelt it; X_of is what X was when that spelling was stored.
-- While X equals X_of the spelling still denotes X and is what the API answers; once X was changed alone, X is.
-- Comparing with a stored value, instead of parsing the spelling, keeps the rule immutable (so indexable), and works
-- for spellings that denote nothing: X and X_of are then both NULL.
ALTER TABLE content
    ADD COLUMN IF NOT EXISTS video_id_absent        boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS title_absent           boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS nonconforming          boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS duration_wide          bigint,
    ADD COLUMN IF NOT EXISTS published_at           timestamptz,
    ADD COLUMN IF NOT EXISTS published_at_of        timestamptz,
    ADD COLUMN IF NOT EXISTS published_at_text      text,
    ADD COLUMN IF NOT EXISTS indexed_at_of          timestamptz,
    ADD COLUMN IF NOT EXISTS indexed_at_text        text,
    ADD COLUMN IF NOT EXISTS created_at             timestamptz DEFAULT now(),
    ADD COLUMN IF NOT EXISTS created_at_of          timestamptz,
    ADD COLUMN IF NOT EXISTS created_at_text        text,
    ADD COLUMN IF NOT EXISTS updated_at_of          timestamptz,
    ADD COLUMN IF NOT EXISTS updated_at_text        text,
    ADD COLUMN IF NOT EXISTS word_count             bigint,
    ADD COLUMN IF NOT EXISTS audio_duration_seconds bigint,
    ADD COLUMN IF NOT EXISTS has_transcript         boolean,
    ADD COLUMN IF NOT EXISTS transcript_chars       bigint,
    ADD COLUMN IF NOT EXISTS channel_id             text,
    ADD COLUMN IF NOT EXISTS view_count             bigint,
    ADD COLUMN IF NOT EXISTS like_count             bigint,
    ADD COLUMN IF NOT EXISTS comment_count          bigint,
    ADD COLUMN IF NOT EXISTS category_json          jsonb,
    ADD COLUMN IF NOT EXISTS category_of            jsonb,
    ADD COLUMN IF NOT EXISTS category_text          text,
    ADD COLUMN IF NOT EXISTS subcategory            text,
    ADD COLUMN IF NOT EXISTS subcategories_json     jsonb,
    ADD COLUMN IF NOT EXISTS subcategories_of       jsonb,
    ADD COLUMN IF NOT EXISTS subcategories_text     text,
    ADD COLUMN IF NOT EXISTS categories_of          jsonb,
    ADD COLUMN IF NOT EXISTS topics_of              jsonb,
    ADD COLUMN IF NOT EXISTS topics_text            text,
    ADD COLUMN IF NOT EXISTS named_entities_json    jsonb,
    ADD COLUMN IF NOT EXISTS named_entities_of      jsonb,
    ADD COLUMN IF NOT EXISTS named_entities_text    text,
    ADD COLUMN IF NOT EXISTS analysis_text          text,
    ADD COLUMN IF NOT EXISTS language_of            text,
    ADD COLUMN IF NOT EXISTS language_text          text,
    ADD COLUMN IF NOT EXISTS format_source          text,
    ADD COLUMN IF NOT EXISTS processing_status      text,
    ADD COLUMN IF NOT EXISTS summary                text,
    ADD COLUMN IF NOT EXISTS extra                  jsonb;

-- The plan's checks, except for rows that are known to fail them: refusing such a row would shift every list and count.
ALTER TABLE content DROP CONSTRAINT IF EXISTS content_video_id_check;
ALTER TABLE content ADD CONSTRAINT content_video_id_check
    CHECK (nonconforming OR video_id ~ '^[A-Za-z0-9_-]{11}$');
ALTER TABLE content DROP CONSTRAINT IF EXISTS content_language_check;
ALTER TABLE content ADD CONSTRAINT content_language_check
    CHECK (nonconforming OR language IS NULL OR language ~ '^[a-z]{2}$');

COMMENT ON COLUMN content.video_id_absent IS 'the source row had no usable video_id; the stored one is made up and never shown';
COMMENT ON COLUMN content.title_absent IS 'the source row''s title was NULL';
COMMENT ON COLUMN content.nonconforming IS 'fails the video_id or language check, and is stored and served all the same';
COMMENT ON COLUMN content.duration_wide IS 'duration_seconds where it does not fit 32 bits';
COMMENT ON COLUMN content.categories_of IS 'what analysis_json->''categories'' was when subcategories_text was stored';
COMMENT ON COLUMN content.extra IS 'cells that no column holds as they were: {"cells": {column: cell}, "columns": {unknown column: cell}}';
