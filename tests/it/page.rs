//! The page without a browser: what the server renders, and what its forms do.

use std::sync::LazyLock;

use crate::client::Answer;
use crate::harness::{Flipgate, Setup};
use crate::upstream::{Recorded, Reply, Upstream};

/// Two routes, one of them not required.
const ROUTES: &str = r#"
preset = "none"
[[routes]]
match = "/read/{name}"
[[routes]]
match = "/other"
required = false
"#;

/// What would run if it were not text.
const HOSTILE: &str = r#"</td><script>alert(1)</script><img src=x onerror=alert(2)>\"'{{7*7}}"#;

/// Two servers that differ in a value, a name and an order, and hold markup in all that they say.
async fn between() -> (Upstream, Upstream, Flipgate) {
    let answer = |side: &'static str| {
        move |request: &Recorded| match request.target.split('?').next() {
            Some("/other") => Reply::html(format!("<html><body><p>{side} &lt;b&gt;</p></body></html>")),
            _ => Reply::json(format!(
                r#"{{"items":[{{"id":1,"title":"{HOSTILE}"}},{{"id":2,"title":"x {side} {HOSTILE}"}}],"{}":["a"]}}"#,
                if side == "from" { "channel" } else { "channels" }
            )),
        }
    };
    let (from, to) = (Upstream::start(answer("from")).await, Upstream::start(answer("to")).await);
    let flipgate = Setup::with_config(&from.url(), &to.url(), ROUTES).start().await;
    for target in ["/read/a", "/read/b?q=%3Cscript%3Ealert(1)%3C/script%3E", "/other"] {
        flipgate.get(target).await;
        // One after the other, so that samples have the same numbers each time.
        flipgate.settled().await;
    }
    (from, to, flipgate)
}

/// A screen, as a browser asks for it.
async fn screen(flipgate: &Flipgate, path: &str) -> Answer {
    let headers = [("Accept", "text/html")];
    crate::client::request(flipgate.admin, "GET", path, &headers, b"").await.unwrap()
}

/// Sends a form of that path, with the token that the page gave.
async fn send(flipgate: &Flipgate, path: &str, fields: &str) -> Answer {
    let page = screen(flipgate, "/flip").await;
    let (_, rest) = page.text().split_once("name=\"csrf\" value=\"").expect("the page has a form");
    let token = rest.split('"').next().unwrap();
    let body = format!("csrf={token}&{fields}");
    let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "text/html")];
    crate::client::request(flipgate.admin, "POST", path, &headers, body.as_bytes()).await.unwrap()
}

/// The id of the finding at that path.
async fn finding_at(flipgate: &Flipgate, path: &str) -> String {
    let findings = flipgate.findings().await;
    let finding = findings.iter().find(|finding| finding["path"] == path);
    finding.unwrap_or_else(|| panic!("nothing at {path}: {findings:?}"))["id"].as_str().unwrap().to_owned()
}

/// What is the same in every run.
fn masked(text: &str) -> String {
    static CHANGING: LazyLock<[(regex_lite::Regex, &str); 7]> = LazyLock::new(|| {
        [
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
            (r"127\.0\.0\.1:\d+", "HOST"),
            (r"page\.(css|js)\?[0-9a-f]+", "page.$1?HASH"),
            (r#"name="csrf" value="[^"]+""#, r#"name="csrf" value="TOKEN""#),
            (r"\d+(\.\d+)? (µs|ms)", "LASTING"),
            (r#"points="[^"]+""#, r#"points="POINTS""#),
            (r#"data-label="Ratio">[\d.]+"#, r#"data-label="Ratio">RATIO"#),
        ]
        .map(|(pattern, mask)| (regex_lite::Regex::new(pattern).unwrap(), mask))
    });
    CHANGING
        .iter()
        .fold(text.to_owned(), |text, (pattern, mask)| pattern.replace_all(&text, *mask).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_screens_read_as_they_should() {
    let (_from, _to, flipgate) = between().await;
    let id = finding_at(&flipgate, "/items/*/title").await;
    flipgate.flip("to", false).await;
    for (name, path) in [
        ("overview", "/".to_owned()),
        ("findings", "/findings?severity=breaking".to_owned()),
        ("finding", format!("/findings/{id}")),
        ("flip", "/flip".to_owned()),
        ("writes", "/writes".to_owned()),
        ("audit", "/audit".to_owned()),
    ] {
        let answer = screen(&flipgate, &path).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        insta::assert_snapshot!(format!("page_{name}"), masked(answer.text()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_bodies_requests_and_operators_say_is_text() {
    let (_from, _to, flipgate) = between().await;
    let id = finding_at(&flipgate, "/items/*/title").await;
    let note = "%3Cscript%3Ealert(1)%3C/script%3E";
    let taken =
        send(&flipgate, &format!("/findings/{id}"), &format!("state=accepted&scope=values&note={note}"))
            .await;
    assert_eq!(taken.status, 303, "{}", taken.text());
    send(&flipgate, "/flip", &format!("to=postgres&expect=sqlite&force=yes&confirmed=yes&reason={note}"))
        .await;
    let mut seen = 0;
    for path in
        ["/", "/findings", &format!("/findings/{id}"), "/flip", "/audit", &format!("/findings?route={note}")]
    {
        let answer = screen(&flipgate, path).await;
        assert_eq!(answer.status, 200, "{path}");
        let text = answer.text();
        seen += text.matches("script&#62;alert(1)").count();
        for markup in ["<script>", "<img", "<b>", "onerror=alert(2)>"] {
            assert!(!text.contains(markup), "{path} holds {markup}");
        }
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }
    assert!(seen >= 4, "the hostile text was hardly shown: {seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flip_is_shown_before_it_is_made_and_refused_with_the_checklist() {
    let (_from, _to, flipgate) = between().await;
    let asked = "to=postgres&expect=sqlite&reason=day+5";
    let plan = send(&flipgate, "/flip", asked).await;
    assert_eq!((plan.status, flipgate.primary().await.as_str()), (200, "sqlite"));
    assert!(plan.text().contains("Yes, flip to postgres") && plan.text().contains("It would be refused"));
    let refused = send(&flipgate, "/flip", &format!("{asked}&confirmed=yes")).await;
    assert_eq!((refused.status, flipgate.primary().await.as_str()), (409, "sqlite"));
    assert!(
        refused.text().contains("Nothing was changed") && refused.text().contains("Mismatch rate low enough")
    );
    let forced = send(&flipgate, "/flip", &format!("{asked}&force=yes&confirmed=yes")).await;
    assert_eq!((forced.status, forced.header("location")), (303, Some("/flip")));
    assert_eq!(flipgate.primary().await, "postgres");
    // Shown to somebody who saw another state.
    let late = send(&flipgate, "/flip", &format!("{asked}&confirmed=yes")).await;
    assert_eq!(late.status, 409);
    assert!(screen(&flipgate, "/").await.text().contains("Roll back to sqlite"));
    let dialling = send(&flipgate, "/dial", "percent=10&expect=100&reason=slowly&force=yes").await;
    assert!(dialling.text().contains("Yes, set the dial to 10 %"));
    assert!(!dialling.text().contains(" checked"), "force is asked for anew each time");
    let back = send(&flipgate, "/rollback", "reason=cards").await;
    assert_eq!((back.status, flipgate.primary().await.as_str()), (303, "sqlite"));
    assert!(!screen(&flipgate, "/").await.text().contains("Roll back to sqlite"));
    let dialled = send(&flipgate, "/dial", "percent=25&expect=0&force=yes&confirmed=yes").await;
    assert_eq!((dialled.status, flipgate.primary().await.as_str()), (303, "split"));
    let audit = screen(&flipgate, "/audit").await;
    let order: Vec<usize> = ["<strong>dial</strong>", "<strong>rollback</strong>", "<strong>flip</strong>"]
        .map(|entry| audit.text().find(entry).unwrap_or_else(|| panic!("no {entry}")))
        .to_vec();
    assert!(order.is_sorted(), "latest first: {order:?}");
    assert!(audit.text().contains("forced"));
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_with_nonsense_change_nothing_and_say_why() {
    let (_from, _to, flipgate) = between().await;
    let id = finding_at(&flipgate, "/items/*/title").await;
    let before = flipgate.admin_get("/api/status").await.json()["version"].clone();
    for (path, fields, status, said) in [
        ("/dial", "percent=101&expect=0&confirmed=yes", 400, "percent"),
        ("/dial", "percent=x&expect=0&confirmed=yes", 400, "whole number"),
        ("/flip", "to=nowhere&expect=sqlite", 400, "must be"),
        ("/flip", "to=postgres", 400, "expect"),
        ("/rollback", "reason=x&percent=3", 400, "percent"),
        (&format!("/findings/{id}"), "state=accepted&note=x&scope=any", 422, "scope"),
        (&format!("/findings/{id}"), "state=accepted&note=x&scope=share&share=no", 400, "number"),
        (&format!("/findings/{id}"), "state=accepted&note=x&scope=vaules", 400, "scope"),
        (&format!("/findings/{id}"), "state=resolved", 400, "state"),
        ("/findings/none", "state=open", 404, "no finding"),
        ("/writes/none", "action=retry&reason=", 400, "reason"),
        ("/writes/none", "action=forget&reason=x", 400, "retry"),
        ("/writes/none", "action=discard&reason=x", 404, "no write"),
        ("/samples/999/recheck", &format!("finding={id}"), 404, "no sample"),
    ] {
        let answer = send(&flipgate, path, fields).await;
        assert_eq!(answer.status, status, "{path} {fields}: {}", answer.text());
        assert!(answer.text().contains(said), "{path} {fields}: {}", answer.text());
        assert!(answer.header("content-type").unwrap().starts_with("text/html"), "{path} {fields}");
    }
    assert_eq!(flipgate.admin_get("/api/status").await.json()["version"], before);
    assert!(flipgate.findings().await.iter().all(|finding| finding["state"] == "open"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finding_is_rechecked_accepted_and_reopened() {
    let (_from, _to, flipgate) = between().await;
    let id = finding_at(&flipgate, "/items/*/title").await;
    let page = screen(&flipgate, &format!("/findings/{id}")).await;
    let sample = page.text().split("/samples/").nth(1).unwrap().split(['/', '"']).next().unwrap().to_owned();
    let asked = send(&flipgate, &format!("/samples/{sample}/recheck"), &format!("finding={id}")).await;
    assert!(asked.status == 200 && asked.text().contains("it still differs at"), "{}", asked.text());
    let path = format!("/findings/{id}");
    let accepted = send(&flipgate, &path, "state=accepted&scope=values&note=known&expires_in=7d").await;
    assert_eq!((accepted.status, accepted.header("location")), (303, Some(path.as_str())));
    let page = screen(&flipgate, &path).await;
    assert!(
        page.text().contains("“known”") && page.text().contains("for 1 pair of values only"),
        "{}",
        page.text()
    );
    let reopened = send(&flipgate, &path, "state=open&note=no").await;
    assert_eq!(reopened.status, 303);
    assert!(screen(&flipgate, &path).await.text().contains("Why is it acceptable?"));
}
