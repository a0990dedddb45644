//! Failover of one request, where it is turned on: the other backend answers a GET whose primary failed before any byte
//! of an answer reached the client.

use std::sync::Arc;

use http::{HeaderValue, Response, StatusCode};

use super::Proxy;
use super::tee::Tee;
use super::visit::Visit;
use crate::backend::body::RequestBody;
use crate::backend::{Answer, Answered, AskError, Head};
use crate::ledger::outcome::{Outcome, Reason};
use crate::shadow::failure_reason;
use crate::side::{Pair, Side};

/// The header that tells a client that another backend than the primary answered.
const SERVED_BY: &str = "x-flipgate-served-by";

/// An answer of the backend that is not the primary.
pub(super) struct Served {
    answer: Answer,
    name: HeaderValue,
}

/// Whether the primary gave no answer, or one that says that it cannot.
pub(super) fn is_failure(answered: &Result<Answered, AskError>) -> bool {
    match answered {
        Ok(answered) => is_gateway_failure(answered.answer.status()),
        Err(AskError::Refused(_) | AskError::Reset(_) | AskError::Timeout(_) | AskError::Store(_)) => true,
        Err(AskError::Busy(_) | AskError::BodyTooLarge(_) | AskError::ClientBody) => false,
    }
}

/// Whether a proxy or an overloaded server says this, and not the application.
fn is_gateway_failure(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

// === impl Proxy ===

impl Proxy {
    /// Asks the other backend, if that is turned on; only a good answer of it is one.
    pub(super) async fn fail_over(&self, primary: Side, head: Arc<Head>) -> Option<Served> {
        let names = self.failover.as_ref()?;
        let side = primary.other();
        let answered = self.backends.get(side).ask(self.for_client(head, RequestBody::Empty)).await;
        let answer = answered.ok()?.answer;
        if answer.status().is_server_error() {
            return None;
        }
        self.metrics.failed_over(side);
        Some(Served { answer, name: names.get(side).clone() })
    }
}

// === impl Visit ===

impl Visit {
    /// Answers with what the other backend said; the outcome is the primary's failure.
    pub(super) fn served_by_other(
        self,
        names: Option<&Pair<HeaderValue>>,
        served: Served,
        failed: &Result<Answered, AskError>,
    ) -> Response<Tee> {
        let reason = match failed {
            Ok(_) => Reason::Failover,
            Err(error) => failure_reason(error),
        };
        let Served { mut answer, name } = served;
        answer.headers_mut().insert(SERVED_BY, name);
        self.passed(names, answer, Outcome::PrimaryFailed, reason)
    }
}
