//! The duty to give a request its outcome.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;

use super::evidence::{Differs, Entry, Pair32, is_confirmed};
use super::judging::Verdict;
use super::outcome::{Outcome, Reason};
use super::seen::Seen;
use super::{Compared, Ledger, Records, Visitor, lock};
use crate::side::{Pair, Side};

/// The duty to give one counted request its outcome. Dropped without one, the request counts as `incomplete`, so
/// that no request can be lost.
#[derive(Debug)]
pub struct Ticket {
    pub(super) ledger: Arc<Ledger>,
    pub(super) route: usize,
    pub(super) target: u64,
    pub(super) visitor: Visitor,
    /// The epoch it began in.
    pub(super) epoch: i64,
    pub(super) primary_erred: bool,
    pub(super) open: bool,
}

/// How sure it is that a comparison which differs does so for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    /// Both sides were asked again and still differed, or rechecks are turned off.
    Confirmed,
    /// Its cause was confirmed a short while ago.
    Known,
    /// It could not be asked again.
    Unconfirmed,
}

// === impl Ticket ===

impl Ticket {
    /// Index of the request's route.
    #[must_use]
    pub fn route(&self) -> usize {
        self.route
    }

    /// The books it is written in.
    #[must_use]
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Notes that the primary answered 5xx, or kept silent, where the shadow did not.
    pub fn primary_erred(&mut self) {
        self.primary_erred = true;
    }

    /// Ends the request with an outcome that needs no comparison.
    pub fn end(mut self, outcome: Outcome, reason: Reason) {
        self.settle(outcome, reason, |entry| entry);
    }

    /// Ends a request whose shadow was out of time; its deadline enters as its leg time.
    pub fn timed_out(mut self, times: &Pair<Duration>) {
        let times = Some(Pair32::from(times));
        self.settle(Outcome::ShadowFailed, Reason::Timeout, |entry| Entry { times, ..entry });
    }

    /// Ends the request with the outcome of its comparison; `records` is called if a sample of it is worth keeping.
    pub fn compared(
        mut self,
        compared: &Compared<'_>,
        confirmation: Confirmation,
        records: impl FnOnce() -> Records,
    ) {
        let ledger = Arc::clone(&self.ledger);
        let now = Utc::now();
        let (noted, differs) = ledger.count_differences(self.route, compared, now);
        lock(&ledger.findings).asked_by_client(self.route, self.target, &compared.comparison);
        let limited = compared.comparison.limited.is_some();
        let (outcome, reason) = match (compared.comparison.is_match(), noted.covered, confirmation) {
            (true, ..) => (Outcome::Match, Reason::None),
            (false, Some(Verdict::Noise), _) => (Outcome::Noise, Reason::None),
            (false, Some(_), _) => (Outcome::Accepted, Reason::None),
            (false, None, _) if limited => (Outcome::Mismatch, Reason::Limit),
            (false, None, Confirmation::Confirmed) => (Outcome::Mismatch, Reason::None),
            (false, None, Confirmation::Known) => (Outcome::Mismatch, Reason::Known),
            (false, None, Confirmation::Unconfirmed) => (Outcome::Mismatch, Reason::Unconfirmed),
        };
        if outcome == Outcome::Mismatch && reason == Reason::None {
            lock(&ledger.findings).confirm(self.route, &compared.comparison.differences);
        }
        if noted.wants_sample {
            ledger.keep_sample(self.route, compared, now, noted, records());
        }
        self.settle_compared(outcome, reason, compared, |entry| Entry { differs, ..entry });
    }

    /// Ends a request that differed and, `after` that time, agreed when asked again.
    pub fn transient(
        mut self,
        compared: &Compared<'_>,
        after: Duration,
        explained: bool,
        records: impl FnOnce() -> Records,
    ) {
        let ledger = Arc::clone(&self.ledger);
        ledger.metrics.transient(self.route, after);
        if explained {
            lock(&ledger.findings).begin(self.route);
        } else {
            let now = Utc::now();
            let noted = ledger.count_unexplained(self.route, compared, now);
            if noted.wants_sample {
                let sample = ledger.keep_sample(self.route, compared, now, noted, records());
                // It agreed just now.
                ledger.rechecked(self.route, sample, &crate::compare::Comparison::default());
            }
        }
        let reason = if explained { Reason::None } else { Reason::Unexplained };
        self.settle_compared(Outcome::Transient, reason, compared, |entry| Entry { explained, ..entry });
    }

    /// Ends a request that differs while, or shortly after, a write that touches it was on its way to both stores. That it
    /// will agree is not known, so no time until it did is observed.
    pub fn write_pending(mut self, compared: &Compared<'_>) {
        lock(&self.ledger.findings).begin(self.route);
        self.settle_compared(Outcome::Transient, Reason::WritePending, compared, |entry| Entry {
            explained: true,
            ..entry
        });
    }

    fn settle_compared(
        &mut self,
        outcome: Outcome,
        reason: Reason,
        compared: &Compared<'_>,
        more: impl FnOnce(Entry) -> Entry,
    ) {
        self.ledger.metrics.latency_ratio(self.route, &compared.times);
        self.ledger.metrics.judged(self.route);
        let times = Some(Pair32::from(&compared.times));
        let success = compared.success;
        self.settle(outcome, reason, |entry| more(Entry { success, times, ..entry }));
    }

    /// Counts the outcome; `more` adds to its evidence what a comparison showed.
    fn settle(&mut self, outcome: Outcome, reason: Reason, more: impl FnOnce(Entry) -> Entry) {
        self.open = false;
        self.ledger.metrics.outcome(self.route, outcome, reason);
        if !counts_for_the_gate(outcome, reason) {
            return;
        }
        let entry = more(Entry {
            at_ms: Utc::now().timestamp_millis(),
            target: self.target,
            outcome,
            reason,
            success: false,
            times: None,
            differs: Differs::No,
            explained: false,
        });
        // A client that left says nothing of the primary, unless that kept silent.
        let says_something = outcome != Outcome::Incomplete || self.primary_erred;
        if self.visitor.primary == Side::To && says_something {
            self.ledger.seen.note(self.visitor.position.turn, self.as_seen(&entry));
        }
        self.ledger.books.push(self.route, self.epoch, entry);
    }

    /// What the watch after a flip sees of it.
    fn as_seen(&self, entry: &Entry) -> Seen {
        let failed = entry.outcome == Outcome::PrimaryFailed && entry.reason != Reason::Status;
        Seen {
            client: self.visitor.client,
            target: self.target ^ self.route as u64,
            failed: failed || self.primary_erred,
            mismatch: entry.outcome == Outcome::Mismatch && is_confirmed(entry.reason),
            times: entry.times.filter(|_| entry.outcome != Outcome::ShadowFailed),
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
        | Outcome::Transient
        | Outcome::Noise
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
