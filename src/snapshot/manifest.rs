//! What is written beside a snapshot: where it came from, when, and what it must still be.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::facts::{Facts, Rows};

/// The form of the manifests this version writes.
pub(crate) const FORMAT: u32 = 1;
/// Bytes of a manifest read; ours have about 700.
const MAX_BYTES: u64 = 64 * 1024;

/// `NAME.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// [`FORMAT`] of the version that wrote it.
    pub(crate) format: u32,
    /// The snapshot's name, as its files have it.
    pub(crate) name: String,
    /// What it was taken of.
    pub(crate) kind: Kind,
    /// Path of the library, or name of the PostgreSQL database; never a password.
    pub(crate) source: String,
    /// When the copy was begun: what the source took in later may be missing.
    pub(crate) created_at: DateTime<Utc>,
    /// Length of the file.
    pub(crate) bytes: u64,
    /// Of the file, in hexadecimal.
    pub(crate) sha256: String,
    /// Rows of each table.
    pub(crate) rows: Rows,
    /// As [`Facts`] has it, as all that follow.
    pub(crate) records_with_subcategories: u64,
    pub(crate) analysis_with_subcategories: u64,
    pub(crate) newest_indexed_at: Option<String>,
    pub(crate) foreign_key_violations: Option<u64>,
    /// How the library kept its journal. The snapshot itself is always one file, without any.
    pub(crate) journal: Journal,
    /// Version of flipgate that took it.
    pub(crate) flipgate: String,
}

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

/// How a SQLite library keeps its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Journal {
    /// A write-ahead log beside the file.
    Wal,
    /// A rollback journal, of whatever sort.
    Rollback,
}

/// All that any format has.
#[derive(Deserialize)]
struct Head {
    format: u32,
}

// === impl Manifest ===

impl Manifest {
    /// Reads the manifest at `path`; an error says what is wrong with it.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let mut text = Vec::new();
        let file = File::open(path).map_err(|error| format!("its manifest cannot be read ({error})"))?;
        file.take(MAX_BYTES)
            .read_to_end(&mut text)
            .map_err(|error| format!("its manifest cannot be read ({error})"))?;
        let broken = |error: serde_json::Error| format!("its manifest is broken ({error})");
        let Head { format } = serde_json::from_slice(&text).map_err(broken)?;
        if format != FORMAT {
            return Err(format!(
                "its manifest has format {format} and this flipgate reads {FORMAT}; use the version that made it"
            ));
        }
        let manifest: Self = serde_json::from_slice(&text).map_err(broken)?;
        if path.file_stem().is_none_or(|stem| stem != manifest.name.as_str()) {
            return Err(format!("its manifest is that of {}", manifest.name));
        }
        Ok(manifest)
    }

    /// What was counted.
    pub(crate) fn facts(&self) -> Facts {
        Facts {
            rows: self.rows.clone(),
            records_with_subcategories: self.records_with_subcategories,
            analysis_with_subcategories: self.analysis_with_subcategories,
            newest_indexed_at: self.newest_indexed_at.clone(),
            foreign_key_violations: self.foreign_key_violations,
        }
    }

    /// As it is written.
    pub(super) fn text(&self) -> String {
        format!("{:#}\n", serde_json::json!(self))
    }
}

// === impl Kind ===

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        })
    }
}
