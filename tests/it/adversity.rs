//! What an independent review broke, so that it stays mended: servers, clients and callers at their worst.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::{self, Connection};
use crate::harness::{ROUTES, Setup, wait_until};
use crate::upstream::{Reply, Step, Upstream};

/// A server that answers every request head with the same bytes, keeps the connection if `keeps`, and reads no body.
async fn raw_server(answer: &'static [u8], keeps: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer_heads(stream, answer, keeps));
        }
    });
    address
}

async fn answer_heads(mut stream: TcpStream, answer: &'static [u8], keeps: bool) {
    let mut seen = Vec::new();
    let mut block = [0; 4096];
    while let Ok(read) = stream.read(&mut block).await
        && read > 0
    {
        seen.extend_from_slice(&block[..read]);
        if seen.windows(4).any(|four| four == b"\r\n\r\n") {
            seen.clear();
            if stream.write_all(answer).await.is_err() || !keeps {
                return;
            }
        }
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flip_whose_caller_hangs_up_is_in_force_where_it_is_on_disk() {
    let same = || Reply::json("{}");
    let (from, to) = (Upstream::always(same()).await, Upstream::always(same()).await);
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    for number in 0..60 {
        let primary = if number % 2 == 0 { "postgres" } else { "sqlite" };
        let body = json!({"primary": primary, "force": true}).to_string();
        let head = format!(
            "POST /api/primary HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n",
            flipgate.admin,
            body.len()
        );
        let mut stream = TcpStream::connect(flipgate.admin).await.unwrap();
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        // Anything from before the request is read to after it is answered.
        tokio::time::sleep(Duration::from_micros(100 * number as u64)).await;
    }
    // Flips are one after the other: once this one is answered, all before it have ended.
    assert_eq!(flipgate.flip("postgres", true).await.status, 200);
    let status = flipgate.admin_get("/api/status").await.json();
    let audit = flipgate.admin_get("/api/audit").await.json();
    let changes = audit["entries"].as_array().unwrap().len() as u64;
    assert_eq!(status["version"].as_u64().unwrap(), changes + 1, "on disk and in force are not the same");
    assert_eq!(status["primary"], "postgres");
    let flipgate = flipgate.kill9().start().await;
    assert_eq!(flipgate.primary().await, "postgres");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_does_not_queue_behind_shadows() {
    let slow = Reply::json("{}").first(Step::Delay(Duration::from_millis(200))).http10();
    let (from, to) = (Upstream::always(slow).await, Upstream::always(Reply::json("{}")).await);
    let setup = Setup::between(&from.url(), &to.url()).argument("--dashboard", &from.url());
    let flipgate = setup.start().await;
    assert_eq!(flipgate.flip("postgres", true).await.status, 200);
    const READS: usize = 40;
    for number in 0..READS {
        assert_eq!(flipgate.get(&format!("/read/{number}")).await.status, 200);
    }
    assert_eq!(flipgate.get("/style.css").await.status, 200);
    let asked = (0..READS).filter(|number| !from.requests(&format!("/read/{number}")).is_empty()).count();
    assert!(asked < READS / 2, "{asked} shadow requests went first");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_pause_downloads_keep_nobody_from_asking() {
    let from = Upstream::start(|request| {
        if request.target.starts_with("/audio") {
            Reply::status(200).step(Step::Repeat(Bytes::from(vec![7; 64 * 1024]), 4096)).http10()
        } else {
            Reply::json("{}").http10()
        }
    })
    .await;
    let to = Upstream::always(Reply::json("{}")).await;
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    let mut paused = Vec::new();
    for number in 0..6 {
        let mut connection = Connection::open(flipgate.proxy).await.unwrap();
        let coming = connection.begin("GET", &format!("/audio/{number}"), &[], b"").await.unwrap();
        assert_eq!(coming.status, 200);
        paused.push(connection);
    }
    assert_eq!(flipgate.get("/read/a").await.status, 200);
    assert_eq!(flipgate.get("/plain").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_comes_back_without_a_request() {
    let silent = raw_server(b"", false).await;
    let to = Upstream::always(Reply::json("{}")).await;
    let flipgate = Setup::between(&url(silent), &to.url()).start().await;
    assert_eq!(flipgate.admin_get("/readyz").await.status, 200);
    assert_eq!(flipgate.get("/read/a").await.status, 502);
    assert_eq!(flipgate.admin_get("/readyz").await.status, 503);
    wait_until("it is ready again", async || flipgate.admin_get("/readyz").await.status == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_was_answered_early_holds_up_nobody_else() {
    let early = raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", true).await;
    let to = Upstream::always(Reply::json("{}")).await;
    let flipgate = Setup::between(&url(early), &to.url()).start().await;
    assert_eq!(flipgate.get("/plain").await.status, 200);
    let mut uploading = Connection::open(flipgate.proxy).await.unwrap();
    uploading.send(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nsome").await.unwrap();
    assert_eq!(uploading.answer("POST").await.unwrap().status, 200);
    for _ in 0..3 {
        assert_eq!(flipgate.get("/plain").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_end_a_body() {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTrailer: x-sum\r\n\
        Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nx-sum: 1\r\n\r\n";
    let (from, to) = (raw_server(ANSWER, true).await, raw_server(ANSWER, true).await);
    let flipgate = Setup::between(&url(from), &url(to)).start().await;
    for _ in 0..3 {
        assert_eq!(flipgate.get("/read/a").await.text(), "{}");
    }
    flipgate.assert_outcomes(&[("match", 3)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_win_over_a_length_beside_them() {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\
        Transfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n";
    let (from, to) = (raw_server(ANSWER, true).await, raw_server(ANSWER, true).await);
    let flipgate = Setup::between(&url(from), &url(to)).start().await;
    let answer = flipgate.get("/read/a").await;
    assert_eq!(answer.text(), r#"{"a":1}"#);
    assert_eq!(answer.header("content-length"), None);
    flipgate.assert_outcomes(&[("match", 1)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_busy_shadow_is_no_failure_of_it() {
    let slow = Reply::json("{}").first(Step::Delay(Duration::from_millis(600))).http10();
    let (from, to) = (Upstream::always(Reply::json("{}")).await, Upstream::always(slow).await);
    let config = format!("{ROUTES}\n[shadow]\ndeadline = 2.0");
    let flipgate = Setup::with_config(&from.url(), &to.url(), &config).start().await;
    for number in 0..24 {
        assert_eq!(flipgate.get(&format!("/read/{number}")).await.status, 200);
    }
    let metrics = flipgate.settled().await;
    let ended = |outcome| metrics.sum("flipgate_outcomes_total", &[("outcome", outcome)]);
    assert_eq!(ended("shadow_failed"), 0.0);
    assert!(ended("shed") > 0.0 && ended("match") > 0.0);
    assert_eq!(metrics.sum("flipgate_outcomes_total", &[("reason", "connections")]), ended("shed"));
    assert_eq!(metrics.sum("flipgate_backend_up", &[("backend", "postgres")]), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exception_in_the_status_line_is_still_an_answer() {
    const ANSWER: &[u8] = b"HTTP/1.0 500 relation \"x\" does not exist\nLINE 1: SELECT 1 FROM x\r\n\
        Content-Type: application/json\r\n\r\n{}";
    let (from, to) = (Upstream::always(Reply::json("{}")).await, raw_server(ANSWER, false).await);
    let flipgate = Setup::between(&from.url(), &url(to)).start().await;
    assert_eq!(flipgate.get("/read/a").await.status, 200);
    flipgate.assert_outcomes(&[("mismatch", 1)]).await;
    let findings = flipgate.findings().await;
    assert_eq!((findings.len(), &findings[0]["kind"]), (1, &json!("status")));
    assert_eq!(flipgate.flip("postgres", true).await.status, 200);
    assert_eq!(flipgate.get("/read/a").await.status, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_upload_is_not_a_slow_backend() {
    let (from, to) = (Upstream::always(Reply::json("{}")).await, Upstream::always(Reply::json("{}")).await);
    let config = format!("{ROUTES}\n[limits]\nhead_timeout = 1.0");
    let flipgate = Setup::with_config(&from.url(), &to.url(), &config).start().await;
    let mut uploading = Connection::open(flipgate.proxy).await.unwrap();
    uploading.send(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n").await.unwrap();
    for piece in [b"a", b"b", b"c", b"d"] {
        // The fault that is tested: together longer than the timeout, each piece within it.
        tokio::time::sleep(Duration::from_millis(500)).await;
        uploading.send(piece).await.unwrap();
    }
    assert_eq!(uploading.answer("POST").await.unwrap().status, 200);
    assert_eq!(from.requests("/up")[0].body, b"abcd");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_a_store_does_not_answer_goes_to_the_dashboard() {
    let directory = tempfile::tempdir().unwrap();
    let library = directory.path().join("library.db");
    flipgate::library::generate(&library, 3, 1).unwrap();
    let dashboard = Upstream::always(Reply::json("\"dashboard\"")).await;
    let config =
        "preset = \"none\"\n[[routes]]\nmatch = \"/api/custom\"\n[[routes]]\nmatch = \"/api/filters\"";
    let setup = Setup::with_config(&format!("sqlite:{}", library.display()), &dashboard.url(), config);
    let flipgate = setup.argument("--dashboard", &dashboard.url()).start().await;
    assert_eq!(flipgate.get("/api/custom").await.text(), "\"dashboard\"");
    assert!(flipgate.get("/api/filters").await.text().contains("\"category\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_says_for_one_host_only() {
    let (from, to) = (Upstream::always(Reply::json("{}")).await, Upstream::always(Reply::json("{}")).await);
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    let two = client::request(flipgate.proxy, "GET", "/read/a", &[("Host", "other")], b"").await.unwrap();
    assert_eq!(two.status, 400);
    let role = [("X-Flipgate-Role", "shadow"), ("Connection", "host")];
    assert_eq!(client::request(flipgate.proxy, "GET", "/plain", &role, b"").await.unwrap().status, 200);
    let seen = &from.requests("/plain")[0];
    assert_eq!(seen.headers.get("x-flipgate-role"), None);
    assert_eq!(seen.headers.get("host"), Some(flipgate.proxy.to_string().as_str()));
    flipgate.assert_outcomes(&[("skipped", 2)]).await;
}
