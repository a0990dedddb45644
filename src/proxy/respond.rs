//! The one place where flipgate itself answers a client: what went wrong becomes a response here.
//!
//! Texts say what the client may know; addresses and causes go to the log.

use http::{HeaderValue, Response, StatusCode, header};

use crate::backend::AskError;
use crate::backend::body::AnswerBody;
use crate::journal::intake::RETRY_AFTER;

/// Why flipgate answers by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The request carries flipgate's own mark.
    Loop,
    /// No Host, or several.
    Host,
    /// CONNECT.
    Connect,
    /// Nothing takes this path.
    NoDashboard,
    /// The backend gave no answer.
    Failed,
    /// The backend gave none in time.
    TimedOut,
    /// The backend cannot be used now.
    Unavailable,
    /// A body without a length, too large to be collected.
    TooLarge,
    /// The client's body broke off.
    BrokenBody,
    /// The body of a write is over what is journalled.
    TooLong,
    /// A write names more records than can be waited for.
    TooMany,
    /// A write that cannot be journalled is not sent anywhere.
    CannotJournal,
}

// === impl Refusal ===

impl Refusal {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Refusal::Loop => StatusCode::LOOP_DETECTED,
            Refusal::Connect => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::NoDashboard => StatusCode::NOT_FOUND,
            Refusal::Failed => StatusCode::BAD_GATEWAY,
            Refusal::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Refusal::Unavailable | Refusal::CannotJournal => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::TooLarge | Refusal::TooLong | Refusal::TooMany => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::BrokenBody | Refusal::Host => StatusCode::BAD_REQUEST,
        }
    }

    fn detail(self) -> &'static str {
        match self {
            Refusal::Loop => "The request came back to the proxy that sent it on; check the backends' URLs.",
            Refusal::Host => "A request must have exactly one Host header.",
            Refusal::Connect => "CONNECT is not supported.",
            Refusal::NoDashboard => "No backend answers this path and no dashboard is configured.",
            Refusal::Failed => "The backend gave no complete answer.",
            Refusal::TimedOut => "The backend did not answer in time.",
            Refusal::Unavailable => "The store behind this path cannot be reached now.",
            Refusal::TooLarge => "The body is too large to be sent without Content-Length.",
            Refusal::BrokenBody => "The request's body broke off.",
            Refusal::TooLong => "The body is longer than a write may be (writes.body); nothing was sent.",
            Refusal::TooMany => "The write names more than 1000 records; nothing was sent. Send it in parts.",
            Refusal::CannotJournal => {
                "The write cannot be noted for both stores now, so nothing was sent; try again."
            }
        }
    }

    pub(super) fn response(self) -> Response<AnswerBody> {
        let status = self.status();
        let problem = serde_json::json!({
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": self.detail(),
        });
        let mut response = Response::new(AnswerBody::Made(Some(problem.to_string().into())));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self == Refusal::CannotJournal {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER.as_secs().into());
        }
        response
    }
}

impl From<&AskError> for Refusal {
    fn from(error: &AskError) -> Self {
        match error {
            AskError::Refused(_) | AskError::Reset(_) => Refusal::Failed,
            AskError::Timeout(_) | AskError::Busy(_) => Refusal::TimedOut,
            AskError::BodyTooLarge(_) => Refusal::TooLarge,
            AskError::ClientBody => Refusal::BrokenBody,
            AskError::Store(_) => Refusal::Unavailable,
        }
    }
}
