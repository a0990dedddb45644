//! What differed, read again by key until two readings agree: both sides may be written to meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::Sides;
use super::report::{Change, Difference, Verification, shortened};
use crate::dashboard;
use crate::migrate::MigrateError;
use crate::migrate::row::{Digest, Key, Row, Table};
use crate::migrate::source::Shape;
use crate::migrate::stored;
use crate::migrate::tombstones::{self, Fate, Record, written};

/// Between two readings: longer than a write to both stores takes.
const BETWEEN: Duration = Duration::from_millis(250);
/// Readings of a row that keeps changing.
const READINGS: u32 = 8;

/// A row that was not the same on both sides.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) table: Table,
    pub(super) what: What,
    pub(super) key: Key,
    /// Whether curated subcategories were there in SQLite only.
    pub(super) lost: bool,
}

/// How the sides differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// In SQLite only.
    Missing,
    /// In PostgreSQL only.
    Additional,
    /// On both sides, but not the same.
    Differing,
}

/// A row on both sides, as one reading found it.
struct Pair {
    sqlite: Option<Row>,
    postgres: Option<Row>,
}

type Digests = (Option<Digest>, Option<Digest>);

/// Reads the candidates again; what still differs goes into the verification, what does not out of its counts.
pub(super) async fn all(
    sides: &Sides,
    mut candidates: Vec<Candidate>,
    verification: &mut Verification,
) -> Result<(), MigrateError> {
    if candidates.is_empty() {
        return Ok(());
    }
    let mut connection = sides.postgres.connect_one().await.map_err(MigrateError)?;
    let mut before: HashMap<(&'static str, Key), Digests> = HashMap::new();
    for reading in 1..=READINGS {
        let mut unsettled = Vec::new();
        for (table, some) in by_table(candidates) {
            let pairs = read(sides, &mut connection, table, &some).await?;
            for (candidate, pair) in some.into_iter().zip(pairs) {
                let digests = pair.digests(table);
                let last = before.insert((table.name(), candidate.key.clone()), digests);
                if digests.0 == digests.1 {
                    verification.settled(&candidate, digests.0.is_none());
                } else if pair.what() == What::Missing
                    && deleted(sides, &mut connection, &candidate, &pair).await?
                {
                    verification.deleted(&candidate);
                } else if last == Some(digests) || reading == READINGS {
                    verification.confirmed(&candidate, pair.what(), pair.changes(table));
                } else {
                    unsettled.push(candidate);
                }
            }
        }
        if unsettled.is_empty() {
            break;
        }
        candidates = unsettled;
        tokio::time::sleep(BETWEEN).await;
    }
    // What was read is read, however the goodbye goes.
    let _ = connection.close().await;
    Ok(())
}

/// Whether a row is missing since its record was deleted meanwhile.
async fn deleted(
    sides: &Sides,
    connection: &mut PgConnection,
    candidate: &Candidate,
    pair: &Pair,
) -> Result<bool, MigrateError> {
    let (table, name) = (candidate.table, &candidate.key.record);
    let video = pair.sqlite.as_ref().and_then(|row| row.cell("video_id").clean_text());
    let record = Record::new(table, name, video);
    let buried = tombstones::buried(connection, &[record]).await.map_err(|error| sides.failed(&error))?;
    Ok(buried.fate(table, name, pair.sqlite.as_ref().and_then(written)) == Fate::Deleted)
}

fn by_table(candidates: Vec<Candidate>) -> Vec<(Table, Vec<Candidate>)> {
    let mut tables: Vec<(Table, Vec<Candidate>)> = Table::ALL.map(|table| (table, Vec::new())).into();
    for candidate in candidates {
        if let Some((_, some)) = tables.iter_mut().find(|(table, _)| *table == candidate.table) {
            some.push(candidate);
        }
    }
    tables.retain(|(_, some)| !some.is_empty());
    tables
}

/// One reading of both sides, in the order of the candidates.
async fn read(
    sides: &Sides,
    connection: &mut PgConnection,
    table: Table,
    candidates: &[Candidate],
) -> Result<Vec<Pair>, MigrateError> {
    let keys: Vec<Key> = candidates.iter().map(|candidate| candidate.key.clone()).collect();
    let wanted: Vec<&Key> = keys.iter().collect();
    let there = stored::find(connection, table, &wanted, false).await;
    let mut there = there.map_err(|error| sides.failed(&error))?;
    let path = sides.sqlite.clone();
    let wanted = keys.clone();
    let here = tokio::task::spawn_blocking(move || sqlite(&path, table, &wanted)).await;
    let here = match here {
        Ok(rows) => rows?,
        Err(error) => return Err(sides.unreadable(table, &error)),
    };
    let pairs = keys
        .iter()
        .zip(here)
        .map(|(key, sqlite)| Pair { sqlite, postgres: there.remove(key).map(|stored| stored.row) });
    Ok(pairs.collect())
}

fn sqlite(path: &Path, table: Table, keys: &[Key]) -> Result<Vec<Option<Row>>, MigrateError> {
    let connection: Connection = dashboard::read_only(path).map_err(|error| MigrateError(error.0))?;
    let read = || -> rusqlite::Result<Vec<Option<Row>>> {
        let Some(shape) = Shape::of(&connection, table)? else { return Ok(vec![None; keys.len()]) };
        let rows =
            keys.iter().map(|key| shape.find(&connection, table, key).map(|row| row.map(|(_, row)| row)));
        rows.collect()
    };
    read().map_err(|error| crate::migrate::source::unreadable(table, path, &error))
}

// === impl Pair ===

impl Pair {
    fn digests(&self, table: Table) -> Digests {
        let digest = |row: &Option<Row>| row.as_ref().map(|row| row.digest(table));
        (digest(&self.sqlite), digest(&self.postgres))
    }

    fn what(&self) -> What {
        match (&self.sqlite, &self.postgres) {
            (Some(_), None) => What::Missing,
            (None, _) => What::Additional,
            (Some(_), Some(_)) => What::Differing,
        }
    }

    /// The columns that differ, with both values; not the one that only numbers.
    fn changes(&self, table: Table) -> Vec<Change> {
        let (Some(sqlite), Some(postgres)) = (&self.sqlite, &self.postgres) else { return Vec::new() };
        let mut columns: BTreeMap<&str, (String, String)> = BTreeMap::new();
        for (name, _) in sqlite.cells().chain(postgres.cells()) {
            let (here, there) = (sqlite.cell(name), postgres.cell(name));
            if here != there && table.number_column() != Some(name) {
                columns.insert(
                    name,
                    (shortened(&here.exact().to_string()), shortened(&there.exact().to_string())),
                );
            }
        }
        let change =
            |(column, (sqlite, postgres)): (&str, _)| Change { column: column.to_owned(), sqlite, postgres };
        columns.into_iter().map(change).collect()
    }
}

impl Difference {
    pub(super) fn new(candidate: &Candidate, what: What, changes: Vec<Change>) -> Self {
        let what = match what {
            What::Missing => "missing",
            What::Additional => "additional",
            What::Differing => "differing",
        };
        Self { table: candidate.table.name().to_owned(), row: candidate.key.to_string(), what, changes }
    }
}
