//! `/login`: a token traded for a session, for browsers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use askama::Template;
use axum::Extension;
use axum::extract::{ConnectInfo, FromRequest, Request, State};
use axum::response::{AppendHeaders, Html, IntoResponse, Redirect, Response};
use http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use serde::Deserialize;
use url::form_urlencoded;

use super::access::{Access, By, Reach};
use super::attempts::Attempt;
use super::form::{self, CheckedForm, CheckedQuery};
use super::guard::{CSRF, Guard};
use super::page::version;
use super::problem::Problem;
use super::session::Lease;
use super::{App, Caller};
use crate::metrics::Login;

/// How a token can be given, besides at this page.
pub(super) const CHALLENGE: &str = "Bearer realm=\"flipgate\"";

/// Asks for a token.
#[derive(Template)]
#[template(path = "admin/login.html")]
struct LoginPage<'p> {
    next: &'p str,
    error: Option<&'p str>,
    assets: &'static str,
}

/// Has a browser ask for the same page once more, now from a page of our own.
#[derive(Template)]
#[template(path = "admin/again.html")]
struct AgainPage<'p> {
    target: &'p str,
}

#[derive(Debug, Deserialize)]
pub(super) struct LoginQuery {
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct LoginForm {
    token: String,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct NoFields {}

/// `GET /login`.
pub(super) async fn page(
    Extension(guard): Extension<Arc<Guard>>,
    CheckedQuery(query): CheckedQuery<LoginQuery>,
) -> Result<Response, Problem> {
    if !guard.has_token() {
        return Ok(Redirect::to("/").into_response());
    }
    ask(StatusCode::OK, query.next.as_deref(), None)
}

/// `POST /login`.
pub(super) async fn log_in(
    State(shared): App,
    ConnectInfo(caller): Caller,
    Extension(guard): Extension<Arc<Guard>>,
    before: Option<Extension<Lease>>,
    request: Request,
) -> Result<Response, Problem> {
    let secure = is_secure(request.headers());
    let LoginForm { token, next } = form::unchecked(request).await?;
    let next = next.as_deref();
    if !guard.has_token() {
        return Ok(Redirect::to(local(next)).into_response());
    }
    let now = Instant::now();
    let opens = || Some(guard.reach(token.trim())).filter(|reach| *reach > Reach::Nothing);
    match guard.attempts.attempt(caller.ip(), now, opens) {
        Attempt::Right(reach) => {
            let begun = guard.sessions.begin(reach, now).map_err(|e| Problem::internal(&e))?;
            if let Some(Extension(before)) = before {
                guard.sessions.end(&before);
            }
            shared.metrics.login(Login::Ok);
            // The token is for programs that go by cookie; pages carry it in their forms.
            let told = [
                (header::SET_COOKIE, guard.sessions.cookie(&begun.number, secure)),
                (HeaderName::from_static(CSRF), begun.csrf),
            ];
            Ok((AppendHeaders(told), Redirect::to(local(next))).into_response())
        }
        Attempt::Wrong => {
            shared.metrics.login(Login::Refused);
            tracing::warn!(caller = %caller.ip(), "a login with a wrong token was refused");
            let answer = ask(StatusCode::UNAUTHORIZED, next, Some("This token is not known here."))?;
            Ok(([(header::WWW_AUTHENTICATE, CHALLENGE)], answer).into_response())
        }
        Attempt::Limited { after } => {
            shared.metrics.login(Login::Limited);
            tracing::warn!(caller = %caller.ip(), "a login was refused unread, after too many wrong ones");
            let seconds = whole_seconds(after);
            let why = format!("Too many wrong tokens; try again in {seconds} s.");
            let answer = ask(StatusCode::TOO_MANY_REQUESTS, next, Some(&why))?;
            Ok(([(header::RETRY_AFTER, seconds.to_string())], answer).into_response())
        }
    }
}

/// `POST /logout`.
pub(super) async fn log_out(
    access: Access,
    Extension(guard): Extension<Arc<Guard>>,
    lease: Option<Extension<Lease>>,
    request: Request,
) -> Result<Response, Problem> {
    let secure = is_secure(request.headers());
    if access.by == By::Session {
        CheckedForm::<NoFields>::from_request(request, &()).await?;
    }
    if let Some(Extension(lease)) = lease {
        guard.sessions.end(&lease);
    }
    let cookie = [(header::SET_COOKIE, guard.sessions.no_cookie(secure))];
    Ok((cookie, Redirect::to("/login")).into_response())
}

/// To the login page, and from there back to `target`.
pub(super) fn redirect(target: &Uri) -> Response {
    let next: String = form_urlencoded::byte_serialize(local_target(target).as_bytes()).collect();
    Redirect::to(&format!("/login?next={next}")).into_response()
}

/// A link of another site was followed here. The browser sends a SameSite=Strict cookie only with what our own pages
/// ask for, so one of ours asks.
pub(super) fn again(target: &Uri) -> Response {
    rendered(&AgainPage { target: local_target(target) }).into_response()
}

fn ask(status: StatusCode, next: Option<&str>, error: Option<&str>) -> Result<Response, Problem> {
    let page = rendered(&LoginPage { next: local(next), error, assets: version() })?;
    Ok((status, page).into_response())
}

fn rendered(page: &impl Template) -> Result<Html<String>, Problem> {
    page.render().map(Html).map_err(|e| Problem::internal(&e))
}

fn local_target(target: &Uri) -> &str {
    local(target.path_and_query().map(http::uri::PathAndQuery::as_str))
}

/// A path of this server, or `/`. Two slashes would name another host, browsers take `\` for `/` and read over tabs
/// and line ends.
fn local(next: Option<&str>) -> &str {
    let is_local = |next: &&str| {
        let mut bytes = next.bytes();
        bytes.next() == Some(b'/')
            && !matches!(bytes.next(), Some(b'/' | b'\\'))
            && next.bytes().all(|byte| byte.is_ascii_graphic())
    };
    next.filter(is_local).unwrap_or("/")
}

/// Whether the browser speaks TLS to whatever stands before the admin side.
fn is_secure(headers: &HeaderMap) -> bool {
    headers.get("x-forwarded-proto").is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"))
}

/// Never less than it takes, so that who waits so long is let in.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_nowhere_else() {
        for path in ["/", "/flip", "/findings?route=/a&state=open", "/findings/1//2", "/a\\b"] {
            assert_eq!(local(Some(path)), path);
        }
        let elsewhere = [
            "",
            "flip",
            "//evil.example",
            "/\\evil.example",
            "///evil.example",
            "http://evil.example/",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/\n/evil.example",
            "\t//evil.example",
            " /flip",
            "/fl ip",
            "\\\\evil.example",
            "/\u{e4}",
        ];
        for next in elsewhere {
            assert_eq!(local(Some(next)), "/", "{next:?}");
        }
        assert_eq!(local(None), "/");
    }

    #[test]
    fn where_one_was_going_survives_the_login() {
        let answer = redirect(&Uri::from_static("/findings?route=/read/{name}&state=open"));
        let location = answer.headers()[header::LOCATION].to_str().unwrap();
        let (path, query) = location.split_once('?').unwrap();
        let next = form_urlencoded::parse(query.as_bytes()).next().unwrap();
        assert_eq!((path, &*next.0, &*next.1), ("/login", "next", "/findings?route=/read/{name}&state=open"));
    }

    #[test]
    fn what_a_page_repeats_is_escaped() {
        let page = LoginPage { next: "/\"><script>", error: Some("<b>"), assets: "" }.render().unwrap();
        assert!(!page.contains("<script>") && !page.contains("<b>"), "{page}");
        let page = AgainPage { target: "/\"><script>" }.render().unwrap();
        assert!(!page.contains("<script>"), "{page}");
    }

    #[test]
    fn who_waits_as_long_as_told_is_let_in() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(60)), 60);
        assert_eq!(whole_seconds(Duration::from_millis(59_001)), 60);
    }
}
