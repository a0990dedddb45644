//! Every series of the contract, declared once. The help texts here are what Prometheus shows.
//!
//! Labels are enums, backend names and the `match` strings of routes; nothing from a request becomes one.

mod accounting;
mod admin;
mod cutovers;
mod data_events;
mod initial;
mod process;
mod routes;
mod writes;

use std::time::{Duration, SystemTime};

use prometheus::core::Collector;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use self::accounting::Accounting;
use self::admin::Admin;
pub use self::admin::Login;
use self::cutovers::Cutovers;
pub use self::data_events::DataEvent;
use self::data_events::DataEvents;
use self::process::Process;
use self::routes::RouteSeries;
use self::writes::Writes;
pub use self::writes::{JournalRefusal, WriteResult};
use crate::ledger::outcome::{Outcome, Reason};
use crate::side::{Pair, Side};

/// Comparisons run from microseconds (equal bytes) to seconds (a full body at its limits).
const COMPARE_SECONDS: &[f64] = &[0.00001, 0.0001, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];
/// What flipgate itself takes: tens of microseconds, up to as long as a request waits for a place at a slow backend.
const OVERHEAD_SECONDS: &[f64] =
    &[0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 10.0];

/// The registry and every series in it.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    names: Pair<String>,
    accounting: Accounting,
    routes: Vec<RouteSeries>,
    overhead_seconds: Histogram,
    differences: IntCounterVec,
    compare_seconds: Histogram,
    compare_bytes: IntCounter,
    /// Shadow requests under way.
    pub shadow_inflight: IntGauge,
    /// Comparisons waiting for a comparator.
    pub compare_queue: IntGauge,
    findings: IntGaugeVec,
    primary: GaugeVec,
    ready: IntGauge,
    bound: GaugeVec,
    flips: IntCounterVec,
    backend_up: IntGaugeVec,
    /// Bytes held for comparison over all requests.
    pub capture_bytes: Gauge,
    /// Client connections that are open.
    pub connections: IntGauge,
    /// Samples that were not kept.
    pub samples_dropped: IntCounter,
    /// What came with the gate, the watch and rechecks.
    more: Cutovers,
    admin: Admin,
    writes: Writes,
    data_events: DataEvents,
}

// === impl Metrics ===

impl Metrics {
    /// Declares every series. `routes` are the `match` strings, `other` last.
    ///
    /// # Errors
    /// If two series clash, which only a change of this file can cause.
    pub fn new(names: Pair<String>, routes: &[String]) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let accounting = Accounting::new()?;
        registry.register(Box::new(accounting.clone()))?;
        let labels = routes.to_vec();
        let routes = RouteSeries::all(&registry, routes)?;
        let build_info = IntGaugeVec::new(
            Opts::new("flipgate_build_info", "Always 1; the version is the label."),
            &["version"],
        )?;
        registry.register(Box::new(build_info.clone()))?;
        build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        registry.register(Box::new(Process::new(SystemTime::now())?))?;
        let overhead_help = "Time of a compared request that flipgate took itself, in seconds: until it was sent to the \
                             primary (waiting for a place there included), and after the last byte of the answer.";
        let metrics = Metrics {
            accounting,
            routes,
            overhead_seconds: histogram(
                &registry,
                "flipgate_overhead_seconds",
                overhead_help,
                OVERHEAD_SECONDS,
            )?,
            differences: registered(
                &registry,
                IntCounterVec::new(
                    Opts::new("flipgate_differences_total", "Differences found, by route, kind and class."),
                    &["route", "kind", "class"],
                )?,
            )?,
            compare_seconds: histogram(
                &registry,
                "flipgate_compare_seconds",
                "Time a comparison took, in seconds.",
                COMPARE_SECONDS,
            )?,
            compare_bytes: registered(
                &registry,
                IntCounter::new("flipgate_compare_bytes_total", "Bytes of bodies compared, both legs.")?,
            )?,
            shadow_inflight: gauge(&registry, "flipgate_shadow_inflight", "Shadow requests under way.")?,
            compare_queue: gauge(
                &registry,
                "flipgate_compare_queue",
                "Comparisons waiting for a comparator.",
            )?,
            findings: gauges(
                &registry,
                "flipgate_findings",
                "Findings, by state and severity.",
                &["state", "severity"],
            )?,
            primary: registered(
                &registry,
                GaugeVec::new(
                    Opts::new("flipgate_primary", "Share of reads the backend serves, 0 to 1."),
                    &["backend"],
                )?,
            )?,
            ready: gauge(&registry, "flipgate_ready", "1 if every condition of the gate is met.")?,
            bound: registered(
                &registry,
                GaugeVec::new(
                    Opts::new(
                        "flipgate_mismatch_upper_bound",
                        "One-sided 95 % Clopper-Pearson upper bound of the mismatch rate; 1 without evidence.",
                    ),
                    &["route"],
                )?,
            )?,
            flips: registered(
                &registry,
                IntCounterVec::new(
                    Opts::new(
                        "flipgate_flips_total",
                        "Changes of the primary, by new primary and what asked for it.",
                    ),
                    &["to", "trigger"],
                )?,
            )?,
            backend_up: gauges(
                &registry,
                "flipgate_backend_up",
                "1 if the backend's last answer was complete, 0 if it gave none.",
                &["backend"],
            )?,
            capture_bytes: registered(
                &registry,
                Gauge::new(
                    "flipgate_capture_bytes",
                    "Bytes of bodies held for comparison over all requests.",
                )?,
            )?,
            connections: gauge(
                &registry,
                "flipgate_client_connections",
                "Client connections that are open.",
            )?,
            samples_dropped: registered(
                &registry,
                IntCounter::new(
                    "flipgate_samples_dropped_total",
                    "Samples not kept, because their queue was full or the disk refused them.",
                )?,
            )?,
            more: Cutovers::new(&registry, &names, &labels)?,
            admin: Admin::new(&registry)?,
            writes: Writes::new(&registry, &names)?,
            data_events: DataEvents::new(&registry, &names)?,
            names,
            registry,
        };
        metrics.begin_at_zero();
        Ok(metrics)
    }

    /// Counts one request; its outcome is counted afterwards.
    pub fn request(&self, route: usize, method: &str, code: u16, primary: Option<Side>) {
        let primary = primary.map_or("none", |side| self.names.get(side).as_str());
        // A backend may answer with any number of three digits.
        let code = if (100..600).contains(&code) { code.to_string() } else { "other".to_owned() };
        self.accounting.request([self.label(route), method, &code, primary]);
    }

    /// Counts one outcome.
    pub fn outcome(&self, route: usize, outcome: Outcome, reason: Reason) {
        self.accounting.outcome([self.label(route), outcome.label(), reason.label()]);
    }

    /// Counts one difference.
    pub fn difference(&self, route: usize, kind: &str, class: &str) {
        self.differences.with_label_values(&[self.label(route), kind, class]).inc();
    }

    /// Observes what flipgate itself took of a compared request.
    pub fn overhead(&self, time: Duration) {
        self.overhead_seconds.observe(time.as_secs_f64());
    }

    /// Observes one comparison of `bytes` in both bodies together.
    pub fn compared(&self, time: Duration, bytes: u64) {
        self.compare_seconds.observe(time.as_secs_f64());
        self.compare_bytes.inc_by(bytes);
    }

    /// Sets the share of reads each backend serves.
    pub fn set_primary(&self, share: &Pair<f64>) {
        for side in Side::BOTH {
            self.primary.with_label_values(&[self.names.get(side).as_str()]).set(*share.get(side));
        }
    }

    /// Says whether a backend answered.
    pub fn set_up(&self, side: Side, up: bool) {
        self.backend_up.with_label_values(&[self.names.get(side).as_str()]).set(i64::from(up));
    }

    /// Whether a backend's last answer was complete.
    pub fn is_up(&self, side: Side) -> bool {
        self.backend_up.with_label_values(&[self.names.get(side).as_str()]).get() == 1
    }

    /// Counts a change of the primary.
    pub fn flipped(&self, to: Side, trigger: &str) {
        self.flips.with_label_values(&[self.names.get(to).as_str(), trigger]).inc();
    }

    /// Sets the gate's verdict.
    pub fn set_ready(&self, ready: bool) {
        self.ready.set(i64::from(ready));
    }

    /// Sets a route's bound of the mismatch rate.
    pub fn set_bound(&self, route: usize, bound: f64) {
        self.bound.with_label_values(&[self.label(route)]).set(bound);
    }

    /// Sets how many findings there are of each state and severity.
    pub fn set_findings<'a>(&self, counts: impl Iterator<Item = (&'a str, &'a str, i64)>) {
        for (state, severity, count) in counts {
            self.findings.with_label_values(&[state, severity]).set(count);
        }
    }

    /// How many requests ended with `outcome`, over all routes and reasons.
    pub fn outcomes(&self, outcome: Outcome) -> u64 {
        self.accounting.ended(outcome)
    }

    /// Requests counted that have no outcome yet.
    pub fn pending(&self) -> i64 {
        self.accounting.pending()
    }

    /// The text Prometheus scrapes.
    ///
    /// # Errors
    /// If a series cannot be written as text.
    pub fn render(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = Vec::with_capacity(64 * 1024);
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }

    fn label(&self, route: usize) -> &str {
        self.routes.get(route).map_or("other", |series| series.label.as_str())
    }
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, series: C) -> prometheus::Result<C> {
    registry.register(Box::new(series.clone()))?;
    Ok(series)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntGauge> {
    registered(registry, IntGauge::new(name, help)?)
}

fn histogram(registry: &Registry, name: &str, help: &str, buckets: &[f64]) -> prometheus::Result<Histogram> {
    registered(registry, Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?)
}

fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
    registered(registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
}

fn histograms(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
    buckets: &[f64],
) -> prometheus::Result<HistogramVec> {
    let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    registered(registry, HistogramVec::new(opts, labels)?)
}
