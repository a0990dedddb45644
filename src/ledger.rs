//! How requests ended, what differed, and the evidence the gate judges. Everything here is bounded.
//!
//! Not for: what the evidence allows (`cutover::gate`).

pub mod evidence;
pub mod finding;
pub mod outcome;
pub mod redact;
pub mod sample;
pub(crate) mod sentence;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use self::evidence::{Entry, Evidence, Pair32, Tally};
use self::finding::{Finding, Findings, SAMPLES};
use self::outcome::{Outcome, Reason};
use self::sample::{Sample, SampleDifference, SampleLeg, Samples};
use crate::compare::{Comparison, Severity};
use crate::metrics::Metrics;
use crate::side::{Pair, Side};

/// The books of one flipgate.
#[derive(Debug)]
pub struct Ledger {
    metrics: Arc<Metrics>,
    names: Pair<String>,
    labels: Vec<String>,
    evidence: Vec<Mutex<Evidence>>,
    findings: Mutex<Findings>,
    samples: Mutex<Samples>,
}

/// The duty to give one counted request its outcome. Dropped without one, the request counts as `incomplete`, so
/// that no request can be lost.
#[derive(Debug)]
pub struct Ticket {
    ledger: Arc<Ledger>,
    route: usize,
    target: u64,
    open: bool,
}

/// A comparison that was made, as the ledger takes it.
#[derive(Debug)]
pub struct Compared<'a> {
    /// Path and query as they came.
    pub target: &'a str,
    /// Who served the client.
    pub primary: Side,
    /// Leg times.
    pub times: Pair<Duration>,
    /// Whether both legs answered 2xx.
    pub success: bool,
    /// What differs.
    pub comparison: Comparison,
}

/// What a sample keeps of one leg; made only when a sample is kept.
#[derive(Debug)]
pub struct LegRecord {
    /// HTTP status.
    pub status: u16,
    /// The headers that are compared.
    pub headers: Vec<(String, String)>,
    /// The decoded body as text, or a line that describes it.
    pub body: String,
}

/// Both legs for a sample, and the patch between them; made only when one is kept.
#[derive(Debug)]
pub struct Records {
    /// The legs.
    pub legs: Pair<LegRecord>,
    /// RFC 6902 from *from* to *to*.
    pub patch: Option<serde_json::Value>,
}

// === impl Ledger ===

impl Ledger {
    /// Empty books for routes with these labels, `other` last.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, names: Pair<String>, labels: Vec<String>) -> Self {
        let evidence = labels.iter().map(|_| Mutex::default()).collect();
        Ledger { metrics, names, labels, evidence, findings: Mutex::default(), samples: Mutex::default() }
    }

    /// Opens a ticket for a request to `target` on `route`.
    #[must_use]
    pub fn ticket(self: &Arc<Self>, route: usize, target: &str) -> Ticket {
        Ticket { ledger: Arc::clone(self), route, target: canonical_hash(target), open: true }
    }

    /// The evidence of `route` since `since_ms` (milliseconds since the Unix epoch).
    #[must_use]
    pub fn tally(&self, route: usize, since_ms: i64) -> Tally {
        let entries =
            self.evidence.get(route).map(|evidence| lock(evidence).since(since_ms)).unwrap_or_default();
        Tally::of(&entries)
    }

    /// All findings, most severe and most frequent first.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        lock(&self.findings).sorted().into_iter().cloned().collect()
    }

    /// One finding.
    #[must_use]
    pub fn finding(&self, id: &str) -> Option<Finding> {
        lock(&self.findings).get(id).cloned()
    }

    /// One sample.
    #[must_use]
    pub fn sample(&self, id: u64) -> Option<Sample> {
        lock(&self.samples).get(id).cloned()
    }

    /// Open findings of each severity.
    #[must_use]
    pub fn open_findings(&self) -> Vec<(Severity, i64)> {
        lock(&self.findings).open_by_severity().into_iter().collect()
    }

    fn count_differences(&self, route: usize, compared: &Compared<'_>, now: DateTime<Utc>) -> Noted {
        let label = self.labels.get(route).map_or("other", String::as_str);
        let mut findings = lock(&self.findings);
        let mut noted = Noted { ids: Vec::new(), wants_sample: false };
        for difference in &compared.comparison.differences {
            self.metrics.difference(route, difference.kind.as_str(), difference.class.as_str());
            if difference.accepted_by_rule {
                continue;
            }
            let finding = findings.count(route, label, &self.names, difference, now);
            noted.wants_sample |= finding.samples.len() < SAMPLES;
            noted.ids.push(finding.id.clone());
        }
        noted
    }

    fn keep_sample(
        &self,
        route: usize,
        compared: &Compared<'_>,
        now: DateTime<Utc>,
        ids: &[String],
        records: Records,
    ) {
        let differences = compared.comparison.differences.iter().filter(|d| !d.accepted_by_rule);
        let differences: Vec<SampleDifference> = differences
            .zip(ids)
            .map(|(difference, id)| SampleDifference {
                finding: id.clone(),
                at: difference.at.clone(),
                kind: difference.kind.as_str(),
                class: difference.class.as_str(),
                from: difference.from.as_deref().map(|value| sentence::shown(difference, value)),
                to: difference.to.as_deref().map(|value| sentence::shown(difference, value)),
            })
            .collect();
        let leg = |side: Side, record: LegRecord| SampleLeg {
            backend: self.names.get(side).clone(),
            status: record.status,
            headers: record.headers,
            seconds: compared.times.get(side).as_secs_f64(),
            body: record.body,
        };
        let Pair { from, to } = records.legs;
        let id = {
            let mut samples = lock(&self.samples);
            let id = samples.next_id();
            samples.keep(Sample {
                id,
                at: now,
                route: self.labels.get(route).cloned().unwrap_or_default(),
                target: redact::target(compared.target),
                primary: self.names.get(compared.primary).clone(),
                from: leg(Side::From, from),
                to: leg(Side::To, to),
                differences,
                patch: records.patch,
            });
            id
        };
        lock(&self.findings).add_sample(ids, id);
    }
}

/// What counting a comparison's differences brought to light.
struct Noted {
    /// The finding of each difference, in order.
    ids: Vec<String>,
    /// Whether one of these findings still has room for a sample.
    wants_sample: bool,
}

// === impl Ticket ===

impl Ticket {
    /// Ends the request with an outcome that needs no comparison.
    pub fn end(mut self, outcome: Outcome, reason: Reason) {
        self.settle(outcome, reason, false, &Pair::default());
    }

    /// Ends the request with the outcome of its comparison; `records` is called if a sample of it is worth keeping.
    pub fn compared(mut self, compared: &Compared<'_>, records: impl FnOnce() -> Records) {
        let ledger = Arc::clone(&self.ledger);
        let comparison = &compared.comparison;
        let (outcome, reason) = if comparison.is_match() {
            (Outcome::Match, Reason::None)
        } else if comparison.is_accepted() {
            (Outcome::Accepted, Reason::None)
        } else if comparison.limited.is_some() {
            (Outcome::Mismatch, Reason::Limit)
        } else {
            (Outcome::Mismatch, Reason::None)
        };
        let now = Utc::now();
        let noted = ledger.count_differences(self.route, compared, now);
        if noted.wants_sample {
            ledger.keep_sample(self.route, compared, now, &noted.ids, records());
        }
        ledger.metrics.latency_ratio(self.route, &compared.times);
        self.settle(outcome, reason, compared.success, &compared.times);
    }

    fn settle(&mut self, outcome: Outcome, reason: Reason, success: bool, times: &Pair<Duration>) {
        self.open = false;
        self.ledger.metrics.outcome(self.route, outcome, reason);
        if let Some(evidence) = self.ledger.evidence.get(self.route)
            && counts_for_the_gate(outcome, reason)
        {
            lock(evidence).push(Entry {
                at_ms: Utc::now().timestamp_millis(),
                target: self.target,
                outcome,
                success,
                times: Pair32::from(times),
            });
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.open {
            self.settle(Outcome::Incomplete, Reason::Dropped, false, &Pair::default());
        }
    }
}

/// A hash of path and query that is the same for the same parameters in another order.
fn canonical_hash(target: &str) -> u64 {
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
