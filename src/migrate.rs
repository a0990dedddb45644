//! Schema and copy, SQLite → PostgreSQL.
//!
//! Every column of every source row arrives: typed where the value fits, as it was spelt beside it, and what no column
//! can hold in `extra`. A row that cannot be stored goes to `migration_quarantine`, whole and with the reason. Any
//! number of runs ends in the same state; a run over an unchanged source writes nothing. Not for: deciding between a
//! changed source and a changed target (the source wins), deleting what the source no longer has.

mod cells;
mod content;
mod mapping;
mod quarantine;
mod schema;
mod source;
mod summaries;
mod target;
mod timestamp;

use std::path::Path;

use sqlx::postgres::PgPool;

use self::mapping::Mapped;
use self::quarantine::Quarantine;
use self::source::{Batch, Batches, Source, Table};
use self::target::Stored;
pub(crate) use self::timestamp::typed as instant;
use crate::pg;

/// Why a copy could not run, in one sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct MigrateError(pub String);

/// What a copy did.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Report {
    /// One line a table, in the order copied.
    pub tables: Vec<TableReport>,
}

/// What a copy did to one table.
#[derive(Debug, Clone, serde::Serialize)]
pub struct TableReport {
    /// Name of the source table.
    pub table: String,
    /// Rows read.
    pub read: u64,
    /// Rows that were not there.
    pub inserted: u64,
    /// Rows that were there and differed.
    pub updated: u64,
    /// Rows that were there and equal.
    pub unchanged: u64,
    /// Rows that could not be stored.
    pub quarantined: u64,
}

/// One copy under way.
struct Run {
    pool: PgPool,
    target: pg::Target,
    quarantine: Quarantine,
}

/// Applies the schema to `to` (a postgres URL) and copies the library at `from`.
///
/// The source is read in one transaction, so as of one moment; each batch is one transaction in the target, so an interrupted run
/// leaves whole batches and the next run goes on from there.
pub async fn run(from: &Path, to: &str) -> Result<Report, MigrateError> {
    let source = Source::open(from)?;
    let target = pg::Target::parse(to).map_err(MigrateError)?;
    let pool = target.connect(1, "SET TimeZone = 'UTC'").await.map_err(MigrateError)?;
    schema::apply(&pool, &target).await?;
    let quarantine = Quarantine::begin(&pool).await.map_err(|error| MigrateError(target.explain(&error)))?;
    let copy = Run { pool, target, quarantine };
    let mut tables = Vec::new();
    for (table, batches) in source.tables {
        tables.push(copy.table(table, batches).await?);
    }
    copy.pool.close().await;
    Ok(Report { tables })
}

/// Writes what the PostgreSQL library at `postgres_url` holds to a new SQLite file in the dashboard's schema.
///
/// # Errors
/// [`MigrateError`] says what is in the way.
pub async fn export(postgres_url: &str, file: &Path) -> Result<(), MigrateError> {
    let target = pg::Target::parse(postgres_url).map_err(MigrateError)?;
    Err(MigrateError(format!(
        "Writing PostgreSQL {} to {} is not built yet; take the snapshot from the SQLite library.",
        target.name(),
        file.display()
    )))
}

// === impl Run ===

impl Run {
    async fn table(&self, table: Table, mut batches: Batches) -> Result<TableReport, MigrateError> {
        let mut report = TableReport::new(table);
        let mut waiting = Vec::new();
        while let Some(batch) = batches.recv().await {
            let batch = batch?;
            report.read += batch.len() as u64;
            self.batch(table, batch, &mut waiting, &mut report)
                .await
                .map_err(|error| self.explain(table, &error))?;
            tracing::info!(table = table.name(), rows = report.read, "copied");
        }
        self.last_try(table, waiting, &mut report).await.map_err(|error| self.explain(table, &error))?;
        Ok(report)
    }

    /// Stores a batch in one transaction; rows whose unique value another row still holds wait in `waiting`.
    async fn batch(
        &self,
        table: Table,
        batch: Batch,
        waiting: &mut Vec<Mapped>,
        report: &mut TableReport,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let mapped = match table {
            Table::Content => batch.into_iter().map(content::map).collect(),
            Table::Legacy | Table::Variants => summaries::map(&mut transaction, table, batch).await?,
        };
        let (rows, refused): (Vec<_>, Vec<_>) = mapped.into_iter().partition_result();
        for row in refused {
            self.quarantine.put(&mut transaction, table, &row.source, &row.reason).await?;
            report.quarantined += 1;
        }
        for stored in target::store(&mut transaction, table, rows).await? {
            match stored {
                Stored::Inserted => report.inserted += 1,
                Stored::Updated => report.updated += 1,
                Stored::Unchanged => report.unchanged += 1,
                Stored::Refused { row, taken: true, .. } if waiting.len() < target::MAX_WAITING => {
                    waiting.push(row)
                }
                Stored::Refused { row, reason, .. } => {
                    self.quarantine.put(&mut transaction, table, &row.source, &reason).await?;
                    report.quarantined += 1;
                }
            }
        }
        transaction.commit().await
    }

    /// Tries once more what waited for other rows to change, and closes the table's quarantine.
    async fn last_try(
        &self,
        table: Table,
        waiting: Vec<Mapped>,
        report: &mut TableReport,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        for stored in target::store(&mut transaction, table, waiting).await? {
            match stored {
                Stored::Inserted => report.inserted += 1,
                Stored::Updated => report.updated += 1,
                Stored::Unchanged => report.unchanged += 1,
                Stored::Refused { row, reason, .. } => {
                    self.quarantine.put(&mut transaction, table, &row.source, &reason).await?;
                    report.quarantined += 1;
                }
            }
        }
        self.quarantine.forget_the_rest(&mut transaction, table).await?;
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

// === impl TableReport ===

impl TableReport {
    fn new(table: Table) -> Self {
        Self {
            table: table.name().to_owned(),
            read: 0,
            inserted: 0,
            updated: 0,
            unchanged: 0,
            quarantined: 0,
        }
    }
}

/// Splits results by outcome.
trait PartitionResult<T, E> {
    fn partition_result(self) -> (Vec<T>, Vec<E>);
}

impl<T, E, I: Iterator<Item = Result<T, E>>> PartitionResult<T, E> for I {
    fn partition_result(self) -> (Vec<T>, Vec<E>) {
        let (mut fine, mut failed) = (Vec::new(), Vec::new());
        for item in self {
            match item {
                Ok(value) => fine.push(value),
                Err(error) => failed.push(error),
            }
        }
        (fine, failed)
    }
}
