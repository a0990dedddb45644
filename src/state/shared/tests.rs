//! Against a PostgreSQL of its own; one database a test.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Executor as _};

use super::*;
use crate::cluster::Cluster;
use crate::state::AuditEntry;

mod door;
mod evidence;
mod findings;
mod outage;
mod record;
mod schema;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start().unwrap());

/// A database of its own, with the schema in it.
struct Database {
    url: String,
}

impl Database {
    async fn new() -> Self {
        let database = Self::bare().await;
        database.store("first").prepare().await.unwrap();
        database
    }

    /// Without the schema.
    async fn bare() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("shared_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let cluster = tokio::task::spawn_blocking(|| &*CLUSTER).await.unwrap();
        // template1 cannot be copied while another test copies it.
        cluster.create_database(&name, Some("template0")).await.unwrap();
        Database { url: cluster.url(&name) }
    }

    fn store(&self, replica: &str) -> SharedStore {
        SharedStore::new(&self.url, replica).unwrap()
    }

    fn bounded(&self, replica: &str, bounds: Bounds) -> SharedStore {
        SharedStore::bounded(&self.url, replica, bounds).unwrap()
    }

    /// A connection that is no store's.
    async fn connection(&self) -> PgConnection {
        self.url.parse::<PgConnectOptions>().unwrap().connect().await.unwrap()
    }

    async fn execute(&self, sql: &'static str) {
        self.connection().await.execute(sqlx::raw_sql(sql)).await.unwrap();
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&mut self.connection().await).await.unwrap()
    }
}

fn record(version: i64, primary: &str) -> Record {
    Record { version, document: json!({"primary": primary}) }
}

fn entry(action: &str) -> AuditEntry {
    let (from, to) = ("sqlite".to_owned(), "postgres".to_owned());
    AuditEntry {
        at: "2026-11-01T00:00:00.000Z".to_owned(),
        action: action.to_owned(),
        from,
        to,
        trigger: "operator".to_owned(),
        source: "127.0.0.1".to_owned(),
        reason: "because\0of".to_owned(),
        forced: false,
        evidence: json!({"ready": true, "share": 1.50}),
        finding: None,
    }
}

fn document(kind: &str, key: &str, document: &str) -> Document {
    let [kind, key, document] = [kind, key, document].map(str::to_owned);
    Document { kind, key, document }
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

async fn woken(listener: &mut Listener) {
    tokio::time::timeout(DEADLINE, listener.changed()).await.expect("woken in time").unwrap();
}

/// All that is new, over as many calls as it takes; and the cursor after it.
async fn pull_all(store: &SharedStore, mut cursor: Cursor) -> (Vec<(String, Document)>, Cursor) {
    let mut all = Vec::new();
    loop {
        let (documents, next) = store.pull(&cursor).await.unwrap();
        all.extend(documents);
        cursor = next;
        if !cursor.has_more() {
            return (all, cursor);
        }
    }
}

/// Sorted `replica kind/key=document`.
fn told(documents: &[(String, Document)]) -> Vec<String> {
    let one = |(replica, Document { kind, key, document }): &(String, Document)| {
        format!("{replica} {kind}/{key}={document}")
    };
    let mut told: Vec<String> = documents.iter().map(one).collect();
    told.sort();
    told
}
