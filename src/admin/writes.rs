//! `/api/writes`: writes that are not in both stores, and what an operator makes of one; on disk before it is answered.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use chrono::Utc;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::form::CheckedQuery;
use super::problem::Problem;
use super::{App, Caller, changes, parsed};
use crate::app::Shared;
use crate::cutover::blocking;
use crate::journal::{ActError, Action, Counts, Journal, State as Stand, View};
use crate::side::{Pair, Side};
use crate::state::{AuditEntry, rfc3339};

/// Writes that are listed at most.
pub(super) const MOST: usize = 500;

/// Which writes are asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WritesQuery {
    state: Option<Stand>,
}

/// What an operator makes of a write.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WriteRequest {
    pub(super) action: Action,
    #[serde(default)]
    pub(super) reason: String,
}

/// `GET /api/writes`.
pub(super) async fn writes(
    State(shared): App,
    CheckedQuery(query): CheckedQuery<WritesQuery>,
) -> Json<Value> {
    let journal = shared.journal.as_ref();
    let total = journal.map_or(0, |journal| journal.count(query.state));
    let writes = journal.map(|journal| journal.list(query.state, MOST)).unwrap_or_default();
    let lacking = |side| lacking(&shared, side);
    Json(json!({
        "mode": mode(&shared),
        "backends": { "from": lacking(Side::From), "to": lacking(Side::To) },
        "total": total,
        "writes": writes,
    }))
}

/// `POST /api/writes/{id}`.
pub(super) async fn act(
    State(shared): App,
    ConnectInfo(caller): Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<View>, Problem> {
    apply(&shared, id, parsed(&body)?, caller.to_string()).await.map(Json)
}

/// Does with a write what an operator at `source` asks for; gives it as it is then.
pub(super) async fn apply(
    shared: &Arc<Shared>,
    id: String,
    request: WriteRequest,
    source: String,
) -> Result<View, Problem> {
    let WriteRequest { action, reason } = request;
    let reason = changes::reason(reason)?;
    if reason.trim().is_empty() {
        return Err(Problem::bad_request("`reason` is needed: it is kept in the audit"));
    }
    let journal = shared.journal.clone().ok_or_else(|| Problem::from(ActError::Unknown(id.clone())))?;
    let deciding = Deciding { shared: Arc::clone(shared), journal, id, action, reason, source };
    // On the clients' runtime, where deliveries are; and in a task of its own: a caller who hangs up in between must not
    // leave a write that was decided about and no word of it in the audit.
    let decided = shared.runtime.spawn(deciding.run()).await;
    decided.map_err(|e| Problem::internal(&e))?
}

/// Whether new writes go to both stores.
pub(super) fn is_mirrored(shared: &Shared) -> bool {
    shared.journal.as_ref().is_some_and(|journal| journal.mirrors())
}

/// `both` where writes go to both stores, else `primary`.
pub(super) fn mode(shared: &Shared) -> &'static str {
    if is_mirrored(shared) { "both" } else { "primary" }
}

/// What a store does not have yet.
pub(super) fn counts(shared: &Shared, side: Side) -> Counts {
    shared.journal.as_ref().map(|journal| journal.counts(side)).unwrap_or_default()
}

/// What a store does not have yet, as a document.
pub(super) fn lacking(shared: &Shared, side: Side) -> Value {
    let Counts { pending, parked, in_doubt, oldest } = counts(shared, side);
    json!({
        "name": shared.names.get(side),
        "pending": pending,
        "parked": parked,
        "in_doubt": in_doubt,
        "oldest": oldest.map(rfc3339),
    })
}

/// What going back to *from* costs: the writes that it does not have.
pub(super) fn cost(shared: &Shared) -> Value {
    let counts = counts(shared, Side::From);
    json!({
        "pending": counts.pending,
        "parked": counts.parked,
        "in_doubt": counts.in_doubt,
        "sentence": cost_told(&shared.names, &counts, is_mirrored(shared)),
    })
}

/// What going back to *from* costs, in a sentence without its full stop.
pub(super) fn cost_told(names: &Pair<String>, counts: &Counts, is_mirrored: bool) -> String {
    let Pair { from, to } = names;
    if !is_mirrored {
        return format!("writes are not mirrored, so {from} does not have what {to} alone took");
    }
    let Counts { pending, parked, in_doubt, oldest: _ } = *counts;
    match pending + parked + in_doubt {
        0 => format!("no write, since {from} has every one that was taken"),
        all => format!(
            "{from} does not have {all} {} yet: {pending} pending, {parked} parked, {in_doubt} in doubt; what is pending \
             is delivered to it, the others wait for an operator (GET /api/writes)",
            if all == 1 { "write" } else { "writes" }
        ),
    }
}

/// A decision about one write.
struct Deciding {
    shared: Arc<Shared>,
    journal: Arc<Journal>,
    id: String,
    action: Action,
    reason: String,
    source: String,
}

// === impl Deciding ===

impl Deciding {
    async fn run(self) -> Result<View, Problem> {
        let before = self.journal.state_of(&self.id).map_or("", Stand::name);
        let decided = self.journal.act(&self.id, self.action).await?;
        tracing::info!(write = %decided.id, action = done(self.action), "an operator decided about a write");
        let entry = self.entry(before, &decided);
        // Replicas do not mirror writes, so the audit of this one is the only one.
        let state = self.shared.state.clone();
        blocking(move || state.note(&entry)).await.map_err(|error| {
            tracing::error!(%error, write = %decided.id, "a decision about a write is not in the audit");
            let why = format!(
                "the write was {} all the same, but the audit did not take it: {error}",
                done(self.action)
            );
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, &why)
        })?;
        Ok(decided)
    }

    fn entry(&self, before: &str, decided: &View) -> AuditEntry {
        let (action, to) = match self.action {
            Action::Retry => ("write_retry", decided.state.name()),
            Action::Discard => ("write_discard", "discarded"),
        };
        AuditEntry {
            at: rfc3339(Utc::now()),
            action: action.to_owned(),
            from: before.to_owned(),
            to: to.to_owned(),
            trigger: "operator".to_owned(),
            source: self.source.clone(),
            reason: self.reason.clone(),
            forced: false,
            evidence: json!(decided),
            finding: None,
        }
    }
}

impl From<ActError> for Problem {
    fn from(error: ActError) -> Self {
        let status = match error {
            ActError::Unknown(_) => StatusCode::NOT_FOUND,
            ActError::Impossible(_) => StatusCode::CONFLICT,
            ActError::Disk(_) => {
                tracing::error!(%error, "a decision about a write was not done");
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        Problem::new(status, &error.to_string())
    }
}

/// What was done with a write.
fn done(action: Action) -> &'static str {
    match action {
        Action::Retry => "retried",
        Action::Discard => "discarded",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(counts: Counts, is_mirrored: bool) -> String {
        cost_told(&Pair { from: "old".to_owned(), to: "new".to_owned() }, &counts, is_mirrored)
    }

    #[test]
    fn going_back_says_what_the_store_gone_back_to_lacks() {
        assert_eq!(
            told(Counts::default(), false),
            "writes are not mirrored, so old does not have what new alone took"
        );
        assert_eq!(told(Counts::default(), true), "no write, since old has every one that was taken");
        let one = told(Counts { in_doubt: 1, ..Counts::default() }, true);
        assert!(one.starts_with("old does not have 1 write yet: 0 pending, 0 parked, 1 in doubt; "), "{one}");
        let many = told(Counts { pending: 3, parked: 1, ..Counts::default() }, true);
        assert!(
            many.starts_with("old does not have 4 writes yet: 3 pending, 1 parked, 0 in doubt; "),
            "{many}"
        );
    }
}
