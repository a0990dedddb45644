//! What `flipgate serve` refuses to start with, and what its admin side asks for.

use crate::client;
use crate::harness::{ROUTES, Run, Setup};
use crate::upstream::{Reply, Upstream};

/// Two servers' URLs where nobody needs to answer.
const FROM: &str = "http://127.0.0.1:9";
const TO: &str = "http://127.0.0.2:9";

/// Asserts that it ended so, and that what it said holds each of these.
fn assert_refused(run: &Run, code: i32, said: &[&str]) {
    assert_eq!(run.code, Some(code), "{}", run.stderr);
    for wanted in said {
        assert!(run.stderr.contains(wanted), "no {wanted:?} in: {}", run.stderr);
    }
    for trace in ["panicked at", "stack backtrace", "RUST_BACKTRACE"] {
        assert!(!run.stderr.contains(trace), "{}", run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_names_the_nearest() {
    let config = format!("admin_lisen = \"127.0.0.1:0\"\n{ROUTES}");
    let run = Setup::with_config(FROM, TO, &config).refuse().await;
    assert_refused(&run, 2, &["admin_lisen", "admin_listen"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_variable_names_the_nearest() {
    let run = Setup::between(FROM, TO).environment("FLIPGATE_STATE_DIRECTORY", "x").refuse().await;
    assert_refused(&run, 2, &["FLIPGATE_STATE_DIRECTORY", "FLIPGATE_STATE_DIR"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_problems_are_named_at_once() {
    let config = format!("admin_lisen = \"127.0.0.1:0\"\npresett = \"none\"\n{ROUTES}");
    let run = Setup::with_config(FROM, FROM, &config).refuse().await;
    assert_refused(&run, 2, &["admin_lisen", "presett"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_backend_twice_is_refused() {
    assert_refused(&Setup::between(FROM, FROM).refuse().await, 2, &[FROM]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_reached_is_named_without_its_password() {
    let setup = Setup::between("sqlite:library.db", "postgres://reader:hush-hush@127.0.0.1:1/library");
    flipgate::library::generate(&setup.path("library.db"), 3, 1).unwrap();
    let run = setup.refuse().await;
    assert_refused(&run, 3, &["127.0.0.1:1"]);
    assert!(!run.stderr.contains("hush-hush"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_library_is_refused() {
    let to = Upstream::always(Reply::json("{}")).await;
    let setup = Setup::between("sqlite:notes.txt", &to.url());
    std::fs::write(setup.path("notes.txt"), "these are notes and not a database, ".repeat(100)).unwrap();
    assert_refused(&setup.refuse().await, 2, &["notes.txt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_admin_side_without_a_token_is_refused() {
    let setup = Setup::between(FROM, TO).argument("--admin-listen", "0.0.0.0:0");
    assert_refused(&setup.refuse().await, 2, &["token"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_asked_for_once_it_is_set() {
    let (from, to) = (Upstream::always(Reply::json("{}")).await, Upstream::always(Reply::json("{}")).await);
    let setup =
        Setup::between(&from.url(), &to.url()).environment("FLIPGATE_ADMIN_TOKEN", "open-sesame-please");
    let flipgate = setup.start().await;
    for (headers, status) in [
        (&[][..], 401),
        (&[("Authorization", "Bearer open-sesame")][..], 401),
        (&[("Authorization", "Bearer open-sesame-please")][..], 200),
    ] {
        let answer = client::request(flipgate.admin, "GET", "/api/status", headers, b"").await.unwrap();
        assert_eq!(answer.status, status, "{headers:?}");
    }
    assert_eq!(flipgate.admin_get("/healthz").await.status, 200);
    assert_eq!(flipgate.flip("postgres", true).await.status, 401);
    assert!(!flipgate.said().contains("open-sesame"), "{}", flipgate.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_s_page_cannot_flip() {
    let (from, to) = (Upstream::always(Reply::json("{}")).await, Upstream::always(Reply::json("{}")).await);
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    let body = br#"{"primary":"postgres","reason":"a test","force":true}"#;
    let json = ("Content-Type", "application/json");
    let foreign = [json, ("Origin", "https://evil.example")];
    let answer = client::request(flipgate.admin, "POST", "/api/primary", &foreign, body).await.unwrap();
    assert!((400..500).contains(&answer.status), "{}", answer.status);
    let mut rebound = client::Connection::open(flipgate.admin).await.unwrap();
    rebound.send(b"GET /api/status HTTP/1.1\r\nHost: evil.example\r\n\r\n").await.unwrap();
    let status = rebound.answer("GET").await.unwrap().status;
    assert!((400..500).contains(&status), "{status}");
    assert_eq!(flipgate.primary().await, "sqlite");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_never_come_do_not_keep_operators_out() {
    use tokio::io::AsyncWriteExt as _;
    let (from, to) = (Upstream::always(Reply::json("{}")).await, Upstream::always(Reply::json("{}")).await);
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    let head =
        format!("POST /api/rollback HTTP/1.1\r\nHost: {}\r\nContent-Length: 10\r\n\r\n{{", flipgate.admin);
    let mut slow = Vec::new();
    for _ in 0..64 {
        let mut stream = tokio::net::TcpStream::connect(flipgate.admin).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    // It waits for a place until theirs come free.
    let answer =
        tokio::time::timeout(std::time::Duration::from_secs(40), flipgate.admin_get("/healthz")).await;
    assert_eq!(answer.expect("a place came free").status, 200);
    drop(slow);
}
