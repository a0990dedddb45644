//! `GET /`: who serves, the gate as a checklist, each route's evidence and times.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chrono::Utc;

use super::checks::{Check, checks};
use super::frame::Frame;
use super::spark::{self, Line, Lines};
use super::told::{Piece, told};
use super::{html, words};
use crate::admin::App;
use crate::admin::access::Access;
use crate::admin::problem::Problem;
use crate::app::Shared;
use crate::ledger::finding::{Finding, State as Judged};
use crate::ledger::group::by_cause;
use crate::route::Route;
use crate::shadow::breaker::Standing;
use crate::side::Side;
use crate::state::Stored;
use crate::stats::{latency, upper_bound};

/// Causes that are named.
const WORST: usize = 8;
/// Longest name of a cause, in characters.
const NAME: usize = 120;

#[derive(Template)]
#[template(path = "admin/overview.html")]
struct Screen {
    headline: String,
    since: String,
    since_ago: String,
    leader: String,
    /// What each store lacks; none where writes are not mirrored.
    writes: Option<[(String, String); 2]>,
    backends: [Backend; 2],
    epoch: i64,
    epoch_since: String,
    epoch_reason: String,
    watch: Option<Watched>,
    findings: Vec<(&'static str, usize)>,
    worst: Vec<Worst>,
    unmet: usize,
    groups: Vec<Check>,
    routes: Vec<Row>,
    window: String,
    frame: Frame,
}

struct Backend {
    name: String,
    is_up: bool,
    /// Empty while it is closed.
    breaker: &'static str,
}

/// An open cause, by its worst finding.
struct Worst {
    id: String,
    severity: &'static str,
    name: Vec<Piece>,
    count: u64,
}

struct Watched {
    until: String,
    requests: u64,
    targets: u64,
    mismatches: u64,
    failures: u64,
}

struct Row {
    route: String,
    required: bool,
    open: usize,
    requests: u64,
    evidence: String,
    agreement: String,
    bound: String,
    p95_from: String,
    p95_to: String,
    ratio: String,
    agreement_line: Option<Line>,
    latency_lines: Option<Lines>,
}

pub(in crate::admin) async fn overview(State(shared): App, access: Access) -> Result<Response, Problem> {
    let frame = Frame::new(&shared, &access, "/");
    let all = shared.ledger.findings();
    let Stored { since, ref epoch, leader, .. } = frame.stored;
    let (window, wanted) = shared.cutover.evidence_wanted();
    let count = |state: Judged| (state.as_str(), all.iter().filter(|finding| finding.state == state).count());
    html(&Screen {
        headline: frame.headline(),
        since: words::time(since),
        since_ago: words::ago(since, Utc::now()),
        leader: shared.names.get(leader).clone(),
        writes: shared.journal.as_ref().is_some_and(|journal| journal.is_in_use()).then(|| lacking(&frame)),
        backends: Side::BOTH.map(|side| backend(&shared, side)),
        epoch: epoch.number,
        epoch_since: words::time(epoch.since),
        epoch_reason: epoch.reason.clone(),
        watch: shared.cutover.is_watched(&frame.stored).then(|| watched(&shared, &frame.stored)),
        findings: Judged::ALL.map(count).to_vec(),
        worst: worst(&all),
        unmet: frame.readiness.conditions.iter().filter(|condition| !condition.met).count(),
        groups: checks(&frame.readiness.conditions),
        routes: shared.routes.iter().map(|(index, route)| row(&shared, index, route, wanted, &all)).collect(),
        window: words::stretch(window),
        frame,
    })
}

/// What each store does not have yet.
fn lacking(frame: &Frame) -> [(String, String); 2] {
    Side::BOTH.map(|side| {
        let lacking = words::lacking(frame.lacking.get(side)).unwrap_or_else(|| "none".to_owned());
        (frame.names.get(side).clone(), lacking)
    })
}

fn worst(findings: &[Finding]) -> Vec<Worst> {
    let open = findings.iter().filter(|finding| finding.state == Judged::Open && !finding.transient);
    let causes = by_cause(open.cloned().collect()).into_iter().take(WORST);
    let shown = causes.filter_map(|cause| {
        let id = cause.findings.first()?.id.clone();
        Some(Worst {
            id,
            severity: cause.severity.as_str(),
            name: told(&cause.name, NAME),
            count: cause.count,
        })
    });
    shown.collect()
}

fn backend(shared: &Shared, side: Side) -> Backend {
    let breaker = match shared.shadow.capacity.breakers.get(side).standing() {
        Standing::Closed => "",
        Standing::Open => "asked only now and then",
        Standing::HalfOpen => "being asked whether it is back",
    };
    Backend { name: shared.names.get(side).clone(), is_up: shared.metrics.is_up(side), breaker }
}

fn watched(shared: &Shared, stored: &Stored) -> Watched {
    let counts = shared.cutover.watched();
    Watched {
        until: words::time(stored.since + shared.cutover.watch_window()),
        requests: counts.requests,
        targets: counts.targets,
        mismatches: counts.mismatches,
        failures: counts.failures,
    }
}

fn row(shared: &Shared, index: usize, route: &Route, wanted: u64, findings: &[Finding]) -> Row {
    let tally = shared.ledger.tally(index, shared.cutover.window_start());
    let times = latency(&tally.pairs);
    let history = shared.ledger.history(index);
    let is_open = |finding: &&Finding| {
        finding.state == Judged::Open && !finding.transient && finding.route == route.pattern
    };
    let none = || "–".to_owned();
    let timed = |text: String| if tally.pairs.is_empty() { none() } else { text };
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    let share = tally.agreed() as f64 / tally.compared as f64;
    Row {
        route: route.pattern.clone(),
        required: route.required,
        open: findings.iter().filter(is_open).count(),
        requests: tally.all,
        evidence: format!("{} of {wanted}", tally.counted),
        agreement: if tally.compared == 0 { none() } else { words::percent(share) },
        bound: if tally.counted == 0 {
            none()
        } else {
            words::percent(upper_bound(tally.mismatches, tally.counted))
        },
        p95_from: timed(words::seconds(times.from)),
        p95_to: timed(words::seconds(times.to)),
        ratio: if times.from > 0.0 { format!("{:.2}", times.to / times.from) } else { none() },
        agreement_line: spark::agreement(&history),
        latency_lines: spark::latencies(&history, &shared.names),
    }
}
