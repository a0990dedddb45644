//! Whole ways through the admin page in a real Chromium, as a user goes them.

use serde_json::Value;

use crate::browser::Page;
use crate::harness::{Flipgate, Setup};
use crate::lag_and_noise::ask_all;
use crate::upstream::{Recorded, Reply, Upstream};

mod doors;
mod flip;
mod hostile;
mod keyboard;
mod live;
mod looks;
mod plain;

/// Two routes, and a gate that opens on little evidence and shuts on one open finding.
const CONFIG: &str = r#"
preset = "none"
[[routes]]
match = "/read/{name}"
[[routes]]
match = "/page/{name}"
required = false
[gate]
min_comparisons = 30
max_mismatch_rate = 0.1
hold = 0.2
"#;

/// Targets of each kind: enough for the gate.
const TARGETS: u32 = 40;

/// The sentence of the planted defect, but for its route.
const DEFECT: &str = "/items/*/has_audio is true in sqlite and false in postgres";

/// A flipgate between two servers of which the second has a planted defect.
struct Stage {
    flipgate: Flipgate,
    _from: Upstream,
    _to: Upstream,
}

impl Stage {
    async fn set() -> Self {
        Self::set_up(|setup| setup).await
    }

    async fn set_up(change: impl FnOnce(Setup) -> Setup) -> Self {
        let from = Upstream::start(|request| answer(request, true)).await;
        let to = Upstream::start(|request| answer(request, false)).await;
        let flipgate = change(Setup::with_config(&from.url(), &to.url(), CONFIG)).start().await;
        Self { flipgate, _from: from, _to: to }
    }

    /// What clients ask for, with a defect in one of ten.
    async fn traffic(&self) {
        ask_all(&self.flipgate, (0..TARGETS).map(|n| format!("/read/{n}"))).await;
        self.flipgate.settled().await;
    }

    async fn page(&self) -> Page {
        Page::open(self.flipgate.admin).await
    }

    /// The address of the one finding on this route.
    async fn finding(&self, route: &str) -> String {
        let findings = self.flipgate.findings().await;
        let found = findings.iter().find(|finding| finding["route"] == route);
        let id = found.and_then(|finding| finding["id"].as_str());
        format!("/findings/{}", id.unwrap_or_else(|| panic!("nothing on {route}: {findings:?}")))
    }

    /// What was changed, latest first, with its reason.
    async fn audit(&self) -> Vec<(String, String)> {
        let audit = self.flipgate.admin_get("/api/audit").await.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let entries = audit["entries"].as_array().unwrap().iter();
        entries.map(|entry| (text(&entry["action"]), text(&entry["reason"]))).collect()
    }
}

/// A record whose `has_audio` got lost in one copy of ten; the pages differ in a word, each.
fn answer(request: &Recorded, is_original: bool) -> Reply {
    let number: u32 = request.target.rsplit('/').next().and_then(|name| name.parse().ok()).unwrap_or(0);
    if request.target.starts_with("/page/") {
        let word = if is_original { "Report" } else { "Reprot" };
        let body = format!("<main><h1>{word} {number}</h1><p>Published in <em>May</em></p></main>");
        return Reply::html(format!("<!doctype html><html><title>A page</title><body>{body}</body></html>"));
    }
    let has_audio = is_original || number % 10 != 7;
    let long = "a long line that goes on and on ".repeat(12);
    Reply::json(format!(
        r#"{{"items":[{{"id":{number},"title":"Report {number}","summary":"{long}","has_audio":{has_audio}}}],"url":"https://example.org/{}","total":1}}"#,
        "unbroken".repeat(20)
    ))
}
