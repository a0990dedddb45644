//! SQLite → PostgreSQL: batch after batch, each one transaction, on two connections.
//!
//! One server process keeps one core busy, and storing costs the server more than mapping costs us. What goes first must
//! not depend on which connection is quicker: rows that want a value an earlier row has wait until the others are
//! stored, and only one connection at a time changes rows that are there.

mod copying;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use self::copying::Copying;
use super::progress::Progress;
use super::quarantine::Quarantine;
use super::report::{Direction, Report, TableReport};
use super::row::Table;
use super::source::{Batches, Source};
use super::target::{is_empty, prepare};
use super::tombstones::DeletedByName;
use super::{MigrateError, Options, runs, schema};
use crate::{dashboard, pg};

/// One copy under way.
pub(super) struct Run<'a> {
    options: &'a Options,
    target: pg::Target,
    quarantine: Quarantine,
    /// Held by the connection that changes rows, until it commits.
    changing: tokio::sync::Mutex<()>,
    /// Records left out, whose summaries are still to come.
    deleted_by_name: Mutex<DeletedByName>,
}

/// The connections of a copy; the second one helps where there is one.
struct Connections<'a> {
    first: &'a mut PgConnection,
    second: Option<PgConnection>,
}

/// Applies the schema to `to` (a postgres URL) and copies the library at `from`.
///
/// The source is read in one transaction, so as of one moment; each batch is one transaction in the target, so an
/// interrupted run leaves whole batches and the next run goes on from there.
pub(super) async fn copy(from: &Path, to: &str, options: &Options) -> Result<Report, MigrateError> {
    // Seen before PostgreSQL is asked for anything, and let go again: a library must not be held while another copy runs.
    drop(dashboard::read_only(from).map_err(|error| MigrateError(error.0))?);
    let target = pg::Target::parse(to).map_err(MigrateError)?;
    let mut connection = target.connect_one().await.map_err(MigrateError)?;
    let explain = |error: &sqlx::Error| MigrateError(target.explain(error));
    one_at_a_time(&mut connection).await.map_err(|error| explain(&error))?;
    let open = || Source::open(from, &options.tables(), options.batch);
    let tables = if options.dry_run {
        // One transaction around everything, undone in the end: so what it says is what would be done.
        let mut everything = connection.begin().await.map_err(|error| explain(&error))?;
        schema::apply_within(&mut everything, &target).await?;
        let run = Run::new(options, &target, &mut everything).await?;
        let tables = run.tables(Connections { first: &mut everything, second: None }, open()?).await?;
        everything.rollback().await.map_err(|error| explain(&error))?;
        tables
    } else {
        schema::apply(&mut connection, &target).await?;
        let run = Run::new(options, &target, &mut connection).await?;
        let second = run.second().await;
        let tables = run.tables(Connections { first: &mut connection, second }, open()?).await?;
        runs::note(&mut connection, &tables).await.map_err(|error| explain(&error))?;
        tables
    };
    // What is done is done, however the goodbye goes.
    let _ = connection.close().await;
    Ok(Report { direction: Direction::ToPostgres, dry_run: options.dry_run, tables })
}

/// Waits until no other copy runs in this database; the lock goes with the connection.
pub(super) async fn one_at_a_time(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    const LOCK: i64 = 0x666c_6970_6761_7465;
    let free: bool =
        sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(LOCK).fetch_one(&mut *connection).await?;
    if !free {
        tracing::warn!("another migrate is at work in this database; this one goes on when that one is done");
        sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCK).execute(connection).await?;
    }
    Ok(())
}

// === impl Run ===

impl<'a> Run<'a> {
    async fn new(
        options: &'a Options,
        target: &pg::Target,
        connection: &mut PgConnection,
    ) -> Result<Self, MigrateError> {
        let explain = |error: sqlx::Error| MigrateError(target.explain(&error));
        let quarantine = Quarantine::begin(connection).await.map_err(explain)?;
        prepare(connection).await.map_err(explain)?;
        Ok(Self {
            options,
            target: target.clone(),
            quarantine,
            changing: tokio::sync::Mutex::new(()),
            deleted_by_name: Mutex::default(),
        })
    }

    fn deleted_by_name(&self) -> MutexGuard<'_, DeletedByName> {
        self.deleted_by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A second connection, if the server has one to spare.
    async fn second(&self) -> Option<PgConnection> {
        let mut connection = match self.target.connect_one().await {
            Ok(connection) => connection,
            Err(why) => {
                tracing::warn!("copying on one connection only: {why}");
                return None;
            }
        };
        prepare(&mut connection).await.ok().map(|()| connection)
    }

    async fn tables(
        self,
        mut connections: Connections<'_>,
        source: Source,
    ) -> Result<Vec<TableReport>, MigrateError> {
        let mut reports = Vec::new();
        for (table, batches) in source.tables {
            reports.push(self.table(&mut connections, table, batches).await?);
        }
        if let Some(second) = connections.second {
            // As above.
            let _ = second.close().await;
        }
        Ok(reports)
    }

    async fn table(
        &self,
        connections: &mut Connections<'_>,
        table: Table,
        batches: Batches,
    ) -> Result<TableReport, MigrateError> {
        let empty = is_empty(connections.first, table).await.map_err(|error| self.explain(table, &error))?;
        let names = self.quarantine.names(connections.first, table).await;
        let names = Arc::new(names.map_err(|error| self.explain(table, &error))?);
        let begin = || Copying::new(table, empty, self.options.overwrite, Arc::clone(&names));
        let batches = tokio::sync::Mutex::new(batches);
        let progress = Mutex::new(Progress::new(table.name(), self.options.progress));
        let first = self.work(connections.first, begin(), &batches, &progress);
        let mut copying = match &mut connections.second {
            Some(second) => {
                let second = self.work(second, begin(), &batches, &progress);
                let (first, second) = tokio::try_join!(first, second)?;
                first.and(second)
            }
            None => first.await?,
        };
        let last = copying.last_try(self, connections.first).await;
        last.map_err(|error| self.explain(table, &error))?;
        progress.into_inner().unwrap_or_else(PoisonError::into_inner).finish();
        Ok(copying.finish())
    }

    /// What one connection does: batch after batch.
    async fn work(
        &self,
        connection: &mut PgConnection,
        mut copying: Copying,
        batches: &tokio::sync::Mutex<Batches>,
        progress: &Mutex<Progress>,
    ) -> Result<Copying, MigrateError> {
        loop {
            let batch = batches.lock().await.recv().await;
            let Some(batch) = batch.transpose()? else { return Ok(copying) };
            let (rows, of) = (batch.len() as u64, batch.of);
            let done = copying.batch(self, connection, batch).await;
            done.map_err(|error| self.explain(copying.table(), &error))?;
            progress.lock().unwrap_or_else(PoisonError::into_inner).advance(rows, of);
        }
    }

    fn explain(&self, table: Table, error: &sqlx::Error) -> MigrateError {
        MigrateError(format!(
            "Copying {} stopped, whole batches are stored and a further run goes on: {}",
            table.name(),
            self.target.explain(error)
        ))
    }
}
