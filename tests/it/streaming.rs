//! Bodies reach the client as they come, in constant memory, and end when it leaves.

use bytes::Bytes;

use crate::client::Connection;
use crate::harness::{Flipgate, Setup, wait_until};
use crate::upstream::{Gate, Reply, Step, Upstream};

/// Five events, each sent only when the gate opens.
fn events(gate: &Gate) -> Reply {
    let mut reply =
        Reply::status(200).header("Content-Type", "text/event-stream").header("Cache-Control", "no-cache");
    for number in 1..=5 {
        reply = reply.step(Step::Await(gate.clone())).step(Step::Send(Bytes::from(event(number))));
    }
    reply
}

fn event(number: u32) -> String {
    format!("id: {number}\ndata: {{\"number\":{number}}}\n\n")
}

/// Reads five events, letting each be sent only after the one before arrived.
async fn assert_one_by_one(flipgate: &Flipgate, target: &str, gate: &Gate) {
    let mut connection = Connection::open(flipgate.proxy).await.unwrap();
    let mut coming = connection.begin("GET", target, &[], b"").await.unwrap();
    assert_eq!((coming.status, coming.headers.get("content-type")), (200, Some("text/event-stream")));
    for number in 1..=5 {
        gate.open();
        let mut received = Vec::new();
        while received.len() < event(number).len() {
            received.extend(coming.piece().await.unwrap().expect("the stream ended early"));
        }
        assert_eq!(String::from_utf8(received).unwrap(), event(number));
    }
    assert_eq!(coming.piece().await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_one_by_one() {
    let (gate, never) = (Gate::shut(), Gate::shut());
    let from = Upstream::always(events(&gate).chunked()).await;
    let to = Upstream::always(events(&never).chunked()).await;
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    assert_one_by_one(&flipgate, "/read/events", &gate).await;
    let metrics = flipgate.assert_outcomes(&[("skipped", 1)]).await;
    assert_eq!(metrics.by("flipgate_outcomes_total", "reason").into_keys().collect::<Vec<_>>(), ["stream"]);
    wait_until("the shadow's stream is given up", async || to.open() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_one_by_one_from_a_server_of_http_1_0() {
    let gate = Gate::shut();
    let stream = events(&gate).header("Connection", "keep-alive").http10();
    let from = Upstream::always(stream.clone()).await;
    let to = Upstream::always(stream).await;
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    assert_one_by_one(&flipgate, "/api/report-events", &gate).await;
    flipgate.assert_outcomes(&[("skipped", 1)]).await;
    assert_eq!(to.requests("/api/report-events").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_mebibytes_take_constant_memory() {
    const BLOCK: usize = 64 * 1024;
    const BLOCKS: usize = 1024;
    let block: Bytes = (0..BLOCK).map(|place| u8::try_from(place % 251).unwrap()).collect::<Vec<_>>().into();
    let reply = Reply::status(200).header("Content-Type", "application/octet-stream");
    let reply = reply.step(Step::Repeat(block.clone(), BLOCKS));
    let (from, to) = (Upstream::always(reply.clone()).await, Upstream::always(reply).await);
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    flipgate.admin_get("/metrics").await;
    let before = peak_memory(&flipgate);

    let mut connection = Connection::open(flipgate.proxy).await.unwrap();
    let mut coming = connection.begin("GET", "/read/film", &[], b"").await.unwrap();
    let mut received = 0;
    while let Some(piece) = coming.piece().await.unwrap() {
        let mut rest = &piece[..];
        while !rest.is_empty() {
            let place = received % BLOCK;
            let length = rest.len().min(BLOCK - place);
            assert!(rest[..length] == block[place..place + length], "other bytes at {received}");
            rest = &rest[length..];
            received += length;
        }
    }
    assert_eq!(received, BLOCK * BLOCKS);
    flipgate.assert_outcomes(&[("match", 1)]).await;
    let grown = peak_memory(&flipgate) - before;
    assert!(grown < 24 * 1024, "memory grew by {grown} KiB for a download of 65536 KiB");
}

/// The most memory the process ever held, in KiB.
fn peak_memory(flipgate: &Flipgate) -> i64 {
    let path = format!("/proc/{}/status", flipgate.pid());
    let Ok(status) = std::fs::read_to_string(&path) else {
        eprintln!("SKIPPED: the bound on memory, since {path} is not there");
        return 0;
    };
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_the_primary_request() {
    let endless = || Reply::json("").step(Step::Forever(Bytes::from_static(b"[0,0,0,0,0,0,0,0]"))).chunked();
    let (from, to) = (Upstream::always(endless()).await, Upstream::always(Reply::json("{}")).await);
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    let mut connection = Connection::open(flipgate.proxy).await.unwrap();
    let mut coming = connection.begin("GET", "/read/a", &[], b"").await.unwrap();
    assert!(coming.piece().await.unwrap().is_some());
    drop(connection);
    wait_until("the primary's connection is closed", async || from.open() == 0).await;
    flipgate.assert_outcomes(&[("incomplete", 1)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_the_answer_is_counted() {
    let (from, to) = (Upstream::always(Reply::hang()).await, Upstream::always(Reply::json("{}")).await);
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    let mut connection = Connection::open(flipgate.proxy).await.unwrap();
    connection.send(b"GET /read/a HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    wait_until("the primary is asked", async || from.requests("/read/a").len() == 1).await;
    drop(connection);
    wait_until("the primary's connection is closed", async || from.open() == 0).await;
    let metrics = flipgate.assert_outcomes(&[("incomplete", 1)]).await;
    assert_eq!(metrics.by("flipgate_requests_total", "code").into_keys().collect::<Vec<_>>(), ["499"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_stop_lets_requests_in_flight_finish() {
    let gate = Gate::shut();
    let slow = Reply::json("{\"a\":").step(Step::Await(gate.clone())).body("1}").claiming(7);
    let (from, to) = (Upstream::always(slow.clone()).await, Upstream::always(Reply::json("{\"a\":1}")).await);
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    let proxy = flipgate.proxy;
    let mut connection = Connection::open(proxy).await.unwrap();
    let mut coming = connection.begin("GET", "/read/a", &[], b"").await.unwrap();
    flipgate.terminate();
    wait_until("no new connection is taken", async || Connection::open(proxy).await.is_err()).await;
    gate.open();
    assert_eq!(coming.rest().await.unwrap(), b"{\"a\":1}");
    drop(connection);
    assert_eq!(flipgate.ended().await, Some(0));
}
