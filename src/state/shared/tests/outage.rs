//! A server that is away for a while, and those who wait for its word.

use std::time::Instant;

use super::door::{Door, Way};
use super::*;

const SHORT: Duration = Duration::from_millis(500);

fn is_unreachable<T: std::fmt::Debug>(result: Result<T, SharedError>) -> bool {
    matches!(&result, Err(error @ SharedError::Unreachable(why)) if {
        let shown = format!("{error} {error:?}");
        why.ends_with('.') && !shown.contains("hunter2")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_is_unreachable_at_once_and_works_again_when_it_is_back() {
    let database = Database::new().await;
    let mut door = Door::before(&database.url).await;
    let store = SharedStore::new(&door.url(&database.url), "a").unwrap();
    // All connections are made, and idle when they are cut.
    let calls = (0..8).map(|_| store.record());
    futures_util::future::join_all(calls).await.into_iter().for_each(|record| drop(record.unwrap()));
    door.shut().await;
    let begun = Instant::now();
    for _ in 0..6 {
        assert!(is_unreachable(store.record().await));
        assert!(is_unreachable(store.push(&[document("v1", "k", "d")]).await));
        assert!(is_unreachable(store.listen().await));
    }
    assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
    door.open().await;
    assert_eq!(store.record().await.unwrap(), None);
    assert_eq!(store.compare_and_set(None, &record(1, "sqlite"), &[]).await.unwrap(), Set::Done);
    // Cut and back before anyone notices: no call is lost on connections that died.
    door.shut().await;
    door.open().await;
    assert_eq!(store.compare_and_set(Some(1), &record(2, "sqlite"), &[]).await.unwrap(), Set::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_silent_is_unreachable_by_the_deadline() {
    let database = Database::new().await;
    let door = Door::before(&database.url).await;
    let bounds = Bounds { deadline: SHORT, ..Bounds::default() };
    let store = SharedStore::bounded(&door.url(&database.url), "a", bounds).unwrap();
    store.record().await.unwrap();
    door.set(Way::Silent);
    let begun = Instant::now();
    let calls = (0..12).map(|_| store.record());
    assert!(futures_util::future::join_all(calls).await.into_iter().all(is_unreachable));
    assert!(is_unreachable(store.listen().await));
    assert!((SHORT..SHORT * 6).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    door.set(Way::Open);
    store.record().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_lock_too_long_changes_nothing_later() {
    let database = Database::new().await;
    let bounds = Bounds { deadline: SHORT, ..Bounds::default() };
    let store = database.bounded("a", bounds);
    store.compare_and_set(None, &record(1, "sqlite"), &[]).await.unwrap();
    let mut holder = database.connection().await;
    holder.execute(sqlx::raw_sql("BEGIN; SELECT * FROM flipgate.record FOR UPDATE")).await.unwrap();
    assert!(is_unreachable(store.compare_and_set(Some(1), &record(2, "postgres"), &[entry("flip")]).await));
    // Reading does not wait for it.
    assert_eq!(store.record().await.unwrap(), Some(record(1, "sqlite")));
    holder.execute("COMMIT").await.unwrap();
    // Whoever was left waiting is gone once its lock is free.
    holder.execute(sqlx::raw_sql("BEGIN; LOCK flipgate.record IN EXCLUSIVE MODE; COMMIT")).await.unwrap();
    assert_eq!(store.record().await.unwrap(), Some(record(1, "sqlite")));
    assert_eq!(store.audit(10).await.unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_an_answer_is_unreachable_and_may_be_done() {
    let database = Database::new().await;
    let door = Door::before(&database.url).await;
    let store = SharedStore::new(&door.url(&database.url), "a").unwrap();
    door.set(Way::DeafAfterCommit);
    assert!(is_unreachable(store.compare_and_set(None, &record(1, "sqlite"), &[entry("flip")]).await));
    door.set(Way::Open);
    assert_eq!(store.record().await.unwrap(), Some(record(1, "sqlite")));
    assert_eq!(store.audit(10).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_wakes_when_another_replica_changes_something_and_only_then() {
    let database = Database::new().await;
    let (a, b) = (database.store("a"), database.store("b"));
    let mut listener = a.listen().await.unwrap();
    b.compare_and_set(None, &record(1, "sqlite"), &[]).await.unwrap();
    b.compare_and_set(Some(1), &record(2, "postgres"), &[]).await.unwrap();
    woken(&mut listener).await;
    // The second may be told by itself, but no more than the two are.
    drop(tokio::time::timeout(SHORT, listener.changed()).await);
    b.compare_and_set(Some(1), &record(3, "sqlite"), &[]).await.unwrap();
    b.note(&[entry("note")]).await.unwrap();
    tokio::time::timeout(SHORT, listener.changed()).await.unwrap_err();
    b.compare_and_set(Some(2), &record(3, "sqlite"), &[]).await.unwrap();
    woken(&mut listener).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_says_that_its_connection_is_lost_and_stays_lost() {
    let database = Database::new().await;
    let store = database.store("a");
    let mut listener = store.listen().await.unwrap();
    let killed = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    assert!(database.count(killed).await >= 1);
    let lost = tokio::time::timeout(DEADLINE, listener.changed()).await.unwrap();
    assert!(is_unreachable(lost));
    assert!(is_unreachable(tokio::time::timeout(DEADLINE, listener.changed()).await.unwrap()));
    assert!(format!("{listener:?}").contains("lost: true"));
    let mut listener = store.listen().await.unwrap();
    store.compare_and_set(None, &record(1, "sqlite"), &[]).await.unwrap();
    woken(&mut listener).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_whose_server_fell_silent_notices() {
    let database = Database::new().await;
    let door = Door::before(&database.url).await;
    let bounds = Bounds { deadline: SHORT, silence: SHORT, ..Bounds::default() };
    let store = SharedStore::bounded(&door.url(&database.url), "a", bounds).unwrap();
    let mut listener = store.listen().await.unwrap();
    // A silence alone is not a loss.
    tokio::time::timeout(SHORT * 4, listener.changed()).await.unwrap_err();
    door.set(Way::Silent);
    let lost = tokio::time::timeout(DEADLINE, listener.changed()).await.unwrap();
    assert!(is_unreachable(lost));
}

#[test]
fn a_listener_may_be_dropped_where_no_runtime_is() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(async {
        let database = Database::new().await;
        database.store("a").listen().await.unwrap()
    });
    drop(listener);
}
