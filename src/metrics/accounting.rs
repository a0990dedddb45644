//! Requests and outcomes, read together so that they add up at every scrape.

use std::sync::atomic::{Ordering, fence};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Metric, MetricFamily};
use prometheus::{IntCounterVec, IntGauge, Opts};

use crate::ledger::outcome::Outcome;

/// Requests, outcomes, and the difference of the two, read together.
#[derive(Debug, Clone)]
pub(super) struct Accounting {
    requests: IntCounterVec,
    outcomes: IntCounterVec,
    pending: Opts,
    descriptions: Vec<Desc>,
}

// === impl Accounting ===

impl Accounting {
    pub(super) fn new() -> prometheus::Result<Self> {
        let requests = IntCounterVec::new(
            Opts::new("flipgate_requests_total", "Requests from clients, by the status they were answered."),
            &["route", "method", "code", "primary"],
        )?;
        let outcomes = IntCounterVec::new(
            Opts::new("flipgate_outcomes_total", "How requests ended: each in exactly one outcome."),
            &["route", "outcome", "reason"],
        )?;
        let pending = Opts::new("flipgate_outcomes_pending", "Requests counted that have no outcome yet.");
        let mut descriptions: Vec<Desc> =
            requests.desc().into_iter().chain(outcomes.desc()).cloned().collect();
        descriptions.extend(IntGauge::with_opts(pending.clone())?.desc().into_iter().cloned());
        Ok(Accounting { requests, outcomes, pending, descriptions })
    }

    /// Counts one request: route, method, code, primary.
    pub(super) fn request(&self, labels: [&str; 4]) {
        self.requests.with_label_values(&labels).inc();
    }

    /// Counts one outcome, after its request: route, outcome, reason.
    pub(super) fn outcome(&self, labels: [&str; 3]) {
        self.outcomes.with_label_values(&labels).inc();
    }

    /// Has the series of such requests begin at 0.
    pub(super) fn no_request_yet(&self, labels: [&str; 4]) {
        self.requests.with_label_values(&labels).inc_by(0);
    }

    /// Has the series of such outcomes begin at 0.
    pub(super) fn no_outcome_yet(&self, labels: [&str; 3]) {
        self.outcomes.with_label_values(&labels).inc_by(0);
    }

    /// Requests that have no outcome yet.
    pub(super) fn pending(&self) -> i64 {
        self.read().1
    }

    /// How many requests ended with `outcome`.
    pub(super) fn ended(&self, outcome: Outcome) -> u64 {
        let has_label =
            |metric: &&Metric| metric.get_label().iter().any(|label| label.value() == outcome.label());
        let families = self.outcomes.collect();
        families.iter().flat_map(MetricFamily::get_metric).filter(has_label).map(count).sum()
    }

    /// Both counters and what they differ by. Outcomes are read first: each was counted after its request, so the
    /// difference is never negative, and it is exact for just these readings.
    fn read(&self) -> (Vec<MetricFamily>, i64) {
        let outcomes = self.outcomes.collect();
        fence(Ordering::SeqCst);
        let requests = self.requests.collect();
        let pending = total(&requests) - total(&outcomes);
        (requests.into_iter().chain(outcomes).collect(), pending)
    }
}

impl Collector for Accounting {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let (mut families, pending) = self.read();
        if let Ok(gauge) = IntGauge::with_opts(self.pending.clone()) {
            gauge.set(pending);
            families.extend(gauge.collect());
        }
        families
    }
}

fn total(families: &[MetricFamily]) -> i64 {
    let total: u64 = families.iter().flat_map(MetricFamily::get_metric).map(count).sum();
    i64::try_from(total).unwrap_or(i64::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are whole and stay far below 2^53"
)]
fn count(metric: &Metric) -> u64 {
    metric.get_counter().get_value() as u64
}
