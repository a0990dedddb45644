//! Back to *from*: by an operator, or by itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::commit::Commit;
use super::sharing::as_stored;
use super::{Cause, Cutover, Refused};
use crate::state::{Latch, Stored};

/// How long a rollback where the dial is at 0 already may wait for what the others know.
const ASKING: Duration = Duration::from_secs(1);

// === impl Cutover ===

impl Cutover {
    /// Goes back to *from*. Never gated; where it is known to be there already, nothing changes.
    ///
    /// # Errors
    /// Only if flipgate itself fails: neither a full disk nor a state store that is away keeps it from going back.
    pub async fn rollback(self: &Arc<Self>, reason: String, source: String) -> Result<Stored, Refused> {
        let there = self.known_there().await;
        let turn = Arc::clone(&self.changing).lock_owned().await;
        let stored = self.status();
        if stored.dial == 0 && self.is_surely_back(there.as_ref()) {
            return Ok(stored);
        }
        let next = stored.turned_to(0);
        let cause = Cause { trigger: "operator", source, reason };
        let readiness = self.readiness();
        // At 0 already, this one does not know what it takes back: whatever came after what it knows.
        let known = if stored.dial == 0 { stored.version } else { stored.turn };
        let back = Some(there.map_or(known, |there| there.turn.max(known)));
        self.commit(turn, Commit { action: "rollback", cause, next, forced: false, readiness, back }).await
    }

    /// Goes back because of what the watch saw since the change `seen`, and latches; none if it no longer applies.
    pub(super) async fn fall_back(
        self: &Arc<Self>,
        seen: i64,
        reason: String,
    ) -> Result<Option<Stored>, Refused> {
        let turn = Arc::clone(&self.changing).lock_owned().await;
        let stored = self.status();
        if stored.turn != seen || stored.dial == 0 || stored.latch.is_some() {
            return Ok(None);
        }
        let mut next = stored.turned_to(0);
        next.latch = Some(Latch { since: next.since, reason: reason.clone() });
        let cause = Cause { trigger: "automatic", source: "flipgate".to_owned(), reason };
        let readiness = self.readiness();
        let back = Some(stored.turn);
        let commit = Commit { action: "rollback", cause, next, forced: false, readiness, back };
        self.commit(turn, commit).await.map(Some)
    }

    /// What the state store says now, if this one believes that it is back already.
    async fn known_there(&self) -> Option<Stored> {
        let shared = self.parts.shared.as_ref().filter(|_| self.status().dial == 0)?;
        let record = tokio::time::timeout(ASKING, shared.record()).await.ok()?.ok()??;
        as_stored(&record).ok()
    }

    /// Whether the dial is at 0 on all replicas, or will be: no change is on its way, and the state store says so, or
    /// will be told.
    fn is_surely_back(&self, there: Option<&Stored>) -> bool {
        if self.parts.shared.is_none() {
            return true;
        }
        let mut arrears = self.arrears();
        if arrears.owed.is_some() {
            arrears.renew();
            self.owing.notify_one();
            return true;
        }
        let is_on_its_way = self.flights.load(Ordering::SeqCst) > 0
            || self.doubted.load(Ordering::SeqCst) > self.status().version;
        !is_on_its_way && there.is_some_and(|there| there.dial == 0)
    }
}
