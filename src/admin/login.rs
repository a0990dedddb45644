//! A token traded for a session, for browsers.

use http::StatusCode;

use super::problem::Problem;

/// `GET /login`.
pub(super) async fn page() -> Problem {
    not_built_yet()
}

/// `POST /login`.
pub(super) async fn log_in() -> Problem {
    not_built_yet()
}

/// `POST /logout`.
pub(super) async fn log_out() -> Problem {
    not_built_yet()
}

fn not_built_yet() -> Problem {
    Problem::new(StatusCode::NOT_IMPLEMENTED, "this page is not built yet; the API and the commands are")
}
