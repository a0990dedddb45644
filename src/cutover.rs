//! Who is primary, and how that changes: compare-and-set, on disk first, audited.

pub mod gate;
pub mod stats;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use chrono::Utc;
use tokio::sync::Mutex;

use self::gate::{Gate, Readiness};
use crate::metrics::Metrics;
use crate::side::{Pair, Side};
use crate::state::{AuditEntry, StateError, StateStore, Stored, rfc3339};

/// The state machine. Reading it costs one atomic load.
#[derive(Debug)]
pub struct Cutover {
    dial: AtomicU8,
    stored: Mutex<Stored>,
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
            stored: Mutex::new(stored),
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
    pub async fn flip(&self, change: Change) -> Result<Stored, Refused> {
        let mut stored = self.stored.lock().await;
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
        self.commit(&mut stored, "flip", &change, &readiness).await?;
        Ok(*stored)
    }

    /// Goes back to *from*. Never gated; where it is there already, nothing changes.
    ///
    /// # Errors
    /// Only if it could not be put on disk.
    pub async fn rollback(&self, reason: String, source: String) -> Result<Stored, Refused> {
        let mut stored = self.stored.lock().await;
        if self.primary() == Side::From {
            return Ok(*stored);
        }
        let change = Change { to: Side::From, expect: None, reason, force: false, dry_run: false, source };
        let readiness = self.readiness();
        self.commit(&mut stored, "rollback", &change, &readiness).await?;
        Ok(*stored)
    }

    async fn commit(
        &self,
        stored: &mut Stored,
        action: &str,
        change: &Change,
        readiness: &Readiness,
    ) -> Result<(), StateError> {
        let next = Stored { dial: dial_of(change.to), since: Utc::now(), version: stored.version + 1 };
        let entry = AuditEntry {
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
        };
        let store = self.store.clone();
        blocking(move || store.save(&next, Some(&entry))).await?;
        *stored = next;
        self.dial.store(next.dial, Ordering::Release);
        self.show(next.dial);
        self.metrics.flipped(change.to, "operator");
        tracing::info!(action, to = %self.names.get(change.to), version = next.version, "primary changed");
        Ok(())
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
        Err(e) => Err(StateError::Directory { path: "state".into(), source: std::io::Error::other(e) }),
    }
}
