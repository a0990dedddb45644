//! Epochs: begun by operators, by changes of the data, and by changed rules.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::commit::Commit;
use super::{Cause, Cutover, Refused};
use crate::state::Stored;

/// Why an epoch begins with a start under other rules.
pub(super) const CHANGED_RULES: &str = "the comparison rules or the backends changed";
/// Between several changes of the data that began one epoch.
const BETWEEN: &str = "; ";

/// A change of the data. It names what is new: two of the same text are one.
#[derive(Debug)]
pub struct Event {
    /// What changed, and to what.
    pub what: String,
    /// Told when the epoch is committed.
    pub begun: Option<oneshot::Sender<()>>,
}

// === impl Event ===

impl Event {
    /// Nobody waits for its epoch.
    #[must_use]
    pub fn new(what: String) -> Self {
        Event { what, begun: None }
    }

    /// One reason for all of them.
    #[must_use]
    pub fn reason(events: &[Self]) -> String {
        let whats: Vec<&str> = events.iter().map(|event| event.what.as_str()).collect();
        whats.join(BETWEEN)
    }
}

// === impl Cutover ===

impl Cutover {
    /// Begins another epoch; for a change of the data that has begun this one, none.
    ///
    /// # Errors
    /// Only if it could not be put on disk.
    pub async fn begin_epoch(self: &Arc<Self>, mut cause: Cause) -> Result<Stored, Refused> {
        let turn = Arc::clone(&self.changing).lock_owned().await;
        let stored = self.status();
        if cause.trigger == "automatic" {
            // Each replica sees a change of the data by itself, and one epoch is enough.
            let Some(reason) = news(&stored.epoch.reason, &cause.reason) else { return Ok(stored) };
            cause.reason = reason;
        }
        let next = stored.with_epoch(cause.reason.clone(), stored.epoch.rules.clone());
        let readiness = self.readiness();
        self.commit(turn, Commit { action: "epoch", cause, next, forced: false, readiness, back: None }).await
    }

    /// Begins the epoch of this replica's rules, where the start could not. Once: replicas with different rules must not
    /// begin epochs in turn for ever.
    pub(super) async fn begin_epoch_of_rules(self: &Arc<Self>) {
        let turn = Arc::clone(&self.changing).lock_owned().await;
        let stored = self.status();
        let is_of_these = stored.epoch.rules == self.parts.fingerprint;
        if is_of_these {
            self.had_epoch.store(true, Ordering::SeqCst);
        }
        if self.had_epoch.load(Ordering::SeqCst) || self.owes() {
            return;
        }
        let reason = CHANGED_RULES.to_owned();
        let next = stored.with_epoch(reason.clone(), self.parts.fingerprint.clone());
        let cause = Cause { trigger: "automatic", source: "flipgate".to_owned(), reason };
        let readiness = self.readiness();
        let commit = Commit { action: "epoch", cause, next, forced: false, readiness, back: None };
        match self.commit(turn, commit).await {
            Ok(_) => self.had_epoch.store(true, Ordering::SeqCst),
            Err(error) => tracing::warn!(%error, "the epoch of the changed rules cannot begin yet"),
        }
    }
}

/// What of a reason has not begun the current epoch; none if nothing is new.
fn news(current: &str, reason: &str) -> Option<String> {
    let known: Vec<&str> = current.split(BETWEEN).collect();
    let news: Vec<&str> = reason.split(BETWEEN).filter(|what| !known.contains(what)).collect();
    (!news.is_empty()).then(|| news.join(BETWEEN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_event_is_one() {
        assert_eq!(news("`a` answers with v 2", "`a` answers with v 2"), None);
        assert_eq!(news("a; b", "b"), None);
        assert_eq!(news("a; b", "b; c; d").as_deref(), Some("c; d"));
        assert_eq!(news("the first start", "a").as_deref(), Some("a"));
    }
}
