//! Copies of a library that can be trusted, and put back.
//!
//! A snapshot is a SQLite file, `NAME.db`, and what is known of it, `NAME.json`. It is one moment of the library, taken
//! while others write; checked before it has a name; on disk before anybody is told. A restore replaces a library in one
//! transaction, and never before what is there was kept. Not for: archives in other formats, copies elsewhere, deciding
//! how many snapshots to keep.

pub(crate) mod check;
mod copy;
pub(crate) mod directory;
mod facts;
mod files;
mod manifest;
mod open;
pub(crate) mod restore;
mod take;
mod target;

pub(crate) use self::facts::Facts;
pub(crate) use self::manifest::Manifest;
pub(crate) use self::take::{of_postgres, of_sqlite};

/// Why it was not done: a sentence that says what is in the way and what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    /// An argument names what no snapshot can be made of, or none can be put into.
    #[error("{0}")]
    Unusable(String),
    /// Something is missing, locked, full or broken.
    #[error("{0}")]
    CouldNotRun(String),
}
