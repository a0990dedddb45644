//! The SQLite library as batches of mapped rows, read on a thread of its own in one read transaction.
//!
//! Mapping and rendering happen on that thread, too, so that they overlap with what PostgreSQL does.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::cell::{Cell, hex};
use super::layout::TargetRow;
use super::mapping::Mapped;
use super::row::{Columns, Digest, Key, Row, Table};
use super::{MigrateError, content, summaries};
use crate::dashboard;

/// Bytes of cells in a batch (one row more may exceed it).
const BATCH_BYTES: usize = 3 * 1024 * 1024;
/// Batches read ahead.
const AHEAD: usize = 1;

/// A library to copy from: its tables in the order to copy them, all of one moment.
pub(super) struct Source {
    pub(super) tables: Vec<(Table, Batches)>,
}

/// A table's rows in the order of their row numbers; none if there is no such table.
pub(super) type Batches = Receiver<Result<Batch, MigrateError>>;

type Sink = Sender<Result<Batch, MigrateError>>;

/// Rows that are stored together.
pub(super) struct Batch {
    pub(super) rows: Vec<Sourced>,
    pub(super) refused: Vec<Refused>,
    /// Rows of the whole table, so that progress can be told.
    pub(super) of: u64,
}

/// A row that a target row can be made of.
pub(super) struct Sourced {
    pub(super) row: Row,
    pub(super) key: Key,
    pub(super) digest: Digest,
    pub(super) target: TargetRow,
    /// Whether something had to be repaired for the target row.
    pub(super) repaired: bool,
    /// Its name in quarantine, should it be refused.
    pub(super) name: String,
    /// Its place among the rows read: of two rows that want one value the first gets it.
    pub(super) nth: i64,
    /// Whether an earlier record has its video.
    pub(super) shared: bool,
}

/// A row that no target row can be made of.
pub(super) struct Refused {
    pub(super) row: Row,
    pub(super) name: String,
    pub(super) reason: &'static str,
}

/// A table of the library as it is.
pub(crate) struct Shape {
    pub(crate) columns: Arc<Columns>,
    /// What the row number is called; a column may have taken one of its names.
    pub(crate) number: &'static str,
    /// Row numbers of rows whose key an earlier row has.
    pub(crate) again: HashSet<i64>,
}

struct Reader<'a> {
    connection: &'a Connection,
    batch_rows: usize,
}

// === impl Source ===

impl Source {
    /// Opens the library and begins to read the tables wanted.
    pub(super) fn open(path: &Path, wanted: &[Table], batch_rows: usize) -> Result<Self, MigrateError> {
        let connection = dashboard::read_only(path).map_err(|error| MigrateError(error.0))?;
        let (mut sinks, mut tables) = (Vec::new(), Vec::new());
        for table in Table::ALL.into_iter().filter(|table| wanted.contains(table)) {
            let (sink, batches) = channel(AHEAD);
            sinks.push((table, sink));
            tables.push((table, batches));
        }
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || {
            let reader = Reader { connection: &connection, batch_rows };
            read_tables(&connection, &path, sinks, |table, sink| reader.stream(table, sink));
        });
        Ok(Self { tables })
    }
}

/// Reads tables one after the other, all as of one moment: a summary that was written after its record was passed by would
/// look like an orphan. What fails is told in the place of the rows.
pub(crate) fn read_tables<T>(
    connection: &Connection,
    path: &Path,
    sinks: Vec<(Table, Sender<Result<T, MigrateError>>)>,
    stream: impl Fn(Table, &Sender<Result<T, MigrateError>>) -> rusqlite::Result<()>,
) {
    let moment = connection.unchecked_transaction();
    let mut failed = moment.as_ref().err().map(ToString::to_string);
    for (table, sink) in sinks {
        let failure = failed.take().or_else(|| stream(table, &sink).err().map(|error| error.to_string()));
        if let Some(error) = failure {
            // If nobody receives any more, nobody asks why.
            let _ = sink.blocking_send(Err(unreadable(table, path, &error)));
            return;
        }
    }
}

/// Says that a table cannot be read.
pub(crate) fn unreadable(table: Table, path: &Path, error: &dyn std::fmt::Display) -> MigrateError {
    MigrateError(format!(
        "Table {} of the SQLite library {} cannot be read ({error}); check it with `PRAGMA integrity_check`.",
        table.name(),
        path.display()
    ))
}

// === impl Reader ===

impl Reader<'_> {
    fn stream(&self, table: Table, sink: &Sink) -> rusqlite::Result<()> {
        let Some(shape) = Shape::of(self.connection, table)? else { return Ok(()) };
        let of = self
            .connection
            .query_row(&format!("SELECT count(*) FROM {}", table.name()), [], |row| row.get(0));
        let of = u64::try_from(of.unwrap_or(0_i64)).unwrap_or(0);
        let sql = format!("{} ORDER BY s.{}", shape.select(table), shape.number);
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        let shared = shape.sharing(self.connection, table)?;
        let (mut batch, mut bytes) = (Batch::new(of), 0);
        while let Some(row) = rows.next()? {
            let (number, row) = shape.row(row)?;
            bytes += row.size();
            batch.add(table, row, number, shape.again.contains(&number), shared.contains(&number));
            if batch.len() >= self.batch_rows || bytes >= BATCH_BYTES {
                bytes = 0;
                if sink.blocking_send(Ok(std::mem::replace(&mut batch, Batch::new(of)))).is_err() {
                    return Ok(());
                }
            }
        }
        if batch.len() > 0 {
            // As above: without a receiver there is nothing left to do.
            let _ = sink.blocking_send(Ok(batch));
        }
        Ok(())
    }
}

// === impl Batch ===

impl Batch {
    fn new(of: u64) -> Self {
        Self { rows: Vec::new(), refused: Vec::new(), of }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len() + self.refused.len()
    }

    fn add(&mut self, table: Table, row: Row, number: i64, again: bool, shared: bool) {
        let name = name(table, &row, number, again);
        let key = if again { Err("an earlier row has the same key") } else { row.key(table) };
        match key {
            Ok(key) => self.rows.push(Sourced::new(table, row, key, name, number, shared)),
            Err(reason) => self.refused.push(Refused { row, name, reason }),
        }
    }
}

/// What quarantine calls the row: its key where that names no other row, else `rowid:N:DIGEST`, since another library
/// may number its rows alike.
pub(crate) fn name(table: Table, row: &Row, number: i64, again: bool) -> String {
    let ambiguous =
        |key: &Key| key.record.starts_with("rowid:") || (key.revision > 0 && key.record.contains(' '));
    match row.key(table) {
        Ok(key) if !again && !ambiguous(&key) => key.to_string(),
        Ok(_) | Err(_) => {
            let digest = hex(&row.digest(table).0);
            format!("rowid:{number}:{}", digest.get(..12).unwrap_or_default())
        }
    }
}

// === impl Sourced ===

impl Sourced {
    fn new(table: Table, row: Row, key: Key, name: String, nth: i64, shared: bool) -> Self {
        let digest = row.digest(table);
        let mapped = map(table, &row, &key, &digest);
        Self {
            row,
            key,
            digest,
            target: mapped.target,
            repaired: !mapped.repairs.is_empty(),
            name,
            nth,
            shared,
        }
    }
}

/// The target row that a row stands for; a summary's is without its record.
pub(super) fn map(table: Table, row: &Row, key: &Key, digest: &Digest) -> Mapped {
    match table {
        Table::Content => content::map(row, &key.record, digest),
        Table::Legacy => summaries::legacy(row, digest),
        Table::Variants => summaries::variant(row, key, digest),
    }
}

// === impl Shape ===

impl Shape {
    /// The table's shape; `None` if there is no such table.
    pub(crate) fn of(connection: &Connection, table: Table) -> rusqlite::Result<Option<Self>> {
        let names = columns(connection, table)?;
        if names.is_empty() {
            return Ok(None);
        }
        let taken = |name: &&str| !names.iter().any(|column| column == name);
        let number = ["rowid", "_rowid_", "oid"].into_iter().find(taken).unwrap_or("rowid");
        let again = repeated(connection, table, &names, number)?;
        Ok(Some(Self { columns: Columns::new(names), number, again }))
    }

    /// Row numbers of records whose video an earlier record has.
    fn sharing(&self, connection: &Connection, table: Table) -> rusqlite::Result<HashSet<i64>> {
        if table != Table::Content || !self.columns.has("video_id") {
            return Ok(HashSet::new());
        }
        let sql = format!(
            "SELECT number FROM (SELECT {0} AS number, row_number() OVER (PARTITION BY video_id COLLATE BINARY ORDER BY {0}) AS nth \
             FROM content WHERE typeof(video_id) = 'text' AND video_id <> '') WHERE nth > 1",
            self.number
        );
        let mut statement = connection.prepare(&sql)?;
        let numbers = statement.query_map([], |row| row.get(0))?;
        numbers.collect()
    }

    /// `SELECT number, columns FROM table s`.
    pub(crate) fn select(&self, table: Table) -> String {
        let columns: Vec<String> =
            self.columns.names().iter().map(|name| format!("s.{}", quoted(name))).collect();
        format!("SELECT s.{}, {} FROM {} s", self.number, columns.join(", "), table.name())
    }

    /// The first row with this key, and its number.
    pub(crate) fn find(
        &self,
        connection: &Connection,
        table: Table,
        key: &Key,
    ) -> rusqlite::Result<Option<(i64, Row)>> {
        if !table.key_columns().iter().all(|column| self.columns.has(column)) {
            return Ok(None);
        }
        let condition = match table {
            Table::Content => "s.id = ?1 COLLATE BINARY",
            Table::Legacy => "s.content_id = ?1 COLLATE BINARY",
            Table::Variants => {
                "s.video_id = ?1 COLLATE BINARY AND s.variant_type = ?2 COLLATE BINARY \
                 AND CAST(s.revision AS INTEGER) = ?3"
            }
        };
        let sql = format!("{} WHERE {condition} ORDER BY s.{} LIMIT 1", self.select(table), self.number);
        let mut statement = connection.prepare_cached(&sql)?;
        match table {
            Table::Content | Table::Legacy => statement.query_row([&key.record], |row| self.row(row)),
            Table::Variants => {
                statement.query_row((&key.record, &key.variant, key.revision), |row| self.row(row))
            }
        }
        .optional()
    }

    /// A row that [`Shape::select`] found, with its number.
    pub(crate) fn row(&self, row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, Row)> {
        let mut cells = Vec::with_capacity(self.columns.names().len());
        for position in 0..self.columns.names().len() {
            cells.push(Cell::from(row.get_ref(position + 1)?));
        }
        Ok((row.get(0)?, Row::new(Arc::clone(&self.columns), cells)))
    }
}

/// A name as SQL takes it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn columns(connection: &Connection, table: Table) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT lower(name) FROM pragma_table_info(?1)")?;
    let names = statement.query_map([table.name()], |row| row.get(0))?;
    names.collect()
}

/// Numbers of the rows whose key an earlier row has: libraries without their constraints may hold such rows.
fn repeated(
    connection: &Connection,
    table: Table,
    names: &[String],
    number: &str,
) -> rusqlite::Result<HashSet<i64>> {
    let keys = table.key_columns();
    if !keys.iter().all(|key| names.iter().any(|name| name == key)) || unique(connection, table)? {
        return Ok(HashSet::new());
    }
    // As a key is read: a revision of 2.5 is one of 2.
    let parts = match table {
        Table::Content => "id COLLATE BINARY",
        Table::Legacy => "content_id COLLATE BINARY",
        Table::Variants => "video_id COLLATE BINARY, variant_type COLLATE BINARY, CAST(revision AS INTEGER)",
    };
    let (first, name) = (keys.first().copied().unwrap_or_default(), table.name());
    let sql = format!(
        "SELECT number FROM (SELECT {number} AS number, row_number() OVER (PARTITION BY {parts} ORDER BY {number}) AS nth \
         FROM {name} WHERE typeof({first}) = 'text') WHERE nth > 1"
    );
    let mut statement = connection.prepare(&sql)?;
    let numbers = statement.query_map([], |row| row.get(0))?;
    numbers.collect()
}

/// Whether the table's own constraints keep its keys apart.
fn unique(connection: &Connection, table: Table) -> rusqlite::Result<bool> {
    let [key] = table.key_columns() else { return Ok(false) };
    let sql = "SELECT count(*) FROM pragma_index_list(?1) l WHERE l.\"unique\" AND NOT l.partial AND \
               (SELECT group_concat(lower(i.name)) FROM pragma_index_info(l.name) i) = ?2";
    connection.query_row(sql, [table.name(), key], |row| row.get::<_, i64>(0)).map(|count| count > 0)
}
