//! `--wait-ready`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::{at, everything, reply, steady, two_stores, unready};
use crate::command::{Told, command};
use crate::harness::Setup;
use crate::upstream::{Recorded, Reply, Step, Upstream};

/// A wait that never ends must fail its test, not hold it up.
const WAIT: [&str; 5] = ["flip", "postgres", "--wait-ready", "--timeout", "40s"];

/// An admin side that answers the first questions for readiness so, in turn, and is ready after that.
async fn ready_after(answers: Vec<Reply>) -> Upstream {
    let asked = Arc::new(AtomicUsize::new(0));
    Upstream::start(move |request: &Recorded| match request.target.as_str() {
        "/api/readiness" => {
            let answer = answers.get(asked.fetch_add(1, Ordering::SeqCst));
            answer.cloned().unwrap_or_else(|| reply(&json!({"ready": true, "conditions": []})))
        }
        "/api/primary" if asked.load(Ordering::SeqCst) > answers.len() => {
            reply(&json!({"primary": "postgres", "since": "2026-11-20T11:00:00.000Z"}))
        }
        "/api/primary" => reply(&unready()).with_status(409),
        _ => reply(&json!({"primary": "sqlite", "since": "2026-11-20T10:00:00.000Z"})),
    })
    .await
}

/// Whether each request for a flip was one that only asked.
fn flips(admin: &Upstream) -> Vec<Value> {
    let sent = admin.requests("/api/primary");
    sent.iter().map(|r| serde_json::from_slice::<Value>(&r.body).unwrap()["dry_run"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flip_is_made_once_the_evidence_is_there() {
    // Slow enough that the other store is not the slower one, however busy this machine is.
    let slow = Reply::json("{\"n\":1}").first(Step::Delay(Duration::from_millis(300)));
    let (from, to) = (Upstream::always(slow).await, Upstream::always(Reply::json("{\"n\":1}")).await);
    let config = "preset = \"none\"\n[gate]\nmin_comparisons = 3\nmax_mismatch_rate = 1.0\nhold = 0.05\n\
                  [[routes]]\nmatch = \"/read/{name}\"\n";
    let flipgate = Setup::with_config(&from.url(), &to.url(), config).start().await;
    let url = format!("http://{}", flipgate.admin);
    let mut command = command(&[&WAIT[..], &["--admin", &url, "--reason", "evidence"]].concat());
    let waiting = command.spawn().unwrap();
    for name in 0..3 {
        flipgate.get(&format!("/read/{name}")).await;
    }
    let told = Told::of(waiting.wait_with_output().await.unwrap());
    let said = steady(&told.out);
    assert_eq!(
        (told.code, said.lines().next()),
        (0, Some("primary  postgres since TIME (was sqlite)")),
        "{told:?}"
    );
    assert!(said.lines().nth(1).is_some_and(|line| line.starts_with("watch    until ")), "{told:?}");
    assert_eq!(flipgate.primary().await, "postgres");
    let audit = flipgate.admin_get("/api/audit").await.json();
    let entry =
        audit["entries"].as_array().unwrap().iter().find(|entry| entry["reason"] == "evidence").unwrap();
    assert_eq!(entry["forced"], false, "{entry}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unmet_is_told_when_it_changes() {
    let one = json!({"ready": false, "conditions": [{"name": "held", "met": false, "hint": "wait for 10 minutes"}]});
    let admin = ready_after(vec![reply(&unready()), reply(&one), reply(&one)]).await;
    let told = at(&admin.url(), &WAIT).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert_eq!(told.out, "primary  postgres since 2026-11-20T11:00:00.000Z (was sqlite)\n");
    insta::assert_snapshot!("wait_told", told.err);
    // First it is asked whether the flip is taken at all, and only at the end is it made.
    assert_eq!(flips(&admin), [json!(true), json!(false)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_while_waiting_is_tried_again() {
    let lost = Reply::json("{").claiming(100).cut();
    let admin = ready_after(vec![lost.clone(), lost, Reply::status(503), reply(&unready())]).await;
    let told = at(&admin.url(), &WAIT).await;
    assert_eq!((told.code, flips(&admin).len()), (0, 2), "{told:?}");
    assert_eq!(told.err.matches("trying again").count(), 1, "{told:?}");
    assert!(told.err.contains("flipgate: it answers again\n"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_attempt_that_fails_is_an_error() {
    let mut gone = Upstream::always(Reply::hang()).await;
    gone.stop().await;
    at(&gone.url(), &WAIT).await.assert_one_sentence(3, "cannot connect");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_time_is_up_the_unmet_conditions_are_told() {
    let admin = ready_after(vec![reply(&unready()); 100]).await;
    let limits = ["--timeout", "1s"];
    let told = at(&admin.url(), &[&WAIT[..3], &limits].concat()).await;
    assert_eq!((told.code, told.out.as_str()), (1, ""), "{told:?}");
    let said = "flipgate: not ready within 1s: 2 conditions are unmet; the flip to postgres was not made\n  - /api/reports: 290";
    assert!(told.err.contains(said), "{told:?}");
    let told = at(&admin.url(), &[&WAIT[..3], &limits, &["--format", "json"]].concat()).await;
    assert_eq!((told.code, told.json()), (1, unready()), "{told:?}");
    assert!(flips(&admin).iter().all(|dry| *dry == json!(true)), "{:?}", flips(&admin));
    // A question that hangs does not hold the end up.
    let admin = ready_after(vec![Reply::hang(); 100]).await;
    let told = at(&admin.url(), &[&WAIT[..3], &["--timeout", "2s"]].concat()).await;
    assert_eq!(told.code, 1, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_begins_only_where_it_can_help() {
    let (from, to) = two_stores().await;
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    let url = format!("http://{}", flipgate.admin);
    at(&url, &["flip", "mysql", "--wait-ready"])
        .await
        .assert_one_sentence(2, "must be `sqlite` or `postgres`");
    let mistaken = ["flip", "postgres", "--expect", "postgres", "--wait-ready", "--timeout", "9s"];
    at(&url, &mistaken).await.assert_one_sentence(1, "the primary is sqlite now");
    // Going back is never gated.
    assert_eq!(flipgate.flip("postgres", true).await.status, 200);
    let told = at(&url, &["flip", "sqlite", "--wait-ready"]).await;
    assert_eq!(
        (told.code, steady(&told.out).as_str()),
        (0, "primary  sqlite since TIME (was postgres)\n"),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_that_waits_changes_nothing() {
    let admin = ready_after(vec![reply(&unready())]).await;
    let told = at(&admin.url(), &[&WAIT[..], &["--dry-run"]].concat()).await;
    assert!(
        told.out.ends_with("dry run  the flip to postgres would be done now; nothing was changed\n"),
        "{told:?}"
    );
    assert_eq!(flips(&admin), [json!(true), json!(true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_waits_as_a_flip_does() {
    let asked = Arc::new(AtomicUsize::new(0));
    let admin = Upstream::start(move |request: &Recorded| match request.target.as_str() {
        "/api/dial" if asked.fetch_add(1, Ordering::SeqCst) > 0 => reply(&everything()),
        "/api/dial" => reply(&unready()).with_status(409),
        "/api/readiness" => reply(&json!({"ready": true})),
        _ => reply(&json!({"primary": "sqlite", "dial": 0})),
    })
    .await;
    let told = at(&admin.url(), &["dial", "25", "--expect", "0", "--wait-ready"]).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.out.contains("25 % of reads by postgres (was 0 %)"), "{told:?}");
}
