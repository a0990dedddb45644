//! `GET /findings`: what differs, grouped by cause, the worst first.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::frame::Frame;
use super::told::{Piece, told};
use super::{html, words};
use crate::admin::App;
use crate::admin::access::Access;
use crate::admin::form::CheckedQuery;
use crate::admin::problem::Problem;
use crate::compare::{Class, Severity};
use crate::ledger::finding::{Finding, State as Judged};
use crate::ledger::group::by_cause;

/// Findings on the page.
const SHOWN: usize = 250;
/// Longest sentence shown, in characters.
const SENTENCE: usize = 260;

#[derive(Template)]
#[template(path = "admin/findings.html")]
struct Screen {
    frame: Frame,
    filters: [Filter; 4],
    is_filtered: bool,
    summary: String,
    causes: Vec<Group>,
    more: usize,
}

/// What the list is narrowed to; empty is any.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::admin) struct Wanted {
    route: String,
    state: String,
    severity: String,
    class: String,
}

struct Filter {
    name: &'static str,
    label: &'static str,
    options: Vec<String>,
    chosen: String,
}

struct Group {
    name: Vec<Piece>,
    severity: &'static str,
    count: u64,
    findings: Vec<Line>,
}

struct Line {
    id: String,
    state: &'static str,
    sentence: Vec<Piece>,
    count: u64,
    last_seen: String,
    last_ago: String,
}

pub(in crate::admin) async fn findings(
    State(shared): App,
    access: Access,
    CheckedQuery(wanted): CheckedQuery<Wanted>,
) -> Result<Response, Problem> {
    let all = shared.ledger.findings();
    let routes = shared.routes.iter().map(|(_, route)| route.pattern.clone()).collect();
    let (total, now) = (all.len(), Utc::now());
    let chosen: Vec<Finding> = all.into_iter().filter(|finding| wanted.includes(finding)).collect();
    let summary = match (chosen.len(), total) {
        (0, 0) => "Nothing differs so far.".to_owned(),
        (some, all) if some == all => words::counted(all as u64, "finding"),
        (some, all) => format!("{some} of {}", words::counted(all as u64, "finding")),
    };
    let more = chosen.len().saturating_sub(SHOWN);
    let mut room = SHOWN;
    let mut causes = Vec::new();
    for cause in by_cause(chosen) {
        let findings: Vec<Line> = cause.findings.iter().take(room).map(|f| Line::of(f, now)).collect();
        room -= findings.len();
        if findings.is_empty() {
            break;
        }
        let severity = cause.severity.as_str();
        causes.push(Group { name: told(&cause.name, SENTENCE), severity, count: cause.count, findings });
    }
    let is_filtered = wanted.is_any();
    let frame = Frame::new(&shared, &access, "/findings");
    html(&Screen { frame, filters: wanted.filters(routes), is_filtered, summary, causes, more })
}

// === impl Wanted ===

impl Wanted {
    fn includes(&self, finding: &Finding) -> bool {
        let is = |wanted: &str, value: &str| wanted.is_empty() || wanted == value;
        is(&self.route, &finding.route)
            && is(&self.state, finding.state.as_str())
            && is(&self.severity, finding.severity.as_str())
            && is(&self.class, finding.class.as_str())
    }

    fn is_any(&self) -> bool {
        [&self.route, &self.state, &self.severity, &self.class].iter().any(|wanted| !wanted.is_empty())
    }

    fn filters(self, routes: Vec<String>) -> [Filter; 4] {
        let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect();
        let states = names(&Judged::ALL.map(Judged::as_str));
        let severities = Severity::ALL.iter().map(|severity| severity.as_str().to_owned()).collect();
        let classes = Class::ALL.iter().map(|class| class.as_str().to_owned()).collect();
        [
            Filter { name: "route", label: "Route", options: routes, chosen: self.route },
            Filter { name: "state", label: "State", options: states, chosen: self.state },
            Filter { name: "severity", label: "Severity", options: severities, chosen: self.severity },
            Filter { name: "class", label: "Class", options: classes, chosen: self.class },
        ]
    }
}

// === impl Line ===

impl Line {
    fn of(finding: &Finding, now: DateTime<Utc>) -> Self {
        Line {
            id: finding.id.clone(),
            state: finding.state.as_str(),
            sentence: told(&finding.sentence, SENTENCE),
            count: finding.count,
            last_seen: words::time(finding.last_seen),
            last_ago: words::ago(finding.last_seen, now),
        }
    }
}
