//! What differs for a moment, what differs from itself, and what is wrong now and then.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Connection;
use crate::harness::{Flipgate, Setup, wait_until};
use crate::upstream::{Recorded, Reply, Upstream};

/// One route, rechecks after these times, and a gate that opens fast.
fn config(after: &str, control_share: f64) -> String {
    format!(
        "preset = \"none\"\n[[routes]]\nmatch = \"/read/{{name}}\"\n[gate]\nhold = 0.05\n\
         [recheck]\nafter = {after}\ncontrol_share = {control_share}\n"
    )
}

/// A condition of the gate for the route.
pub(crate) async fn condition(flipgate: &Flipgate, name: &str) -> Value {
    let readiness = flipgate.admin_get("/api/readiness").await.json();
    let found =
        readiness["conditions"].as_array().unwrap().iter().find(|condition| condition["name"] == name);
    found.unwrap_or_else(|| panic!("no condition {name}: {readiness}")).clone()
}

/// Asks for `targets` one after the other on one connection.
pub(crate) async fn ask_all(flipgate: &Flipgate, targets: impl IntoIterator<Item = String>) {
    let mut connection = Connection::open(flipgate.proxy).await.unwrap();
    for target in targets {
        connection.request("GET", &target, &[], b"").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_that_agrees_300_ms_after_a_write_is_transient_only() {
    let written: Arc<Mutex<Option<Instant>>> = Arc::default();
    let (writing, lagging) = (Arc::clone(&written), Arc::clone(&written));
    let from = Upstream::start(move |request| {
        let mut written = writing.lock().unwrap();
        if request.method == "POST" {
            *written = Some(Instant::now());
        }
        Reply::json(format!("{{\"new\":{}}}", written.is_some()))
    })
    .await;
    let to = Upstream::start(move |_| {
        let caught_up = lagging.lock().unwrap().is_some_and(|at| at.elapsed() > Duration::from_millis(300));
        Reply::json(format!("{{\"new\":{caught_up}}}"))
    })
    .await;
    let flipgate = Setup::with_config(&from.url(), &to.url(), &config("[0.25, 2.0]", 0.0)).start().await;
    assert_eq!(flipgate.request("POST", "/write", &[], b"x").await.status, 200);
    ask_all(&flipgate, (0..3).map(|n| format!("/read/{n}"))).await;
    let metrics = flipgate.assert_outcomes(&[("transient", 3), ("skipped", 1)]).await;
    assert_eq!(metrics.sum("flipgate_outcomes_total", &[("reason", "unexplained")]), 0.0);
    assert_eq!(metrics.sum("flipgate_transient_seconds_count", &[("route", "/read/{name}")]), 3.0);
    assert!(flipgate.findings().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_every_second_time_is_an_unexplained_finding_and_not_ready() {
    let asked: Mutex<HashMap<String, u32>> = Mutex::default();
    let from = Upstream::always(Reply::json("{\"n\":1}")).await;
    let to = Upstream::start(move |request| {
        let mut asked = asked.lock().unwrap();
        let times = asked.entry(request.target.clone()).or_insert(0);
        *times += 1;
        Reply::json(format!("{{\"n\":{}}}", 1 + *times % 2))
    })
    .await;
    let flipgate = Setup::with_config(&from.url(), &to.url(), &config("[0.01, 0.02]", 0.0)).start().await;
    for n in 0..15 {
        flipgate.get(&format!("/read/{n}")).await;
        flipgate.settled().await;
    }
    let metrics = flipgate.assert_outcomes(&[("transient", 15)]).await;
    assert_eq!(metrics.sum("flipgate_outcomes_total", &[("reason", "unexplained")]), 15.0);
    let findings = flipgate.findings().await;
    assert_eq!(
        (findings.len(), &findings[0]["transient"], &findings[0]["count"]),
        (1, &json!(true), &json!(15))
    );
    let share = condition(&flipgate, "unexplained_transients").await;
    assert_eq!(
        (&share["met"], &share["actual"], &share["route"]),
        (&json!(false), &json!(1.0), &json!("/read/{name}"))
    );
    assert!(share["hint"].as_str().unwrap().contains("15 of 15"), "{share}");
    // By itself it does not stand against a flip: its share does.
    assert_eq!(condition(&flipgate, "open_findings").await["met"], true);
}

/// A token of 16 hexadecimal digits, another one each time.
fn token() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{:016x}", NEXT.fetch_add(1, Ordering::SeqCst).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_random_token_is_noise_once_learnt_and_the_gate_opens() {
    let lost = Arc::new(AtomicBool::new(false));
    let losing = Arc::clone(&lost);
    let answer = || Reply::json(format!("{{\"n\":1,\"token\":\"{}\"}}", token()));
    let from = Upstream::start(move |_| answer()).await;
    let to = Upstream::start(move |_| {
        if losing.load(Ordering::SeqCst) { Reply::json("{\"n\":1,\"token\":\"\"}") } else { answer() }
    })
    .await;
    let flipgate = Setup::with_config(&from.url(), &to.url(), &config("[0.0]", 1.0)).start().await;
    // Until the cause is confirmed, each one would be asked again.
    flipgate.get("/read/first").await;
    flipgate.assert_outcomes(&[("mismatch", 1)]).await;
    assert_eq!(condition(&flipgate, "open_findings").await["met"], false);
    ask_all(&flipgate, (0..320).map(|n| format!("/read/{n}"))).await;
    wait_until("the noise is learnt", async || {
        ask_all(&flipgate, (0..20).map(|n| format!("/read/{n}"))).await;
        flipgate.settled().await.sum("flipgate_outcomes_total", &[("outcome", "noise")]) > 0.0
    })
    .await;
    // Stored evidence is judged again: nothing of what was counted as a mismatch is one any more.
    wait_until("the gate opens", async || flipgate.admin_get("/api/readiness").await.json()["ready"] == true)
        .await;
    let findings = flipgate.findings().await;
    assert_eq!((findings.len(), &findings[0]["state"]), (1, &json!("resolved")));
    let status = flipgate.admin_get("/api/status").await.json();
    assert_eq!(status["routes"][0]["noisy"], json!(["/token"]));

    // It survives a restart, and hides nothing but tokens: an empty one is a mismatch.
    flipgate.terminate();
    let flipgate = flipgate.stopped().await.start().await;
    assert_eq!(flipgate.admin_get("/api/readiness").await.json()["ready"], true);
    lost.store(true, Ordering::SeqCst);
    flipgate.get("/read/first").await;
    flipgate.assert_outcomes(&[("mismatch", 1)]).await;
    assert_eq!(condition(&flipgate, "open_findings").await["met"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_primary_is_asked_at_most_a_twentieth_more() {
    let from = Upstream::start(|_| Reply::json(format!("{{\"token\":\"{}\"}}", token()))).await;
    let to = Upstream::start(|_| Reply::json("[]")).await;
    let flipgate = Setup::with_config(&from.url(), &to.url(), &config("[0.0, 0.0]", 1.0)).start().await;
    ask_all(&flipgate, (0..400).map(|n| format!("/read/{n}"))).await;
    flipgate.settled().await;
    let asked: usize = (0..400).map(|n| from.requests(&format!("/read/{n}")).len()).sum();
    assert!((401..=440).contains(&asked), "{asked} requests for 400 of clients");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_cause_is_not_asked_again_at_once_and_what_cannot_be_asked_is_unconfirmed() {
    let answer = |side: &str, request: &Recorded| {
        // Each target under the first has a cause of its own.
        let name = request.target.rsplit('/').next().unwrap();
        let member = if name.starts_with("same") { "n" } else { name };
        Reply::json(format!("{{\"{member}\":\"{side}\"}}"))
    };
    let from = Upstream::start(move |request| answer("from", request)).await;
    let to = Upstream::start(move |request| answer("to", request)).await;
    let flipgate = Setup::with_config(&from.url(), &to.url(), &config("[0.0]", 0.0)).start().await;
    let reasons = async |wanted: &[(&str, f64)]| {
        let metrics = flipgate.settled().await;
        for (reason, count) in wanted {
            assert_eq!(metrics.sum("flipgate_outcomes_total", &[("reason", reason)]), *count, "{reason}");
        }
    };
    flipgate.get("/read/same0").await;
    reasons(&[("", 1.0)]).await;
    ask_all(&flipgate, (1..10).map(|n| format!("/read/same{n}"))).await;
    reasons(&[("", 1.0), ("known", 9.0)]).await;
    assert_eq!(from.requests("/read/same0").len(), 2);
    assert_eq!(from.requests("/read/same9").len(), 1);
    // The allowance of twenty is used up sooner or later; then nothing is asked again, and that counts as not compared.
    for n in 0..40 {
        flipgate.get(&format!("/read/other{n}")).await;
        flipgate.settled().await;
    }
    let metrics = flipgate.settled().await;
    let unconfirmed = metrics.sum("flipgate_outcomes_total", &[("reason", "unconfirmed")]);
    assert!((15.0..=21.0).contains(&unconfirmed), "{unconfirmed}");
    let uncompared = condition(&flipgate, "uncompared").await;
    assert_eq!(uncompared["met"], false);
    assert_eq!(flipgate.findings().await.len(), 41, "each opens its finding all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn agreement_on_another_answer_is_no_agreement() {
    // The primary answers 200 once, then both answer 404: that they agree then shows nothing of what differed.
    let from_asked = AtomicU64::new(0);
    let from = Upstream::start(move |_| match from_asked.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::json("{\"n\":1}"),
        _ => Reply::status(404),
    })
    .await;
    let to_asked = AtomicU64::new(0);
    let to = Upstream::start(move |_| match to_asked.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::json("{\"n\":2}"),
        _ => Reply::status(404),
    })
    .await;
    let flipgate = Setup::with_config(&from.url(), &to.url(), &config("[0.0]", 0.0)).start().await;
    flipgate.get("/read/a").await;
    let metrics = flipgate.assert_outcomes(&[("mismatch", 1)]).await;
    assert_eq!(metrics.sum("flipgate_outcomes_total", &[("reason", "unconfirmed")]), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_mended_resolves_by_itself() {
    let mended = Arc::new(AtomicBool::new(false));
    let mending = Arc::clone(&mended);
    let from = Upstream::always(Reply::json("{\"category\":\"a\"}")).await;
    let to = Upstream::start(move |request| {
        let is_wrong = request.target == "/read/wrong" && !mending.load(Ordering::SeqCst);
        Reply::json(if is_wrong { "{\"categories\":\"a\"}" } else { "{\"category\":\"a\"}" })
    })
    .await;
    let flipgate = Setup::with_config(&from.url(), &to.url(), &config("[0.0]", 0.0)).start().await;
    flipgate.get("/read/wrong").await;
    flipgate.assert_outcomes(&[("mismatch", 1)]).await;
    let finding = flipgate.findings().await.remove(0);
    assert_eq!((&finding["severity"], &finding["state"]), (&json!("breaking"), &json!("open")));
    mended.store(true, Ordering::SeqCst);
    ask_all(&flipgate, (0..40).map(|n| format!("/read/{n}"))).await;
    wait_until("the finding is resolved", async || flipgate.findings().await[0]["state"] == "resolved").await;
    assert_eq!(flipgate.findings().await[0]["id"], finding["id"]);
    assert_eq!(
        from.requests("/read/wrong").len(),
        3,
        "the client, one recheck, one look whether it is mended"
    );
    wait_until("that is in the audit", async || {
        let audit = flipgate.admin_get("/api/audit").await.json();
        let entries = audit["entries"].as_array().unwrap();
        entries.iter().any(|entry| entry["action"] == "resolve" && entry["trigger"] == "flipgate")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_self_check_measures_the_floor_and_never_flips() {
    let from = Upstream::start(|request| {
        let is_odd = request.target.ends_with("odd");
        Reply::json(if is_odd { format!("{{\"token\":\"{}\"}}", token()) } else { "{}".to_owned() })
    })
    .await;
    let setup =
        Setup::with_config(&from.url(), "http://127.0.0.1:9", &config("[]", 0.0)).switch("--self-check");
    let flipgate = setup.start().await;
    ask_all(&flipgate, (0..9).map(|n| format!("/read/{n}")).chain(["/read/odd".to_owned()])).await;
    flipgate.assert_outcomes(&[("match", 9), ("mismatch", 1)]).await;
    let floor = async |flipgate: &Flipgate| {
        flipgate.admin_get("/api/status").await.json()["routes"][0]["floor"].clone()
    };
    wait_until("the floor is measured", async || {
        floor(&flipgate).await == json!({"compared": 10, "differed": 1})
    })
    .await;
    let refused = flipgate.flip("postgres", true).await;
    assert_eq!(refused.status, 409, "not even by force");
    assert!(refused.text().contains("self-check"), "{}", refused.text());
    assert_eq!(from.requests("/read/odd").len(), 2);

    // The evidence that is gathered afterwards is another epoch's; the floor stays beside it.
    let to = Upstream::always(Reply::json("{}")).await;
    flipgate.terminate();
    let setup = flipgate.stopped().await.without("--self-check").argument("--postgres", &to.url());
    let flipgate = setup.start().await;
    let status = flipgate.admin_get("/api/status").await.json();
    assert_eq!((&status["epoch"], &status["routes"][0]["compared"]), (&json!(2), &json!(0)));
    assert_eq!(floor(&flipgate).await, json!({"compared": 10, "differed": 1}));
    let metrics = flipgate.metrics().await;
    assert_eq!(metrics.sum("flipgate_false_mismatch_floor", &[("route", "/read/{name}")]), 0.1);
}
