//! PostgreSQL → SQLite: what PostgreSQL has gained goes into the dashboard's file, by the same rule as forth.
//!
//! PostgreSQL is read as of one moment. Each batch is one transaction in the file, and only then noted in PostgreSQL as
//! agreed: a crash in between leaves both sides alike, and the next run notes it. A file that is not there is made under
//! another name and renamed when it is whole.

mod library;
pub(crate) mod rows;
pub(crate) mod shapes;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};

use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::Value;
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor as _};

use self::library::{Library, Put};
use super::cell::from_exact;
use super::forth::one_at_a_time;
use super::progress::Progress;
use super::report::{Direction, Report, TableReport};
use super::row::{Columns, Digest, Key, Row, Table};
use super::source::unreadable;
use super::stored::{self, Stored};
use super::{MigrateError, Options, schema, target};
use crate::pg::{Target, constant_sql};

/// Bytes of rows in a batch (one row more may exceed it).
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// One copy under way.
struct Run<'a> {
    options: &'a Options,
    /// Whether PostgreSQL is told what both sides agree on.
    agreeing: bool,
    source: Target,
    path: PathBuf,
    /// Reads, as of one moment.
    reader: PgConnection,
    /// Notes agreements, batch by batch.
    writer: PgConnection,
    library: Option<Library>,
}

/// Digests of the rows that PostgreSQL knows of with the same key cells: the stored one, and quarantined ones as they
/// come.
struct Known(Vec<Digest>);

/// Writes what PostgreSQL holds into the library at `to`.
pub(super) async fn copy(from: &str, to: &Path, options: &Options) -> Result<Report, MigrateError> {
    written(from, to, options, !options.dry_run).await
}

/// Writes what PostgreSQL holds into a new library.
pub(super) async fn export(from: &str, file: &Path) -> Result<(), MigrateError> {
    if file.exists() {
        return Err(MigrateError(format!(
            "The file {} is there already; name one that is not.",
            file.display()
        )));
    }
    let report = written(from, file, &Options::default(), false).await?;
    let refused =
        report.tables.iter().flat_map(|table| table.listed.iter()).find(|row| row.what == "conflict");
    match refused {
        None => Ok(()),
        Some(row) => Err(MigrateError(format!("SQLite does not take every row: {} ({}).", row.row, row.why))),
    }
}

async fn written(from: &str, to: &Path, options: &Options, agreeing: bool) -> Result<Report, MigrateError> {
    let source = Target::parse(from).map_err(MigrateError)?;
    let mut writer = source.connect_one().await.map_err(MigrateError)?;
    let failed = |error: sqlx::Error| MigrateError(source.explain(&error));
    one_at_a_time(&mut writer).await.map_err(failed)?;
    if agreeing {
        schema::apply(&mut writer, &source).await?;
    }
    let mut reader = source.connect_one().await.map_err(MigrateError)?;
    reader.execute(sqlx::raw_sql(stored::AS_OF_NOW)).await.map_err(failed)?;
    let library = Library::open(to, options.dry_run)?;
    // A file that is only being made agrees to nothing yet: the run may fail, and another file stay in use.
    let agreeing = agreeing && !library.is_new();
    let run = Run { options, agreeing, source, path: to.to_owned(), reader, writer, library: Some(library) };
    let tables = run.tables().await?;
    Ok(Report { direction: Direction::ToSqlite, dry_run: options.dry_run, tables })
}

// === impl Run ===

impl Run<'_> {
    async fn tables(mut self) -> Result<Vec<TableReport>, MigrateError> {
        let mut reports = Vec::new();
        for table in self.options.tables() {
            let mut report = TableReport::new(table);
            self.table(table, &mut report).await?;
            self.quarantined(table, &mut report).await?;
            reports.push(report);
        }
        if self.options.content {
            self.tombstones(&mut reports).await?;
        }
        // What was read is read, however the goodbye goes.
        let _ = self.reader.close().await;
        let _ = self.writer.close().await;
        if let Some(library) = self.library.take() {
            library.finish()?;
        }
        Ok(reports)
    }

    async fn table(&mut self, table: Table, report: &mut TableReport) -> Result<(), MigrateError> {
        let failed = |error: sqlx::Error| MigrateError(self.source.explain(&error));
        let mut progress = Progress::new(table.name(), self.options.progress);
        let of = count(&mut self.reader, table).await.map_err(failed)?;
        let (select, order) = (stored::select(table), stored::key_order(table));
        let mut rows =
            sqlx::query(constant_sql(format!("{select} ORDER BY {order}"))).fetch(&mut self.reader);
        loop {
            let (mut batch, mut bytes) = (Vec::new(), 0);
            while batch.len() < self.options.batch && bytes < BATCH_BYTES {
                let Some(row) = rows.next().await else { break };
                let row = row.and_then(|row| stored::read(table, &row)).map_err(failed)?;
                bytes += row.row.size();
                batch.push(row);
            }
            if batch.is_empty() {
                break;
            }
            let read = batch.len() as u64;
            report.read += read;
            let library = self.library.take();
            let overwrite = self.options.overwrite;
            let (library, put) =
                blocking(library, move |library| library.put_all(table, batch, overwrite)).await;
            self.library = library;
            let agreed = note(put.map_err(|error| unwritable(table, &self.path, &error))?, report);
            if self.agreeing {
                let agreed: Vec<(&Key, Digest)> = agreed.iter().map(|(key, digest)| (key, *digest)).collect();
                target::agree(&mut self.writer, table, &agreed).await.map_err(failed)?;
            }
            progress.advance(read, of);
        }
        progress.finish();
        Ok(())
    }

    /// Rows that came from SQLite and that PostgreSQL could not hold: they are part of the library all the same.
    async fn quarantined(&mut self, table: Table, report: &mut TableReport) -> Result<(), MigrateError> {
        let failed = |error: sqlx::Error| MigrateError(self.source.explain(&error));
        let sql = "SELECT source_key, source_row FROM migration_quarantine \
                   WHERE source_table = $1 ORDER BY id";
        let mut rows = sqlx::query_as::<_, (String, Value)>(sql).bind(table.name()).fetch(&mut self.reader);
        let mut known: HashMap<String, Known> = HashMap::new();
        while let Some((name, exact)) = rows.try_next().await.map_err(failed)? {
            report.read += 1;
            let row = whole(&exact);
            let cells: Vec<Value> =
                table.key_columns().iter().map(|column| row.cell(column).exact()).collect();
            let known = match known.entry(Value::from(cells).to_string()) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(first) => {
                    let keys: Vec<Key> = row.key(table).into_iter().collect();
                    let keys: Vec<&Key> = keys.iter().collect();
                    let stored = stored::find(&mut self.writer, table, &keys, false).await.map_err(failed)?;
                    first.insert(Known(stored.into_values().map(|stored| stored.digest).collect()))
                }
            };
            let digest = row.digest(table);
            known.0.push(digest);
            let alike = known.0.iter().filter(|known| **known == digest).count();
            let (library, known) = (self.library.take(), known.0.len());
            let (library, put) =
                blocking(library, move |library| library.put_back(table, &row, known, alike)).await;
            self.library = library;
            match put {
                Ok(Put::Inserted) => report.inserted += 1,
                Ok(Put::Same) => report.unchanged += 1,
                Ok(Put::Updated | Put::Stays) => {
                    report.keep(&name, "PostgreSQL could not hold it, and SQLite has another or none")
                }
                // It stays where it is; a snapshot of what PostgreSQL holds goes on.
                Ok(Put::Conflict(why)) => report.quarantine(&name, &why),
                Err(error) => return Err(unwritable(table, &self.path, &error)),
            }
        }
        Ok(())
    }

    /// Takes from the file what was deleted in PostgreSQL and is not there again.
    async fn tombstones(&mut self, reports: &mut [TableReport]) -> Result<(), MigrateError> {
        let failed = |error: sqlx::Error| MigrateError(self.source.explain(&error));
        let sql = "SELECT t.id, CASE WHEN t.named THEN t.video_id END, \
                      floor(extract(epoch FROM t.deleted_at) * 1000000)::bigint FROM tombstones t \
                   WHERE NOT EXISTS (SELECT 1 FROM content c \
                      WHERE c.id = t.id OR (t.named AND c.video_id = t.video_id)) ORDER BY t.id";
        let mut rows = sqlx::query_as::<_, (String, Option<String>, i64)>(sql).fetch(&mut self.reader);
        while let Some((id, video, deleted_at)) = rows.try_next().await.map_err(failed)? {
            let (library, name) = (self.library.take(), id.clone());
            let (library, removed) =
                blocking(library, move |library| library.remove(&name, video.as_deref(), deleted_at)).await;
            self.library = library;
            let removed = removed.map_err(|error| unwritable(Table::Content, &self.path, &error))?;
            for (table, count) in removed.rows {
                if let Some(report) = reports.iter_mut().find(|report| report.table == table.name()) {
                    report.deleted += count;
                }
            }
            for (id, why) in removed.refused {
                if let Some(report) = reports.first_mut() {
                    report.read += 1;
                    report.conflict(&id, why);
                }
            }
        }
        Ok(())
    }
}

/// Counts what became of the rows; gives those that both sides now have alike.
fn note(put: Vec<(Stored, Put)>, report: &mut TableReport) -> Vec<(Key, Digest)> {
    let mut agreed = Vec::new();
    for (row, put) in put {
        let alike = match put {
            Put::Inserted => {
                report.inserted += 1;
                true
            }
            Put::Updated => {
                report.updated += 1;
                true
            }
            Put::Same => {
                report.unchanged += 1;
                row.agreed != Some(row.digest)
            }
            Put::Stays => {
                report.keep(&row.key, "it was changed in SQLite");
                false
            }
            Put::Conflict(why) => {
                report.conflict(&row.key, &why);
                false
            }
        };
        if alike {
            agreed.push((row.key, row.digest));
        }
    }
    agreed
}

/// Runs `work` on the library off the async threads and gives the library back.
async fn blocking<T: Send + 'static>(
    library: Option<Library>,
    work: impl FnOnce(&mut Library) -> rusqlite::Result<T> + Send + 'static,
) -> (Option<Library>, rusqlite::Result<T>) {
    let Some(mut library) = library else { return (None, Err(rusqlite::Error::InvalidQuery)) };
    let done = tokio::task::spawn_blocking(move || {
        let result = work(&mut library);
        (library, result)
    });
    match done.await {
        Ok((library, result)) => (Some(library), result),
        // The thread panicked, which takes a bug in SQLite's binding.
        Err(_) => (None, Err(rusqlite::Error::InvalidQuery)),
    }
}

async fn count(connection: &mut PgConnection, table: Table) -> Result<u64, sqlx::Error> {
    let sql = match table {
        Table::Content => "SELECT count(*) FROM content",
        Table::Legacy => "SELECT count(*) FROM content_summaries WHERE legacy",
        Table::Variants => "SELECT count(*) FROM content_summaries WHERE NOT legacy",
    };
    let count: i64 = sqlx::query_scalar(sql).fetch_one(connection).await?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// A quarantined row as it was.
pub(crate) fn whole(exact: &Value) -> Row {
    let mut row = Row::new(Columns::new(Vec::new()), Vec::new());
    for (name, cell) in exact.as_object().into_iter().flatten() {
        row.add(name.clone(), from_exact(cell).unwrap_or_default());
    }
    row
}

/// Says that the file cannot be written.
fn unwritable(table: Table, path: &Path, error: &rusqlite::Error) -> MigrateError {
    use rusqlite::ErrorCode;
    let (name, path) = (table.name(), path.display());
    let kept = "whole batches are stored and a further run goes on";
    MigrateError(match error.sqlite_error_code() {
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
            format!(
                "The SQLite library {path} is read-only; give the user rights on the file and its directory."
            )
        }
        Some(ErrorCode::DiskFull) => {
            format!("No disk space is left for the SQLite library {path}; {kept} once some is free.")
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("The SQLite library {path} is locked by another program; {kept} once that is done.")
        }
        Some(_) => format!("Table {name} of the SQLite library {path} cannot be written ({error}); {kept}."),
        None => return unreadable(table, Path::new(&path.to_string()), error),
    })
}
