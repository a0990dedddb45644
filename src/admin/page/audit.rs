//! `GET /audit`: what was changed, latest first.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde_json::Value;

use super::frame::Frame;
use super::{html, words};
use crate::admin::App;
use crate::admin::access::Access;
use crate::admin::problem::Problem;
use crate::state::AuditEntry;

/// Entries on the page.
const SHOWN: usize = 200;
/// Longest reason shown, in characters.
const REASON: usize = 300;

#[derive(Template)]
#[template(path = "admin/audit.html")]
struct Screen {
    frame: Frame,
    entries: Vec<Line>,
    more: usize,
}

struct Line {
    at: String,
    action: String,
    from: String,
    to: String,
    trigger: String,
    source: String,
    reason: String,
    forced: bool,
    finding: Option<String>,
    evidence: String,
}

pub(in crate::admin) async fn audit(State(shared): App, access: Access) -> Result<Response, Problem> {
    let mut entries = shared.cutover.audit().await.map_err(|e| Problem::state(&e))?;
    entries.sort_by(|a, b| b.at.cmp(&a.at));
    let more = entries.len().saturating_sub(SHOWN);
    let entries = entries.into_iter().take(SHOWN).map(Line::from).collect();
    html(&Screen { frame: Frame::new(&shared, &access, "/audit"), entries, more })
}

// === impl Line ===

impl From<AuditEntry> for Line {
    fn from(entry: AuditEntry) -> Self {
        let evidence = evidence(&entry);
        let AuditEntry { at, action, from, to, trigger, source, reason, forced, finding, .. } = entry;
        let reason = if reason.chars().count() > REASON {
            format!("{}…", reason.chars().take(REASON).collect::<String>())
        } else {
            reason
        };
        let reason = words::visible(&reason);
        Line { at, action, from, to, trigger, source, reason, forced, finding, evidence }
    }
}

/// What was known at that moment, in few words.
fn evidence(entry: &AuditEntry) -> String {
    if let Some(sentence) = entry.evidence.pointer("/finding/sentence").and_then(Value::as_str) {
        return sentence.to_owned();
    }
    let text = |member: &str| entry.evidence.get(member).and_then(Value::as_str);
    if let (Some(id), Some(route)) = (text("id"), text("route")) {
        return words::visible(&format!("write {id}: {route}"));
    }
    let conditions = entry.evidence.get("conditions").and_then(Value::as_array);
    match (entry.evidence.get("ready").and_then(Value::as_bool), conditions) {
        (Some(true), _) => "the gate was open".to_owned(),
        (Some(false), Some(conditions)) => {
            let unmet =
                conditions.iter().filter(|condition| condition.get("met") == Some(&Value::Bool(false)));
            format!("the gate was shut: {} unmet", words::counted(unmet.count() as u64, "condition"))
        }
        (Some(false), None) => "the gate was shut".to_owned(),
        (None, _) => entry.finding.clone().unwrap_or_default(),
    }
}
