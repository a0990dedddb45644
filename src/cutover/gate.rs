//! The gate: whether a flip is safe now, with a reason for every condition that is not met.
//!
//! No evidence is *not ready*, never clean.

mod judging;
mod mirrored;

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use serde::Serialize;
use serde_json::{Value, json};

pub(super) use self::mirrored::writes;
use super::quarantine::Quarantine;
use crate::compare::Severity;
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::route::Routes;
use crate::state::{Latch, Stored, rfc3339};
use crate::stats::upper_bound;

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
    /// Most transients that nothing explains.
    pub max_unexplained: f64,
    /// How far back evidence counts.
    pub window: Duration,
    /// How long the bound must hold without a new confirmed mismatch.
    pub hold: Duration,
}

/// The condition on writes that the flip's target lacks.
pub(super) const WRITES: &str = "writes";
/// The condition that says that both sides are one.
const SELF_CHECK: &str = "self_check";
/// Every condition there is. Those that are not among a verdict's stand against nothing.
const CONDITIONS: [&str; 15] = [
    "evidence",
    "mismatch_bound",
    "hold",
    "shadow_failures",
    "unexplained_transients",
    "uncompared",
    "latency_p95",
    "required_routes",
    "open_findings",
    "quarantine",
    WRITES,
    "latch",
    "rules",
    "state_store",
    SELF_CHECK,
];

/// The gate's answer.
#[derive(Debug, Clone, Serialize)]
pub struct Readiness {
    /// Whether every condition is met.
    pub ready: bool,
    /// The epoch whose evidence was judged.
    pub epoch: i64,
    /// Each condition, route by route, then over all.
    pub conditions: Vec<Condition>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
    /// How much evidence a flip needs.
    pub rules: GateRules,
    /// What is compared.
    pub routes: Arc<Routes>,
    /// The evidence.
    pub ledger: Arc<Ledger>,
    /// Where the verdict is shown.
    pub metrics: Arc<Metrics>,
    /// Where flipgate itself reads PostgreSQL.
    pub quarantine: Option<Arc<Quarantine>>,
    /// Whether *from* stands behind both names: then nothing is shown about *to*.
    pub self_check: bool,
}

// === impl GateRules ===

impl Default for GateRules {
    fn default() -> Self {
        GateRules {
            min_comparisons: 300,
            max_mismatch_rate: 0.01,
            max_failure_rate: 0.01,
            max_uncompared: 0.05,
            max_unexplained: 0.01,
            window: Duration::from_secs(24 * 3600),
            hold: Duration::from_secs(600),
        }
    }
}

// === impl Readiness ===

impl Readiness {
    /// Whether not even force goes forward: both sides are one, or writes would be left behind.
    #[must_use]
    pub fn is_beyond_force(&self) -> bool {
        let is_unmet =
            |condition: &Condition| [SELF_CHECK, WRITES].contains(&condition.name) && !condition.met;
        self.conditions.iter().any(is_unmet)
    }
}

// === impl Gate ===

impl Gate {
    /// Judges all evidence in the window, and publishes the verdict's metrics. `more` is what else has to be met.
    #[must_use]
    pub fn readiness(&self, stored: &Stored, more: Vec<Condition>) -> Readiness {
        let since = self.window_start();
        let mut conditions = Vec::new();
        for (index, route) in self.routes.iter() {
            let tally = self.ledger.tally(index, since);
            self.metrics.set_bound(index, upper_bound(tally.mismatches, tally.counted));
            if route.required {
                conditions.extend(self.rules.judge(&route.pattern, &tally));
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
        conditions.extend(stored.latch.as_ref().map(latched));
        conditions.extend(more);
        if self.self_check {
            conditions.push(self_check());
        }
        let ready = conditions.iter().all(|condition| condition.met);
        self.metrics.set_ready(ready);
        let is_met = |name: &str| conditions.iter().all(|condition| condition.name != name || condition.met);
        self.metrics.set_conditions(CONDITIONS.iter().map(|name| (*name, is_met(name))));
        Readiness { ready, epoch: stored.epoch.number, conditions }
    }

    /// Where the window begins, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn window_start(&self) -> i64 {
        Utc::now().timestamp_millis().saturating_sub(millis(self.rules.window))
    }

    fn findings(&self) -> Condition {
        let open = self.ledger.open_findings(&[Severity::Breaking, Severity::Value, Severity::Order]);
        let first = open.first().map(|finding| format!(", first {}: {}", finding.id, finding.sentence));
        condition(
            "open_findings",
            None,
            (json!(open.len()), json!(0), open.is_empty()),
            format!(
                "{} open findings of severity breaking, value or order{}; remove the causes, or accept them \
                 (POST /api/findings/ID)",
                open.len(),
                first.unwrap_or_default()
            ),
        )
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

fn latched(latch: &Latch) -> Condition {
    let hint = format!(
        "an automatic rollback latched at {} ({}); when its cause is gone, release it: POST /api/latch",
        rfc3339(latch.since),
        latch.reason
    );
    condition("latch", None, (json!("latched"), json!("released"), false), hint)
}

/// The epoch's evidence is not of this replica's rules.
pub(super) fn other_rules() -> Condition {
    let hint = "this replica compares by other rules than the epoch's; give all replicas the same rules and backends, and \
                start those that have others again";
    condition("rules", None, (json!("other rules"), json!("the epoch's"), false), hint.to_owned())
}

/// The state store is `down`, or does not know of a rollback here yet: `owed`.
pub(super) fn cut_off(how: &'static str) -> Condition {
    let hint = match how {
        "owed" => "a rollback of this replica is not known to the others yet",
        _ => "the state store of all replicas cannot be reached",
    };
    let hint = format!("{hint}: a rollback works, going forward waits until it answers");
    condition("state_store", None, (json!(how), json!("up"), false), hint)
}

fn self_check() -> Condition {
    let hint = "this is a self-check: one backend stands behind both names; start without --self-check to gather \
                evidence";
    condition(SELF_CHECK, None, (json!(true), json!(false), false), hint.to_owned())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
