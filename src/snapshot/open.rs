//! Connections to a library in use, to a snapshot, to a library about to be replaced; and what SQLite's errors mean.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use super::SnapshotError;
use super::files;
use super::manifest::Journal;
use crate::dashboard::immutable_uri;

/// How long a lock that another program holds is waited for, in seconds.
const PATIENCE: u64 = 5;
/// How often it is tried meanwhile. SQLite's own waits grow to 100 ms, and a program that writes without a pause leaves
/// gaps of less than a millisecond.
const EVERY: Duration = Duration::from_millis(1);

/// A library that others may be writing to, open for reading.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) connection: Connection,
    /// Since when the file was as it is, where locks cannot be had.
    unlocked: Option<SystemTime>,
}

/// Opens a library for reading, together with what is not yet in its main file.
pub(super) fn live(path: &Path) -> Result<Live, SnapshotError> {
    let name = path.display();
    let metadata = path.metadata().map_err(|error| {
        SnapshotError::CouldNotRun(format!(
            "The SQLite library {name} cannot be opened ({error}); check the path and its rights."
        ))
    })?;
    if !metadata.is_file() {
        return Err(SnapshotError::Unusable(format!(
            "{name} is not a file; name the library's file itself."
        )));
    }
    match tidy_reader(path) {
        Ok(connection) => Ok(Live { connection, unlocked: None }),
        Err(error) if !needs_writing(&error) => Err(explain(path, &error)),
        Err(error) => match files::unfinished(path).first() {
            // Without that file the library is old or torn.
            Some(rest) => Err(SnapshotError::CouldNotRun(format!(
                "{} holds changes of {name} that cannot be read from here ({error}); open the library once with the \
                 program that writes to it, or run as a user who may write beside it.",
                rest.display()
            ))),
            None => {
                let unlocked = files::modified(path).ok();
                Ok(Live { connection: kept(path)?, unlocked })
            }
        },
    }
}

/// A connection that reads only, and yet leaves nothing behind: one that SQLite takes for read-only leaves an empty log
/// and its index, which belong to whoever runs this and may keep the library's own user out.
fn tidy_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).and_then(prepared)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Opens a snapshot, to which nobody writes; nothing is made beside it.
pub(super) fn kept(path: &Path) -> Result<Connection, SnapshotError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(immutable_uri(path), flags)
        .and_then(prepared)
        .map_err(|error| explain(path, &error))
}

/// Opens a database that is there for writing.
pub(super) fn writable(path: &Path) -> Result<Connection, SnapshotError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).and_then(prepared).map_err(|error| explain(path, &error))
}

/// Sets the connection up and makes sure by a first read that the file is a database.
fn prepared(mut connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_handler(Some(wait))?;
    // The file comes from elsewhere: nothing in its schema may call functions with effects.
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0))?;
    Ok(connection)
}

/// Waits a little for a lock that was not free `tries` times; `false` if that was often enough.
fn wait(tries: i32) -> bool {
    std::thread::sleep(EVERY);
    u64::from(tries.unsigned_abs()) < PATIENCE * 1000
}

/// What SQLite says of a file that cannot be written to.
pub(super) fn read_only() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_READONLY), None)
}

/// How the library behind a connection keeps its journal.
pub(super) fn journal(connection: &Connection) -> rusqlite::Result<Journal> {
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    Ok(if mode == "wal" { Journal::Wal } else { Journal::Rollback })
}

fn needs_writing(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

/// What went wrong with the database at `path`, and what to do.
pub(super) fn explain(path: &Path, error: &rusqlite::Error) -> SnapshotError {
    let name = path.display();
    SnapshotError::CouldNotRun(match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            return SnapshotError::Unusable(format!(
                "{name} is not a SQLite database; name the library's file."
            ));
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => format!(
            "{name} is locked by another program and was not free within {} s; stop what writes to it and run again.",
            PATIENCE
        ),
        Some(ErrorCode::DiskFull) => {
            format!("There is no space left for {name}; free some, or choose another place, and run again.")
        }
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            format!(
                "{name} cannot be opened or written to ({error}); check the rights on it and on its directory."
            )
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            format!("{name} is damaged ({error}); look at it with `PRAGMA integrity_check`.")
        }
        _ => format!("{name} cannot be used ({error}); check that it is whole and that its disk works."),
    })
}

// === impl Live ===

impl Live {
    /// Whether what was read so far is one moment: locks see to that, and where there are none, that nobody wrote.
    pub(super) fn held_still(&self, path: &Path) -> bool {
        let Some(then) = self.unlocked else { return true };
        files::unfinished(path).is_empty() && files::modified(path).is_ok_and(|now| now == then)
    }
}
