//! What reads know of writes: a difference that a write on its way explains is none, and nobody reads behind his own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;

use crate::harness::{Flipgate, Setup, wait_until};
use crate::upstream::{Reply, Upstream};

const CONFIG: &str = r#"
preset = "none"
[[routes]]
match = "/items/{id}"
[[routes]]
match = "/items"
[writes]
routes = ["POST /items/{id}"]
[recheck]
after = [0.05, 0.1]
control_share = 0.0
"#;

/// A store of one number that every write raises, whatever the record.
struct Store {
    upstream: Upstream,
    takes_writes: Arc<AtomicBool>,
}

impl Store {
    async fn start(name: &'static str) -> Self {
        let (takes_writes, value) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let takes = Arc::clone(&takes_writes);
        let upstream =
            Upstream::start(move |request| match (request.method.as_str(), request.target.as_str()) {
                // These never agree.
                ("GET", "/items/broken") => Reply::json(format!("{{\"store\":\"{name}\"}}")),
                ("GET", _) => Reply::json(format!("{{\"n\":{}}}", value.load(Ordering::SeqCst))),
                _ if takes.load(Ordering::SeqCst) => {
                    value.fetch_add(1, Ordering::SeqCst);
                    Reply::status(200)
                }
                _ => Reply::status(503),
            });
        Self { upstream: upstream.await, takes_writes }
    }
}

async fn between(from: &Store, to: &Store) -> Flipgate {
    Setup::with_config(&from.upstream.url(), &to.upstream.url(), CONFIG).start().await
}

async fn outcomes(flipgate: &Flipgate, route: &str, outcome: &str, reason: &str) -> f64 {
    let labels = [("route", route), ("outcome", outcome), ("reason", reason)];
    flipgate.settled().await.sum("flipgate_outcomes_total", &labels)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_while_its_write_is_pending_is_transient_and_what_stays_is_a_mismatch() {
    let (from, to) = (Store::start("a").await, Store::start("b").await);
    let flipgate = between(&from, &to).await;
    to.takes_writes.store(false, Ordering::SeqCst);
    assert_eq!(flipgate.request("POST", "/items/x", &[], b"1").await.status, 200);
    for (target, route) in [("/items/X", "/items/{id}"), ("/items", "/items")] {
        wait_until("it is explained", async || {
            flipgate.get(target).await;
            outcomes(&flipgate, route, "transient", "write_pending").await > 0.0
        })
        .await;
    }
    assert!(flipgate.findings().await.is_empty());
    // Another record, and a broken one: no write explains them.
    wait_until("both are found", async || {
        flipgate.get("/items/y").await;
        flipgate.get("/items/broken").await;
        flipgate.settled().await;
        flipgate.findings().await.len() == 2
    })
    .await;
    to.takes_writes.store(true, Ordering::SeqCst);
    wait_until("the record agrees again", async || {
        flipgate.get("/items/x").await;
        outcomes(&flipgate, "/items/{id}", "match", "").await > 0.0
    })
    .await;
    // A lasting defect of a record that is written to shows once its writes are over.
    flipgate.request("POST", "/items/broken", &[], b"1").await;
    let before = outcomes(&flipgate, "/items/{id}", "mismatch", "").await
        + outcomes(&flipgate, "/items/{id}", "mismatch", "known").await;
    wait_until("it counts again", async || {
        flipgate.get("/items/broken").await;
        let now = outcomes(&flipgate, "/items/{id}", "mismatch", "").await
            + outcomes(&flipgate, "/items/{id}", "mismatch", "known").await;
        now > before
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_a_split_dial_a_client_does_not_read_behind_its_own_write() {
    let (from, to) = (Store::start("a").await, Store::start("b").await);
    let config = format!("{CONFIG}[dial]\ncookie = \"session\"\n");
    let flipgate = Setup::with_config(&from.upstream.url(), &to.upstream.url(), &config).start().await;
    let dial = json!({"percent": 50, "reason": "a test", "force": true});
    assert_eq!(flipgate.admin_post("/api/dial", &dial).await.status, 200);
    let served = async |cookie: &str| {
        let answer = flipgate.request("GET", "/items", &[("Cookie", cookie)], b"").await;
        answer.header("x-flipgate-primary").unwrap().to_owned()
    };
    let mut clients = Vec::new();
    for number in 0..30 {
        let cookie = format!("session={number}");
        if served(&cookie).await == "postgres" {
            clients.push(cookie);
        }
    }
    let [one, other, ..] = clients.as_slice() else { panic!("{clients:?}") };
    to.takes_writes.store(false, Ordering::SeqCst);
    flipgate.request("POST", "/items/x", &[("Cookie", one)], b"1").await;
    assert_eq!((served(one).await.as_str(), served(other).await.as_str()), ("sqlite", "postgres"));
    to.takes_writes.store(true, Ordering::SeqCst);
    wait_until("it reads there again", async || served(one).await == "postgres").await;
}
