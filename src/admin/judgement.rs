//! `POST /api/findings/{id}`: on disk and audited before it is answered.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::response::Response;
use chrono::Utc;
use http::StatusCode;

use super::problem::Problem;
use super::{App, Caller, parsed, with_samples};
use crate::app::Shared;
use crate::cutover::blocking;
use crate::ledger::acceptance::{Acceptance, JudgeError, Judgement};
use crate::ledger::finding::{Finding, State as Judged};
use crate::ledger::findings::action;
use crate::state::{AuditEntry, rfc3339};

pub(super) async fn judge(
    State(shared): App,
    ConnectInfo(caller): Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let finding = apply(&shared, &id, &parsed(&body)?, caller.to_string()).await?;
    Ok(with_samples(&shared, &finding).await)
}

/// Judges a finding as an operator at `source` asks for; gives it as it is then.
pub(super) async fn apply(
    shared: &Arc<Shared>,
    id: &str,
    judgement: &Judgement,
    source: String,
) -> Result<Finding, Problem> {
    let finding = shared.ledger.finding(id).ok_or_else(|| Problem::from(JudgeError::Unknown))?;
    let accepted = match judgement.state {
        Judged::Accepted => Some(shared.ledger.acceptance(id, judgement)?),
        Judged::Open if finding.state == Judged::Open => return Ok(finding),
        Judged::Open => None,
        Judged::Resolved => {
            return Err(Problem::bad_request(
                "`resolved` is set by flipgate itself; state is `accepted` or `open`",
            ));
        }
    };
    store(shared, &finding, accepted.as_ref(), judgement, source).await?;
    let judged = shared.ledger.judge(id, accepted).ok_or_else(|| Problem::from(JudgeError::Unknown))?;
    tracing::info!(finding = %id, state = judged.state.as_str(), "an operator judged a finding");
    Ok(judged)
}

async fn store(
    shared: &Arc<Shared>,
    finding: &Finding,
    accepted: Option<&Acceptance>,
    judgement: &Judgement,
    source: String,
) -> Result<(), Problem> {
    let entry = AuditEntry {
        at: rfc3339(Utc::now()),
        action: action(judgement.state).to_owned(),
        from: finding.state.as_str().to_owned(),
        to: judgement.state.as_str().to_owned(),
        trigger: "operator".to_owned(),
        source,
        reason: judgement.note.clone(),
        forced: false,
        evidence: serde_json::json!({ "finding": finding, "accepted": accepted }),
        finding: Some(finding.id.clone()),
    };
    let document = accepted.map(|accepted| serde_json::json!(accepted));
    if let Some(state) = &shared.shared_state {
        // All replicas judge alike: where they cannot be told, nothing is judged.
        let judged = state.judge(&finding.id, document.as_ref(), &entry).await;
        judged.map_err(|e| {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, &format!("nothing was changed: {e}"))
        })?;
    }
    let (shared, id) = (Arc::clone(shared), finding.id.clone());
    let stored = blocking(move || {
        // The finding itself must be on disk, or after a crash there would be nothing that is accepted.
        shared.ledger.flush();
        shared.state.judge(&id, document.as_ref(), &entry)
    });
    stored.await.map_err(|e| Problem::state(&e))
}

impl From<JudgeError> for Problem {
    fn from(error: JudgeError) -> Self {
        let status = match error {
            JudgeError::Unknown => StatusCode::NOT_FOUND,
            JudgeError::Unusable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            JudgeError::Beyond { .. } => StatusCode::CONFLICT,
        };
        Problem::new(status, &error.to_string())
    }
}
