//! The client's path: each request goes to one backend, and the answer comes back as it arrives.
//!
//! Nothing here waits for the shadow. Not for: what becomes of the copy (`shadow`, `ledger`).

pub mod cookies;
mod failover;
pub mod headers;
pub mod listener;
mod reader;
mod respond;
pub mod tee;
mod upgrade;
mod visit;
mod write;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header, request};
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use self::failover::is_failure;
use self::respond::Refusal;
use self::tee::Tee;
use self::visit::{Visit, tell};
use self::write::Written;
use crate::backend::body::{Progress, RequestBody};
use crate::backend::data_version::DataVersions;
use crate::backend::{Answer, Answered, Ask, AskError, Backend, Head, LOOP_MARK, ROLE_HEADER, Role};
use crate::compare::Rules;
use crate::cutover::Cutover;
use crate::cutover::sticky::Sticky;
use crate::journal::Journal;
use crate::journal::traffic::Traffic;
use crate::ledger::outcome::{Outcome, Reason};
use crate::ledger::{Ledger, Visitor};
use crate::metrics::Metrics;
use crate::route::{Route, Routes};
use crate::shadow::near::Reading;
use crate::shadow::{
    Plan, PrimaryHead, Shadow, Slot, comparable, failure_reason, is_event_stream, is_framed,
};
use crate::side::{Pair, Side};

/// Everything the client's path needs, built once.
#[derive(Debug)]
pub struct Proxy {
    /// The two backends.
    pub backends: Pair<Arc<dyn Backend>>,
    /// Where requests go that neither backend answers.
    pub dashboard: Option<Arc<dyn Backend>>,
    /// What is compared.
    pub routes: Arc<Routes>,
    /// Who is primary.
    pub cutover: Arc<Cutover>,
    /// The other leg.
    pub shadow: Arc<Shadow>,
    /// Outcomes.
    pub ledger: Arc<Ledger>,
    /// Series.
    pub metrics: Arc<Metrics>,
    /// The backends' names as header values; `None` turns `x-flipgate-primary` off.
    pub primary_header: Option<Pair<HeaderValue>>,
    /// From asking the primary to the head of its answer.
    pub head_timeout: Duration,
    /// What tells clients apart.
    pub sticky: Sticky,
    /// Writes that are not in both stores yet.
    pub traffic: Arc<Traffic>,
    /// Whether the other backend answers where the primary fails; its name as a header value.
    pub failover: Option<Pair<HeaderValue>>,
    /// Writes to both backends, if they go there.
    pub journal: Option<Arc<Journal>>,
    /// Notes when a backend says that its data is another one.
    pub data_versions: Option<Arc<DataVersions>>,
}

/// The client's end of a connection, and its place among those that are open.
#[derive(Debug)]
pub struct Client {
    /// Its address.
    pub address: SocketAddr,
    /// Held until the connection, or the tunnel it became, has ended.
    pub permit: OwnedSemaphorePermit,
}

/// What is done with a request.
enum Course<'r> {
    /// Asked of both backends and compared.
    Compare(&'r Route),
    /// Sent to both backends, one after the other.
    Write(Written),
    /// Sent to one backend.
    Pass(Reason),
    /// Answered here.
    Refuse(Refusal, Reason),
}

// === impl Proxy ===

impl Proxy {
    /// Answers one request. Never fails: what goes wrong becomes a response.
    pub async fn serve(&self, client: &Arc<Client>, request: Request<Incoming>) -> Response<Tee> {
        let position = self.cutover.position();
        let peer = client.address.ip();
        let client_hash = || self.sticky.client(peer, request.headers());
        let primary = reader::side(position, client_hash, |client| self.traffic.waits(client));
        let (route, course) = self.course(&request);
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        // Only what *to* answers is watched.
        let origin = match primary {
            Side::From => 0,
            Side::To => self.sticky.origin(peer, request.headers()),
        };
        let visitor = Visitor { client: origin, primary, position };
        let visit = Visit {
            metrics: Arc::clone(&self.metrics),
            route,
            method: method_label(request.method()),
            primary,
            started: Instant::now(),
            answered: false,
            ticket: Some(self.ledger.ticket(route, target, visitor)),
            link: None,
        };
        match course {
            Course::Refuse(refusal, reason) => visit.refuse(&refusal, Outcome::Skipped, reason),
            Course::Compare(route) => self.compare(visit, client, route, request).await,
            Course::Write(written) => self.write(visit, client, written, request).await,
            Course::Pass(reason) => self.pass(visit, client, reason, request).await,
        }
    }

    /// Counts a request that hyper refused before it reached [`Proxy::serve`].
    pub fn refused_unread(&self, code: StatusCode) {
        let other = self.routes.other();
        let position = self.cutover.position();
        // It was not read, so nothing tells whose it is.
        let visitor = Visitor { client: 0, primary: Cutover::side(position, || 0), position };
        self.metrics.request(other, "other", code.as_u16(), Some(visitor.primary));
        self.ledger.ticket(other, "", visitor).end(Outcome::Skipped, Reason::Refused);
    }

    fn course(&self, request: &Request<Incoming>) -> (usize, Course<'_>) {
        let other = self.routes.other();
        if request.headers().contains_key(LOOP_MARK) {
            return (other, Course::Refuse(Refusal::Loop, Reason::Loop));
        }
        if headers::host_is_ambiguous(request) {
            return (other, Course::Refuse(Refusal::Host, Reason::Refused));
        }
        if request.method() == Method::CONNECT {
            return (other, Course::Refuse(Refusal::Connect, Reason::Refused));
        }
        let not_compared = headers::why_not_compared(request);
        if not_compared == Some(Reason::Method)
            && let Some(written) = self.journalled(request)
        {
            return (other, Course::Write(written));
        }
        let found = self.routes.find(request.uri().path());
        let route = found.map_or(other, |(index, _)| index);
        let course = match (found, not_compared) {
            (_, Some(reason @ (Reason::Upgrade | Reason::Method))) => Course::Pass(reason),
            (None, _) => Course::Pass(Reason::Route),
            (Some(_), Some(reason)) => Course::Pass(reason),
            (Some((_, route)), None) if self.both_answer(request.uri().path()) => Course::Compare(route),
            (Some(_), None) => Course::Pass(Reason::Route),
        };
        (route, course)
    }

    fn both_answer(&self, path: &str) -> bool {
        self.backends.from.answers(path) && self.backends.to.answers(path)
    }

    async fn compare(
        &self,
        mut visit: Visit,
        client: &Client,
        route: &Route,
        request: Request<Incoming>,
    ) -> Response<Tee> {
        let (parts, _no_body) = request.into_parts();
        let head = Arc::new(outgoing(parts, client, false));
        let side = visit.primary;
        let capacity = &self.shadow.capacity;
        let not_shadowed = match capacity.admit(side.other()) {
            Ok(slot) => {
                self.shadow_too(&mut visit, route, &head, slot);
                Reason::None
            }
            Err(reason) => reason,
        };
        capacity.allowance.earn();
        let asked = Arc::clone(&head);
        let answered = self.backends.get(side).ask(self.for_client(asked, RequestBody::Empty)).await;
        self.note_up(side, &answered);
        if let Ok(answered) = &answered {
            capacity.load.note(answered.sent.elapsed());
            self.note_data_version(side, &answered.answer);
        }
        if is_failure(&answered)
            && let Some(served) = self.fail_over(side, head).await
        {
            return visit.served_by_other(self.primary_header.as_ref(), served, &answered);
        }
        match answered {
            Ok(answered) => match visit.link.take() {
                Some(link) => self.teed(visit, answered, link, &route.rules),
                None => self.passed(visit, answered.answer, Outcome::Shed, not_shadowed),
            },
            Err(error) => {
                self.log_failure(side, &error);
                visit.refuse(&Refusal::from(&error), Outcome::PrimaryFailed, failure_reason(&error))
            }
        }
    }

    /// Starts the shadow leg, which takes the ticket along.
    fn shadow_too(&self, visit: &mut Visit, route: &Route, head: &Arc<Head>, slot: Slot) {
        let Some(ticket) = visit.ticket.take() else { return };
        let (link, primary) = oneshot::channel();
        visit.link = Some(link);
        let plan = Plan {
            route: visit.route,
            rules: Arc::clone(&route.rules),
            primary: visit.primary,
            head: Arc::clone(head),
            reading: Reading { began: visit.started, is_list: route.is_list() },
            primary_is_whole: AtomicBool::new(false),
        };
        let backend = Arc::clone(self.backends.get(visit.primary.other()));
        tokio::spawn(Arc::clone(&self.shadow).run(ticket, plan, backend, slot, primary));
    }

    /// The answer goes to the client and, as it arrives, a copy of it to the shadow's task.
    fn teed(
        &self,
        mut visit: Visit,
        Answered { mut answer, sent }: Answered,
        link: oneshot::Sender<PrimaryHead>,
        rules: &Rules,
    ) -> Response<Tee> {
        visit.answered(answer.status());
        if is_event_stream(&answer) {
            answer.body_mut().release_place();
            tell(link, PrimaryHead::Ends(Outcome::Skipped, Reason::Stream));
            return visit.response(self.primary_header.as_ref(), answer);
        }
        let (done, body) = oneshot::channel();
        let head = PrimaryHead::Answer {
            status: answer.status(),
            headers: comparable(answer.headers(), rules),
            framed: is_framed(answer.headers(), answer.status(), answer.body()),
            body,
        };
        tell(link, head);
        let clock = visit.clock();
        visit
            .head(self.primary_header.as_ref(), answer)
            .map(|body| Tee::kept(body, clock, self.shadow.capture(), sent, done))
    }

    async fn pass(
        &self,
        visit: Visit,
        client: &Arc<Client>,
        reason: Reason,
        mut request: Request<Incoming>,
    ) -> Response<Tee> {
        let named = visit.route != self.routes.other();
        let Some(backend) = self.taker(named, visit.primary, &request) else {
            return visit.refuse(&Refusal::NoDashboard, Outcome::Skipped, Reason::NoDashboard);
        };
        let is_upgrade = reason == Reason::Upgrade;
        let client_side = is_upgrade.then(|| hyper::upgrade::on(&mut request));
        let may_write = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        let (parts, body) = request.into_parts();
        let head = Arc::new(outgoing(parts, client, is_upgrade));
        let body = if http_body::Body::is_end_stream(&body) {
            RequestBody::Empty
        } else {
            RequestBody::Streamed { incoming: body, progress: Progress::new() }
        };
        let answered = backend.ask(self.for_client(head, body)).await;
        match answered {
            Ok(Answered { mut answer, .. }) => {
                // What was refused wrote nothing, and explains nothing.
                if may_write && !answer.status().is_client_error() && !answer.status().is_server_error() {
                    self.ledger.note_write();
                }
                if let Some(client_side) = client_side {
                    upgrade::tunnel(client_side, &mut answer, client);
                }
                self.passed(visit, answer, Outcome::Skipped, reason)
            }
            Err(error) => {
                self.log_failure(visit.primary, &error);
                visit.refuse(&Refusal::from(&error), Outcome::Skipped, reason)
            }
        }
    }

    /// Passes an answer on that is not compared.
    fn passed(&self, visit: Visit, mut answer: Answer, outcome: Outcome, reason: Reason) -> Response<Tee> {
        if is_event_stream(&answer) {
            answer.body_mut().release_place();
        }
        visit.passed(self.primary_header.as_ref(), answer, outcome, reason)
    }

    /// The one backend that takes a request which is not compared.
    fn taker(&self, named: bool, primary: Side, request: &Request<Incoming>) -> Option<&dyn Backend> {
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let primary = &**self.backends.get(primary);
        let leader = &**self.backends.get(self.cutover.leader());
        let dashboard = self.dashboard.as_deref();
        if !is_read {
            let takes = leader.takes_write(request.method(), request.uri().path());
            return if takes { Some(leader) } else { dashboard.or(Some(leader)) };
        }
        let path = request.uri().path();
        if named && primary.answers(path) {
            return Some(primary);
        }
        dashboard.or(leader.answers(path).then_some(leader))
    }

    fn for_client(&self, head: Arc<Head>, body: RequestBody) -> Ask {
        Ask { head, role: Role::Primary, body, patience: self.head_timeout }
    }

    /// A backend that was too busy to be asked is up all the same.
    fn note_up(&self, side: Side, answered: &Result<Answered, AskError>) {
        if answered.as_ref().is_ok_and(|answered| !answered.answer.status().is_server_error()) {
            // It may have failed as a shadow, before it became the primary.
            self.shadow.capacity.breakers.get(side).answers();
        }
        if !matches!(answered, Err(AskError::Busy(_))) {
            self.metrics.set_up(side, answered.is_ok());
        }
    }

    fn note_data_version(&self, side: Side, answer: &Answer) {
        if let Some(versions) = &self.data_versions {
            versions.note(side, answer.headers());
        }
    }

    fn log_failure(&self, side: Side, error: &AskError) {
        tracing::warn!(?side, %error, "no answer for a client");
    }
}

/// What a backend is sent for a client's request.
fn outgoing(mut parts: request::Parts, client: &Client, is_upgrade: bool) -> Head {
    let is_read = matches!(parts.method, Method::GET | Method::HEAD);
    let repeatable = is_read && !is_upgrade && !headers::has_body(&parts.headers);
    headers::use_target_authority(&parts.uri, &mut parts.headers);
    headers::strip_hop_by_hop(&mut parts.headers, is_upgrade);
    headers::forwarded(&mut parts.headers, client.address.ip());
    cookies::strip_sessions(&mut parts.headers);
    parts.headers.remove(header::EXPECT);
    // What only flipgate may say.
    parts.headers.remove(ROLE_HEADER);
    parts.headers.insert(LOOP_MARK, HeaderValue::from_static("1"));
    let uri = match parts.uri.path_and_query() {
        Some(target) => Uri::from(target.clone()),
        None => Uri::from_static("/"),
    };
    Head { method: parts.method, uri, headers: parts.headers, repeatable }
}

/// The metric label of a method; one that is not standard is `other`.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
