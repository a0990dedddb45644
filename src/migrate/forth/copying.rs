//! One table on one connection: batches into transactions, outcomes into the report.

use std::collections::HashSet;
use std::sync::Arc;

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Postgres, Transaction};

use super::Run;
use crate::migrate::report::TableReport;
use crate::migrate::row::{Row, Table};
use crate::migrate::source::{Batch, Sourced};
use crate::migrate::target::{Outcome, Writer, buried, find_records, none_deleted, video};
use crate::migrate::tombstones::Fate;

/// Bytes of rows that wait in memory for other rows to give up a value, on one connection.
const MAX_WAITING: usize = 8 * 1024 * 1024;

/// One table under way.
pub(super) struct Copying {
    writer: Writer,
    report: TableReport,
    /// Rows that want a value another row has, and how that was said.
    waiting: Vec<(Sourced, String)>,
    waiting_bytes: usize,
    /// Names in quarantine when the table was begun.
    quarantined: Arc<HashSet<String>>,
}

// === impl Copying ===

impl Copying {
    pub(super) fn new(table: Table, empty: bool, overwrite: bool, quarantined: Arc<HashSet<String>>) -> Self {
        Self {
            writer: Writer { table, empty, overwrite },
            report: TableReport::new(table),
            waiting: Vec::new(),
            waiting_bytes: 0,
            quarantined,
        }
    }

    /// What two connections did.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.report.add(other.report);
        self.waiting.extend(other.waiting);
        self.waiting.sort_by_key(|(row, _)| row.nth);
        self
    }

    pub(super) fn table(&self) -> Table {
        self.writer.table
    }

    pub(super) fn finish(self) -> TableReport {
        self.report
    }

    /// Stores a batch as one transaction.
    pub(super) async fn batch(
        &mut self,
        run: &Run<'_>,
        connection: &mut PgConnection,
        batch: Batch,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = connection.begin().await?;
        self.report.read += batch.len() as u64;
        // A record that was copied and deleted meanwhile must not come in by the short way under another id.
        self.writer.empty = self.writer.empty && none_deleted(&mut transaction).await?;
        for row in batch.refused {
            self.quarantine(run, &mut transaction, &row.name, &row.row, row.reason).await?;
        }
        let rows = batch.rows.into_iter().filter_map(|row| self.unless_shared(row)).collect();
        let (rows, orphans) = find_records(&mut transaction, self.writer.table, rows).await?;
        self.orphans(run, &mut transaction, orphans).await?;
        let mut changing = None;
        for outcome in self.writer.store(&mut transaction, rows, &run.changing, &mut changing).await? {
            if let Some(outcome) = self.wait(outcome) {
                self.note(run, &mut transaction, outcome).await?;
            }
        }
        transaction.commit().await
    }

    /// Summaries of records that are not stored: deleted with them, or waiting in quarantine for them.
    async fn orphans(
        &mut self,
        run: &Run<'_>,
        transaction: &mut Transaction<'_, Postgres>,
        rows: Vec<Sourced>,
    ) -> Result<(), sqlx::Error> {
        let table = self.writer.table;
        let buried = buried(transaction, table, &rows.iter().collect::<Vec<_>>()).await?;
        for row in rows {
            let name = &row.key.record;
            if buried.fate(table, name, None) == Fate::Deleted || run.deleted_by_name().has(table, name) {
                self.report.tombstoned += 1;
                continue;
            }
            let column = table.key_columns().first().copied().unwrap_or_default();
            let reason = format!("no record with {column} {} is stored", row.key.record);
            self.quarantine(run, transaction, &row.name, &row.row, &reason).await?;
        }
        Ok(())
    }

    async fn quarantine(
        &mut self,
        run: &Run<'_>,
        transaction: &mut Transaction<'_, Postgres>,
        name: &str,
        row: &Row,
        reason: &str,
    ) -> Result<(), sqlx::Error> {
        if run.quarantine.put(transaction, self.writer.table, name, row, reason).await? {
            self.report.resolved += 1;
        } else {
            self.report.quarantine(&name, reason);
        }
        Ok(())
    }

    async fn note(
        &mut self,
        run: &Run<'_>,
        transaction: &mut Transaction<'_, Postgres>,
        outcome: Outcome,
    ) -> Result<(), sqlx::Error> {
        let report = &mut self.report;
        let stored = match outcome {
            Outcome::Inserted(row) => {
                report.inserted += 1;
                row
            }
            Outcome::Updated(row) => {
                report.updated += 1;
                row
            }
            Outcome::Unchanged(row) => {
                report.unchanged += 1;
                row
            }
            Outcome::Kept(row) => {
                report.keep(&row.key, "it was changed in PostgreSQL, or the source is an older copy");
                return Ok(());
            }
            Outcome::Conflict(row, why) => {
                report.conflict(&row.key, why);
                return Ok(());
            }
            Outcome::Tombstoned { row, by_name } => {
                report.tombstoned += 1;
                if by_name {
                    run.deleted_by_name().note(&row.key.record, video(&row));
                }
                return Ok(());
            }
            Outcome::Refused { row, reason, .. } => {
                return self.quarantine(run, transaction, &row.name, &row.row, &reason).await;
            }
        };
        report.repaired += u64::from(stored.repaired);
        if self.quarantined.contains(&stored.name) {
            run.quarantine.release(transaction, self.writer.table, &stored.name).await?;
        }
        Ok(())
    }

    /// Tries what waited for other rows until nothing more finds its place, and closes the table's quarantine.
    pub(super) async fn last_try(
        &mut self,
        run: &Run<'_>,
        connection: &mut PgConnection,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = connection.begin().await?;
        let mut changing = None;
        // By now there is what was stored, and there may be what was deleted.
        self.writer.empty = false;
        loop {
            let waiting: Vec<Sourced> = self.waiting.drain(..).map(|(row, _)| row).collect();
            self.waiting_bytes = 0;
            let before = waiting.len();
            for outcome in self.writer.store(&mut transaction, waiting, &run.changing, &mut changing).await? {
                if let Some(outcome) = self.wait(outcome) {
                    self.note(run, &mut transaction, outcome).await?;
                }
            }
            self.waiting.sort_by_key(|(row, _)| row.nth);
            // As long as some find their value free, others may have waited for these.
            if self.waiting.len() == before {
                break;
            }
        }
        for (row, reason) in std::mem::take(&mut self.waiting) {
            let refused = Outcome::Refused { row, reason, taken: true };
            self.note(run, &mut transaction, refused).await?;
        }
        run.quarantine.note_absent(&mut transaction, self.writer.table).await?;
        transaction.commit().await
    }

    /// Puts a row aside whose video an earlier row has; gives back any other.
    fn unless_shared(&mut self, row: Sourced) -> Option<Sourced> {
        if row.shared { self.put_aside(row, "an earlier row has its video_id".to_owned()) } else { Some(row) }
    }

    /// Puts a row aside that wants a value another row still has; gives back what need not or cannot wait.
    fn wait(&mut self, outcome: Outcome) -> Option<Outcome> {
        let Outcome::Refused { row, reason, taken: true } = outcome else { return Some(outcome) };
        let row = self.put_aside(row, reason.clone())?;
        Some(Outcome::Refused { row, reason, taken: true })
    }

    fn put_aside(&mut self, row: Sourced, reason: String) -> Option<Sourced> {
        let size = row.row.size();
        if self.waiting_bytes + size > MAX_WAITING {
            return Some(row);
        }
        self.waiting_bytes += size;
        self.waiting.push((row, reason));
        None
    }
}
