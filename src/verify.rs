//! Both stores, row by row and column by column: `flipgate verify`.
//!
//! Both sides are streamed in key order and compared by digest, so memory does not grow with the library. Both may be
//! written to meanwhile: what differs is read again by key until two readings agree, and only then reported. A row that
//! is in quarantine or was deleted is accounted for, not missing. Not for: comparing answers (`diff`, the proxy), and
//! changing anything.

mod facts;
mod merge;
mod report;
mod settle;
mod streams;

use std::path::{Path, PathBuf};

pub use self::report::{Change, Check, Difference, Format, Note, TableCounts, Verification};
use self::settle::Candidate;
use crate::migrate::MigrateError;
use crate::migrate::row::Table;
use crate::pg::Target;

/// Rows of one sort and table that are read again and listed; the rest is counted.
const LISTED: usize = 1000;

/// What to verify.
#[derive(Debug, Clone)]
pub struct Options {
    /// Fewest records with curated subcategories that either side may have.
    pub expect_subcategories: Option<u64>,
}

/// Both sides under verification.
struct Sides {
    sqlite: PathBuf,
    postgres: Target,
}

/// Compares the library at `sqlite` with `postgres` (a URL).
pub async fn run(sqlite: &Path, postgres: &str, options: &Options) -> Result<Verification, MigrateError> {
    let postgres = Target::parse(postgres).map_err(MigrateError)?;
    let sides = Sides { sqlite: sqlite.to_owned(), postgres };
    let mut verification = Verification::default();
    let mut candidates: Vec<Candidate> = Vec::new();
    merge::tables(&sides, &mut verification, &mut candidates).await?;
    settle::all(&sides, candidates, &mut verification).await?;
    facts::quarantine(&sides, &mut verification).await?;
    facts::constraints(&sides, &mut verification).await?;
    facts::orphans(&sides, &mut verification).await?;
    verification.judge(options);
    Ok(verification)
}

// === impl Sides ===

impl Sides {
    fn failed(&self, error: &sqlx::Error) -> MigrateError {
        MigrateError(self.postgres.explain(error))
    }

    fn unreadable(&self, table: Table, error: &dyn std::fmt::Display) -> MigrateError {
        crate::migrate::source::unreadable(table, &self.sqlite, error)
    }
}
