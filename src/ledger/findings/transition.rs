//! Changes of a finding's state that no operator made.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};

use crate::ledger::finding::{Finding, State};
use crate::state::{AuditEntry, rfc3339};

/// Changes of state kept until they are audited; beyond, the oldest are not.
const TRANSITIONS: usize = 1000;

/// A change of state that no operator made.
#[derive(Debug, Clone)]
pub struct Transition {
    /// The finding as it is since then.
    pub finding: Finding,
    /// What it was before.
    pub before: State,
    /// When that was accepted which no longer holds, as the acceptance's document says it.
    pub accepted: Option<String>,
    /// Why.
    pub reason: String,
    /// When.
    pub at: DateTime<Utc>,
}

// === impl Transition ===

impl Transition {
    /// How it stands in the audit.
    #[must_use]
    pub fn audit(&self) -> AuditEntry {
        AuditEntry {
            at: rfc3339(self.at),
            action: action(self.finding.state).to_owned(),
            from: self.before.as_str().to_owned(),
            to: self.finding.state.as_str().to_owned(),
            trigger: "flipgate".to_owned(),
            source: "flipgate".to_owned(),
            reason: self.reason.clone(),
            forced: false,
            evidence: serde_json::json!(self.finding),
            finding: Some(self.finding.id.clone()),
        }
    }
}

/// What the audit calls a change to this state.
#[must_use]
pub fn action(to: State) -> &'static str {
    match to {
        State::Open => "reopen",
        State::Accepted => "accept",
        State::Resolved => "resolve",
    }
}

/// Gives a finding another state, and notes why for the audit.
pub(super) fn change(
    transitions: &mut VecDeque<Transition>,
    finding: &mut Finding,
    state: State,
    reason: String,
    at: DateTime<Utc>,
) {
    let before = std::mem::replace(&mut finding.state, state);
    let accepted = finding.accepted.take().map(|accepted| rfc3339(accepted.at));
    if transitions.len() >= TRANSITIONS {
        transitions.pop_front();
    }
    transitions.push_back(Transition { finding: finding.clone(), before, accepted, reason, at });
}
