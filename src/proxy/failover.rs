//! Failover of one request, where it is turned on: the other backend answers a GET whose primary failed before any byte
//! of an answer reached the client.

use std::sync::Arc;

use http::{HeaderValue, Response, StatusCode};

use super::Proxy;
use super::tee::Tee;
use super::visit::Visit;
use crate::backend::body::RequestBody;
use crate::backend::{Answer, Answered, Ask, AskError, Head};
use crate::ledger::outcome::{Outcome, Reason};
use crate::shadow::breaker::Standing;
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
        if self.shadow.capacity.breakers.get(side).standing() != Standing::Closed {
            return None;
        }
        let ask = Ask { patience: self.shadow.deadline(), ..self.for_client(head, RequestBody::Empty) };
        let answer = self.backends.get(side).ask(ask).await.ok()?.answer;
        // What is not there, or not allowed, on the other side may be there on this one.
        if !answer.status().is_success() && !answer.status().is_redirection() {
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
