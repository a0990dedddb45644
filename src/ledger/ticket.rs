//! The duty to give a request its outcome.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use chrono::Utc;

use super::evidence::{Entry, Pair32};
use super::outcome::{Outcome, Reason};
use super::{Compared, Ledger, Records, lock};

/// The duty to give one counted request its outcome. Dropped without one, the request counts as `incomplete`, so
/// that no request can be lost.
#[derive(Debug)]
pub struct Ticket {
    pub(super) ledger: Arc<Ledger>,
    pub(super) route: usize,
    pub(super) target: u64,
    pub(super) open: bool,
}

// === impl Ticket ===

impl Ticket {
    /// Ends the request with an outcome that needs no comparison.
    pub fn end(mut self, outcome: Outcome, reason: Reason) {
        self.settle(outcome, reason, |entry| entry);
    }

    /// Ends the request with the outcome of its comparison; `records` is called if a sample of it is worth keeping.
    pub fn compared(mut self, compared: &Compared<'_>, records: impl FnOnce() -> Records) {
        let ledger = Arc::clone(&self.ledger);
        let now = Utc::now();
        let mut noted = ledger.count_differences(self.route, compared, now);
        let differs = noted.differs.take();
        let comparison = &compared.comparison;
        let (outcome, reason) = if comparison.is_match() {
            (Outcome::Match, Reason::None)
        } else if comparison.is_accepted() || noted.covered {
            (Outcome::Accepted, Reason::None)
        } else if comparison.limited.is_some() {
            (Outcome::Mismatch, Reason::Limit)
        } else {
            (Outcome::Mismatch, Reason::None)
        };
        if noted.wants_sample {
            ledger.keep_sample(self.route, compared, now, noted, records());
        }
        ledger.metrics.latency_ratio(self.route, &compared.times);
        let times = Pair32::from(&compared.times);
        self.settle(outcome, reason, |entry| Entry { success: compared.success, times, differs, ..entry });
    }

    /// Counts the outcome; `compared` adds to its evidence what a comparison showed.
    fn settle(&mut self, outcome: Outcome, reason: Reason, compared: impl FnOnce(Entry) -> Entry) {
        self.open = false;
        self.ledger.metrics.outcome(self.route, outcome, reason);
        if let Some(evidence) = self.ledger.evidence.get(self.route)
            && counts_for_the_gate(outcome, reason)
        {
            lock(evidence).push(compared(Entry {
                at_ms: Utc::now().timestamp_millis(),
                target: self.target,
                outcome,
                success: false,
                times: Pair32::default(),
                differs: None,
            }));
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.open {
            self.settle(Outcome::Incomplete, Reason::Dropped, |entry| entry);
        }
    }
}

/// A hash of path and query that is the same for the same parameters in another order.
pub(super) fn canonical_hash(target: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    match target.split_once('?') {
        Some((path, query)) if query.contains('&') => {
            let mut parameters: Vec<&str> =
                query.split('&').filter(|parameter| !parameter.is_empty()).collect();
            parameters.sort_unstable();
            (path, parameters).hash(&mut hasher);
        }
        Some((path, query)) => (path, [query]).hash(&mut hasher),
        None => (target, [""; 0]).hash(&mut hasher),
    }
    hasher.finish()
}

/// Requests that no comparison was meant for say nothing about the route.
fn counts_for_the_gate(outcome: Outcome, reason: Reason) -> bool {
    match outcome {
        Outcome::Match
        | Outcome::Accepted
        | Outcome::Mismatch
        | Outcome::ShadowFailed
        | Outcome::PrimaryFailed
        | Outcome::Shed => true,
        Outcome::Incomplete => reason == Reason::ClientGone,
        Outcome::Skipped => reason == Reason::Stream,
    }
}

#[cfg(test)]
mod tests {
    use super::canonical_hash;

    #[test]
    fn a_target_is_its_path_and_parameters_in_any_order() {
        assert_eq!(canonical_hash("/a?x=1&y=2"), canonical_hash("/a?y=2&&x=1"));
        assert_ne!(canonical_hash("/a?x=1&y=2"), canonical_hash("/a?x=2&y=1"));
        assert_ne!(canonical_hash("/a?x=1"), canonical_hash("/a"));
        assert_ne!(canonical_hash("/a?x=1"), canonical_hash("/b?x=1"));
    }
}
