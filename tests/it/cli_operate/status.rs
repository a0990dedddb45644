//! `status`: of a running flipgate, and of documents from other versions.

use std::net::SocketAddr;

use insta::assert_snapshot;
use serde_json::json;

use super::{at, everything, on, reply, scripted, two_stores, unready};
use crate::command::{Told, command};
use crate::harness::Setup;
use crate::upstream::{Reply, Upstream};

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_a_running_flipgate_is_a_table() {
    let (from, to) = two_stores().await;
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    for name in 0..3 {
        flipgate.get(&format!("/read/{name}")).await;
    }
    flipgate.settled().await;
    let told = on(&flipgate, &["status"]).await;
    assert_eq!((told.code, told.err.as_str()), (0, ""), "{told:?}");
    for said in ["sqlite since ", "/read/{name}", "3/300", "not ready: ", "ask for other targets"] {
        assert!(told.out.contains(said), "{said}: {told:?}");
    }
    let told = on(&flipgate, &["status", "--format", "json"]).await;
    assert_eq!((told.code, &told.json()["primary"]), (0, &json!("sqlite")), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_tells_all_there_is() {
    let admin =
        scripted(vec![("/api/status", reply(&everything())), ("/api/readiness", reply(&unready()))]).await;
    let told = at(&admin.url(), &["status"]).await;
    assert_eq!((told.code, told.err.as_str()), (0, ""), "{told:?}");
    assert_snapshot!("status_everything", told.out);
    let told = at(&admin.url(), &["status", "--format", "json"]).await;
    assert_eq!(told.out, format!("{}\n", everything()), "not as it came");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_another_version_is_told_as_far_as_it_goes() {
    let older = json!({
        "primary": "postgres", "since": "2026-11-20T10:00:00.000Z", "dial": 100, "epoch": null,
        "backends": {"from": {"name": "sqlite"}}, "routes": [{"route": "/a", "distinct": 3}, {"distinct": 1}],
    });
    let admin = scripted(vec![
        ("/api/status", reply(&older)),
        ("/api/readiness", reply(&json!({"ready": true, "conditions": []}))),
    ])
    .await;
    let told = at(&admin.url(), &["status"]).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert_snapshot!("status_older", told.out);
    let strange = json!({
        "primary": {"name": "x"}, "dial": "much", "epoch": [1], "latch": true, "watch": {}, "sticky": 1, "state": [],
        "self_check": "no", "backends": [1, 2], "routes": {"a": 1}, "since": 5,
    });
    let shapes = [
        (json!({}), json!({})),
        (strange, json!({"ready": "yes", "conditions": [1, null, {"met": false}, {"met": "no"}]})),
        (json!({"routes": [1, null, [], {"route": 3, "floor": {"compared": 1}}]}), json!({"conditions": {}})),
    ];
    for (status, readiness) in shapes {
        let admin =
            scripted(vec![("/api/status", reply(&status)), ("/api/readiness", reply(&readiness))]).await;
        let told = at(&admin.url(), &["status"]).await;
        assert_eq!((told.code, told.err.as_str()), (0, ""), "{status}: {told:?}");
        assert!(told.out.starts_with("primary"), "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_it_runs_is_told_without_a_token() {
    let (from, to) = two_stores().await;
    let setup = Setup::between(&from.url(), &to.url()).environment("FLIPGATE_ADMIN_TOKEN", "hush-full");
    let flipgate = setup.start().await;
    let mut healthz = command(&["status", "--healthz"]);
    healthz.env("FLIPGATE_ADMIN", format!("http://{}", flipgate.admin));
    // A token that cannot be had must not make what runs look ill.
    healthz.env("FLIPGATE_ADMIN_TOKEN_FILE", "/none/such");
    let told = Told::of(healthz.output().await.unwrap());
    assert_eq!((told.code, told.out.as_str(), told.err.as_str()), (0, "flipgate runs\n", ""), "{told:?}");
    for (reply, said) in [
        (Reply::status(503), "answered 503"),
        (Reply::json("{}"), "something else than flipgate's health"),
        (Reply::status(200), "something else than flipgate's health"),
    ] {
        let other = Upstream::always(reply).await;
        at(&other.url(), &["status", "--healthz"]).await.assert_one_sentence(3, said);
    }
    let nobody = format!("http://{}", closed_port());
    at(&nobody, &["status", "--healthz"]).await.assert_one_sentence(3, "start flipgate");
}

/// An address at which nobody listens.
fn closed_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
