//! The one connection that writes to a SQLite library, and what a write does on it.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::dashboard::sqlite::{Identity, read_only};
use crate::dashboard::write::apply::micros;
use crate::dashboard::write::record::spelt;
use crate::dashboard::write::session::{Failure, Found, Named, Remembered, Revisions, Session, Tombstone};
use crate::dashboard::write::{Fate, Made, Stamp};
use crate::migrate::back::shapes::{Shapes, connect};
use crate::migrate::cell::Cell;
use crate::migrate::row::{Key, Row, Table};

/// How long a write waits for another program's.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Ids forgotten at once.
const MOST_FORGOTTEN: usize = 1000;

/// The tables of flipgate's own in a library that it writes to.
const OWN: &str = "
    CREATE TABLE IF NOT EXISTS flipgate_writes (
        id TEXT PRIMARY KEY, at TEXT NOT NULL, status INTEGER NOT NULL, effect TEXT, answer TEXT NOT NULL DEFAULT '');
    CREATE INDEX IF NOT EXISTS flipgate_writes_at ON flipgate_writes (at);
    CREATE TABLE IF NOT EXISTS flipgate_tombstones (
        id TEXT PRIMARY KEY, video_id TEXT, deleted_at TEXT NOT NULL, deleted_by TEXT NOT NULL,
        named INTEGER NOT NULL DEFAULT 0);
    CREATE INDEX IF NOT EXISTS flipgate_tombstones_video_id ON flipgate_tombstones (video_id)";

/// An open library.
pub(super) struct Open {
    connection: Connection,
    shapes: Shapes,
    /// Of which the shapes are.
    schema_version: Option<i64>,
    identity: Identity,
}

// === impl Open ===

impl Open {
    /// Opens the library at `path`; an error is a whole sentence.
    pub(super) fn new(path: &Path) -> Result<Self, String> {
        // Before opening: should the file be replaced in between, the next write notices.
        let identity = Identity::of(path).map_err(|failure| failure.0)?;
        drop(read_only(path).map_err(|failure| failure.0)?);
        let connection = connect(path, BUSY_TIMEOUT).and_then(|connection| {
            connection.pragma_update(None, "synchronous", "FULL")?;
            Ok(connection)
        });
        let connection = connection.map_err(|error| super::explain(path, &error))?;
        Ok(Self { connection, shapes: Shapes::default(), schema_version: None, identity })
    }

    /// Whether `path` still leads to this file.
    pub(super) fn is_of(&self, path: &Path) -> bool {
        Identity::of(path).is_ok_and(|identity| identity == self.identity)
    }

    /// Begins a transaction in which everything that a write needs is there.
    pub(super) fn begin(&mut self) -> rusqlite::Result<()> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        // The file may have been restored over, or altered by another program.
        self.connection.execute_batch(OWN)?;
        let version = self.connection.query_row("PRAGMA schema_version", [], |row| row.get(0))?;
        if self.schema_version != Some(version) {
            self.shapes.clear();
            self.schema_version = Some(version);
        }
        self.shapes.look(&self.connection)
    }

    /// Does `work`, or takes all of it back.
    pub(super) fn within<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.connection.execute_batch("SAVEPOINT one")?;
        match work(self) {
            Ok(done) => {
                self.connection.execute_batch("RELEASE one")?;
                Ok(done)
            }
            Err(failure) => {
                let is_back =
                    self.is_over() || self.connection.execute_batch("ROLLBACK TO one; RELEASE one").is_ok();
                // What was added to the schema is gone again.
                self.shapes.clear();
                if !(is_back && self.shapes.look(&self.connection).is_ok()) {
                    // Half of a write must not be committed with others: all of them go.
                    self.roll_back();
                }
                Err(failure)
            }
        }
    }

    /// Whether there is no transaction any more.
    pub(super) fn is_over(&self) -> bool {
        self.connection.is_autocommit()
    }

    pub(super) fn commit(&self) -> rusqlite::Result<()> {
        self.connection.execute_batch("COMMIT")
    }

    /// Takes the transaction back; whether that is certain.
    pub(super) fn roll_back(&self) -> bool {
        self.connection.execute_batch("ROLLBACK").is_ok()
    }

    /// What became of a write; one that was not applied never will be.
    pub(super) fn settle(&self, id: &str) -> Result<Fate, Failure> {
        let now = spelt(Utc::now());
        let sql = "INSERT OR IGNORE INTO flipgate_writes (id, at, status) VALUES (?1, ?2, 0)";
        self.connection.prepare_cached(sql)?.execute([id, &now])?;
        let remembered = self.remembered(id)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        Ok(remembered.fate())
    }

    /// Forgets ids of writes before `since`; those that stay are forgotten another time.
    pub(super) fn forget(&self, since: Option<DateTime<Utc>>) {
        let Some(since) = since else { return };
        let sql = format!(
            "DELETE FROM flipgate_writes WHERE id IN (SELECT id FROM flipgate_writes WHERE at < ?1 LIMIT {MOST_FORGOTTEN})"
        );
        if let Err(error) = self.connection.execute(&sql, [spelt(since)]) {
            tracing::warn!(%error, "ids of former writes could not be forgotten");
        }
    }

    fn remembered(&self, id: &str) -> rusqlite::Result<Option<Remembered>> {
        let sql = "SELECT status, effect, answer FROM flipgate_writes WHERE id = ?1";
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Remembered { status: row.get(0)?, effect: row.get(1)?, answer: row.get(2)? })
        };
        self.connection.prepare_cached(sql)?.query_row([id], read).optional()
    }

    fn find(&self, table: Table, id: &str) -> Result<Option<Found<i64>>, Failure> {
        let Some(shape) = self.shapes.get(table) else { return Ok(None) };
        let found = shape.find(&self.connection, table, &Key::of(id.to_owned()))?;
        Ok(found.map(|(place, row)| Found { row, place }))
    }

    /// Rows that meet a condition on these values, in the order of their numbers.
    fn select(&self, table: Table, condition: &str, values: &[&str]) -> rusqlite::Result<Vec<(i64, Row)>> {
        let Some(shape) = self.shapes.get(table) else { return Ok(Vec::new()) };
        let sql = format!("{} WHERE {condition} ORDER BY s.{}", shape.select(table), shape.number);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(rusqlite::params_from_iter(values), |row| shape.row(row))?;
        rows.collect()
    }

    fn has(&self, table: Table, columns: &[&str]) -> bool {
        self.shapes.get(table).is_some_and(|shape| columns.iter().all(|column| shape.columns.has(column)))
    }
}

impl Session for Open {
    type Place = i64;

    const HAS_ORPHANS: bool = true;

    async fn claim(&mut self, stamp: &Stamp) -> Result<Option<Remembered>, Failure> {
        let sql = "INSERT OR IGNORE INTO flipgate_writes (id, at, status) VALUES (?1, ?2, -1)";
        let inserted = self.connection.prepare_cached(sql)?.execute([&stamp.id, &spelt(stamp.at)])?;
        if inserted == 1 { Ok(None) } else { Ok(self.remembered(&stamp.id)?) }
    }

    async fn remember(&mut self, stamp: &Stamp, made: &Made) -> Result<(), Failure> {
        let sql = "UPDATE flipgate_writes SET status = ?2, effect = ?3, answer = ?4 WHERE id = ?1";
        let values = params![stamp.id, made.status.as_u16(), made.effect, made.answer];
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    async fn lock(&mut self, _name: &str) -> Result<(), Failure> {
        // There is one writer, and the file is its own until the transaction's end.
        Ok(())
    }

    async fn by_id(&mut self, id: &str) -> Result<Option<Found<i64>>, Failure> {
        self.find(Table::Content, id)
    }

    async fn by_video(&mut self, video_id: &str) -> Result<Option<Found<i64>>, Failure> {
        if !self.has(Table::Content, &["id", "video_id"]) {
            return Ok(None);
        }
        let condition = "s.video_id = ?1 COLLATE BINARY AND typeof(s.video_id) = 'text'";
        // One whose id no other store can hold is not in the other store either.
        let rows = self.select(Table::Content, condition, &[video_id])?;
        let first = rows.into_iter().find(|(_, row)| row.key(Table::Content).is_ok());
        Ok(first.map(|(place, row)| Found { row, place }))
    }

    async fn legacy(&mut self, id: &str) -> Result<Option<Found<i64>>, Failure> {
        self.find(Table::Legacy, id)
    }

    async fn revisions(&mut self, video_id: &str, variant: &str) -> Result<Revisions<i64>, Failure> {
        if !self.has(Table::Variants, Table::Variants.key_columns()) {
            return Ok(Vec::new());
        }
        let condition = "s.video_id = ?1 COLLATE BINARY AND s.variant_type = ?2 COLLATE BINARY";
        let rows = self.select(Table::Variants, condition, &[video_id, variant])?;
        let numbered = |(place, row): (i64, Row)| {
            let number = row.key(Table::Variants).ok()?.revision;
            Some((number, Found { row, place }))
        };
        let mut revisions: Revisions<i64> = rows.into_iter().filter_map(numbered).collect();
        // The sort keeps the order of rows with one number, of which the first counts.
        revisions.sort_by_key(|(number, _)| *number);
        revisions.dedup_by_key(|(number, _)| *number);
        Ok(revisions)
    }

    async fn insert(&mut self, table: Table, row: &Row) -> Result<(), Failure> {
        self.shapes.fit(&self.connection, table, row)?;
        let shape = self.shapes.get(table).ok_or(rusqlite::Error::InvalidQuery)?;
        Ok(shape.insert(&self.connection, table, row)?)
    }

    async fn update(&mut self, table: Table, place: i64, row: &Row) -> Result<(), Failure> {
        self.shapes.fit(&self.connection, table, row)?;
        let shape = self.shapes.get(table).ok_or(rusqlite::Error::InvalidQuery)?;
        Ok(shape.update(&self.connection, table, place, row)?)
    }

    async fn named(&mut self, ids: &[String], video_ids: &[String]) -> Result<Vec<Named<i64>>, Failure> {
        let mut found: Vec<Named<i64>> = Vec::new();
        for (column, names) in [("id", ids), ("video_id", video_ids)] {
            if !self.has(Table::Content, &[column]) {
                continue;
            }
            let condition = format!("s.{column} = ?1 COLLATE BINARY AND typeof(s.{column}) = 'text'");
            for name in names {
                for (place, row) in self.select(Table::Content, &condition, &[name])? {
                    if !found.iter().any(|known| known.place == place) {
                        let text = |column| row.cell(column).clean_text().map(str::to_owned);
                        found.push(Named {
                            id: text("id").unwrap_or_default(),
                            video_id: text("video_id").filter(|video_id| !video_id.is_empty()),
                            place,
                        });
                    }
                }
            }
        }
        Ok(found)
    }

    async fn delete(&mut self, records: &[Named<i64>]) -> Result<(), Failure> {
        for record in records {
            let video_id = record.video_id.as_deref();
            self.shapes.delete(&self.connection, record.place, &record.id, video_id)?;
        }
        Ok(())
    }

    async fn tombstones(&mut self, id: &str, video_id: &str) -> Result<Vec<Tombstone>, Failure> {
        let sql =
            "SELECT id, video_id, deleted_at, named FROM flipgate_tombstones WHERE id = ?1 OR video_id = ?2";
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Tombstone {
                id: row.get(0)?,
                video_id: row.get(1)?,
                // One whose time cannot be read holds.
                deleted_at: Cell::from(row.get_ref(2)?)
                    .plain()
                    .as_deref()
                    .and_then(micros)
                    .unwrap_or(i64::MAX),
                named: row.get(3)?,
            })
        };
        let mut statement = self.connection.prepare_cached(sql)?;
        let stones = statement.query_map([id, video_id], read)?;
        Ok(stones.collect::<rusqlite::Result<_>>()?)
    }

    async fn clear(&mut self, stones: &[Tombstone]) -> Result<(), Failure> {
        for stone in stones {
            let sql = "DELETE FROM flipgate_tombstones WHERE id = ?1";
            self.connection.prepare_cached(sql)?.execute([&stone.id])?;
        }
        Ok(())
    }

    async fn bury(&mut self, stones: &[Tombstone], by: &str) -> Result<(), Failure> {
        let sql = "INSERT INTO flipgate_tombstones (id, video_id, deleted_at, deleted_by, named) \
            VALUES (?1, ?2, ?3, ?4, ?5) \
            ON CONFLICT (id) DO UPDATE SET deleted_at = excluded.deleted_at, deleted_by = excluded.deleted_by, \
                video_id = CASE WHEN excluded.named THEN coalesce(video_id, excluded.video_id) \
                    ELSE excluded.video_id END, \
                named = excluded.named AND named";
        for stone in stones {
            let at = DateTime::from_timestamp_micros(stone.deleted_at).map(spelt);
            let values = params![stone.id, stone.video_id, at, by, stone.named];
            self.connection.prepare_cached(sql)?.execute(values)?;
        }
        Ok(())
    }
}
