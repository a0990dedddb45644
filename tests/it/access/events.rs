//! `/api/events`: what it tells, to how many, and when it ends.

use serde_json::json;

use crate::client::Connection;
use crate::doors::{Doors, Event, FORM, FULL, READ, assert_ends, bearer, form};
use crate::harness::wait_until;
use crate::upstream::{Gate, Reply, Step, Upstream};

#[tokio::test(flavor = "multi_thread")]
async fn the_status_comes_at_once_and_when_it_changes() {
    let doors = Doors::open().await;
    let token = bearer(READ);
    let (status, mut stream) = doors.events(&[("Authorization", &token)]).await;
    assert_eq!(status, 200);
    let first = Event::next(&mut stream).await;
    let now = doors.told("/api/status").await;
    for member in ["version", "primary", "dial", "leader", "ready", "unmet", "epoch"] {
        assert_eq!(first.data[member], now[member], "{member}");
    }
    assert_eq!(first.data["findings"], json!({"open": 0, "accepted": 0, "resolved": 0}));
    doors.finding().await;
    let mut last = first.id;
    loop {
        let event = Event::next(&mut stream).await;
        assert!(event.id > last);
        last = event.id;
        if event.data["findings"]["open"] == 1 && event.data["mismatches"] == 1 && event.data["compared"] == 1
        {
            break;
        }
    }
    let full = bearer(FULL);
    let asked = json!({"primary": "postgres", "force": true}).to_string();
    assert_eq!(doors.ask("POST", "/api/primary", &[("Authorization", &full)], &asked).await.status, 200);
    let mut event = Event::next(&mut stream).await;
    while event.data["primary"] != "postgres" {
        event = Event::next(&mut stream).await;
    }
    // Who comes later is told what is.
    drop(stream);
    let (_, mut stream) = doors.events(&[("Authorization", &token)]).await;
    assert_eq!(Event::next(&mut stream).await.data["dial"], 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_sixteen_places() {
    let doors = Doors::open().await;
    let token = bearer(READ);
    let who = [("Authorization", token.as_str())];
    let mut streams = Vec::new();
    for _ in 0..16 {
        let (status, stream) = doors.events(&who).await;
        assert_eq!(status, 200);
        streams.push(stream);
    }
    let refused = doors.head("GET", "/api/events", &who, "").await;
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
    assert_eq!(doors.get("/api/status", &who).await.status, 200, "other callers have theirs");
    for stream in &mut streams {
        Event::next(stream).await;
    }
    streams.pop();
    wait_until("its place is free", async || doors.head("GET", "/api/events", &who, "").await.status == 200)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_the_session_that_opened_it() {
    let doors = Doors::open().await;
    let (session, other) = (doors.log_in(READ).await, doors.log_in(READ).await);
    let (_, mut ends) = doors.events(&[session.header()]).await;
    let (_, mut stays) = doors.events(&[other.header()]).await;
    Event::next(&mut ends).await;
    Event::next(&mut stays).await;
    let csrf = form(&[("csrf", &session.csrf)]);
    assert_eq!(doors.ask("POST", "/logout", &[FORM, session.header()], &csrf).await.status, 303);
    assert_ends(ends).await;
    doors.finding().await;
    Event::next(&mut stays).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_with_the_stop_and_hold_nothing_up() {
    // A client's request holds the stop up: what ends before does not end because the process is gone.
    let gate = Gate::shut();
    let held = Reply::status(200).first(Step::Await(gate.clone())).body("late");
    let (from, to) = (Upstream::always(held).await, Upstream::always(Reply::status(200)).await);
    let doors = Doors { flipgate: Doors::setup(&from, &to).start().await, from, to };
    let mut client = Connection::open(doors.flipgate.proxy).await.unwrap();
    client.send(b"GET /other HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    wait_until("it was asked", async || doors.from.requests("/other").len() == 1).await;
    let session = doors.log_in(READ).await;
    let token = bearer(READ);
    for who in [session.header(), ("Authorization", token.as_str())] {
        assert_eq!(doors.events(&[who]).await.0, 200);
    }
    let (_, mut by_session) = doors.events(&[session.header()]).await;
    let (_, mut by_token) = doors.events(&[("Authorization", &token)]).await;
    Event::next(&mut by_session).await;
    Event::next(&mut by_token).await;
    doors.flipgate.terminate();
    assert_ends(by_session).await;
    assert_ends(by_token).await;
    gate.open();
    assert_eq!(client.answer("GET").await.unwrap().rest().await.unwrap(), b"late");
    assert_eq!(doors.flipgate.ended().await, Some(0));
}
