//! Writes and a change of who leads: none may be left behind at a flip.

use std::time::Duration;

use chrono::Utc;

use super::gate::{self, Condition, Readiness};
use super::{Change, Cutover, Refused};
use crate::journal::{Held, State};
use crate::side::Side;
use crate::state::Stored;

/// How long a flip holds new writes back until the target has what is pending for it.
const DRAIN: Duration = Duration::from_secs(3);
/// A write that is pending for no longer is on its way as all are, and makes nothing unready by itself.
const ON_ITS_WAY: chrono::TimeDelta = chrono::TimeDelta::seconds(1);
/// Writes among which a refusal finds the ones that it names.
const LOOKED_AT: usize = 1000;

// === impl Cutover ===

impl Cutover {
    /// What *to* lacks of the writes that *from* took. At a change all of it counts (`is_change`).
    pub(super) fn lacking(&self, is_change: bool) -> Option<Condition> {
        let journal = self.parts.journal.as_ref().filter(|journal| journal.is_in_use())?;
        let mut counts = journal.counts(Side::To);
        let is_young = counts.oldest.is_some_and(|oldest| Utc::now() - oldest < ON_ITS_WAY);
        if is_young && !is_change {
            counts.pending = 0;
        }
        let target = &self.parts.names.to;
        let lacks_nothing = (counts.pending, counts.parked, counts.in_doubt) == (0, 0, 0);
        let mut ids = if lacks_nothing { Vec::new() } else { journal.list(None, LOOKED_AT) };
        ids.retain(|write| write.backend == *target && write.state != State::Sending);
        Some(gate::writes(target, &counts, &ids))
    }

    /// Holds new writes back for a change that raises the dial, and waits a moment for those on their way. None where the
    /// change would be refused anyway, or changes nothing about writes.
    pub(super) async fn hold_writes(
        &self,
        change: &Change,
        stored: &Stored,
    ) -> Result<Option<Held>, Refused> {
        let Some(journal) = &self.parts.journal else { return Ok(None) };
        if change.dial <= stored.dial || change.dry_run {
            return Ok(None);
        }
        let others_are_met = |readiness: &Readiness| {
            readiness.conditions.iter().all(|condition| condition.met || condition.name == gate::WRITES)
        };
        if !change.force && !others_are_met(&self.readiness()) {
            return Ok(None);
        }
        let held = journal.hold(Side::To, DRAIN).await;
        held.map(Some).ok_or_else(|| {
            let name = &self.parts.names.from;
            Refused::Expected(format!(
                "{name} keeps a write for longer than {} s, and a flip must not come between; try again",
                DRAIN.as_secs()
            ))
        })
    }
}
