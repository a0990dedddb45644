//! What a library holds, counted, and whether two hold the same.

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::files::hex;
use crate::dashboard::cells::plain;
use crate::dashboard::subjects::subjects;
use crate::migrate::instant;

/// Problems of a file told at most.
const PROBLEMS: u32 = 5;

/// Rows of each table; `None` where there is no such table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rows {
    /// The records.
    pub(crate) content: Option<u64>,
    /// The one summary of older libraries.
    pub(crate) content_summaries: Option<u64>,
    /// Summaries by variant and revision.
    pub(crate) summary_variants: Option<u64>,
}

/// What is counted of a library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Facts {
    /// Rows of each table.
    pub(crate) rows: Rows,
    /// Records whose structured categories name at least one subcategory.
    pub(crate) records_with_subcategories: u64,
    /// The plan's own count, `analysis LIKE '%subcategories%'`.
    pub(crate) analysis_with_subcategories: u64,
    /// The latest `indexed_at`, as it is spelt.
    pub(crate) newest_indexed_at: Option<String>,
    /// Rows whose parent is missing; `None` where the schema does not allow to tell.
    pub(crate) foreign_key_violations: Option<u64>,
}

/// Whether this is a library at all.
pub(super) fn is_library(connection: &Connection) -> rusqlite::Result<bool> {
    rows(connection, "content").map(|rows| rows.is_some())
}

// === impl Facts ===

impl Facts {
    /// Counts; as of one moment if the connection is in a transaction.
    pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            rows: Rows::read(connection)?,
            records_with_subcategories: records_with_subcategories(connection)?,
            analysis_with_subcategories: analysis_with_subcategories(connection)?,
            newest_indexed_at: newest_indexed_at(connection)?,
            // A schema whose foreign keys do not fit its tables is the library's own affair.
            foreign_key_violations: count(connection, "SELECT count(*) FROM pragma_foreign_key_check").ok(),
        })
    }

    /// Every count, for when one of them is wrong.
    pub(crate) fn in_full(&self) -> String {
        format!(
            "{self} ({} by analysis), newest {}, {} without a parent",
            self.analysis_with_subcategories,
            self.newest_indexed_at.as_deref().unwrap_or("unknown"),
            self.foreign_key_violations.map_or("unknown".to_owned(), |rows| rows.to_string())
        )
    }

    /// Whether these hold a record that came after every record of `other`.
    pub(crate) fn has_newer_records_than(&self, other: &Self) -> bool {
        let newest = |facts: &Self| facts.newest_indexed_at.as_deref().and_then(instant);
        newest(self) > newest(other)
    }
}

impl std::fmt::Display for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {} records with subcategories", self.rows, self.records_with_subcategories)
    }
}

// === impl Rows ===

impl Rows {
    fn read(connection: &Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            content: rows(connection, "content")?,
            content_summaries: rows(connection, "content_summaries")?,
            summary_variants: rows(connection, "summary_variants")?,
        })
    }
}

impl std::fmt::Display for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { content, content_summaries, summary_variants } = self;
        let tables = [
            ("content", content),
            ("content_summaries", content_summaries),
            ("summary_variants", summary_variants),
        ];
        for (position, (table, rows)) in tables.into_iter().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            match rows {
                Some(rows) => write!(f, "{comma}{rows} {table}")?,
                None => write!(f, "{comma}no {table}")?,
            }
        }
        Ok(())
    }
}

// === Counting ===

fn count(connection: &Connection, sql: &str) -> rusqlite::Result<u64> {
    let rows: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    Ok(rows.unsigned_abs())
}

fn rows(connection: &Connection, table: &str) -> rusqlite::Result<Option<u64>> {
    let exists = "SELECT EXISTS (SELECT 1 FROM pragma_table_info(?1))";
    if !connection.query_row(exists, [table], |row| row.get::<_, bool>(0))? {
        return Ok(None);
    }
    count(connection, &format!("SELECT count(*) FROM {table}")).map(Some)
}

/// Whether the records have this column; those of older libraries lack some.
fn has_column(connection: &Connection, column: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM pragma_table_info('content') WHERE lower(name) = ?1)";
    connection.query_row(sql, [column], |row| row.get(0))
}

fn records_with_subcategories(connection: &Connection) -> rusqlite::Result<u64> {
    let mut records = 0;
    each_of(connection, "subcategories_json", |text| {
        let named = subjects(Some(&text)).iter().any(|subject| !subject.subcategories.is_empty());
        records += u64::from(named);
    })?;
    Ok(records)
}

fn analysis_with_subcategories(connection: &Connection) -> rusqlite::Result<u64> {
    if !has_column(connection, "analysis")? {
        return Ok(0);
    }
    count(connection, "SELECT count(*) FROM content WHERE analysis LIKE '%subcategories%'")
}

fn newest_indexed_at(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let mut newest: Option<(String, String)> = None;
    each_of(connection, "indexed_at", |spelt| {
        let Some(instant) = instant(&spelt) else { return };
        if newest.as_ref().is_none_or(|(newest, _)| *newest < instant) {
            newest = Some((instant, spelt));
        }
    })?;
    Ok(newest.map(|(_, spelt)| spelt))
}

/// Every value of a column of `content` that is not NULL.
fn each_of(connection: &Connection, column: &str, mut with: impl FnMut(String)) -> rusqlite::Result<()> {
    if !has_column(connection, column)? {
        return Ok(());
    }
    let mut statement = connection.prepare(&format!("SELECT {column} FROM content"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(text) = plain(row.get_ref(0)?) {
            with(text);
        }
    }
    Ok(())
}

// === Wholeness and sameness ===

/// What is broken in the file's structure; nothing if it is whole.
pub(crate) fn problems(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    // Rows that break the library's own CHECKs were so when it was copied; the copy is whole all the same.
    connection.pragma_update(None, "ignore_check_constraints", true)?;
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({PROBLEMS})"))?;
    let lines: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(if lines == ["ok"] { Vec::new() } else { lines })
}

/// A hash of all that a dump would show: schema, every table's rows in their order, versions. Neither how the file is
/// laid out nor its journal mode counts.
pub(crate) fn digest(connection: &Connection) -> rusqlite::Result<String> {
    let mut hash = Sha256::new();
    for pragma in ["user_version", "application_id", "encoding"] {
        hash_rows(connection, &format!("PRAGMA {pragma}"), &mut hash)?;
    }
    let schema = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name";
    hash_rows(connection, schema, &mut hash)?;
    // What a virtual table holds lies in ordinary ones.
    let mut statement = connection.prepare(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name",
    )?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?;
    for name in names {
        let quoted = name?.replace('"', "\"\"");
        hash_rows(connection, &format!("SELECT * FROM \"{quoted}\" NOT INDEXED"), &mut hash)?;
    }
    Ok(hex(&hash.finalize()))
}

fn hash_rows(connection: &Connection, sql: &str, hash: &mut Sha256) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            hash_cell(row.get_ref(column)?, hash);
        }
    }
    // So that the last row of one table is not the first of the next.
    hash.update(b"!");
    Ok(())
}

fn hash_cell(cell: ValueRef<'_>, hash: &mut Sha256) {
    let mut text = |kind: u8, bytes: &[u8]| {
        hash.update([kind]);
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    match cell {
        ValueRef::Null => text(b'n', &[]),
        ValueRef::Integer(number) => text(b'i', &number.to_be_bytes()),
        ValueRef::Real(number) => text(b'r', &number.to_bits().to_be_bytes()),
        ValueRef::Text(bytes) => text(b't', bytes),
        ValueRef::Blob(bytes) => text(b'b', bytes),
    }
}
