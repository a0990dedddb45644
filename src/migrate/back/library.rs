//! The dashboard's file as it is written: triggers off, its own schema, one transaction a batch.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempPath;

use super::rows::blames_row;
use super::shapes::{Shapes, connect};
use super::unwritable;
use crate::library::{TABLES, TRIGGERS};
use crate::migrate::MigrateError;
use crate::migrate::judge::{Agreement, Side, Verdict, judge};
use crate::migrate::row::{Key, Row, Table};
use crate::migrate::stored::Stored;
use crate::migrate::timestamp;
use crate::migrate::tombstones::written;

/// How long a write waits for the dashboard's.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// A library that is written to.
pub(super) struct Library {
    connection: Connection,
    path: PathBuf,
    shapes: Shapes,
    /// Where a new library is made before it has its name.
    making: Option<TempPath>,
    /// Whether it held no record when it was opened: rows that PostgreSQL could not hold belong into it, too. Where there
    /// are records these rows are there as well, or were removed.
    empty: bool,
    /// Whether everything is one transaction, which is undone.
    dry_run: bool,
}

/// What became of a row.
#[derive(Debug)]
pub(super) enum Put {
    Inserted,
    Updated,
    Same,
    /// The file's row is the newer one.
    Stays,
    /// Someone must decide.
    Conflict(String),
}

/// What a deletion took.
#[derive(Debug, Default)]
pub(super) struct Removed {
    pub(super) rows: Vec<(Table, u64)>,
    /// Records that stay, and why.
    pub(super) refused: Vec<(String, &'static str)>,
}

// === impl Library ===

impl Library {
    /// Opens the library at `path` for writing, or begins a new one.
    pub(super) fn open(path: &Path, dry_run: bool) -> Result<Self, MigrateError> {
        let failed = |error: rusqlite::Error| unwritable(Table::Content, path, &error);
        let (connection, making) = if path.exists() {
            crate::dashboard::read_only(path).map_err(|error| MigrateError(error.0))?;
            (connect(path, BUSY_TIMEOUT).map_err(failed)?, None)
        } else {
            let file = unnamed(path)?;
            let connection = connect(&file, BUSY_TIMEOUT).map_err(failed)?;
            connection
                .execute_batch(TABLES)
                .and_then(|()| connection.execute_batch(TRIGGERS))
                .map_err(failed)?;
            (connection, Some(file))
        };
        // At once, so that a file that cannot be written is told before anything is read.
        connection.execute_batch("BEGIN IMMEDIATE").map_err(failed)?;
        if !dry_run {
            connection.execute_batch("ROLLBACK").map_err(failed)?;
        }
        let empty = "SELECT NOT EXISTS (SELECT 1 FROM content)";
        let empty = connection.query_row(empty, [], |row| row.get(0)).map_err(failed)?;
        Ok(Self { connection, path: path.to_owned(), shapes: Shapes::default(), making, empty, dry_run })
    }

    /// Whether the file was not there before.
    pub(super) fn is_new(&self) -> bool {
        self.making.is_some()
    }

    /// Gives a new library its name, or undoes a dry run.
    pub(super) fn finish(self) -> Result<(), MigrateError> {
        let Self { connection, path, making, dry_run, .. } = self;
        if dry_run {
            return connection
                .execute_batch("ROLLBACK")
                .map_err(|error| unwritable(Table::Content, &path, &error));
        }
        drop(connection);
        let Some(file) = making else { return Ok(()) };
        let name = path.display();
        let failed = |error: std::io::Error| {
            MigrateError(format!("The new SQLite library {name} cannot be stored ({error}); check the disk."))
        };
        File::open(&file).and_then(|file| file.sync_all()).map_err(failed)?;
        file.persist_noclobber(&path).map_err(|error| failed(error.error))?;
        let directory =
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)
    }

    /// Writes rows as one transaction.
    pub(super) fn put_all(
        &mut self,
        table: Table,
        rows: Vec<Stored>,
        overwrite: bool,
    ) -> rusqlite::Result<Vec<(Stored, Put)>> {
        self.within(|library| {
            let mut done = Vec::with_capacity(rows.len());
            for row in rows {
                library.shapes.fit(&library.connection, table, &row.row)?;
                let put = library.put(table, &row, overwrite)?;
                done.push((row, put));
            }
            Ok(done)
        })
    }

    fn put(&mut self, table: Table, incoming: &Stored, overwrite: bool) -> rusqlite::Result<Put> {
        let Some(shape) = self.shapes.get(table) else { return Err(rusqlite::Error::InvalidQuery) };
        let Some((number, present)) = shape.find(&self.connection, table, &incoming.key)? else {
            return taken(shape.insert(&self.connection, table, &incoming.row), Put::Inserted);
        };
        let updated_at = present.cell("updated_at").plain().as_deref().and_then(timestamp::instant);
        let there = Side { row: &present, digest: present.digest(table), updated_at };
        let here = Side { row: &incoming.row, digest: incoming.digest, updated_at: incoming.updated_at };
        let agreement = Agreement { last: incoming.agreed, before: &incoming.before };
        match judge(table, here, there, agreement, overwrite) {
            Verdict::Same => Ok(Put::Same),
            Verdict::Stay => Ok(Put::Stays),
            Verdict::Conflict(why) => Ok(Put::Conflict(why.to_owned())),
            Verdict::Replace => {
                taken(shape.update(&self.connection, table, number, &incoming.row), Put::Updated)
            }
        }
    }

    /// Writes a row that PostgreSQL could not hold into a library that was empty, unless it has it, or its own version of
    /// it: then it has as many rows with these key cells as are `known`, or as many equal ones as are `alike`.
    pub(super) fn put_back(
        &mut self,
        table: Table,
        row: &Row,
        known: usize,
        alike: usize,
    ) -> rusqlite::Result<Put> {
        self.within(|library| {
            library.shapes.fit(&library.connection, table, row)?;
            let Some(shape) = library.shapes.get(table) else { return Err(rusqlite::Error::InvalidQuery) };
            let there = shape.same_key(&library.connection, table, row)?;
            let digest = row.digest(table);
            if there.iter().filter(|there| there.digest(table) == digest).count() >= alike {
                return Ok(Put::Same);
            }
            if !library.empty || there.len() >= known {
                return Ok(Put::Stays);
            }
            taken(shape.insert(&library.connection, table, row), Put::Inserted)
        })
    }

    /// Removes a record that was deleted at `deleted_at` with its summaries, unless it was written since; all records of
    /// `video`, too, where that was deleted by name.
    pub(super) fn remove(
        &mut self,
        id: &str,
        video: Option<&str>,
        deleted_at: i64,
    ) -> rusqlite::Result<Removed> {
        self.within(|library| {
            library.shapes.look(&library.connection)?;
            let mut removed = Removed::default();
            let Some(shape) = library.shapes.get(Table::Content) else { return Ok(removed) };
            for id in shape.called(&library.connection, id, video)? {
                let key = Key::of(id);
                let Some((number, row)) = shape.find(&library.connection, Table::Content, &key)? else {
                    continue;
                };
                if written(&row).is_some_and(|written| written > deleted_at) {
                    let why = "it was deleted in PostgreSQL and written in SQLite after that";
                    removed.refused.push((key.record, why));
                    continue;
                }
                let video_id = row.cell("video_id").clean_text();
                let rows = library.shapes.delete(&library.connection, number, &key.record, video_id)?;
                removed.rows.extend(rows);
            }
            Ok(removed)
        })
    }

    fn within<T>(&mut self, work: impl FnOnce(&mut Self) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        if self.dry_run {
            return work(self);
        }
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        match work(self) {
            Ok(done) => {
                self.connection.execute_batch("COMMIT")?;
                Ok(done)
            }
            Err(error) => {
                // The first error says more than that of undoing it.
                let _ = self.connection.execute_batch("ROLLBACK");
                // What was added to the schema is gone again.
                self.shapes.clear();
                Err(error)
            }
        }
    }
}

fn unnamed(path: &Path) -> Result<TempPath, MigrateError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The umask decides, as for any file the dashboard would have made.
    let permissions = std::fs::Permissions::from_mode(0o666);
    let file = tempfile::Builder::new().prefix(".flipgate-").permissions(permissions).tempfile_in(directory);
    let file = file.map_err(|error| {
        MigrateError(format!(
            "No SQLite library can be made in {} ({error}); check the directory and its rights.",
            directory.display()
        ))
    })?;
    Ok(file.into_temp_path())
}

/// What SQLite does not take is the row's fault, or everybody's.
fn taken(done: rusqlite::Result<()>, put: Put) -> rusqlite::Result<Put> {
    match done {
        Ok(()) => Ok(put),
        Err(error) if blames_row(&error) => Ok(Put::Conflict(format!("SQLite refuses it: {error}"))),
        Err(error) => Err(error),
    }
}
