//! Tombstones as an operator sees them: listed, and cleared so that a record may come back.
//!
//! They are in PostgreSQL, and in a SQLite library that flipgate writes as well. The table there is used if it is there,
//! and never made here: who writes first makes it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _};
use serde::Serialize;
use sqlx::Connection as _;

use crate::dashboard;
use crate::migrate::{MigrateError, instant};
use crate::pg::Target;

/// How long clearing waits for the dashboard's writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const THERE: &str = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'flipgate_tombstones'";

/// A store that keeps tombstones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Keeper {
    Postgres,
    Sqlite,
}

/// One deleted record, or name.
#[derive(Debug, Serialize)]
pub(crate) struct Tombstone {
    pub(crate) id: String,
    pub(crate) video_id: Option<String>,
    /// RFC 3339 in UTC; as the store has it where that is no time.
    pub(crate) deleted_at: String,
    pub(crate) deleted_by: Option<String>,
    /// Deleted by name although nothing was there.
    pub(crate) named: bool,
    /// Who has it; the rest is of the one that was written last.
    pub(crate) stores: Vec<Keeper>,
}

/// The latest tombstones.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    pub(crate) tombstones: Vec<Tombstone>,
    /// Whether there are more.
    pub(crate) cut: bool,
}

/// One tombstone that was removed.
#[derive(Debug, Serialize)]
pub(crate) struct Cleared {
    pub(crate) id: String,
    pub(crate) video_id: Option<String>,
    pub(crate) store: Keeper,
}

/// What was removed, and the names that no tombstone has.
#[derive(Debug, Serialize)]
pub(crate) struct Clearing {
    pub(crate) cleared: Vec<Cleared>,
    pub(crate) unknown: Vec<String>,
}

/// Both stores; the library may be left out.
#[derive(Debug)]
pub(crate) struct Desk<'a> {
    pub(crate) postgres: &'a str,
    pub(crate) sqlite: Option<&'a Path>,
}

/// `id`, `video_id`, `deleted_at`, `deleted_by`, `named`.
type Found = (String, Option<String>, Option<String>, Option<String>, bool);

// === impl Desk ===

impl Desk<'_> {
    /// The `limit` tombstones that were written last, newest first.
    pub(crate) async fn list(&self, limit: u32) -> Result<Listed, MigrateError> {
        let target = Target::parse(self.postgres).map_err(MigrateError)?;
        let mut connection = target.connect_one().await.map_err(MigrateError)?;
        // One more than asked for, which says whether there are more.
        let wanted = i64::from(limit) + 1;
        let sql = "SELECT id, video_id, CASE WHEN isfinite(deleted_at) THEN to_char(deleted_at, \
                   'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') ELSE deleted_at::text END, deleted_by, named \
                   FROM tombstones ORDER BY deleted_at DESC, id LIMIT $1";
        let found: Vec<Found> = sqlx::query_as(sql)
            .bind(wanted)
            .fetch_all(&mut connection)
            .await
            .map_err(|error| MigrateError(target.explain(&error)))?;
        // What was read is read, however the goodbye goes.
        let _ = connection.close().await;
        let mut all = BTreeMap::new();
        add(&mut all, found, Keeper::Postgres);
        if let Some(path) = self.sqlite {
            add(&mut all, of_sqlite(path, wanted)?, Keeper::Sqlite);
        }
        let mut tombstones: Vec<Tombstone> = all.into_values().collect();
        tombstones.sort_by_cached_key(|stone| (Reverse(stone.deleted_at.clone()), stone.id.clone()));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let cut = tombstones.len() > limit;
        tombstones.truncate(limit);
        Ok(Listed { tombstones, cut })
    }

    /// Removes the tombstones with these ids or of these videos.
    pub(crate) async fn clear(&self, names: &[String]) -> Result<Clearing, MigrateError> {
        let target = Target::parse(self.postgres).map_err(MigrateError)?;
        let failed = |error: sqlx::Error| MigrateError(target.explain(&error));
        let mut connection = target.connect_one().await.map_err(MigrateError)?;
        let mut transaction = connection.begin().await.map_err(failed)?;
        let mut unknown = Vec::new();
        let mut cleared = Vec::new();
        for name in names {
            let sql = "DELETE FROM tombstones WHERE id = $1 OR video_id IN ($1, $2) RETURNING id, video_id";
            let found: Vec<(String, Option<String>)> = sqlx::query_as(sql)
                .bind(name)
                .bind(bare(name))
                .fetch_all(&mut *transaction)
                .await
                .map_err(failed)?;
            unknown.extend(found.is_empty().then(|| name.clone()));
            let gone = |(id, video_id)| Cleared { id, video_id, store: Keeper::Postgres };
            cleared.extend(found.into_iter().map(gone));
        }
        transaction.commit().await.map_err(failed)?;
        // What is done is done, however the goodbye goes.
        let _ = connection.close().await;
        if let Some(path) = self.sqlite {
            let there = clear_sqlite(path, names)?;
            unknown.retain(|name| !there.iter().any(|(asked, _)| asked == name));
            cleared.extend(there.into_iter().map(|(_, cleared)| cleared));
        }
        Ok(Clearing { cleared, unknown })
    }
}

/// A name as `video_id` may hold it.
fn bare(name: &str) -> &str {
    name.strip_prefix("yt:").unwrap_or(name)
}

fn add(all: &mut BTreeMap<String, Tombstone>, found: Vec<Found>, keeper: Keeper) {
    for (id, video_id, deleted_at, deleted_by, named) in found {
        let deleted_at = deleted_at.unwrap_or_default();
        let new = Tombstone { id, video_id, deleted_at, deleted_by, named, stores: vec![keeper] };
        match all.get_mut(&new.id) {
            None => {
                all.insert(new.id.clone(), new);
            }
            Some(known) => {
                known.stores.push(keeper);
                if new.deleted_at > known.deleted_at {
                    let stores = std::mem::take(&mut known.stores);
                    *known = Tombstone { stores, ..new };
                }
            }
        }
    }
}

fn of_sqlite(path: &Path, wanted: i64) -> Result<Vec<Found>, MigrateError> {
    let connection = dashboard::read_only(path).map_err(|error| MigrateError(error.0))?;
    let read = || -> rusqlite::Result<Vec<Found>> {
        if connection.query_row(THERE, [], |_| Ok(())).optional()?.is_none() {
            return Ok(Vec::new());
        }
        let sql = "SELECT id, video_id, deleted_at, deleted_by, coalesce(named, 0) FROM flipgate_tombstones \
                   ORDER BY deleted_at DESC, id LIMIT ?1";
        let mut statement = connection.prepare(sql)?;
        let rows = statement.query_map([wanted], |row| {
            let deleted_at: Option<String> = row.get(2)?;
            Ok((row.get(0)?, row.get(1)?, deleted_at.map(shown), row.get(3)?, row.get(4)?))
        })?;
        rows.collect()
    };
    read().map_err(|error| unusable(path, &error))
}

/// A time as PostgreSQL's are told.
fn shown(text: String) -> String {
    instant(&text).map_or(text, |instant| instant.replace("+00:00", "Z"))
}

/// What was removed, each with the name that was asked for.
fn clear_sqlite(path: &Path, names: &[String]) -> Result<Vec<(String, Cleared)>, MigrateError> {
    // Says in one sentence what is wrong with a file that cannot be used.
    drop(dashboard::read_only(path).map_err(|error| MigrateError(error.0))?);
    let clear = || -> rusqlite::Result<Vec<(String, Cleared)>> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        if connection.query_row(THERE, [], |_| Ok(())).optional()?.is_none() {
            return Ok(Vec::new());
        }
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let mut cleared = Vec::new();
        for name in names {
            let sql = "DELETE FROM flipgate_tombstones WHERE id = ?1 OR video_id IN (?1, ?2) RETURNING id, video_id";
            let mut statement = transaction.prepare_cached(sql)?;
            let rows = statement.query_map([name.as_str(), bare(name)], |row| {
                Ok(Cleared { id: row.get(0)?, video_id: row.get(1)?, store: Keeper::Sqlite })
            })?;
            for gone in rows {
                cleared.push((name.clone(), gone?));
            }
        }
        transaction.commit()?;
        Ok(cleared)
    };
    clear().map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &rusqlite::Error) -> MigrateError {
    let path = path.display();
    MigrateError(match error.sqlite_error_code() {
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) => format!(
            "The SQLite library {path} is read-only; give the user rights on the file and its directory."
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("The SQLite library {path} is locked by another program; run again once that is done.")
        }
        Some(_) | None => format!(
            "The tombstones in the SQLite library {path} cannot be used ({error}); check that it is whole."
        ),
    })
}
