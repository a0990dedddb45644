//! Series of rechecks, load, failover, the gate's conditions, the latch and the state of replicas.

use std::time::Duration;

use prometheus::{
    Gauge, GaugeVec, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use super::{Metrics, gauge, gauges, histograms, registered};
use crate::side::{Pair, Side};

/// From the first recheck to the last; 0.25 and 2 s are the usual ones.
const TRANSIENT_SECONDS: &[f64] = &[0.1, 0.25, 0.3, 0.5, 1.0, 2.0, 2.5, 5.0, 10.0];

/// The series.
#[derive(Debug)]
pub(super) struct Cutovers {
    transients: Vec<Histogram>,
    evidence_dropped: IntCounter,
    shadow_share: Gauge,
    baseline: Gauge,
    breaker_open: IntGaugeVec,
    failovers: IntCounterVec,
    conditions: IntGaugeVec,
    latched: IntGauge,
    epoch: IntGauge,
    floor: GaugeVec,
    state_up: IntGauge,
    state_owed: IntGauge,
    state_unsaved: IntGauge,
    state_conflicts: IntCounter,
    exchange_up: IntGauge,
}

// === impl Cutovers ===

impl Cutovers {
    pub(super) fn new(
        registry: &Registry,
        names: &Pair<String>,
        routes: &[String],
    ) -> prometheus::Result<Self> {
        let transient_seconds = histograms(
            registry,
            "flipgate_transient_seconds",
            "Time from a comparison that differed to the recheck that agreed, in seconds.",
            &["route"],
            TRANSIENT_SECONDS,
        )?;
        let failovers = Opts::new(
            "flipgate_failovers_total",
            "Requests that the other backend answered because the primary failed, by who answered.",
        );
        let floor = Opts::new(
            "flipgate_false_mismatch_floor",
            "Share of comparisons that differed in the last self-check, where both sides were the same backend.",
        );
        // Nothing is compared on the last, `other`.
        let compared = routes.split_last().map_or(routes, |(_, compared)| compared);
        let cutovers = Cutovers {
            transients: compared.iter().map(|route| transient_seconds.with_label_values(&[route])).collect(),
            evidence_dropped: registered(
                registry,
                IntCounter::new(
                    "flipgate_evidence_dropped_total",
                    "Requests that were not taken in as evidence, because too many waited for that.",
                )?,
            )?,
            shadow_share: registered(
                registry,
                Gauge::new("flipgate_shadow_share", "Share of requests that load lets be shadowed, 0 to 1.")?,
            )?,
            baseline: registered(
                registry,
                Gauge::new(
                    "flipgate_primary_head_baseline_seconds",
                    "Time to the head of the primary's answers, p99 as it usually is, in seconds; 0 while unknown.",
                )?,
            )?,
            breaker_open: gauges(
                registry,
                "flipgate_breaker_open",
                "1 while a shadow that failed again and again is asked only now and then.",
                &["backend"],
            )?,
            failovers: registered(registry, IntCounterVec::new(failovers, &["backend"])?)?,
            conditions: gauges(
                registry,
                "flipgate_gate_condition_met",
                "1 if this condition of the gate is met, on every required route that it is judged for; else 0.",
                &["condition"],
            )?,
            latched: gauge(
                registry,
                "flipgate_latched",
                "1 since an automatic rollback until an operator releases it.",
            )?,
            epoch: gauge(registry, "flipgate_epoch", "Number of the epoch that evidence is gathered in.")?,
            floor: registered(registry, GaugeVec::new(floor, &["route"])?)?,
            state_up: gauge(
                registry,
                "flipgate_state_up",
                "1 while the state store answers; always 1 without --state.",
            )?,
            state_owed: gauge(
                registry,
                "flipgate_state_owed",
                "1 while a rollback of this replica is not in the state store of all replicas yet.",
            )?,
            state_unsaved: gauge(
                registry,
                "flipgate_state_unsaved",
                "1 while what is in force here is not on this replica's disk, which did not take it.",
            )?,
            state_conflicts: registered(
                registry,
                IntCounter::new(
                    "flipgate_state_conflicts_total",
                    "Changes of the state that another replica's change came before.",
                )?,
            )?,
            exchange_up: gauge(
                registry,
                "flipgate_exchange_up",
                "1 while the last exchange of evidence and findings with the other replicas was complete; always 1 \
                 without --state.",
            )?,
        };
        cutovers.shadow_share.set(1.0);
        cutovers.state_up.set(1);
        cutovers.exchange_up.set(1);
        for name in [&names.from, &names.to] {
            cutovers.breaker_open.with_label_values(&[name]).set(0);
            cutovers.failovers.with_label_values(&[name]).inc_by(0);
        }
        declare_backends(registry, names)?;
        Ok(cutovers)
    }
}

/// Which backend is which side, so that queries need not know the names.
fn declare_backends(registry: &Registry, names: &Pair<String>) -> prometheus::Result<()> {
    let info = gauges(
        registry,
        "flipgate_backend_info",
        "Always 1; the labels say on which side of the move the backend is: from or to.",
        &["backend", "side"],
    )?;
    for (name, side) in [(&names.from, "from"), (&names.to, "to")] {
        info.with_label_values(&[name.as_str(), side]).set(1);
    }
    Ok(())
}

// === impl Metrics ===

impl Metrics {
    /// Observes how long after its comparison a request agreed when it was asked again.
    pub fn transient(&self, route: usize, after: Duration) {
        if let Some(series) = self.more.transients.get(route) {
            series.observe(after.as_secs_f64());
        }
    }

    /// Sets how many requests were not taken in as evidence since the start.
    pub fn set_evidence_dropped(&self, dropped: u64) {
        let counter = &self.more.evidence_dropped;
        counter.inc_by(dropped.saturating_sub(counter.get()));
    }

    /// Sets the share of requests that load lets be shadowed, and the primary's usual p99 in seconds.
    pub fn set_load(&self, share: f64, baseline: Option<f64>) {
        self.more.shadow_share.set(share);
        self.more.baseline.set(baseline.unwrap_or(0.0));
    }

    /// Says whether a backend's breaker is open.
    pub fn set_breaker(&self, side: Side, is_open: bool) {
        self.more.breaker_open.with_label_values(&[self.names.get(side).as_str()]).set(i64::from(is_open));
    }

    /// Counts a request that `by` answered because the primary failed.
    pub fn failed_over(&self, by: Side) {
        self.more.failovers.with_label_values(&[self.names.get(by).as_str()]).inc();
    }

    /// Sets which conditions of the gate are met.
    pub fn set_conditions<'a>(&self, met: impl Iterator<Item = (&'a str, bool)>) {
        for (condition, met) in met {
            self.more.conditions.with_label_values(&[condition]).set(i64::from(met));
        }
    }

    /// Says whether an automatic rollback has latched.
    pub fn set_latched(&self, latched: bool) {
        self.more.latched.set(i64::from(latched));
    }

    /// Sets the number of the epoch.
    pub fn set_epoch(&self, epoch: i64) {
        self.more.epoch.set(epoch);
    }

    /// Sets the share of comparisons of a route that differed in the last self-check.
    pub fn set_floor(&self, route: &str, share: f64) {
        self.more.floor.with_label_values(&[route]).set(share);
    }

    /// Says whether the state store answers.
    pub fn set_state_up(&self, up: bool) {
        self.more.state_up.set(i64::from(up));
    }

    /// Whether the state store answered the last time.
    #[must_use]
    pub fn is_state_up(&self) -> bool {
        self.more.state_up.get() == 1
    }

    /// Says whether a rollback of this replica is not in the state store of all replicas yet.
    pub fn set_state_owed(&self, owed: bool) {
        self.more.state_owed.set(i64::from(owed));
    }

    /// Whether a rollback of this replica is not in the state store yet.
    #[must_use]
    pub fn is_state_owed(&self) -> bool {
        self.more.state_owed.get() == 1
    }

    /// Says whether this replica's disk lacks what is in force.
    pub fn set_state_unsaved(&self, unsaved: bool) {
        self.more.state_unsaved.set(i64::from(unsaved));
    }

    /// Whether this replica's disk lacks what is in force.
    #[must_use]
    pub fn is_state_unsaved(&self) -> bool {
        self.more.state_unsaved.get() == 1
    }

    /// Says whether the last exchange of evidence and findings with the other replicas was complete.
    pub fn set_exchange_up(&self, up: bool) {
        self.more.exchange_up.set(i64::from(up));
    }

    /// Counts a change that another replica's change came before.
    pub fn state_conflict(&self) {
        self.more.state_conflicts.inc();
    }
}
