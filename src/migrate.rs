//! Schema and copy, SQLite → PostgreSQL.

use std::path::Path;

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

/// Applies the schema to `to` (a postgres URL) and copies the library at `from`.
pub async fn run(_from: &Path, _to: &str) -> Result<Report, MigrateError> {
    todo!()
}
