//! What every answer of the admin side tells a browser about itself.

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::endpoint::{Endpoint, Kind};

/// Nothing but our own two files; nothing inline; in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Outermost, so that no answer goes without, whoever gives it.
pub(super) async fn dress(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    let endpoint = path.and_then(|path| Endpoint::find(request.method(), path.as_str()));
    let kind = endpoint.map_or(Kind::Api, Endpoint::kind);
    let mut response = next.run(request).await;
    clothe(kind, response.headers_mut());
    response
}

fn clothe(kind: Kind, headers: &mut HeaderMap) {
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    match kind {
        Kind::Asset => {}
        // A problem of the API, and what is no endpoint, may be read by a browser, too.
        Kind::Api | Kind::Page => {
            set(header::CACHE_CONTROL, "no-store");
            set(header::CONTENT_SECURITY_POLICY, POLICY);
            set(header::REFERRER_POLICY, "same-origin");
            set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
        }
    }
}
