//! What the gate says, and why: with too little, too uniform, failing, differing and good evidence.

use serde_json::{Value, json};

use crate::harness::{Flipgate, Setup, wait_until};
use crate::lag_and_noise::{ask_all, condition};
use crate::upstream::{Recorded, Reply, Upstream};

/// One route and a hold that passes fast; rechecks come at once.
const CONFIG: &str = "preset = \"none\"\n[[routes]]\nmatch = \"/read/{name}\"\n[gate]\nhold = 0.3\n\
                      [recheck]\nafter = [0.0]\ncontrol_share = 0.0\n";

async fn between(
    answer: impl Fn(&'static str, &Recorded) -> Reply + Clone + Send + Sync + 'static,
) -> (Upstream, Upstream, Flipgate) {
    let other = answer.clone();
    let from = Upstream::start(move |request| answer("from", request)).await;
    let to = Upstream::start(move |request| other("to", request)).await;
    let flipgate = Setup::with_config(&from.url(), &to.url(), CONFIG).start().await;
    (from, to, flipgate)
}

fn targets(count: u32) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("/read/{n}"))
}

/// The names of the conditions that are not met.
async fn unmet(flipgate: &Flipgate) -> Vec<String> {
    let readiness = flipgate.admin_get("/api/readiness").await.json();
    let conditions = readiness["conditions"].as_array().unwrap().iter();
    let unmet: Vec<String> = conditions
        .filter(|condition| condition["met"] == false)
        .map(|condition| {
            assert!(!condition["hint"].as_str().unwrap().is_empty(), "{condition}");
            condition["name"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(readiness["ready"], json!(unmet.is_empty()));
    unmet
}

fn number(target: &str) -> u32 {
    target.rsplit('/').next().and_then(|name| name.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_traffic_it_is_not_ready_and_says_what_is_missing() {
    let (_from, _to, flipgate) = between(|_, _| Reply::json("{}")).await;
    assert_eq!(unmet(&flipgate).await, ["evidence", "mismatch_bound", "hold"]);
    let evidence = condition(&flipgate, "evidence").await;
    assert_eq!((&evidence["actual"], &evidence["required"]), (&json!(0), &json!(300)));
    let metrics = flipgate.metrics().await;
    assert_eq!(metrics.sum("flipgate_ready", &[]), 0.0);
    let met = |name: &str| metrics.sum("flipgate_gate_condition_met", &[("condition", name)]);
    assert_eq!(["evidence", "mismatch_bound", "hold"].map(met), [0.0; 3]);
    // The others are met, or stand against nothing, as the latch does that never fell.
    let others = metrics.by("flipgate_gate_condition_met", "condition");
    assert_eq!((others.len(), others["latch"], others["latency_p95"]), (12, 1.0, 1.0), "{others:?}");
    assert_eq!(metrics.sum("flipgate_last_comparison_timestamp_seconds", &[]), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_url_asked_300_times_lacks_coverage() {
    let (_from, _to, flipgate) = between(|_, _| Reply::json("{}")).await;
    ask_all(&flipgate, (0..300).map(|_| "/read/a".to_owned())).await;
    let metrics = flipgate.settled().await;
    let route = [("route", "/read/{name}")];
    assert!(metrics.sum("flipgate_last_comparison_timestamp_seconds", &route) > 0.0);
    // Of each request that was compared, flipgate's own part is known.
    wait_until("each has ended for the client, too", async || {
        flipgate.metrics().await.sum("flipgate_overhead_seconds_count", &[]) >= 300.0
    })
    .await;
    assert_eq!(unmet(&flipgate).await, ["evidence", "mismatch_bound", "hold"]);
    let evidence = condition(&flipgate, "evidence").await;
    assert_eq!(evidence["actual"], 3);
    let hint = evidence["hint"].as_str().unwrap();
    assert!(
        hint.starts_with("/read/{name}: coverage: 3 of 300 distinct comparisons, from 1 targets"),
        "{hint}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_defect_on_300_targets_it_is_ready_once_that_has_held() {
    let (_from, _to, flipgate) = between(|_, _| Reply::json("{}")).await;
    ask_all(&flipgate, targets(300)).await;
    flipgate.settled().await;
    wait_until("it has held", async || unmet(&flipgate).await.is_empty()).await;
    let metrics = flipgate.metrics().await;
    assert_eq!(metrics.sum("flipgate_ready", &[]), 1.0);
    let bound = metrics.sum("flipgate_mismatch_upper_bound", &[("route", "/read/{name}")]);
    assert!((0.0099..=0.01).contains(&bound), "{bound}");
    // The evidence is still there after a restart, and so the flip goes through without force.
    flipgate.terminate();
    let flipgate = flipgate.stopped().await.start().await;
    assert_eq!(flipgate.flip("postgres", false).await.status, 200);
    let audit = flipgate.admin_get("/api/audit").await.json();
    assert_eq!(
        (&audit["entries"][0]["forced"], &audit["entries"][0]["evidence"]["ready"]),
        (&json!(false), &json!(true))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_gathered_survives_a_kill() {
    let (_from, _to, flipgate) = between(|_, _| Reply::json("{}")).await;
    ask_all(&flipgate, targets(300)).await;
    wait_until("it has held", async || unmet(&flipgate).await.is_empty()).await;
    let path = flipgate.path("state/samples.db");
    wait_until("it is on disk", async || {
        let open = rusqlite::Connection::open(&path).unwrap();
        let count = "SELECT count(*) FROM evidence WHERE key LIKE 't%'";
        open.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap_or(0) == 300
    })
    .await;
    let flipgate = flipgate.kill9().start().await;
    assert_eq!(unmet(&flipgate).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_defect_of_one_percent_is_a_mismatch_and_names_route_and_bound() {
    let (_from, _to, flipgate) = between(|side, request| {
        let is_wrong = side == "to" && number(&request.target) % 100 == 7;
        Reply::json(format!("{{\"n\":{}}}", u32::from(is_wrong)))
    })
    .await;
    ask_all(&flipgate, targets(300)).await;
    flipgate.assert_outcomes(&[("match", 297), ("mismatch", 3)]).await;
    assert_eq!(unmet(&flipgate).await, ["mismatch_bound", "hold", "open_findings"]);
    let bound = condition(&flipgate, "mismatch_bound").await;
    assert_eq!(bound["route"], "/read/{name}");
    assert!(bound["actual"].as_f64().unwrap() > 0.02, "{bound}");
    let hint = bound["hint"].as_str().unwrap();
    assert!(hint.starts_with("/read/{name}: the upper 95 % bound of the mismatch rate is 2.56 %"), "{hint}");
    let refused = flipgate.flip("postgres", false).await;
    assert_eq!(refused.status, 409);
    assert_eq!(refused.json()["conditions"], flipgate.admin_get("/api/readiness").await.json()["conditions"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_404s_and_500s_are_no_evidence() {
    for (status, outcome) in [(404, "match"), (500, "primary_failed")] {
        let (_from, _to, flipgate) = between(move |_, _| Reply::status(status)).await;
        ask_all(&flipgate, targets(320)).await;
        flipgate.assert_outcomes(&[(outcome, 320)]).await;
        let unmet = unmet(&flipgate).await;
        assert!(unmet.contains(&"evidence".to_owned()), "{status}: {unmet:?}");
        assert_eq!(condition(&flipgate, "evidence").await["actual"], 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_that_fails_or_is_slow_keeps_the_gate_shut() {
    let (_from, _to, flipgate) = between(|side, request| match (side, number(&request.target)) {
        ("to", n) if n % 40 == 3 => Reply::json("{}").claiming(9).cut(),
        _ => Reply::json("{}"),
    })
    .await;
    ask_all(&flipgate, targets(320)).await;
    flipgate.settled().await;
    let failures = condition(&flipgate, "shadow_failures").await;
    assert_eq!(failures["met"], false);
    assert!(failures["hint"].as_str().unwrap().contains("8 of 320"), "{failures}");

    let slow = Reply::json("{}").first(crate::upstream::Step::Delay(std::time::Duration::from_millis(60)));
    let (_from, _to, flipgate) =
        between(move |side, _| if side == "to" { slow.clone() } else { Reply::json("{}") }).await;
    let asking = (0..8).map(|client| ask_all(&flipgate, (0..40).map(move |n| format!("/read/{client}-{n}"))));
    futures_util::future::join_all(asking).await;
    flipgate.settled().await;
    let latency = condition(&flipgate, "latency_p95").await;
    assert_eq!(latency["met"], false, "{latency}");
}

async fn epoch(flipgate: &Flipgate) -> Value {
    flipgate.admin_get("/api/status").await.json()["epoch"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_begins_when_an_operator_asks_and_when_rules_change() {
    let (_from, _to, flipgate) = between(|_, _| Reply::json("{}")).await;
    ask_all(&flipgate, targets(20)).await;
    flipgate.settled().await;
    assert_eq!(
        (epoch(&flipgate).await, condition(&flipgate, "evidence").await["actual"].clone()),
        (json!(1), json!(20))
    );
    let begun = flipgate.admin_post("/api/epoch", &json!({"reason": "the data was mended"})).await;
    assert_eq!((begun.status, &begun.json()["epoch"]), (200, &json!(2)));
    assert_eq!(condition(&flipgate, "evidence").await["actual"], 0);
    let audit = flipgate.admin_get("/api/audit").await.json();
    assert_eq!(
        (&audit["entries"][0]["action"], &audit["entries"][0]["reason"]),
        (&json!("epoch"), &json!("the data was mended"))
    );
    ask_all(&flipgate, targets(5)).await;
    flipgate.settled().await;
    // The same rules go on; others begin another epoch.
    flipgate.terminate();
    let flipgate = flipgate.stopped().await.start().await;
    assert_eq!(
        (epoch(&flipgate).await, condition(&flipgate, "evidence").await["actual"].clone()),
        (json!(2), json!(5))
    );
    flipgate.terminate();
    let changed = CONFIG.replace("[gate]", "unordered = [\"/tags\"]\n[gate]");
    let flipgate = flipgate.stopped().await.config(&changed).start().await;
    assert_eq!(
        (epoch(&flipgate).await, condition(&flipgate, "evidence").await["actual"].clone()),
        (json!(3), json!(0))
    );
    let status = flipgate.admin_get("/api/status").await.json();
    assert!(status["epoch_reason"].as_str().unwrap().contains("rules"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_began_in_another_epoch_is_no_evidence() {
    let gate = crate::upstream::Gate::shut();
    let held = Reply::json("").step(crate::upstream::Step::Await(gate.clone())).body("{}").chunked();
    let from = Upstream::always(Reply::json("{}")).await;
    let to = Upstream::always(held).await;
    let flipgate = Setup::with_config(&from.url(), &to.url(), CONFIG).start().await;
    flipgate.get("/read/a").await;
    assert_eq!(flipgate.admin_post("/api/epoch", &json!({})).await.status, 200);
    gate.open();
    flipgate.assert_outcomes(&[("match", 1)]).await;
    assert_eq!(condition(&flipgate, "evidence").await["actual"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_begins_when_a_backend_answers_from_other_data() {
    let version = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(1));
    let versions = std::sync::Arc::clone(&version);
    let from = Upstream::always(Reply::json("{}")).await;
    let to = Upstream::start(move |_| {
        let version = versions.load(std::sync::atomic::Ordering::SeqCst).to_string();
        Reply::json("{}").header("X-Data-Version", &version)
    })
    .await;
    let config = format!("data_version_header = \"x-data-version\"\n{CONFIG}");
    let flipgate = Setup::with_config(&from.url(), &to.url(), &config).start().await;
    ask_all(&flipgate, targets(3)).await;
    flipgate.settled().await;
    assert_eq!(epoch(&flipgate).await, 1);
    version.store(2, std::sync::atomic::Ordering::SeqCst);
    ask_all(&flipgate, targets(1)).await;
    wait_until("an epoch begins", async || epoch(&flipgate).await == 2).await;
    let status = flipgate.admin_get("/api/status").await.json();
    assert_eq!(status["epoch_reason"], "`postgres` answers with another x-data-version: 2");
}
