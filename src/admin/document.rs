//! The documents the admin side answers, made from what the app knows.

use serde_json::{Value, json};

use crate::app::Shared;
use crate::ledger::finding::Finding;
use crate::ledger::sample::Sample;
use crate::side::Side;
use crate::state::rfc3339;

/// Brings the gauges that are computed up to date.
pub(super) fn refresh(shared: &Shared) {
    // Judging publishes the gate's series.
    let _ = shared.cutover.readiness();
    let counts = shared.ledger.finding_counts();
    let counts = counts.iter().map(|((state, severity), count)| (state.as_str(), severity.as_str(), *count));
    shared.metrics.set_findings(counts);
    #[expect(clippy::cast_precision_loss, reason = "bytes in memory stay far below 2^53")]
    shared.metrics.capture_bytes.set(shared.shadow.held() as f64);
}

/// `GET /api/status`.
pub(super) async fn status(shared: &Shared) -> Value {
    let stored = shared.cutover.status().await;
    let readiness = shared.cutover.readiness();
    let primary = stored.primary().map_or("split", |side| shared.names.get(side).as_str());
    let backend = |side: Side| {
        json!({
            "name": shared.names.get(side),
            "url": shared.sources.get(side),
            "side": side,
            "up": shared.metrics.is_up(side),
        })
    };
    let routes: Vec<Value> = shared.routes.iter().map(|(index, _)| route(shared, index)).collect();
    json!({
        "primary": primary,
        "leader": shared.names.get(shared.cutover.leader()),
        "dial": stored.dial,
        "ready": readiness.ready,
        "since": rfc3339(stored.since),
        "version": stored.version,
        // Epochs are not built yet.
        "epoch": null,
        "backends": { "from": backend(Side::From), "to": backend(Side::To) },
        "routes": routes,
        "unmet": readiness.conditions.iter().filter(|condition| !condition.met).count(),
        "pending": shared.metrics.pending(),
        "findings": shared.ledger.findings().len(),
    })
}

/// `GET /api/findings/{id}`: the finding with its samples.
pub(super) fn finding(shared: &Shared, finding: &Finding) -> Value {
    let kept: Vec<Sample> = finding.samples.iter().filter_map(|id| shared.ledger.sample(*id)).collect();
    let mut document = serde_json::to_value(finding).unwrap_or_default();
    if let Some(members) = document.as_object_mut() {
        members.insert("samples".into(), json!(kept.iter().map(|sample| sample.id).collect::<Vec<_>>()));
        members.insert("kept".into(), json!(kept));
    }
    document
}

fn route(shared: &Shared, index: usize) -> Value {
    let tally = shared.ledger.tally(index, 0);
    let route = shared.routes.iter().nth(index).map(|(_, route)| route);
    json!({
        "route": route.map(|route| route.pattern.as_str()),
        "required": route.map(|route| route.required),
        "requests": tally.all,
        "compared": tally.pairs.len(),
        "distinct": tally.counted,
        "mismatches": tally.mismatches,
        "shadow_failures": tally.shadow_failures,
    })
}
