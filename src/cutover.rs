//! Who is primary, and how that changes: compare-and-set, on disk first, audited.

mod arrears;
mod commit;
mod epochs;
pub mod gate;
mod going_back;
mod merging;
pub mod quarantine;
mod sharing;
pub mod sticky;
mod taking_up;
pub mod watch;
mod watching;
mod writing;

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use chrono::Utc;
use tokio::sync::{Mutex, Notify};

use self::gate::{Condition, Gate, Readiness};
use self::watch::WatchRules;
use crate::journal::Journal;
use crate::ledger::Ledger;
use crate::ledger::seen::Log;
use crate::metrics::Metrics;
use crate::side::{Pair, Side};
use crate::state::shared::SharedStore;
use crate::state::{AuditEntry, Position, StateError, StateStore, Stored, rfc3339};

use self::arrears::Arrears;
use self::commit::Commit;
pub use self::epochs::Event;
pub use self::sharing::follow;
pub use self::taking_up::{Start, take_up};
pub use self::watching::watch;

/// How often a change is tried that others keep coming before.
const ATTEMPTS: usize = 5;

/// The state machine. Reading it costs one atomic load.
#[derive(Debug)]
pub struct Cutover {
    position: AtomicU64,
    /// What is in force.
    stored: RwLock<Stored>,
    /// Held by whoever changes it.
    changing: Arc<Mutex<()>>,
    /// Held by whoever follows the other replicas.
    following: Mutex<()>,
    /// Wakes whoever tells the other replicas.
    owing: Notify,
    /// What the others and the disk do not know yet.
    arrears: std::sync::Mutex<Arrears>,
    /// Counts rollbacks, so that a change that was on its way meanwhile is not obeyed after one.
    rollbacks: AtomicU64,
    /// Changes on their way to the state store.
    flights: AtomicUsize,
    /// The highest version of a change that the state store did not answer.
    doubted: AtomicI64,
    /// Whether these rules had their epoch since the start: another one with other rules may have begun one since.
    had_epoch: AtomicBool,
    parts: Parts,
}

/// What the state machine works with.
#[derive(Debug)]
pub struct Parts {
    /// Where the state is kept.
    pub store: StateStore,
    /// Where the state of all replicas is kept, if there are several.
    pub shared: Option<SharedStore>,
    /// Whether going forward is safe.
    pub gate: Gate,
    /// When to go back by itself.
    pub rules: WatchRules,
    /// What the new primary answered.
    pub seen: Arc<Log>,
    /// Whose evidence an epoch ends.
    pub ledger: Arc<Ledger>,
    /// Series.
    pub metrics: Arc<Metrics>,
    /// Writes that are not in both stores, if they go to both.
    pub journal: Option<Arc<Journal>>,
    /// The backends' names.
    pub names: Pair<String>,
    /// Fingerprint of the comparison rules and the backends of this replica.
    pub fingerprint: String,
}

/// A change of the dial that an operator asks for.
#[derive(Debug, Clone)]
pub struct Change {
    /// What the audit calls it: `flip` or `dial`.
    pub action: &'static str,
    /// The share of reads that *to* shall serve, in percent.
    pub dial: u8,
    /// Refuse unless this is so now.
    pub expect: Option<Expected>,
    /// Why, in the operator's words.
    pub reason: String,
    /// Override the gate (audited).
    pub force: bool,
    /// Only say what would happen.
    pub dry_run: bool,
    /// From where: the caller's address.
    pub source: String,
}

/// What a change expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// This one serves all reads; none says that they are split.
    Primary(Option<Side>),
    /// The dial stands there.
    Dial(u8),
}

/// Why a change did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Something else is so now.
    #[error("{0}")]
    Expected(String),
    /// The gate's conditions are not met.
    #[error("not ready")]
    NotReady(Box<Readiness>),
    /// It could not be put on disk, so it did not happen.
    #[error(transparent)]
    State(#[from] StateError),
    /// The state store of all replicas is not there, and only a rollback can do without.
    #[error("the state store cannot be reached, and without it nothing but a rollback is possible: {0}")]
    CutOff(String),
    /// The state store of all replicas gave no answer, so whether it was done is not known.
    #[error(
        "the state store gave no answer, so the change may still be done; `flipgate status` tells, and a rollback takes \
         it back in either case: {0}"
    )]
    InDoubt(String),
    /// Another change came before this one.
    #[error("another change came before this one; look at the status and try again")]
    Overtaken,
}

/// Who asks for a change of the state, and why.
#[derive(Debug, Clone)]
pub struct Cause {
    /// `operator` or `automatic`.
    pub trigger: &'static str,
    /// From where.
    pub source: String,
    /// Why.
    pub reason: String,
}

// === impl Cutover ===

impl Cutover {
    /// Goes on from `stored`, which is in the store.
    ///
    /// # Errors
    /// If the state file cannot be read.
    pub fn new(stored: Stored, parts: Parts) -> Result<Self, StateError> {
        let owed = parts.store.owed()?;
        parts.metrics.set_state_owed(owed.is_some());
        let cutover = Cutover {
            position: AtomicU64::new(stored.position().packed()),
            stored: RwLock::new(stored.clone()),
            changing: Arc::default(),
            following: Mutex::default(),
            owing: Notify::new(),
            arrears: std::sync::Mutex::new(Arrears::of(owed)),
            rollbacks: AtomicU64::new(0),
            flights: AtomicUsize::new(0),
            doubted: AtomicI64::new(0),
            had_epoch: AtomicBool::new(stored.epoch.rules == parts.fingerprint),
            parts,
        };
        cutover.parts.seen.begin(stored.turn);
        cutover.show(&stored);
        Ok(cutover)
    }

    /// What a request that begins now needs to know.
    #[must_use]
    pub fn position(&self) -> Position {
        Position::unpacked(self.position.load(Ordering::Acquire))
    }

    /// Who takes writes first: *from*, until a flip to *to*.
    #[must_use]
    pub fn leader(&self) -> Side {
        self.position().leader
    }

    /// Who serves a request of this client that begins at `position`.
    #[must_use]
    pub fn side(position: Position, client: impl FnOnce() -> u64) -> Side {
        match position.dial {
            0 => Side::From,
            100 => Side::To,
            dial => sticky::side(dial, client()),
        }
    }

    /// What is in force.
    #[must_use]
    pub fn status(&self) -> Stored {
        self.stored.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the gate says now.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.readiness_for(false)
    }

    /// The same for a change that is about to be made: no write may be left behind then.
    fn readiness_for(&self, is_change: bool) -> Readiness {
        let stored = self.status();
        let mut conditions = self.own_conditions(&stored);
        conditions.extend(self.lacking(is_change));
        self.parts.gate.readiness(&stored, conditions)
    }

    /// What this replica adds to the gate's conditions.
    fn own_conditions(&self, stored: &Stored) -> Vec<Condition> {
        let mut unmet = Vec::new();
        if stored.epoch.rules != self.parts.fingerprint {
            unmet.push(gate::other_rules());
        }
        if self.owes() {
            unmet.push(gate::cut_off("owed"));
        } else if !self.parts.metrics.is_state_up() {
            unmet.push(gate::cut_off("down"));
        }
        unmet
    }

    /// The latest changes.
    ///
    /// # Errors
    /// If the state file cannot be read.
    pub async fn audit(&self) -> Result<Vec<AuditEntry>, StateError> {
        if let Some(shared) = &self.parts.shared {
            match shared.audit(crate::state::AUDIT_PAGE).await {
                Ok(entries) => return Ok(entries),
                Err(error) => tracing::warn!(%error, "the audit shows this replica's own changes only"),
            }
        }
        let store = self.parts.store.clone();
        blocking(move || store.audit()).await
    }

    /// Sets the dial, if the gate allows it. Lowering it is never gated. In a task of its own: a caller who hangs up must not
    /// let writes in between its being allowed and its being done.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed then.
    pub async fn change(self: &Arc<Self>, change: Change) -> Result<Stored, Refused> {
        let cutover = Arc::clone(self);
        let changing = tokio::spawn(async move { cutover.change_now(&change).await });
        changing.await.unwrap_or_else(|e| Err(StateError::Interrupted(e.to_string()).into()))
    }

    async fn change_now(self: &Arc<Self>, change: &Change) -> Result<Stored, Refused> {
        let first = self.status();
        for _ in 1..ATTEMPTS {
            match self.try_to_change(change).await {
                Err(Refused::Overtaken) => {}
                done => return done,
            }
            let now = self.status();
            if (now.turn, &now.latch) != (first.turn, &first.latch) {
                // Not on top of a rollback, nor of anything else that the operator did not see.
                return Err(Refused::Expected(self.said(&now)));
            }
        }
        self.try_to_change(change).await
    }

    async fn try_to_change(self: &Arc<Self>, change: &Change) -> Result<Stored, Refused> {
        // Before the turn: a rollback must not wait for writes.
        let held = self.hold_writes(change, &self.status()).await?;
        let turn = Arc::clone(&self.changing).lock_owned().await;
        let stored = self.status();
        if let Some(expected) = change.expect
            && !expected.holds(&stored)
        {
            return Err(Refused::Expected(self.said(&stored)));
        }
        if change.dial == stored.dial {
            return Ok(stored);
        }
        let raises = change.dial > stored.dial;
        let readiness = self.readiness_for(raises);
        let is_refused = raises && !readiness.ready && (!change.force || readiness.is_beyond_force());
        if is_refused {
            return Err(Refused::NotReady(Box::new(readiness)));
        }
        if change.dry_run {
            return Ok(stored);
        }
        if raises && held.is_none() && self.parts.journal.is_some() {
            // When it was looked at first, it was to be refused, or to raise nothing.
            return Err(Refused::Overtaken);
        }
        // Only force raises it where it latched: the operator's word that the flip is watched again.
        let next = stored.turned_to(change.dial);
        let back = (change.dial == 0).then_some(stored.turn);
        let (source, reason) = (change.source.clone(), change.reason.clone());
        let cause = Cause { trigger: "operator", source, reason };
        let forced = change.force && raises && !readiness.ready;
        let done =
            self.commit(turn, Commit { action: change.action, cause, next, forced, readiness, back }).await;
        drop(held);
        done
    }

    /// Releases the latch of an automatic rollback; without one nothing changes.
    ///
    /// # Errors
    /// Only if it could not be put on disk.
    pub async fn release_latch(self: &Arc<Self>, cause: Cause) -> Result<Stored, Refused> {
        let turn = Arc::clone(&self.changing).lock_owned().await;
        let stored = self.status();
        if stored.latch.is_none() {
            return Ok(stored);
        }
        let next = stored.with_latch(None);
        let readiness = self.readiness();
        self.commit(turn, Commit { action: "release", cause, next, forced: false, readiness, back: None })
            .await
    }

    /// Puts a committed state in force.
    fn obey(&self, next: &Stored) {
        let before = {
            let mut stored = self.stored.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *stored, next.clone())
        };
        if before.turn != next.turn {
            self.parts.seen.begin(next.turn);
        }
        if before.epoch.number != next.epoch.number {
            self.parts.ledger.begin_epoch(next.epoch.number);
        }
        self.position.store(next.position().packed(), Ordering::Release);
        self.show(next);
    }

    fn audit_entry(&self, commit: &Commit) -> AuditEntry {
        AuditEntry {
            at: rfc3339(Utc::now()),
            action: commit.action.to_owned(),
            from: self.called(&self.status()),
            to: self.called(&commit.next),
            trigger: commit.cause.trigger.to_owned(),
            source: commit.cause.source.clone(),
            reason: commit.cause.reason.clone(),
            forced: commit.forced,
            evidence: serde_json::to_value(&commit.readiness).unwrap_or_default(),
            finding: None,
        }
    }

    /// The primary's name, or how reads are split.
    fn called(&self, stored: &Stored) -> String {
        called(&self.parts.names, stored)
    }

    fn said(&self, stored: &Stored) -> String {
        match stored.primary() {
            Some(side) => format!("the primary is {} now", self.parts.names.get(side)),
            None => format!("reads are split now, {} % are served by {}", stored.dial, self.parts.names.to),
        }
    }

    fn show(&self, stored: &Stored) {
        let to = f64::from(stored.dial) / 100.0;
        self.parts.metrics.set_primary(&Pair { from: 1.0 - to, to });
        self.parts.metrics.set_latched(stored.latch.is_some());
        self.parts.metrics.set_epoch(stored.epoch.number);
    }
}

// === impl Expected ===

impl Expected {
    fn holds(self, stored: &Stored) -> bool {
        match self {
            Expected::Primary(primary) => stored.primary() == primary,
            Expected::Dial(dial) => stored.dial == dial,
        }
    }
}

/// The primary's name, or how reads are split.
fn called(names: &Pair<String>, stored: &Stored) -> String {
    match stored.primary() {
        Some(side) => names.get(side).clone(),
        None => format!("split, {} % {}", stored.dial, names.to),
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
