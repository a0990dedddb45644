//! What passes through the proxy unchanged, and what is changed on purpose.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::client::Connection;
use crate::harness::{Flipgate, Setup, wait_until};
use crate::upstream::{Reply, Upstream};

/// Two servers that answer everything alike, and flipgate between them.
async fn alike(reply: Reply) -> (Upstream, Upstream, Flipgate) {
    let (from, to) = (Upstream::always(reply.clone()).await, Upstream::always(reply).await);
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    (from, to, flipgate)
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_headers_stay_repeated() {
    let reply = Reply::json("{}").header("Set-Cookie", "a=1; Path=/").header("Set-Cookie", "b=2; HttpOnly");
    let (_from, _to, flipgate) = alike(reply).await;
    let answer = flipgate.get("/read/a").await;
    assert_eq!(answer.headers.all("set-cookie"), ["a=1; Path=/", "b=2; HttpOnly"]);
    assert_eq!(answer.header("x-flipgate-primary"), Some("sqlite"));
    flipgate.assert_outcomes(&[("match", 1)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_and_backends_make_up_becomes_no_label() {
    let (_from, _to, flipgate) = alike(Reply::status(999)).await;
    for method in ["BREW", "WHEN", "GET"] {
        assert_eq!(flipgate.request(method, "/read/a", &[], b"").await.status, 999);
    }
    let metrics = flipgate.settled().await;
    let labels = |label: &str| metrics.by("flipgate_requests_total", label).into_keys().collect::<Vec<_>>();
    assert_eq!(
        (labels("method"), labels("code")),
        (vec!["GET".into(), "other".into()], vec!["other".into()])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_passed_on_and_not_followed() {
    let reply = Reply::status(302).header("Location", "/elsewhere?x=1");
    let (from, to, flipgate) = alike(reply).await;
    let answer = flipgate.get("/read/a").await;
    assert_eq!((answer.status, answer.header("location")), (302, Some("/elsewhere?x=1")));
    flipgate.assert_outcomes(&[("match", 1)]).await;
    for upstream in [&from, &to] {
        assert_eq!(upstream.requests("/read/a").len(), 1);
        assert_eq!(upstream.requests("/elsewhere?x=1").len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_bytes_are_passed_on_and_compared_decoded() {
    let document = br#"{"reports":[{"id":"yt:a","title":"A"}]}"#;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(document).unwrap();
    let packed = encoder.finish().unwrap();
    let from = Upstream::always(Reply::json(packed.clone()).header("Content-Encoding", "gzip")).await;
    let to = Upstream::always(Reply::json(&document[..])).await;
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;

    let answer = flipgate.request("GET", "/read/a", &[("Accept-Encoding", "gzip")], b"").await;
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(answer.body, packed);
    flipgate.assert_outcomes(&[("match", 1)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_goes_to_one_backend() {
    let part = Reply::status(206)
        .header("Content-Range", "bytes 2-4/10")
        .header("Accept-Ranges", "bytes")
        .body("cde");
    let (from, to, flipgate) = alike(part).await;
    let answer = flipgate.request("GET", "/read/a", &[("Range", "bytes=2-4")], b"").await;
    assert_eq!((answer.status, answer.text()), (206, "cde"));
    assert_eq!(answer.header("content-range"), Some("bytes 2-4/10"));
    let metrics = flipgate.assert_outcomes(&[("skipped", 1)]).await;
    assert_eq!(metrics.by("flipgate_outcomes_total", "reason").into_keys().collect::<Vec<_>>(), ["range"]);
    assert_eq!(from.requests("/read/a")[0].headers.get("range"), Some("bytes=2-4"));
    assert_eq!(to.requests("/read/a").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_answered_as_the_backend_answers_it() {
    // As the real dashboard does: HEAD is not GET without the body.
    let reply =
        Reply::status(501).header("X-Only-Head", "yes").header("Content-Type", "text/html").claiming(357);
    let (from, to, flipgate) = alike(reply).await;
    let answer = flipgate.request("HEAD", "/read/a", &[], b"").await;
    assert_eq!((answer.status, answer.header("x-only-head")), (501, Some("yes")));
    assert_eq!((answer.header("content-length"), answer.body.len()), (Some("357"), 0));
    let metrics = flipgate.assert_outcomes(&[("skipped", 1)]).await;
    assert_eq!(metrics.by("flipgate_outcomes_total", "reason").into_keys().collect::<Vec<_>>(), ["head"]);
    assert_eq!((from.requests("/read/a").len(), to.requests("/read/a").len()), (1, 0));
    assert_eq!(from.requests("/read/a")[0].method, "HEAD");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_reaches_exactly_one_backend() {
    let (from, to, flipgate) = alike(Reply::json(r#"{"ok":true}"#).with_status(201)).await;
    let body = vec![b'x'; 300_000];
    let answer = flipgate.request("POST", "/read/a?b=1", &[("Content-Type", "text/plain")], &body).await;
    assert_eq!((answer.status, answer.text()), (201, r#"{"ok":true}"#));
    let metrics = flipgate.assert_outcomes(&[("skipped", 1)]).await;
    assert_eq!(metrics.by("flipgate_outcomes_total", "reason").into_keys().collect::<Vec<_>>(), ["method"]);
    let received = from.requests("/read/a?b=1");
    assert_eq!(received.len(), 1);
    assert!(received[0].body == body, "the body arrived changed");
    assert_eq!(to.requests("/read/a?b=1").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunked_post_reaches_a_backend_that_cannot_read_chunks() {
    let (from, _to, flipgate) = alike(Reply::json("{}").http10()).await;
    // Only its answers show what a backend speaks.
    flipgate.get("/read/first").await;
    let answer =
        flipgate.request("POST", "/read/a", &[("Transfer-Encoding", "chunked")], b"a body in chunks").await;
    assert_eq!(answer.status, 200);
    let received = &from.requests("/read/a")[0];
    assert_eq!(received.headers.get("content-length"), Some("16"));
    assert_eq!(received.headers.get("transfer-encoding"), None);
    assert_eq!(received.body, b"a body in chunks");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_sent_after_an_expectation() {
    let (from, _to, flipgate) = alike(Reply::status(204)).await;
    let answer = flipgate.request("PUT", "/read/a", &[("Expect", "100-continue")], b"expected").await;
    assert_eq!(answer.status, 204);
    assert_eq!(from.requests("/read/a")[0].body, b"expected");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_is_a_tunnel_to_the_primary() {
    let (from, to, flipgate) = alike(Reply::echo("websocket")).await;
    let mut connection = Connection::open(flipgate.proxy).await.unwrap();
    let upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", "x")];
    let coming = connection.begin("GET", "/read/socket", &upgrade, b"").await.unwrap();
    assert_eq!((coming.status, coming.headers.get("upgrade")), (101, Some("websocket")));
    for message in [&b"\x81\x05hello"[..], b"\x81\x03you"] {
        connection.send(message).await.unwrap();
        let mut back = Vec::new();
        while back.len() < message.len() {
            back.extend(connection.raw().await.unwrap());
        }
        assert_eq!(back, message);
    }
    drop(connection);
    let metrics = flipgate.assert_outcomes(&[("skipped", 1)]).await;
    assert_eq!(metrics.by("flipgate_outcomes_total", "reason").into_keys().collect::<Vec<_>>(), ["upgrade"]);
    assert_eq!(to.requests("/read/socket").len(), 0);
    wait_until("the tunnel is closed on the backend's side too", async || from.open() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn path_and_query_arrive_byte_for_byte() {
    let (from, to, flipgate) = alike(Reply::json("{}")).await;
    let targets =
        ["/read/a%2Fb;v=1?q=%20+%e4&&=&q", "/read/a%00%zz?", "/read/é–ü?q=日本", "//read//x/../y?a=/../"];
    for target in targets {
        assert_eq!(flipgate.get(target).await.status, 200, "{target}");
        assert_eq!(from.requests(target).len(), 1, "{target}");
    }
    flipgate.settled().await;
    assert_eq!(to.requests(targets[0]).len(), 1);
    assert_eq!(to.requests(targets[2]).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_is_not_utf8_is_refused() {
    let (_from, _to, flipgate) = alike(Reply::json("{}")).await;
    let mut connection = Connection::open(flipgate.proxy).await.unwrap();
    connection.send(b"GET /read/\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert_eq!(connection.answer("GET").await.unwrap().status, 400);
    let metrics = flipgate.assert_outcomes(&[("skipped", 1)]).await;
    assert_eq!(metrics.by("flipgate_outcomes_total", "reason").into_keys().collect::<Vec<_>>(), ["refused"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn hop_by_hop_headers_stay_on_their_hop() {
    let reply = Reply::json("{}")
        .header("Connection", "X-Server-Hop")
        .header("X-Server-Hop", "1")
        .header("X-End", "2");
    let (from, to, flipgate) = alike(reply).await;
    let headers = [
        ("Connection", "X-Client-Hop, keep-alive"),
        ("X-Client-Hop", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("X-End", "2"),
        ("X-Forwarded-For", "192.0.2.7"),
        ("Cookie", "session=1"),
    ];
    let answer = flipgate.request("GET", "/read/a", &headers, b"").await;
    assert_eq!((answer.header("x-server-hop"), answer.header("x-end")), (None, Some("2")));
    flipgate.settled().await;
    for (upstream, role) in [(&from, None), (&to, Some("shadow"))] {
        let received = &upstream.requests("/read/a")[0].headers;
        for hop in ["x-client-hop", "keep-alive", "proxy-connection"] {
            assert_eq!(received.get(hop), None, "{hop}");
        }
        assert_eq!(received.get("x-end"), Some("2"));
        assert_eq!(received.get("cookie"), Some("session=1"));
        assert_eq!(received.all("x-forwarded-for").join(", "), "192.0.2.7, 127.0.0.1");
        assert_eq!(received.get("x-forwarded-proto"), Some("http"));
        assert_eq!(received.get("x-forwarded-host"), Some(flipgate.proxy.to_string().as_str()));
        assert_eq!(received.get("host"), Some(flipgate.proxy.to_string().as_str()));
        assert!(received.get("x-flipgate-loop").is_some());
        assert_eq!(received.get("x-flipgate-role"), role);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_came_through_before_is_refused() {
    let (from, to, flipgate) = alike(Reply::json("{}")).await;
    let answer = flipgate.request("GET", "/read/a", &[("X-Flipgate-Loop", "1")], b"").await;
    assert_eq!(answer.status, 508);
    let metrics = flipgate.assert_outcomes(&[("skipped", 1)]).await;
    assert_eq!(metrics.by("flipgate_outcomes_total", "reason").into_keys().collect::<Vec<_>>(), ["loop"]);
    assert_eq!((from.requests("/read/a").len(), to.requests("/read/a").len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_kept_on_both_sides() {
    let (from, to, flipgate) = alike(Reply::json("{}")).await;
    let mut connection = Connection::open(flipgate.proxy).await.unwrap();
    for _ in 0..50 {
        assert_eq!(connection.request("GET", "/read/a", &[], b"").await.unwrap().status, 200);
    }
    flipgate.assert_outcomes(&[("match", 50)]).await;
    // The first connection shows that the backend keeps them; flipgate's own look at start takes another.
    for upstream in [&from, &to] {
        assert!(
            upstream.accepted() <= 5,
            "{} connections for 50 requests one after the other",
            upstream.accepted()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_longer_than_announced_never_reaches_the_next_client() {
    let overlong =
        |_: &crate::upstream::Recorded| Reply::json("{\"a\":1}HTTP/1.1 200 OK\r\n\r\n").claiming(7);
    let (from, to) = (Upstream::start(overlong).await, Upstream::start(overlong).await);
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    for _ in 0..10 {
        let answer = flipgate.get("/read/a").await;
        assert_eq!((answer.status, answer.text()), (200, "{\"a\":1}"));
    }
}
