//! What mirroring writes costs the writer, as ratios in one run: `scripts/bench-writes`, or `cargo bench --bench writes`.
//!
//! Eight clients with a connection each ingest videos of which none was there. In-process: to SQLite alone (`mode =
//! "primary"`), and to both stores (SQLite leads, PostgreSQL follows), so the ratio is to the very same write path without
//! the journal. Behind HTTP: straight to a server that commits each write to SQLite, and through flipgate to two of them.
//! Everything is synced: SQLite with `synchronous = FULL`, PostgreSQL with `fsync`, the journal. Rounds are interleaved
//! and begin with another one each time, so what else the machine does hits all alike; a ratio is of one round. What the
//! follower lacks at the end of a round is delivered before the next, in no one's time. It ends with 1 if mirroring
//! in-process has less than half of the throughput.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot go on may end"
)]
#![allow(dead_code, reason = "the rig is the tests', of which a benchmark uses a part")]

#[path = "../tests/it/client.rs"]
mod client;
#[path = "../tests/it/command.rs"]
mod command;
#[path = "../tests/it/harness.rs"]
mod harness;
#[path = "../tests/it/metrics.rs"]
mod metrics;
#[path = "../tests/it/upstream.rs"]
mod upstream;
#[path = "../tests/it/wire.rs"]
mod wire;
#[path = "../tests/it/written.rs"]
mod written;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use flipgate::cluster::Cluster;
use harness::{Flipgate, Setup};
use serde_json::json;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use upstream::{Reply, Upstream};
use written::{Stores, VARIANT, Write, Writer, all_delivered};

const CLIENTS: usize = 8;
const ROUNDS: usize = 9;
/// Writes of one client in one round.
const WRITES: usize = 50;
/// Bytes of a summary: about what real ones have.
const SUMMARY: usize = 3000;

/// Of the throughput without the journal, at least.
const LEAST: f64 = 0.5;

const ALONE: &str = "[writes]\nmode = \"primary\"\n";
const BOTH: &str = "[writes]\nmode = \"both\"\n";

/// One way to write.
struct Way {
    name: &'static str,
    to: SocketAddr,
    /// Delivers, where something is to be delivered.
    flipgate: Option<Flipgate>,
    /// Without the journal.
    base: usize,
    /// Writes a second of each round.
    rounds: Vec<f64>,
    /// What delivering the rest took after each round, in seconds.
    rests: Vec<f64>,
}

/// A server that commits each write before it answers, with threads of its own.
struct Server {
    upstream: Option<Upstream>,
    runtime: Option<Runtime>,
    _directory: TempDir,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run())
}

async fn run() -> ExitCode {
    let cluster = tokio::task::spawn_blocking(|| Cluster::start().unwrap()).await.unwrap();
    sync_everything(&cluster.url("postgres")).await;
    let (alone, both) = (stores(&cluster, "library_alone").await, stores(&cluster, "library_mirrored").await);
    let (first, second) = (Server::start().await, Server::start().await);
    let primary = alone.setup(&alone.url, ALONE).start().await;
    let mirrored = both.setup(&both.url, BOTH).start().await;
    let http = Setup::with_config(&first.url(), &second.url(), BOTH).start().await;
    let mut ways = [
        Way::new("in-process, one store", primary.proxy, None, 0),
        Way::new("in-process, both stores", mirrored.proxy, Some(mirrored), 0),
        Way::new("HTTP, straight", first.address(), None, 2),
        Way::new("HTTP, both servers", http.proxy, Some(http), 2),
    ];
    for round in 0..ROUNDS {
        for place in 0..ways.len() {
            let place = (place + round) % ways.len();
            ways[place].round(&format!("{round}-{place}")).await;
        }
    }
    report(&ways)
}

/// A PostgreSQL of the tests is durable in nothing.
async fn sync_everything(url: &str) {
    let mut postgres = PgConnection::connect(url).await.unwrap();
    for sql in [
        "ALTER SYSTEM SET fsync = on",
        "ALTER SYSTEM SET synchronous_commit = on",
        "ALTER SYSTEM SET full_page_writes = on",
        "SELECT pg_reload_conf()",
    ] {
        sqlx::raw_sql(sql).execute(&mut postgres).await.unwrap();
    }
    harness::wait_until("PostgreSQL syncs", async || {
        let mut postgres = PgConnection::connect(url).await.unwrap();
        let sql = "SELECT current_setting('fsync') || current_setting('synchronous_commit')";
        sqlx::query_scalar::<_, String>(sql).fetch_one(&mut postgres).await.unwrap() == "onon"
    })
    .await;
}

async fn stores(cluster: &Cluster, name: &str) -> Stores {
    cluster.create_database(name, None).await.unwrap();
    Stores::generated(&cluster.url(name)).await
}

fn report(ways: &[Way]) -> ExitCode {
    let version = env!("CARGO_PKG_VERSION");
    println!("flipgate {version}, {CLIENTS} clients, {ROUNDS} rounds of {WRITES} writes each, medians");
    println!("{:<24} {:>9} {:>7} {:>13}  rest delivered in", "", "writes/s", "×", "least – most");
    let mut code = ExitCode::SUCCESS;
    for way in ways {
        let ratios: Vec<f64> =
            way.rounds.iter().zip(&ways[way.base].rounds).map(|(own, base)| own / base).collect();
        let (least, most) =
            (ratios.iter().copied().fold(f64::MAX, f64::min), ratios.iter().copied().fold(0.0, f64::max));
        let ratio = median(&ratios);
        let rest =
            if way.flipgate.is_some() { format!("{:.2} s", median(&way.rests)) } else { String::new() };
        println!(
            "{:<24} {:>9.0} {ratio:>7.2} {:>13}  {rest}",
            way.name,
            median(&way.rounds),
            format!("{least:.2} – {most:.2}"),
        );
        if way.base == 0 && ratio < LEAST {
            println!("FAILED: {}: {ratio:.2} of the throughput, and {LEAST} is the least", way.name);
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// As many writes as one client makes in a round.
async fn client(proxy: SocketAddr, name: String) {
    let mut writer = Writer::to(proxy);
    for number in 0..WRITES {
        let video_id = format!("{name}-{number}");
        let text = format!("{video_id} {}", "a word and another. ".repeat(SUMMARY / 20));
        let write = Write::ingest(&json!({
            "video_id": video_id,
            "title": format!("A title of {video_id}"),
            "channel_name": "A channel",
            "indexed_at": "2026-11-25T06:34:00Z",
            "duration_seconds": 613,
            "canonical_url": format!("https://www.youtube.com/watch?v={video_id}"),
            "subcategories_json": {"categories": [{"category": "History", "subcategories": ["Modern"]}]},
            "analysis_json": {"language": "en", "content_type": "Discussion", "category": ["History"]},
            "topics_json": ["one", "two", "three"],
            "summary_variants": [{"variant": VARIANT, "text": text}],
        }));
        writer.taken(&write).await;
    }
}

// === impl Way ===

impl Way {
    fn new(name: &'static str, to: SocketAddr, flipgate: Option<Flipgate>, base: usize) -> Self {
        Self { name, to, flipgate, base, rounds: Vec::new(), rests: Vec::new() }
    }

    async fn round(&mut self, name: &str) {
        let begun = Instant::now();
        let clients = (0..CLIENTS).map(|number| tokio::spawn(client(self.to, format!("v{name}-{number}"))));
        for client in clients.collect::<Vec<_>>() {
            client.await.unwrap();
        }
        self.rounds.push((CLIENTS * WRITES) as f64 / begun.elapsed().as_secs_f64());
        if let Some(flipgate) = &self.flipgate {
            let begun = Instant::now();
            all_delivered(flipgate).await;
            self.rests.push(begun.elapsed().as_secs_f64());
        }
    }
}

// === impl Server ===

impl Server {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let sqlite = rusqlite::Connection::open(directory.path().join("library.db")).unwrap();
        sqlite.execute_batch("PRAGMA synchronous = FULL; CREATE TABLE reports (body BLOB)").unwrap();
        let sqlite = Mutex::new(sqlite);
        // A commit keeps its thread.
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(CLIENTS).enable_all().build().unwrap();
        let upstream = runtime.spawn(Upstream::start(move |request| {
            if request.method == "POST" {
                let sqlite = sqlite.lock().unwrap();
                sqlite.execute("INSERT INTO reports VALUES (?1)", [&request.body]).unwrap();
            }
            Reply::json(r#"{"upserted":1,"summaries_upserted":1}"#)
        }));
        Self { upstream: Some(upstream.await.unwrap()), runtime: Some(runtime), _directory: directory }
    }

    fn upstream(&self) -> &Upstream {
        self.upstream.as_ref().unwrap()
    }

    fn url(&self) -> String {
        self.upstream().url()
    }

    fn address(&self) -> SocketAddr {
        self.upstream().address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.upstream.take());
        // It may not be waited for within another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
