//! Where a snapshot is put: into a database that others may have open, or where no file is yet.

use std::fs::{File, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rusqlite::{Connection, MAIN_DB};
use tempfile::TempDir;

use super::copy::{self, Refusal};
use super::directory::Directory;
use super::facts::{self, Facts};
use super::manifest::Journal;
use super::open::{self, Live};
use super::{SnapshotError, files};

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Where a database's header counts its commits, unless it has a write-ahead log.
const COMMITS_AT: u64 = 24;

/// A database that is there, looked at in one moment. Nothing of it was written to.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) path: PathBuf,
    pub(super) facts: Facts,
    pub(super) digest: String,
    /// When it was last written to.
    pub(super) modified: SystemTime,
    /// It has no bytes, as a program leaves it that opened a library that is not there.
    pub(super) empty: bool,
    journal: Journal,
    version: Version,
    observer: Live,
    /// Last, since it must be closed last: closing any handle of a file gives up the locks that SQLite holds on it.
    header: File,
}

/// What changes with each commit.
#[derive(Debug, PartialEq, Eq)]
enum Version {
    /// As SQLite counts it for a connection.
    Log(i64),
    /// As the header has it; none in a file without bytes.
    Header(Option<[u8; 4]>),
}

// === impl Target ===

impl Target {
    /// Looks at what is at `path`; `None` if there is nothing.
    pub(super) fn look(path: &Path) -> Result<Option<Self>, SnapshotError> {
        let name = path.display();
        match path.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return nothing_is_left(path).map(|()| None);
            }
            Err(error) => {
                return Err(SnapshotError::CouldNotRun(format!(
                    "{name} cannot be looked at ({error}); check the path and its rights."
                )));
            }
            Ok(found) if !found.is_file() => {
                return Err(SnapshotError::Unusable(format!(
                    "{name} is not a file; name the library's file."
                )));
            }
            Ok(_) => {}
        }
        let (header, empty) = header(path)?;
        // Before it is opened: SQLite may tidy up beside it.
        let modified = files::modified(path).unwrap_or_else(|_| SystemTime::now());
        let observer = open::live(path)?;
        let moment =
            Moment::of(&observer.connection, &header).map_err(|error| open::explain(path, &error))?;
        let Moment { facts, digest, journal, version } = moment;
        let path = path.to_owned();
        Ok(Some(Self { path, facts, digest, modified, empty, journal, version, observer, header }))
    }

    /// A connection to write with, if writers are let in now.
    pub(super) fn writer(&self) -> Result<Connection, SnapshotError> {
        let connection = open::writable(&self.path)?;
        let explain = |error| open::explain(&self.path, &error);
        // SQLite lets a transaction begin on a file that cannot be written to.
        if connection.is_readonly(MAIN_DB).map_err(explain)? {
            return Err(explain(open::read_only()));
        }
        connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK").map_err(explain).map(|()| connection)
    }

    /// Replaces all it holds by `snapshot` in one transaction. On an error it is as it was.
    pub(super) fn overwrite(
        &self,
        writer: &mut Connection,
        snapshot: &Connection,
        directory: &Directory,
    ) -> Result<(), SnapshotError> {
        let scratch = directory.scratch()?;
        let resized = self.resized(snapshot, &scratch)?;
        let written = copy::overwrite(resized.as_ref().unwrap_or(snapshot), writer, || self.unmoved());
        written.map_err(|refusal| match refusal {
            Refusal::Sqlite(error) => open::explain(&self.path, &error),
            Refusal::Moved => SnapshotError::CouldNotRun(format!(
                "{} was written to while it was being kept; stop what writes to it and run again.",
                self.path.display()
            )),
        })?;
        // So that the log does not stay as long as the library; a reader may stand in the way, and then it does.
        let _ = writer.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        Ok(())
    }

    /// The snapshot with pages of the target's size, where the target can take no others.
    fn resized(&self, snapshot: &Connection, scratch: &TempDir) -> Result<Option<Connection>, SnapshotError> {
        let size =
            copy::page_size(&self.observer.connection).map_err(|error| open::explain(&self.path, &error))?;
        let same = copy::page_size(snapshot).is_ok_and(|own| own == size);
        match self.journal {
            Journal::Wal if !same => {
                let resized = Connection::open(scratch.path().join("resized.db")).and_then(|mut resized| {
                    copy::with_pages_of(size, snapshot, &mut resized)?;
                    Ok(resized)
                });
                resized.map(Some).map_err(|error| open::explain(files::parent(scratch.path()), &error))
            }
            Journal::Wal | Journal::Rollback => Ok(None),
        }
    }

    /// Whether nobody wrote since it was looked at. Asked under the lock that keeps writers out.
    fn unmoved(&self) -> bool {
        Version::now(self.journal, &self.observer.connection, &self.header)
            .is_ok_and(|now| now == self.version)
    }
}

/// A file that is gone must not have left half of itself: SQLite would take it for the new one's.
fn nothing_is_left(path: &Path) -> Result<(), SnapshotError> {
    let name = path.display();
    if path.is_symlink() {
        return Err(SnapshotError::Unusable(format!(
            "{name} is a link to a file that is not there; name the file."
        )));
    }
    match files::unfinished(path).first() {
        Some(rest) => Err(SnapshotError::CouldNotRun(format!(
            "{} is left of a library {name} that is not there, and would be read into the restored one; move it away \
             and run again.",
            rest.display()
        ))),
        None => Ok(()),
    }
}

/// The open file, which must be a database, and whether it has no bytes.
fn header(path: &Path) -> Result<(File, bool), SnapshotError> {
    let name = path.display();
    let mut magic = Vec::new();
    let opened = File::open(path).and_then(|file| {
        (&file).take(MAGIC.len() as u64).read_to_end(&mut magic)?;
        Ok(file)
    });
    match opened {
        Err(error) => {
            Err(SnapshotError::CouldNotRun(format!("{name} cannot be read ({error}); check its rights.")))
        }
        Ok(_) if !magic.is_empty() && magic != MAGIC => Err(SnapshotError::Unusable(format!(
            "{name} is not a SQLite database and is not overwritten; move it away and run again."
        ))),
        Ok(file) => Ok((file, magic.is_empty())),
    }
}

// === impl Version ===

impl Version {
    fn now(journal: Journal, observer: &Connection, header: &File) -> rusqlite::Result<Self> {
        match journal {
            Journal::Wal => observer.query_row("PRAGMA data_version", [], |row| row.get(0)).map(Self::Log),
            // Under the writer's lock no connection can read; the bytes can be.
            Journal::Rollback => {
                let mut commits = [0; 4];
                let read = header.read_exact_at(&mut commits, COMMITS_AT);
                Ok(Self::Header(read.ok().map(|()| commits)))
            }
        }
    }
}

/// All that is known of a database, as of one moment.
struct Moment {
    facts: Facts,
    digest: String,
    journal: Journal,
    version: Version,
}

// === impl Moment ===

impl Moment {
    fn of(observer: &Connection, header: &File) -> rusqlite::Result<Self> {
        let transaction = observer.unchecked_transaction()?;
        let facts = Facts::read(observer)?;
        let digest = facts::digest(observer)?;
        let journal = open::journal(observer)?;
        let version = Version::now(journal, observer, header)?;
        transaction.finish()?;
        Ok(Self { facts, digest, journal, version })
    }
}

// === A file that is not there yet ===

/// Writes `snapshot` to the new file `path`, which is there whole or not at all.
pub(super) fn create(path: &Path, snapshot: &Connection, journal: Journal) -> Result<(), SnapshotError> {
    let failed = |error: io::Error| {
        let name = path.display();
        SnapshotError::CouldNotRun(if error.kind() == io::ErrorKind::AlreadyExists {
            format!("{name} was made by another program meanwhile and is not overwritten; run again.")
        } else {
            format!(
                "{name} cannot be made ({error}); check that its directory is there and may be written to."
            )
        })
    };
    // As SQLite would have made it: others than the owner may have to read a library.
    let file = tempfile::Builder::new()
        .prefix(".restoring-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(files::parent(path))
        .map_err(failed)?;
    fill(file.path(), snapshot, journal).map_err(|error| open::explain(path, &error))?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist_noclobber(path).map_err(|error| failed(error.error))?;
    files::sync(files::parent(path)).map_err(failed)
}

fn fill(file: &Path, snapshot: &Connection, journal: Journal) -> rusqlite::Result<()> {
    let mut connection = Connection::open(file)?;
    copy::online(snapshot, &mut connection)?;
    match journal {
        Journal::Wal => connection.pragma_update(None, "journal_mode", "WAL")?,
        Journal::Rollback => {}
    }
    connection.close().map_err(|(_, error)| error)
}

#[cfg(test)]
mod tests;
