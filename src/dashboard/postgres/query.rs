//! The SQL for PostgreSQL. `migrations/0002_shown.sql` says which spelling of a value is shown; text compares by code
//! point, NULLs are the lowest values, LIKE folds ASCII alone and knows no escape: all as SQLite does.

use std::sync::LazyLock;

use serde_json::{Value, json};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Row as _, SqlStr};

use super::shown::{
    BODY, CATEGORY, DURATION, ENTITIES, LANGUAGE, SUBCATEGORIES_CHANGED, SUBCATEGORIES_KEPT, TITLE, TOPICS,
    compact,
};
use crate::dashboard::Name;
use crate::dashboard::facets::FacetRow;
use crate::dashboard::model::{Record, Summary};
use crate::dashboard::request::{Direction, Filters, ListQuery, Sort};
use crate::dashboard::subjects::Wanted;
use crate::pg::constant_sql;

/// A parameter of a composed statement.
pub(super) enum Parameter {
    Text(String),
    Texts(Vec<Option<String>>),
    Flag(bool),
    Number(i64),
}

const SOURCE: &str = "CASE WHEN left(c.id, 3) = 'yt:' OR position(':' IN c.id) = 0 THEN 'youtube' \
    ELSE left(c.id, position(':' IN c.id) - 1) END";
/// Columns of a record, under the names [`record`] reads.
static RECORD: LazyLock<String> = LazyLock::new(|| {
    format!(
        "c.id, CASE WHEN c.video_id_absent THEN NULL ELSE c.video_id END AS video_id, {TITLE} AS title, \
         c.thumbnail_url, c.canonical_url, c.channel_name, c.published_at_shown, c.indexed_at_shown, \
         {DURATION} AS duration, {CATEGORY} AS category, c.subcategory, \
         {SUBCATEGORIES_KEPT} AS subcategories_kept, {SUBCATEGORIES_CHANGED} AS subcategories_changed, \
         c.content_type, c.complexity_level, {LANGUAGE} AS language, \
         {TOPICS} AS topics, {ENTITIES} AS named_entities, \
         COALESCE(c.has_audio, false) AS has_audio, c.audio_duration_seconds, \
         COALESCE(c.has_transcript, false) AS has_transcript, c.transcript_chars, c.word_count, \
         c.format_source, c.processing_status"
    )
});

/// The summary that stands for a record: the legacy one, else the best variant's latest revision.
static SUMMARY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "LEFT JOIN LATERAL (SELECT {BODY} AS text, s.variant AS kind FROM content_summaries s \
         WHERE s.video_id = c.video_id AND ({BODY}) <> '' \
         ORDER BY s.legacy DESC, CASE s.variant WHEN 'comprehensive' THEN 0 WHEN 'key-points' THEN 1 \
            WHEN 'bullet-points' THEN 2 WHEN 'executive' THEN 3 WHEN 'key-insights' THEN 4 WHEN 'audio' THEN 5 \
            WHEN 'audio-fr' THEN 6 WHEN 'audio-es' THEN 7 ELSE 8 END, \
            s.variant COLLATE \"C\", s.revision DESC LIMIT 1) shown ON true"
    )
});

static FIND_BY_ID: LazyLock<String> = LazyLock::new(|| find_sql("c.id = $1"));
static FIND_BY_STEM: LazyLock<String> =
    LazyLock::new(|| find_sql("(c.video_id = $1 AND NOT c.video_id_absent)"));

static FACETS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {SOURCE} AS source, {LANGUAGE} AS language, {CATEGORY} AS category, c.subcategory, \
         COALESCE({SUBCATEGORIES_CHANGED}, {SUBCATEGORIES_KEPT}) AS subcategories, c.content_type, \
         c.complexity_level, c.channel_name, COALESCE(c.has_audio, false) AS has_audio FROM content c"
    )
});

/// Conditions and parameters of one statement.
#[derive(Default)]
struct Where {
    conditions: Vec<String>,
    parameters: Vec<Parameter>,
}

fn find_sql(first: &str) -> String {
    format!(
        "SELECT {}, shown.text AS summary_text, shown.kind AS summary_kind FROM content c {} \
         WHERE c.id = $1 OR (c.video_id = $1 AND NOT c.video_id_absent) \
         ORDER BY {first} DESC, c.id COLLATE \"C\" LIMIT 1",
        *RECORD, *SUMMARY
    )
}

/// The statement that finds the record `$1`.
pub(super) fn find(name: Name) -> SqlStr {
    constant_sql(match name {
        Name::Id => FIND_BY_ID.clone(),
        Name::Stem => FIND_BY_STEM.clone(),
    })
}

/// The statement that reads what [`facet_row`] takes.
pub(super) fn facets() -> SqlStr {
    constant_sql(FACETS.clone())
}

/// The statement of one page: each row carries the total, so that both are of one snapshot; a page without rows is one
/// row without a record.
pub(super) fn list(query: &ListQuery) -> (String, Vec<Parameter>) {
    let mut filter = Where::filters(&query.filters);
    let (hit, (key, direction), join) = match &query.search {
        Some(pattern) => {
            (filter.search(pattern), order(Sort::Added(Direction::Descending)), SUMMARY.as_str())
        }
        None => (String::new(), order(query.sort), ""),
    };
    let direction = match direction {
        Direction::Ascending => "ASC NULLS FIRST",
        Direction::Descending => "DESC NULLS LAST",
    };
    let clause = filter.clause();
    let size = filter.parameter(Parameter::Number(i64::from(query.size)));
    let offset = filter.parameter(Parameter::Number(query.offset()));
    let (hit_column, hit_order) =
        if hit.is_empty() { (String::new(), "") } else { (format!(", {hit} AS hit"), "hit, ") };
    // A search is one page: its total is its rows.
    let total = match query.search {
        Some(_) => "SELECT 0::bigint AS total".to_owned(),
        None => format!("SELECT count(*) AS total FROM content c {clause}"),
    };
    let record = RECORD.as_str();
    let order = format!("{hit_order}sort_key {direction}");
    // Sorted by key and id first: what else a row shows is worked out for the page's rows only.
    let sql = format!(
        "SELECT * FROM ({total}) counted LEFT JOIN (\
            SELECT page.*, {record} FROM (\
                SELECT c.id AS page_id, {key} AS sort_key{hit_column} FROM content c {join} {clause} \
                ORDER BY {order}, c.id COLLATE \"C\" LIMIT {size} OFFSET {offset}) page \
            JOIN content c ON c.id = page.page_id) found ON true ORDER BY {order}, id COLLATE \"C\""
    );
    (sql, filter.parameters)
}

/// The statement with its parameters.
pub(super) fn bind(sql: String, parameters: Vec<Parameter>) -> Query<'static, Postgres, PgArguments> {
    parameters.into_iter().fold(sqlx::query(constant_sql(sql)), |query, parameter| match parameter {
        Parameter::Text(value) => query.bind(value),
        Parameter::Texts(values) => query.bind(values),
        Parameter::Flag(value) => query.bind(value),
        Parameter::Number(value) => query.bind(value),
    })
}

fn order(sort: Sort) -> (&'static str, Direction) {
    match sort {
        Sort::Added(direction) => ("c.indexed_at_shown COLLATE \"C\"", direction),
        Sort::Published(direction) => ("c.published_at_shown COLLATE \"C\"", direction),
        Sort::Title(direction) => (TITLE, direction),
        Sort::Duration(direction) => (DURATION, direction),
    }
}

/// Rows of all pages.
pub(super) fn total(row: &PgRow) -> Result<i64, sqlx::Error> {
    row.try_get("total")
}

/// The record of a row that selects [`RECORD`]; `None` if the row stands for an empty page.
pub(super) fn record(row: &PgRow) -> Result<Option<Record>, sqlx::Error> {
    let Some(id) = row.try_get("id")? else { return Ok(None) };
    let changed: Option<String> = row.try_get("subcategories_changed")?;
    Ok(Some(Record {
        id,
        video_id: row.try_get("video_id")?,
        title: row.try_get("title")?,
        thumbnail_url: row.try_get("thumbnail_url")?,
        canonical_url: row.try_get("canonical_url")?,
        channel: row.try_get("channel_name")?,
        published_at: row.try_get("published_at_shown")?,
        indexed_at: row.try_get("indexed_at_shown")?,
        duration_seconds: row.try_get("duration")?,
        category: row.try_get("category")?,
        subcategory: row.try_get("subcategory")?,
        subcategories: match changed {
            Some(document) => Some(compact(document)),
            None => row.try_get("subcategories_kept")?,
        },
        content_type: row.try_get("content_type")?,
        complexity_level: row.try_get("complexity_level")?,
        language: row.try_get("language")?,
        key_topics: row.try_get("topics")?,
        named_entities: row.try_get("named_entities")?,
        has_audio: row.try_get("has_audio")?,
        audio_duration_seconds: row.try_get("audio_duration_seconds")?,
        has_transcript: row.try_get("has_transcript")?,
        transcript_chars: row.try_get("transcript_chars")?,
        word_count: row.try_get("word_count")?,
        format_source: row.try_get("format_source")?,
        processing_status: row.try_get("processing_status")?,
    }))
}

/// The summary beside a record that was found.
pub(super) fn summary(row: &PgRow) -> Result<Option<Summary>, sqlx::Error> {
    let text: Option<String> = row.try_get("summary_text")?;
    let kind: Option<String> = row.try_get("summary_kind")?;
    Ok(text.map(|text| Summary { text, kind: kind.unwrap_or_default() }))
}

/// The counted columns of a record.
pub(super) fn facet_row(row: &PgRow) -> Result<FacetRow, sqlx::Error> {
    Ok(FacetRow {
        source: row.try_get("source")?,
        language: row.try_get("language")?,
        category: row.try_get("category")?,
        subcategory: row.try_get("subcategory")?,
        subcategories: row.try_get("subcategories")?,
        content_type: row.try_get("content_type")?,
        complexity_level: row.try_get("complexity_level")?,
        channel: row.try_get("channel_name")?,
        has_audio: row.try_get("has_audio")?,
    })
}

/// What a record's `facets` contain if it is about what is wanted: in the older columns, or in the structured one.
fn documents(wanted: &Wanted) -> [Value; 2] {
    match (&wanted.category, &wanted.subcategory) {
        (Some(category), None) => {
            [json!({ "names": [category] }), json!({ "subjects": [{ "category": category }] })]
        }
        (Some(category), Some(below)) => [
            json!({ "names": [category], "legacy": below }),
            json!({ "subjects": [{ "category": category, "subcategories": [below] }] }),
        ],
        (None, below) => [json!({ "legacy": below }), json!({ "subjects": [{ "subcategories": [below] }] })],
    }
}

// === impl Where ===

impl Where {
    fn filters(filters: &Filters) -> Self {
        let mut filter = Self::default();
        filter.about(&filters.category);
        filter.about(&filters.subcategory);
        filter.any("c.channel_name", &filters.channel);
        filter.beginning("c.channel_name", &filters.channel);
        filter.any("c.content_type", &filters.content_type);
        filter.any("c.complexity_level", &filters.complexity);
        filter.any(&format!("COALESCE(NULLIF({LANGUAGE}, ''), 'en')"), &filters.language);
        filter.any(SOURCE, &filters.source);
        if let Some(has_audio) = filters.has_audio {
            let mark = filter.parameter(Parameter::Flag(has_audio));
            filter.conditions.push(format!("COALESCE(c.has_audio, false) = {mark}"));
        }
        filter
    }

    fn any(&mut self, expression: &str, values: &[String]) {
        if !values.is_empty() {
            let mark = self.parameter(Parameter::Texts(values.iter().cloned().map(Some).collect()));
            self.conditions.push(format!("replace({expression}, U&'\\2013', '-') = ANY({mark}::text[])"));
        }
    }

    /// What the index on the beginning of a column finds; [`Where::any`] says the rest.
    fn beginning(&mut self, column: &str, values: &[String]) {
        if !values.is_empty() {
            let values = values.iter().map(|value| Some(value.chars().take(200).collect())).collect();
            let mark = self.parameter(Parameter::Texts(values));
            self.conditions
                .push(format!("left(replace({column}, U&'\\2013', '-'), 200) = ANY({mark}::text[])"));
        }
    }

    /// Any of the documents that `facets` contains (`migrations/0006_agreed.sql`), which its GIN index finds.
    fn about(&mut self, wanted: &[Wanted]) {
        if !wanted.is_empty() {
            let documents =
                wanted.iter().flat_map(documents).map(|document| Some(document.to_string())).collect();
            let mark = self.parameter(Parameter::Texts(documents));
            self.conditions.push(format!("c.facets @> ANY({mark}::text[]::jsonb[])"));
        }
    }

    /// Adds the search and returns the expression that puts title hits first.
    fn search(&mut self, pattern: &str) -> String {
        let mark = self.parameter(Parameter::Text(pattern.to_owned()));
        let like = |text: &str| format!("lower(({text}) COLLATE \"C\") LIKE {mark} ESCAPE ''");
        let title = like(TITLE);
        self.conditions.push(format!("({title} OR {})", like("shown.text")));
        format!("CASE WHEN {title} THEN 0 ELSE 1 END")
    }

    fn parameter(&mut self, parameter: Parameter) -> String {
        self.parameters.push(parameter);
        format!("${}", self.parameters.len())
    }

    fn clause(&self) -> String {
        if self.conditions.is_empty() {
            return String::new();
        }
        format!("WHERE {}", self.conditions.join(" AND "))
    }
}
