//! `GET /api/events`.

use http::StatusCode;

use super::problem::Problem;

/// `GET /api/events`.
pub(super) async fn events() -> Problem {
    Problem::new(StatusCode::NOT_IMPLEMENTED, "events are not built yet; ask /api/status")
}
