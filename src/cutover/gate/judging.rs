//! One route's evidence, judged condition by condition.

use chrono::Utc;
use serde_json::{Value, json};

use super::{Condition, GateRules, condition, millis};
use crate::ledger::evidence::{PER_TARGET, Tally};
use crate::stats::{latency, trials_needed, upper_bound};

/// One route, its evidence, and the rules.
struct Judged<'a> {
    rules: &'a GateRules,
    route: &'a str,
    tally: &'a Tally,
}

// === impl GateRules ===

impl GateRules {
    /// The conditions of one required route.
    pub(super) fn judge(&self, route: &str, tally: &Tally) -> Vec<Condition> {
        let judged = Judged { rules: self, route, tally };
        vec![
            judged.evidence(),
            judged.mismatch_bound(),
            judged.hold(Utc::now().timestamp_millis()),
            judged.rate(
                "shadow_failures",
                (tally.shadow_failures, tally.shadowed, self.max_failure_rate),
                "requests of which the shadow failed, or was not asked because it had failed",
                "see flipgate_outcomes_total{outcome=\"shadow_failed\"} for the reasons, and the other store's log",
            ),
            judged.rate(
                "unexplained_transients",
                (tally.unexplained, tally.compared, self.max_unexplained),
                "comparisons differed and agreed when asked again, and no known write explains it",
                "see the findings marked transient: something is wrong now and then, or writes go past the proxy",
            ),
            judged.rate(
                "uncompared",
                (tally.uncompared, tally.all, self.max_uncompared),
                "requests were not compared, or differed and could not be asked again",
                "see flipgate_outcomes_total for the reasons (shed, incomplete, unconfirmed) and raise that limit",
            ),
            judged.latency(),
        ]
    }
}

// === impl Judged ===

impl Judged<'_> {
    fn condition(&self, name: &'static str, judged: (Value, Value, bool), hint: &str) -> Condition {
        condition(name, Some(self.route), judged, format!("{}: {hint}", self.route))
    }

    fn evidence(&self) -> Condition {
        let Tally { counted, targets, equal_failures, .. } = *self.tally;
        let wanted = self.rules.min_comparisons;
        let failures = if equal_failures > 0 {
            format!("; {equal_failures} equal answers that are not 2xx count for a twentieth at most")
        } else {
            String::new()
        };
        let hint = format!(
            "coverage: {counted} of {wanted} distinct comparisons, from {targets} targets, each of which counts at \
             most {PER_TARGET} times{failures}; ask for other targets (`flipgate sweep --route {}` will complete it \
             once it is built)",
            self.route
        );
        self.condition("evidence", (json!(counted), json!(wanted), counted >= wanted), &hint)
    }

    fn mismatch_bound(&self) -> Condition {
        let Tally { counted, mismatches, .. } = *self.tally;
        let (bound, most) = (upper_bound(mismatches, counted), self.rules.max_mismatch_rate);
        let hint = format!(
            "the upper 95 % bound of the mismatch rate is {:.2} %, and may be {:.2} %: {mismatches} mismatches in \
             {counted} distinct comparisons; remove their causes (/api/findings?route={}) and compare more",
            bound * 100.0,
            most * 100.0,
            self.route
        );
        self.condition("mismatch_bound", (json!(bound), json!(most), bound <= most), &hint)
    }

    /// Since when the bound has been met without a new confirmed mismatch, in milliseconds since the Unix epoch.
    fn held_since(&self) -> Option<i64> {
        let Tally { counted, mismatches, .. } = *self.tally;
        let needed = trials_needed(mismatches, self.rules.max_mismatch_rate, counted)?;
        let needed = usize::try_from(needed.max(self.rules.min_comparisons)).ok()?;
        let mut reached = self.tally.reached.clone();
        // The few equal failures that count came at some time: the latest of the others stands for theirs.
        let place = needed.checked_sub(1)?.min(reached.len().checked_sub(1)?);
        let (_, met, _) = reached.select_nth_unstable(place);
        Some(self.tally.last_mismatch.map_or(*met, |last| last.max(*met)))
    }

    fn hold(&self, now: i64) -> Condition {
        let hold = self.rules.hold.as_secs_f64();
        let held = self.held_since().map_or(0, |since| now.saturating_sub(since).max(0));
        let met = self.held_since().is_some() && held >= millis(self.rules.hold);
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a window stay far below 2^53")]
        let seconds = held as f64 / 1000.0;
        let hint = match self.held_since() {
            None => format!("the mismatch bound has to hold for {hold} s, and is not met yet"),
            Some(_) => format!(
                "the mismatch bound has held for {seconds:.0} of {hold} s without a new confirmed mismatch; wait {:.0} s",
                (hold - seconds).max(0.0)
            ),
        };
        self.condition("hold", (json!(seconds), json!(hold), met), &hint)
    }

    fn rate(
        &self,
        name: &'static str,
        (part, whole, most): (u64, u64, f64),
        what: &str,
        remedy: &str,
    ) -> Condition {
        let share = share(part, whole);
        let hint = format!("{part} of {whole} {what}; at most {:.2} % may; {remedy}", most * 100.0);
        self.condition(name, (json!(share), json!(most), share <= most), &hint)
    }

    fn latency(&self) -> Condition {
        let judged = latency(&self.tally.pairs);
        let hint = format!(
            "p95 is {:.4} s, of the other {:.4} s, and may be {:.4} s, over {} pairs, and not by chance; see \
             flipgate_leg_seconds",
            judged.to,
            judged.from,
            judged.limit,
            self.tally.pairs.len()
        );
        self.condition("latency_p95", (json!(judged.to), json!(judged.limit), !judged.exceeded), &hint)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
