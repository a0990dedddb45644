//! The first reading: both streams side by side.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;
use serde_json::Value;
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor as _};

use super::report::{Note, TableCounts, Verification};
use super::settle::{Candidate, What};
use super::streams::{self, Rows, Seen};
use super::{LISTED, Sides};
use crate::migrate::MigrateError;
use crate::migrate::back::whole;
use crate::migrate::judge::curated;
use crate::migrate::row::{Key, Row, Table};
use crate::migrate::stored::{self, Stored};
use crate::migrate::tombstones::{self, Buried, DeletedByName, Fate, Record};
use crate::pg::constant_sql;

/// Rows of SQLite alone that are looked up at once in quarantine and among the deleted.
const LOOKED_UP: usize = 500;

/// One table under way.
struct Merging<'a> {
    sides: &'a Sides,
    table: Table,
    /// Looks things up while the other connection streams.
    lookup: &'a mut PgConnection,
    verification: &'a mut Verification,
    candidates: &'a mut Vec<Candidate>,
    counts: TableCounts,
    /// Rows of SQLite that PostgreSQL has not.
    alone: Vec<Seen>,
    deleted_by_name: &'a mut DeletedByName,
}

/// Reads all tables once.
pub(super) async fn tables(
    sides: &Sides,
    verification: &mut Verification,
    candidates: &mut Vec<Candidate>,
) -> Result<(), MigrateError> {
    let sqlite = streams::sqlite(sides)?;
    let mut reader = sides.postgres.connect_one().await.map_err(MigrateError)?;
    reader.execute(sqlx::raw_sql(stored::AS_OF_NOW)).await.map_err(|error| sides.failed(&error))?;
    let mut connection = sides.postgres.connect_one().await.map_err(MigrateError)?;
    let mut deleted_by_name = DeletedByName::default();
    for (table, rows) in sqlite {
        let merging = Merging {
            sides,
            table,
            lookup: &mut connection,
            verification,
            candidates,
            counts: TableCounts { table: table.name().to_owned(), ..TableCounts::default() },
            alone: Vec::new(),
            deleted_by_name: &mut deleted_by_name,
        };
        merging.run(&mut reader, rows).await?;
    }
    // What was read is read, however the goodbye goes.
    let _ = reader.close().await;
    let _ = connection.close().await;
    Ok(())
}

// === impl Merging ===

impl Merging<'_> {
    async fn run(mut self, reader: &mut PgConnection, mut sqlite: Rows) -> Result<(), MigrateError> {
        let (table, sides) = (self.table, self.sides);
        let sql = format!("{} ORDER BY {}", stored::select(table), stored::key_order(table));
        let mut postgres = sqlx::query(constant_sql(sql)).fetch(reader);
        let (mut left, mut right) = (sqlite.next().await?, None);
        let mut ended = false;
        loop {
            if right.is_none() && !ended {
                let row = postgres.try_next().await.map_err(|error| sides.failed(&error))?;
                right = row
                    .map(|row| stored::read(table, &row))
                    .transpose()
                    .map_err(|error| sides.failed(&error))?;
                ended = right.is_none();
            }
            match (left.take(), right.take()) {
                (None, None) => break,
                (Some(seen), there) if seen.key.is_none() => {
                    self.sqlite_alone(seen).await?;
                    (left, right) = (sqlite.next().await?, there);
                }
                (None, Some(there)) => self.postgres_alone(&there),
                (Some(seen), None) => {
                    self.sqlite_alone(seen).await?;
                    left = sqlite.next().await?;
                }
                (Some(seen), Some(there)) => match seen.key.as_ref().cmp(&Some(&there.key)) {
                    std::cmp::Ordering::Less => {
                        self.sqlite_alone(seen).await?;
                        (left, right) = (sqlite.next().await?, Some(there));
                    }
                    std::cmp::Ordering::Greater => {
                        self.postgres_alone(&there);
                        left = Some(seen);
                    }
                    std::cmp::Ordering::Equal => {
                        self.both(&seen, there);
                        left = sqlite.next().await?;
                    }
                },
            }
        }
        drop(postgres);
        self.look_up().await?;
        self.verification.tables.push(self.counts);
        Ok(())
    }

    fn both(&mut self, seen: &Seen, there: Stored) {
        self.counts.sqlite += 1;
        self.counts.postgres += 1;
        let equal = seen.digest == there.digest;
        let curated_there =
            if equal { seen.curated } else { self.table == Table::Content && curated(&there.row) };
        let subcategories = &mut self.verification.subcategories;
        subcategories.sqlite += u64::from(seen.curated);
        subcategories.postgres += u64::from(curated_there);
        subcategories.lost += u64::from(seen.curated && !curated_there);
        if !there.repairs.is_empty() {
            self.counts.repaired += 1;
            self.verification.invalid_json += there
                .repairs
                .iter()
                .filter(|repair| repair.ends_with("is not readable as JSON, kept as text"))
                .count() as u64;
            let notes = &mut self.verification.repaired;
            if notes.len() < LISTED {
                notes.push(Note::new(self.table, &there.key.to_string(), &there.repairs.join("; ")));
            }
        }
        if equal {
            self.counts.equal += 1;
        } else {
            self.counts.differing += 1;
            self.candidate(What::Differing, there.key, seen.curated && !curated_there);
        }
    }

    fn postgres_alone(&mut self, there: &Stored) {
        self.counts.postgres += 1;
        self.counts.additional += 1;
        if self.table == Table::Content && curated(&there.row) {
            self.verification.subcategories.postgres += 1;
        }
        self.candidate(What::Additional, there.key.clone(), false);
    }

    async fn sqlite_alone(&mut self, seen: Seen) -> Result<(), MigrateError> {
        self.counts.sqlite += 1;
        self.verification.subcategories.sqlite += u64::from(seen.curated);
        self.alone.push(seen);
        if self.alone.len() < LOOKED_UP { Ok(()) } else { self.look_up().await }
    }

    /// Accounts for the rows that PostgreSQL has not: in quarantine, deleted, or missing.
    async fn look_up(&mut self) -> Result<(), MigrateError> {
        let alone = std::mem::take(&mut self.alone);
        if alone.is_empty() {
            return Ok(());
        }
        let failed = |error: sqlx::Error| self.sides.failed(&error);
        let quarantined = quarantined(self.lookup, self.table, &alone).await.map_err(failed)?;
        let buried = buried(self.lookup, self.table, &alone).await.map_err(failed)?;
        for seen in alone {
            let kept = quarantined.get(&seen.name).is_some_and(|kept| kept.digest(self.table) == seen.digest);
            let record = seen.key.as_ref().map(|key| key.record.as_str());
            let is_deleted = record.is_some_and(|record| {
                buried.fate(self.table, record, seen.written) == Fate::Deleted
                    || self.deleted_by_name.has(self.table, record)
            });
            if kept {
                self.counts.quarantined += 1;
            } else if is_deleted {
                if let Some(id) = record.filter(|id| self.table == Table::Content && buried.is_by_name(id)) {
                    self.deleted_by_name.note(id, seen.video_id.as_deref());
                }
                self.counts.tombstoned += 1;
                self.verification.subcategories.sqlite -= u64::from(seen.curated);
            } else {
                self.counts.missing += 1;
                self.verification.subcategories.lost += u64::from(seen.curated);
                match seen.key {
                    Some(key) => self.candidate(What::Missing, key, seen.curated),
                    None => self.verification.unaccounted(self.table, &seen.name),
                }
            }
        }
        Ok(())
    }

    fn candidate(&mut self, what: What, key: Key, lost: bool) {
        let same = |candidate: &&Candidate| candidate.table == self.table && candidate.what == what;
        if self.candidates.iter().rev().take(3 * LISTED).filter(same).count() < LISTED {
            self.candidates.push(Candidate { table: self.table, what, key, lost });
        }
    }
}

/// The rows of these names in quarantine.
async fn quarantined(
    connection: &mut PgConnection,
    table: Table,
    rows: &[Seen],
) -> Result<HashMap<String, Row>, sqlx::Error> {
    let sql = "SELECT source_key, source_row FROM migration_quarantine \
               WHERE source_table = $1 AND source_key = ANY($2)";
    let found = sqlx::query_as::<_, (String, Value)>(sql)
        .bind(table.name())
        .bind(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    Ok(found.into_iter().map(|(name, exact)| (name, whole(&exact))).collect())
}

/// What is known of the deletion of these rows' records.
async fn buried(connection: &mut PgConnection, table: Table, rows: &[Seen]) -> Result<Buried, sqlx::Error> {
    let record = |row: &Seen| Some(Record::new(table, &row.key.as_ref()?.record, row.video_id.as_deref()));
    tombstones::buried(connection, &rows.iter().filter_map(record).collect::<Vec<_>>()).await
}
