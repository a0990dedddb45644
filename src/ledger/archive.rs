//! Samples and findings on disk: `samples.db` in the state directory, written by a thread of its own.
//!
//! Nothing on the comparators' way waits for the disk: a sample waits in a bounded queue, and is dropped and counted
//! where that is full. Not for: who is primary and what an operator judged (`state`), which are on disk at once.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use chrono::Utc;
use rusqlite::Connection;

use super::books::Books;
use super::finding::Finding;
use super::findings::Findings;
use super::lock;
use super::outgoing::Outgoing;
use super::sample::Sample;
use crate::metrics::Metrics;
use crate::state::{StateError, StateStore};

mod disk;

use self::disk::{Disk, SCHEMA};

/// How long a finding or evidence that changed may wait to be written.
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
    path: PathBuf,
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
        let epoch = keeps.books.epoch();
        for placed in disk.pages(epoch).map_err(failed)? {
            keeps.books.restore(epoch, None, &placed);
        }
        let shared = Arc::new(Shared {
            path,
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

    /// The highest id within `numbers` of a sample on disk.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn last_sample_within(&self, numbers: &Range<u64>) -> Result<Option<u64>, StateError> {
        let last = lock(&self.shared.disk).last_sample_within(numbers);
        last.map_err(|source| StateError::File { path: self.shared.path.clone(), source })
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
        let (epoch, pages) = self.keeps.books.take_changed();
        self.keeps.outgoing.pages(epoch, &pages);
        if let Err(error) = disk.save_evidence(epoch, &pages) {
            tracing::warn!(%error, "evidence cannot be kept: samples.db cannot be written");
        }
    }
}

/// Forgets the evidence that an earlier run left in `directory`.
///
/// # Errors
/// If it is still there.
pub fn forget_evidence(directory: &Path) -> Result<(), StateError> {
    let path = directory.join("samples.db");
    let forgotten = Connection::open(&path).and_then(|connection| {
        connection.busy_timeout(PACE)?;
        connection.execute_batch(SCHEMA)?;
        connection.execute("DELETE FROM evidence", [])
    });
    forgotten.map(|_| ()).map_err(|source| StateError::File { path, source })
}

#[cfg(test)]
mod tests;
