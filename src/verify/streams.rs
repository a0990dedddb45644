//! Both sides as streams of rows in key order, each as of one moment.

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::Sides;
use crate::dashboard;
use crate::migrate::MigrateError;
use crate::migrate::judge::curated;
use crate::migrate::row::{Digest, Key, Row, Table};
use crate::migrate::source::{Shape, name, read_tables};
use crate::migrate::tombstones::written;

/// Rows handed over at once, and batches read ahead.
const BATCH: usize = 500;
const AHEAD: usize = 2;

/// A row of the SQLite library, as far as the comparison goes.
pub(super) struct Seen {
    /// Its key; none if it has none that PostgreSQL can know.
    pub(super) key: Option<Key>,
    pub(super) digest: Digest,
    /// What quarantine calls it.
    pub(super) name: String,
    /// Of records: the video, and when they say they were written.
    pub(super) video_id: Option<String>,
    pub(super) written: Option<i64>,
    /// Whether it has curated subcategories.
    pub(super) curated: bool,
}

pub(super) type Batches = Receiver<Result<Vec<Seen>, MigrateError>>;

type Sink = Sender<Result<Vec<Seen>, MigrateError>>;

/// Rows of one table, one after the other.
pub(super) struct Rows {
    batches: Batches,
    batch: std::vec::IntoIter<Seen>,
}

/// Begins to read the library's tables; they must be read in order.
pub(super) fn sqlite(sides: &Sides) -> Result<Vec<(Table, Rows)>, MigrateError> {
    let connection = dashboard::read_only(&sides.sqlite).map_err(|error| MigrateError(error.0))?;
    let (mut sinks, mut tables) = (Vec::new(), Vec::new());
    for table in Table::ALL {
        let (sink, batches) = channel(AHEAD);
        sinks.push((table, sink));
        tables.push((table, Rows { batches, batch: Vec::new().into_iter() }));
    }
    let path = sides.sqlite.clone();
    tokio::task::spawn_blocking(move || {
        read_tables(&connection, &path, sinks, |table, sink| stream(&connection, table, sink));
    });
    Ok(tables)
}

fn stream(connection: &Connection, table: Table, sink: &Sink) -> rusqlite::Result<()> {
    let Some(shape) = Shape::of(connection, table)? else { return Ok(()) };
    let order = order(connection, table, &shape)?;
    // Numbers in the order of the keys, from the keys' index or a sorter that holds nothing else; then row by row.
    let sql = format!("SELECT k.{0} FROM {1} k ORDER BY {order}k.{0}", shape.number, table.name());
    let mut numbers = connection.prepare(&sql)?;
    let mut whole = connection.prepare(&format!("{} WHERE s.{} = ?1", shape.select(table), shape.number))?;
    let mut rows = numbers.query([])?;
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(0)?;
        let (_, row) = whole.query_row([number], |row| shape.row(row))?;
        batch.push(Seen::new(table, &row, number, shape.again.contains(&number)));
        if batch.len() == BATCH && sink.blocking_send(Ok(std::mem::take(&mut batch))).is_err() {
            return Ok(());
        }
    }
    // As above: without a receiver there is nothing left to do.
    let _ = sink.blocking_send(Ok(batch));
    Ok(())
}

/// The keys as they are read, in the order PostgreSQL has them: by the bytes of UTF-8. '2' and 2.5 are revision 2.
fn order(connection: &Connection, table: Table, shape: &Shape) -> rusqlite::Result<String> {
    let keys = table.key_columns();
    if !keys.iter().all(|key| shape.columns.has(key)) {
        return Ok(String::new());
    }
    let encoding: String = connection.query_row("PRAGMA encoding", [], |row| row.get(0))?;
    let utf8 = encoding == "UTF-8";
    if !utf8 {
        // A library in UTF-16 is ordered by that, and has no index that would help.
        let flags = FunctionFlags::SQLITE_UTF8
            | FunctionFlags::SQLITE_DETERMINISTIC
            | FunctionFlags::SQLITE_DIRECTONLY;
        connection.create_scalar_function("utf8", 1, flags, |context| {
            Ok(context.get_raw(0).as_bytes_or_null().ok().flatten().map(<[u8]>::to_vec))
        })?;
    }
    let key = |name: &&str| match (*name, utf8) {
        ("revision", _) => "CAST(k.revision AS INTEGER), ".to_owned(),
        (name, true) => format!("k.{name} COLLATE BINARY, "),
        (name, false) => format!("utf8(k.{name}), "),
    };
    Ok(keys.iter().map(key).collect())
}

// === impl Seen ===

impl Seen {
    fn new(table: Table, row: &Row, number: i64, again: bool) -> Self {
        let of_content = table == Table::Content;
        Self {
            key: row.key(table).ok().filter(|_| !again),
            digest: row.digest(table),
            name: name(table, row, number, again),
            video_id: row
                .cell("video_id")
                .clean_text()
                .filter(|text| of_content && !text.is_empty())
                .map(str::to_owned),
            written: if of_content { written(row) } else { None },
            curated: of_content && curated(row),
        }
    }
}

// === impl Rows ===

impl Rows {
    /// The next row; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Seen>, MigrateError> {
        loop {
            if let Some(row) = self.batch.next() {
                return Ok(Some(row));
            }
            match self.batches.recv().await {
                Some(batch) => self.batch = batch?.into_iter(),
                None => return Ok(None),
            }
        }
    }
}
