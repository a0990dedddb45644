//! What a backend's answer to a write means.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::BodyExt as _;

use crate::backend::body::AnswerBody;
use crate::backend::{Answer, AskError, Written};

/// Bytes of an answer that are read before it is judged.
const READ: usize = 64 * 1024;
/// What a body begins with that is a second answer: an exception after the head of the first was sent.
const SECOND_ANSWER: &[u8] = b"HTTP/1.";

/// Whether a backend took a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It did.
    Taken,
    /// It did not.
    Refused,
    /// It cannot be told.
    Unknown(String),
}

/// A backend's answer, and what it means.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    /// What goes to the client; none came complete.
    pub(super) answer: Result<Answer, AskError>,
    pub(super) effect: Option<String>,
    /// Whether a refusal is for good.
    pub(super) is_final: bool,
}

/// Judges a backend's answer to a write; `deletes` says that what is not there counts as deleted.
pub(super) async fn judge(written: Result<Written, AskError>, deletes: bool, patience: Duration) -> Judged {
    match written {
        Ok(Written { answered, effect, is_final }) => {
            let status = answered.answer.status();
            let (verdict, answer) = match tokio::time::timeout(patience, begun(answered.answer)).await {
                Ok(Ok((_, true))) => {
                    let error = "its answer is another answer's beginning".to_owned();
                    (Verdict::Unknown(error.clone()), Err(AskError::Reset(error)))
                }
                Ok(Ok((answer, false))) => (by_status(status, deletes), Ok(answer)),
                Ok(Err(error)) => (Verdict::Unknown(error.to_string()), Err(error)),
                Err(_) => {
                    let error = AskError::Timeout(patience);
                    (Verdict::Unknown(error.to_string()), Err(error))
                }
            };
            Judged { verdict, answer, effect, is_final: is_final || is_permanent(status) }
        }
        Err(error) => {
            let verdict = match &error {
                AskError::Refused(_) | AskError::Busy(_) | AskError::Store(_) => Verdict::Refused,
                // Of a body that is whole it cannot be.
                AskError::BodyTooLarge(_) => Verdict::Refused,
                // The body is whole: flipgate itself ends, and with it the connection on which it was sent.
                AskError::ClientBody => Verdict::Unknown("flipgate ended while it was sent".to_owned()),
                AskError::Reset(_) | AskError::Timeout(_) => Verdict::Unknown(error.to_string()),
            };
            Judged { verdict, answer: Err(error), effect: None, is_final: false }
        }
    }
}

/// What a whole answer with this status means.
pub(super) fn by_status(status: StatusCode, deletes: bool) -> Verdict {
    match status {
        _ if status.is_success() => Verdict::Taken,
        StatusCode::NOT_FOUND | StatusCode::GONE if deletes => Verdict::Taken,
        // Who answers so has not heard from the server itself.
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
            Verdict::Unknown(format!("a gateway answered {}", status.as_u16()))
        }
        _ => Verdict::Refused,
    }
}

/// Whether a refusal is for good: asking again changes nothing.
fn is_permanent(status: StatusCode) -> bool {
    status.is_client_error()
        && !matches!(
            status,
            StatusCode::UNAUTHORIZED
                | StatusCode::REQUEST_TIMEOUT
                | StatusCode::CONFLICT
                | StatusCode::TOO_EARLY
                | StatusCode::TOO_MANY_REQUESTS
        )
}

/// Reads the beginning of an answer, to its end if it is short, and puts it back; whether it is a second answer's.
async fn begun(answer: Answer) -> Result<(Answer, bool), AskError> {
    let (head, body) = answer.into_parts();
    let (prefix, rest) = match body {
        AnswerBody::Made(bytes) => (bytes.unwrap_or_default(), None),
        other @ (AnswerBody::Upstream { .. } | AnswerBody::Resumed { .. }) => read(other).await?,
    };
    let is_second = prefix.starts_with(SECOND_ANSWER);
    let prefix = (!prefix.is_empty()).then_some(prefix);
    let body = match rest {
        None => AnswerBody::Made(prefix),
        Some(rest) => AnswerBody::Resumed { prefix, rest: Box::new(rest) },
    };
    Ok((Answer::from_parts(head, body), is_second))
}

async fn read(mut body: AnswerBody) -> Result<(Bytes, Option<AnswerBody>), AskError> {
    let mut prefix = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| AskError::Reset(format!("its answer was cut: {e}")))?;
        if let Ok(data) = frame.into_data() {
            prefix.extend_from_slice(&data);
        }
        if prefix.len() >= READ {
            return Ok((prefix.freeze(), Some(body)));
        }
    }
    Ok((prefix.freeze(), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_sent_and_not_answered_is_unknown_also_where_flipgate_ends() {
        for error in [AskError::ClientBody, AskError::Reset(String::new())] {
            let judged = judge(Err(error), false, Duration::from_secs(1)).await;
            assert!(matches!(judged.verdict, Verdict::Unknown(_)), "{judged:?}");
        }
    }

    #[test]
    fn statuses_mean_what_the_contract_says() {
        for (status, deletes, verdict) in [
            (200, false, Verdict::Taken),
            (204, false, Verdict::Taken),
            (302, false, Verdict::Refused),
            (404, false, Verdict::Refused),
            (404, true, Verdict::Taken),
            (409, false, Verdict::Refused),
            (500, true, Verdict::Refused),
        ] {
            assert_eq!(
                by_status(StatusCode::from_u16(status).unwrap(), deletes),
                verdict,
                "{status} {deletes}"
            );
        }
        for status in [502, 504] {
            assert!(matches!(by_status(StatusCode::from_u16(status).unwrap(), true), Verdict::Unknown(_)));
        }
        for (status, permanent) in
            [(400, true), (401, false), (404, true), (408, false), (409, false), (413, true), (425, false)]
        {
            assert_eq!(is_permanent(StatusCode::from_u16(status).unwrap()), permanent, "{status}");
        }
        assert!(
            !is_permanent(StatusCode::TOO_MANY_REQUESTS) && !is_permanent(StatusCode::SERVICE_UNAVAILABLE)
        );
    }
}
