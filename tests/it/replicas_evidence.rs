//! What replicas tell each other of evidence, findings and acceptances, and what they must not.

use serde_json::json;
use sqlx::Connection as _;

use crate::harness::{Setup, pg_database, wait_until};
use crate::lag_and_noise::{ask_all, condition};
use crate::replicas::{CONFIG, Server, all_follow, named, replicas, status};
use crate::upstream::{Reply, Upstream};

/// What a statement answers in the state store.
async fn count(state: &str, sql: &'static str) -> i64 {
    let mut connection = sqlx::PgConnection::connect(state).await.unwrap();
    sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
}

async fn execute(state: &str, sql: &'static str) {
    let mut connection = sqlx::PgConnection::connect(state).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
}

const TARGETS: &str = "SELECT count(*) FROM flipgate.evidence WHERE split_part(key, E'\\n', 2) LIKE 't%'";

#[tokio::test(flavor = "multi_thread")]
async fn evidence_of_other_rules_is_none() {
    let (from, to) = (named("sqlite").await, named("postgres").await);
    let state = pg_database().await;
    let old = replicas(1, &from, &to, &state).await.remove(0);
    let config = format!("{CONFIG}[[routes]]\nmatch = \"/other\"\n");
    let setup = || Setup::with_config(&from.url(), &to.url(), &config).argument("--state", &state);
    let new = setup().start().await;
    wait_until("both are in its epoch", async || status(&old).await["epoch"] == 2).await;
    ask_all(&old, (0..150).map(|n| format!("/read/{n}"))).await;
    ask_all(&new, (150..300).map(|n| format!("/read/{n}"))).await;
    wait_until("both have told", async || count(&state, TARGETS).await == 300).await;
    // One that joins reads all of it at once.
    let joined = setup().start().await;
    // It takes it up one by one, and may be looked at meanwhile.
    wait_until("it has read", async || condition(&joined, "evidence").await["actual"] == 150).await;
    // By now it has also seen what is not of its rules.
    joined.settled().await;
    assert_eq!(condition(&joined, "evidence").await["actual"], 150);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_outage_kept_from_being_told_is_told_after_a_restart() {
    let from = Upstream::always(Reply::json("{\"category\":\"a\"}")).await;
    let to = Upstream::always(Reply::json("{\"categories\":\"a\"}")).await;
    let server = Server::start().await;
    let mut both = replicas(2, &from, &to, &server.url).await;
    server.kill9();
    ask_all(&both[0], (0..150).map(|n| format!("/read/{n}"))).await;
    both[0].settled().await;
    let stopped = both.remove(0);
    stopped.terminate();
    let stopped = stopped.stopped().await;
    server.restart().await;
    let again = stopped.start().await;
    wait_until("the other knows the evidence", async || {
        condition(&both[0], "evidence").await["actual"] == 150
    })
    .await;
    wait_until("and the finding", async || both[0].findings().await.len() == 1).await;
    wait_until("counted as it was", async || both[0].findings().await[0]["count"] == 150).await;
    assert_eq!(again.findings().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_tells_what_came_last() {
    let (from, to) = (named("sqlite").await, named("postgres").await);
    let state = pg_database().await;
    let mut both = replicas(2, &from, &to, &state).await;
    ask_all(&both[0], (0..150).map(|n| format!("/read/{n}"))).await;
    let stopping = both.remove(0);
    stopping.terminate();
    stopping.stopped().await;
    // All of it is there by now.
    assert_eq!(count(&state, TARGETS).await, 150);
    wait_until("the other knows it", async || condition(&both[0], "evidence").await["actual"] == 150).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_table_that_fails_keeps_nothing_else_from_being_exchanged() {
    let from = Upstream::always(Reply::json("{\"category\":\"a\"}")).await;
    let to = Upstream::always(Reply::json("{\"categories\":\"a\"}")).await;
    let state = pg_database().await;
    let both = replicas(2, &from, &to, &state).await;
    execute(&state, "ALTER TABLE flipgate.evidence RENAME TO away").await;
    let is_up = async |up: f64| both[1].metrics().await.sum("flipgate_exchange_up", &[]) == up;
    wait_until("it says so", async || is_up(0.0).await).await;
    ask_all(&both[0], (0..150).map(|n| format!("/read/{n}"))).await;
    wait_until("a finding is everybody's", async || both[1].findings().await.len() == 1).await;
    execute(&state, "ALTER TABLE flipgate.away RENAME TO evidence").await;
    wait_until("all is well again", async || is_up(1.0).await).await;
    wait_until("evidence too", async || condition(&both[1], "evidence").await["actual"] == 150).await;
    let said = both[1].said();
    for once in ["taking up evidence fails", "taking up evidence works again"] {
        assert_eq!(said.matches(once).count(), 1, "{once}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_state_directory_is_another_replica() {
    let (from, to) = (named("sqlite").await, named("postgres").await);
    let state = pg_database().await;
    let first = replicas(1, &from, &to, &state).await.remove(0);
    ask_all(&first, (0..100).map(|n| format!("/read/{n}"))).await;
    wait_until("it has told", async || count(&state, TARGETS).await == 100).await;
    first.terminate();
    let first = first.stopped().await;
    let copy = Setup::with_config(&from.url(), &to.url(), CONFIG).argument("--state", &state);
    std::fs::create_dir(copy.path("state")).unwrap();
    for file in ["flipgate.db", "samples.db"] {
        std::fs::copy(first.path("state").join(file), copy.path("state").join(file)).unwrap();
    }
    let first = first.start().await;
    assert!(!first.said().contains("has this one's name"), "{}", first.said());
    let copy = copy.start().await;
    assert!(copy.said().contains("has this one's name"), "{}", copy.said());
    ask_all(&copy, (100..150).map(|n| format!("/read/{n}"))).await;
    for replica in [&first, &copy] {
        wait_until("the evidence is of both, once", async || {
            condition(replica, "evidence").await["actual"] == 150
        })
        .await;
    }
    let names = "SELECT count(DISTINCT replica) FROM flipgate.evidence";
    assert_eq!(count(&state, names).await, 2);
    // The same one again is no copy, however it ended.
    let first = first.kill9().start().await;
    assert!(!first.said().contains("has this one's name"), "{}", first.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_flipgate_knew_is_known_to_all_once_it_has_others() {
    let from = Upstream::always(Reply::json("{\"category\":\"a\"}")).await;
    let to = Upstream::always(Reply::json("{\"categories\":\"a\"}")).await;
    let alone = Setup::with_config(&from.url(), &to.url(), CONFIG).start().await;
    ask_all(&alone, (0..150).map(|n| format!("/read/{n}"))).await;
    alone.settled().await;
    let id = alone.findings().await[0]["id"].as_str().unwrap().to_owned();
    let accepted = json!({"state": "accepted", "note": "known"});
    assert_eq!(alone.admin_post(&format!("/api/findings/{id}"), &accepted).await.status, 200);
    assert_eq!(alone.flip("postgres", true).await.status, 200);
    let audit = alone.admin_get("/api/audit").await.json();
    alone.terminate();
    let server = Server::start().await;
    let first = alone.stopped().await.argument("--state", &server.url).start().await;
    let other = replicas(1, &from, &to, &server.url).await.remove(0);
    for replica in [&first, &other] {
        wait_until("it is accepted", async || {
            let findings = replica.findings().await;
            findings.len() == 1 && findings[0]["state"] == "accepted" && findings[0]["count"] == 150
        })
        .await;
        wait_until("evidence is there", async || condition(replica, "evidence").await["actual"] == 150).await;
        assert_eq!(replica.admin_get("/api/audit").await.json(), audit);
    }
    // What all know to be accepted is so where one starts without the state store.
    other.terminate();
    let other = other.stopped().await;
    server.kill9();
    let other = other.start().await;
    assert_eq!(other.findings().await[0]["state"], "accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watch_judges_what_all_replicas_saw() {
    let from = Upstream::always(Reply::json("{\"n\":1}")).await;
    let to = Upstream::start(|request| {
        if request.target.ends_with('3') { Reply::status(500) } else { Reply::json("{\"n\":1}") }
    })
    .await;
    let all = replicas(3, &from, &to, &pg_database().await).await;
    assert_eq!(all[0].flip("postgres", true).await.status, 200);
    all_follow(&all, "postgres").await;
    // None of them sees the 50 that a verdict takes.
    for (n, replica) in all.iter().enumerate() {
        ask_all(replica, (n * 40..n * 40 + 40).map(|n| format!("/read/{n}"))).await;
    }
    all_follow(&all, "sqlite").await;
    let reason = status(&all[1]).await["latch"]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("answers of the new primary failed"), "{reason}");
}
