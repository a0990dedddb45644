//! The pages for people.

use std::collections::HashMap;

use http::StatusCode;

use super::form::CheckedForm;
use super::problem::Problem;

type AnyFields = HashMap<String, String>;

/// `GET /`.
pub(super) async fn overview() -> Problem {
    not_built_yet()
}

/// `GET /findings`.
pub(super) async fn findings() -> Problem {
    not_built_yet()
}

/// `GET /findings/{id}`.
pub(super) async fn finding() -> Problem {
    not_built_yet()
}

/// `GET /flip`.
pub(super) async fn flip() -> Problem {
    not_built_yet()
}

/// `GET /audit`.
pub(super) async fn audit() -> Problem {
    not_built_yet()
}

/// `GET /assets/{name}`.
pub(super) async fn asset() -> Problem {
    not_built_yet()
}

/// `POST /flip`.
pub(super) async fn post_flip(_: CheckedForm<AnyFields>) -> Problem {
    not_built_yet()
}

/// `POST /dial`.
pub(super) async fn post_dial(_: CheckedForm<AnyFields>) -> Problem {
    not_built_yet()
}

/// `POST /rollback`.
pub(super) async fn post_rollback(_: CheckedForm<AnyFields>) -> Problem {
    not_built_yet()
}

/// `POST /latch`.
pub(super) async fn post_latch(_: CheckedForm<AnyFields>) -> Problem {
    not_built_yet()
}

/// `POST /epoch`.
pub(super) async fn post_epoch(_: CheckedForm<AnyFields>) -> Problem {
    not_built_yet()
}

/// `POST /findings/{id}`.
pub(super) async fn post_finding(_: CheckedForm<AnyFields>) -> Problem {
    not_built_yet()
}

/// `POST /samples/{id}/recheck`.
pub(super) async fn post_recheck(_: CheckedForm<AnyFields>) -> Problem {
    not_built_yet()
}

fn not_built_yet() -> Problem {
    Problem::new(StatusCode::NOT_IMPLEMENTED, "this page is not built yet; the API and the commands are")
}
