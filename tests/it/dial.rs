//! The dial: a split by client, compare-and-set, gated upwards; and flips that race.

use std::collections::HashMap;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::client::{Answer, Connection};
use crate::harness::{Flipgate, ROUTES, Setup};
use crate::upstream::{Reply, Upstream};

async fn started(config: &str) -> (Upstream, Upstream, Flipgate) {
    let from = Upstream::always(Reply::json("{}").header("X-Backend", "sqlite")).await;
    let to = Upstream::always(Reply::json("{}").header("X-Backend", "postgres")).await;
    let flipgate = Setup::with_config(&from.url(), &to.url(), &format!("{ROUTES}{config}")).start().await;
    (from, to, flipgate)
}

async fn dial(flipgate: &Flipgate, document: Value) -> Answer {
    flipgate.admin_post("/api/dial", &document).await
}

/// Who answers each of `clients`, told apart by a cookie.
async fn sides(flipgate: &Flipgate, clients: u32) -> HashMap<u32, String> {
    let ask = async |first: u32| {
        let mut connection = Connection::open(flipgate.proxy).await.unwrap();
        let mut sides = Vec::new();
        for client in (first..clients).step_by(8) {
            let cookie = format!("theme=dark; session={client:08x}");
            let answer = connection.request("GET", "/other", &[("Cookie", &cookie)], b"").await.unwrap();
            sides.push((client, answer.header("x-backend").unwrap().to_owned()));
        }
        sides
    };
    join_all((0..8).map(ask)).await.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quarter_of_10_000_clients_and_each_always_the_same() {
    // What no route names goes to the leader; so ask for what one does, without comparing it.
    let config = "[[routes]]\nmatch = \"/other\"\n[shadow]\ninflight = 1\n[dial]\ncookie = \"session\"\n";
    let (_from, _to, flipgate) = started(config).await;
    let raised =
        dial(&flipgate, json!({"percent": 25, "expect": 0, "reason": "a quarter", "force": true})).await;
    assert_eq!(
        (raised.status, &raised.json()["primary"], &raised.json()["dial"]),
        (200, &json!("split"), &json!(25))
    );
    assert_eq!(raised.json()["leader"], "sqlite");
    let first = sides(&flipgate, 10_000).await;
    let share = |sides: &HashMap<u32, String>| {
        f64::from(u32::try_from(sides.values().filter(|side| *side == "postgres").count()).unwrap()) / 100.0
    };
    assert!((share(&first) - 25.0).abs() <= 1.5, "{} %", share(&first));
    assert_eq!(flipgate.metrics().await.sum("flipgate_primary", &[("backend", "postgres")]), 0.25);
    // Another process, the same sides; a higher dial moves clients one way only.
    let flipgate = flipgate.kill9().start().await;
    assert!(sides(&flipgate, 1000).await.iter().all(|(client, side)| first[client] == *side));
    assert_eq!(dial(&flipgate, json!({"percent": 60, "expect": 25, "force": true})).await.status, 200);
    let second = sides(&flipgate, 10_000).await;
    assert!((share(&second) - 60.0).abs() <= 1.5, "{} %", share(&second));
    assert!(second.iter().all(|(client, side)| side == "postgres" || first[client] == "sqlite"));
}

#[tokio::test(flavor = "multi_thread")]
async fn raising_is_gated_and_lowering_never() {
    let (_from, _to, flipgate) = started("").await;
    let refused = dial(&flipgate, json!({"percent": 25})).await;
    assert_eq!(refused.status, 409);
    assert!(refused.json()["conditions"].as_array().is_some_and(|conditions| !conditions.is_empty()));
    assert_eq!(flipgate.primary().await, "sqlite");
    for (document, status) in [
        (json!({"percent": 50, "expect": 10, "force": true}), 409),
        (json!({"percent": 101, "force": true}), 400),
        (json!({"percent": -1, "force": true}), 400),
        (json!({"percent": 50, "force": true, "dry_run": true}), 200),
    ] {
        assert_eq!(dial(&flipgate, document.clone()).await.status, status, "{document}");
        assert_eq!(flipgate.primary().await, "sqlite");
    }
    assert_eq!(
        dial(&flipgate, json!({"percent": 50, "expect": 0, "reason": "half", "force": true})).await.status,
        200
    );
    let lowered = dial(&flipgate, json!({"percent": 10, "reason": "less"})).await;
    assert_eq!((lowered.status, &lowered.json()["dial"]), (200, &json!(10)));
    assert_eq!(dial(&flipgate, json!({"percent": 20})).await.status, 409);
    // 100 is the flip, and takes the leader along; a flip back is never gated either.
    let flipped = dial(&flipgate, json!({"percent": 100, "force": true})).await.json();
    assert_eq!((&flipped["primary"], &flipped["leader"]), (&json!("postgres"), &json!("postgres")));
    let back = flipgate.flip("sqlite", false).await.json();
    assert_eq!(
        (&back["primary"], &back["leader"], &back["dial"]),
        (&json!("sqlite"), &json!("sqlite"), &json!(0))
    );
    let audit = flipgate.admin_get("/api/audit").await.json();
    let told: Vec<(&str, &str, &str, bool)> = audit["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let text = |member: &str| entry[member].as_str().unwrap();
            (text("action"), text("from"), text("to"), entry["forced"].as_bool().unwrap())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("flip", "postgres", "sqlite", false),
            ("dial", "split, 10 % postgres", "postgres", true),
            ("dial", "split, 50 % postgres", "split, 10 % postgres", false),
            ("dial", "sqlite", "split, 50 % postgres", true),
        ]
    );
    assert_eq!(audit["entries"][3]["evidence"]["ready"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_50_flips_that_expect_the_same_exactly_one_wins() {
    let (_from, _to, flipgate) = started("").await;
    let flip = json!({"primary": "postgres", "expect": "sqlite", "reason": "a race", "force": true});
    let answers = join_all((0..50).map(|_| flipgate.admin_post("/api/primary", &flip))).await;
    let won = answers.iter().filter(|answer| answer.status == 200).count();
    let lost = answers.iter().filter(|answer| answer.status == 409).count();
    assert_eq!((won, lost), (1, 49));
    let refused = answers.iter().find(|answer| answer.status == 409).unwrap();
    assert_eq!(refused.json()["detail"], "the primary is postgres now");
    assert_eq!(flipgate.metrics().await.sum("flipgate_flips_total", &[]), 1.0);
    assert_eq!(flipgate.admin_get("/api/audit").await.json()["entries"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_rollbacks_end_at_from() {
    let (_from, _to, flipgate) = started("").await;
    assert_eq!(dial(&flipgate, json!({"percent": 40, "force": true})).await.status, 200);
    let rollback = json!({"reason": "a test"});
    let answers = join_all((0..2).map(|_| flipgate.admin_post("/api/rollback", &rollback))).await;
    for answer in answers {
        let status = answer.json();
        assert_eq!((answer.status, &status["primary"], &status["dial"]), (200, &json!("sqlite"), &json!(0)));
    }
    let audit = flipgate.admin_get("/api/audit").await.json();
    assert_eq!(audit["entries"].as_array().unwrap().len(), 2, "the second changed nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn trusted_proxies_say_whose_request_it_is_and_nobody_else() {
    let by_address = async |config: &str| {
        let (_from, _to, flipgate) = started(config).await;
        assert_eq!(dial(&flipgate, json!({"percent": 50, "force": true})).await.status, 200);
        let mut connection = Connection::open(flipgate.proxy).await.unwrap();
        let mut on_to = 0;
        for client in 0..200 {
            let forwarded = format!("198.51.100.7, 203.0.113.{client}");
            let headers = [("X-Forwarded-For", &*forwarded)];
            let answer = connection.request("GET", "/read/a", &headers, b"").await.unwrap();
            on_to += u32::from(answer.header("x-backend") == Some("postgres"));
        }
        (on_to, flipgate.admin_get("/api/status").await.json()["sticky"].clone())
    };
    let (on_to, sticky) = by_address("").await;
    assert!(on_to == 0 || on_to == 200, "{on_to} of 200: one load balancer is one client");
    assert!(sticky["note"].as_str().unwrap().contains("trusted_proxies"), "{sticky}");
    let (on_to, sticky) = by_address("[dial]\ntrusted_proxies = [\"127.0.0.0/8\"]\n").await;
    assert!((60..=140).contains(&on_to), "{on_to} of 200");
    assert_eq!(sticky["note"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finding_keeps_id_state_and_severity_whoever_serves() {
    let from = Upstream::always(Reply::json("{\"category\":[\"a\"]}")).await;
    let to = Upstream::always(Reply::json("{\"categories\":[\"a\"]}")).await;
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    let seen = async |count: u32| {
        flipgate.get("/read/a").await;
        flipgate.settled().await;
        let mut findings = flipgate.findings().await;
        assert_eq!((findings.len(), &findings[0]["count"]), (1, &json!(count)));
        let mut finding = findings.remove(0);
        for volatile in ["count", "last_seen", "samples", "unlike"] {
            finding[volatile] = Value::Null;
        }
        finding
    };
    let first = seen(1).await;
    assert_eq!(
        (&first["kind"], &first["severity"], &first["state"]),
        (&json!("renamed"), &json!("breaking"), &json!("open"))
    );
    let id = first["id"].as_str().unwrap();
    assert_eq!(flipgate.flip("postgres", true).await.status, 200);
    assert_eq!(seen(2).await, first);
    assert_eq!(dial(&flipgate, json!({"percent": 50})).await.status, 200);
    assert_eq!(seen(3).await, first);
    assert_eq!(flipgate.admin_post("/api/rollback", &json!({})).await.status, 200);
    assert_eq!(seen(4).await, first);
    let accepted = json!({"state": "accepted", "note": "known"});
    assert_eq!(flipgate.admin_post(&format!("/api/findings/{id}"), &accepted).await.status, 200);
    assert_eq!(flipgate.flip("postgres", true).await.status, 200);
    assert_eq!(flipgate.findings().await[0]["state"], "accepted");
}
