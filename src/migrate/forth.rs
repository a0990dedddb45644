//! SQLite → PostgreSQL: batch after batch, each one transaction.

use std::collections::HashSet;
use std::path::Path;

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Postgres, Transaction};

use super::progress::Progress;
use super::quarantine::Quarantine;
use super::report::{Direction, Report, TableReport};
use super::row::Table;
use super::source::{Batch, Batches, Source, Sourced};
use super::target::{Outcome, Writer, buried, find_records, prepare};
use super::{MigrateError, Options, schema};
use crate::pg;

/// Bytes of rows that wait in memory for another row to give up a unique value.
const MAX_WAITING: usize = 16 * 1024 * 1024;

/// One copy under way.
struct Run<'a> {
    options: &'a Options,
    target: pg::Target,
    quarantine: Quarantine,
    /// Records of this source that were deleted from the target.
    buried: HashSet<String>,
}

/// One table under way.
struct Copying {
    writer: Writer,
    report: TableReport,
    /// Rows that want a value another row still has, and how PostgreSQL said so.
    waiting: Vec<(Sourced, String)>,
    waiting_bytes: usize,
}

/// Applies the schema to `to` (a postgres URL) and copies the library at `from`.
///
/// The source is read in one transaction, so as of one moment; each batch is one transaction in the target, so an
/// interrupted run leaves whole batches and the next run goes on from there.
pub(super) async fn copy(from: &Path, to: &str, options: &Options) -> Result<Report, MigrateError> {
    let source = Source::open(from, &options.tables(), options.batch)?;
    let target = pg::Target::parse(to).map_err(MigrateError)?;
    let mut connection = target.connect_one().await.map_err(MigrateError)?;
    let explain = |error: &sqlx::Error| MigrateError(target.explain(error));
    one_at_a_time(&mut connection).await.map_err(|error| explain(&error))?;
    let tables = if options.dry_run {
        // One transaction around everything, undone in the end: so what it says is what would be done.
        let mut everything = connection.begin().await.map_err(|error| explain(&error))?;
        schema::apply_within(&mut everything, &target).await?;
        let tables =
            Run::new(options, &target, &mut everything).await?.tables(&mut everything, source).await?;
        everything.rollback().await.map_err(|error| explain(&error))?;
        tables
    } else {
        schema::apply(&mut connection, &target).await?;
        Run::new(options, &target, &mut connection).await?.tables(&mut connection, source).await?
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
        Ok(Self { options, target: target.clone(), quarantine, buried: HashSet::new() })
    }

    async fn tables(
        mut self,
        connection: &mut PgConnection,
        source: Source,
    ) -> Result<Vec<TableReport>, MigrateError> {
        let mut reports = Vec::new();
        for (table, batches) in source.tables {
            reports.push(self.table(connection, table, batches).await?);
        }
        Ok(reports)
    }

    async fn table(
        &mut self,
        connection: &mut PgConnection,
        table: Table,
        mut batches: Batches,
    ) -> Result<TableReport, MigrateError> {
        let mut copying = Copying::new(table, self.options.overwrite);
        let mut progress = Progress::new(table.name(), self.options.progress);
        while let Some(batch) = batches.recv().await {
            let batch = batch?;
            let (rows, of) = (batch.len() as u64, batch.of);
            self.batch(connection, batch, &mut copying).await.map_err(|error| self.explain(table, &error))?;
            progress.advance(rows, of);
        }
        self.last_try(connection, &mut copying).await.map_err(|error| self.explain(table, &error))?;
        progress.finish();
        Ok(copying.report)
    }

    async fn batch(
        &mut self,
        connection: &mut PgConnection,
        batch: Batch,
        copying: &mut Copying,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = connection.begin().await?;
        copying.report.read += batch.len() as u64;
        let table = copying.writer.table;
        for row in batch.refused {
            self.quarantine.put(&mut transaction, table, &row.name, &row.row, row.reason).await?;
            copying.report.quarantine(&row.name, row.reason);
        }
        let (rows, orphans) = find_records(&mut transaction, table, batch.rows).await?;
        self.orphans(&mut transaction, orphans, copying).await?;
        for outcome in copying.writer.store(&mut transaction, rows).await? {
            match copying.wait(outcome) {
                None => {}
                Some(outcome) => self.note(&mut transaction, outcome, copying).await?,
            }
        }
        transaction.commit().await
    }

    /// Summaries of records that are not stored: deleted with them, or waiting in quarantine for them.
    async fn orphans(
        &mut self,
        transaction: &mut Transaction<'_, Postgres>,
        rows: Vec<Sourced>,
        copying: &mut Copying,
    ) -> Result<(), sqlx::Error> {
        let table = copying.writer.table;
        let buried = buried(transaction, table, &rows.iter().collect::<Vec<_>>()).await?;
        for row in rows {
            if buried.contains(&row.key.record)
                || (table == Table::Legacy && self.buried.contains(&row.key.record))
            {
                copying.report.tombstoned += 1;
                continue;
            }
            let column = table.key_columns().first().copied().unwrap_or_default();
            let reason = format!("no record with {column} {} is stored", row.key.record);
            self.quarantine.put(transaction, table, &row.name, &row.row, &reason).await?;
            copying.report.quarantine(&row.name, &reason);
        }
        Ok(())
    }

    async fn note(
        &mut self,
        transaction: &mut Transaction<'_, Postgres>,
        outcome: Outcome,
        copying: &mut Copying,
    ) -> Result<(), sqlx::Error> {
        let report = &mut copying.report;
        let stored = match outcome {
            Outcome::Inserted(row) => {
                report.inserted += 1;
                row
            }
            Outcome::Updated(row) => {
                report.updated += 1;
                row
            }
            Outcome::Unchanged(row) => {
                report.unchanged += 1;
                row
            }
            Outcome::Kept(row) => {
                report.keep(&row.key, "it was changed in PostgreSQL, or the source is an older copy");
                return Ok(());
            }
            Outcome::Conflict(row, why) => {
                report.conflict(&row.key, why);
                return Ok(());
            }
            Outcome::Tombstoned(row) => {
                report.tombstoned += 1;
                self.buried.insert(row.key.record);
                return Ok(());
            }
            Outcome::Refused { row, reason, .. } => {
                report.quarantine(&row.name, &reason);
                let table = copying.writer.table;
                return self.quarantine.put(transaction, table, &row.name, &row.row, &reason).await;
            }
        };
        report.repaired += u64::from(stored.repaired);
        Ok(())
    }

    /// Tries once more what waited for other rows to change, and closes the table's quarantine.
    async fn last_try(
        &mut self,
        connection: &mut PgConnection,
        copying: &mut Copying,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = connection.begin().await?;
        loop {
            let waiting: Vec<Sourced> = copying.waiting.drain(..).map(|(row, _)| row).collect();
            copying.waiting_bytes = 0;
            let before = waiting.len();
            let mut still = Vec::new();
            for outcome in copying.writer.store(&mut transaction, waiting).await? {
                match copying.wait(outcome) {
                    None => still.extend(copying.waiting.pop()),
                    Some(outcome) => self.note(&mut transaction, outcome, copying).await?,
                }
            }
            if still.len() < before {
                // Some found their value free by now; others may have waited for these.
                copying.waiting = still;
                continue;
            }
            for (row, reason) in still {
                let refused = Outcome::Refused { row, reason, taken: true };
                self.note(&mut transaction, refused, copying).await?;
            }
            break;
        }
        self.quarantine.forget_the_rest(&mut transaction, copying.writer.table).await?;
        transaction.commit().await
    }

    fn explain(&self, table: Table, error: &sqlx::Error) -> MigrateError {
        MigrateError(format!(
            "Copying {} stopped, whole batches are stored and a further run goes on: {}",
            table.name(),
            self.target.explain(error)
        ))
    }
}

// === impl Copying ===

impl Copying {
    fn new(table: Table, overwrite: bool) -> Self {
        Self {
            writer: Writer { table, overwrite },
            report: TableReport::new(table),
            waiting: Vec::new(),
            waiting_bytes: 0,
        }
    }

    /// Puts a row aside that wants a value another row still has; gives back what need not or cannot wait.
    fn wait(&mut self, outcome: Outcome) -> Option<Outcome> {
        let Outcome::Refused { row, reason, taken: true } = outcome else { return Some(outcome) };
        let size = row.row.size();
        if self.waiting_bytes + size > MAX_WAITING {
            return Some(Outcome::Refused { row, reason, taken: true });
        }
        self.waiting_bytes += size;
        self.waiting.push((row, reason));
        None
    }
}
