//! `GET /api/openapi.json`.

use http::StatusCode;

use super::problem::Problem;

/// `GET /api/openapi.json`.
pub(super) async fn document() -> Problem {
    Problem::new(
        StatusCode::NOT_IMPLEMENTED,
        "the OpenAPI document is not built yet; the README lists the API",
    )
}
