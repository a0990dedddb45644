//! The other leg: asked beside the primary, with a slot and a deadline of its own, for comparison only.
//!
//! Nothing here is ever awaited by a client. A slow, dead, huge or endless shadow costs one bounded slot.

pub mod allowance;
pub mod breaker;
pub mod capacity;
pub mod comparator;
pub mod load;
pub mod near;
pub mod parking;
pub mod recheck;
pub mod rechecker;
pub mod resolver;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use tokio::sync::{mpsc, oneshot};

pub use self::capacity::{Capacity, Slot};
use self::comparator::{Comparators, Job, Leg};
use self::near::Reading;
use self::parking::Parking;
use self::rechecker::{Again, Desk, RecheckRules};
use crate::backend::data_version::DataVersions;
use crate::backend::{Answer, Answered, Ask, AskError, Backend, Head, Role, body::RequestBody};
use crate::compare::Rules;
use crate::journal::traffic::Traffic;
use crate::ledger::Ticket;
use crate::ledger::outcome::{Outcome, Reason};
use crate::metrics::Metrics;
use crate::proxy::tee::{Budget, Capture, Captured, End, Kept};
use crate::side::{Pair, Side};

/// Clients that leave sooner say nothing of the primary.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks shadows, within limits.
#[derive(Debug)]
pub struct Shadow {
    /// What there is room for.
    pub capacity: Arc<Capacity>,
    deadline: Duration,
    cap: usize,
    budget: Arc<Budget>,
    comparators: Comparators,
    /// Requests that wait for the recheck of another one.
    parking: Arc<Parking>,
    data_versions: Option<Arc<DataVersions>>,
    /// Journalled writes near what is compared.
    traffic: Arc<Traffic>,
    metrics: Arc<Metrics>,
}

/// The limits of shadowing.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Shadow requests under way at once.
    pub inflight: usize,
    /// How long the shadow may take to its last byte, and before that how long a connection to it may.
    pub deadline: Duration,
    /// Bytes kept a leg.
    pub body: usize,
    /// Bytes kept over all requests.
    pub memory: usize,
    /// Comparisons waiting.
    pub queue: usize,
    /// Comparator threads.
    pub comparators: usize,
}

/// What there is to shadow: one compared request.
#[derive(Debug)]
pub struct Plan {
    /// Index of the route.
    pub route: usize,
    /// How its answers are compared.
    pub rules: Arc<Rules>,
    /// Who serves the client.
    pub primary: Side,
    /// What is asked.
    pub head: Arc<Head>,
    /// What tells which writes touch it.
    pub reading: Reading,
    /// Set once the primary's whole body lies within the cap: a shadow that is over it differs, however it ends.
    pub primary_is_whole: AtomicBool,
}

/// What the client's task tells of the primary's answer, once its head is there.
#[derive(Debug)]
pub enum PrimaryHead {
    /// An answer to compare; the body follows.
    Answer {
        /// Its status.
        status: StatusCode,
        /// The headers that may be compared or explain the body.
        headers: HeaderMap,
        /// Whether the body's end shows.
        framed: bool,
        /// The body once it has ended.
        body: oneshot::Receiver<Captured>,
    },
    /// Nothing to compare: the request ends so.
    Ends(Outcome, Reason),
}

/// The other leg's end: an answer, or how the request ends without one.
type Asked = Result<Leg, (Outcome, Reason)>;

// === impl Shadow ===

impl Shadow {
    /// Starts the comparators. What they want asked again comes out of the second value.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn start(
        limits: Limits,
        rules: RecheckRules,
        data_versions: Option<Arc<DataVersions>>,
        traffic: Arc<Traffic>,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<(Self, mpsc::Receiver<Again>)> {
        let capacity = Arc::new(Capacity::new(limits, Arc::clone(&metrics)));
        let parking = Arc::new(Parking::default());
        let (desk, waiting) =
            Desk::new(rules, Arc::clone(&capacity), Arc::clone(&parking), Arc::clone(&traffic));
        let shadow = Shadow {
            capacity,
            deadline: limits.deadline,
            cap: limits.body,
            budget: Budget::new(limits.memory),
            comparators: Comparators::start(limits.comparators, limits.queue, &metrics, desk)?,
            parking,
            data_versions,
            traffic,
            metrics,
        };
        Ok((shadow, waiting))
    }

    /// A capture for one leg's body.
    #[must_use]
    pub fn capture(&self) -> Capture {
        Capture::new(self.cap, &self.budget)
    }

    /// How long a shadow may take.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Bytes held for comparison now.
    #[must_use]
    pub fn held(&self) -> usize {
        self.budget.used()
    }

    /// Asks the shadow, waits for the primary's leg and hands both to the comparators. Ends the ticket.
    pub async fn run(
        self: Arc<Self>,
        mut ticket: Ticket,
        plan: Plan,
        backend: Arc<dyn Backend>,
        slot: Slot,
        primary: oneshot::Receiver<PrimaryHead>,
    ) {
        let asked = async {
            let asked = self.ask(&*backend, &plan).await;
            drop(slot);
            asked
        };
        let primary = primary_leg(primary);
        let started = Instant::now();
        tokio::pin!(asked, primary);
        // The primary's end decides first: without it there is nothing to compare, and the shadow is given up.
        let (primary, other) = tokio::select! {
            biased;
            leg = &mut primary => match leg {
                Ok(leg) => {
                    plan.primary_is_whole.store(matches!(leg.kept(), Kept::Whole(_)), Ordering::Relaxed);
                    (leg, asked.await)
                }
                Err(Missing { outcome, reason, .. }) => return ticket.end(outcome, reason),
            },
            other = &mut asked => match primary.await {
                Ok(leg) => (leg, other),
                Err(Missing { outcome, reason, headed }) => {
                    if reason == Reason::ClientGone && !headed && is_silent(started.elapsed(), &other) {
                        ticket.primary_erred();
                    }
                    return ticket.end(outcome, reason);
                }
            },
        };
        self.metrics.leg_time(plan.route, plan.primary, Role::Primary, primary.time);
        self.hand_over(ticket, &plan, primary, other);
    }

    async fn ask(&self, backend: &dyn Backend, plan: &Plan) -> Asked {
        let side = plan.primary.other();
        let leg = self.fetch(backend, plan).await;
        let breaker = self.capacity.breakers.get(side);
        match &leg {
            Ok(leg) => {
                self.metrics.set_up(side, true);
                self.metrics.leg_time(plan.route, side, Role::Shadow, leg.time);
                if is_overload(leg.status) { breaker.failed() } else { breaker.succeeded() }
            }
            // It was not asked: that says nothing of the backend.
            Err((Outcome::Shed, _)) => breaker.not_asked(),
            Err((_, reason)) => {
                self.metrics.set_up(side, false);
                breaker.failed();
                if *reason == Reason::Timeout {
                    self.metrics.leg_time(plan.route, side, Role::Shadow, self.deadline);
                }
            }
        }
        leg
    }

    async fn fetch(&self, backend: &dyn Backend, plan: &Plan) -> Asked {
        let ask = Ask {
            head: Arc::clone(&plan.head),
            role: Role::Shadow,
            body: RequestBody::Empty,
            patience: self.deadline,
        };
        let Answered { answer, sent } = backend.ask(ask).await.map_err(|e| failure(&e))?;
        if let Some(versions) = &self.data_versions {
            versions.note(plan.primary.other(), answer.headers());
        }
        tokio::time::timeout_at((sent + self.deadline).into(), self.read(plan, answer, sent))
            .await
            .unwrap_or(Err((Outcome::ShadowFailed, Reason::Timeout)))
    }

    async fn read(&self, plan: &Plan, answer: Answer, sent: Instant) -> Asked {
        let (parts, mut body) = answer.into_parts();
        let framed = is_framed(&parts.headers, parts.status, &body);
        let mut capture = self.capture();
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return Err((Outcome::ShadowFailed, Reason::Cut)) };
            if let Some(chunk) = frame.data_ref() {
                capture.push(chunk);
            }
            if capture.is_over() && plan.primary_is_whole.load(Ordering::Relaxed) {
                break;
            }
        }
        let captured = capture.finish(End::Complete, sent.elapsed());
        Ok(Leg::new(parts.status, comparable(&parts.headers, &plan.rules), framed, captured))
    }

    fn hand_over(&self, mut ticket: Ticket, plan: &Plan, primary: Leg, shadow: Asked) {
        let shadow = match shadow {
            Ok(leg) => leg,
            Err((Outcome::ShadowFailed, Reason::Timeout)) => {
                return ticket.timed_out(&Pair::by_role(plan.primary, primary.time, self.deadline));
            }
            Err((outcome, reason)) => return ticket.end(outcome, reason),
        };
        if primary.status.is_server_error() && shadow.status.is_server_error() {
            return ticket.end(Outcome::PrimaryFailed, Reason::Status);
        }
        if primary.status.is_server_error() {
            ticket.primary_erred();
        }
        if is_overload(shadow.status) && !is_overload(primary.status) {
            return ticket.end(Outcome::ShadowFailed, Reason::Status);
        }
        if matches!(primary.kept(), Kept::NoRoom) || matches!(shadow.kept(), Kept::NoRoom) {
            return ticket.end(Outcome::Shed, Reason::Memory);
        }
        let legs = Pair::by_role(plan.primary, primary, shadow);
        let job = Job {
            ticket,
            rules: Arc::clone(&plan.rules),
            primary: plan.primary,
            head: Arc::clone(&plan.head),
            reading: plan.reading,
            legs,
        };
        self.comparators.submit(job);
    }
}

/// Why there is no leg of the primary's.
struct Missing {
    outcome: Outcome,
    reason: Reason,
    /// Whether the head of an answer was there: then a client that leaves may have been slow itself.
    headed: bool,
}

/// The primary's leg once its body has ended.
async fn primary_leg(head: oneshot::Receiver<PrimaryHead>) -> Result<Leg, Missing> {
    let missing = |outcome, reason, headed| Err(Missing { outcome, reason, headed });
    match head.await {
        Err(_) => missing(Outcome::Incomplete, Reason::ClientGone, false),
        Ok(PrimaryHead::Ends(outcome, reason)) => missing(outcome, reason, false),
        Ok(PrimaryHead::Answer { status, headers, framed, body }) => match body.await {
            Err(_) => missing(Outcome::Incomplete, Reason::ClientGone, true),
            Ok(captured) => match captured.end {
                End::Complete => Ok(Leg::new(status, headers, framed, captured)),
                End::Cut => missing(Outcome::PrimaryFailed, Reason::Cut, true),
                End::ClientGone => missing(Outcome::Incomplete, Reason::ClientGone, true),
            },
        },
    }
}

/// Whether a client left because the primary kept silent where the other side had long answered: no sooner than after
/// [`PATIENCE`] and ten times what the other side took.
fn is_silent(waited: Duration, other: &Asked) -> bool {
    match other {
        Ok(leg) => !leg.status.is_server_error() && waited >= PATIENCE.max(leg.time * 10),
        Err(_) => false,
    }
}

/// How a request ends whose shadow could not be asked.
fn failure(error: &AskError) -> (Outcome, Reason) {
    let reason = failure_reason(error);
    match error {
        AskError::Busy(_) => (Outcome::Shed, Reason::Connections),
        AskError::Refused(_)
        | AskError::Reset(_)
        | AskError::Timeout(_)
        | AskError::BodyTooLarge(_)
        | AskError::ClientBody
        | AskError::Store(_) => (Outcome::ShadowFailed, reason),
    }
}

/// The reason that goes with a failed leg.
pub(crate) fn failure_reason(error: &AskError) -> Reason {
    match error {
        AskError::Refused(_) => Reason::Connect,
        AskError::Reset(_) => Reason::Reset,
        AskError::Busy(_) => Reason::Connections,
        AskError::Timeout(_) => Reason::Timeout,
        AskError::BodyTooLarge(_) | AskError::ClientBody => Reason::Refused,
        AskError::Store(_) => Reason::Store,
    }
}

/// 429 and 503 from the shadow alone tell of its load, not of its data.
fn is_overload(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

/// Whether the end of the body shows: by length, by chunks, or because there is none.
pub(crate) fn is_framed<B: http_body::Body>(headers: &HeaderMap, status: StatusCode, body: &B) -> bool {
    body.size_hint().exact().is_some()
        || headers.contains_key(header::TRANSFER_ENCODING)
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
}

/// The headers that the comparison reads: the configured ones and those that say what the body is.
pub(crate) fn comparable(headers: &HeaderMap, rules: &Rules) -> HeaderMap {
    let mut kept = HeaderMap::new();
    let described = [header::CONTENT_TYPE, header::CONTENT_ENCODING];
    for name in described.iter().chain(rules.headers()) {
        if !kept.contains_key(name) {
            for value in headers.get_all(name) {
                kept.append(name, value.clone());
            }
        }
    }
    kept
}

/// Whether an answer is a stream of events, which never ends by itself.
pub(crate) fn is_event_stream(answer: &Answer) -> bool {
    answer
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("text/event-stream"))
}

#[cfg(test)]
mod tests;
