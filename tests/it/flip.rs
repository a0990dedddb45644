//! Flips are atomic: for requests in flight, for those that come after, and for the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::client::Connection;
use crate::harness::{Setup, wait_until};
use crate::upstream::{Gate, Reply, Step, Upstream};

/// A server that says its name in a header and in every part of a body of several chunks.
async fn named(name: &str) -> Upstream {
    let part = bytes::Bytes::from(format!("{name} ").repeat(2000));
    let reply = Reply::status(200).header("Content-Type", "text/plain").header("X-Backend", name);
    Upstream::always(reply.step(Step::Repeat(part, 5)).chunked()).await
}

/// Reads until told to stop; every answer must be wholly from one backend. Returns how many came from each.
async fn read_whole(proxy: std::net::SocketAddr, stop: Arc<AtomicBool>) -> [u32; 2] {
    let mut counts = [0, 0];
    let mut connection = Connection::open(proxy).await.unwrap();
    while !stop.load(Ordering::SeqCst) {
        let answer = connection.request("GET", "/read/a", &[], b"").await.unwrap();
        assert_eq!(answer.status, 200);
        let name = answer.header("x-backend").unwrap();
        assert_eq!(answer.header("x-flipgate-primary"), Some(name));
        let words: Vec<&str> = answer.text().split_whitespace().collect();
        assert_eq!(words.len(), 10_000);
        assert!(words.iter().all(|word| *word == name), "an answer of {name} has parts of the other");
        counts[usize::from(name == "postgres")] += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_flips_under_load_tear_no_answer() {
    let (from, to) = (named("sqlite").await, named("postgres").await);
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> =
        (0..4).map(|_| tokio::spawn(read_whole(flipgate.proxy, Arc::clone(&stop)))).collect();
    for round in 0..100 {
        for name in ["postgres", "sqlite"] {
            let answer = flipgate.flip(name, true).await;
            assert_eq!(answer.status, 200, "flip {round} to {name}: {}", answer.text());
            assert_eq!(answer.json()["primary"], name);
            // The next request on this replica goes to the new primary.
            assert_eq!(flipgate.get("/read/next").await.header("x-backend"), Some(name));
        }
    }
    stop.store(true, Ordering::SeqCst);
    let mut counts = [0, 0];
    for reader in readers {
        let read = reader.await.unwrap();
        counts = [counts[0] + read[0], counts[1] + read[1]];
    }
    assert!(counts.iter().all(|count| *count > 20), "too little load to show anything: {counts:?}");
    let metrics = flipgate.settled().await;
    assert_eq!(metrics.sum("flipgate_flips_total", &[]), 200.0);
    assert_eq!(
        metrics.sum("flipgate_requests_total", &[("code", "200")]),
        f64::from(counts[0] + counts[1] + 200)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flip_answered_is_a_flip_kept() {
    let (from, to) = (named("sqlite").await, named("postgres").await);
    let mut flipgate = Setup::between(&from.url(), &to.url()).start().await;
    for name in ["postgres", "sqlite", "postgres", "postgres"] {
        assert_eq!(flipgate.flip(name, true).await.status, 200);
        flipgate = flipgate.kill9().start().await;
        assert_eq!(flipgate.primary().await, name);
        assert_eq!(flipgate.get("/read/a").await.header("x-backend"), Some(name));
        let metrics = flipgate.metrics().await;
        assert_eq!(metrics.sum("flipgate_primary", &[("backend", name)]), 1.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_wins_over_the_flag_and_says_so() {
    let (from, to) = (named("sqlite").await, named("postgres").await);
    let flipgate = Setup::between(&from.url(), &to.url()).argument("--primary", "postgres").start().await;
    assert_eq!(flipgate.primary().await, "postgres");
    assert_eq!(flipgate.flip("sqlite", true).await.status, 200);
    let flipgate = flipgate.kill9().start().await;
    assert_eq!(flipgate.primary().await, "sqlite");
    assert!(flipgate.said().contains("--primary"), "no warning; {}", flipgate.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flip_without_evidence_is_refused_with_reasons() {
    let (from, to) = (named("sqlite").await, named("postgres").await);
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    let refused = flipgate.flip("postgres", false).await;
    assert_eq!(refused.status, 409);
    let document = refused.json();
    assert_eq!(document["ready"], false);
    assert!(document["conditions"].as_array().is_some_and(|unmet| !unmet.is_empty()), "{document}");
    assert_eq!(flipgate.primary().await, "sqlite");
    assert_eq!(flipgate.get("/read/a").await.header("x-backend"), Some("sqlite"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flip_that_expects_another_primary_is_refused() {
    let (from, to) = (named("sqlite").await, named("postgres").await);
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    let mistaken = json!({"primary": "postgres", "expect": "postgres", "reason": "a test", "force": true});
    assert_eq!(flipgate.admin_post("/api/primary", &mistaken).await.status, 409);
    assert_eq!(flipgate.primary().await, "sqlite");
    let dry = json!({"primary": "postgres", "expect": "sqlite", "reason": "a test", "force": true, "dry_run": true});
    assert_eq!(flipgate.admin_post("/api/primary", &dry).await.status, 200);
    assert_eq!(flipgate.primary().await, "sqlite");
    let unknown = flipgate.flip("mysql", true).await;
    assert!((400..500).contains(&unknown.status), "{}", unknown.status);
}

#[tokio::test(flavor = "multi_thread")]
async fn rollback_is_never_refused_and_may_be_repeated() {
    let (from, to) = (named("sqlite").await, named("postgres").await);
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    assert_eq!(flipgate.flip("postgres", true).await.status, 200);
    for _ in 0..2 {
        let answer = flipgate.admin_post("/api/rollback", &json!({"reason": "a test"})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(flipgate.primary().await, "sqlite");
    }
    assert_eq!(flipgate.kill9().start().await.primary().await, "sqlite");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_flight_finishes_where_it_began() {
    let gate = Gate::shut();
    let held = Reply::json("{\"from\":").step(Step::Await(gate.clone())).body("\"sqlite\"}").chunked();
    let (from, to) =
        (Upstream::always(held).await, Upstream::always(Reply::json("{\"from\":\"postgres\"}")).await);
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    let mut connection = Connection::open(flipgate.proxy).await.unwrap();
    let mut coming = connection.begin("GET", "/read/a", &[], b"").await.unwrap();
    assert_eq!(flipgate.flip("postgres", true).await.status, 200);
    gate.open();
    assert_eq!(coming.rest().await.unwrap(), b"{\"from\":\"sqlite\"}");
    assert_eq!(coming.headers.get("x-flipgate-primary"), Some("sqlite"));
}

#[tokio::test(flavor = "multi_thread")]
async fn verification_goes_on_after_a_flip_and_keeps_its_direction() {
    let (from, to) =
        (Upstream::always(Reply::json("{\"n\":1}")).await, Upstream::always(Reply::json("{}")).await);
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    flipgate.get("/read/a").await;
    flipgate.assert_outcomes(&[("mismatch", 1)]).await;
    let before = flipgate.findings().await;
    assert_eq!(flipgate.flip("postgres", true).await.status, 200);
    assert_eq!(flipgate.get("/read/a").await.text(), "{}");
    flipgate.assert_outcomes(&[("mismatch", 2)]).await;
    let after = flipgate.findings().await;
    assert_eq!((before.len(), after.len()), (1, 1), "{after:?}");
    assert_eq!((&after[0]["id"], &after[0]["kind"]), (&before[0]["id"], &"removed".into()));
    assert_eq!(after[0]["count"], 2);
    wait_until("both sides have answered both", async || from.requests("/read/a").len() == 2).await;
    assert_eq!(from.requests("/read/a")[1].headers.get("x-flipgate-role"), Some("shadow"));
}
