//! Pages from one database into another through SQLite's backup API.

use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ffi};

use super::manifest::Journal;
use super::open::journal;

/// Pages copied before writers get their turn; usually 4 MiB, which takes milliseconds.
const STEP: i32 = 1024;
const ALL: i32 = -1;
/// How long writers have their turn.
const PAUSE: Duration = Duration::from_millis(5);
/// How often others may write before the copy no longer gives way.
const RESTARTS: u32 = 3;

/// Why a database was not overwritten; it is as it was.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Somebody wrote to it since it was looked at.
    Moved,
    /// SQLite could not.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Copies one moment of `source`, which others may be writing to, into `target`, which is nobody else's yet.
pub(super) fn online(source: &Connection, target: &mut Connection) -> rusqlite::Result<()> {
    match journal(source)? {
        // With a write-ahead log readers and writers do not wait for each other.
        Journal::Wal => all_of(&Backup::new(source, target)?),
        Journal::Rollback => in_steps(&Backup::new(source, target)?),
    }
}

/// Step by step, since writers wait while pages are read. Each write of theirs starts the copy anew, so after some the
/// rest is taken in one step: writers wait once, and the copy ends.
fn in_steps(backup: &Backup<'_, '_>) -> rusqlite::Result<()> {
    let (mut copied, mut restarts) = (0, 0);
    while restarts < RESTARTS {
        if step(backup, STEP)? == Step::Done {
            return Ok(());
        }
        let progress = backup.progress();
        let now = progress.pagecount - progress.remaining;
        restarts += u32::from(now <= copied);
        copied = now;
        std::thread::sleep(PAUSE);
    }
    all_of(backup)
}

/// Replaces all of `target` by `source` in one transaction, unless it is no longer what it was when the lock is there.
pub(super) fn overwrite(
    source: &Connection,
    target: &mut Connection,
    unmoved: impl FnOnce() -> bool,
) -> Result<(), Refusal> {
    let backup = Backup::new(source, target)?;
    // No page yet, but the lock: from here on nobody else writes.
    step(&backup, 0)?;
    if !unmoved() {
        return Err(Refusal::Moved);
    }
    Ok(all_of(&backup)?)
}

/// Copies `source` into `target`, which is new, and gives it pages of another size.
pub(super) fn with_pages_of(size: i64, source: &Connection, target: &mut Connection) -> rusqlite::Result<()> {
    online(source, target)?;
    target.pragma_update(None, "page_size", size)?;
    target.execute_batch("VACUUM")
}

/// The size of a database's pages.
pub(super) fn page_size(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA page_size", [], |row| row.get(0))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Done,
    More,
}

fn all_of(backup: &Backup<'_, '_>) -> rusqlite::Result<()> {
    match step(backup, ALL)? {
        Step::Done => Ok(()),
        Step::More => Err(busy()),
    }
}

/// One step. A lock was waited for already: the connections have a busy timeout.
fn step(backup: &Backup<'_, '_>, pages: i32) -> rusqlite::Result<Step> {
    match backup.step(pages)? {
        StepResult::Done => Ok(Step::Done),
        StepResult::More => Ok(Step::More),
        StepResult::Busy | StepResult::Locked | _ => Err(busy()),
    }
}

fn busy() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None)
}
