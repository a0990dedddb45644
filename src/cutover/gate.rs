//! The gate: whether a flip is safe now, with a reason for every condition that is not met.
//!
//! No evidence is *not ready*, never clean.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use serde::Serialize;
use serde_json::{Value, json};

use super::quarantine::Quarantine;
use super::stats::{quantile, upper_bound};
use crate::compare::Severity;
use crate::ledger::Ledger;
use crate::ledger::evidence::Tally;
use crate::metrics::Metrics;
use crate::route::Routes;

/// How much evidence a flip needs.
#[derive(Debug, Clone, Copy)]
pub struct GateRules {
    /// Comparisons a required route, counted per distinct target.
    pub min_comparisons: u64,
    /// Most that the upper bound of the mismatch rate may be.
    pub max_mismatch_rate: f64,
    /// Most that may fail on the shadow.
    pub max_failure_rate: f64,
    /// Most that may go uncompared.
    pub max_uncompared: f64,
    /// How far back evidence counts.
    pub window: Duration,
}

/// Equal answers that are not 2xx may be this share of a route's evidence.
const MAX_EQUAL_FAILURES: f64 = 0.05;
/// p95 of *to* may be this many times that of *from* …
const LATENCY_FACTOR: f64 = 1.2;
/// … or exceed it by this many seconds.
const LATENCY_SLACK: f64 = 0.005;

/// The gate's answer.
#[derive(Debug, Clone, Serialize)]
pub struct Readiness {
    /// Whether every condition is met.
    pub ready: bool,
    /// Each condition, route by route, then over all.
    pub conditions: Vec<Condition>,
}

/// One condition.
#[derive(Debug, Clone, Serialize)]
pub struct Condition {
    /// Which: `evidence`, `mismatch_bound`, …
    pub name: &'static str,
    /// The route it is about; null over all.
    pub route: Option<String>,
    /// Whether it is met.
    pub met: bool,
    /// What is.
    pub actual: Value,
    /// What must be.
    pub required: Value,
    /// What would meet it; empty where it is met.
    pub hint: String,
}

/// Reads the ledger and judges.
#[derive(Debug)]
pub struct Gate {
    rules: GateRules,
    routes: Arc<Routes>,
    ledger: Arc<Ledger>,
    metrics: Arc<Metrics>,
    /// Where flipgate itself reads PostgreSQL.
    quarantine: Option<Arc<Quarantine>>,
}

// === impl GateRules ===

impl Default for GateRules {
    fn default() -> Self {
        GateRules {
            min_comparisons: 300,
            max_mismatch_rate: 0.01,
            max_failure_rate: 0.01,
            max_uncompared: 0.05,
            window: Duration::from_secs(24 * 3600),
        }
    }
}

// === impl Gate ===

impl Gate {
    /// A gate over `routes`, judging what `ledger` holds.
    #[must_use]
    pub fn new(rules: GateRules, routes: Arc<Routes>, ledger: Arc<Ledger>, metrics: Arc<Metrics>) -> Self {
        Gate { rules, routes, ledger, metrics, quarantine: None }
    }

    /// Has rows in quarantine stand against a flip.
    #[must_use]
    pub fn watching(mut self, quarantine: Option<Arc<Quarantine>>) -> Self {
        self.quarantine = quarantine;
        self
    }

    /// Judges all evidence in the window, and publishes the verdict's metrics.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let window = i64::try_from(self.rules.window.as_millis()).unwrap_or(i64::MAX);
        let since = Utc::now().timestamp_millis().saturating_sub(window);
        let mut conditions = Vec::new();
        for (index, route) in self.routes.iter() {
            let tally = self.ledger.tally(index, since);
            self.metrics.set_bound(index, upper_bound(tally.mismatches, tally.counted));
            if route.required {
                conditions.extend(self.rules.judge(&route.pattern, tally));
            }
        }
        if conditions.is_empty() {
            conditions.push(condition(
                "required_routes",
                None,
                (json!(0), json!(1), false),
                "name at least one required route under [[routes]]".into(),
            ));
        }
        conditions.push(self.findings());
        conditions.extend(self.quarantine.as_deref().map(quarantined));
        let ready = conditions.iter().all(|condition| condition.met);
        self.metrics.set_ready(ready);
        Readiness { ready, conditions }
    }

    fn findings(&self) -> Condition {
        let open = self.ledger.open_findings();
        let blocking =
            open.iter().filter(|(severity, _)| blocks(*severity)).map(|(_, count)| count).sum::<i64>();
        condition(
            "open_findings",
            None,
            (json!(blocking), json!(0), blocking == 0),
            format!(
                "{blocking} open findings of severity breaking, value or order; see /api/findings?state=open"
            ),
        )
    }
}

// === impl GateRules ===

impl GateRules {
    fn judge(&self, route: &str, mut tally: Tally) -> Vec<Condition> {
        let route_condition = |name, judged, hint| condition(name, Some(route), judged, hint);
        let bound = upper_bound(tally.mismatches, tally.counted);
        let failures = share(tally.shadow_failures, tally.shadowed);
        let uncompared = share(tally.uncompared, tally.all);
        let not_success = share(tally.equal_failures, tally.counted);
        let latency = Latency::of(&mut tally);
        vec![
            route_condition(
                "evidence",
                (json!(tally.counted), json!(self.min_comparisons), tally.counted >= self.min_comparisons),
                format!(
                    "{route}: {} of {} distinct comparisons; send more different requests through the proxy",
                    tally.counted, self.min_comparisons
                ),
            ),
            route_condition(
                "equal_failures",
                (json!(not_success), json!(MAX_EQUAL_FAILURES), not_success <= MAX_EQUAL_FAILURES),
                format!(
                    "{route}: {} equal answers were not 2xx; ask for things that exist",
                    tally.equal_failures
                ),
            ),
            route_condition(
                "mismatch_bound",
                (json!(bound), json!(self.max_mismatch_rate), bound <= self.max_mismatch_rate),
                format!(
                    "{route}: {} mismatches in {} comparisons; remove their causes (/api/findings) and compare more",
                    tally.mismatches, tally.counted
                ),
            ),
            route_condition(
                "shadow_failures",
                (json!(failures), json!(self.max_failure_rate), failures <= self.max_failure_rate),
                format!("{route}: the shadow failed {} of {} times", tally.shadow_failures, tally.shadowed),
            ),
            route_condition(
                "uncompared",
                (json!(uncompared), json!(self.max_uncompared), uncompared <= self.max_uncompared),
                format!("{route}: {} of {} requests were not compared", tally.uncompared, tally.all),
            ),
            route_condition(
                "latency_p95",
                (json!(latency.to), json!(latency.limit), latency.to <= latency.limit),
                format!("{route}: p95 is {:.4} s, of the other {:.4} s", latency.to, latency.from),
            ),
        ]
    }
}

/// p95 of both stores, in seconds, and what *to*'s may be.
struct Latency {
    from: f64,
    to: f64,
    limit: f64,
}

impl Latency {
    fn of(tally: &mut Tally) -> Self {
        let (mut from, mut to): (Vec<f64>, Vec<f64>) = tally.pairs.drain(..).unzip();
        let from = quantile(&mut from, 0.95);
        let to = quantile(&mut to, 0.95);
        Latency { from, to, limit: (from * LATENCY_FACTOR).max(from + LATENCY_SLACK) }
    }
}

fn quarantined(quarantine: &Quarantine) -> Condition {
    let rows = quarantine.rows();
    let hint = match rows {
        Some(rows) => format!(
            "{rows} rows could not be stored; `flipgate verify` lists them, `flipgate migrate --resolve` says they are \
             dealt with"
        ),
        None => "the quarantine cannot be read; check that PostgreSQL answers and has flipgate's schema"
            .to_owned(),
    };
    condition("quarantine", None, (json!(rows), json!(0), rows == Some(0)), hint)
}

fn condition(
    name: &'static str,
    route: Option<&str>,
    (actual, required, met): (Value, Value, bool),
    hint: String,
) -> Condition {
    let hint = if met { String::new() } else { hint };
    Condition { name, route: route.map(str::to_owned), met, actual, required, hint }
}

fn blocks(severity: Severity) -> bool {
    match severity {
        Severity::Breaking | Severity::Value | Severity::Order => true,
        Severity::Representation | Severity::Addition => false,
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
