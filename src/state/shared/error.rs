//! What can go wrong with the shared store, told by whether another try may help.

use std::io;
use std::time::Duration;

use crate::pg::{self, Target};

/// Why a call was not done, in one sentence without a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SharedError {
    /// It is not there, did not answer in time, or the connection was lost: a later try may succeed. Whether something
    /// was written is not known.
    #[error("{0}")]
    Unreachable(String),
    /// It answered with an error; nothing was written.
    #[error("{0}")]
    Refused(String),
}

// === impl SharedError ===

impl SharedError {
    pub(super) fn of(target: &Target, error: &sqlx::Error) -> Self {
        let code = pg::code(error);
        let sentence = match code.as_deref() {
            Some("3F000" | "42P01" | "42703") => format!(
                "PostgreSQL {} does not have all of the schema flipgate; start flipgate again, which makes it.",
                target.name()
            ),
            Some(_) | None => target.explain(error),
        };
        let is_passing = code.map_or_else(|| is_lost(error), |code| passes(&code));
        if is_passing { Self::Unreachable(sentence) } else { Self::Refused(sentence) }
    }

    /// No answer within this time.
    pub(super) fn late(target: &Target, limit: Duration) -> Self {
        let late = io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {limit:?}"));
        Self::of(target, &sqlx::Error::Io(late))
    }

    /// Something is stored that this flipgate cannot read.
    pub(super) fn unreadable(target: &Target, what: &str, error: &serde_json::Error) -> Self {
        let name = target.name();
        Self::Refused(format!(
            "PostgreSQL {name} holds {what} that is not readable ({error}); see its schema flipgate."
        ))
    }
}

/// Whether the server's own error goes away by itself: it starts, stops, fails over, is full of connections, or took too
/// long.
fn passes(code: &str) -> bool {
    code.starts_with("08")
        || matches!(code, "53300" | "55P03" | "57014" | "57P01" | "57P02" | "57P03" | "57P05" | "25P03")
        || matches!(code, "40001" | "40P01" | "25006")
}

/// Whether there was no answer, rather than one that is not understood.
fn is_lost(error: &sqlx::Error) -> bool {
    use sqlx::Error::{Io, PoolClosed, PoolTimedOut, Protocol, WorkerCrashed};
    matches!(error, Io(_) | Protocol(_) | PoolTimedOut | PoolClosed | WorkerCrashed)
}
