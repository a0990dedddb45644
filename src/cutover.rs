//! Who is primary, and how that changes: compare-and-set, on disk first, audited.

pub mod gate;
pub mod quarantine;
pub mod stats;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use chrono::Utc;
use tokio::sync::{Mutex, OwnedMutexGuard};

use self::gate::{Gate, Readiness};
use crate::metrics::Metrics;
use crate::side::{Pair, Side};
use crate::state::{AuditEntry, StateError, StateStore, Stored, rfc3339};

/// The state machine. Reading it costs one atomic load.
#[derive(Debug)]
pub struct Cutover {
    dial: AtomicU8,
    stored: Arc<Mutex<Stored>>,
    store: StateStore,
    gate: Gate,
    metrics: Arc<Metrics>,
    names: Pair<String>,
}

/// A change that an operator asks for.
#[derive(Debug, Clone)]
pub struct Change {
    /// The primary wanted.
    pub to: Side,
    /// Refuse unless this is the primary now.
    pub expect: Option<Side>,
    /// Why, in the operator's words.
    pub reason: String,
    /// Override the gate (audited).
    pub force: bool,
    /// Only say what would happen.
    pub dry_run: bool,
    /// From where: the caller's address.
    pub source: String,
}

/// Why a change did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Another one is primary now.
    #[error("the primary is {0} now")]
    Expected(String),
    /// The gate's conditions are not met.
    #[error("not ready")]
    NotReady(Box<Readiness>),
    /// It could not be put on disk, so it did not happen.
    #[error(transparent)]
    State(#[from] StateError),
}

// === impl Cutover ===

impl Cutover {
    /// Takes up the stored state; where there is none, `initial` becomes it.
    ///
    /// # Errors
    /// If the state cannot be read or written.
    pub fn open(
        store: StateStore,
        initial: Side,
        gate: Gate,
        metrics: Arc<Metrics>,
        names: Pair<String>,
    ) -> Result<Self, StateError> {
        let stored = match store.load()? {
            Some(stored) => stored,
            None => {
                let stored = Stored { dial: dial_of(initial), since: Utc::now(), version: 1 };
                store.save(&stored, None)?;
                stored
            }
        };
        let cutover = Cutover {
            dial: AtomicU8::new(stored.dial),
            stored: Arc::new(Mutex::new(stored)),
            store,
            gate,
            metrics,
            names,
        };
        cutover.show(stored.dial);
        Ok(cutover)
    }

    /// Who serves a request that begins now.
    #[must_use]
    pub fn primary(&self) -> Side {
        if self.dial.load(Ordering::Acquire) == 0 { Side::From } else { Side::To }
    }

    /// Who takes writes first: *from*, until a flip to *to*.
    #[must_use]
    pub fn leader(&self) -> Side {
        self.primary()
    }

    /// Primary, since when, and how often it changed.
    pub async fn status(&self) -> Stored {
        *self.stored.lock().await
    }

    /// What the gate says now.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.gate.readiness()
    }

    /// The latest changes.
    ///
    /// # Errors
    /// If the state file cannot be read.
    pub async fn audit(&self) -> Result<Vec<AuditEntry>, StateError> {
        let store = self.store.clone();
        blocking(move || store.audit()).await
    }

    /// Changes the primary, if the gate allows it. Going to *from* is never gated.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed then.
    pub async fn flip(self: &Arc<Self>, change: Change) -> Result<Stored, Refused> {
        let stored = Arc::clone(&self.stored).lock_owned().await;
        let now = self.primary();
        if let Some(expect) = change.expect
            && expect != now
        {
            return Err(Refused::Expected(self.names.get(now).clone()));
        }
        if change.to == now {
            return Ok(*stored);
        }
        let readiness = self.readiness();
        if change.to == Side::To && !readiness.ready && !change.force {
            return Err(Refused::NotReady(Box::new(readiness)));
        }
        if change.dry_run {
            return Ok(*stored);
        }
        self.commit(stored, "flip", change, readiness).await
    }

    /// Goes back to *from*. Never gated; where it is there already, nothing changes.
    ///
    /// # Errors
    /// Only if it could not be put on disk.
    pub async fn rollback(self: &Arc<Self>, reason: String, source: String) -> Result<Stored, Refused> {
        let stored = Arc::clone(&self.stored).lock_owned().await;
        if self.primary() == Side::From {
            return Ok(*stored);
        }
        let change = Change { to: Side::From, expect: None, reason, force: false, dry_run: false, source };
        let readiness = self.readiness();
        self.commit(stored, "rollback", change, readiness).await
    }

    /// Puts a change on disk and then in force, in a task of its own: a caller who hangs up in between must not leave a
    /// primary on disk that is not in force.
    async fn commit(
        self: &Arc<Self>,
        mut stored: OwnedMutexGuard<Stored>,
        action: &'static str,
        change: Change,
        readiness: Readiness,
    ) -> Result<Stored, Refused> {
        let cutover = Arc::clone(self);
        let committing = tokio::spawn(async move {
            let next = Stored { dial: dial_of(change.to), since: Utc::now(), version: stored.version + 1 };
            let entry = cutover.audit_entry(action, &next, &change, &readiness);
            let store = cutover.store.clone();
            blocking(move || store.save(&next, Some(&entry))).await?;
            *stored = next;
            cutover.dial.store(next.dial, Ordering::Release);
            cutover.show(next.dial);
            cutover.metrics.flipped(change.to, "operator");
            let to = cutover.names.get(change.to);
            tracing::info!(action, %to, version = next.version, "primary changed");
            Ok(next)
        });
        committing
            .await
            .unwrap_or_else(|e| Err(StateError::Interrupted(e.to_string())))
            .map_err(Refused::State)
    }

    fn audit_entry(&self, action: &str, next: &Stored, change: &Change, readiness: &Readiness) -> AuditEntry {
        AuditEntry {
            at: rfc3339(next.since),
            action: action.to_owned(),
            from: self.names.get(change.to.other()).clone(),
            to: self.names.get(change.to).clone(),
            trigger: "operator".to_owned(),
            source: change.source.clone(),
            reason: change.reason.clone(),
            forced: change.force && !readiness.ready,
            evidence: serde_json::to_value(readiness).unwrap_or_default(),
            finding: None,
        }
    }

    fn show(&self, dial: u8) {
        let to = f64::from(dial) / 100.0;
        self.metrics.set_primary(&Pair { from: 1.0 - to, to });
    }
}

fn dial_of(primary: Side) -> u8 {
    match primary {
        Side::From => 0,
        Side::To => 100,
    }
}

/// Runs disk work off the async threads. A task that was cancelled or panicked counts as not done.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StateError> + Send + 'static,
) -> Result<T, StateError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) => Err(StateError::Interrupted(e.to_string())),
    }
}
