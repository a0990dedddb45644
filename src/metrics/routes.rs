//! Series of one route: how long its requests took, for clients and on each leg, and when it was last compared.

use std::time::{Duration, SystemTime};

use prometheus::{Gauge, GaugeVec, Histogram, Opts, Registry};

use super::{Metrics, histograms, registered, unix_seconds};
use crate::backend::Role;
use crate::side::{Pair, Side};

/// 1 ms to 30 s: from an answer out of memory to the longest a client waits.
const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Time of *to* over time of *from*; 1 is equal.
const RATIO: &[f64] = &[0.1, 0.25, 0.5, 0.67, 0.8, 0.9, 1.0, 1.1, 1.2, 1.5, 2.0, 4.0, 10.0];

/// The series of one route, looked up once.
#[derive(Debug)]
pub(super) struct RouteSeries {
    pub(super) label: String,
    request_seconds: Histogram,
    leg_seconds: Pair<[Histogram; 2]>,
    latency_ratio: Histogram,
    /// None where nothing is compared.
    last_comparison: Option<Gauge>,
}

// === impl RouteSeries ===

impl RouteSeries {
    /// The series of each route; the last is `other`, where nothing is compared.
    pub(super) fn all(
        registry: &Registry,
        names: &Pair<String>,
        routes: &[String],
    ) -> prometheus::Result<Vec<Self>> {
        let request_seconds = histograms(
            registry,
            "flipgate_request_seconds",
            "Time from a client's request to the last byte of its answer, in seconds.",
            &["route"],
            SECONDS,
        )?;
        let leg_seconds = histograms(
            registry,
            "flipgate_leg_seconds",
            "Time from sending a request to a backend to its last byte, less time blocked on the client, in seconds.",
            &["route", "backend", "role"],
            SECONDS,
        )?;
        let latency_ratio = histograms(
            registry,
            "flipgate_latency_ratio",
            "Time of the second backend over the time of the first for the same request.",
            &["route"],
            RATIO,
        )?;
        let last_comparison = Opts::new(
            "flipgate_last_comparison_timestamp_seconds",
            "When the latest comparison of the route had its outcome, in seconds since the Unix epoch; 0 before the first.",
        );
        let last_comparison = registered(registry, GaugeVec::new(last_comparison, &["route"])?)?;
        let compared = routes.len().saturating_sub(1);
        let series = routes.iter().enumerate().map(|(index, label)| {
            let leg = |name: &str, role: Role| leg_seconds.with_label_values(&[label, name, role.label()]);
            let legs = |name: &str| [leg(name, Role::Primary), leg(name, Role::Shadow)];
            RouteSeries {
                label: label.clone(),
                request_seconds: request_seconds.with_label_values(&[label]),
                leg_seconds: Pair { from: legs(&names.from), to: legs(&names.to) },
                latency_ratio: latency_ratio.with_label_values(&[label]),
                last_comparison: (index < compared).then(|| last_comparison.with_label_values(&[label])),
            }
        });
        Ok(series.collect())
    }
}

// === impl Metrics ===

impl Metrics {
    /// Observes the time a client waited for its whole answer.
    pub fn request_time(&self, route: usize, time: Duration) {
        if let Some(series) = self.routes.get(route) {
            series.request_seconds.observe(time.as_secs_f64());
        }
    }

    /// Observes one leg.
    pub fn leg_time(&self, route: usize, side: Side, role: Role, time: Duration) {
        if let Some(series) = self.routes.get(route) {
            let [primary, shadow] = series.leg_seconds.get(side);
            let histogram = match role {
                Role::Primary => primary,
                Role::Shadow => shadow,
            };
            histogram.observe(time.as_secs_f64());
        }
    }

    /// Observes both legs' times of one request.
    pub fn latency_ratio(&self, route: usize, times: &Pair<Duration>) {
        if let Some(series) = self.routes.get(route)
            && times.from > Duration::ZERO
        {
            series.latency_ratio.observe(times.to.as_secs_f64() / times.from.as_secs_f64());
        }
    }

    /// Notes that a comparison of this route has its outcome now.
    pub fn judged(&self, route: usize) {
        if let Some(last) = self.routes.get(route).and_then(|series| series.last_comparison.as_ref()) {
            last.set(unix_seconds(SystemTime::now()));
        }
    }
}
