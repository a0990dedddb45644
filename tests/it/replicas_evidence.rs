//! What replicas tell each other of evidence, findings and acceptances, and what they must not.

use sqlx::Connection as _;

use crate::harness::{Setup, pg_database, wait_until};
use crate::lag_and_noise::{ask_all, condition};
use crate::replicas::{CONFIG, named, replicas, status};

/// What a statement answers in the state store.
async fn count(state: &str, sql: &'static str) -> i64 {
    let mut connection = sqlx::PgConnection::connect(state).await.unwrap();
    sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
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
    wait_until("it has read", async || condition(&joined, "evidence").await["actual"] != 0).await;
    assert_eq!(condition(&joined, "evidence").await["actual"], 150);
}
