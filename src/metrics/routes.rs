//! Series of one route: how long its requests took, for clients and on each leg, and when it was last compared.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use prometheus::{Gauge, GaugeVec, Histogram, HistogramVec, Opts, Registry};

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
    leg_family: HistogramVec,
    /// By role. Each begins with its first leg: half of them have none until a flip.
    leg_seconds: Pair<[OnceLock<Histogram>; 2]>,
    /// None where nothing is compared.
    latency_ratio: Option<Histogram>,
    /// None where nothing is compared.
    last_comparison: Option<Gauge>,
}

// === impl RouteSeries ===

impl RouteSeries {
    /// The series of each route; the last is `other`, where nothing is compared.
    pub(super) fn all(registry: &Registry, routes: &[String]) -> prometheus::Result<Vec<Self>> {
        let request_seconds = histograms(
            registry,
            "flipgate_request_seconds",
            "Time from a client's request to the last byte of its answer, in seconds.",
            &["route"],
            SECONDS,
        )?;
        let leg_family = histograms(
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
            let is_compared = index < compared;
            RouteSeries {
                label: label.clone(),
                request_seconds: request_seconds.with_label_values(&[label]),
                leg_family: leg_family.clone(),
                leg_seconds: Pair { from: Default::default(), to: Default::default() },
                latency_ratio: is_compared.then(|| latency_ratio.with_label_values(&[label])),
                last_comparison: is_compared.then(|| last_comparison.with_label_values(&[label])),
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
            let cell = match role {
                Role::Primary => primary,
                Role::Shadow => shadow,
                // Writes have no legs that are compared.
                Role::Follower => return,
            };
            let first = || {
                let labels = [series.label.as_str(), self.names.get(side).as_str(), role.label()];
                series.leg_family.with_label_values(&labels)
            };
            cell.get_or_init(first).observe(time.as_secs_f64());
        }
    }

    /// Observes both legs' times of one request.
    pub fn latency_ratio(&self, route: usize, times: &Pair<Duration>) {
        if let Some(ratio) = self.routes.get(route).and_then(|series| series.latency_ratio.as_ref())
            && times.from > Duration::ZERO
        {
            ratio.observe(times.to.as_secs_f64() / times.from.as_secs_f64());
        }
    }

    /// Notes that a comparison of this route has its outcome now.
    pub fn judged(&self, route: usize) {
        if let Some(last) = self.routes.get(route).and_then(|series| series.last_comparison.as_ref()) {
            last.set(unix_seconds(SystemTime::now()));
        }
    }
}
