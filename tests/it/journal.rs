//! Writes over HTTP: to the leader first, journalled for the follower, in order, once or known to be in doubt.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::{Value, json};

use crate::harness::{Flipgate, ROUTES, Setup, wait_until};
use crate::upstream::{Recorded, Reply, Upstream};

/// What is written here, and how little may wait.
const WRITES: &str = r#"
[writes]
routes = ["POST /items", "POST /items/{id}", "DELETE /items/{id}", "POST /delete"]
read_back = "/read/{id}"
"#;

/// A follower that answers writes with a status that the test sets.
pub(crate) struct Follower {
    pub(crate) upstream: Upstream,
    status: Arc<AtomicU16>,
}

impl Follower {
    pub(crate) async fn start(status: u16) -> Self {
        let status = Arc::new(AtomicU16::new(status));
        let answered = Arc::clone(&status);
        let upstream = Upstream::start(move |request| {
            if request.method == "GET" {
                Reply::json("{}")
            } else {
                Reply::status(answered.load(Ordering::SeqCst))
            }
        });
        Self { upstream: upstream.await, status }
    }

    pub(crate) fn answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    pub(crate) fn bodies(&self, target: &str) -> Vec<String> {
        bodies(&self.upstream.requests(target))
    }
}

fn bodies(requests: &[Recorded]) -> Vec<String> {
    requests.iter().map(|request| String::from_utf8(request.body.clone()).unwrap()).collect()
}

pub(crate) fn setup(from: &Upstream, to: &Upstream) -> Setup {
    Setup::with_config(&from.url(), &to.url(), &format!("{ROUTES}{WRITES}"))
}

async fn writes(flipgate: &Flipgate, state: &str) -> Vec<Value> {
    let target =
        if state.is_empty() { "/api/writes".to_owned() } else { format!("/api/writes?state={state}") };
    flipgate.admin_get(&target).await.json()["writes"].as_array().unwrap().clone()
}

pub(crate) async fn until_delivered(flipgate: &Flipgate) {
    wait_until("nothing waits", async || writes(flipgate, "").await.is_empty()).await;
}

pub(crate) async fn until(flipgate: &Flipgate, state: &str, count: usize) -> Vec<Value> {
    let what = format!("{count} are {state}");
    wait_until(&what, async || writes(flipgate, state).await.len() == count).await;
    writes(flipgate, state).await
}

/// What an operator asks of a write.
pub(crate) async fn act(flipgate: &Flipgate, write: &Value, action: &str) -> u16 {
    let id = write["id"].as_str().unwrap();
    let body = json!({"action": action, "reason": "a test"});
    flipgate.admin_post(&format!("/api/writes/{id}"), &body).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_goes_to_the_leader_and_then_as_it_is_to_the_follower() {
    let leader = Upstream::always(Reply::status(201).header("X-Id", "7").body("made")).await;
    let follower = Follower::start(200).await;
    let flipgate = setup(&leader, &follower.upstream).start().await;
    let headers = [("Content-Type", "application/json"), ("Authorization", "Bearer x"), ("X-Odd", "é")];
    let answer = flipgate.request("POST", "/items?a=%20b", &headers, br#"{"id":1}"#).await;
    assert_eq!((answer.status, answer.text(), answer.header("x-id")), (201, "made", Some("7")));
    assert_eq!(answer.header("x-flipgate-primary"), Some("sqlite"));
    until_delivered(&flipgate).await;
    let (first, second) = (leader.requests("/items?a=%20b"), follower.upstream.requests("/items?a=%20b"));
    let ([first], [second]) = (first.as_slice(), second.as_slice()) else { panic!("{first:?} {second:?}") };
    assert_eq!((&first.method, &first.body), (&second.method, &second.body));
    for name in ["content-type", "authorization", "x-odd", "idempotency-key", "content-length", "host"] {
        assert!(first.headers.get(name).is_some(), "{name}");
        assert_eq!(first.headers.get(name), second.headers.get(name), "{name}");
    }
    assert_eq!(
        (first.headers.get("x-flipgate-role"), second.headers.get("x-flipgate-role")),
        (None, Some("follower"))
    );
    let metrics = flipgate.assert_outcomes(&[("skipped", 1)]).await;
    assert_eq!(metrics.sum("flipgate_outcomes_total", &[("reason", "write")]), 1.0);
    for (backend, result) in [("sqlite", "taken"), ("postgres", "delivered")] {
        assert_eq!(metrics.sum("flipgate_writes_total", &[("backend", backend), ("result", result)]), 1.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_leader_refuses_goes_nowhere_but_a_delete_of_what_is_not_there_does() {
    let leader = Upstream::always(Reply::status(404)).await;
    let follower = Follower::start(404).await;
    let flipgate = setup(&leader, &follower.upstream).start().await;
    assert_eq!(flipgate.request("POST", "/items", &[], b"{}").await.status, 404);
    assert_eq!(flipgate.request("DELETE", "/items/a", &[], b"").await.status, 404);
    assert_eq!(flipgate.request("POST", "/delete", &[], br#"{"id":"a"}"#).await.status, 404);
    until_delivered(&flipgate).await;
    assert!(follower.bodies("/items").is_empty());
    assert_eq!((follower.bodies("/items/a").len(), follower.bodies("/delete").len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_writes_go_to_one_backend_only() {
    let leader = Upstream::always(Reply::status(200)).await;
    let follower = Follower::start(200).await;
    let flipgate = setup(&leader, &follower.upstream).start().await;
    flipgate.request("POST", "/ingest/audio", &[], b"x").await;
    flipgate.request("PUT", "/items", &[], b"x").await;
    let primary = flipgate.stopped_with("mode = \"primary\"").await;
    primary.request("POST", "/items", &[], b"x").await;
    assert_eq!(leader.requests("/items").len(), 2);
    assert!(follower.bodies("/items").is_empty() && follower.bodies("/ingest/audio").is_empty());
}

impl Flipgate {
    /// Started again with another mode of writes.
    async fn stopped_with(self, mode: &str) -> Flipgate {
        self.terminate();
        self.stopped().await.config(&format!("{ROUTES}{WRITES}{mode}\n")).start().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboards_own_variable_turns_mirroring_off() {
    let leader = Upstream::always(Reply::status(200)).await;
    let follower = Follower::start(200).await;
    let setup = setup(&leader, &follower.upstream).environment("DUAL_WRITE_MODE", "false");
    let flipgate = setup.start().await;
    flipgate.request("POST", "/items", &[], b"x").await;
    assert_eq!(flipgate.admin_get("/api/writes").await.json()["mode"], "primary");
    assert!(follower.bodies("/items").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_follower_is_away_writes_wait_in_order_and_no_flip_leaves_them_behind() {
    let leader = Upstream::always(Reply::status(200)).await;
    let follower = Follower::start(503).await;
    let flipgate = setup(&leader, &follower.upstream).start().await;
    for number in 0..5 {
        let body = format!("{{\"id\":\"a\",\"n\":{number}}}");
        assert_eq!(flipgate.request("POST", "/items", &[], body.as_bytes()).await.status, 200);
    }
    flipgate.request("POST", "/items/b", &[], b"other").await;
    until(&flipgate, "pending", 6).await;
    let refused = flipgate.flip("postgres", true).await;
    assert_eq!(refused.status, 409);
    assert!(
        refused.text().contains("POST /items") && refused.text().contains("pending"),
        "{}",
        refused.text()
    );
    assert_eq!(flipgate.primary().await, "sqlite");
    assert_eq!(flipgate.metrics().await.sum("flipgate_writes_pending", &[("backend", "postgres")]), 6.0);
    follower.answers(200);
    until_delivered(&flipgate).await;
    let done = follower.bodies("/items");
    let wanted: Vec<String> = (0..5).map(|number| format!("{{\"id\":\"a\",\"n\":{number}}}")).collect();
    // Each may have been tried before; the last tries are the deliveries.
    let mut distinct = done.clone();
    distinct.dedup();
    assert_eq!(distinct, wanted);
    assert_eq!(flipgate.flip("postgres", true).await.status, 200);
    // From now on the other one leads.
    flipgate.request("POST", "/items/c", &[], b"new").await;
    until_delivered(&flipgate).await;
    assert_eq!((leader.requests("/items/c").len(), follower.bodies("/items/c").len()), (1, 1));
    assert_eq!(leader.requests("/items/c")[0].headers.get("x-flipgate-role"), Some("follower"));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_what_was_taken_is_delivered_and_once_only() {
    let leader = Upstream::always(Reply::status(200)).await;
    let follower = Follower::start(503).await;
    let flipgate = setup(&leader, &follower.upstream).start().await;
    for number in 0..20 {
        let target = format!("/items/{}", number % 3);
        assert_eq!(flipgate.request("POST", &target, &[], number.to_string().as_bytes()).await.status, 200);
    }
    let setup = flipgate.kill9();
    follower.answers(200);
    let flipgate = setup.start().await;
    until_delivered(&flipgate).await;
    for key in 0..3 {
        let mut bodies = follower.bodies(&format!("/items/{key}"));
        bodies.dedup();
        let wanted: Vec<String> = (0..20).filter(|n| n % 3 == key).map(|n| n.to_string()).collect();
        assert_eq!(bodies, wanted);
    }
    assert_eq!((0..3).map(|key| leader.requests(&format!("/items/{key}")).len()).sum::<usize>(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_journalled_is_sent_nowhere() {
    let leader = Upstream::always(Reply::status(200)).await;
    let follower = Follower::start(503).await;
    let bounds = format!("{ROUTES}{WRITES}body = 100\nentries = 3\n");
    let flipgate = Setup::with_config(&leader.url(), &follower.upstream.url(), &bounds).start().await;
    for coding in [&[][..], &[("Transfer-Encoding", "chunked")]] {
        assert_eq!(flipgate.request("POST", "/items", coding, &[b'x'; 101]).await.status, 413);
    }
    for number in 0..3 {
        assert_eq!(
            flipgate.request("POST", &format!("/items/{number}"), &[], &[b'x'; 100]).await.status,
            200
        );
    }
    let full = flipgate.request("POST", "/items/4", &[], b"x").await;
    assert_eq!((full.status, full.header("retry-after")), (503, Some("1")));
    assert!(leader.requests("/items").is_empty() && leader.requests("/items/4").is_empty());
    let metrics = flipgate.metrics().await;
    for (reason, count) in [("too_large", 2.0), ("full", 1.0)] {
        assert_eq!(metrics.sum("flipgate_journal_refused_total", &[("reason", reason)]), count, "{reason}");
    }
    follower.answers(200);
    until_delivered(&flipgate).await;
    assert_eq!(flipgate.request("POST", "/items/4", &[], b"x").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_request_can_be_read_on_disk() {
    let leader = Upstream::always(Reply::status(200)).await;
    let follower = Follower::start(503).await;
    let flipgate =
        setup(&leader, &follower.upstream).environment("SYNC_SECRET", "sync-secret-1").start().await;
    let headers = [("Authorization", "Bearer sync-secret-1"), ("Cookie", "session=cookie-secret-2")];
    flipgate.request("POST", "/items?token=query-secret-3", &headers, b"body-secret-4").await;
    until(&flipgate, "pending", 1).await;
    let state = flipgate.path("state");
    let mut files = 0;
    for file in std::fs::read_dir(&state).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).unwrap();
        for secret in ["sync-secret-1", "cookie-secret-2", "query-secret-3", "body-secret-4"] {
            let has = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!has, "{name} has {secret}");
        }
        if name.starts_with("journal") {
            files += 1;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        }
    }
    assert!(files >= 2, "no journal in {}", state.display());
    assert!(!flipgate.admin_get("/api/writes").await.text().contains("secret"));
    // Rotated, the new one is delivered.
    let flipgate = flipgate.kill9().environment("SYNC_SECRET", "sync-secret-9").start().await;
    follower.answers(200);
    until_delivered(&flipgate).await;
    let requests = follower.upstream.requests("/items?token=query-secret-3");
    assert_eq!(requests.last().unwrap().headers.get("authorization"), Some("Bearer sync-secret-9"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_waits_for_what_its_record_has_pending_for_a_new_leader() {
    let from = Follower::start(200).await;
    let to = Follower::start(200).await;
    let flipgate = setup(&from.upstream, &to.upstream).start().await;
    assert_eq!(flipgate.flip("postgres", true).await.status, 200);
    from.answers(503);
    flipgate.request("POST", "/items/a", &[], b"one").await;
    until(&flipgate, "pending", 1).await;
    let back = flipgate.admin_post("/api/rollback", &json!({"reason": "a test"})).await;
    assert_eq!((back.status, &back.json()["cost"]["pending"]), (200, &json!(1)));
    let later = {
        let proxy = flipgate.proxy;
        tokio::spawn(async move { crate::client::request(proxy, "POST", "/items/a", &[], b"two").await })
    };
    assert_eq!(flipgate.request("POST", "/items/b", &[], b"other").await.status, 503);
    from.answers(200);
    assert_eq!(later.await.unwrap().unwrap().status, 200);
    until_delivered(&flipgate).await;
    let mut bodies = from.bodies("/items/a");
    bodies.dedup();
    assert_eq!(bodies, ["one", "two"]);
    assert_eq!(to.bodies("/items/a"), ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_names_more_than_can_be_locked_waits_for_all_and_all_wait_for_it() {
    let leader = Upstream::always(Reply::status(200)).await;
    let follower = Follower::start(503).await;
    let flipgate = setup(&leader, &follower.upstream).start().await;
    let ids: Vec<String> = (0..150).map(|number| format!("\"{number}\"")).collect();
    let many = format!("{{\"ids\":[{}]}}", ids.join(","));
    for (target, body) in [("/items/7", "before"), ("/delete", &many), ("/items/7", "after")] {
        assert_eq!(flipgate.request("POST", target, &[], body.as_bytes()).await.status, 200);
    }
    until(&flipgate, "pending", 3).await;
    // Each that may go has been tried by now: they are looked for together.
    wait_until("the first is tried again and again", async || follower.bodies("/items/7").len() > 2).await;
    assert_eq!(follower.bodies("/delete").len(), 0, "it went by a write of one of its records");
    follower.answers(200);
    until_delivered(&flipgate).await;
    assert_eq!(follower.bodies("/items/7").last().map(String::as_str), Some("after"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_with_more_slashes_than_it_needs_goes_to_both_as_it_is() {
    let leader = Upstream::always(Reply::status(200)).await;
    let follower = Follower::start(200).await;
    let flipgate = setup(&leader, &follower.upstream).start().await;
    for target in ["//items", "/items/"] {
        assert_eq!(flipgate.request("POST", target, &[], b"x").await.status, 200);
        until_delivered(&flipgate).await;
        assert_eq!((leader.requests(target).len(), follower.bodies(target).len()), (1, 1), "{target}");
    }
}
