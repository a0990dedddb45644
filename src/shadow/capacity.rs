//! Whether there is room: for a shadow request, and for requests that nobody but flipgate waits for.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Limits;
use super::allowance::Allowance;
use super::breaker::{Breaker, Standing};
use super::load::Load;
use crate::ledger::outcome::Reason;
use crate::metrics::Metrics;
use crate::side::{Pair, Side};

/// Slots, breakers, load and allowance.
#[derive(Debug)]
pub struct Capacity {
    slots: Arc<Semaphore>,
    /// How much is shadowed.
    pub load: Load,
    /// Requests for flipgate's own sake.
    pub allowance: Allowance,
    /// One for each backend as a shadow.
    pub breakers: Pair<Breaker>,
    limits: Limits,
    metrics: Arc<Metrics>,
}

/// A shadow request's place among those under way.
#[derive(Debug)]
pub struct Slot {
    _permit: OwnedSemaphorePermit,
    metrics: Arc<Metrics>,
}

// === impl Capacity ===

impl Capacity {
    pub(super) fn new(limits: Limits, metrics: Arc<Metrics>) -> Self {
        Capacity {
            slots: Arc::new(Semaphore::new(limits.inflight)),
            load: Load::default(),
            allowance: Allowance::default(),
            breakers: Pair::default(),
            limits,
            metrics,
        }
    }

    /// A place for a shadow request to `side`.
    ///
    /// # Errors
    /// Why it is not to be asked now.
    pub fn admit(&self, side: Side) -> Result<Slot, Reason> {
        if !self.load.admits() {
            return Err(Reason::Load);
        }
        let slot = self.slot().ok_or(Reason::Inflight)?;
        if self.breakers.get(side).allows() { Ok(slot) } else { Err(Reason::Breaker) }
    }

    /// A place for one more request, if there is one now.
    #[must_use]
    pub(super) fn slot(&self) -> Option<Slot> {
        let permit = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        self.metrics.shadow_inflight.inc();
        Some(Slot { _permit: permit, metrics: Arc::clone(&self.metrics) })
    }

    /// Takes one request to the primary that no client asked for, if there is capacity idle and it is within what is
    /// allowed. Idle: at most half of the slots and of the comparators' queue are taken, nothing had to give way to
    /// clients, and both backends answer.
    #[must_use]
    pub fn may_ask(&self) -> bool {
        let is_idle = self.slots.available_permits() * 2 >= self.limits.inflight
            && self.waiting() * 2 <= self.limits.queue
            && self.load.share() >= 1.0
            && Side::BOTH.iter().all(|side| self.breakers.get(*side).standing() == Standing::Closed);
        is_idle && self.allowance.take()
    }

    /// Looks whether shadowing has to give way to the clients of the primary that the change `turn` made.
    pub fn look(&self, turn: i64) {
        self.load.look(turn, self.waiting() * 5 > self.limits.queue * 4);
        self.metrics.set_load(self.load.share(), self.load.baseline());
        for side in Side::BOTH {
            let is_open = self.breakers.get(side).standing() != Standing::Closed;
            self.metrics.set_breaker(side, is_open);
        }
    }

    /// Comparisons that wait.
    fn waiting(&self) -> usize {
        usize::try_from(self.metrics.compare_queue.get()).unwrap_or(0)
    }
}

// === impl Slot ===

impl Drop for Slot {
    fn drop(&mut self) {
        self.metrics.shadow_inflight.dec();
    }
}
