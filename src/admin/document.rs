//! The documents the admin side answers, made from what the app knows.

use chrono::Utc;
use serde_json::{Value, json};

use super::writes;
use crate::app::Shared;
use crate::journal::Counts;
use crate::ledger::finding::Finding;
use crate::ledger::sample::Sample;
use crate::route::Route;
use crate::side::Side;
use crate::state::{Stored, rfc3339};
use crate::stats::upper_bound;

/// Brings the gauges that are computed up to date.
pub(super) fn refresh(shared: &Shared) {
    // Judging publishes the gate's series.
    let _ = shared.cutover.readiness();
    let counts = shared.ledger.finding_counts();
    let counts = counts.iter().map(|((state, severity), count)| (state.as_str(), severity.as_str(), *count));
    shared.metrics.set_findings(counts);
    for side in Side::BOTH {
        let Counts { pending, parked, in_doubt, oldest } = writes::counts(shared, side);
        let age = oldest.map(|oldest| Utc::now().signed_duration_since(oldest).num_seconds());
        let age = age.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0);
        shared.metrics.set_writes(side, pending, parked, in_doubt, age);
    }
    let bytes = shared.journal.as_ref().map_or(0, |journal| journal.bytes());
    shared.metrics.set_journal_bytes(bytes as u64);
    #[expect(clippy::cast_precision_loss, reason = "bytes in memory stay far below 2^53")]
    shared.metrics.capture_bytes.set(shared.shadow.held() as f64);
}

/// `GET /api/status`.
pub(super) fn status(shared: &Shared) -> Value {
    let stored = shared.cutover.status();
    let readiness = shared.cutover.readiness();
    let primary = stored.primary().map_or("split", |side| shared.names.get(side).as_str());
    let backend = |side: Side| {
        json!({
            "name": shared.names.get(side),
            "url": shared.sources.get(side),
            "side": side,
            "up": shared.metrics.is_up(side),
            "breaker": shared.shadow.capacity.breakers.get(side).standing(),
        })
    };
    let routes: Vec<Value> = shared.routes.iter().map(|(index, of)| route(shared, index, of)).collect();
    json!({
        "primary": primary,
        "leader": shared.names.get(stored.leader),
        "dial": stored.dial,
        "ready": readiness.ready,
        "since": rfc3339(stored.since),
        "version": stored.version,
        "epoch": stored.epoch.number,
        "epoch_since": rfc3339(stored.epoch.since),
        "epoch_reason": stored.epoch.reason,
        "latch": stored.latch.as_ref().map(|latch| json!({ "since": rfc3339(latch.since), "reason": latch.reason })),
        "watch": shared.cutover.is_watched(&stored).then(|| watch(shared, &stored)),
        "sticky": { "by": shared.sticky.by(), "note": shared.sticky.note() },
        "self_check": shared.self_check,
        "state": {
            "shared": shared.shared_state.is_some(),
            "up": shared.metrics.is_state_up(),
            "owed": shared.metrics.is_state_owed(),
            "unsaved": shared.metrics.is_state_unsaved(),
        },
        "shadow_share": shared.shadow.capacity.load.share(),
        "backends": { "from": backend(Side::From), "to": backend(Side::To) },
        "routes": routes,
        "unmet": readiness.conditions.iter().filter(|condition| !condition.met).count(),
        "writes": {
            "mode": writes::mode(shared),
            "from": writes::lacking(shared, Side::From),
            "to": writes::lacking(shared, Side::To),
        },
        "pending": shared.metrics.pending(),
        "findings": shared.ledger.findings().len(),
    })
}

/// The answer to `POST /api/rollback`: the status, and what going back costs.
pub(super) fn after_rollback(shared: &Shared) -> Value {
    let mut document = status(shared);
    if let Some(members) = document.as_object_mut() {
        members.insert("cost".into(), writes::cost(shared));
    }
    document
}

fn watch(shared: &Shared, stored: &Stored) -> Value {
    let counts = shared.cutover.watched();
    json!({
        "until": rfc3339(stored.since + shared.cutover.watch_window()),
        "requests": counts.requests,
        "targets": counts.targets,
        "mismatches": counts.mismatches,
        "failures": counts.failures,
    })
}

/// `GET /api/findings/{id}`: the finding with its samples, as far as they are kept.
pub(super) fn finding(finding: &Finding, kept: &[Sample]) -> Value {
    let mut document = serde_json::to_value(finding).unwrap_or_default();
    if let Some(members) = document.as_object_mut() {
        members.insert("samples".into(), json!(kept.iter().map(|sample| sample.id).collect::<Vec<_>>()));
        members.insert("kept".into(), json!(kept));
    }
    document
}

fn route(shared: &Shared, index: usize, route: &Route) -> Value {
    let tally = shared.ledger.tally(index, shared.cutover.window_start());
    json!({
        "route": route.pattern,
        "required": route.required,
        "requests": tally.all,
        "compared": tally.compared,
        "distinct": tally.counted,
        "targets": tally.targets,
        "mismatches": tally.mismatches,
        "upper_bound": upper_bound(tally.mismatches, tally.counted),
        "transient": tally.transients,
        "unexplained": tally.unexplained,
        "noise": tally.noise,
        "noisy": shared.ledger.noisy(index),
        "shadow_failures": tally.shadow_failures,
        "uncompared": tally.uncompared,
        "floor": shared.floors.of(&route.pattern),
    })
}
