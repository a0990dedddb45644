//! What is known of differences: bounded, without secrets, kept over a restart, and judged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::harness::{Flipgate, Setup, wait_until};
use crate::upstream::{Recorded, Reply, Upstream};

/// Two servers that answer by target and side, and a flipgate between them.
async fn between(
    answer: impl Fn(&'static str, &Recorded) -> Reply + Clone + Send + Sync + 'static,
) -> (Upstream, Upstream, Flipgate) {
    let other = answer.clone();
    let from = Upstream::start(move |request| answer("from", request)).await;
    let to = Upstream::start(move |request| other("to", request)).await;
    let flipgate = Setup::between(&from.url(), &to.url()).start().await;
    (from, to, flipgate)
}

async fn sample(flipgate: &Flipgate, finding: &Value) -> Value {
    let answer = flipgate.admin_get(&format!("/api/samples/{}", finding["samples"][0])).await;
    assert_eq!(answer.status, 200, "{finding}");
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn findings_and_samples_survive_a_restart() {
    let (_from, _to, flipgate) = between(|side, _| Reply::json(format!("{{\"side\":\"{side}\"}}"))).await;
    for _ in 0..5 {
        flipgate.get("/read/a").await;
    }
    flipgate.settled().await;
    let before = flipgate.findings().await;
    assert_eq!((before.len(), &before[0]["count"]), (1, &json!(5)));
    let kept = sample(&flipgate, &before[0]).await;
    flipgate.terminate();
    let setup = flipgate.stopped().await;
    let flipgate = setup.start().await;
    assert_eq!(flipgate.findings().await, before);
    assert_eq!(sample(&flipgate, &before[0]).await, kept);
    flipgate.get("/read/a").await;
    flipgate.settled().await;
    let after = flipgate.findings().await;
    assert_eq!((&after[0]["id"], &after[0]["count"]), (&before[0]["id"], &json!(6)));
    assert_eq!(after[0]["samples"], before[0]["samples"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_survives_a_kill() {
    let (_from, _to, flipgate) = between(|side, _| Reply::json(format!("{{\"side\":\"{side}\"}}"))).await;
    flipgate.get("/read/a").await;
    flipgate.settled().await;
    let path = flipgate.path("state/samples.db");
    let written = |table: &str| {
        let open = rusqlite::Connection::open(&path).unwrap();
        open.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap_or(0)
    };
    wait_until("finding and sample are on disk", async || {
        written("samples") == 1 && written("findings") == 1
    })
    .await;
    let before = flipgate.findings().await;
    let flipgate = flipgate.kill9().start().await;
    assert_eq!(flipgate.findings().await, before);
    sample(&flipgate, &before[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_reaches_the_disk_or_a_page() {
    let answer = |side: &str, request: &Recorded| match request.target.split('?').next() {
        Some("/read/json") => Reply::json(format!(
            "{{\"side\":\"{side}\",\"api_key\":\"hush-{side}\",\"inner\":\"{{\\\"password\\\":\\\"hush\\\"}}\"}}"
        )),
        Some("/read/form") => Reply::html(format!(
            "<html><p>{side}</p><form><input name=csrf_token value=hush-{side}><input type=password value=hush></form>"
        )),
        _ => Reply::json(format!("{{\"side\":\"{side}\",\"password\":hush")),
    };
    let (_from, _to, flipgate) = between(answer).await;
    let secrets = [("Authorization", "Bearer hush"), ("Cookie", "s=hush")];
    for target in ["/read/json?token=hush&n=1", "/read/form", "/read/broken"] {
        flipgate.request("GET", target, &secrets, b"").await;
    }
    flipgate.settled().await;
    let mut seen = String::new();
    let findings = flipgate.findings().await;
    assert!(findings.iter().any(|finding| finding["path"] == "/api_key"), "compared before it is blanked");
    for finding in &findings {
        let id = finding["id"].as_str().unwrap();
        seen.push_str(flipgate.admin_get(&format!("/api/findings/{id}")).await.text());
        seen.push_str(flipgate.admin_get(&format!("/api/samples/{}", finding["samples"][0])).await.text());
    }
    assert!(
        seen.contains("***") && seen.contains("not valid JSON") && seen.contains("/read/json?token=***&n=1")
    );
    assert!(!seen.contains("hush"), "{seen}");
    flipgate.terminate();
    let setup = flipgate.stopped().await;
    let mut stored = Vec::new();
    for entry in std::fs::read_dir(setup.path("state")).unwrap() {
        stored.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    let holds = |text: &[u8]| stored.windows(text.len()).any(|window| window == text);
    assert!(holds(b"***") && holds(b"not valid JSON"), "nothing was stored");
    assert!(!holds(b"hush"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_values_at_one_path_are_one_finding() {
    let answer = |side: &str, _: &Recorded| {
        let rows: Vec<Value> = (0..1000)
            .map(|id| json!({"id": format!("r{id}"), "name": "same", "text": format!("{side} {id}")}))
            .collect();
        Reply::json(json!({ "rows": rows }).to_string())
    };
    let (_from, _to, flipgate) = between(answer).await;
    flipgate.get("/read/a").await;
    flipgate.settled().await;
    let findings = flipgate.findings().await;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0]["path"], "/rows/*/text");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_has_200_findings_and_a_breaking_one_for_the_rest() {
    let answer = |side: &str, request: &Recorded| {
        let member = request.target.rsplit('/').next().unwrap();
        Reply::json(format!("{{\"side_{member}\":\"{side}\"}}"))
    };
    let (_from, _to, flipgate) = between(answer).await;
    for member in 0..210 {
        flipgate.get(&format!("/read/{member}")).await;
    }
    let metrics = flipgate.settled().await;
    let findings = flipgate.findings().await;
    assert_eq!(findings.len(), 201);
    assert_eq!((&findings[0]["path"], &findings[0]["severity"]), (&json!("**"), &json!("breaking")));
    assert_eq!(findings[0]["count"], 10);
    assert_eq!(metrics.sum("flipgate_findings", &[("state", "open")]), 201.0);
}

/// Judges the finding; gives status and document.
async fn judge(flipgate: &Flipgate, finding: &Value, judgement: Value) -> (u16, Value) {
    let id = finding["id"].as_str().unwrap();
    let answer = flipgate.admin_post(&format!("/api/findings/{id}"), &judgement).await;
    (answer.status, answer.json())
}

async fn audited(flipgate: &Flipgate) -> Vec<(String, String, String)> {
    let entries = flipgate.admin_get("/api/audit").await.json();
    let text = |entry: &Value, member: &str| entry[member].as_str().unwrap().to_owned();
    let entries = entries["entries"].as_array().unwrap().iter();
    entries.map(|entry| (text(entry, "action"), text(entry, "trigger"), text(entry, "reason"))).collect()
}

/// How many mismatches the gate counts, and how many findings stand against a flip.
async fn gate(flipgate: &Flipgate) -> (String, Value) {
    let readiness = flipgate.admin_get("/api/readiness").await.json();
    let conditions = readiness["conditions"].as_array().unwrap();
    let of = |name: &str| conditions.iter().find(|condition| condition["name"] == name).unwrap();
    (of("mismatch_bound")["hint"].as_str().unwrap().to_owned(), of("open_findings")["actual"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn accepting_judges_stored_evidence_again_and_opening_takes_it_back() {
    let answer = |side: &str, request: &Recorded| match request.target.as_str() {
        "/read/renamed" => Reply::json(format!(
            "{{\"{}\":[\"a\",\"b\"]}}",
            if side == "from" { "category" } else { "categories" }
        )),
        _ => Reply::json("{}"),
    };
    let (_from, _to, flipgate) = between(answer).await;
    for target in ["/read/renamed", "/read/other", "/read/renamed"] {
        flipgate.get(target).await;
    }
    flipgate.assert_outcomes(&[("match", 1), ("mismatch", 2)]).await;
    let finding = flipgate.findings().await.remove(0);
    assert_eq!(finding["severity"], "breaking");
    assert!(gate(&flipgate).await.0.contains("2 mismatches in 3 distinct comparisons"));

    let (status, accepted) =
        judge(&flipgate, &finding, json!({"state": "accepted", "note": "we know"})).await;
    assert_eq!(
        (status, &accepted["state"], &accepted["accepted"]["note"]),
        (200, &json!("accepted"), &json!("we know"))
    );
    let (hint, open) = gate(&flipgate).await;
    assert!(hint.contains("0 mismatches in 3 distinct comparisons"), "{hint}");
    assert_eq!(open, 0);
    flipgate.get("/read/renamed").await;
    let metrics = flipgate.assert_outcomes(&[("match", 1), ("mismatch", 2), ("accepted", 1)]).await;
    let found = |state| metrics.sum("flipgate_findings", &[("state", state), ("severity", "breaking")]);
    assert_eq!((found("accepted"), found("open"), found("resolved")), (1.0, 0.0, 0.0));

    let flipgate = flipgate.kill9().start().await;
    assert_eq!(flipgate.findings().await[0]["state"], "accepted");
    flipgate.get("/read/renamed").await;
    flipgate.assert_outcomes(&[("accepted", 1)]).await;
    let (status, opened) =
        judge(&flipgate, &finding, json!({"state": "open", "note": "not after all"})).await;
    assert_eq!((status, &opened["state"], &opened["accepted"]), (200, &json!("open"), &Value::Null));
    assert!(gate(&flipgate).await.0.contains("3 mismatches in 4 distinct comparisons"));
    let wanted = [("reopen", "not after all"), ("accept", "we know")]
        .map(|(action, reason)| (action.to_owned(), "operator".to_owned(), reason.to_owned()));
    assert_eq!(audited(&flipgate).await, wanted);
}

/// More places than are kept with a comparison, but few findings.
#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_covers_a_frequent_cause() {
    let answer = |side: &str, _: &Recorded| {
        let seconds = if side == "from" { "Z" } else { "+00:00" };
        let row = |id: u32| {
            let at = format!("2026-01-02T03:{:02}:{:02}{seconds}", id / 60, id % 60);
            json!({"id": id, "a": at, "b": at, "c": at, "d": at})
        };
        Reply::json(json!({ "rows": (0..40).map(row).collect::<Vec<_>>() }).to_string())
    };
    let (_from, _to, flipgate) = between(answer).await;
    flipgate.get("/read/a").await;
    flipgate.settled().await;
    let findings = flipgate.findings().await;
    assert_eq!(findings.len(), 4);
    for (accepted, finding) in findings.iter().enumerate() {
        assert!(gate(&flipgate).await.0.contains("1 mismatches"), "{accepted} of 4 accepted");
        assert_eq!(judge(&flipgate, finding, json!({"state": "accepted"})).await.0, 200);
    }
    assert!(gate(&flipgate).await.0.contains("0 mismatches in 1 distinct comparisons"));
    flipgate.get("/read/a").await;
    flipgate.assert_outcomes(&[("mismatch", 1), ("accepted", 1)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_accepted_within_a_scope_and_beyond_it_reopens() {
    let answer = |side: &str, request: &Recorded| {
        let n = request.target.rsplit('/').next().unwrap();
        Reply::json(format!("{{\"v\":\"{}\"}}", if side == "from" { "a" } else { n }))
    };
    let (_from, _to, flipgate) = between(answer).await;
    flipgate.get("/read/b").await;
    flipgate.settled().await;
    let finding = flipgate.findings().await.remove(0);
    let refused = judge(&flipgate, &finding, json!({"state": "accepted"})).await;
    assert_eq!(refused.0, 422);
    assert!(refused.1["detail"].as_str().unwrap().contains("max_share"), "{refused:?}");
    let refused = judge(&flipgate, &finding, json!({"state": "accepted", "max_share": 0.5})).await;
    assert_eq!(refused.0, 409, "{refused:?}");
    assert_eq!(judge(&flipgate, &finding, json!({"state": "resolved"})).await.0, 400);
    assert_eq!(judge(&flipgate, &json!({"id": "none-such"}), json!({"state": "open"})).await.0, 404);

    let kept = sample(&flipgate, &finding).await;
    let values = json!([{"from": kept["differences"][0]["from"], "to": kept["differences"][0]["to"]}]);
    let (status, _) = judge(&flipgate, &finding, json!({"state": "accepted", "values": values})).await;
    assert_eq!(status, 200);
    flipgate.get("/read/b").await;
    flipgate.assert_outcomes(&[("mismatch", 1), ("accepted", 1)]).await;
    flipgate.get("/read/c").await;
    flipgate.assert_outcomes(&[("mismatch", 2), ("accepted", 1)]).await;
    assert_eq!(flipgate.findings().await[0]["state"], "open");
    wait_until("the reopening is audited", async || audited(&flipgate).await.len() == 2).await;
    let (action, trigger, reason) = audited(&flipgate).await.remove(0);
    assert_eq!((action.as_str(), trigger.as_str()), ("reopen", "flipgate"));
    assert!(reason.contains("values beyond"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_expires_by_itself() {
    let (_from, _to, flipgate) =
        between(|side, _| Reply::json(if side == "from" { "{\"a\":1}" } else { "{}" })).await;
    flipgate.get("/read/a").await;
    flipgate.settled().await;
    let finding = flipgate.findings().await.remove(0);
    let (status, _) = judge(&flipgate, &finding, json!({"state": "accepted", "expires_in": "1s"})).await;
    assert_eq!(status, 200);
    wait_until("it is open again", async || flipgate.findings().await[0]["state"] == "open").await;
    wait_until("that is audited", async || audited(&flipgate).await.len() == 2).await;
    assert!(audited(&flipgate).await[0].2.contains("expired"));
}

/// Asks for the finding's first sample again; gives status and document.
async fn recheck(flipgate: &Flipgate, finding: &Value) -> (u16, Value) {
    let answer =
        flipgate.admin_post(&format!("/api/samples/{}/recheck", finding["samples"][0]), &json!({})).await;
    (answer.status, answer.json())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cause_that_is_gone_is_resolved_and_its_return_reopens() {
    let fixed = Arc::new(AtomicBool::new(false));
    let is_fixed = Arc::clone(&fixed);
    let (from, _to, flipgate) = between(move |side, _| {
        let differs = side == "to" && !is_fixed.load(Ordering::SeqCst);
        Reply::json(if differs { "{\"a\":2}" } else { "{\"a\":1}" })
    })
    .await;
    flipgate.request("GET", "/read/a?n=%20", &[("Accept-Language", "de")], b"").await;
    flipgate.settled().await;
    let finding = flipgate.findings().await.remove(0);
    let (status, differs) = recheck(&flipgate, &finding).await;
    assert_eq!((status, &differs["agrees"], &differs["counts"]), (200, &json!(false), &json!(true)));
    assert_eq!(differs["differences"][0]["path"], "/a");
    let again = &from.requests("/read/a?n=%20")[1];
    assert_eq!(again.headers.get("accept-language"), Some("de"));
    assert_eq!(
        (again.headers.get("x-flipgate-role"), again.headers.get("x-flipgate-loop")),
        (Some("shadow"), Some("1"))
    );

    fixed.store(true, Ordering::SeqCst);
    assert_eq!(recheck(&flipgate, &finding).await.1["agrees"], true);
    assert_eq!(flipgate.findings().await[0]["state"], "open");
    for _ in 0..30 {
        flipgate.get("/read/b").await;
    }
    let metrics = flipgate.assert_outcomes(&[("mismatch", 1), ("match", 30)]).await;
    assert_eq!(flipgate.findings().await[0]["state"], "resolved");
    assert_eq!(metrics.sum("flipgate_findings", &[("state", "open")]), 0.0);
    assert_eq!(gate(&flipgate).await.1, 0);
    fixed.store(false, Ordering::SeqCst);
    flipgate.get("/read/b").await;
    flipgate.settled().await;
    let reopened = flipgate.findings().await.remove(0);
    assert_eq!((&reopened["state"], &reopened["id"]), (&json!("open"), &finding["id"]));
    wait_until("both are audited", async || audited(&flipgate).await.len() == 2).await;
    let actions: Vec<String> = audited(&flipgate).await.into_iter().map(|(action, ..)| action).collect();
    assert_eq!(actions, ["reopen", "resolve"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recheck_says_when_it_cannot_be_or_does_not_count() {
    let gone = Arc::new(AtomicBool::new(false));
    let is_gone = Arc::clone(&gone);
    let (_from, mut to, flipgate) = between(move |side, request| {
        if is_gone.load(Ordering::SeqCst) {
            return Reply::json("{}").with_status(404);
        }
        Reply::json(json!({ request.target.split('?').next().unwrap(): side }).to_string())
    })
    .await;
    flipgate.request("GET", "/read/cookie", &[("Cookie", "a=b")], b"").await;
    flipgate.get("/read/token?token=a").await;
    flipgate.settled().await;
    for finding in flipgate.findings().await {
        let (status, problem) = recheck(&flipgate, &finding).await;
        assert_eq!(status, 409, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("credentials"), "{problem}");
    }
    flipgate.get("/read/plain").await;
    flipgate.settled().await;
    let findings = flipgate.findings().await;
    let plain = findings.iter().find(|finding| finding["path"].as_str().unwrap().contains("plain")).unwrap();
    gone.store(true, Ordering::SeqCst);
    let (status, document) = recheck(&flipgate, plain).await;
    assert_eq!((status, &document["agrees"], &document["counts"]), (200, &json!(true), &json!(false)));
    assert!(document["doubt"].as_str().unwrap().contains("`sqlite` answers 404 now"), "{document}");
    to.stop().await;
    let (status, problem) = recheck(&flipgate, plain).await;
    assert_eq!(status, 502);
    assert!(problem["detail"].as_str().unwrap().contains("`postgres`"), "{problem}");
    assert_eq!(flipgate.admin_post("/api/samples/999/recheck", &json!({})).await.status, 404);
}
