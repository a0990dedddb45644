//! Who may do what on the admin side.

use flipgate::admin::endpoint::{Endpoint, Kind, Reach};
use http::Method;
use serde_json::json;

use crate::client::Answer;
use crate::doors::{Doors, FORM, FULL, READ, Session, bearer, form};
use crate::harness::Setup;
use crate::upstream::{Reply, Upstream};

mod browsers;
mod events;
mod openapi;

/// An endpoint's path with ids in it that are there.
fn path(endpoint: Endpoint, (finding, sample): &(String, u64)) -> String {
    let id = if endpoint.path().contains("sample") { sample.to_string() } else { finding.clone() };
    endpoint.path().replace("{id}", &id).replace("{name}", "page.css")
}

/// A body that would change something at an endpoint, and its type.
fn body(endpoint: Endpoint, csrf: &str) -> (&'static str, String) {
    if endpoint.kind() == Kind::Page {
        return (FORM.1, form(&[("csrf", csrf)]));
    }
    let special = [
        (Endpoint::Primary, json!({"primary": "postgres", "force": true})),
        (Endpoint::Dial, json!({"percent": 50, "force": true})),
        (Endpoint::Write, json!({"action": "discard", "reason": "a test"})),
        (Endpoint::Judge, json!({"state": "accepted", "note": "a test", "max_share": 0.5})),
    ];
    let json = special.into_iter().find(|(known, _)| *known == endpoint);
    let json = json.map_or_else(|| json!({"reason": "a test"}), |(_, json)| json);
    ("application/json", json.to_string())
}

async fn call(
    doors: &Doors,
    endpoint: Endpoint,
    ids: &(String, u64),
    who: &[(&str, &str)],
    csrf: &str,
) -> Answer {
    let (content_type, body) = body(endpoint, csrf);
    let path = path(endpoint, ids);
    if endpoint.method() == Method::GET {
        return doors.head("GET", &path, who, "").await;
    }
    doors.head("POST", &path, &[who, &[("Content-Type", content_type)]].concat(), &body).await
}

fn is_refused(answer: &Answer) -> bool {
    matches!(answer.status, 401 | 403)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nothing_answers_but_health_and_the_way_in() {
    let doors = Doors::open().await;
    let ids = doors.finding().await;
    let wrong = bearer("hush");
    let cookie = format!("flipgate_session_{}=0123", doors.flipgate.admin.port());
    let nobody: [&[(&str, &str)]; 4] = [
        &[],
        &[("Authorization", &wrong)],
        &[("Cookie", &cookie)],
        &[("Authorization", "Basic aHVzaC1mdWxs")],
    ];
    let before = doors.state().await;
    for endpoint in Endpoint::ALL {
        for who in nobody {
            let answer = call(&doors, *endpoint, &ids, who, "").await;
            if endpoint.reach() == Reach::Nothing {
                assert!(!is_refused(&answer) && answer.status != 405, "{endpoint:?} {who:?}: {answer:?}");
            } else {
                assert_eq!(answer.status, 401, "{endpoint:?} {who:?}");
                assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"flipgate\""));
                assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            }
        }
    }
    for (method, target) in
        [("GET", "/nothing"), ("DELETE", "/healthz"), ("PUT", "/login"), ("OPTIONS", "/api/status")]
    {
        assert_eq!(doors.head(method, target, &[], "").await.status, 401, "{method} {target}");
    }
    assert_eq!(doors.state().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_read_changes_nothing() {
    let doors = Doors::open().await;
    let ids = doors.finding().await;
    let session = doors.log_in(READ).await;
    let token = bearer(READ);
    let by_session = [session.header(), ("X-CSRF-Token", &session.csrf)];
    let readers: [&[(&str, &str)]; 2] = [&[("Authorization", &token)], &by_session];
    let before = doors.state().await;
    for endpoint in Endpoint::ALL.iter().filter(|endpoint| endpoint.reach() > Reach::Nothing) {
        for who in readers {
            let answer = call(&doors, *endpoint, &ids, who, &session.csrf).await;
            let wanted = endpoint.reach() == Reach::Everything;
            assert_eq!(answer.status == 403, wanted, "{endpoint:?} {who:?}: {answer:?}");
            assert!(wanted || !matches!(answer.status, 401 | 404 | 405), "{endpoint:?} {who:?}: {answer:?}");
        }
    }
    assert_eq!(doors.state().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_do_everything_is_refused_nothing() {
    let doors = Doors::open().await;
    let ids = doors.finding().await;
    let session = doors.log_in(FULL).await;
    let token = bearer(FULL);
    let by_session = [session.header(), ("X-CSRF-Token", &session.csrf)];
    let operators: [&[(&str, &str)]; 2] = [&[("Authorization", &token)], &by_session];
    let before = doors.state().await;
    for endpoint in Endpoint::ALL {
        for who in operators {
            if !matches!(endpoint, Endpoint::LogIn | Endpoint::LogOut) {
                let answer = call(&doors, *endpoint, &ids, who, &session.csrf).await;
                assert!(!is_refused(&answer), "{endpoint:?} {who:?}: {answer:?}");
                // Nothing is mirrored here, so there is no write to decide about.
                let missing = matches!(endpoint, Endpoint::Write) && answer.status == 404;
                assert!(missing || !matches!(answer.status, 404 | 405), "{endpoint:?} {who:?}: {answer:?}");
            }
        }
    }
    // What others must not do was there to be done.
    let after = doors.state().await;
    for changed in ["version", "epoch", "audit", "findings"] {
        assert_ne!(after[changed], before[changed], "{changed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_changes_something_only_with_its_own_csrf_token() {
    let doors = Doors::open().await;
    let ids = doors.finding().await;
    let (session, other) = (doors.log_in(FULL).await, doors.log_in(FULL).await);
    let before = doors.state().await;
    let changing = || Endpoint::ALL.iter().filter(|endpoint| endpoint.reach() == Reach::Everything);
    for endpoint in changing() {
        for csrf in ["", "0", &other.csrf, &session.cookie] {
            let who = [session.header(), ("X-CSRF-Token", csrf)];
            let answer = call(&doors, *endpoint, &ids, &who, csrf).await;
            assert_eq!(answer.status, 403, "{endpoint:?} {csrf}");
        }
        // Of the two ways, each has its own.
        let (header, field) = match endpoint.kind() {
            Kind::Api | Kind::Asset => ("", session.csrf.as_str()),
            Kind::Page => (session.csrf.as_str(), ""),
        };
        let who = [session.header(), ("X-CSRF-Token", header)];
        assert_eq!(call(&doors, *endpoint, &ids, &who, field).await.status, 403, "{endpoint:?}");
    }
    assert_eq!(doors.state().await, before);
    for endpoint in changing() {
        let who = [session.header(), ("X-CSRF-Token", &session.csrf)];
        assert_ne!(call(&doors, *endpoint, &ids, &who, &session.csrf).await.status, 403, "{endpoint:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_token_is_configured_forms_are_checked_all_the_same() {
    let (from, to) = (Upstream::always(Reply::json("1")).await, Upstream::always(Reply::json("2")).await);
    let doors = Doors { flipgate: Setup::between(&from.url(), &to.url()).start().await, from, to };
    let ids = doors.finding().await;
    for endpoint in Endpoint::ALL.iter().filter(|endpoint| endpoint.reach() == Reach::Everything) {
        for csrf in ["", "0"] {
            let answer = call(&doors, *endpoint, &ids, &[], csrf).await;
            assert_eq!(answer.status == 403, endpoint.kind() == Kind::Page, "{endpoint:?}: {answer:?}");
        }
    }
    let answer = doors.get("/login?next=/flip", &[]).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/")),
        "there is nothing to log in with"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_says_how_a_browser_must_take_it() {
    let doors = Doors::open().await;
    let ids = doors.finding().await;
    let token = bearer(FULL);
    for endpoint in Endpoint::ALL {
        for who in [&[("Authorization", token.as_str())][..], &[]] {
            let answer = call(&doors, *endpoint, &ids, who, "").await;
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{endpoint:?}");
            let is_page = endpoint.kind() != Kind::Asset;
            let policy = answer.header("content-security-policy").unwrap_or_default();
            assert_eq!(policy.starts_with("default-src 'none'; script-src 'self';"), is_page, "{endpoint:?}");
            assert!(!policy.contains("unsafe"));
            assert_eq!(answer.header("referrer-policy"), is_page.then_some("same-origin"));
            assert_eq!(answer.header("cross-origin-opener-policy"), is_page.then_some("same-origin"));
            let no_store = answer.headers.all("cache-control") == ["no-store"];
            assert!(no_store || endpoint.kind() == Kind::Asset, "{endpoint:?}: {answer:?}");
        }
    }
    assert_eq!(doors.get("/nothing", &[]).await.header("x-content-type-options"), Some("nosniff"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_backend_is_sent_a_session() {
    let doors = Doors::open().await;
    let Session { cookie, .. } = doors.log_in(FULL).await;
    let sent = format!("a=1; {cookie}; b=\"x y\"");
    doors.flipgate.request("GET", "/read/a", &[("Cookie", &sent)], b"").await;
    doors.flipgate.request("POST", "/other", &[("Cookie", &cookie)], b"x").await;
    let seen = |upstream: &Upstream, target: &str| -> Vec<String> {
        let requests = upstream.requests(target);
        assert_eq!(requests.len(), 1, "{target}");
        requests[0].headers.all("cookie").into_iter().map(str::to_owned).collect()
    };
    assert_eq!(seen(&doors.from, "/read/a"), ["a=1; b=\"x y\""]);
    assert!(seen(&doors.from, "/other").is_empty());
    crate::harness::wait_until("the shadow was asked", async || doors.to.requests("/read/a").len() == 1)
        .await;
    assert_eq!(seen(&doors.to, "/read/a"), ["a=1; b=\"x y\""]);
}
