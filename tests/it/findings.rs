//! What is known of differences: bounded, without secrets, kept over a restart, and judged.

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
