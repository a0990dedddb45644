//! Changes of the dial that operators ask for.

use std::sync::Arc;

use super::commit::Commit;
use super::{Cause, Change, Cutover, Expected, Refused};
use crate::state::{StateError, Stored};

/// How often a change is tried that others keep coming before.
const ATTEMPTS: usize = 5;

// === impl Cutover ===

impl Cutover {
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
