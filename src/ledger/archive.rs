//! Samples and findings on disk: `samples.db` in the state directory, written by a thread of its own.
//!
//! Nothing on the comparators' way waits for the disk: a sample waits in a bounded queue, and is dropped and counted
//! where that is full. Not for: who is primary and what an operator judged (`state`), which are on disk at once.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use chrono::Utc;
use rusqlite::{Connection, OptionalExtension, params};

use super::finding::Finding;
use super::findings::Findings;
use super::lock;
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
    ) STRICT;";
/// How long a finding that changed may wait to be written.
const PACE: Duration = Duration::from_secs(1);

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
    findings: Arc<Mutex<Findings>>,
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
        findings: Arc<Mutex<Findings>>,
        store: StateStore,
        metrics: Arc<Metrics>,
    ) -> Result<(Self, Restored), StateError> {
        let path = directory.join("samples.db");
        let (disk, restored) = Disk::open(&path, bounds.stored)
            .map_err(|source| StateError::File { path: path.clone(), source })?;
        let shared = Arc::new(Shared {
            bounds,
            waiting: Mutex::default(),
            wake: Condvar::new(),
            disk: Mutex::new(disk),
            findings,
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
                Ok(evicted) => evicted,
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
            lock(&self.findings).forget_samples(&gone);
        }
        let (changed, transitions) = {
            let mut findings = lock(&self.findings);
            findings.settle(Utc::now());
            (findings.take_changed(), findings.take_transitions())
        };
        for transition in transitions {
            let id = &transition.finding.id;
            if let Err(error) = self.store.judge(id, None, &transition.audit()) {
                tracing::warn!(%error, finding = %id, "a finding's change is not in the audit");
            }
        }
        if let Err(error) = disk.save(&changed) {
            tracing::warn!(%error, "findings cannot be kept: samples.db cannot be written");
        }
    }
}

// === impl Disk ===

impl Disk {
    fn open(path: &Path, most: usize) -> rusqlite::Result<(Self, Restored)> {
        let connection = Connection::open(path)?;
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
        let disk = Disk { connection, bytes, most: signed(most) };
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

    fn save(&mut self, findings: &[Finding]) -> rusqlite::Result<()> {
        if findings.is_empty() {
            return Ok(());
        }
        let transaction = self.connection.transaction()?;
        for finding in findings {
            transaction.execute(
                "INSERT OR REPLACE INTO findings (id, document) VALUES (?1, ?2)",
                params![finding.id, document(finding)?],
            )?;
        }
        transaction.commit()
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
