//! The dashboards, on a real Prometheus that scrapes a real demo: every query of every panel has data.

mod files;
mod prometheus;
mod promql;
mod rules;

use std::collections::HashSet;

use serde_json::json;

use self::files::{Dashboard, Target};
use self::prometheus::Prometheus;
use self::promql::Scope;
use crate::client::{self, Connection};
use crate::demo::{Demo, demo};
use crate::harness::wait_until;

/// The seconds between two points of a panel that shows a fortnight.
const ZOOMED_OUT: u32 = 900;
/// Panels that may be without data after all that the test does.
const ALLOWED_EMPTY: [&str; 0] = [];
/// Panels that cannot show nothing but 0 after it.
const NEVER_ZERO: [&str; 8] = [
    "parity / Open findings against a flip",
    "parity / Outcomes",
    "parity / Differences by kind and class",
    "parity / Top routes",
    "latency / p95 by route and store",
    "latency / flipgate's own part",
    "cutover / Flips and rollbacks",
    "cutover / Dial",
];

/// Reads every record in each of its forms, and the lists.
async fn read_everything(demo: &Demo) {
    let mut client = Connection::open(demo.proxy).await.unwrap();
    let mut get = async |target: &str| client.request("GET", target, &[], b"").await.unwrap();
    let reports = get("/api/reports?size=50").await.json();
    for target in ["/", "/api/filters", "/api/reports", "/api/reports?sort=title", "/not/compared"] {
        get(target).await;
    }
    for report in reports["reports"].as_array().unwrap() {
        let (id, stem) = (report["id"].as_str().unwrap(), report["video_id"].as_str().unwrap());
        for target in [format!("/api/reports/{id}"), format!("/{stem}.json"), format!("/{stem}.html")] {
            get(&target).await;
        }
    }
}

async fn change(demo: &Demo, target: &str, body: serde_json::Value) {
    let headers = [("Content-Type", "application/json")];
    let answer = client::request(demo.admin, "POST", target, &headers, body.to_string().as_bytes()).await;
    assert_eq!(answer.unwrap().status, 200, "{target}");
}

/// A demo that found its defects, was flipped and rolled back, each with reads before and after, all scraped.
async fn scraped() -> (Demo, Prometheus) {
    let demo = Demo::start(&mut demo(&["--rows", "30"])).await;
    let prometheus = Prometheus::start(demo.admin).await;
    let read_and_scrape = async || {
        read_everything(&demo).await;
        wait_until("every outcome has been scraped", async || {
            let now = demo.metrics().await;
            let total = now.sum("flipgate_outcomes_total", &[]);
            let scraped = prometheus.number("sum(flipgate_outcomes_total)").await;
            now.sum("flipgate_outcomes_pending", &[]) == 0.0 && scraped == Some(total)
        })
        .await;
    };
    wait_until("it is scraped", async || prometheus.number("sum(up)").await == Some(1.0)).await;
    read_and_scrape().await;
    change(&demo, "/api/primary", json!({"primary": "postgres", "reason": "a test", "force": true})).await;
    read_and_scrape().await;
    change(&demo, "/api/rollback", json!({"reason": "a test"})).await;
    read_and_scrape().await;
    (demo, prometheus)
}

#[tokio::test]
async fn every_panel_has_data_once_a_defect_was_found_and_the_primary_went_forth_and_back() {
    let (demo, prometheus) = scraped().await;
    let (mut empty, mut not_zero) = (Vec::new(), HashSet::new());
    for dashboard in Dashboard::all() {
        let scope = Scope::of(&prometheus, &dashboard).await;
        let zoomed_out = scope.clone().zoomed_out(ZOOMED_OUT);
        for (panel, target) in dashboard.targets() {
            let query = scope.fill(&target.expr);
            let numbers = prometheus.numbers(&target, &query).await;
            let place = format!("{} / {panel}", dashboard.name);
            if target.is_annotation {
                let query = zoomed_out.fill(&target.expr);
                let marks = prometheus.zoomed_out(&query, ZOOMED_OUT).await;
                assert!(!marks.is_empty(), "{place} vanishes when zoomed out: {query}");
            }
            if !numbers.iter().any(|number| number.is_finite()) {
                empty.push(format!("{place}: {query}"));
            }
            if numbers.iter().any(|number| number.is_finite() && *number != 0.0) {
                not_zero.insert(place);
            }
        }
    }
    assert_eq!(empty, ALLOWED_EMPTY, "panels without data");
    let zero: Vec<_> = NEVER_ZERO.into_iter().filter(|place| !not_zero.contains(*place)).collect();
    assert!(zero.is_empty(), "panels that show nothing but 0: {zero:?}");
    assert_rules_work(&prometheus).await;
    assert_known_names(&demo).await;
    drop(prometheus);
    assert_eq!(demo.stop().await, Some(1));
}

/// Every recording rule has recorded something; no rule failed; no text of an alert could not be made.
async fn assert_rules_work(prometheus: &Prometheus) {
    let groups = prometheus.get("/api/v1/rules").await;
    let rules: Vec<_> =
        groups["groups"].as_array().unwrap().iter().flat_map(|g| g["rules"].as_array().unwrap()).collect();
    assert!(rules.len() > 20, "{groups}");
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
        assert!(!rule.to_string().contains("error expanding"), "{rule}");
        if rule["type"] == "recording" {
            let name = rule["name"].as_str().unwrap();
            let query = Target { expr: name.to_owned(), instant: true, is_annotation: false };
            wait_until(&format!("{name} has recorded something"), async || {
                prometheus.numbers(&query, name).await.iter().any(|number| number.is_finite())
            })
            .await;
        }
    }
}

/// A metric that is renamed fails here, wherever it is asked for; and what is scraped passes Prometheus' own lint.
async fn assert_known_names(demo: &Demo) {
    let scrape = client::get(demo.admin, "/metrics").await.unwrap();
    promql::assert_known_names(scrape.text());
    rules::assert_lint(&scrape.body).await;
}
