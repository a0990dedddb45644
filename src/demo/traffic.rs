//! Every read of the dashboard for one library: lists in every order, every page, every facet value, searches, and
//! each record in each of its forms.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::client::Client;
use crate::app::App;
use crate::metrics::Metrics;

/// Clients at once.
const CLIENTS: usize = 8;
/// Shadow requests or comparisons under way at which the traffic waits.
const FAR_BEHIND: i64 = 16;
/// How long it waits before it looks again.
const PACE: Duration = Duration::from_millis(1);
/// Every order `/api/reports` knows, and one it does not.
const SORTS: &[&str] = &[
    "added_desc",
    "added_asc",
    "video_newest",
    "newest",
    "video_oldest",
    "oldest",
    "title",
    "title_az",
    "title_asc",
    "title_za",
    "title_desc",
    "duration",
    "duration_desc",
    "duration_asc",
    "nonsense",
];
/// Facets of `/api/filters` and the parameter each goes by.
const FACETS: &[(&str, &str)] = &[
    ("source", "source"),
    ("language", "language"),
    ("category", "category"),
    ("content_type", "content_type"),
    ("complexity_level", "complexity"),
    ("channel", "channel"),
    ("has_audio", "has_audio"),
];
/// Searches that find much, little and nothing, wildcards and odd input among them.
const SEARCHES: &[&str] =
    &["a", "the", "ai", "AI", "%", "_ _", "100%", "'", "\"", "é", "日本", "🙂", "no such words anywhere"];
/// What is asked in vain.
const UNKNOWN: &[&str] = &[
    "/api/reports/unknown",
    "/unknown.json",
    "/unknown.html",
    "/api/reports?page=0&size=999",
    "/api/reports?page=x",
];

/// Every read of the dashboard at `proxy`, which serves `library`.
pub(super) async fn targets(proxy: SocketAddr, library: &Path) -> anyhow::Result<Vec<String>> {
    let (_, filters) = Client::connect(proxy).await?.get("/api/filters").await?;
    let filters: Value = serde_json::from_slice(&filters).context("/api/filters answers no JSON")?;
    let records = records(library).context("the library cannot be read")?;
    Ok(all(&filters, &records))
}

/// Sends all of them through the proxy; gives the number of requests, with the one that [`targets`] sent.
pub(super) async fn send_all(app: &App, targets: &Arc<Vec<String>>) -> anyhow::Result<usize> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let mut client = Client::connect(app.proxy_address).await?;
        let (targets, next) = (Arc::clone(targets), Arc::clone(&next));
        let metrics = Arc::clone(&app.shared.metrics);
        clients.spawn(async move {
            while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                client.get(target).await?;
                keep_pace(&metrics).await;
            }
            Ok::<_, anyhow::Error>(())
        });
    }
    while let Some(done) = clients.join_next().await {
        done.context("a client's task ended")??;
    }
    Ok(targets.len() + 1)
}

/// Sends `rate` reads a second, one after the other and at random, for as long as it is polled.
pub(super) async fn go_on(proxy: SocketAddr, targets: &[String], rate: u32) {
    let mut random = fastrand::Rng::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    // What cannot be sent in time is not made up for.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut client = None;
    loop {
        ticks.tick().await;
        let Some(target) = targets.get(random.usize(0..targets.len().max(1))) else { continue };
        client = match read(client.take(), proxy, target).await {
            Ok(client) => Some(client),
            Err(error) => {
                tracing::warn!(%error, "a read of the demo's own failed");
                None
            }
        };
    }
}

/// One read, on a connection of its own if there is none yet.
async fn read(client: Option<Client>, proxy: SocketAddr, target: &str) -> anyhow::Result<Client> {
    let mut client = match client {
        Some(client) => client,
        None => Client::connect(proxy).await?,
    };
    client.get(target).await?;
    Ok(client)
}

/// Waits while the shadow is far behind: a client never waits for it, so this traffic could outrun it, and what is shed
/// shows nothing.
async fn keep_pace(metrics: &Metrics) {
    while metrics.shadow_inflight.get() > FAR_BEHIND || metrics.compare_queue.get() > FAR_BEHIND {
        tokio::time::sleep(PACE).await;
    }
}

/// Id and video id of every record, as far as it has them.
fn records(library: &Path) -> rusqlite::Result<Vec<(String, Option<String>)>> {
    let connection = Connection::open_with_flags(library, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement = connection
        .prepare("SELECT CAST(id AS TEXT), CAST(video_id AS TEXT) FROM content WHERE id IS NOT NULL")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

fn all(filters: &Value, records: &[(String, Option<String>)]) -> Vec<String> {
    let mut targets = vec!["/".to_owned()];
    for sort in SORTS {
        targets.push(format!("/api/reports?sort={sort}&size=50"));
        targets.push(format!("/api/reports?sort={sort}&page=2"));
    }
    for size in [1, 7, 20, 50] {
        let pages = records.len().div_ceil(size).min(100) + 1;
        targets.extend((1..=pages).map(|page| format!("/api/reports?page={page}&size={size}")));
    }
    targets.extend(facet_values(filters));
    targets.extend(SEARCHES.iter().map(|words| format!("/api/reports?q={}", encoded(words))));
    targets.extend(UNKNOWN.iter().map(|target| (*target).to_owned()));
    for (id, video_id) in records {
        targets.extend(record(id, video_id.as_deref()));
    }
    targets
}

fn facet_values(filters: &Value) -> Vec<String> {
    let mut targets = Vec::new();
    for (facet, parameter) in FACETS {
        for entry in filters.get(facet).and_then(Value::as_array).into_iter().flatten() {
            let Some(value) = entry.get("value").map(text) else { continue };
            targets.push(format!("/api/reports?{parameter}={}", encoded(&value)));
            for sub in entry.get("subcategories").and_then(Value::as_array).into_iter().flatten() {
                let Some(sub) = sub.get("value").map(text) else { continue };
                let (parent, sub) = (encoded(&value), encoded(&sub));
                targets.push(format!("/api/reports?subcategory={sub}&parentCategory={parent}"));
                targets.push(format!("/api/reports?category={parent}&subcategory={sub}"));
            }
        }
    }
    targets
}

fn record(id: &str, video_id: Option<&str>) -> Vec<String> {
    let mut targets = vec![format!("/api/reports/{}", encoded(id))];
    if let Some(video_id) = video_id.filter(|video_id| !video_id.is_empty()) {
        let stem = encoded(video_id);
        targets.push(format!("/api/reports/{stem}"));
        targets.push(format!("/{stem}.json"));
        targets.push(format!("/{stem}.json?v=2"));
        targets.push(format!("/{stem}.html"));
    }
    targets
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
