//! The two files of the page, embedded, under a name that changes with them.

use std::sync::LazyLock;

use axum::extract::{Path, RawQuery};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use sha2::{Digest, Sha256};

use crate::admin::problem::Problem;

const CSS: &str = include_str!("../assets/page.css");
const SCRIPT: &str = include_str!("../assets/page.js");

/// Stands in the URLs of both, so that a browser that kept them asks again after an update.
pub(in crate::admin) fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let digest = Sha256::new().chain_update(CSS).chain_update(SCRIPT).finalize();
        digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    });
    &VERSION
}

/// `GET /assets/{name}`.
pub(in crate::admin) async fn asset(
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let (content_type, text) = match name.as_str() {
        "page.css" => ("text/css; charset=utf-8", CSS),
        "page.js" => ("text/javascript; charset=utf-8", SCRIPT),
        _ => return Err(Problem::not_found("no such file of the page")),
    };
    // Another version's name may be that of a replica that was not updated yet.
    let is_ours = query.as_deref() == Some(version());
    let kept = if is_ours { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = [(CONTENT_TYPE, content_type), (CACHE_CONTROL, kept)];
    Ok((headers, text).into_response())
}
