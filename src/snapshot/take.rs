//! Taking a snapshot: copied, checked, counted, on disk, and only then given its name.

use std::path::Path;

use chrono::{DateTime, SubsecRound as _, Utc};
use rusqlite::Connection;
use tempfile::NamedTempFile;

use super::directory::{Directory, Purpose};
use super::facts::{self, Facts};
use super::manifest::{FORMAT, Journal, Kind, Manifest};
use super::open::{self, Live};
use super::{SnapshotError, copy, files};
use crate::migrate;
use crate::pg;

/// What a snapshot is taken of.
struct Source<'a> {
    kind: Kind,
    /// What the manifest calls it.
    name: String,
    /// The SQLite file that is copied.
    file: &'a Path,
    library: Live,
    /// The moment from which on it may have changed.
    at: DateTime<Utc>,
}

/// Takes a snapshot of the SQLite library at `file`, whoever writes to it meanwhile.
pub(crate) fn of_sqlite(directory: &Directory, file: &Path) -> Result<Manifest, SnapshotError> {
    let source = Source::sqlite(file)?;
    if !facts::is_library(&source.library.connection).map_err(|error| open::explain(file, &error))? {
        return Err(SnapshotError::Unusable(format!(
            "The SQLite file {} has no table `content`; name the dashboard's library file.",
            file.display()
        )));
    }
    take(directory, Purpose::Library, &source)
}

/// Takes a snapshot of what a restore is about to replace, library or not.
pub(super) fn before_restore(directory: &Directory, file: &Path) -> Result<Manifest, SnapshotError> {
    take(directory, Purpose::BeforeRestore, &Source::sqlite(file)?)
}

/// Takes a snapshot of the PostgreSQL library at `url`, as a SQLite file in the dashboard's schema.
pub(crate) async fn of_postgres(directory: &Directory, url: &str) -> Result<Manifest, SnapshotError> {
    let target = pg::Target::parse(url).map_err(SnapshotError::Unusable)?;
    let at = Utc::now();
    let scratch = directory.scratch()?;
    let file = scratch.path().join("export.db");
    migrate::export(url, &file).await.map_err(|error| SnapshotError::CouldNotRun(error.0))?;
    let source = Source {
        kind: Kind::Postgres,
        name: target.name().to_owned(),
        library: open::live(&file)?,
        file: &file,
        at,
    };
    take(directory, Purpose::Library, &source)
}

// === impl Source ===

impl<'a> Source<'a> {
    fn sqlite(file: &'a Path) -> Result<Self, SnapshotError> {
        let at = Utc::now();
        let name = files::real(file).to_string_lossy().into_owned();
        Ok(Self { kind: Kind::Sqlite, name, file, library: open::live(file)?, at })
    }
}

// === Copy, check, place ===

fn take(directory: &Directory, purpose: Purpose, source: &Source<'_>) -> Result<Manifest, SnapshotError> {
    let file = directory.unfinished()?;
    let (facts, journal) = fill(&file, source, directory)?;
    if !source.library.held_still(source.file) {
        return Err(SnapshotError::CouldNotRun(format!(
            "{} was written to while it was read without locks; run as a user who may write beside it.",
            source.file.display()
        )));
    }
    // SQLite has let go of the file: from here on it is bytes.
    file.as_file().sync_all().map_err(|error| directory.unwritable(&error))?;
    let print = files::fingerprint(file.path()).map_err(|error| directory.unwritable(&error))?;
    let manifest = Manifest {
        format: FORMAT,
        name: String::new(),
        kind: source.kind,
        source: source.name.clone(),
        created_at: source.at.trunc_subsecs(6),
        bytes: print.bytes,
        sha256: print.sha256,
        rows: facts.rows,
        records_with_subcategories: facts.records_with_subcategories,
        analysis_with_subcategories: facts.analysis_with_subcategories,
        newest_indexed_at: facts.newest_indexed_at,
        foreign_key_violations: facts.foreign_key_violations,
        journal,
        flipgate: env!("CARGO_PKG_VERSION").to_owned(),
    };
    directory.place(purpose, file, manifest)
}

/// Copies the source into `file` and makes it one whole file; says what it holds.
fn fill(
    file: &NamedTempFile,
    source: &Source<'_>,
    directory: &Directory,
) -> Result<(Facts, Journal), SnapshotError> {
    // Its name of now says nothing to anybody.
    let here = |error: rusqlite::Error| open::explain(directory.path(), &error);
    let there = |error: rusqlite::Error| open::explain(source.file, &error);
    let mut copy = Connection::open(file.path()).map_err(here)?;
    let journal = open::journal(&source.library.connection).map_err(there)?;
    copy::online(&source.library.connection, &mut copy).map_err(|error| {
        // Only the source is anybody else's; only the copy is written to.
        if is_of_the_source(&error) { there(error) } else { here(error) }
    })?;
    // A copy of a library with a write-ahead log would want one itself.
    copy.pragma_update(None, "journal_mode", "DELETE").map_err(here)?;
    let problems = facts::problems(&copy).map_err(there)?;
    if !problems.is_empty() {
        return Err(SnapshotError::CouldNotRun(format!(
            "{} is damaged ({}), so its copy was not kept; move it away whole, with the -wal or -journal beside it, or \
             repair it first.",
            source.file.display(),
            problems.join("; ")
        )));
    }
    let facts = Facts::read(&copy).map_err(there)?;
    copy.close().map_err(|(_, error)| here(error))?;
    Ok((facts, journal))
}

fn is_of_the_source(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseCorrupt, DatabaseLocked, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked | DatabaseCorrupt | NotADatabase))
}
