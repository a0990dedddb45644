//! Who may call what: Host, Origin, token or session, checked before anything else on the admin side.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::access::{Access, By, Reach};
use super::attempts::Attempts;
use super::endpoint::{Endpoint, Kind};
use super::login;
use super::problem::Problem;
use super::session::{Lease, Sessions, random};
use crate::config::{AdminConfig, Secret};

/// What a browser says of where a request comes from.
const FETCH_SITE: &str = "sec-fetch-site";
/// Where a program that goes by cookie shows that it could read one of our answers.
pub(super) const CSRF: &str = "x-csrf-token";

/// The rules of access.
#[derive(Debug)]
pub(super) struct Guard {
    config: AdminConfig,
    pub(super) sessions: Sessions,
    pub(super) attempts: Attempts,
    /// What forms carry where no token is configured.
    csrf: String,
}

/// Who a request is from.
#[derive(Debug)]
struct Caller {
    access: Access,
    lease: Option<Lease>,
}

/// Why a request goes no further.
#[derive(Debug)]
enum Refusal {
    Problem(Problem),
    /// No token: one is asked for.
    Unknown,
    /// No token, and somebody with a browser who can be asked for one.
    LogIn,
    /// No token, but a link of another site was followed, and then the browser keeps a session's cookie back.
    Again,
}

/// Checks one request and passes it on.
pub(super) async fn check(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>();
    let endpoint = matched.and_then(|path| Endpoint::find(request.method(), path.as_str()));
    match guard.admit(request.method(), endpoint, request.headers()) {
        Ok(Caller { access, lease }) => {
            request.extensions_mut().insert(access);
            if let Some(lease) = lease {
                request.extensions_mut().insert(lease);
            }
            next.run(request).await
        }
        Err(refusal) => refusal.answer(request.uri()),
    }
}

// === impl Guard ===

impl Guard {
    /// `port` is the one that the admin side listens on.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub(super) fn new(config: AdminConfig, port: u16) -> Result<Self, getrandom::Error> {
        let (sessions, attempts) = (Sessions::new(port), Attempts::default());
        Ok(Guard { config, sessions, attempts, csrf: random()? })
    }

    /// Whether there is a token to log in with.
    pub(super) fn has_token(&self) -> bool {
        self.config.token.is_some()
    }

    /// How far a token reaches.
    pub(super) fn reach(&self, given: &str) -> Reach {
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

    fn admit(
        &self,
        method: &Method,
        endpoint: Option<Endpoint>,
        headers: &HeaderMap,
    ) -> Result<Caller, Refusal> {
        let host = header_text(headers, header::HOST.as_str());
        if !host.is_some_and(|host| self.knows(host)) {
            return Err(Refusal::Problem(Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                "this Host is not the admin side's; use its address, or add the name to admin.hosts",
            )));
        }
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        if !is_read {
            refuse_foreign(headers, host)?;
        }
        let needed = match endpoint {
            Some(Endpoint::Metrics) if self.config.open_metrics => Reach::Nothing,
            Some(endpoint) => endpoint.reach(),
            // What is not there is not told to everybody.
            None if is_read => Reach::Reading,
            None => Reach::Everything,
        };
        let caller = self.caller(headers);
        let kind = endpoint.map_or(Kind::Api, Endpoint::kind);
        if caller.access.reach < needed {
            return Err(match caller.access.reach {
                Reach::Nothing if is_read && kind == Kind::Page && takes_html(headers) => by_hand(headers),
                Reach::Nothing => Refusal::Unknown,
                Reach::Reading | Reach::Everything => forbidden("this token may only read; use the full one"),
            });
        }
        // A page's form carries its token as a field: see `form`.
        let is_program = kind != Kind::Page;
        if !is_read && is_program && caller.access.by == By::Session {
            let given = header_text(headers, CSRF).unwrap_or_default();
            if !equal(&caller.access.csrf, given) {
                return Err(forbidden("a change by session cookie needs the session's x-csrf-token"));
            }
        }
        Ok(caller)
    }

    /// An address, `localhost`, or a configured name: what DNS rebinding cannot fake.
    fn knows(&self, host: &str) -> bool {
        let name = without_port(host);
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self.config.hosts.iter().any(|known| known.eq_ignore_ascii_case(name) || known == host)
    }

    fn caller(&self, headers: &HeaderMap) -> Caller {
        if self.config.token.is_none() {
            let access = Access { reach: Reach::Everything, csrf: self.csrf.clone(), by: By::None };
            return Caller { access, lease: None };
        }
        // Who sends a bearer token means it: a cookie beside it says nothing more.
        if let Some(token) = bearer(headers) {
            let access = Access { reach: self.reach(token), csrf: String::new(), by: By::Bearer };
            return Caller { access, lease: None };
        }
        match self.sessions.find(headers, Instant::now()) {
            Some((access, lease)) => Caller { access, lease: Some(lease) },
            None => Caller { access: Access::nobody(), lease: None },
        }
    }
}

// === impl Refusal ===

impl Refusal {
    fn answer(self, uri: &Uri) -> Response {
        match self {
            Refusal::Problem(problem) => problem.into_response(),
            Refusal::Unknown => {
                let why =
                    "a token is needed: Authorization: Bearer TOKEN, with the token from --admin-token-file";
                let challenge = [(header::WWW_AUTHENTICATE, login::CHALLENGE)];
                (challenge, Problem::new(StatusCode::UNAUTHORIZED, why)).into_response()
            }
            Refusal::LogIn => login::redirect(uri),
            Refusal::Again => login::again(uri),
        }
    }
}

/// Whether two secrets are equal, in a time that tells nothing of them.
pub(super) fn equal(secret: &str, given: &str) -> bool {
    Sha256::digest(secret).ct_eq(&Sha256::digest(given)).into()
}

fn forbidden(why: &str) -> Refusal {
    Refusal::Problem(Problem::new(StatusCode::FORBIDDEN, why))
}

/// A page of another site that makes the operator's browser send a change.
fn refuse_foreign(headers: &HeaderMap, host: Option<&str>) -> Result<(), Refusal> {
    let origin = header_text(headers, header::ORIGIN.as_str());
    let same = |origin: &str| {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        authority.is_some() && authority == host
    };
    if headers.contains_key(header::ORIGIN) && !origin.is_some_and(same) {
        return Err(forbidden("this Origin is not the admin side's own"));
    }
    if is_cross_site(headers) {
        return Err(forbidden("this request comes from another site's page"));
    }
    Ok(())
}

/// What a browser without a session is told. The second request, which [`login::again`] has it send, comes from our
/// own page, so this ends.
fn by_hand(headers: &HeaderMap) -> Refusal {
    if is_cross_site(headers) { Refusal::Again } else { Refusal::LogIn }
}

fn is_cross_site(headers: &HeaderMap) -> bool {
    header_text(headers, FETCH_SITE) == Some("cross-site")
}

/// Whether a page is wanted.
pub(super) fn takes_html(headers: &HeaderMap) -> bool {
    let accepts = |value: &http::HeaderValue| {
        value.to_str().is_ok_and(|value| value.to_ascii_lowercase().contains("text/html"))
    };
    headers.get_all(header::ACCEPT).iter().any(accepts)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = header_text(headers, header::AUTHORIZATION.as_str())?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => name,
        Some(_) | None => host,
    }
}

fn header_text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        let config = AdminConfig {
            token: Some(Secret::new("full".into())),
            read_token: Some(Secret::new("read".into())),
            open_metrics: false,
            hosts: vec!["gate.example".into()],
        };
        Guard::new(config, 9900).unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (header::HeaderName::from_static(n), v.parse().unwrap())).collect()
    }

    /// The status of a refusal.
    fn status(method: Method, path: &str, pairs: &[(&'static str, &str)]) -> Option<u16> {
        refused(&guard(), method, path, &headers(pairs))
    }

    fn refused(guard: &Guard, method: Method, path: &str, headers: &HeaderMap) -> Option<u16> {
        let refusal = guard.admit(&method, Endpoint::find(&method, path), headers).err()?;
        Some(refusal.answer(&Uri::from_static("/flip?a=b")).status().as_u16())
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

    #[test]
    fn a_change_that_a_browser_calls_cross_site_is_refused() {
        let from =
            |site| [("host", "127.0.0.1:9900"), ("authorization", "Bearer full"), ("sec-fetch-site", site)];
        for site in ["same-origin", "same-site", "none"] {
            assert_eq!(status(Method::POST, "/api/primary", &from(site)), None, "{site}");
        }
        assert_eq!(status(Method::POST, "/api/primary", &from("cross-site")), Some(403));
        assert_eq!(status(Method::GET, "/api/status", &from("cross-site")), None);
    }

    #[test]
    fn a_session_changes_nothing_by_itself() {
        let guard = guard();
        let number = guard.sessions.begin(Reach::Everything, Instant::now()).unwrap().number;
        let cookie = format!("flipgate_session_9900={number}");
        let with =
            |csrf: &str| headers(&[("host", "[::1]:9900"), ("cookie", &cookie), ("x-csrf-token", csrf)]);
        let (access, _) = guard.sessions.find(&with(""), Instant::now()).unwrap();
        assert_eq!(refused(&guard, Method::GET, "/api/status", &with("")), None);
        assert_eq!(refused(&guard, Method::POST, "/api/rollback", &with("")), Some(403));
        assert_eq!(refused(&guard, Method::POST, "/api/rollback", &with(&number)), Some(403));
        assert_eq!(refused(&guard, Method::POST, "/api/rollback", &with(&access.csrf)), None);
        assert_eq!(refused(&guard, Method::POST, "/nothing", &with("")), Some(403));
        // A form carries it in its body.
        assert_eq!(refused(&guard, Method::POST, "/rollback", &with("")), None);
    }

    #[test]
    fn a_browser_without_a_session_is_sent_to_log_in_and_a_program_is_not() {
        let page = ("accept", "text/html,application/xhtml+xml;q=0.9");
        let host = ("host", "127.0.0.1:9900");
        for method in [Method::GET, Method::HEAD] {
            assert_eq!(status(method.clone(), "/flip", &[host, page]), Some(303));
            assert_eq!(status(method.clone(), "/flip", &[host]), Some(401));
            assert_eq!(status(method.clone(), "/api/status", &[host, page]), Some(401));
            assert_eq!(status(method.clone(), "/nothing", &[host, page]), Some(401));
            let cross = ("sec-fetch-site", "cross-site");
            assert_eq!(status(method.clone(), "/flip", &[host, page, cross]), Some(200), "asked once more");
            assert_eq!(status(method, "/flip", &[host, page, ("sec-fetch-site", "same-origin")]), Some(303));
        }
        assert_eq!(status(Method::POST, "/flip", &[host, page]), Some(401));
    }
}
