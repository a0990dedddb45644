//! Writes about which something is not known, or which the follower refuses: listed, never sent to the leader again,
//! decided by an operator.

use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::json;

use crate::client::Connection;
use crate::harness::{Flipgate, wait_until};
use crate::journal::{Follower, act, setup, until, until_delivered};
use crate::upstream::{Gate, Reply, Step, Upstream};

/// A write of `one` to `/items/a` that the leader has and does not answer.
struct Held {
    leader: Upstream,
    follower: Follower,
    flipgate: Flipgate,
    /// Lets the leader answer.
    gate: Gate,
    connection: Connection,
}

impl Held {
    async fn with_the_leader() -> Self {
        let gate = Gate::shut();
        let leader = Upstream::always(Reply::status(200).first(Step::Await(gate.clone()))).await;
        let follower = Follower::start(200).await;
        let flipgate = setup(&leader, &follower.upstream).start().await;
        let mut connection = Connection::open(flipgate.proxy).await.unwrap();
        connection.send(b"POST /items/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\none").await.unwrap();
        wait_until("the leader has it", async || leader.requests("/items/a").len() == 1).await;
        Self { leader, follower, flipgate, gate, connection }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_for_good_is_parked_gone_by_and_decided_by_an_operator() {
    let leader = Upstream::always(Reply::status(200)).await;
    let follower = Follower::start(422).await;
    let flipgate = setup(&leader, &follower.upstream).start().await;
    flipgate.request("POST", "/items/a", &[], b"one").await;
    flipgate.request("POST", "/items/b", &[], b"two").await;
    let parked = until(&flipgate, "parked", 2).await;
    assert!(parked[0]["last_error"].as_str().unwrap().contains("422"), "{parked:?}");
    assert_eq!(flipgate.flip("postgres", true).await.status, 409);
    follower.answers(200);
    // A later write of the same record goes by.
    flipgate.request("POST", "/items/a", &[], b"three").await;
    until(&flipgate, "pending", 0).await;
    assert_eq!(act(&flipgate, &parked[0], "retry").await, 409);
    let flipgate = flipgate.kill9().start().await;
    assert_eq!(act(&flipgate, &parked[0], "retry").await, 409);
    assert_eq!(act(&flipgate, &parked[1], "retry").await, 200);
    until(&flipgate, "parked", 1).await;
    assert_eq!(act(&flipgate, &parked[0], "discard").await, 200);
    until_delivered(&flipgate).await;
    assert_eq!(act(&flipgate, &parked[0], "discard").await, 404);
    assert_eq!(follower.bodies("/items/b").last().map(String::as_str), Some("two"));
    let audit = flipgate.admin_get("/api/audit").await.json();
    let actions: Vec<&str> =
        audit["entries"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["write_discard", "write_retry"]);
    assert_eq!(flipgate.flip("postgres", true).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_answer_leaves_a_write_in_doubt_and_the_leader_is_never_asked_again() {
    let leader = Upstream::start(|request| match (request.method.as_str(), request.target.as_str()) {
        ("GET", "/read/gone") => Reply::status(404),
        ("GET", _) => Reply::json("{}"),
        (_, "/items/cut") => Reply::json("{\"a\":").claiming(9).cut(),
        (_, "/items/second") => Reply::status(200).body("HTTP/1.0 500 Internal Server Error\r\n\r\n"),
        (_, "/items/gateway") => Reply::status(504),
        _ => Reply::status(200).first(Step::Send("HT".into())).cut(),
    })
    .await;
    let follower = Follower::start(200).await;
    let flipgate = setup(&leader, &follower.upstream).start().await;
    for (target, status) in
        [("/items/cut", 502), ("/items/second", 502), ("/items/gateway", 504), ("/items/x", 502)]
    {
        assert_eq!(flipgate.request("POST", target, &[], b"x").await.status, status, "{target}");
    }
    // Reading it back says that it was done.
    assert_eq!(flipgate.request("DELETE", "/items/gone", &[], b"").await.status, 502);
    assert_eq!(flipgate.request("DELETE", "/items/there", &[], b"").await.status, 502);
    let doubts = until(&flipgate, "in_doubt", 5).await;
    wait_until("the delete is delivered", async || follower.bodies("/items/gone").len() == 1).await;
    assert_eq!(flipgate.flip("postgres", true).await.status, 409);
    let flipgate = flipgate.kill9().start().await;
    assert_eq!(until(&flipgate, "in_doubt", 5).await[0]["id"], doubts[0]["id"]);
    assert_eq!(act(&flipgate, &doubts[0], "retry").await, 200);
    for doubt in &doubts[1..] {
        assert_eq!(act(&flipgate, doubt, "discard").await, 200);
    }
    until_delivered(&flipgate).await;
    assert_eq!(follower.bodies("/items/cut"), ["x"]);
    for target in ["/items/cut", "/items/second", "/items/gateway", "/items/x", "/items/gone", "/items/there"]
    {
        assert_eq!(leader.requests(target).len(), 1, "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_the_leader_has_it_leaves_it_in_doubt() {
    let Held { leader, follower, flipgate, gate: _gate, connection: _connection } =
        Held::with_the_leader().await;
    let flipgate = flipgate.kill9().start().await;
    let [doubt] = until(&flipgate, "in_doubt", 1).await.try_into().unwrap();
    assert_eq!(doubt["leader"], "sqlite");
    assert_eq!(act(&flipgate, &doubt, "retry").await, 200);
    until_delivered(&flipgate).await;
    assert_eq!((leader.requests("/items/a").len(), follower.bodies("/items/a")), (1, vec!["one".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_who_hangs_up_changes_nothing() {
    let Held { leader: _leader, follower, flipgate, gate, connection } = Held::with_the_leader().await;
    drop(connection);
    flipgate.assert_outcomes(&[("incomplete", 1)]).await;
    gate.open();
    wait_until("it is delivered", async || follower.bodies("/items/a") == ["one"]).await;
    until_delivered(&flipgate).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_was_parked_after_a_try_keeps_no_other_from_being_tried_again() {
    let leader = Upstream::always(Reply::status(200)).await;
    let (parked, late) = (AtomicU16::new(0), AtomicU16::new(0));
    let follower = Upstream::start(move |request| {
        let answers: (&AtomicU16, &[u16]) = if request.target == "/items/parked" {
            (&parked, &[503, 422])
        } else {
            (&late, &[503, 503, 200])
        };
        let tries = usize::from(answers.0.fetch_add(1, Ordering::SeqCst));
        Reply::status(*answers.1.get(tries).unwrap_or(answers.1.last().unwrap()))
    })
    .await;
    let flipgate = setup(&leader, &follower).start().await;
    flipgate.request("POST", "/items/parked", &[], b"x").await;
    until(&flipgate, "parked", 1).await;
    flipgate.request("POST", "/items/late", &[], b"x").await;
    until(&flipgate, "pending", 0).await;
    assert_eq!(follower.requests("/items/late").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_does_not_undo_what_its_store_took_meanwhile_as_the_leader() {
    let from = Follower::start(422).await;
    let to = Follower::start(200).await;
    let flipgate = setup(&from.upstream, &to.upstream).start().await;
    assert_eq!(flipgate.flip("postgres", true).await.status, 200);
    flipgate.request("POST", "/items/a", &[], b"one").await;
    let parked = until(&flipgate, "parked", 1).await;
    flipgate.admin_post("/api/rollback", &json!({"reason": "a test"})).await;
    from.answers(200);
    to.answers(503);
    assert_eq!(flipgate.request("POST", "/items/a", &[], b"two").await.status, 200);
    until(&flipgate, "pending", 1).await;
    assert_eq!(act(&flipgate, &parked[0], "retry").await, 409);
    to.answers(200);
    until(&flipgate, "pending", 0).await;
    assert_eq!(act(&flipgate, &parked[0], "retry").await, 409);
    assert_eq!(from.bodies("/items/a").last().map(String::as_str), Some("two"));
}
