//! Every request ends in exactly one outcome, and the shadow never changes an answer.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::client::{self, Connection};
use crate::harness::{Setup, shared, wait_until};
use crate::upstream::{Gate, Recorded, Reply, Step, Upstream};

const DOCUMENT: &str = r#"{"reports":[{"id":"yt:a","title":"A","n":1},{"id":"yt:b","title":"B","n":2}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_same_document_is_a_match_however_it_is_written() {
    let from = Upstream::always(Reply::json(DOCUMENT).chunked()).await;
    let other = r#"{ "reports" : [ {"title":"A","id":"yt:a","n":1}, {"n":2,"id":"yt:b","title":"B"} ] }"#;
    let to = Upstream::always(Reply::json(other).http10()).await;
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    for _ in 0..5 {
        assert_eq!(flipgate.get("/read/a").await.text(), DOCUMENT);
    }
    flipgate.assert_outcomes(&[("match", 5)]).await;
    assert_eq!(flipgate.findings().await, Vec::<serde_json::Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_is_counted_found_and_shown() {
    let from = Upstream::always(Reply::json(DOCUMENT)).await;
    let to = Upstream::always(Reply::json(DOCUMENT.replace("\"B\"", "\"Other\""))).await;
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    for _ in 0..3 {
        assert_eq!(flipgate.get("/read/a?size=2").await.text(), DOCUMENT);
    }
    let metrics = flipgate.assert_outcomes(&[("mismatch", 3)]).await;
    let labels = [("route", "/read/{name}"), ("kind", "changed"), ("class", "value")];
    assert_eq!(metrics.sum("flipgate_differences_total", &labels), 3.0);

    let findings = flipgate.findings().await;
    assert_eq!(findings.len(), 1, "{findings:?}");
    let finding = &findings[0];
    assert_eq!(finding["route"], "/read/{name}");
    assert_eq!(finding["path"], "/reports/*/title");
    assert_eq!((&finding["kind"], &finding["class"]), (&"changed".into(), &"value".into()));
    assert_eq!((&finding["severity"], &finding["state"]), (&"value".into(), &"open".into()));
    assert_eq!(finding["count"], 3);

    let sample = finding["samples"][0].to_string().replace('"', "");
    let sample = flipgate.admin_get(&format!("/api/samples/{sample}")).await;
    assert_eq!(sample.status, 200);
    assert!(sample.text().contains("Other"), "{}", sample.text());
    assert_eq!(flipgate.admin_get("/api/samples/none-such").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_from_the_shadow_alone_is_a_mismatch_of_kind_status() {
    let from = Upstream::always(Reply::json(DOCUMENT)).await;
    let to = Upstream::always(Reply::json(r#"{"error":"no"}"#).with_status(500)).await;
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    let answer = flipgate.get("/read/a").await;
    assert_eq!((answer.status, answer.text()), (200, DOCUMENT));
    let metrics = flipgate.assert_outcomes(&[("mismatch", 1)]).await;
    assert!(metrics.sum("flipgate_differences_total", &[("kind", "status")]) >= 1.0);
    let findings = flipgate.findings().await;
    let status =
        findings.iter().find(|finding| finding["kind"] == "status").expect("a finding of kind status");
    assert_eq!(status["severity"], "breaking");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_one_side_are_told_apart() {
    for (from, to, outcome) in [
        (500, 500, "primary_failed"),
        (503, 200, "mismatch"),
        (200, 503, "shadow_failed"),
        (200, 429, "shadow_failed"),
        (404, 404, "match"),
        (200, 404, "mismatch"),
    ] {
        let from = Upstream::always(Reply::json("{}").with_status(from)).await;
        let to = Upstream::always(Reply::json("{}").with_status(to)).await;
        let flipgate = Setup::between(&from.url(), &to.url()).start().await;
        flipgate.get("/read/a").await;
        flipgate.assert_outcomes(&[(outcome, 1)]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_written_into_an_answer_is_no_match() {
    let broken = "HTTP/1.0 500 Internal Server Error\r\nContent-Type: text/plain\r\n\r\nTraceback";
    let (from, to) = (Upstream::always(Reply::json(DOCUMENT).http10()).await, Reply::json(broken).http10());
    let to = Upstream::always(to).await;
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    flipgate.get("/read/a").await;
    let metrics = flipgate.assert_outcomes(&[("mismatch", 1)]).await;
    assert!(metrics.sum("flipgate_differences_total", &[("kind", "body")]) >= 1.0);
}

/// All ways in which a body can end too early, on each side and on both.
#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_body_is_never_a_match() {
    let half = &DOCUMENT[..40];
    let page = "<!doctype html><html><body><p>A</p></body></html>";
    let cases = [
        ("with a length", Reply::json(DOCUMENT), Reply::json(half).claiming(DOCUMENT.len()).cut()),
        ("in chunks", Reply::json(DOCUMENT).chunked(), Reply::json(half).chunked().cut()),
        ("of HTTP/1.0", Reply::json(DOCUMENT).http10(), Reply::json(half).http10()),
        ("of HTML", Reply::html(page).http10(), Reply::html(&page[..30]).http10()),
    ];
    for (what, whole, cut) in cases {
        for (from, to) in [(&whole, &cut), (&cut, &whole), (&cut, &cut)] {
            let (from, to) = (Upstream::always(from.clone()).await, Upstream::always(to.clone()).await);
            let flipgate = Setup::between(&from.url(), &to.url()).start().await;
            // Where the primary was cut, the client must see that too, or at least get no more than came.
            let _cut = client::get(flipgate.proxy, "/read/a").await;
            let metrics = flipgate.settled().await;
            assert_eq!(metrics.sum("flipgate_outcomes_total", &[]), 1.0, "a body {what}");
            assert_eq!(metrics.sum("flipgate_outcomes_total", &[("outcome", "match")]), 0.0, "a body {what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_sees_that_a_body_was_cut() {
    let cut = Reply::json(&DOCUMENT.as_bytes()[..40]);
    for cut in [cut.clone().claiming(DOCUMENT.len()).cut(), cut.chunked().cut()] {
        let (from, to) = (Upstream::always(cut).await, Upstream::always(Reply::json(DOCUMENT)).await);
        let flipgate = Setup::between(&from.url(), &to.url()).start().await;
        client::get(flipgate.proxy, "/read/a").await.expect_err("the end looked regular");
        flipgate.assert_outcomes(&[("primary_failed", 1)]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_that_was_stopped_changes_no_answer() {
    let (from, mut to) =
        (Upstream::always(Reply::json(DOCUMENT)).await, Upstream::always(Reply::json(DOCUMENT)).await);
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    flipgate.get("/read/a").await;
    flipgate.assert_outcomes(&[("match", 1)]).await;
    to.stop().await;
    for _ in 0..10 {
        let answer = flipgate.get("/read/a").await;
        assert_eq!((answer.status, answer.text()), (200, DOCUMENT));
    }
    // After five failures it is hardly asked any more, and that is a failure, too, for the gate.
    let metrics = flipgate.settled().await;
    let failed = metrics.sum("flipgate_outcomes_total", &[("outcome", "shadow_failed")]);
    assert!(failed >= 5.0, "{failed}");
    assert_eq!(failed + metrics.sum("flipgate_outcomes_total", &[("reason", "breaker")]), 10.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_that_hangs_changes_no_answer() {
    let (from, mut to) =
        (Upstream::always(Reply::json(DOCUMENT)).await, Upstream::always(Reply::hang()).await);
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    for _ in 0..3 {
        let answer = flipgate.get("/read/a").await;
        assert_eq!((answer.status, answer.text()), (200, DOCUMENT));
    }
    // All three are answered while the shadow is still waited for.
    let metrics = flipgate.metrics().await;
    assert_eq!(metrics.sum("flipgate_outcomes_pending", &[]), 3.0);
    to.stop().await;
    flipgate.assert_outcomes(&[("shadow_failed", 3)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_shadow_differs_once_it_is_over_the_cap_and_is_read_no_further() {
    let endless = Reply::json("").step(Step::Forever(Bytes::from(vec![b' '; 16 * 1024]))).chunked();
    let (from, to) = (Upstream::always(Reply::json(DOCUMENT)).await, Upstream::always(endless).await);
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    assert_eq!(flipgate.get("/read/a").await.text(), DOCUMENT);
    flipgate.assert_outcomes(&[("mismatch", 1)]).await;
    wait_until("the shadow's connection is closed", async || to.open() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_shadow_is_waited_for_by_nobody_but_the_comparison() {
    let late = Reply::json(DOCUMENT).first(Step::Delay(Duration::from_millis(400)));
    let (from, to) = (Upstream::always(Reply::json(DOCUMENT)).await, Upstream::always(late).await);
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    let begun = Instant::now();
    let mut connection = Connection::open(flipgate.proxy).await.unwrap();
    for _ in 0..10 {
        assert_eq!(connection.request("GET", "/read/a", &[], b"").await.unwrap().text(), DOCUMENT);
    }
    // One after the other; had one of them waited, it would be 400 ms, and all of them 4 s.
    assert!(begun.elapsed() < Duration::from_secs(3), "ten answers took {:?}", begun.elapsed());
    flipgate.assert_outcomes(&[("match", 10)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_is_gone_is_a_502_and_counted() {
    let (mut from, to) =
        (Upstream::always(Reply::json(DOCUMENT)).await, Upstream::always(Reply::json(DOCUMENT)).await);
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    from.stop().await;
    let answer = flipgate.get("/read/a").await;
    assert_eq!(answer.status, 502);
    flipgate.assert_outcomes(&[("primary_failed", 1)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_production_recorded_differs_where_it_differs() {
    let Some(shared) = shared() else { return };
    let recorded = |name: &str| std::fs::read(shared.join("data/recorded").join(name)).unwrap();
    for name in ["filters", "reports-size-1", "reports-size-5", "reports-size-10"] {
        let sqlite = Reply::json(recorded(&format!("{name}.sqlite.json")));
        let postgres = Reply::json(recorded(&format!("{name}.postgres.json")));
        for (other, outcome) in [(&sqlite, "match"), (&postgres, "mismatch")] {
            let (from, to) = (Upstream::always(sqlite.clone()).await, Upstream::always(other.clone()).await);
            let flipgate = Setup::between(&from.url(), &to.url()).start().await;
            flipgate.get("/read/recorded").await;
            flipgate.assert_outcomes(&[(outcome, 1)]).await;
            assert_eq!(flipgate.findings().await.is_empty(), outcome == "match", "{name}");
        }
    }
}

/// Clients of the mixed load.
const CLIENTS: usize = 6;

/// Requests of every sort at once; each scrape in between must add up.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_mixed_load_adds_up_at_every_scrape() {
    let gate = Gate::shut();
    let held = gate.clone();
    let answer = move |side: &'static str, request: &Recorded| match request.target.as_str() {
        "/read/differs" => Reply::json(format!("{{\"side\":\"{side}\"}}")),
        "/read/cut" => Reply::json("{}").claiming(9).cut(),
        "/read/late" => Reply::json("{}").first(Step::Delay(Duration::from_millis(20))),
        "/read/held" if side == "to" => Reply::json("{}").first(Step::Await(held.clone())),
        _ => Reply::json("{}"),
    };
    let to_answer = answer.clone();
    let from = Upstream::start(move |request| answer("from", request)).await;
    let to = Upstream::start(move |request| to_answer("to", request)).await;
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;

    let clients: Vec<_> = (0..CLIENTS).map(|client| tokio::spawn(mixed(flipgate.proxy, client))).collect();
    let mut scrapes = 0;
    while clients.iter().any(|client| !client.is_finished()) {
        flipgate.metrics().await;
        scrapes += 1;
    }
    for client in clients {
        client.await.unwrap();
    }
    assert!(scrapes > 5, "{scrapes} scrapes are too few to show anything");
    assert!(flipgate.metrics().await.sum("flipgate_outcomes_pending", &[]) >= 1.0, "nothing was held");
    (0..CLIENTS).for_each(|_| gate.open());
    let metrics = flipgate.settled().await;
    let outcomes = metrics.by("flipgate_outcomes_total", "outcome");
    for wanted in ["match", "mismatch", "skipped", "primary_failed", "incomplete"] {
        assert!(outcomes.contains_key(wanted), "no {wanted} in {outcomes:?}");
    }
}

async fn mixed(proxy: std::net::SocketAddr, client: usize) {
    for round in 0..25 {
        match (client + round) % 7 {
            0 => drop(client::get(proxy, "/read/alike").await.unwrap()),
            1 => drop(client::get(proxy, "/read/differs").await.unwrap()),
            2 => drop(client::get(proxy, "/read/cut").await),
            3 => drop(client::request(proxy, "POST", "/read/alike", &[], b"x").await.unwrap()),
            4 => drop(client::get(proxy, "/elsewhere").await.unwrap()),
            5 => drop(
                client::request(proxy, "GET", "/read/a", &[("X-Flipgate-Loop", "1")], b"").await.unwrap(),
            ),
            _ => {
                let mut connection = Connection::open(proxy).await.unwrap();
                connection.send(b"GET /read/late HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            }
        }
    }
    client::get(proxy, "/read/held").await.unwrap();
}
