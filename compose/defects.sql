-- Three defects as real copies have had them, in records of the library that `flipgate demo --write-library` generates:
-- what `flipgate demo` plants. A second run changes nothing.

-- A lost audio flag.
UPDATE content SET has_audio = false WHERE id = 'yt:-1y_5cxavlo';

-- Lost hand-curated subcategories.
UPDATE content SET subcategories_json = NULL, analysis_json = analysis_json - 'categories' WHERE id = 'yt:znbwqm1dvas';

-- A time stored an hour off.
UPDATE content SET indexed_at = '2026-04-23 12:00:58+00' WHERE id = 'yt:eUbMV2KXKT5';
