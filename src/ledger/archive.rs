//! Samples and findings on disk: `samples.db` in the state directory, written by a thread of its own.
//!
//! Nothing on the comparators' way waits for the disk: a sample waits in a bounded queue, and is dropped and counted
//! where that is full. Not for: who is primary and what an operator judged (`state`), which are on disk at once.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::Utc;
use rusqlite::{Connection, OptionalExtension, params};

use super::books::{Books, Placed};
use super::evidence::Page;
use super::finding::Finding;
use super::findings::Findings;
use super::lock;
use super::outgoing::Outgoing;
use super::sample::Sample;
use crate::metrics::Metrics;
use crate::state::{StateError, StateStore};

/// Schema, idempotent. Documents are JSON.
const SCHEMA: &str = "
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
/// How long a finding or evidence that changed may wait to be written.
const PACE: Duration = Duration::from_secs(1);
/// Evidence not written for so long lies outside every window: 25 hours, in milliseconds.
const EVIDENCE_AGE: i64 = 25 * 3600 * 1000;
/// How often evidence that is too old is deleted.
const PRUNE: Duration = Duration::from_secs(60);

/// What bounds the archive.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of all samples on disk; the oldest go first.
    pub stored: usize,
    /// Samples waiting to be written.
    pub waiting: usize,
    /// Bytes of the samples waiting.
    pub waiting_bytes: usize,
}

/// The archive and its writer. Dropping it writes what waits.
#[derive(Debug)]
pub struct Archive {
    shared: Arc<Shared>,
    writer: Option<std::thread::JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    bounds: Bounds,
    waiting: Mutex<Waiting>,
    wake: Condvar,
    disk: Mutex<Disk>,
    keeps: Keeps,
    store: StateStore,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Waiting {
    samples: VecDeque<Arc<Sample>>,
    bytes: usize,
    closing: bool,
}

#[derive(Debug)]
struct Disk {
    connection: Connection,
    /// Of all samples, as SQLite counts.
    bytes: i64,
    most: i64,
    pruned: Option<Instant>,
}

/// What is written once it has changed.
#[derive(Debug)]
pub struct Keeps {
    /// All findings.
    pub findings: Arc<Mutex<Findings>>,
    /// All evidence.
    pub books: Arc<Books>,
    /// What the other replicas are to be told, once there are others.
    pub outgoing: Arc<Outgoing>,
}

/// What an earlier run left.
#[derive(Debug)]
pub struct Restored {
    /// Its findings.
    pub findings: Vec<Finding>,
    /// The highest id of a sample it made.
    pub last_sample: u64,
}

// === impl Bounds ===

impl Default for Bounds {
    fn default() -> Self {
        Bounds { stored: 64 << 20, waiting: 64, waiting_bytes: 32 << 20 }
    }
}

// === impl Archive ===

impl Archive {
    /// Opens or makes the archive in `directory`, which the state store holds against a second flipgate.
    ///
    /// # Errors
    /// If the file cannot be read, or its writer not be started.
    pub fn open(
        directory: &Path,
        bounds: Bounds,
        keeps: Keeps,
        store: StateStore,
        metrics: Arc<Metrics>,
    ) -> Result<(Self, Restored), StateError> {
        let path = directory.join("samples.db");
        let failed = |source| StateError::File { path: path.clone(), source };
        let (disk, restored) = Disk::open(&path, bounds.stored).map_err(failed)?;
        for placed in disk.pages(keeps.books.epoch()).map_err(failed)? {
            keeps.books.restore(None, &placed);
        }
        let shared = Arc::new(Shared {
            bounds,
            waiting: Mutex::default(),
            wake: Condvar::new(),
            disk: Mutex::new(disk),
            keeps,
            store,
            metrics,
        });
        let writing = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("archive".into())
            .spawn(move || writing.run())
            .map_err(|source| StateError::Directory { path: PathBuf::from(directory), source })?;
        Ok((Archive { shared, writer: Some(writer) }, restored))
    }

    /// Queues a sample; false, and counted, where there is no room for it.
    #[must_use]
    pub fn keep(&self, sample: Sample) -> bool {
        let size = sample.size();
        let mut waiting = lock(&self.shared.waiting);
        let bounds = &self.shared.bounds;
        if waiting.samples.len() >= bounds.waiting || waiting.bytes + size > bounds.waiting_bytes {
            self.shared.metrics.samples_dropped.inc();
            return false;
        }
        waiting.bytes += size;
        waiting.samples.push_back(Arc::new(sample));
        self.shared.wake.notify_one();
        true
    }

    /// The sample of this id, if it is still kept.
    #[must_use]
    pub fn sample(&self, id: u64) -> Option<Sample> {
        let waiting = lock(&self.shared.waiting).samples.iter().find(|sample| sample.id == id).cloned();
        if let Some(sample) = waiting {
            return Some((*sample).clone());
        }
        let found = lock(&self.shared.disk).sample(id);
        found.inspect_err(|error| tracing::warn!(%error, "samples.db cannot be read")).ok().flatten()
    }

    /// Writes all that waits. Blocks on the disk.
    pub fn flush(&self) {
        self.shared.write_out();
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        lock(&self.shared.waiting).closing = true;
        self.shared.wake.notify_one();
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has said so, and has nothing left to write.
            let _ = writer.join();
        }
    }
}

// === impl Shared ===

impl Shared {
    fn run(&self) {
        let mut closing = false;
        while !closing {
            let waiting = lock(&self.waiting);
            let idle = |waiting: &mut Waiting| waiting.samples.is_empty() && !waiting.closing;
            let (waiting, _timed_out) =
                self.wake.wait_timeout_while(waiting, PACE, idle).unwrap_or_else(PoisonError::into_inner);
            closing = waiting.closing;
            drop(waiting);
            self.write_out();
        }
    }

    /// Writes all that waits. A sample leaves the queue after it is on disk, so it can be read all the time.
    fn write_out(&self) {
        let mut disk = lock(&self.disk);
        loop {
            let Some(sample) = lock(&self.waiting).samples.front().cloned() else { break };
            let gone = match disk.keep(&sample) {
                Ok(evicted) => {
                    self.keeps.outgoing.sample(&sample);
                    evicted
                }
                Err(error) => {
                    tracing::warn!(%error, "a sample cannot be kept: samples.db cannot be written");
                    self.metrics.samples_dropped.inc();
                    vec![sample.id]
                }
            };
            let mut waiting = lock(&self.waiting);
            waiting.samples.pop_front();
            waiting.bytes -= sample.size();
            drop(waiting);
            lock(&self.keeps.findings).forget_samples(&gone);
        }
        let (changed, transitions, evicted) = {
            let mut findings = lock(&self.keeps.findings);
            findings.settle(Utc::now());
            (findings.take_changed(), findings.take_transitions(), findings.take_evicted())
        };
        for transition in transitions {
            self.keeps.outgoing.transition(&transition);
            let id = &transition.finding.id;
            if let Err(error) = self.store.judge(id, None, &transition.audit()) {
                tracing::warn!(%error, finding = %id, "a finding's change is not in the audit");
            }
        }
        if let Err(error) = disk.save(&changed, &evicted) {
            tracing::warn!(%error, "findings cannot be kept: samples.db cannot be written");
        }
        // The epoch is read first: pages taken after it changed would be of the next one.
        let epoch = self.keeps.books.epoch();
        let pages = self.keeps.books.take_changed();
        self.keeps.outgoing.pages(epoch, &pages);
        if let Err(error) = disk.save_evidence(epoch, &pages) {
            tracing::warn!(%error, "evidence cannot be kept: samples.db cannot be written");
        }
    }
}

// === impl Disk ===

impl Disk {
    fn open(path: &Path, most: usize) -> rusqlite::Result<(Self, Restored)> {
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
    fn keep(&mut self, sample: &Sample) -> rusqlite::Result<Vec<u64>> {
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

    fn save(&mut self, findings: &[Finding], evicted: &[String]) -> rusqlite::Result<()> {
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
    fn save_evidence(&mut self, epoch: i64, pages: &[Placed]) -> rusqlite::Result<()> {
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
    fn pages(&self, epoch: i64) -> rusqlite::Result<Vec<Placed>> {
        let mut statement =
            self.connection.prepare("SELECT route, key, document FROM evidence WHERE epoch = ?1")?;
        let pages = statement.query_map([epoch], |row| {
            Ok(Placed { route: row.get(0)?, page: Page { key: row.get(1)?, document: row.get(2)? } })
        })?;
        pages.collect()
    }

    fn sample(&self, id: u64) -> rusqlite::Result<Option<Sample>> {
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

#[cfg(test)]
mod tests;
