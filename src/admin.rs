//! The admin side, on a listener of its own.
//!
//! | method and path | does | token |
//! |---|---|---|
//! | `GET /`, `/findings`, `/findings/{id}`, `/flip`, `/writes`, `/audit` | the pages, for people ([`page`]) | read |
//! | `POST /flip`, `/dial`, `/rollback`, `/latch`, `/epoch`, `/findings/{id}`, `/samples/{id}/recheck`, `/writes/{id}` | their forms | full |
//! | `GET /assets/{name}` | style and script of the pages | none |
//! | `GET /login`, `POST /login`, `/logout` | trades a token for a session, and ends it ([`login`]) | none |
//! | `GET /healthz` | 200 while the process runs | none |
//! | `GET /readyz` | 200 while the primary answers, else 503 | none |
//! | `GET /metrics` | Prometheus text | read, or none by option |
//! | `GET /api/openapi.json` | this API as a document | read |
//! | `GET /api/status` | primary, leader, dial, since, backends, routes, counts | read |
//! | `GET /api/events` | the status when it changes, as server-sent events | read |
//! | `GET /api/readiness` | the gate, condition by condition | read |
//! | `POST /api/primary` | flips | full |
//! | `POST /api/dial` | splits reads by client | full |
//! | `POST /api/rollback` | back to *from*, never gated | full |
//! | `POST /api/epoch` | begins another epoch of evidence | full |
//! | `POST /api/latch` | releases the latch of an automatic rollback | full |
//! | `GET /api/findings`, `/api/findings/{id}` | what differs | read |
//! | `POST /api/findings/{id}` | accepts one within a scope, or opens it again | full |
//! | `GET /api/samples/{id}` | both legs of one request that differed | read |
//! | `POST /api/samples/{id}/recheck` | asks both sides again now | full |
//! | `GET /api/writes` | writes that are not in both stores, at most 500, and what each store lacks | read |
//! | `POST /api/writes/{id}` | has one of them delivered again, or gives it up | full |
//! | `GET /api/audit` | every change of the primary, of a finding's state and of a write | read |
//!
//! [`endpoint`] is that table as code. Errors are `application/problem+json`. Host is checked on every request, Origin on every one that changes state.

mod access;
mod attempts;
mod changes;
mod document;
mod dress;
pub mod endpoint;
mod events;
mod form;
mod guard;
mod judgement;
mod listener;
mod login;
mod openapi;
pub(crate) mod page;
mod patience;
mod problem;
mod recheck;
mod session;
mod writes;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Path, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Json, Router};
use http::{StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use self::endpoint::Endpoint;
use self::events::Events;
use self::form::CheckedQuery;
use self::guard::Guard;
use self::problem::Problem;
use crate::app::Shared;
use crate::config::AdminConfig;
use crate::ledger::finding::Finding;
use crate::ledger::sample::Sample;
use crate::side::Side;

/// Longest body of a request to the admin side.
const BODY: usize = 64 * 1024;

/// From the end of a request's head until it is answered.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

type App = State<Arc<Shared>>;
type Caller = ConnectInfo<SocketAddr>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FindingsQuery {
    route: Option<String>,
    state: Option<String>,
    severity: Option<String>,
}

/// The admin side, made but not served yet.
#[derive(Debug)]
pub struct Admin {
    router: Router,
    shared: Arc<Shared>,
    events: Arc<Events>,
    stop: watch::Receiver<bool>,
}

// === impl Admin ===

impl Admin {
    /// Its routes behind their guard. `port` is the one it listens on; it ends when `stop` turns true.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn new(
        shared: Arc<Shared>,
        config: AdminConfig,
        port: u16,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, getrandom::Error> {
        let guard = Arc::new(Guard::new(config, port)?);
        let events = Arc::new(Events::new(stop.clone()));
        let routed = |router: Router<Arc<Shared>>, endpoint: &Endpoint| {
            router.route(endpoint.path(), handler(*endpoint))
        };
        let router = Endpoint::ALL
            .iter()
            .fold(Router::new(), routed)
            .fallback(|| async {
                Problem::not_found("no such page on the admin side; /api/openapi.json lists them")
            })
            .method_not_allowed_fallback(|| async {
                Problem::new(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "this path takes another method; /api/openapi.json lists them",
                )
            })
            .layer(axum::extract::DefaultBodyLimit::max(BODY))
            .layer(Extension(Arc::clone(&events)))
            .layer(Extension(Arc::clone(&guard)))
            .layer(middleware::from_fn_with_state(guard, guard::check))
            .layer(middleware::from_fn(in_time))
            .layer(middleware::from_fn(page::present))
            .layer(middleware::from_fn(dress::dress))
            .with_state(Arc::clone(&shared));
        Ok(Admin { router, shared, events, stop })
    }

    /// Serves until the stop; requests in flight are finished. `listener` must not block.
    pub async fn run(self, listener: std::net::TcpListener) {
        let Admin { router, shared, events, stop } = self;
        tokio::spawn(async move { events.run(shared).await });
        listener::run(listener, router, stop).await;
    }
}

/// What answers at an endpoint.
fn handler(endpoint: Endpoint) -> MethodRouter<Arc<Shared>> {
    match endpoint {
        Endpoint::Health => get(|| async { "ok\n" }),
        Endpoint::Ready => get(readyz),
        Endpoint::Metrics => get(metrics),
        Endpoint::Document => get(openapi::document),
        Endpoint::Status => get(status),
        Endpoint::Readiness => get(readiness),
        Endpoint::Primary => post(changes::primary),
        Endpoint::Dial => post(changes::dial),
        Endpoint::Rollback => post(changes::rollback),
        Endpoint::Epoch => post(changes::epoch),
        Endpoint::Latch => post(changes::latch),
        Endpoint::Findings => get(findings),
        Endpoint::Finding => get(finding),
        Endpoint::Judge => post(judgement::judge),
        Endpoint::Sample => get(sample),
        Endpoint::Recheck => post(recheck::recheck),
        Endpoint::Writes => get(writes::writes),
        Endpoint::Write => post(writes::act),
        Endpoint::Audit => get(audit),
        Endpoint::Events => get(events::events),
        Endpoint::Login => get(login::page),
        Endpoint::LogIn => post(login::log_in),
        Endpoint::LogOut => post(login::log_out),
        Endpoint::OverviewPage => get(page::overview),
        Endpoint::FindingsPage => get(page::findings),
        Endpoint::FindingPage => get(page::finding),
        Endpoint::FlipPage => get(page::flip),
        Endpoint::WritesPage => get(page::writes),
        Endpoint::AuditPage => get(page::audit),
        Endpoint::FlipForm => post(page::ask_flip),
        Endpoint::DialForm => post(page::ask_dial),
        Endpoint::RollbackForm => post(page::rollback),
        Endpoint::LatchForm => post(page::latch),
        Endpoint::EpochForm => post(page::epoch),
        Endpoint::FindingForm => post(page::judge),
        Endpoint::RecheckForm => post(page::recheck),
        Endpoint::WriteForm => post(page::decide),
        Endpoint::Asset => get(page::asset),
    }
}

/// Gives up on a request whose body does not come, or whose answer is not made: its place is another one's. What was
/// begun by then is finished all the same.
async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "the request took too long; `flipgate status` tells what is",
        )
        .into_response(),
    }
}

async fn readyz(State(shared): App) -> Response {
    let serves = |side: Side| match side {
        Side::From => shared.cutover.position().dial < 100,
        Side::To => shared.cutover.position().dial > 0,
    };
    let is_down = |side: &Side| serves(*side) && !shared.metrics.is_up(*side);
    match Side::BOTH.iter().find(|side| is_down(side)) {
        None if !shared.metrics.is_state_up() => {
            let text =
                "ready, but cut off from the state store: serving with what is known, never going forward\n";
            (StatusCode::OK, text).into_response()
        }
        None => (StatusCode::OK, "ready\n").into_response(),
        Some(side) => {
            let text =
                format!("the primary `{}` gave no answer to the last request\n", shared.names.get(*side));
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

async fn metrics(State(shared): App) -> Result<Response, Problem> {
    document::refresh(&shared);
    let text = shared.metrics.render().map_err(|e| Problem::internal(&e))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

async fn status(State(shared): App) -> Json<serde_json::Value> {
    Json(document::status(&shared))
}

async fn readiness(State(shared): App) -> Response {
    Json(shared.cutover.readiness()).into_response()
}

async fn findings(
    State(shared): App,
    CheckedQuery(query): CheckedQuery<FindingsQuery>,
) -> Json<serde_json::Value> {
    let wanted =
        |filter: &Option<String>, value: &str| filter.as_deref().is_none_or(|filter| filter == value);
    let mut findings = shared.ledger.findings();
    findings.retain(|finding| {
        wanted(&query.route, &finding.route)
            && wanted(&query.state, finding.state.as_str())
            && wanted(&query.severity, finding.severity.as_str())
    });
    Json(serde_json::json!({ "findings": findings }))
}

async fn finding(State(shared): App, Path(id): Path<String>) -> Result<Response, Problem> {
    let finding = shared.ledger.finding(&id).ok_or_else(|| Problem::not_found("no finding has this id"))?;
    Ok(with_samples(&shared, &finding).await)
}

/// A finding with its samples.
async fn with_samples(shared: &Shared, finding: &Finding) -> Response {
    let mut kept = Vec::new();
    for sample in &finding.samples {
        kept.extend(find_sample(shared, &sample.to_string()).await.ok());
    }
    Json(document::finding(finding, &kept)).into_response()
}

async fn sample(State(shared): App, Path(id): Path<String>) -> Result<Response, Problem> {
    Ok(Json(find_sample(&shared, &id).await?).into_response())
}

/// A sample of this replica, or of another one.
async fn find_sample(shared: &Shared, id: &str) -> Result<Sample, Problem> {
    let id: u64 = id.parse().map_err(|_| Problem::no_sample())?;
    if let Some(sample) = shared.ledger.sample(id) {
        return Ok(sample);
    }
    let (Some(state), Ok(row)) = (&shared.shared_state, i64::try_from(id)) else {
        return Err(Problem::no_sample());
    };
    let found = state.sample(row).await;
    let document = found.map_err(|e| Problem::new(StatusCode::SERVICE_UNAVAILABLE, &e.to_string()))?;
    document.and_then(|document| serde_json::from_str(&document).ok()).ok_or_else(Problem::no_sample)
}

async fn audit(State(shared): App) -> Result<Response, Problem> {
    let entries = shared.cutover.audit().await.map_err(|e| Problem::state(&e))?;
    Ok(Json(serde_json::json!({ "entries": entries })).into_response())
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body)
        .map_err(|e| Problem::bad_request(&format!("the body is not the JSON expected: {e}")))
}

fn side(shared: &Shared, member: &str, name: &str) -> Result<Side, Problem> {
    Side::BOTH.into_iter().find(|side| shared.names.get(*side) == name).ok_or_else(|| {
        let known = format!("`{}` or `{}`", shared.names.from, shared.names.to);
        Problem::bad_request(&format!("`{member}` must be {known}"))
    })
}
