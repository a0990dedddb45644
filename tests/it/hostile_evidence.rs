//! What a reviewer found could fool the evidence, the gate or the watch, each shown not to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{self, Connection};
use crate::harness::{Flipgate, ROUTES, Setup, wait_until};
use crate::lag_and_noise::{ask_all, condition};
use crate::upstream::{Recorded, Reply, Step, Upstream};

async fn started(
    from: impl Fn(&Recorded) -> Reply + Send + Sync + 'static,
    to: impl Fn(&Recorded) -> Reply + Send + Sync + 'static,
    config: &str,
) -> (Upstream, Upstream, Flipgate) {
    let (from, to) = (Upstream::start(from).await, Upstream::start(to).await);
    let flipgate = Setup::with_config(&from.url(), &to.url(), &format!("{ROUTES}{config}")).start().await;
    (from, to, flipgate)
}

fn targets(numbers: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    numbers.map(|n| format!("/read/{n}"))
}

async fn status(flipgate: &Flipgate) -> Value {
    flipgate.admin_get("/api/status").await.json()
}

fn of_reason(metrics: &crate::metrics::Metrics, reason: &str) -> f64 {
    metrics.sum("flipgate_outcomes_total", &[("reason", reason)])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_wrong_for_good_and_often_written_is_no_noise() {
    // Another title every third read: so often the primary differs from itself as well.
    let reads = AtomicU32::new(0);
    let from = move |_: &Recorded| {
        let version = reads.fetch_add(1, Ordering::SeqCst) / 3;
        Reply::json(format!("{{\"title\":\"Alpha {}\"}}", version % 10))
    };
    let wrong = |_: &Recorded| Reply::json("{\"title\":\"Omega 1\"}");
    let (_from, _to, flipgate) =
        started(from, wrong, "[recheck]\nafter = [0.0]\ncontrol_share = 1.0\n").await;
    flipgate.get("/read/first").await;
    flipgate.settled().await;
    ask_all(&flipgate, targets(0..700)).await;
    let metrics = flipgate.settled().await;
    assert_eq!(metrics.sum("flipgate_outcomes_total", &[("outcome", "noise")]), 0.0);
    assert_eq!(condition(&flipgate, "open_findings").await["met"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_was_refused_explains_nothing() {
    let (asked, agree) = (AtomicU32::new(0), |_: &Recorded| Reply::json("{\"n\":1}"));
    let refusing =
        move |request: &Recorded| if request.method == "POST" { Reply::status(404) } else { agree(request) };
    let once = move |_: &Recorded| {
        Reply::json(format!("{{\"n\":{}}}", 1 + asked.fetch_add(1, Ordering::SeqCst) % 2))
    };
    let (_from, _to, flipgate) = started(refusing, once, "[recheck]\nafter = [0.0]\n").await;
    assert_eq!(flipgate.request("POST", "/nothing", &[], b"x").await.status, 404);
    flipgate.get("/read/right").await;
    flipgate.get("/read/wrong").await;
    let metrics = flipgate.settled().await;
    assert_eq!(of_reason(&metrics, "unexplained"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn lag_of_300_ms_after_each_of_many_writes_never_counts_as_a_mismatch() {
    let began = Instant::now();
    let written = Arc::new(AtomicU32::new(0));
    let (writing, lagging) = (Arc::clone(&written), Arc::clone(&written));
    let now = move || u32::try_from(began.elapsed().as_millis()).unwrap();
    let from = move |request: &Recorded| {
        if request.method == "POST" {
            writing.store(now().max(1), Ordering::SeqCst);
        }
        Reply::json(format!("{{\"title\":\"v{}\"}}", writing.load(Ordering::SeqCst)))
    };
    let seen = Arc::new(AtomicU32::new(0));
    let to = move |_: &Recorded| {
        let written = lagging.load(Ordering::SeqCst);
        if now() > written + 300 {
            seen.store(written, Ordering::SeqCst);
        }
        Reply::json(format!("{{\"title\":\"v{}\"}}", seen.load(Ordering::SeqCst)))
    };
    let (_from, _to, flipgate) = started(from, to, "[recheck]\nafter = [0.25, 2.0]\n").await;
    for round in 0..4 {
        assert_eq!(flipgate.request("POST", "/write", &[], b"x").await.status, 200);
        ask_all(&flipgate, (0..40).map(|n| format!("/read/{round}-{n}"))).await;
        flipgate.settled().await;
    }
    let metrics = flipgate.settled().await;
    let outcome = |outcome| metrics.sum("flipgate_outcomes_total", &[("outcome", outcome)]);
    assert!(outcome("transient") >= 80.0, "{}", outcome("transient"));
    assert_eq!(
        outcome("mismatch"),
        of_reason(&metrics, "unconfirmed"),
        "none is confirmed, or taken for a known cause"
    );
    assert_eq!(status(&flipgate).await["routes"][0]["mismatches"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overloaded_side_confirms_nothing() {
    let asked = AtomicU32::new(0);
    let to = move |_: &Recorded| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::json("{\"n\":2}"),
        1 | 2 => Reply::status(503),
        _ => Reply::json("{\"n\":1}"),
    };
    let (_from, _to, flipgate) =
        started(|_| Reply::json("{\"n\":1}"), to, "[recheck]\nafter = [0.0, 0.01]\n").await;
    flipgate.get("/read/a").await;
    let metrics = flipgate.assert_outcomes(&[("mismatch", 1)]).await;
    assert_eq!(of_reason(&metrics, "unconfirmed"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_defect_for_one_kind_of_client_does_not_resolve_by_asking_as_another() {
    let to = |request: &Recorded| {
        let is_old = request.headers.get("user-agent") == Some("old");
        Reply::json(if is_old { "{}" } else { "{\"n\":1}" })
    };
    let (from, _to, flipgate) = started(|_| Reply::json("{\"n\":1}"), to, "[recheck]\nafter = [0.0]\n").await;
    flipgate.request("GET", "/read/a", &[("User-Agent", "old")], b"").await;
    flipgate.assert_outcomes(&[("mismatch", 1)]).await;
    ask_all(&flipgate, targets(0..60)).await;
    // The client, the recheck, and the look whether it is mended, which asks as that client did.
    wait_until("it was asked again", async || from.requests("/read/a").len() == 3).await;
    ask_all(&flipgate, targets(0..60)).await;
    flipgate.settled().await;
    assert_eq!(flipgate.findings().await[0]["state"], "open");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_login_what_is_mended_resolves_once_clients_have_asked_again() {
    let mended = Arc::new(AtomicBool::new(false));
    let mending = Arc::clone(&mended);
    let to = move |_: &Recorded| Reply::json(if mending.load(Ordering::SeqCst) { "{\"n\":1}" } else { "{}" });
    let (_from, _to, flipgate) =
        started(|_| Reply::json("{\"n\":1}"), to, "[recheck]\nafter = [0.0]\n").await;
    let with_cookie = async |target: &str| {
        flipgate.request("GET", target, &[("Cookie", "session=hush")], b"").await;
    };
    with_cookie("/read/a").await;
    flipgate.assert_outcomes(&[("mismatch", 1)]).await;
    mended.store(true, Ordering::SeqCst);
    ask_all(&flipgate, targets(0..40)).await;
    wait_until("the finding is resolved", async || {
        with_cookie("/read/a").await;
        flipgate.findings().await[0]["state"] == "resolved"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_found_no_room_among_findings_resolves_as_well() {
    let mended = Arc::new(AtomicBool::new(false));
    let mending = Arc::clone(&mended);
    let to = move |_: &Recorded| {
        let members: Vec<String> = (0..230).map(|n| format!("\"m{n}\":2")).collect();
        let members =
            members.join(",").replace(":2", if mending.load(Ordering::SeqCst) { ":1" } else { ":2" });
        Reply::json(format!("{{{members}}}"))
    };
    let from = |_: &Recorded| {
        let members: Vec<String> = (0..230).map(|n| format!("\"m{n}\":1")).collect();
        Reply::json(format!("{{{}}}", members.join(",")))
    };
    let (_from, _to, flipgate) = started(from, to, "").await;
    flipgate.get("/read/a").await;
    flipgate.settled().await;
    let overflow = async || {
        let findings = flipgate.findings().await;
        findings.iter().find(|finding| finding["path"] == "**").map(|finding| finding["state"].clone())
    };
    assert_eq!(overflow().await, Some(json!("open")));
    mended.store(true, Ordering::SeqCst);
    ask_all(&flipgate, targets(0..40)).await;
    wait_until("it is resolved", async || overflow().await == Some(json!("resolved"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_primary_that_keeps_silent_goes_back_though_clients_are_impatient() {
    let hanging = |_: &Recorded| Reply::hang();
    let config = "[watch]\nmin_samples = 20\n[limits]\nbackend_connections = 600\n";
    let (_from, to, flipgate) = started(|_| Reply::json("{}"), |_| Reply::json("{}"), config).await;
    drop(to);
    let to = Upstream::start(hanging).await;
    let setup = flipgate.kill9().argument("--postgres", &to.url());
    let flipgate = setup.start().await;
    assert_eq!(flipgate.flip("postgres", true).await.status, 200);
    let asking = (0..25).map(|n| {
        let proxy = flipgate.proxy;
        tokio::spawn(async move {
            let target = format!("/read/{n}");
            let asked = tokio::time::timeout(Duration::from_millis(2500), client::get(proxy, &target));
            assert!(asked.await.is_err(), "it was answered");
        })
    });
    for asked in futures_util::future::join_all(asking).await {
        asked.unwrap();
    }
    wait_until("it goes back", async || flipgate.primary().await == "sqlite").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_leave_early_say_nothing_of_the_primary_and_little_of_the_route() {
    let slow = |_: &Recorded| Reply::json("{}").first(Step::Delay(Duration::from_millis(300)));
    let (_from, _to, flipgate) = started(|_| Reply::json("{}"), slow, "").await;
    assert_eq!(flipgate.flip("postgres", true).await.status, 200);
    // One that closes before it was read at all counts nowhere: until enough were read.
    wait_until("many have left before an answer", async || {
        for _ in 0..10 {
            let mut connection = Connection::open(flipgate.proxy).await.unwrap();
            connection.send(b"GET /read/left HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            drop(connection);
        }
        let metrics = flipgate.settled().await;
        metrics.sum("flipgate_outcomes_total", &[("outcome", "incomplete")]) >= 20.0
    })
    .await;
    let now = status(&flipgate).await;
    assert_eq!(now["watch"]["failures"], 0, "{now}");
    assert!(now["routes"][0]["uncompared"].as_u64().unwrap() <= 3, "{now}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_breaker_that_opened_for_a_shadow_closes_when_that_serves_as_primary() {
    let broken = Arc::new(AtomicBool::new(true));
    let breaking = Arc::clone(&broken);
    let to = move |_: &Recorded| {
        if breaking.load(Ordering::SeqCst) { Reply::status(503) } else { Reply::json("{}") }
    };
    let (_from, _to, flipgate) = started(|_| Reply::json("{}"), to, "").await;
    for n in 0..5 {
        flipgate.get(&format!("/read/{n}")).await;
        flipgate.settled().await;
    }
    assert_eq!(status(&flipgate).await["backends"]["to"]["breaker"], "open");
    broken.store(false, Ordering::SeqCst);
    assert_eq!(flipgate.flip("postgres", true).await.status, 200);
    flipgate.get("/read/a").await;
    assert_eq!(status(&flipgate).await["backends"]["to"]["breaker"], "closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watch_goes_on_when_the_dial_is_lowered_but_not_to_0() {
    let broken = Arc::new(AtomicBool::new(false));
    let breaking = Arc::clone(&broken);
    let to = move |request: &Recorded| {
        let is_broken = breaking.load(Ordering::SeqCst) && request.method == "GET";
        if is_broken { Reply::status(500) } else { Reply::json("{}") }
    };
    let config = "[dial]\ncookie = \"s\"\n[watch]\nmin_samples = 20\n";
    let (_from, _to, flipgate) = started(|_| Reply::json("{}"), to, config).await;
    assert_eq!(flipgate.flip("postgres", true).await.status, 200);
    assert_eq!(flipgate.admin_post("/api/dial", &json!({"percent": 90})).await.status, 200);
    assert!(status(&flipgate).await["watch"].is_object());
    broken.store(true, Ordering::SeqCst);
    let mut connection = Connection::open(flipgate.proxy).await.unwrap();
    for client in 0..60 {
        let cookie = format!("s={client}");
        connection.request("GET", &format!("/read/{client}"), &[("Cookie", &cookie)], b"").await.unwrap();
    }
    wait_until("it goes back", async || status(&flipgate).await["dial"] == 0).await;
}
