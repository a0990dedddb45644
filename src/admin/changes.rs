//! What changes the state: flip, dial, rollback, epoch, latch. On disk and audited before it is answered.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;

use super::problem::Problem;
use super::{App, Caller, document, parsed, side};
use crate::app::Shared;
use crate::cutover::{Cause, Change, Expected, Refused};
use crate::side::Side;
use crate::state::Stored;

/// Longest reason an operator may give, in characters.
const REASON: usize = 1000;
/// What `expect` calls reads that both sides serve.
const SPLIT: &str = "split";

/// A flip as it is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PrimaryRequest {
    pub(super) primary: String,
    pub(super) expect: Option<String>,
    #[serde(default)]
    pub(super) reason: String,
    #[serde(default)]
    pub(super) force: bool,
    #[serde(default)]
    pub(super) dry_run: bool,
}

/// Another stand of the dial as it is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DialRequest {
    pub(super) percent: u8,
    pub(super) expect: Option<u8>,
    #[serde(default)]
    pub(super) reason: String,
    #[serde(default)]
    pub(super) force: bool,
    #[serde(default)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReasonRequest {
    #[serde(default)]
    reason: String,
}

// === impl PrimaryRequest ===

impl PrimaryRequest {
    /// The change that it asks for.
    pub(super) fn change(self, shared: &Shared, source: String) -> Result<Change, Problem> {
        let dial = match side(shared, "primary", &self.primary)? {
            Side::From => 0,
            Side::To => 100,
        };
        let expect = match self.expect.as_deref() {
            None => None,
            Some(SPLIT) => Some(Expected::Primary(None)),
            Some(name) => Some(Expected::Primary(Some(side(shared, "expect", name)?))),
        };
        let PrimaryRequest { force, dry_run, .. } = self;
        Ok(Change { action: "flip", dial, expect, reason: reason(self.reason)?, force, dry_run, source })
    }
}

// === impl DialRequest ===

impl DialRequest {
    /// The change that it asks for.
    pub(super) fn change(self, source: String) -> Result<Change, Problem> {
        if self.percent > 100 {
            return Err(Problem::bad_request("`percent` must be 0 to 100"));
        }
        Ok(Change {
            action: "dial",
            dial: self.percent,
            expect: self.expect.map(Expected::Dial),
            reason: reason(self.reason)?,
            force: self.force,
            dry_run: self.dry_run,
            source,
        })
    }
}

/// `POST /api/primary`.
pub(super) async fn primary(
    State(shared): App,
    ConnectInfo(caller): Caller,
    body: Bytes,
) -> Result<Response, Problem> {
    let request: PrimaryRequest = parsed(&body)?;
    let change = request.change(&shared, caller.to_string())?;
    let changed = shared.cutover.change(change).await;
    answer(&shared, changed)
}

/// `POST /api/dial`.
pub(super) async fn dial(
    State(shared): App,
    ConnectInfo(caller): Caller,
    body: Bytes,
) -> Result<Response, Problem> {
    let request: DialRequest = parsed(&body)?;
    let change = request.change(caller.to_string())?;
    let changed = shared.cutover.change(change).await;
    answer(&shared, changed)
}

/// `POST /api/rollback`.
pub(super) async fn rollback(
    State(shared): App,
    ConnectInfo(caller): Caller,
    body: Bytes,
) -> Result<Response, Problem> {
    let request: ReasonRequest = if body.is_empty() { ReasonRequest::default() } else { parsed(&body)? };
    match shared.cutover.rollback(reason(request.reason)?, caller.to_string()).await {
        Ok(_) => Ok(Json(document::after_rollback(&shared)).into_response()),
        refused @ Err(_) => answer(&shared, refused),
    }
}

/// `POST /api/epoch`.
pub(super) async fn epoch(
    State(shared): App,
    ConnectInfo(caller): Caller,
    body: Bytes,
) -> Result<Response, Problem> {
    let changed = shared.cutover.begin_epoch(epoch_cause(cause(&body, caller.to_string())?)).await;
    answer(&shared, changed)
}

/// `POST /api/latch`.
pub(super) async fn latch(
    State(shared): App,
    ConnectInfo(caller): Caller,
    body: Bytes,
) -> Result<Response, Problem> {
    let changed = shared.cutover.release_latch(cause(&body, caller.to_string())?).await;
    answer(&shared, changed)
}

fn cause(body: &[u8], source: String) -> Result<Cause, Problem> {
    let request: ReasonRequest = if body.is_empty() { ReasonRequest::default() } else { parsed(body)? };
    operator(request.reason, source)
}

/// An operator at `source`, and why.
pub(super) fn operator(why: String, source: String) -> Result<Cause, Problem> {
    Ok(Cause { trigger: "operator", source, reason: reason(why)? })
}

/// An epoch always has a reason.
pub(super) fn epoch_cause(mut cause: Cause) -> Cause {
    if cause.reason.is_empty() {
        "an operator asked".clone_into(&mut cause.reason);
    }
    cause
}

/// The status as it is now, or why nothing changed.
fn answer(shared: &Shared, changed: Result<Stored, Refused>) -> Result<Response, Problem> {
    match changed {
        Ok(_) => Ok(Json(document::status(shared)).into_response()),
        Err(Refused::NotReady(readiness)) => Ok((StatusCode::CONFLICT, Json(*readiness)).into_response()),
        Err(refused @ Refused::Expected(_)) => {
            let readiness = shared.cutover.readiness();
            let document = serde_json::json!({
                "detail": refused.to_string(),
                "ready": readiness.ready,
                "epoch": readiness.epoch,
                "conditions": readiness.conditions,
            });
            Ok((StatusCode::CONFLICT, Json(document)).into_response())
        }
        Err(Refused::State(error)) => Err(Problem::state(&error)),
        Err(refused @ Refused::InDoubt(_)) => {
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, &refused.to_string()))
        }
        Err(refused @ (Refused::CutOff(_) | Refused::Overtaken)) => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!("nothing was changed here: {refused}"),
        )),
    }
}

/// A reason that is not too long.
pub(super) fn reason(reason: String) -> Result<String, Problem> {
    if reason.chars().count() > REASON {
        return Err(Problem::bad_request(&format!("`reason` has more than {REASON} characters")));
    }
    Ok(reason)
}
