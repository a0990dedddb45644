//! What shadowing costs the client, as ratios in one run: `cargo bench --bench shadow`, or `scripts/bench-shadow`.
//!
//! Part one: one and eight clients through flipgate while the shadow is well, stopped, hanging, or 50 ms late, each
//! beside the same requests on a route that is not shadowed; with a primary that takes 5 ms, as a dashboard does, and
//! with one that takes nothing, where whatever processor time the shadow costs shows, since clients, servers and
//! flipgate share the machine's cores. Part two: 500 reads by eight clients of a single-threaded
//! HTTP/1.0 dashboard, alone and through flipgate with comparison on. Scenarios are interleaved round by round, and
//! the medians of the rounds are compared, so that what else the machine does hits all of them alike.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on may end"
)]
#![allow(dead_code, reason = "the rig is the tests', of which a benchmark uses a part")]

#[path = "../tests/it/client.rs"]
mod client;
#[path = "../tests/it/harness.rs"]
mod harness;
#[path = "../tests/it/metrics.rs"]
mod metrics;
#[path = "../tests/it/serial.rs"]
mod serial;
#[path = "../tests/it/upstream.rs"]
mod upstream;
#[path = "../tests/it/wire.rs"]
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use client::Connection;
use harness::{Flipgate, ROUTES, Setup};
use serial::SerialServer;
use upstream::{Reply, Step, Upstream};

const ROUNDS: usize = 9;
/// Requests a client sends in one round of one scenario.
const REQUESTS: usize = 200;
/// Reads of the serial server in one round.
const READS: usize = 500;
/// What one read costs the serial server.
const WORK: Duration = Duration::from_millis(2);

/// Latencies in microseconds of one round.
struct Round {
    p50: f64,
    p99: f64,
}

struct Scenario {
    name: &'static str,
    proxy: SocketAddr,
    target: &'static str,
    rounds: Vec<Round>,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        println!("flipgate {}, {ROUNDS} rounds, medians", env!("CARGO_PKG_VERSION"));
        for work in [Duration::from_millis(5), Duration::ZERO] {
            for clients in [1, 8] {
                shadows(clients, work).await;
            }
        }
        serial_dashboard().await;
    });
}

async fn shadows(clients: usize, work: Duration) {
    let body = format!(r#"{{"reports":[{}]}}"#, vec![r#"{"id":"yt:a","title":"A title"}"#; 360].join(","));
    let answer = || Reply::json(body.clone());
    let worked = if work.is_zero() { answer() } else { answer().first(Step::Delay(work)) };
    let primary = Upstream::always(worked).await;
    let well = Upstream::always(answer()).await;
    let mut stopped = Upstream::always(answer()).await;
    let hanging = Upstream::always(Reply::hang()).await;
    let late = Upstream::always(answer().first(Step::Delay(Duration::from_millis(50)))).await;
    let mut flipgates: Vec<Flipgate> = Vec::new();
    let mut scenarios = Vec::new();
    for (name, shadow) in
        [("well", &well), ("stopped", &stopped), ("hanging", &hanging), ("50 ms late", &late)]
    {
        let flipgate = Setup::with_config(&primary.url(), &shadow.url(), ROUTES).start().await;
        scenarios.push(Scenario { name, proxy: flipgate.proxy, target: "/read/a", rounds: Vec::new() });
        flipgates.push(flipgate);
    }
    stopped.stop().await;
    let plain =
        Scenario { name: "no shadow", proxy: flipgates[0].proxy, target: "/plain", rounds: Vec::new() };
    scenarios.insert(0, plain);
    for _ in 0..ROUNDS {
        for scenario in &mut scenarios {
            let round = round(scenario.proxy, scenario.target, clients).await;
            scenario.rounds.push(round);
        }
    }
    println!(
        "\n{clients} client(s), a primary that takes {} ms, {} bytes; ratios to `no shadow`",
        work.as_millis(),
        body.len()
    );
    println!("{:<12} {:>9} {:>9} {:>7} {:>7}", "shadow", "p50 µs", "p99 µs", "p50 ×", "p99 ×");
    let (base50, base99) = (scenarios[0].p50(), scenarios[0].p99());
    for scenario in &scenarios {
        let (p50, p99) = (scenario.p50(), scenario.p99());
        println!("{:<12} {p50:>9.0} {p99:>9.0} {:>7.2} {:>7.2}", scenario.name, p50 / base50, p99 / base99);
    }
}

async fn round(proxy: SocketAddr, target: &'static str, clients: usize) -> Round {
    let clients = (0..clients).map(|_| {
        tokio::spawn(async move {
            let mut connection = Connection::open(proxy).await.unwrap();
            let mut latencies = Vec::with_capacity(REQUESTS);
            for _ in 0..REQUESTS {
                let begun = Instant::now();
                let answer = connection.request("GET", target, &[], b"").await.unwrap();
                latencies.push(begun.elapsed().as_secs_f64() * 1e6);
                assert_eq!(answer.status, 200);
            }
            latencies
        })
    });
    let mut latencies = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        latencies.extend(client.await.unwrap());
    }
    latencies.sort_by(f64::total_cmp);
    Round { p50: latencies[latencies.len() / 2], p99: latencies[latencies.len() * 99 / 100] }
}

async fn serial_dashboard() {
    const BODY: &str = r#"{"reports":[{"id":"yt:a","title":"A"}],"pagination":{"page":1}}"#;
    let (from, to) = (SerialServer::start(BODY, WORK), SerialServer::start(BODY, WORK));
    let flipgate = Setup::with_config(&from.url(), &to.url(), ROUTES).start().await;
    let (mut alone, mut proxied) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // Four at once is what its backlog takes without the kernel dropping any: the server at its best.
        alone.push(read_all(from.address, 4).await.as_secs_f64());
        proxied.push(read_all(flipgate.proxy, 8).await.as_secs_f64());
    }
    let metrics = flipgate.settled().await;
    let compared = metrics.sum("flipgate_outcomes_total", &[("outcome", "match")]);
    let (alone, proxied) = (median(alone), median(proxied));
    println!("\nsingle-threaded HTTP/1.0 server, {READS} reads of {} ms", WORK.as_millis());
    println!("alone {alone:.3} s, through flipgate {proxied:.3} s by 8 clients: {:.2} ×", proxied / alone);
    println!("compared {compared} of {}, others shed and counted", READS * ROUNDS);
}

async fn read_all(address: SocketAddr, clients: usize) -> Duration {
    let begun = Instant::now();
    let next = Arc::new(AtomicUsize::new(0));
    let clients = (0..clients).map(|_| {
        let next = Arc::clone(&next);
        tokio::spawn(async move {
            while next.fetch_add(1, Ordering::SeqCst) < READS {
                assert_eq!(client::get(address, "/read/a").await.unwrap().status, 200);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    begun.elapsed()
}

impl Scenario {
    fn p50(&self) -> f64 {
        median(self.rounds.iter().map(|round| round.p50).collect())
    }

    fn p99(&self) -> f64 {
        median(self.rounds.iter().map(|round| round.p99).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
