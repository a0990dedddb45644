//! Which value of a column is shown, in SQL over `content c` and `content_summaries s`: the kept spelling while the
//! typed value still is what it denoted, else the typed value (`migrations/0001_content.sql`).

use serde_json::Value;

/// The language as spelt.
pub(crate) const LANGUAGE: &str =
    "CASE WHEN c.language IS NOT DISTINCT FROM c.language_of THEN c.language_text ELSE c.language END";
/// JSON array of categories.
pub(crate) const CATEGORY: &str = "CASE WHEN c.category_json IS NOT DISTINCT FROM c.category_of THEN c.category_text \
    ELSE c.category_json::text END";
/// JSON array of topics.
pub(crate) const TOPICS: &str = "CASE WHEN c.topics_json IS NOT DISTINCT FROM c.topics_of THEN c.topics_text \
    ELSE c.topics_json::text END";
/// JSON array of named entities.
pub(crate) const ENTITIES: &str = "CASE WHEN c.named_entities_json IS NOT DISTINCT FROM c.named_entities_of \
    THEN c.named_entities_text ELSE c.named_entities_json::text END";
/// The curated document in its kept spelling, while neither it nor the analysis' categories were changed.
pub(crate) const SUBCATEGORIES_KEPT: &str = "CASE \
    WHEN (c.analysis_json -> 'categories') IS NOT DISTINCT FROM c.categories_of \
    AND c.subcategories_json IS NOT DISTINCT FROM c.subcategories_of THEN c.subcategories_text END";
/// The curated document once it was changed; NULL while the kept spelling stands.
pub(crate) const SUBCATEGORIES_CHANGED: &str = "CASE \
    WHEN (c.analysis_json -> 'categories') IS DISTINCT FROM c.categories_of THEN \
        CASE WHEN (c.analysis_json -> 'categories') IS NOT NULL \
        THEN jsonb_build_object('categories', c.analysis_json -> 'categories')::text END \
    WHEN c.subcategories_json IS DISTINCT FROM c.subcategories_of THEN c.subcategories_json::text END";
/// Only a title that came as NULL and still is empty sorts as one.
pub(crate) const TITLE: &str =
    "CASE WHEN c.title_absent AND c.title = '' THEN NULL ELSE c.title END COLLATE \"C\"";
/// Seconds of any size.
pub(crate) const DURATION: &str = "COALESCE(c.duration_seconds, c.duration_wide)";
/// What a summary says, as it was written unless its HTML was changed since.
pub(crate) const BODY: &str = "CASE WHEN s.body_kept THEN s.body ELSE s.html END";

/// JSON as jsonb spells it, without its spaces.
pub(crate) fn compact(document: String) -> String {
    serde_json::from_str::<Value>(&document).map_or(document, |value| value.to_string())
}
