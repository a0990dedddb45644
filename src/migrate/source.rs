//! The SQLite library as batches of rows, read on a thread of its own in one read transaction.

use std::path::Path;

use rusqlite::Connection;
use serde_json::{Map, Value};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::MigrateError;
use super::cells::Cell;
use crate::dashboard;

/// Bounds of a batch: rows, and bytes of their cells (one row more may exceed it).
const BATCH_ROWS: usize = 500;
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Batches read ahead.
const AHEAD: usize = 1;

/// A library to copy from: its tables in the order to copy them, all of one moment.
pub(super) struct Source {
    pub(super) tables: Vec<(Table, Batches)>,
}

/// A table's rows in the order of their row numbers; none if there is no such table.
pub(super) type Batches = Receiver<Result<Batch, MigrateError>>;

type Sink = Sender<Result<Batch, MigrateError>>;

/// A table of the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    /// The records.
    Content,
    /// The one summary of older libraries.
    Legacy,
    /// Summaries by variant and revision.
    Variants,
}

/// One source row.
#[derive(Debug)]
pub(super) struct SourceRow {
    /// Its `id` if that is plain text or a number, else `rowid:N`.
    pub(super) key: String,
    /// Whether an earlier row has the same key columns, which libraries without their constraints may hold.
    pub(super) again: bool,
    /// Columns by lower-case name.
    cells: Vec<(String, Cell)>,
}

/// Rows that are stored together.
pub(super) type Batch = Vec<SourceRow>;

// === impl Table ===

impl Table {
    /// Its name in SQLite.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Legacy => "content_summaries",
            Self::Variants => "summary_variants",
        }
    }

    fn key_columns(self) -> &'static [&'static str] {
        match self {
            Self::Content => &["id"],
            Self::Legacy => &["content_id"],
            Self::Variants => &["video_id", "variant_type", "revision"],
        }
    }
}

// === impl Source ===

impl Source {
    /// Opens the library and begins to read it.
    pub(super) fn open(path: &Path) -> Result<Self, MigrateError> {
        let connection = dashboard::read_only(path).map_err(|error| MigrateError(error.0))?;
        let (mut sinks, mut tables) = (Vec::new(), Vec::new());
        for table in [Table::Content, Table::Legacy, Table::Variants] {
            let (sink, batches) = channel(AHEAD);
            sinks.push((table, sink));
            tables.push((table, batches));
        }
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || read(&path, &connection, sinks));
        Ok(Self { tables })
    }
}

fn read(path: &Path, connection: &Connection, sinks: Vec<(Table, Sink)>) {
    // A summary written after its record was passed by would look like an orphan: all tables are read as of one moment.
    let moment = connection.unchecked_transaction();
    let mut failed = moment.as_ref().err().map(ToString::to_string);
    for (table, sink) in sinks {
        let failure =
            failed.take().or_else(|| stream(connection, table, &sink).err().map(|error| error.to_string()));
        if let Some(error) = failure {
            // If nobody receives any more, nobody asks why.
            let _ = sink.blocking_send(Err(MigrateError(format!(
                "Table {} of the SQLite library {} cannot be read ({error}); check it with `PRAGMA integrity_check`.",
                table.name(),
                path.display()
            ))));
            return;
        }
    }
}

fn stream(connection: &Connection, table: Table, sink: &Sink) -> rusqlite::Result<()> {
    let names = column_names(connection, table)?;
    if names.is_empty() {
        return Ok(());
    }
    let mut statement = connection.prepare(&select(table, &names))?;
    let mut rows = statement.query([])?;
    let (mut batch, mut bytes) = (Batch::new(), 0);
    while let Some(row) = rows.next()? {
        let mut cells = Vec::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            cells.push((name.clone(), Cell::from(row.get_ref(index + 2)?)));
        }
        let row = SourceRow::new(row.get(0)?, row.get(1)?, cells);
        bytes += row.size();
        batch.push(row);
        if batch.len() >= BATCH_ROWS || bytes >= BATCH_BYTES {
            bytes = 0;
            if sink.blocking_send(Ok(std::mem::take(&mut batch))).is_err() {
                return Ok(());
            }
        }
    }
    if !batch.is_empty() {
        // As above: without a receiver there is nothing left to do.
        let _ = sink.blocking_send(Ok(batch));
    }
    Ok(())
}

fn column_names(connection: &Connection, table: Table) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT lower(name) FROM pragma_table_info(?1)")?;
    let names = statement.query_map([table.name()], |row| row.get(0))?;
    names.collect()
}

fn select(table: Table, names: &[String]) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let columns: Vec<String> = names.iter().map(|name| format!("s.{}", quoted(name))).collect();
    let keys = table.key_columns();
    let again = if keys.iter().all(|key| names.iter().any(|name| name == key)) {
        let same: Vec<String> = keys.iter().map(|key| format!("e.\"{key}\" = s.\"{key}\"")).collect();
        format!(
            "EXISTS (SELECT 1 FROM {0} e WHERE {1} AND e.rowid < s.rowid)",
            table.name(),
            same.join(" AND ")
        )
    } else {
        "0".to_owned()
    };
    format!("SELECT s.rowid, {again}, {} FROM {} s ORDER BY s.rowid", columns.join(", "), table.name())
}

// === impl SourceRow ===

impl SourceRow {
    fn new(number: i64, again: bool, cells: Vec<(String, Cell)>) -> Self {
        let id = cells.iter().find(|(name, _)| name == "id").map(|(_, cell)| cell);
        let key = match id {
            Some(Cell::Integer(id)) => id.to_string(),
            // The second of two rows with one id needs a name of its own.
            Some(cell) if !again => cell.clean_text().map(str::to_owned).unwrap_or(format!("rowid:{number}")),
            Some(_) | None => format!("rowid:{number}"),
        };
        Self { key, again, cells }
    }

    /// A cell; NULL if the library has no such column.
    pub(super) fn cell(&self, name: &str) -> &Cell {
        self.cells.iter().find(|(column, _)| column == name).map_or(&Cell::Null, |(_, cell)| cell)
    }

    /// The cells of columns that are not among `known`.
    pub(super) fn unknown(&self, known: &[&str]) -> Map<String, Value> {
        let cells = self.cells.iter().filter(|(name, _)| !known.contains(&name.as_str()));
        cells.map(|(name, cell)| (name.replace('\0', "\u{fffd}"), cell.exact())).collect()
    }

    /// The whole row as JSON that loses nothing.
    pub(super) fn exact(&self) -> Value {
        Value::Object(self.unknown(&[]))
    }

    fn size(&self) -> usize {
        self.cells.iter().map(|(name, cell)| name.len() + cell.size()).sum()
    }
}
