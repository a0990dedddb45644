//! The one place where errors of the admin side become responses: `application/problem+json` (RFC 9457).

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

/// What the caller is told.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: &str) -> Self {
        Problem { status, detail: detail.to_owned() }
    }

    /// The status that the caller gets.
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// What went wrong, in a sentence without its full stop.
    pub(super) fn detail(&self) -> &str {
        self.detail.trim_end_matches('.')
    }

    pub(super) fn not_found(detail: &str) -> Self {
        Problem::new(StatusCode::NOT_FOUND, detail)
    }

    pub(super) fn no_sample() -> Self {
        Problem::not_found("no sample has this id, or it has made room for later ones")
    }

    pub(super) fn bad_request(detail: &str) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }

    /// A failure that is ours: the cause goes to the log.
    pub(super) fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "the admin side failed");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "flipgate failed; its log says why")
    }

    /// The state could not be put on disk, so nothing changed; the operator needs to know why.
    pub(super) fn state(error: &crate::state::StateError) -> Self {
        tracing::error!(%error, "the state cannot be kept");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, &format!("nothing was changed: {error}"))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = serde_json::json!({
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let content_type = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (self.status, content_type, document.to_string()).into_response();
        // For whoever would rather read a page.
        response.extensions_mut().insert(self);
        response
    }
}
