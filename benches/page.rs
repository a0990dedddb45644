//! What the admin page costs, as ratios in one run: `scripts/bench-page`, or `cargo bench --bench page`.
//!
//! One flipgate with 50 routes and 200 findings. Each screen, and what a program asks beside it, is fetched in rounds
//! that are interleaved, and the median is put in relation to `/healthz`, which costs a request and nothing else; so
//! what else the machine does hits all alike. What a browser must fetch before a screen can be read and used is counted
//! with its bytes. It ends with 1 if a screen is 200 KB or more, or if anything stands between the screen and its use:
//! more than three requests, or a script that the text has to wait for.
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
#[path = "../tests/it/harness.rs"]
mod harness;
#[path = "../tests/it/metrics.rs"]
mod metrics;
#[path = "../tests/it/upstream.rs"]
mod upstream;
#[path = "../tests/it/wire.rs"]
mod wire;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Instant;

use client::{Answer, Connection};
use harness::{Flipgate, Setup};
use scraper::{Html, Selector};
use upstream::{Reply, Upstream};

const ROUTES: usize = 50;
/// Members that differ on each route.
const MEMBERS: usize = 4;
/// Times each route is asked before: every finding then has all the samples it keeps.
const ASKED: usize = 4;

const ROUNDS: usize = 9;
/// Fetches of one path in one round.
const FETCHES: usize = 30;

/// A screen is smaller.
const BYTES: usize = 200_000;
/// The screen, its style and its script.
const REQUESTS: usize = 3;

struct Fetched {
    /// As the table calls it.
    name: &'static str,
    path: String,
    /// Whether people look at it.
    is_screen: bool,
    last: Option<Answer>,
    /// Median of each round, in microseconds.
    rounds: Vec<f64>,
}

/// What a browser fetches for one screen.
#[derive(Default)]
struct Load {
    requests: usize,
    bytes: usize,
    waits_for: Vec<String>,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run())
}

async fn run() -> ExitCode {
    let (from, to) = (upstream("one").await, upstream("two").await);
    let flipgate = Setup::with_config(&from.url(), &to.url(), &config()).start().await;
    let found = findings(&flipgate).await;
    let mut fetched: Vec<Fetched> = vec![Fetched::program("/healthz")];
    fetched.extend(["/", "/findings", "/findings/{id}", "/flip", "/audit"].map(Fetched::screen));
    fetched.extend(["/metrics", "/api/status", "/api/findings"].map(Fetched::program));
    for one in &mut fetched {
        one.path = one.name.replace("{id}", &found[0]);
    }
    for _ in 0..ROUNDS {
        for one in &mut fetched {
            one.round(flipgate.admin).await;
        }
    }
    let routes = format!("{ROUTES} routes, {} findings", found.len());
    println!("flipgate {}, {routes}, {ROUNDS} rounds of {FETCHES}, medians", env!("CARGO_PKG_VERSION"));
    report(&fetched, flipgate.admin).await
}

/// Answers like its sibling but for the members that say `which`.
async fn upstream(which: &'static str) -> Upstream {
    Upstream::start(move |request| {
        let route = request.target.split('/').nth(1).unwrap_or_default();
        let members = (0..MEMBERS).map(|member| format!(r#""{route}_member_{member}":"{which} {member}""#));
        let members: Vec<_> = members.collect();
        Reply::json(format!(r#"{{"same":[1,2,3],{}}}"#, members.join(",")))
    })
    .await
}

fn config() -> String {
    let routes = (0..ROUTES).map(|route| format!("[[routes]]\nmatch = \"/route{route}/{{name}}\"\n"));
    format!("preset = \"none\"\n{}", routes.collect::<String>())
}

/// Makes them, and returns their ids.
async fn findings(flipgate: &Flipgate) -> Vec<String> {
    for asked in 0..ASKED {
        for route in 0..ROUTES {
            assert_eq!(flipgate.get(&format!("/route{route}/{asked}")).await.status, 200);
        }
    }
    flipgate.settled().await;
    let ids =
        flipgate.findings().await.iter().map(|f| f["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(ids.len(), ROUTES * MEMBERS, "each member that differs is a finding");
    ids
}

async fn report(fetched: &[Fetched], admin: SocketAddr) -> ExitCode {
    println!("{:<18} {:>6} {:>9} {:>7} {:>9}  what a browser loads", "path", "status", "µs", "×", "bytes");
    let base = fetched[0].median();
    let mut code = ExitCode::SUCCESS;
    for one in fetched {
        let answer = one.last.as_ref().unwrap();
        let load = one.load(admin).await;
        let (name, median, bytes) = (one.name, one.median(), answer.body.len());
        let browser = load.as_ref().map_or_else(String::new, Load::tell);
        println!(
            "{name:<18} {:>6} {median:>9.0} {:>7.2} {bytes:>9}  {browser}",
            answer.status,
            median / base
        );
        for problem in one.problems(load.as_ref()) {
            println!("FAILED: {name}: {problem}");
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

// === impl Fetched ===

impl Fetched {
    fn screen(name: &'static str) -> Self {
        Self { name, path: name.to_owned(), is_screen: true, last: None, rounds: Vec::new() }
    }

    fn program(name: &'static str) -> Self {
        Self { is_screen: false, ..Self::screen(name) }
    }

    async fn round(&mut self, admin: SocketAddr) {
        let mut connection = Connection::open(admin).await.unwrap();
        let mut times = Vec::with_capacity(FETCHES);
        for _ in 0..FETCHES {
            let begun = Instant::now();
            let answer =
                connection.request("GET", &self.path, &[("Accept", "text/html, */*")], b"").await.unwrap();
            times.push(begun.elapsed().as_secs_f64() * 1e6);
            self.last = Some(answer);
        }
        self.rounds.push(median(times));
    }

    fn median(&self) -> f64 {
        median(self.rounds.clone())
    }

    /// Of a screen that is one: a path may not be built yet, or be told as text.
    async fn load(&self, admin: SocketAddr) -> Option<Load> {
        let answer = self.last.as_ref()?;
        let is_html = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
        if !self.is_screen || !is_html {
            return None;
        }
        let (mut load, assets) = Load::of(answer.text());
        for asset in assets {
            let answer = client::get(admin, &asset).await.unwrap();
            assert_eq!(answer.status, 200, "{asset}");
            load.bytes += answer.body.len();
        }
        Some(load)
    }

    fn problems(&self, load: Option<&Load>) -> Vec<String> {
        let mut problems = Vec::new();
        let bytes = self.last.as_ref().map_or(0, |answer| answer.body.len());
        if self.is_screen && bytes >= BYTES {
            problems.push(format!("{bytes} bytes, and {BYTES} are too many"));
        }
        let Some(load) = load else { return problems };
        if load.requests > REQUESTS {
            problems.push(format!("{} requests, and more than {REQUESTS} are too many", load.requests));
        }
        problems
            .extend(load.waits_for.iter().map(|script| format!("its text waits for the script {script}")));
        problems
    }
}

// === impl Load ===

impl Load {
    /// Of a screen alone, and the paths of what it loads besides.
    fn of(html: &str) -> (Self, Vec<String>) {
        let page = Html::parse_document(html);
        let select = |css: &str, attribute: &str| {
            let css = Selector::parse(css).unwrap();
            page.select(&css)
                .map(|e| e.value().attr(attribute).unwrap_or("inline").to_owned())
                .collect::<Vec<_>>()
        };
        let mut assets = select("link[rel=stylesheet][href], link[rel~=icon][href]", "href");
        assets.extend(select("script[src], img[src]", "src"));
        assets.retain(|asset| !asset.starts_with("data:"));
        let waits_for =
            select("script:not([defer]):not([async]):not([type=module]):not([type$=json])", "src");
        (Self { requests: 1 + assets.len(), bytes: html.len(), waits_for }, assets)
    }

    fn tell(&self) -> String {
        format!("{} bytes in {} request(s)", self.bytes, self.requests)
    }
}
