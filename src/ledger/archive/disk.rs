//! `samples.db` itself.

use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::Utc;
use rusqlite::{Connection, OptionalExtension, params};

use super::{PACE, Restored};
use crate::ledger::books::Placed;
use crate::ledger::evidence::Page;
use crate::ledger::finding::Finding;
use crate::ledger::sample::Sample;

/// Schema, idempotent. Documents are JSON.
pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS samples (
        id INTEGER PRIMARY KEY,
        bytes INTEGER NOT NULL,
        document TEXT NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS findings (
        id TEXT PRIMARY KEY,
        document TEXT NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS evidence (
        epoch INTEGER NOT NULL,
        route TEXT NOT NULL,
        key TEXT NOT NULL,
        document TEXT NOT NULL,
        written_ms INTEGER NOT NULL,
        PRIMARY KEY (epoch, route, key)
    ) STRICT, WITHOUT ROWID;";
/// Evidence not written for so long lies outside every window: 25 hours, in milliseconds.
const EVIDENCE_AGE: i64 = 25 * 3600 * 1000;
/// How often evidence that is too old is deleted.
const PRUNE: Duration = Duration::from_secs(60);

/// The open file.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) connection: Connection,
    /// Of all samples, as SQLite counts.
    bytes: i64,
    most: i64,
    pruned: Option<Instant>,
}

// === impl Disk ===

impl Disk {
    pub(super) fn open(path: &Path, most: usize) -> rusqlite::Result<(Self, Restored)> {
        let connection = Connection::open(path)?;
        // Whoever looks into the file with a tool of his own is waited for.
        connection.busy_timeout(PACE)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.execute_batch(SCHEMA)?;
        let (bytes, last): (i64, i64) = connection.query_row(
            "SELECT coalesce(sum(bytes), 0), coalesce(max(id), 0) FROM samples",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let findings = findings(&connection)?;
        let named = findings.iter().flat_map(|finding| finding.samples.iter().copied()).max();
        let last_sample = u64::try_from(last).unwrap_or(0).max(named.unwrap_or(0));
        let disk = Disk { connection, bytes, most: signed(most), pruned: None };
        Ok((disk, Restored { findings, last_sample }))
    }

    /// Stores one sample; gives the ids of those that made room for it.
    pub(super) fn keep(&mut self, sample: &Sample) -> rusqlite::Result<Vec<u64>> {
        let document = document(sample)?;
        let size = signed(document.len());
        let transaction = self.connection.transaction()?;
        let mut bytes = self.bytes;
        let mut evicted = Vec::new();
        while bytes + size > self.most {
            let oldest = "DELETE FROM samples WHERE id = (SELECT min(id) FROM samples) RETURNING id, bytes";
            let gone: Option<(i64, i64)> =
                transaction.query_row(oldest, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            let Some((id, freed)) = gone else { break };
            bytes -= freed;
            evicted.push(id.unsigned_abs());
        }
        if size > self.most {
            evicted.push(sample.id);
        } else {
            transaction.execute(
                "INSERT OR REPLACE INTO samples (id, bytes, document) VALUES (?1, ?2, ?3)",
                params![row(sample.id), size, document],
            )?;
            bytes += size;
        }
        transaction.commit()?;
        self.bytes = bytes;
        Ok(evicted)
    }

    pub(super) fn save(&mut self, findings: &[Finding], evicted: &[String]) -> rusqlite::Result<()> {
        if findings.is_empty() && evicted.is_empty() {
            return Ok(());
        }
        let transaction = self.connection.transaction()?;
        for id in evicted {
            transaction.execute("DELETE FROM findings WHERE id = ?1", [id])?;
        }
        for finding in findings {
            transaction.execute(
                "INSERT OR REPLACE INTO findings (id, document) VALUES (?1, ?2)",
                params![finding.id, document(finding)?],
            )?;
        }
        transaction.commit()
    }

    /// Stores evidence of `epoch`, and now and then deletes what is of another or too old.
    pub(super) fn save_evidence(&mut self, epoch: i64, pages: &[Placed]) -> rusqlite::Result<()> {
        let now = Utc::now().timestamp_millis();
        let prune = self.pruned.is_none_or(|at| at.elapsed() >= PRUNE);
        if pages.is_empty() && !prune {
            return Ok(());
        }
        let transaction = self.connection.transaction()?;
        for Placed { route, page } in pages {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO evidence VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![epoch, route, page.key, page.document, now])?;
        }
        if prune {
            let old = "DELETE FROM evidence WHERE epoch <> ?1 OR written_ms < ?2";
            transaction.execute(old, params![epoch, now - EVIDENCE_AGE])?;
        }
        transaction.commit()?;
        if prune {
            self.pruned = Some(Instant::now());
        }
        Ok(())
    }

    /// The evidence of `epoch`.
    pub(super) fn pages(&self, epoch: i64) -> rusqlite::Result<Vec<Placed>> {
        let mut statement =
            self.connection.prepare("SELECT route, key, document FROM evidence WHERE epoch = ?1")?;
        let pages = statement.query_map([epoch], |row| {
            Ok(Placed { route: row.get(0)?, page: Page { key: row.get(1)?, document: row.get(2)? } })
        })?;
        pages.collect()
    }

    /// The highest id of a sample within `numbers`.
    pub(super) fn last_sample_within(&self, numbers: &Range<u64>) -> rusqlite::Result<Option<u64>> {
        let last = "SELECT max(id) FROM samples WHERE id >= ?1 AND id < ?2";
        let bounds = params![row(numbers.start), row(numbers.end)];
        let last: Option<i64> = self.connection.query_row(last, bounds, |row| row.get(0))?;
        Ok(last.map(i64::unsigned_abs))
    }

    pub(super) fn sample(&self, id: u64) -> rusqlite::Result<Option<Sample>> {
        let document: Option<String> = self
            .connection
            .query_row("SELECT document FROM samples WHERE id = ?1", [row(id)], |row| row.get(0))
            .optional()?;
        Ok(document.and_then(|document| serde_json::from_str(&document).ok()))
    }
}

/// A sample's id as SQLite keeps it. No id ever reaches the highest.
fn row(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn document(of: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(of).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))
}

/// The findings kept; one that an older flipgate wrote in a form that is no longer read is left out.
fn findings(connection: &Connection) -> rusqlite::Result<Vec<Finding>> {
    let mut statement = connection.prepare("SELECT document FROM findings")?;
    let documents = statement.query_map([], |row| row.get::<_, String>(0))?;
    documents
        .filter_map(|document| match document {
            Ok(document) => serde_json::from_str(&document).ok().map(Ok),
            Err(error) => Some(Err(error)),
        })
        .collect()
}
