//! A PostgreSQL row as the SQLite row it stands for: the mapping's way back.
//!
//! A kept spelling or an exactly kept cell counts only while the typed value still is what it denoted, so that an
//! UPDATE in PostgreSQL shows, and a row that nobody changed is the very row that was copied.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value};
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};

use super::cell::{Cell, from_exact};
use super::row::{Columns, Digest, Key, Row, Table};
use super::summaries;
use crate::dashboard::shown::{
    BODY, DURATION, LANGUAGE, SUBCATEGORIES_CHANGED, SUBCATEGORIES_KEPT, TITLE, compact,
};
use crate::pg::constant_sql;

/// A stored row with what is known of it.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) row: Row,
    pub(crate) key: Key,
    pub(crate) digest: Digest,
    /// The digest that both stores last had.
    pub(crate) agreed: Option<Digest>,
    /// The ones before it, newest first.
    pub(crate) before: Vec<Digest>,
    /// Microseconds since 1970.
    pub(crate) updated_at: Option<i64>,
    /// What its typed columns say otherwise than the source did, each beginning with its column.
    pub(crate) repairs: Vec<String>,
}

/// How a source column is read back.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// SQL that gives text.
    Text(&'static str),
    /// SQL that gives a whole number of 64 bits.
    Number(&'static str),
    /// SQL that gives a boolean.
    Flag(&'static str),
    /// `{0}`, `{0}_of`, `{0}_text`: a timestamp.
    Time(&'static str),
    /// `{0}`, `{1}`, `{2}`: jsonb, what it was, its spelling.
    Json(&'static str, &'static str, &'static str),
    /// The curated document, which may have been changed in two places.
    Curated,
    /// The analysis, into which the curated categories may have been merged.
    Analysis,
}

/// A table's way back: its statement and how the answer is read.
struct Reading {
    table: Table,
    forms: &'static [(&'static str, Form)],
    columns: Arc<Columns>,
    /// `SELECT … FROM …`, to be followed by a condition.
    select: String,
}

/// Begins a transaction that reads as of now, in the order of the keys: these come from an index, where sorting whole rows
/// would spill to disk.
pub(crate) const AS_OF_NOW: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
    SET LOCAL enable_sort = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off";

/// Columns of the statement before those of the forms: `agreed`, `agreed_before`, `updated_at`, `extra`.
const HEAD: usize = 4;

const CONTENT: [(&str, Form); 32] = [
    ("id", Form::Text("c.id")),
    ("title", Form::Text(TITLE)),
    ("canonical_url", Form::Text("c.canonical_url")),
    ("thumbnail_url", Form::Text("c.thumbnail_url")),
    ("published_at", Form::Text("c.published_at_shown")),
    ("indexed_at", Form::Text("c.indexed_at_shown")),
    ("duration_seconds", Form::Number(DURATION)),
    ("word_count", Form::Number("c.word_count")),
    ("has_audio", Form::Flag("c.has_audio")),
    ("audio_duration_seconds", Form::Number("c.audio_duration_seconds")),
    ("has_transcript", Form::Flag("c.has_transcript")),
    ("transcript_chars", Form::Number("c.transcript_chars")),
    ("video_id", Form::Text("CASE WHEN c.video_id_absent THEN NULL ELSE c.video_id END")),
    ("channel_name", Form::Text("c.channel_name")),
    ("channel_id", Form::Text("c.channel_id")),
    ("view_count", Form::Number("c.view_count")),
    ("like_count", Form::Number("c.like_count")),
    ("comment_count", Form::Number("c.comment_count")),
    ("category", Form::Json("c.category_json", "c.category_of", "c.category_text")),
    ("content_type", Form::Text("c.content_type")),
    ("complexity_level", Form::Text("c.complexity_level")),
    ("language", Form::Text(LANGUAGE)),
    ("key_topics", Form::Json("c.topics_json", "c.topics_of", "c.topics_text")),
    ("named_entities", Form::Json("c.named_entities_json", "c.named_entities_of", "c.named_entities_text")),
    ("format_source", Form::Text("c.format_source")),
    ("processing_status", Form::Text("c.processing_status")),
    ("created_at", Form::Time("c.created_at")),
    ("updated_at", Form::Time("c.updated_at")),
    ("subcategory", Form::Text("c.subcategory")),
    ("subcategories_json", Form::Curated),
    ("summary", Form::Text("c.summary")),
    ("analysis", Form::Analysis),
];

const LEGACY: [(&str, Form); 5] = [
    ("id", Form::Number("s.source_id")),
    ("content_id", Form::Text("c.id")),
    ("summary_text", Form::Text(BODY)),
    ("summary_type", Form::Text("s.variant")),
    ("created_at", Form::Time("s.created_at")),
];

const VARIANTS: [(&str, Form); 12] = [
    ("id", Form::Number("s.source_id")),
    ("video_id", Form::Text("s.video_id")),
    ("variant_type", Form::Text("s.variant")),
    ("revision", Form::Number("s.revision::bigint")),
    ("content", Form::Text(BODY)),
    ("raw_payload", Form::Json("s.raw_json", "s.raw_of", "s.raw_text")),
    ("metadata", Form::Text("s.metadata_text")),
    ("is_latest", Form::Flag(LATEST)),
    ("created_at", Form::Time("s.created_at")),
    ("updated_at", Form::Time("s.updated_at")),
    ("file_size", Form::Number("s.file_size")),
    ("word_count", Form::Number("s.word_count")),
];

/// What a copy says of it, until a higher revision comes that others wrote; of those the highest is the latest.
const LATEST: &str = "CASE WHEN s.is_latest IS NULL THEN \
        CASE WHEN s.extra -> 'cells' ? 'is_latest' THEN NULL ELSE NOT EXISTS (SELECT 1 FROM content_summaries h \
            WHERE h.video_id = s.video_id AND h.variant = s.variant AND h.revision > s.revision) END \
    ELSE s.is_latest AND NOT EXISTS (SELECT 1 FROM content_summaries h WHERE h.video_id = s.video_id \
        AND h.variant = s.variant AND h.revision > s.revision AND h.is_latest IS NULL \
        AND NOT coalesce(h.extra -> 'cells' ? 'is_latest', false)) END";

static READ_CONTENT: LazyLock<Reading> = LazyLock::new(|| Reading::new(Table::Content, &CONTENT));
static READ_LEGACY: LazyLock<Reading> = LazyLock::new(|| Reading::new(Table::Legacy, &LEGACY));
static READ_VARIANTS: LazyLock<Reading> = LazyLock::new(|| Reading::new(Table::Variants, &VARIANTS));

/// `SELECT … FROM …` of a table's rows (`content c`, `content_summaries s`), to be followed by more conditions.
pub(crate) fn select(table: Table) -> &'static str {
    &Reading::of(table).select
}

/// The order of a table's keys, as both stores have it.
pub(crate) fn key_order(table: Table) -> &'static str {
    match table {
        Table::Content | Table::Legacy => "c.id COLLATE \"C\"",
        Table::Variants => "s.video_id COLLATE \"C\", s.variant COLLATE \"C\", s.revision",
    }
}

/// The condition that finds rows by key: `$1` their records and, of variants, `$2` these and `$3` their revisions.
fn by_key(table: Table) -> &'static str {
    match table {
        Table::Content | Table::Legacy => "c.id = ANY($1)",
        Table::Variants => {
            "(s.video_id, s.variant, s.revision) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::int[]))"
        }
    }
}

/// The rows with these keys. `lock` has them locked in the order of their keys, so that two writers wait for each other
/// and never deadlock.
pub(crate) async fn find(
    connection: &mut PgConnection,
    table: Table,
    keys: &[&Key],
    lock: bool,
) -> Result<HashMap<Key, Stored>, sqlx::Error> {
    let alias = if table == Table::Content { "c" } else { "s" };
    let lock =
        if lock { format!(" ORDER BY {} FOR UPDATE OF {alias}", key_order(table)) } else { String::new() };
    let sql = format!("{} AND {}{lock}", select(table), by_key(table));
    let mut query =
        sqlx::query(constant_sql(sql)).bind(keys.iter().map(|key| key.record.as_str()).collect::<Vec<_>>());
    if table == Table::Variants {
        query = query.bind(keys.iter().map(|key| key.variant.as_str()).collect::<Vec<_>>());
        query = query.bind(keys.iter().map(|key| key.revision).collect::<Vec<_>>());
    }
    let rows = query.fetch_all(connection).await?;
    rows.iter().map(|row| read(table, row).map(|row| (row.key.clone(), row))).collect()
}

/// A row that [`select`] found.
pub(crate) fn read(table: Table, row: &PgRow) -> Result<Stored, sqlx::Error> {
    Reading::of(table).read(row)
}

// === impl Reading ===

impl Reading {
    fn of(table: Table) -> &'static Self {
        match table {
            Table::Content => &READ_CONTENT,
            Table::Legacy => &READ_LEGACY,
            Table::Variants => &READ_VARIANTS,
        }
    }

    fn new(table: Table, forms: &'static [(&'static str, Form)]) -> Self {
        let (alias, from) = match table {
            Table::Content => ("c", "content c WHERE true"),
            Table::Legacy => {
                ("s", "content_summaries s JOIN content c ON c.video_id = s.video_id WHERE s.legacy")
            }
            Table::Variants => ("s", "content_summaries s WHERE NOT s.legacy"),
        };
        let mut parts = vec![
            format!("{alias}.agreed, {alias}.agreed_before"),
            format!(
                "CASE WHEN isfinite({alias}.updated_at) \
                 THEN floor(extract(epoch FROM {alias}.updated_at) * 1000000)::bigint END"
            ),
            format!("{alias}.extra::text"),
        ];
        parts.extend(forms.iter().map(|(_, form)| form.sql()));
        let columns = Columns::new(forms.iter().map(|(name, _)| (*name).to_owned()).collect());
        Self { table, forms, columns, select: format!("SELECT {} FROM {from}", parts.join(", ")) }
    }

    fn read(&self, row: &PgRow) -> Result<Stored, sqlx::Error> {
        let mut cells = Vec::with_capacity(self.forms.len());
        let mut place = HEAD;
        for (_, form) in self.forms {
            let (cell, width) = form.cell(row, place)?;
            place += width;
            cells.push(cell);
        }
        let mut read = Row::new(Arc::clone(&self.columns), cells);
        let extra: Option<String> = row.try_get(3)?;
        let extra = extra.and_then(|text| serde_json::from_str::<Value>(&text).ok()).unwrap_or_default();
        let section = |name: &str| extra.get(name).and_then(Value::as_object);
        self.restore(&mut read, section("cells"));
        for (name, exact) in section("columns").into_iter().flatten() {
            read.add(name.clone(), from_exact(exact).unwrap_or_default());
        }
        let key = self.key(&read)?;
        let repairs = extra.get("repairs").and_then(Value::as_array).into_iter().flatten();
        Ok(Stored {
            digest: read.digest(self.table),
            row: read,
            key,
            agreed: row.try_get::<Option<Vec<u8>>, _>(0)?.as_deref().and_then(Digest::read),
            before: row
                .try_get::<Option<Vec<Vec<u8>>>, _>(1)?
                .unwrap_or_default()
                .iter()
                .filter_map(|bytes| Digest::read(bytes))
                .collect(),
            updated_at: row.try_get(2)?,
            repairs: repairs.filter_map(Value::as_str).map(str::to_owned).collect(),
        })
    }

    /// Its key, also where others wrote what SQLite would not take.
    fn key(&self, row: &Row) -> Result<Key, sqlx::Error> {
        row.key(self.table).or_else(|why| {
            match (row.cell("video_id").clean_text(), row.cell("revision").whole()) {
                (Some(record), Some(revision)) if self.table == Table::Variants => Ok(Key {
                    record: record.to_owned(),
                    variant: row.cell("variant_type").clean_text().unwrap_or_default().to_owned(),
                    revision: i32::try_from(revision).unwrap_or(i32::MIN),
                }),
                (_, _) => Err(sqlx::Error::Decode(why.into())),
            }
        })
    }

    /// Puts exactly kept cells where their columns still say what was made of them.
    fn restore(&self, row: &mut Row, kept: Option<&Map<String, Value>>) {
        for (name, exact) in kept.into_iter().flatten() {
            let form = self.forms.iter().find(|(column, _)| column == name).map(|(_, form)| *form);
            let (Some(form), Some(cell)) = (form, from_exact(exact)) else { continue };
            if self.stands_for(form, name, &cell, row.cell(name)) {
                row.set(name, cell);
            }
        }
        if self.table == Table::Variants && *row.cell("created_at") == Cell::Null {
            // SQLite's column takes no NULL; only one that is kept was one.
            if !kept.is_some_and(|kept| kept.contains_key("created_at")) {
                row.set("created_at", Cell::Text(Vec::new()));
            }
        }
    }

    /// Whether `now` is what was made of `kept`.
    fn stands_for(&self, form: Form, name: &str, kept: &Cell, now: &Cell) -> bool {
        match (self.table, name) {
            (Table::Content, "video_id") if *now == Cell::Null => return true,
            (Table::Legacy, "summary_type") if kept.plain().unwrap_or_default().is_empty() => {
                return now.clean_text() == Some(summaries::DEFAULT_VARIANT);
            }
            _ => {}
        }
        match form {
            Form::Number(_) => kept.whole() == now.whole(),
            Form::Flag(_) => kept.whole().map(|number| number != 0) == now.whole().map(|number| number != 0),
            Form::Text(_) | Form::Time(_) | Form::Json(..) | Form::Curated | Form::Analysis => {
                kept.plain() == now.plain()
            }
        }
    }
}

// === impl Form ===

impl Form {
    fn sql(self) -> String {
        match self {
            Self::Text(sql) | Self::Flag(sql) => sql.to_owned(),
            // Columns of both widths.
            Self::Number(sql) => format!("({sql})::bigint"),
            Self::Time(name) => format!(
                "CASE WHEN {name} IS NOT DISTINCT FROM {name}_of THEN {name}_text \
                 ELSE flipgate_shown({name}, {name}_of, {name}_text) END"
            ),
            Self::Json(value, denoted, spelling) => format!(
                "CASE WHEN {value} IS NOT DISTINCT FROM {denoted} THEN {spelling} END, \
                 CASE WHEN {value} IS DISTINCT FROM {denoted} THEN {value}::text END"
            ),
            Self::Curated => format!("{SUBCATEGORIES_KEPT}, {SUBCATEGORIES_CHANGED}"),
            Self::Analysis => "c.analysis_text, c.analysis_json IS DISTINCT FROM c.analysis_of, \
                 CASE WHEN c.analysis_json IS DISTINCT FROM c.analysis_of THEN c.analysis_json::text END"
                .to_owned(),
        }
    }

    /// The cell at `place`, and how many places it took.
    fn cell(self, row: &PgRow, place: usize) -> Result<(Cell, usize), sqlx::Error> {
        Ok(match self {
            Self::Text(_) | Self::Time(_) => (row.try_get::<Option<String>, _>(place)?.into(), 1),
            Self::Number(_) => (row.try_get::<Option<i64>, _>(place)?.into(), 1),
            Self::Flag(_) => (row.try_get::<Option<bool>, _>(place)?.map(i64::from).into(), 1),
            Self::Json(..) | Self::Curated => {
                let changed: Option<String> = row.try_get(place + 1)?;
                let text = match changed {
                    Some(document) => Some(compact(document)),
                    None => row.try_get(place)?,
                };
                (text.into(), 2)
            }
            Self::Analysis => {
                let spelt: Option<String> = row.try_get(place)?;
                let text =
                    if row.try_get(place + 1)? { analysis(spelt, row.try_get(place + 2)?) } else { spelt };
                (text.into(), 3)
            }
        })
    }
}

/// A changed analysis without the categories that a copy merged in; as it was spelt if nothing else changed.
fn analysis(spelt: Option<String>, now: Option<String>) -> Option<String> {
    let read =
        |text: &Option<String>| text.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let (before, mut now) = (read(&spelt), read(&now)?);
    let had_categories = before.as_ref().is_some_and(|before| before.get("categories").is_some());
    if let (Some(members), false) = (now.as_object_mut(), had_categories) {
        members.remove("categories");
        if members.is_empty() && before.is_none() {
            // Nothing but categories: as before, or for the first time.
            return spelt;
        }
    }
    if before.as_ref() == Some(&now) { spelt } else { Some(now.to_string()) }
}

#[cfg(test)]
mod tests;
