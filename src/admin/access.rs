//! What a caller may do, as the guard found it.

use axum::extract::FromRequestParts;
use http::request;

use super::problem::Problem;

/// How far a caller's token reaches; and how far it must, for an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// What anybody may ask.
    Nothing,
    /// What changes nothing.
    Reading,
    /// What changes the state, too.
    Everything,
}

/// How a caller showed who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// Not at all: no token is configured, or none is needed here.
    None,
    /// `Authorization: Bearer`, which no browser sends by itself.
    Bearer,
    /// The cookie of a session, which a browser sends by itself.
    Session,
}

/// Every request that passed the guard carries one.
#[derive(Debug, Clone)]
pub(super) struct Access {
    pub(super) reach: Reach,
    /// What a form must carry; empty where this caller has no form to send.
    pub(super) csrf: String,
    pub(super) by: By,
}

// === impl Access ===

impl Access {
    /// Whether it may change the state.
    pub(super) fn may_change(&self) -> bool {
        self.reach == Reach::Everything
    }

    pub(super) fn nobody() -> Self {
        Access { reach: Reach::Nothing, csrf: String::new(), by: By::None }
    }
}

impl<S: Sync> FromRequestParts<S> for Access {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut request::Parts, _: &S) -> Result<Self, Problem> {
        let access = parts.extensions.get::<Access>().cloned();
        access.ok_or_else(|| Problem::internal(&"a request came past the guard"))
    }
}
