//! `flipgate status`, `flip`, `dial`, `rollback`: against a running flipgate, and against servers that answer as told.

mod status;
mod tokens;
mod waiting;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::command::{Told, flipgate};
use crate::harness::{Flipgate, Setup};
use crate::upstream::{Recorded, Reply, Upstream};

/// An admin side as later versions have it: everything is told.
fn everything() -> Value {
    json!({
        "primary": "split", "leader": "sqlite", "dial": 25, "ready": false, "since": "2026-11-20T10:00:00.000Z",
        "version": 7, "epoch": 4, "epoch_since": "2026-11-20T09:00:00.000Z", "epoch_reason": "rules changed",
        "latch": {"since": "2026-11-20T09:30:00.000Z", "reason": "mismatches over 1 %"},
        "watch": {"until": "2026-11-20T10:30:00.000Z", "requests": 1200, "mismatches": 1, "failures": 0},
        "sticky": {"by": "cookie", "note": "session"}, "self_check": true,
        "state": {"shared": true, "up": false, "owed": true},
        "backends": {
            "from": {"name": "sqlite", "url": "http://127.0.0.1:10000", "side": "from", "up": true, "breaker": "closed"},
            "to": {"name": "postgres", "url": "postgres://db/library", "side": "to", "up": false, "breaker": "half_open"},
        },
        "routes": [
            {"route": "/api/reports", "required": true, "requests": 5000, "compared": 4000, "distinct": 290,
             "mismatches": 12, "shadow_failures": 1, "transient": 3, "noise": 40, "unexplained": 0,
             "upper_bound": 0.065_12, "floor": {"compared": 400, "differed": 2}},
            {"route": "/映画/{名}", "required": false, "requests": 1, "compared": 1, "distinct": 1,
             "mismatches": 0, "shadow_failures": 0, "transient": 0, "noise": 0, "unexplained": 0,
             "upper_bound": 0.95, "floor": null},
        ],
        "writes": {
            "mode": "both",
            "from": {"name": "sqlite", "pending": 0, "parked": 0, "in_doubt": 0, "oldest": null},
            "to": {"name": "postgres", "pending": 1, "parked": 2, "in_doubt": 0, "oldest": "2026-11-20T09:59:00.000Z"},
        },
        "unmet": 2, "pending": 0, "findings": 3, "later": {"than": ["this"]},
    })
}

fn unready() -> Value {
    json!({"ready": false, "conditions": [
        {"name": "evidence", "route": "/api/reports", "met": false, "actual": 290, "required": 300,
         "hint": "/api/reports: 290 of 300 distinct comparisons; send more different requests through the proxy"},
        {"name": "mismatch_bound", "route": "/api/reports", "met": false, "actual": 0.07, "required": 0.01, "hint": ""},
        {"name": "open_findings", "route": null, "met": true, "actual": 0, "required": 0, "hint": ""},
    ]})
}

/// An admin side that says so on each of these paths, and 404 on others.
async fn scripted(answers: Vec<(&'static str, Reply)>) -> Upstream {
    Upstream::start(move |request: &Recorded| {
        let known = answers.iter().find(|(path, _)| *path == request.target);
        known.map_or_else(|| Reply::status(404), |(_, reply)| reply.clone())
    })
    .await
}

fn reply(document: &Value) -> Reply {
    Reply::json(document.to_string())
}

/// The command against this admin side.
async fn at(url: &str, arguments: &[&str]) -> Told {
    flipgate(&[arguments, &["--admin", url]].concat()).await
}

/// The command against this flipgate.
async fn on(flipgate: &Flipgate, arguments: &[&str]) -> Told {
    at(&format!("http://{}", flipgate.admin), arguments).await
}

async fn two_stores() -> (Upstream, Upstream) {
    (Upstream::always(Reply::json("{\"n\":1}")).await, Upstream::always(Reply::json("{\"n\":1}")).await)
}

/// What is printed, without what differs from run to run.
fn steady(text: &str) -> String {
    let mut steady = String::new();
    for word in text.split_inclusive([' ', '\n']) {
        let (bare, end) = word.split_at(word.trim_end().len());
        let is_time = bare.len() == 24 && bare.starts_with("20") && bare.ends_with('Z');
        let is_url = bare.starts_with("http://127.0.0.1:");
        steady += if is_time {
            "TIME"
        } else if is_url {
            "URL"
        } else {
            bare
        };
        steady += end;
    }
    steady
}

#[tokio::test(flavor = "multi_thread")]
async fn the_help_of_each_shows_how() {
    for name in ["status", "flip", "dial", "rollback"] {
        let told = flipgate(&[name, "--help"]).await;
        assert_eq!(told.code, 0, "{told:?}");
        assert_snapshot!(format!("help_{name}"), told.out);
    }
    let all = flipgate(&["--help"]).await.out;
    let not_built = all.lines().find(|line| line.starts_with("Not built yet")).unwrap();
    for name in ["status", "flip", "dial", "rollback"] {
        assert!(all.contains(&format!("\n  {name}  ")), "{name}: {all}");
        assert!(!not_built.contains(name), "{not_built}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_says_cannot_steer_the_terminal() {
    let status = json!({"primary": "a\u{1b}[2Jb", "routes": [{"route": "/\u{7}"}]});
    let readiness = json!({"ready": false, "conditions": [{"met": false, "hint": "x\u{1b}]0;y"}]});
    let admin = scripted(vec![
        ("/api/status", reply(&status)),
        ("/api/readiness", reply(&readiness)),
        (
            "/api/primary",
            reply(&json!({"detail": "\u{1b}[2J", "conditions": readiness["conditions"]})).with_status(409),
        ),
    ])
    .await;
    for arguments in [&["status"][..], &["flip", "x"]] {
        let told = at(&admin.url(), arguments).await;
        assert!(!told.out.contains('\u{1b}') && !told.err.contains('\u{1b}'), "{told:?}");
        assert!(told.out.contains("\\u{1b}") || told.err.contains("\\u{1b}"), "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flip_is_refused_with_what_is_missing_and_forced_with_a_reason() {
    let (from, to) = two_stores().await;
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    let told = on(&flipgate, &["flip", "postgres", "--expect", "sqlite"]).await;
    told.assert_one_sentence(1, "refused: 3 conditions are unmet");
    assert!(told.err.contains("  - /read/{name}: coverage: 0 of 300 distinct comparisons"), "{told:?}");
    assert_eq!(told.out, "", "{told:?}");
    let told = on(&flipgate, &["flip", "postgres", "--format", "json"]).await;
    assert_eq!((told.code, &told.json()["ready"]), (1, &json!(false)), "{told:?}");
    assert_eq!(flipgate.primary().await, "sqlite");
    let told = on(&flipgate, &["flip", "postgres", "--force", "--dry-run"]).await;
    assert_eq!(
        steady(&told.out),
        "primary  sqlite since TIME\ndry run  the flip to postgres would be done now; nothing was changed\n"
    );
    assert_eq!((told.code, flipgate.primary().await.as_str()), (0, "sqlite"), "{told:?}");
    let told = on(&flipgate, &["flip", "postgres", "--force", "--reason", "day 5"]).await;
    assert_eq!(
        (told.code, steady(&told.out).lines().next()),
        (0, Some("primary  postgres since TIME (was sqlite)")),
        "{told:?}"
    );
    assert_eq!(flipgate.primary().await, "postgres");
    let audit = flipgate.admin_get("/api/audit").await.json();
    assert!(audit.to_string().contains("\"reason\":\"day 5\""), "{audit}");
    let told = on(&flipgate, &["flip", "postgres"]).await;
    assert_eq!(
        (told.code, steady(&told.out).lines().next()),
        (0, Some("primary  postgres since TIME (as before)")),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flip_that_expects_another_primary_or_names_none_is_not_made() {
    let (from, to) = two_stores().await;
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    let told = on(&flipgate, &["flip", "postgres", "--expect", "postgres", "--force"]).await;
    told.assert_one_sentence(1, "refused: the primary is sqlite now; `flipgate status` tells");
    for name in ["mysql", ""] {
        let told = on(&flipgate, &["flip", name]).await;
        told.assert_one_sentence(2, "answered 400 Bad Request: `primary` must be `sqlite` or `postgres`");
    }
    assert_eq!(flipgate.primary().await, "sqlite");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_goes_back_and_may_be_repeated() {
    let (from, to) = two_stores().await;
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    assert_eq!(flipgate.flip("postgres", true).await.status, 200);
    let told = on(&flipgate, &["rollback", "--reason", "cards look odd"]).await;
    assert_eq!(
        (told.code, steady(&told.out).as_str()),
        (
            0,
            "primary  sqlite since TIME (was postgres)\n\
             cost     writes are not mirrored, so sqlite does not have what postgres alone took\n"
        ),
        "{told:?}"
    );
    assert_eq!(flipgate.primary().await, "sqlite");
    let told = on(&flipgate, &["rollback", "--format", "json"]).await;
    assert_eq!((told.code, &told.json()["primary"]), (0, &json!("sqlite")), "{told:?}");
    assert_eq!(told.json()["cost"]["pending"], 0, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_needs_no_status_from_before() {
    let status = json!({"primary": "sqlite", "since": "2026-11-20T10:00:00.000Z"});
    let admin = scripted(vec![("/api/status", Reply::hang()), ("/api/rollback", reply(&status))]).await;
    let told = at(&admin.url(), &["rollback"]).await;
    assert_eq!(
        (told.code, told.out.as_str()),
        (0, "primary  sqlite since 2026-11-20T10:00:00.000Z\n"),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dial_sends_what_it_is_told_and_tells_what_is() {
    let before = json!({"primary": "sqlite", "dial": 0});
    let admin = scripted(vec![("/api/status", reply(&before)), ("/api/dial", reply(&everything()))]).await;
    let told = at(&admin.url(), &["dial", "25", "--expect", "0", "--reason", "canary"]).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert_snapshot!("dial", told.out);
    at(&admin.url(), &["dial", "0", "--dry-run"]).await;
    at(&admin.url(), &["dial", "100", "--force"]).await;
    let sent: Vec<Value> =
        admin.requests("/api/dial").iter().map(|r| serde_json::from_slice(&r.body).unwrap()).collect();
    let wanted = [
        json!({"percent": 25, "expect": 0, "reason": "canary", "force": false, "dry_run": false}),
        json!({"percent": 0, "reason": "", "force": false, "dry_run": true}),
        json!({"percent": 100, "reason": "", "force": true, "dry_run": false}),
    ];
    assert_eq!(sent, wanted);
    let asked = &admin.requests("/api/dial")[0];
    assert_eq!(
        (asked.method.as_str(), asked.headers.get("content-type")),
        ("POST", Some("application/json"))
    );
    let gone = scripted(Vec::new()).await;
    at(&gone.url(), &["dial", "5"])
        .await
        .assert_one_sentence(2, "/api/dial answered 404 Not Found, without a reason; check that --admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_had_is_one_sentence_that_says_what_to_do() {
    let problem = |status| reply(&json!({"detail": "the reason"})).with_status(status);
    let long =
        Reply::json("{\"a\":\"").step(crate::upstream::Step::Repeat(vec![b'x'; 1 << 20].into(), 9)).chunked();
    let cases = [
        (problem(400), 2, "/api/primary answered 400 Bad Request: the reason"),
        (problem(503), 3, "answered 503 Service Unavailable: the reason; flipgate's log"),
        (
            Reply::html("<h1>no</h1>").with_status(502),
            3,
            "without a reason; flipgate's log may say more; `flipgate status` tells whether",
        ),
        (
            Reply::status(302).header("Location", "/login"),
            3,
            "answered 302 Found, without a reason; check that --admin",
        ),
        (Reply::html("<h1>hello</h1>"), 3, "something else than a document of flipgate's"),
        (Reply::json("[1]"), 3, "something else than a document of flipgate's"),
        (Reply::json("[".repeat(100_000)), 3, "something else than a document of flipgate's"),
        (long.clone(), 3, "more than 8388608 bytes"),
        (Reply::json("{").claiming(100).cut(), 3, "`flipgate status` tells whether it was done all the same"),
        (Reply::json("no JSON").with_status(409), 1, "refused (409 Conflict), without a reason"),
        (Reply::json("[]").with_status(409), 1, "refused (409 Conflict), without a reason"),
        (
            reply(&json!({"detail": 5, "conditions": [{"met": false, "name": 1}]})).with_status(409),
            1,
            "1 condition is unmet",
        ),
    ];
    for (answer, code, said) in cases {
        let admin = scripted(vec![("/api/status", reply(&everything())), ("/api/primary", answer)]).await;
        at(&admin.url(), &["flip", "postgres"]).await.assert_one_sentence(code, said);
    }
    let mut gone = Upstream::always(Reply::hang()).await;
    gone.stop().await;
    for arguments in [&["status"][..], &["flip", "x"], &["dial", "1"], &["rollback"]] {
        let told = at(&gone.url(), arguments).await;
        told.assert_one_sentence(3, "cannot connect: Connection refused");
        assert!(
            told.err.contains("start flipgate, or say by --admin") && !told.err.contains("whether"),
            "{told:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_side_below_a_path_is_found_there() {
    let admin = scripted(vec![("/gate/api/rollback", reply(&everything()))]).await;
    let told = at(&format!("{}/gate/", admin.url()), &["rollback"]).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert_eq!(
        admin.requests("/gate/api/rollback")[0].headers.get("host"),
        Some(&*admin.address.to_string())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_arguments_are_named_and_2() {
    for (arguments, said) in [
        (&["flip"][..], "<NAME>"),
        (&["dial"], "<PERCENT>"),
        (&["dial", "101"], "0..=100"),
        (&["dial", "-1"], "-1"),
        (&["dial", "5", "--expect", "half"], "half"),
        (&["flip", "x", "--wait-ready", "--force"], "--force"),
        (&["flip", "x", "--timeout", "5m"], "--wait-ready"),
        (&["flip", "x", "--wait-ready", "--timeout", "soon"], "90s, 30m, 12h or 2d"),
        (&["status", "--format", "xml"], "json"),
        (&["status", "--admin", "localhost:9900"], "write it as in http://127.0.0.1:9900"),
        (&["rollback", "--admin", "http://me:hush@127.0.0.1:1"], "has credentials"),
        (&["rollback", "--admin", "http://127.0.0.1:1/?token=hush"], "has a query"),
    ] {
        let told = flipgate(arguments).await;
        assert_eq!((told.code, told.out.as_str()), (2, ""), "{arguments:?}: {told:?}");
        assert!(told.err.contains(said) && !told.err.contains("hush"), "{arguments:?}: {told:?}");
    }
}
