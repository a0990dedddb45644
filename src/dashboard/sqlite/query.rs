//! The SQL for SQLite. Cells pass through `plain` and `whole`, so that odd types sort and answer like what they are
//! stored as in PostgreSQL; the functions' results compare by code point, whatever collation a column declares.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension as _, Row, params_from_iter};

use super::connection::{Open, Table, Tables};
use crate::dashboard::facets::{FacetCounter, FacetRow, Facets};
use crate::dashboard::model::{Page, Record, Summary};
use crate::dashboard::request::{Direction, Filters, ListQuery, Sort};
use crate::dashboard::subjects::Wanted;
use crate::dashboard::{Name, StoreError};

/// Variants in the order one is chosen to stand for a record; any other comes after.
const RANK: &str = "CASE plain(v.variant_type) WHEN 'comprehensive' THEN 0 WHEN 'key-points' THEN 1 \
    WHEN 'bullet-points' THEN 2 WHEN 'executive' THEN 3 WHEN 'key-insights' THEN 4 WHEN 'audio' THEN 5 \
    WHEN 'audio-fr' THEN 6 WHEN 'audio-es' THEN 7 ELSE 8 END";

/// Conditions with their parameters.
#[derive(Default)]
struct Where {
    conditions: Vec<String>,
    parameters: Vec<Value>,
}

/// SQL expressions over `content c` for a schema that may lack columns.
struct Columns<'a>(&'a Tables);

/// One page of the list.
pub(super) fn list(library: &Open, query: &ListQuery) -> Result<Page, StoreError> {
    // One read transaction, so that the total is that of the same library.
    let transaction = library.connection.unchecked_transaction()?;
    let columns = Columns(&library.tables);
    let mut filter = Where::filters(&columns, &query.filters);
    let (hit, key, direction) = match &query.search {
        Some(pattern) => (filter.search(&columns, pattern), columns.text("indexed_at"), "DESC"),
        None => {
            let (key, direction) = order(&columns, query.sort);
            ("0".to_owned(), key, direction)
        }
    };
    let clause = filter.clause();
    // Sorted by row number first: the sorter then holds keys only, not whole rows.
    let sql = format!(
        "SELECT {record} FROM (SELECT c.rowid AS number, {hit} AS hit, {key} AS sort_key FROM content c {clause} \
         ORDER BY hit, sort_key {direction}, plain(c.id) LIMIT ? OFFSET ?) page \
         CROSS JOIN content c ON c.rowid = page.number ORDER BY page.hit, page.sort_key {direction}, plain(c.id)",
        record = columns.record(),
    );
    let mut parameters = filter.parameters.clone();
    parameters.push(Value::Integer(i64::from(query.size)));
    parameters.push(Value::Integer(query.offset()));
    let mut statement = transaction.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(parameters), record)?;
    let records = rows.collect::<rusqlite::Result<Vec<Record>>>()?;
    let total = match query.search {
        Some(_) => u64::try_from(records.len()).unwrap_or(u64::MAX),
        None => {
            let sql = format!("SELECT count(*) FROM content c {clause}");
            let mut statement = transaction.prepare_cached(&sql)?;
            let rows: i64 = statement.query_row(params_from_iter(filter.parameters), |row| row.get(0))?;
            u64::try_from(rows).unwrap_or(0)
        }
    };
    Ok(Page { records, total })
}

/// The counts of every value.
pub(super) fn facets(library: &Open) -> Result<Facets, StoreError> {
    let columns = Columns(&library.tables);
    let sql = format!(
        "SELECT {}, {}, {}, {}, {}, {}, {}, {}, {} FROM content c",
        columns.source(),
        columns.text("language"),
        columns.text("category"),
        columns.text("subcategory"),
        columns.text("subcategories_json"),
        columns.text("content_type"),
        columns.text("complexity_level"),
        columns.text("channel_name"),
        columns.flag("has_audio"),
    );
    let mut statement = library.connection.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    let mut counter = FacetCounter::default();
    while let Some(row) = rows.next()? {
        counter.add(FacetRow {
            source: row.get(0)?,
            language: row.get(1)?,
            category: row.get(2)?,
            subcategory: row.get(3)?,
            subcategories: row.get(4)?,
            content_type: row.get(5)?,
            complexity_level: row.get(6)?,
            channel: row.get(7)?,
            has_audio: row.get(8)?,
        });
    }
    Ok(counter.finish())
}

/// A record by one of its names, with the summary that stands for it.
pub(super) fn find(
    library: &Open,
    name: Name,
    value: &str,
) -> Result<Option<(Record, Option<Summary>)>, StoreError> {
    let columns = Columns(&library.tables);
    let video = library.tables.has(Table::Content, "video_id");
    let condition = if video { "c.id = ?1 OR c.video_id = ?1" } else { "c.id = ?1" };
    let first = match name {
        Name::Stem if video => "c.video_id IS ?1",
        Name::Stem | Name::Id => "c.id IS ?1",
    };
    let sql = format!(
        "SELECT {}, {}, {} FROM content c WHERE {condition} ORDER BY {first} DESC, plain(c.id) LIMIT 1",
        columns.record(),
        columns.summary("text"),
        columns.summary("kind"),
    );
    let mut statement = library.connection.prepare_cached(&sql)?;
    let found = statement.query_row([value], |row| {
        let text: Option<String> = row.get("summary_text")?;
        let kind: Option<String> = row.get("summary_kind")?;
        Ok((record(row)?, text.map(|text| Summary { text, kind: kind.unwrap_or_default() })))
    });
    Ok(found.optional()?)
}

/// A trivial read.
pub(super) fn probe(library: &Open) -> Result<(), StoreError> {
    let mut statement = library.connection.prepare_cached("SELECT 1 FROM content LIMIT 1")?;
    Ok(statement.query_row([], |_| Ok(())).optional().map(|_| ())?)
}

fn order(columns: &Columns<'_>, sort: Sort) -> (String, &'static str) {
    let (key, direction) = match sort {
        Sort::Added(direction) => (columns.text("indexed_at"), direction),
        Sort::Published(direction) => (columns.text("published_at"), direction),
        Sort::Title(direction) => (columns.text("title"), direction),
        Sort::Duration(direction) => (columns.number("duration_seconds"), direction),
    };
    // NULLs are SQLite's lowest values.
    let direction = match direction {
        Direction::Ascending => "ASC",
        Direction::Descending => "DESC",
    };
    (key, direction)
}

/// Reads what [`Columns::record`] selects.
fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        id: row.get::<_, Option<String>>(0)?.unwrap_or_default(),
        video_id: row.get(1)?,
        title: row.get(2)?,
        thumbnail_url: row.get(3)?,
        canonical_url: row.get(4)?,
        channel: row.get(5)?,
        published_at: row.get(6)?,
        indexed_at: row.get(7)?,
        duration_seconds: row.get(8)?,
        category: row.get(9)?,
        subcategory: row.get(10)?,
        subcategories: row.get(11)?,
        content_type: row.get(12)?,
        complexity_level: row.get(13)?,
        language: row.get(14)?,
        key_topics: row.get(15)?,
        named_entities: row.get(16)?,
        has_audio: row.get(17)?,
        audio_duration_seconds: row.get(18)?,
        has_transcript: row.get(19)?,
        transcript_chars: row.get(20)?,
        word_count: row.get(21)?,
        format_source: row.get(22)?,
        processing_status: row.get(23)?,
    })
}

// === impl Columns ===

impl Columns<'_> {
    fn text(&self, column: &str) -> String {
        if self.0.has(Table::Content, column) { format!("plain(c.\"{column}\")") } else { "NULL".to_owned() }
    }

    fn number(&self, column: &str) -> String {
        if self.0.has(Table::Content, column) { format!("whole(c.\"{column}\")") } else { "NULL".to_owned() }
    }

    fn flag(&self, column: &str) -> String {
        format!("COALESCE({}, 0) <> 0", self.number(column))
    }

    /// Only text names a video; anything else is none.
    fn video_id(&self) -> String {
        if !self.0.has(Table::Content, "video_id") {
            return "NULL".to_owned();
        }
        "CASE typeof(c.video_id) WHEN 'text' THEN NULLIF(plain(c.video_id), '') END".to_owned()
    }

    /// What comes before the colon of an id; `yt` and bare ids are YouTube's.
    fn source(&self) -> String {
        let id = self.text("id");
        format!(
            "CASE WHEN substr({id}, 1, 3) = 'yt:' OR instr({id}, ':') = 0 THEN 'youtube' \
             ELSE substr({id}, 1, instr({id}, ':') - 1) END"
        )
    }

    fn language(&self) -> String {
        format!("COALESCE(NULLIF({}, ''), 'en')", self.text("language"))
    }

    fn record(&self) -> String {
        let text = |column| self.text(column);
        let number = |column| self.number(column);
        [
            text("id"),
            self.video_id(),
            text("title"),
            text("thumbnail_url"),
            text("canonical_url"),
            text("channel_name"),
            text("published_at"),
            text("indexed_at"),
            number("duration_seconds"),
            text("category"),
            text("subcategory"),
            text("subcategories_json"),
            text("content_type"),
            text("complexity_level"),
            text("language"),
            text("key_topics"),
            text("named_entities"),
            self.flag("has_audio"),
            number("audio_duration_seconds"),
            self.flag("has_transcript"),
            number("transcript_chars"),
            number("word_count"),
            text("format_source"),
            text("processing_status"),
        ]
        .join(", ")
    }

    /// The summary that stands for the record, its `text` or `kind`: the legacy one, else the best variant's latest.
    fn summary(&self, part: &str) -> String {
        let (legacy_part, variant_part) = match part {
            "kind" => {
                ("COALESCE(NULLIF(plain(s.summary_type), ''), 'comprehensive')", "plain(v.variant_type)")
            }
            _ => ("plain(s.summary_text)", "plain(v.content)"),
        };
        let legacy = if self.0.has(Table::Legacy, "content_id") {
            format!(
                "(SELECT {legacy_part} FROM content_summaries s WHERE s.content_id = c.id \
                 AND plain(s.summary_text) <> '' ORDER BY s.rowid LIMIT 1)"
            )
        } else {
            "NULL".to_owned()
        };
        let variant = if self.0.has(Table::Variants, "video_id") && self.0.has(Table::Content, "video_id") {
            format!(
                "(SELECT {variant_part} FROM summary_variants v WHERE v.video_id = c.video_id \
                 AND v.video_id <> '' AND plain(v.content) <> '' \
                 ORDER BY {RANK}, plain(v.variant_type), whole(v.revision) DESC, v.rowid LIMIT 1)"
            )
        } else {
            "NULL".to_owned()
        };
        format!("COALESCE({legacy}, {variant}) AS summary_{part}")
    }
}

// === impl Where ===

impl Where {
    fn filters(columns: &Columns<'_>, filters: &Filters) -> Self {
        let mut filter = Self::default();
        filter.about(columns, &filters.category);
        filter.about(columns, &filters.subcategory);
        filter.any(&columns.text("channel_name"), &filters.channel);
        filter.any(&columns.text("content_type"), &filters.content_type);
        filter.any(&columns.text("complexity_level"), &filters.complexity);
        filter.any(&columns.language(), &filters.language);
        filter.any(&columns.source(), &filters.source);
        if let Some(has_audio) = filters.has_audio {
            filter.conditions.push(format!("({}) = {}", columns.flag("has_audio"), i32::from(has_audio)));
        }
        filter
    }

    fn any(&mut self, expression: &str, values: &[String]) {
        if !values.is_empty() {
            let marks = vec!["?"; values.len()].join(", ");
            self.conditions.push(format!("replace({expression}, char(8211), '-') IN ({marks})"));
            self.parameters.extend(values.iter().cloned().map(Value::Text));
        }
    }

    fn about(&mut self, columns: &Columns<'_>, wanted: &[Wanted]) {
        if wanted.is_empty() {
            return;
        }
        let [category, subcategory, structured] =
            ["category", "subcategory", "subcategories_json"].map(|column| columns.text(column));
        self.conditions.push(format!("about({category}, {subcategory}, {structured}, ?)"));
        self.parameters.push(Value::Text(serde_json::to_string(wanted).unwrap_or_default()));
    }

    /// Adds the search and returns the expression that puts title hits first.
    fn search(&mut self, columns: &Columns<'_>, pattern: &str) -> String {
        let title = columns.text("title");
        let summary = columns.summary("text");
        let summary = summary.trim_end_matches(" AS summary_text");
        self.conditions.push(format!("({title} LIKE ? OR {summary} LIKE ?)"));
        self.parameters.extend([Value::Text(pattern.to_owned()), Value::Text(pattern.to_owned())]);
        // The pattern is bound once more, in front of the conditions.
        self.parameters.insert(0, Value::Text(pattern.to_owned()));
        format!("CASE WHEN {title} LIKE ? THEN 0 ELSE 1 END")
    }

    fn clause(&self) -> String {
        if self.conditions.is_empty() {
            return String::new();
        }
        format!("WHERE {}", self.conditions.join(" AND "))
    }
}
