//! Writes of one record keep their order, whatever the second store does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::harness::{Setup, wait_until};
use crate::replicas::Server;
use crate::upstream::{Reply, Upstream};
use crate::written::{Stores, Write, Writer, all_delivered};

const UPDATES: i64 = 1000;
const VIDEO: &str = "oNe-_vIdE0o";

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_updates_of_one_video_arrive_in_order_though_postgresql_is_down_for_half_of_them() {
    let server = Server::durable().await;
    let stores = Stores::generated(&server.url).await;
    let flipgate = stores.setup(&server.url, "").start().await;
    let mut writer = Writer::to(flipgate.proxy);
    for update in 1..=UPDATES {
        if update == UPDATES / 2 {
            server.kill9();
        }
        writer.taken(&Write::report(VIDEO, &format!("title {update}"), &text(update))).await;
    }
    let behind = flipgate.admin_get("/api/writes").await.json()["total"].as_i64().unwrap();
    assert!(behind >= UPDATES / 2, "PostgreSQL was down, and only {behind} wait for it");
    server.restart().await;
    all_delivered(&flipgate).await;
    let wanted: Vec<(i64, String)> = (1..=UPDATES).map(|update| (update, text(update))).collect();
    for (store, mut records) in [("sqlite", stores.in_sqlite()), ("postgres", stores.in_postgres().await)] {
        let record = records.remove(VIDEO).unwrap();
        assert_eq!(record.title, format!("title {UPDATES}"), "{store}");
        let lost: Vec<_> = wanted.iter().filter(|one| !record.revisions.contains(one)).collect();
        assert!(lost.is_empty(), "{store} lost {lost:?}");
        assert!(record.revisions == wanted, "{store}: {:?}", record.revisions);
    }
    stores.assert_equal().await;
}

fn text(update: i64) -> String {
    format!("summary {update}")
}

/// A server that takes writes, or says that it is not there.
async fn follower(is_up: &Arc<AtomicBool>, taken: &Arc<Mutex<Vec<String>>>) -> Upstream {
    let (is_up, taken) = (Arc::clone(is_up), Arc::clone(taken));
    Upstream::start(move |request| {
        if !is_up.load(Ordering::SeqCst) {
            return Reply::status(503);
        }
        if request.method != "GET" {
            taken.lock().unwrap().push(String::from_utf8(request.body.clone()).unwrap());
        }
        Reply::json("{}")
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_503_to_half_of_a_thousand_updates_gets_all_of_them_in_order() {
    let (is_up, taken) = (Arc::new(AtomicBool::new(true)), Arc::default());
    let leader = Upstream::always(Reply::json("{}")).await;
    let follower = follower(&is_up, &taken).await;
    let config = "preset = \"none\"\n[writes]\nroutes = [\"PUT /notes/{id}\"]\n";
    let flipgate = Setup::with_config(&leader.url(), &follower.url(), config).start().await;
    let mut connection = crate::client::Connection::open(flipgate.proxy).await.unwrap();
    let wanted: Vec<String> = (1..=UPDATES).map(|update| format!("note {update}")).collect();
    for (place, body) in wanted.iter().enumerate() {
        is_up.store(place < wanted.len() / 2, Ordering::SeqCst);
        let answer = connection.request("PUT", "/notes/one", &[], body.as_bytes()).await.unwrap();
        assert_eq!(answer.status, 200, "{body}");
    }
    wait_until("the follower was asked in vain", async || {
        flipgate.metrics().await.sum("flipgate_writes_total", &[("result", "retried")]) > 0.0
    })
    .await;
    is_up.store(true, Ordering::SeqCst);
    all_delivered(&flipgate).await;
    let taken: Vec<String> = taken.lock().unwrap().clone();
    assert_eq!(taken, wanted, "what the follower took");
    let bodies = |upstream: &Upstream| -> Vec<String> {
        let requests = upstream.requests("/notes/one");
        requests.into_iter().map(|request| String::from_utf8(request.body).unwrap()).collect()
    };
    assert_eq!(bodies(&leader), wanted, "the leader got each once");
    let mut asked = bodies(&follower);
    asked.dedup();
    assert_eq!(asked, wanted, "none overtook another, not even in vain");
}
