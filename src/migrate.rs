//! Schema and copy, SQLite → PostgreSQL and back.
//!
//! Every column of every source row arrives: typed where the value fits, as it was spelt beside it, and what no column
//! can hold in `extra`. A row that cannot be stored goes to `migration_quarantine`, whole and with the reason. Any
//! number of runs ends in the same state; a run over an unchanged source writes nothing. Both directions compare rows
//! in one form ([`row`]) and judge by one rule ([`judge`]). Not for: deleting what the source no longer has, and
//! telling whether two stores are the same (`verify`).

pub(crate) mod back;
pub(crate) mod cell;
mod content;
mod forth;
mod json;
pub(crate) mod judge;
mod layout;
mod mapping;
mod progress;
pub(crate) mod quarantine;
mod report;
pub(crate) mod row;
pub(crate) mod runs;
mod schema;
pub(crate) mod single;
pub(crate) mod source;
pub(crate) mod stored;
mod summaries;
mod target;
mod timestamp;
pub(crate) mod tombstones;

use std::path::Path;

pub(crate) use self::report::escaped;
pub use self::report::{Direction, Listed, Report, TableReport};
use self::row::Table;
pub(crate) use self::target::blames_row;
pub(crate) use self::timestamp::typed as instant;
use crate::pg;

/// Rows of a batch unless told otherwise.
pub const BATCH_ROWS: usize = 1000;

/// Why a copy could not run, in one sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct MigrateError(pub String);

/// How to copy.
#[derive(Debug, Clone)]
pub struct Options {
    /// Do everything, undo it in the end, and report.
    pub dry_run: bool,
    /// Copy the records.
    pub content: bool,
    /// Copy the summaries.
    pub summaries: bool,
    /// Rows of a batch, at most.
    pub batch: usize,
    /// The source wins wherever both sides differ.
    pub overwrite: bool,
    /// Draw a progress bar if standard error is a terminal.
    pub progress: bool,
}

/// Copies the library at `from` to `to` (a postgres URL) with the usual options.
pub async fn run(from: &Path, to: &str) -> Result<Report, MigrateError> {
    copy(from, to, &Options::default()).await
}

/// Applies the schema to `to` (a postgres URL) and copies the library at `from`.
pub async fn copy(from: &Path, to: &str, options: &Options) -> Result<Report, MigrateError> {
    forth::copy(from, to, options).await
}

/// Writes what PostgreSQL holds (`from`, a postgres URL) into the library at `to`; a library that is not there is made.
pub async fn back(from: &str, to: &Path, options: &Options) -> Result<Report, MigrateError> {
    back::copy(from, to, options).await
}

/// Writes what PostgreSQL holds into a new library at `file`, and notes nothing of it in PostgreSQL.
pub async fn export(postgres_url: &str, file: &Path) -> Result<(), MigrateError> {
    back::export(postgres_url, file).await
}

/// Marks quarantined rows (`TABLE:KEY`, or `all`) as dealt with. Gives how many were, and the names not found.
pub async fn resolve(
    postgres_url: &str,
    names: &[String],
    reason: &str,
) -> Result<(u64, Vec<String>), MigrateError> {
    let target = pg::Target::parse(postgres_url).map_err(MigrateError)?;
    let mut connection = target.connect_one().await.map_err(MigrateError)?;
    quarantine::resolve(&mut connection, names, reason)
        .await
        .map_err(|error| MigrateError(target.explain(&error)))
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self {
            dry_run: false,
            content: true,
            summaries: true,
            batch: BATCH_ROWS,
            overwrite: false,
            progress: false,
        }
    }
}

impl Options {
    fn tables(&self) -> Vec<Table> {
        let wanted = |table: &Table| match table {
            Table::Content => self.content,
            Table::Legacy | Table::Variants => self.summaries,
        };
        Table::ALL.into_iter().filter(wanted).collect()
    }
}
