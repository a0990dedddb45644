//! One client's request while it is under way: counted once, ended once, however it ends.

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderValue, Response, StatusCode, Version};
use tokio::sync::oneshot;

use super::headers;
use super::respond::Refusal;
use super::tee::{Clock, Tee};
use crate::backend::Answer;
use crate::backend::body::AnswerBody;
use crate::ledger::Ticket;
use crate::ledger::outcome::{Outcome, Reason};
use crate::metrics::Metrics;
use crate::shadow::PrimaryHead;
use crate::side::{Pair, Side};

/// The header that tells a client which backend answered.
const PRIMARY_HEADER: &str = "x-flipgate-primary";

/// One request that is under way. Dropped before it was answered, it counts as 499: the client left.
pub(super) struct Visit {
    pub(super) metrics: Arc<Metrics>,
    pub(super) route: usize,
    pub(super) method: &'static str,
    pub(super) primary: Side,
    pub(super) started: Instant,
    pub(super) answered: bool,
    /// The request's outcome, unless the shadow has it.
    pub(super) ticket: Option<Ticket>,
    /// Tells the shadow's task of the primary's answer. Here, and not beside, so that a visit that is dropped has
    /// counted its request before the shadow's task learns of it and counts the outcome.
    pub(super) link: Option<oneshot::Sender<PrimaryHead>>,
}

// === impl Visit ===

impl Visit {
    /// Counts the request; its outcome may follow.
    pub(super) fn answered(&mut self, status: StatusCode) {
        if !self.answered {
            self.answered = true;
            self.metrics.request(self.route, self.method, status.as_u16(), Some(self.primary));
        }
    }

    /// Ends the request here, or has the shadow's task end it.
    pub(super) fn end(&mut self, outcome: Outcome, reason: Reason) {
        if let Some(ticket) = self.ticket.take() {
            ticket.end(outcome, reason);
        }
        if let Some(link) = self.link.take() {
            tell(link, PrimaryHead::Ends(outcome, reason));
        }
    }

    pub(super) fn passed(
        mut self,
        names: Option<&Pair<HeaderValue>>,
        answer: Answer,
        outcome: Outcome,
        reason: Reason,
    ) -> Response<Tee> {
        self.answered(answer.status());
        self.end(outcome, reason);
        self.response(names, answer)
    }

    pub(super) fn refuse(mut self, refusal: &Refusal, outcome: Outcome, reason: Reason) -> Response<Tee> {
        self.answered(refusal.status());
        self.end(outcome, reason);
        let clock = self.clock();
        refusal.response().map(|body| Tee::plain(body, clock))
    }

    pub(super) fn response(&self, names: Option<&Pair<HeaderValue>>, answer: Answer) -> Response<Tee> {
        let clock = self.clock();
        self.head(names, answer).map(|body| Tee::plain(body, clock))
    }

    /// The answer's head as the client gets it.
    pub(super) fn head(&self, names: Option<&Pair<HeaderValue>>, mut answer: Answer) -> Response<AnswerBody> {
        *answer.version_mut() = Version::HTTP_11;
        let is_upgrade = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        headers::strip_hop_by_hop(answer.headers_mut(), is_upgrade);
        if let Some(names) = names {
            answer.headers_mut().insert(PRIMARY_HEADER, names.get(self.primary).clone());
        }
        answer
    }

    pub(super) fn clock(&self) -> Clock {
        Clock { metrics: Arc::clone(&self.metrics), route: self.route, started: self.started, others: None }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if !self.answered {
            self.metrics.request(self.route, self.method, 499, Some(self.primary));
        }
        self.end(Outcome::Incomplete, Reason::ClientGone);
    }
}

/// Tells the shadow's task, which may have ended already.
pub(super) fn tell(link: oneshot::Sender<PrimaryHead>, head: PrimaryHead) {
    let _ = link.send(head);
}
