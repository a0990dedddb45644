//! That the rig itself does what the other tests take for granted, without flipgate in between.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{self, Connection};
use crate::harness::wait_until;
use crate::metrics::Metrics;
use crate::serial::SerialServer;
use crate::upstream::{Gate, Reply, Step, Upstream};

#[tokio::test(flavor = "multi_thread")]
async fn one_idle_connection_stops_the_serial_server() {
    let server = SerialServer::start("{}", Duration::ZERO);
    let idle = TcpStream::connect(server.address).await.unwrap();
    let mut blocked = std::pin::pin!(client::get(server.address, "/a"));
    timeout(Duration::from_millis(200), &mut blocked).await.expect_err("answered despite an idle connection");
    drop(idle);
    assert_eq!(blocked.await.unwrap().text(), "{}");
    assert_eq!((server.idle(), server.answered()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_holds_each_step_until_it_opens() {
    let gate = Gate::shut();
    let held = Reply::status(200)
        .step(Step::Await(gate.clone()))
        .body("one")
        .step(Step::Await(gate.clone()))
        .body("two");
    for held in [held.clone(), held.clone().chunked(), held.http10()] {
        let upstream = Upstream::always(held).await;
        let mut connection = Connection::open(upstream.address).await.unwrap();
        let mut coming = connection.begin("GET", "/a", &[], b"").await.unwrap();
        for wanted in ["one", "two"] {
            gate.open();
            assert_eq!(coming.piece().await.unwrap().unwrap(), wanted.as_bytes());
        }
        assert_eq!(coming.piece().await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_is_seen_only_where_the_framing_shows_it() {
    let cut = Reply::json("{\"a\":");
    for (cut, seen) in
        [(cut.clone().claiming(9).cut(), true), (cut.clone().chunked().cut(), true), (cut.http10(), false)]
    {
        let upstream = Upstream::always(cut).await;
        assert_eq!(client::get(upstream.address, "/a").await.is_err(), seen);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_recorded_as_sent_and_connections_counted() {
    let upstream = Upstream::always(Reply::status(204)).await;
    let mut connection = Connection::open(upstream.address).await.unwrap();
    for coding in [&[][..], &[("Transfer-Encoding", "chunked")]] {
        assert_eq!(connection.request("POST", "/a%20b?c", coding, b"body").await.unwrap().status, 204);
    }
    let recorded = upstream.requests("/a%20b?c");
    assert_eq!(recorded.iter().map(|request| &request.body[..]).collect::<Vec<_>>(), [b"body", b"body"]);
    assert_eq!((upstream.accepted(), upstream.open()), (1, 1));
    drop(connection);
    wait_until("the connection is closed", async || upstream.open() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_takes_no_connection() {
    let mut upstream = Upstream::always(Reply::hang()).await;
    let mut connection = Connection::open(upstream.address).await.unwrap();
    connection.send(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    wait_until("it was asked", async || upstream.requests("/").len() == 1).await;
    upstream.stop().await;
    assert!(connection.answer("GET").await.is_err());
    assert!(Connection::open(upstream.address).await.is_err());
}

#[test]
fn a_scrape_is_read_with_its_labels() {
    let text = "# HELP a b\na{x=\"1\",y=\"q\\\"{}, \"} 3\na{x=\"2\",y=\"\"} 4\nb 5e-1\n";
    let metrics = Metrics::parse(text);
    assert_eq!(
        (metrics.sum("a", &[]), metrics.sum("a", &[("y", "q\"{}, ")]), metrics.sum("b", &[])),
        (7.0, 3.0, 0.5)
    );
    assert_eq!(metrics.by("a", "x")["2"], 4.0);
}
