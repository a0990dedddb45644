//! After a flip: going back by itself, once; failing over, breaking the circuit, giving way to clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Flipgate, ROUTES, Setup, wait_until};
use crate::lag_and_noise::{ask_all, condition};
use crate::upstream::{Recorded, Reply, Step, Upstream};

fn number(request: &Recorded) -> u32 {
    request.target.rsplit('/').next().and_then(|name| name.parse().ok()).unwrap_or(0)
}

async fn flipped(
    to: impl Fn(&Recorded) -> Reply + Send + Sync + 'static,
    config: &str,
) -> (Upstream, Upstream, Flipgate) {
    let from = Upstream::always(Reply::json("{\"n\":1}")).await;
    let to = Upstream::start(to).await;
    let flipgate = Setup::with_config(&from.url(), &to.url(), &format!("{ROUTES}{config}")).start().await;
    assert_eq!(flipgate.flip("postgres", true).await.status, 200);
    (from, to, flipgate)
}

async fn status(flipgate: &Flipgate) -> Value {
    flipgate.admin_get("/api/status").await.json()
}

fn targets(numbers: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    numbers.map(|n| format!("/read/{n}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenth_of_5xx_goes_back_once_and_latches() {
    let broken = |request: &Recorded| {
        if number(request) % 10 == 3 { Reply::status(500) } else { Reply::json("{\"n\":1}") }
    };
    let (_from, _to, flipgate) = flipped(broken, "[recheck]\nafter = [0.0]\n").await;
    let watch = status(&flipgate).await["watch"].clone();
    assert_eq!((&watch["requests"], &watch["failures"]), (&json!(0), &json!(0)));
    ask_all(&flipgate, targets(0..120)).await;
    wait_until("it goes back", async || flipgate.primary().await == "sqlite").await;
    let after = status(&flipgate).await;
    assert!(after["latch"]["reason"].as_str().unwrap().contains("12 of 120"), "{after}");
    let metrics = flipgate.metrics().await;
    assert_eq!(metrics.sum("flipgate_flips_total", &[("to", "sqlite"), ("trigger", "automatic")]), 1.0);
    assert_eq!(metrics.sum("flipgate_latched", &[]), 1.0);
    let audit = flipgate.admin_get("/api/audit").await.json();
    let entry = &audit["entries"][0];
    assert_eq!((&entry["action"], &entry["trigger"]), (&json!("rollback"), &json!("automatic")));

    // It stays so over a restart, and until an operator releases it; force says that the operator knows.
    let flipgate = flipgate.kill9().start().await;
    assert_eq!(flipgate.primary().await, "sqlite");
    let latch = condition(&flipgate, "latch").await;
    assert!(latch["met"] == false && latch["hint"].as_str().unwrap().contains("/api/latch"), "{latch}");
    let released = flipgate.admin_post("/api/latch", &json!({"reason": "mended"})).await;
    assert_eq!((released.status, &released.json()["latch"]), (200, &Value::Null));
    assert_eq!(flipgate.metrics().await.sum("flipgate_latched", &[]), 0.0);
    assert_eq!(flipgate.admin_get("/api/audit").await.json()["entries"][0]["action"], "release");
    assert_eq!(flipgate.flip("postgres", true).await.status, 200);
    ask_all(&flipgate, targets(0..120)).await;
    wait_until("it goes back again", async || flipgate.primary().await == "sqlite").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn confirmed_mismatches_go_back_and_it_can_be_turned_off() {
    let differing = |request: &Recorded| {
        Reply::json(format!("{{\"n\":{}}}", 1 + u32::from(number(request).is_multiple_of(5))))
    };
    let rules = "[recheck]\nafter = [0.0]\n[watch]\nmin_samples = 40\n";
    let (_from, _to, flipgate) = flipped(differing, rules).await;
    ask_all(&flipgate, targets(0..100)).await;
    wait_until("it goes back", async || flipgate.primary().await == "sqlite").await;
    assert!(status(&flipgate).await["latch"]["reason"].as_str().unwrap().contains("confirmed mismatches"));

    let (_from, _to, flipgate) = flipped(differing, &format!("{rules}enabled = false\n")).await;
    ask_all(&flipgate, targets(0..100)).await;
    flipgate.settled().await;
    looked_a_few_times(&flipgate).await;
    let now = status(&flipgate).await;
    assert_eq!((&now["primary"], &now["watch"]), (&json!("postgres"), &Value::Null));
}

/// Waits until the watch has looked again: it looks each second, and takes evidence in then.
async fn looked_a_few_times(flipgate: &Flipgate) {
    let path = flipgate.path("state/samples.db");
    let written = async || {
        let open = rusqlite::Connection::open(&path).unwrap();
        let latest = "SELECT coalesce(max(written_ms), 0) FROM evidence";
        open.query_row(latest, [], |row| row.get::<_, i64>(0)).unwrap_or(0)
    };
    for _ in 0..2 {
        let before = written().await;
        wait_until("evidence is written again", async || {
            flipgate.get("/read/1").await;
            written().await > before
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_on_both_sides_or_on_one_target_does_not_go_back() {
    let failing = |request: &Recorded| {
        if request.target.contains("broken") { Reply::status(500) } else { Reply::json("{\"n\":1}") }
    };
    let from = Upstream::start(move |request| {
        if request.target == "/read/broken-both" {
            Reply::status(500)
        } else {
            failing(&Recorded { target: String::new(), ..request.clone() })
        }
    })
    .await;
    let to = Upstream::start(failing).await;
    let flipgate = Setup::with_config(&from.url(), &to.url(), ROUTES).start().await;
    assert_eq!(flipgate.flip("postgres", true).await.status, 200);
    ask_all(&flipgate, targets(0..300)).await;
    // One hostile client, or one that merely hits what is broken: again and again.
    for target in ["/read/broken-both", "/read/broken-alone"] {
        ask_all(&flipgate, (0..100).map(|_| target.to_owned())).await;
    }
    flipgate.settled().await;
    looked_a_few_times(&flipgate).await;
    let now = status(&flipgate).await;
    assert_eq!((&now["primary"], &now["latch"]), (&json!("postgres"), &Value::Null));
    assert_eq!(now["watch"]["failures"], 3, "one target counts three times: {now}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_not_go_back_to_a_side_that_is_down() {
    let (mut from, _to, flipgate) = flipped(
        |request| if number(request).is_multiple_of(2) { Reply::status(500) } else { Reply::json("{}") },
        "",
    )
    .await;
    from.stop().await;
    ask_all(&flipgate, targets(0..100)).await;
    flipgate.settled().await;
    looked_a_few_times(&flipgate).await;
    let now = status(&flipgate).await;
    assert_eq!((&now["primary"], &now["watch"]["failures"]), (&json!("postgres"), &json!(0)), "{now}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_whose_primary_fails_is_answered_by_the_other_where_that_is_turned_on() {
    let failing = |request: &Recorded| match number(request) {
        0 => Reply::status(503).body("busy"),
        1 => Reply::json("{\"n\"").claiming(99).cut().first(Step::Delay(Duration::ZERO)),
        2 => Reply::status(500).body("a bug"),
        _ => Reply::status(404).body("none"),
    };
    let from = Upstream::start(failing).await;
    let to = Upstream::always(Reply::json("{\"good\":true}")).await;
    let setup = Setup::with_config(&from.url(), &to.url(), &format!("failover = true\n{ROUTES}"));
    let flipgate = setup.start().await;
    let answer = flipgate.get("/read/0").await;
    assert_eq!((answer.status, answer.text()), (200, "{\"good\":true}"));
    assert_eq!(answer.header("x-flipgate-served-by"), Some("postgres"));
    assert_eq!(answer.header("x-flipgate-primary"), Some("sqlite"));
    // The application's own answers are the client's: a bug, and what is not there.
    for (target, status) in [("/read/2", 500), ("/read/9", 404)] {
        let answer = flipgate.get(target).await;
        assert_eq!((answer.status, answer.header("x-flipgate-served-by")), (status, None));
    }
    // Once bytes have reached the client nothing can be taken back.
    assert!(crate::client::get(flipgate.proxy, "/read/1").await.is_err());
    let metrics = flipgate.settled().await;
    assert_eq!(metrics.sum("flipgate_failovers_total", &[("backend", "postgres")]), 1.0);
    let failed = [("outcome", "primary_failed"), ("reason", "failover")];
    assert_eq!(metrics.sum("flipgate_outcomes_total", &failed), 1.0);

    // A primary that is gone, and a shadow that is no better; and turned off.
    let mut from = from;
    from.stop().await;
    assert_eq!(flipgate.get("/read/5").await.header("x-flipgate-served-by"), Some("postgres"));
    let mut to = to;
    to.stop().await;
    assert_eq!(flipgate.get("/read/5").await.status, 502);
    let other = Upstream::always(Reply::status(503).body("busy")).await;
    let no_better = Upstream::always(Reply::status(500).body("a bug")).await;
    let on = Setup::with_config(&other.url(), &no_better.url(), &format!("failover = true\n{ROUTES}"));
    let answer = on.start().await.get("/read/0").await;
    assert_eq!((answer.status, answer.text(), answer.header("x-flipgate-served-by")), (503, "busy", None));
    let good = Upstream::always(Reply::json("{}")).await;
    let off = Setup::between(&other.url(), &good.url()).start().await;
    assert_eq!(off.get("/read/0").await.text(), "busy");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failover_hides_from_clients_it_does_not_hide_from_the_watch() {
    let failing = |request: &Recorded| {
        if number(request).is_multiple_of(5) { Reply::status(503) } else { Reply::json("{\"n\":1}") }
    };
    let from = Upstream::always(Reply::json("{\"n\":1}")).await;
    let to = Upstream::start(failing).await;
    let flipgate =
        Setup::with_config(&from.url(), &to.url(), &format!("failover = true\n{ROUTES}")).start().await;
    assert_eq!(flipgate.flip("postgres", true).await.status, 200);
    ask_all(&flipgate, targets(0..100)).await;
    wait_until("it goes back", async || flipgate.primary().await == "sqlite").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_shadow_is_asked_less_and_never_makes_the_gate_ready() {
    let broken = Arc::new(AtomicBool::new(true));
    let breaking = Arc::clone(&broken);
    let from = Upstream::always(Reply::json("{}")).await;
    let to = Upstream::start(move |_| {
        if breaking.load(Ordering::SeqCst) { Reply::json("{}").claiming(9).cut() } else { Reply::json("{}") }
    })
    .await;
    let config = format!("{ROUTES}[gate]\nhold = 0.05\n");
    let flipgate = Setup::with_config(&from.url(), &to.url(), &config).start().await;
    for n in 0..5 {
        flipgate.get(&format!("/read/failing-{n}")).await;
        flipgate.settled().await;
    }
    let backend = async || status(&flipgate).await["backends"]["to"]["breaker"].clone();
    assert_eq!(backend().await, "open");
    ask_all(&flipgate, targets(0..50)).await;
    let metrics = flipgate.settled().await;
    assert!(metrics.sum("flipgate_outcomes_total", &[("reason", "breaker")]) >= 48.0);
    let asked: usize = (0..50).map(|n| to.requests(&format!("/read/{n}")).len()).sum();
    assert!(asked <= 2, "{asked}");
    // It answers again: a probe shows it. What was not asked is a failure for the gate all the same.
    broken.store(false, Ordering::SeqCst);
    wait_until("a probe closes it", async || {
        flipgate.get("/read/probe").await;
        flipgate.settled().await;
        backend().await == "closed"
    })
    .await;
    // So many that the five which did fail would be within what may fail.
    ask_all(&flipgate, targets(1000..1700)).await;
    flipgate.settled().await;
    let failures = condition(&flipgate, "shadow_failures").await;
    assert_eq!(failures["met"], false, "{failures}");
    assert_eq!(condition(&flipgate, "evidence").await["met"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_gets_slow_is_relieved_of_shadowing_first() {
    let delay = Arc::new(AtomicU32::new(0));
    let slow = Arc::clone(&delay);
    let from = Upstream::start(move |_| {
        let delay = Duration::from_millis(u64::from(slow.load(Ordering::SeqCst)));
        Reply::json("{}").first(Step::Delay(delay))
    })
    .await;
    let to = Upstream::always(Reply::json("{}")).await;
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    let share = async || flipgate.metrics().await.sum("flipgate_shadow_share", &[]);
    let load = async |wanted: &str, condition: &dyn Fn(f64) -> bool| {
        wait_until(wanted, || async {
            let asking = (0..25).map(|_| ask_all(&flipgate, (0..4).map(|_| "/read/a".to_owned())));
            futures_util::future::join_all(asking).await;
            condition(share().await)
        })
        .await;
    };
    let baseline = async || flipgate.metrics().await.sum("flipgate_primary_head_baseline_seconds", &[]);
    wait_until("there is a baseline", || async {
        load("some requests are sent", &|_| true).await;
        baseline().await > 0.0
    })
    .await;
    delay.store(1000, Ordering::SeqCst);
    load("less is shadowed", &|share| share < 1.0).await;
    delay.store(0, Ordering::SeqCst);
    load("all is shadowed again", &|share| share == 1.0).await;
    let metrics = flipgate.settled().await;
    assert!(metrics.sum("flipgate_outcomes_total", &[("outcome", "shed"), ("reason", "load")]) > 0.0);
}
