-- What the API shows and filters by, computed where the values are stored: an UPDATE of a typed column always shows.
-- The functions use nothing but pg_catalog, so that dumps restore with an empty search_path.

-- A timestamp as the API shows it: as it was spelt while that still denotes it, else canonically in UTC.
-- to_char is only STABLE for its locale-dependent patterns; these digits are not.
CREATE OR REPLACE FUNCTION flipgate_shown(value timestamptz, denoted timestamptz, spelling text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN value IS NOT DISTINCT FROM denoted THEN spelling
        WHEN NOT isfinite(value) THEN CASE WHEN value > '2000-01-01T00:00:00+00:00'::timestamptz
                                           THEN 'infinity' ELSE '-infinity' END
        WHEN extract(microsecond FROM value)::bigint % 1000000 = 0
            THEN to_char(value AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS') || '+00:00'
        ELSE to_char(value AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '+00:00'
    END
$$;

-- Keys a record is found by: ["category"], ["category", "subcategory"], [null, "subcategory"], each as JSON text,
-- an en dash counting as a hyphen. jsonb's GIN hashes long keys, where an array of text would refuse them.
CREATE OR REPLACE FUNCTION flipgate_facets(category jsonb, subcategory text, categories jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    WITH legacy AS (
        SELECT replace(item #>> '{}', U&'\2013', '-') AS name
        FROM jsonb_array_elements(CASE jsonb_typeof(category) WHEN 'array' THEN category ELSE '[]' END) AS item
        WHERE jsonb_typeof(item) = 'string'
    ), structured AS (
        SELECT replace(item ->> 'category', U&'\2013', '-') AS name,
               CASE jsonb_typeof(item -> 'subcategories') WHEN 'array' THEN item -> 'subcategories' ELSE '[]' END AS below
        FROM jsonb_array_elements(CASE jsonb_typeof(categories) WHEN 'array' THEN categories ELSE '[]' END) AS item
        WHERE jsonb_typeof(item -> 'category') = 'string'
    ), pairs AS (
        SELECT name, replace(item #>> '{}', U&'\2013', '-') AS sub
        FROM structured, jsonb_array_elements(below) AS item
        WHERE jsonb_typeof(item) = 'string'
        UNION ALL
        SELECT name, replace(subcategory, U&'\2013', '-') FROM legacy WHERE subcategory IS NOT NULL
    ), keys AS (
        SELECT jsonb_build_array(name)::text AS key FROM legacy
        UNION ALL SELECT jsonb_build_array(name)::text FROM structured
        UNION ALL SELECT jsonb_build_array(name, sub)::text FROM pairs
        UNION ALL SELECT jsonb_build_array(NULL, sub)::text FROM pairs
        UNION ALL SELECT jsonb_build_array(NULL, replace(subcategory, U&'\2013', '-'))::text WHERE subcategory IS NOT NULL
    )
    SELECT coalesce(jsonb_agg(key), '[]') FROM keys
$$;

ALTER TABLE content
    ADD COLUMN IF NOT EXISTS indexed_at_shown text COLLATE "C"
        GENERATED ALWAYS AS (flipgate_shown(indexed_at, indexed_at_of, indexed_at_text)) STORED,
    ADD COLUMN IF NOT EXISTS published_at_shown text COLLATE "C"
        GENERATED ALWAYS AS (flipgate_shown(published_at, published_at_of, published_at_text)) STORED,
    ADD COLUMN IF NOT EXISTS facets jsonb GENERATED ALWAYS AS (flipgate_facets(
        category_json,
        subcategory,
        CASE WHEN (analysis_json -> 'categories') IS NOT DISTINCT FROM categories_of
             THEN subcategories_json -> 'categories' ELSE analysis_json -> 'categories' END)) STORED;

CREATE INDEX IF NOT EXISTS content_indexed_at_idx ON content (indexed_at DESC);
CREATE INDEX IF NOT EXISTS content_channel_name_idx ON content (channel_name);
CREATE INDEX IF NOT EXISTS content_language_idx ON content (language);
CREATE INDEX IF NOT EXISTS content_analysis_json_idx ON content USING gin (analysis_json);
CREATE INDEX IF NOT EXISTS content_topics_json_idx ON content USING gin (topics_json);
CREATE INDEX IF NOT EXISTS content_facets_idx ON content USING gin (facets);
-- The two orders a page of cards asks for, NULLs where SQLite puts them, ties by id.
CREATE INDEX IF NOT EXISTS content_added_idx ON content (indexed_at_shown DESC NULLS LAST, id COLLATE "C");
CREATE INDEX IF NOT EXISTS content_newest_idx ON content (published_at_shown DESC NULLS LAST, id COLLATE "C");
CREATE INDEX IF NOT EXISTS content_channel_key_idx ON content (replace(channel_name, U&'\2013', '-'));
