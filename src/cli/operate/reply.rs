//! What the admin side answered, and how a command fails.

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;

use super::readiness::Readiness;
use super::table::unmet;

/// Longest reason of a server that is repeated, in characters.
const DETAIL: usize = 2000;

/// A document as it came, and as it is read.
#[derive(Debug)]
pub(super) struct Reply {
    /// The bytes, for those who want them as they are.
    pub(super) bytes: Bytes,
    /// What they say; null where they are no JSON.
    pub(super) document: Value,
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(super) enum Failure {
    /// The admin side said no, or was not ready in time.
    Refused(Box<Refusal>),
    /// The arguments cannot be used, or the admin side does not take them.
    Unusable(String),
    /// The admin side cannot be reached or failed.
    CouldNotRun(String),
}

/// A refusal, and what would lift it.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    /// One sentence.
    pub(super) why: String,
    /// What the gate says, where the document tells.
    pub(super) readiness: Readiness,
    /// The document with which the admin side refused.
    pub(super) document: Vec<u8>,
}

// === impl Reply ===

impl Reply {
    pub(super) fn of(bytes: Bytes) -> Self {
        let document = serde_json::from_slice(&bytes).unwrap_or_default();
        Reply { bytes, document }
    }

    /// The document as it came, as a line of its own.
    pub(super) fn as_it_came(&self) -> Vec<u8> {
        let mut bytes = self.bytes.to_vec();
        if !bytes.ends_with(b"\n") {
            bytes.push(b'\n');
        }
        bytes
    }

    /// The reason that a problem document or a refusal gives.
    pub(super) fn detail(&self) -> Option<String> {
        let detail = self.document.get("detail")?.as_str()?.trim();
        (!detail.is_empty()).then(|| detail.chars().take(DETAIL).collect())
    }
}

// === impl Failure ===

impl Failure {
    /// What an answer other than success means for `call`, as in `GET http://…`.
    pub(super) fn of(call: &str, status: StatusCode, reply: &Reply) -> Self {
        let answered = format!("{call} answered {status}");
        if status == StatusCode::CONFLICT {
            return Failure::Refused(Box::new(Refusal::of(reply)));
        }
        let detail = reply.detail();
        if status.is_client_error() {
            let next = match (status, &detail) {
                (StatusCode::UNAUTHORIZED, _) => "; give the token by --token-file or FLIPGATE_ADMIN_TOKEN",
                (_, Some(_)) => "",
                (_, None) => "; check that --admin or FLIPGATE_ADMIN names flipgate's admin side",
            };
            return Failure::Unusable(format!("{answered}{}{next}", because(detail.as_deref())));
        }
        let next = if status.is_server_error() {
            "; flipgate's log may say more"
        } else {
            "; check that --admin or FLIPGATE_ADMIN names flipgate's admin side"
        };
        Failure::CouldNotRun(format!("{answered}{}{next}", because(detail.as_deref())))
    }

    /// Adds what a failed change leaves open.
    pub(super) fn in_doubt(self) -> Self {
        match self {
            Failure::CouldNotRun(why) => Failure::CouldNotRun(format!(
                "{why}; `flipgate status` tells whether it was done all the same"
            )),
            Failure::Refused(_) | Failure::Unusable(_) => self,
        }
    }
}

fn because(detail: Option<&str>) -> String {
    detail.map_or_else(|| ", without a reason".to_owned(), |detail| format!(": {detail}"))
}

// === impl Refusal ===

impl Refusal {
    pub(super) fn of(reply: &Reply) -> Self {
        let readiness = Readiness::of(&reply.document);
        let tells = "`flipgate status` tells how things stand";
        let why = match (reply.detail(), readiness.unmet.len()) {
            (Some(detail), _) => format!("refused: {detail}; {tells}"),
            (None, 0) => format!("refused (409 Conflict), without a reason; {tells}"),
            (None, count) => {
                format!("refused: {}; meet them, or let --wait-ready wait for them", unmet(count))
            }
        };
        Refusal { why, readiness, document: reply.as_it_came() }
    }
}
