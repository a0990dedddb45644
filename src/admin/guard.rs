//! Who may call what: Host, Origin and token, checked before anything else on the admin side.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::access::Reach;
use super::endpoint::Endpoint;
use super::problem::Problem;
use crate::config::{AdminConfig, Secret};

/// The rules of access.
#[derive(Debug)]
pub(super) struct Guard {
    config: AdminConfig,
}

/// Checks one request and passes it on.
pub(super) async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>();
    let endpoint = matched.and_then(|path| Endpoint::find(request.method(), path.as_str()));
    match guard.refuse(request.method(), endpoint, request.headers()) {
        Some(problem) => {
            let mut response = problem.into_response();
            if response.status() == StatusCode::UNAUTHORIZED {
                let challenge = http::HeaderValue::from_static("Bearer realm=\"flipgate\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            response
        }
        None => next.run(request).await,
    }
}

// === impl Guard ===

impl Guard {
    pub(super) fn new(config: AdminConfig) -> Self {
        Guard { config }
    }

    fn refuse(&self, method: &Method, endpoint: Option<Endpoint>, headers: &HeaderMap) -> Option<Problem> {
        let host = header_text(headers, &header::HOST);
        if !host.is_some_and(|host| self.knows(host)) {
            return Some(Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                "this Host is not the admin side's; use its address, or add the name to admin.hosts",
            ));
        }
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        if !is_read && let Some(problem) = refuse_foreign(headers, host) {
            return Some(problem);
        }
        let needed = match endpoint {
            Some(Endpoint::Metrics) if self.config.open_metrics => Reach::Nothing,
            Some(endpoint) => endpoint.reach(),
            // What is not there is not told to everybody.
            None if is_read => Reach::Reading,
            None => Reach::Everything,
        };
        self.refuse_token(needed, headers)
    }

    /// An address, `localhost`, or a configured name: what DNS rebinding cannot fake.
    fn knows(&self, host: &str) -> bool {
        let name = without_port(host);
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self.config.hosts.iter().any(|known| known.eq_ignore_ascii_case(name) || known == host)
    }

    fn refuse_token(&self, needed: Reach, headers: &HeaderMap) -> Option<Problem> {
        if needed == Reach::Nothing || self.config.token.is_none() {
            return None;
        }
        match (self.reach(headers), needed) {
            (Reach::Everything, _) | (Reach::Reading, Reach::Reading) => None,
            (Reach::Reading, _) => {
                Some(Problem::new(StatusCode::FORBIDDEN, "this token may only read; use the full one"))
            }
            (Reach::Nothing, _) => Some(Problem::new(
                StatusCode::UNAUTHORIZED,
                "a token is needed: Authorization: Bearer TOKEN, with the token from --admin-token-file",
            )),
        }
    }

    fn reach(&self, headers: &HeaderMap) -> Reach {
        let Some(given) = header_text(headers, &header::AUTHORIZATION)
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
        else {
            return Reach::Nothing;
        };
        let is =
            |secret: &Option<Secret>| secret.as_ref().is_some_and(|secret| equal(secret.reveal(), given));
        if is(&self.config.token) {
            Reach::Everything
        } else if is(&self.config.read_token) {
            Reach::Reading
        } else {
            Reach::Nothing
        }
    }
}

/// A page of another site that makes the operator's browser send a change.
fn refuse_foreign(headers: &HeaderMap, host: Option<&str>) -> Option<Problem> {
    let origin = header_text(headers, &header::ORIGIN);
    let same = |origin: &str| {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        authority.is_some() && authority == host
    };
    let foreign = headers.contains_key(header::ORIGIN) && !origin.is_some_and(same);
    foreign.then(|| Problem::new(StatusCode::FORBIDDEN, "this Origin is not the admin side's own"))
}

/// Compares digests, so that neither the time nor the length tells anything.
fn equal(secret: &str, given: &str) -> bool {
    Sha256::digest(secret).ct_eq(&Sha256::digest(given)).into()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => name,
        Some(_) | None => host,
    }
}

fn header_text<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        Guard::new(AdminConfig {
            token: Some(Secret::new("full".into())),
            read_token: Some(Secret::new("read".into())),
            open_metrics: false,
            hosts: vec!["gate.example".into()],
        })
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (header::HeaderName::from_static(n), v.parse().unwrap())).collect()
    }

    fn status(method: Method, path: &str, pairs: &[(&'static str, &str)]) -> Option<u16> {
        let problem = guard().refuse(&method, Endpoint::find(&method, path), &headers(pairs))?;
        Some(problem.into_response().status().as_u16())
    }

    #[test]
    fn only_health_is_open_without_a_token() {
        let host = [("host", "127.0.0.1:9900")];
        assert_eq!(status(Method::GET, "/healthz", &host), None);
        assert_eq!(status(Method::GET, "/readyz", &host), None);
        for path in ["/", "/metrics", "/api/status", "/api/findings", "/nothing"] {
            assert_eq!(status(Method::GET, path, &host), Some(401), "{path}");
        }
        assert_eq!(status(Method::POST, "/api/primary", &host), Some(401));
    }

    #[test]
    fn the_read_only_token_changes_nothing() {
        let read = [("host", "localhost:9900"), ("authorization", "Bearer read")];
        let full = [("host", "localhost:9900"), ("authorization", "bearer full")];
        assert_eq!(status(Method::GET, "/api/status", &read), None);
        assert_eq!(status(Method::POST, "/api/rollback", &read), Some(403));
        assert_eq!(status(Method::POST, "/api/rollback", &full), None);
    }

    #[test]
    fn a_host_that_dns_could_fake_is_refused() {
        let authorized = |host| [("host", host), ("authorization", "Bearer full")];
        for host in ["127.0.0.1", "[::1]:9900", "10.1.2.3:9900", "LOCALHOST", "gate.example:9900"] {
            assert_eq!(status(Method::GET, "/api/status", &authorized(host)), None, "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example:9900", ""] {
            assert_eq!(status(Method::GET, "/api/status", &authorized(host)), Some(421), "{host}");
        }
    }

    #[test]
    fn a_change_from_another_origin_is_refused() {
        let from =
            |origin| [("host", "127.0.0.1:9900"), ("authorization", "Bearer full"), ("origin", origin)];
        assert_eq!(status(Method::POST, "/api/primary", &from("http://127.0.0.1:9900")), None);
        assert_eq!(status(Method::POST, "/api/primary", &from("http://evil.example")), Some(403));
        assert_eq!(status(Method::POST, "/api/primary", &from("null")), Some(403));
        assert_eq!(status(Method::GET, "/api/status", &from("http://evil.example")), None);
    }
}
