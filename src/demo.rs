//! `flipgate demo`: the whole job on a throw-away PostgreSQL and a library of its own, nothing to prepare.
//!
//! Cluster, library, migration, proxy and admin side come up; every read of the dashboard goes through the proxy; what
//! differs is told in the terminal. By default three defects are planted in the PostgreSQL copy, to show that they are
//! found.

mod client;
mod defects;
mod traffic;
mod write;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;

use crate::app::App;
use crate::cli::{CLEAN, COULD_NOT_RUN, FOUND, failed, stop_signal};
use crate::cluster::Cluster;
use crate::config::{Config, Environment, Flags};
use crate::ledger::outcome::Outcome;
use crate::{library, migrate, telemetry};

/// Database of the demo in its cluster.
const DATABASE: &str = "library";
/// Seed of the generated library: the same one every time.
const SEED: u64 = 1;
/// How long comparisons may take after the last request.
const SETTLE: Duration = Duration::from_secs(30);
/// What writers send; the demo is nobody's but the one's who started it.
const TOKEN: &str = "demo";
/// Findings told in the terminal.
const TOLD: usize = 20;

/// Show the whole job: a library, a throw-away PostgreSQL, both behind the proxy, and what differs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flipgate demo                                   three planted defects, found; then look around
  flipgate demo --clean --once                    no defects: ends with 0
  flipgate demo --library library.db --clean --once
  flipgate demo --write-library library.db        only the generated library, for a set-up of your own
  flipgate demo --traffic                         reads go on until it is stopped, so that dashboards stay filled

Ends with 0 if both stores answer alike, 1 if differences were found, 3 if it could not run. The library is copied,
never written to.")]
pub struct Arguments {
    /// A library to use (it is copied) instead of a generated one
    #[arg(long, value_name = "FILE", conflicts_with = "rows")]
    library: Option<PathBuf>,
    /// Records to generate
    #[arg(long, default_value_t = 81, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rows: u32,
    /// Plant no defects in the PostgreSQL copy
    #[arg(long)]
    clean: bool,
    /// Stop after the traffic
    #[arg(long)]
    once: bool,
    /// Write the generated library to this file and stop; one that is there stays as it is
    #[arg(long, value_name = "FILE", conflicts_with_all = ["library", "clean", "once", "listen", "admin_listen"])]
    write_library: Option<PathBuf>,
    /// Go on sending reads until it is stopped
    #[arg(long, conflicts_with = "once")]
    traffic: bool,
    /// Reads a second that go on
    #[arg(long, default_value_t = 10, requires = "traffic", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// Where clients connect [default: 127.0.0.1:8080; any free port with --once]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Where operators connect [default: 127.0.0.1:9900; any free port with --once]
    #[arg(long, value_name = "ADDR")]
    admin_listen: Option<String>,
}

/// What the traffic brought to light.
struct Tally {
    requests: usize,
    matched: u64,
    accepted: u64,
    mismatched: u64,
    /// Differed, and agreed when asked again, or are noise.
    passing: u64,
    /// Asked, and for whatever reason not compared.
    uncompared: u64,
}

/// A demo that is up; dropped, it leaves nothing behind.
struct Demo {
    app: App,
    cluster: Cluster,
    sqlite: PathBuf,
    /// Every read of the dashboard, once they are known.
    targets: Arc<Vec<String>>,
    _directory: tempfile::TempDir,
}

/// Runs the demo until it is done, or until it is stopped.
pub async fn run(arguments: Arguments) -> ExitCode {
    telemetry::init("warn");
    if let Some(path) = &arguments.write_library {
        return write::run(path, arguments.rows);
    }
    let stopped = stop_signal();
    tokio::pin!(stopped);
    let shown = tokio::select! {
        biased;
        () = &mut stopped => return failed(COULD_NOT_RUN, "stopped before the demo was done"),
        shown = bring_up_and_show(&arguments) => shown,
    };
    let (demo, code) = match shown {
        Ok(shown) => shown,
        Err(error) => return failed(COULD_NOT_RUN, &format!("{error:#}")),
    };
    if !arguments.once {
        demo.tell_where(&arguments);
        tokio::select! {
            () = &mut stopped => {}
            () = demo.go_on(&arguments) => {}
        }
    }
    match demo.tear_down().await {
        Ok(()) => ExitCode::from(code),
        Err(error) => failed(COULD_NOT_RUN, &format!("{error:#}")),
    }
}

async fn bring_up_and_show(arguments: &Arguments) -> anyhow::Result<(Demo, u8)> {
    let mut demo = Demo::bring_up(arguments).await?;
    let code = demo.show().await?;
    Ok((demo, code))
}

// === impl Demo ===

impl Demo {
    async fn bring_up(arguments: &Arguments) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("flipgate-demo-")
            .tempdir()
            .context("no temporary directory can be made")?;
        let sqlite = directory.path().join("library.db");
        let cluster = tokio::task::spawn_blocking(Cluster::start);
        prepare_library(arguments, &sqlite)?;
        println!("library    {}", describe(arguments));
        let cluster = cluster.await.context("the cluster's thread ended")??;
        cluster.create_database(DATABASE, None).await?;
        let url = cluster.url(DATABASE);
        println!("postgres   a private server, removed at the end");
        let report = migrate::run(&sqlite, &url).await?;
        for table in &report.tables {
            println!("migrated   {}: {} of {} rows", table.table, table.inserted, table.read);
        }
        if arguments.clean {
            println!("defects    none planted");
        } else {
            for planted in defects::plant(&url).await? {
                println!("planted    {planted}");
            }
        }
        let app = App::start(config(arguments, &sqlite, &url, directory.path())?).await?;
        Ok(Demo { app, cluster, sqlite, targets: Arc::default(), _directory: directory })
    }

    /// Sends the traffic and tells what it brought to light; gives the exit code.
    async fn show(&mut self) -> anyhow::Result<u8> {
        let started = Instant::now();
        self.targets = Arc::new(traffic::targets(self.app.proxy_address, &self.sqlite).await?);
        let requests = traffic::send_all(&self.app, &self.targets).await?;
        if !self.app.settle(SETTLE).await {
            let pending = self.app.shared.metrics.pending();
            bail!("{pending} comparisons were not done {SETTLE:?} after the last request");
        }
        let tally = Tally::of(&self.app, requests);
        println!(
            "traffic    {} reads through the proxy in {:.1} s: {} equal, {} accepted, {} differ, {} not compared{}",
            tally.requests,
            started.elapsed().as_secs_f64(),
            tally.matched,
            tally.accepted,
            tally.mismatched,
            tally.uncompared,
            if tally.passing > 0 {
                format!(", {} differed for a moment", tally.passing)
            } else {
                String::new()
            }
        );
        tell_findings(&self.app);
        Ok(tally.code())
    }

    /// Sends reads until it is dropped, if that is asked for. Never ends.
    async fn go_on(&self, arguments: &Arguments) {
        if !arguments.traffic {
            return std::future::pending().await;
        }
        traffic::go_on(self.app.proxy_address, &self.targets, arguments.rate).await
    }

    fn tell_where(&self, arguments: &Arguments) {
        let App { proxy_address, admin_address, .. } = &self.app;
        println!("\nproxy      http://{proxy_address}");
        println!("admin      http://{admin_address}/api/status  http://{admin_address}/api/findings");
        println!("page       http://{admin_address}");
        println!("metrics    http://{admin_address}/metrics");
        println!(
            "write      curl http://{proxy_address}/ingest/report -H 'X-INGEST-TOKEN: {TOKEN}' \\\n             \
             -d '{{\"video_id\":\"flipgate001\",\"title\":\"A new one\"}}'"
        );
        println!(
            "delete     curl -X DELETE http://{proxy_address}/api/delete/flipgate001 -H 'Authorization: Bearer {TOKEN}'"
        );
        if arguments.traffic {
            println!("traffic    {} reads a second go on", arguments.rate);
        }
        println!("Stop with Ctrl-C.");
    }

    async fn tear_down(self) -> anyhow::Result<()> {
        self.app.stop().await;
        let cluster = self.cluster;
        tokio::task::spawn_blocking(move || cluster.stop()).await.context("the cluster's thread ended")??;
        Ok(())
    }
}

fn tell_findings(app: &App) {
    let findings = app.shared.ledger.findings();
    println!("\n{} finding{}", findings.len(), if findings.len() == 1 { "" } else { "s" });
    for finding in findings.iter().take(TOLD) {
        println!("  {:<9} {:>4} ×  {}", finding.severity.as_str(), finding.count, finding.sentence);
    }
    if findings.len() > TOLD {
        println!("  … and {} more: GET /api/findings", findings.len() - TOLD);
    }
}

// === impl Tally ===

impl Tally {
    fn of(app: &App, requests: usize) -> Self {
        let count = |outcome| app.shared.metrics.outcomes(outcome);
        Tally {
            requests,
            matched: count(Outcome::Match),
            accepted: count(Outcome::Accepted),
            mismatched: count(Outcome::Mismatch),
            passing: count(Outcome::Transient) + count(Outcome::Noise),
            uncompared: count(Outcome::ShadowFailed)
                + count(Outcome::PrimaryFailed)
                + count(Outcome::Shed)
                + count(Outcome::Skipped)
                + count(Outcome::Incomplete),
        }
    }

    /// Clean only if every request was compared and none differed.
    fn code(&self) -> u8 {
        if self.mismatched == 0 && self.uncompared == 0 { CLEAN } else { FOUND }
    }
}

fn prepare_library(arguments: &Arguments, path: &Path) -> anyhow::Result<()> {
    let Some(source) = &arguments.library else {
        return library::generate(path, arguments.rows, SEED).context("the library cannot be generated");
    };
    let open = || {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let from = rusqlite::Connection::open_with_flags(source, flags)?;
        let mut to = rusqlite::Connection::open(path)?;
        rusqlite::backup::Backup::new(&from, &mut to)?.run_to_completion(1000, Duration::ZERO, None)
    };
    open().with_context(|| format!("the library {} cannot be copied", source.display()))
}

fn describe(arguments: &Arguments) -> String {
    match &arguments.library {
        Some(path) => format!("a copy of {}", path.display()),
        None => format!("{} generated records", arguments.rows),
    }
}

fn config(arguments: &Arguments, sqlite: &Path, postgres: &str, directory: &Path) -> anyhow::Result<Config> {
    let address = |given: &Option<String>, usual: &str| {
        let free = || if arguments.once { "127.0.0.1:0".to_owned() } else { usual.to_owned() };
        Some(given.clone().unwrap_or_else(free))
    };
    let flags = Flags {
        listen: address(&arguments.listen, "127.0.0.1:8080"),
        admin_listen: address(&arguments.admin_listen, "127.0.0.1:9900"),
        sqlite: Some(format!("sqlite:{}", sqlite.display())),
        postgres: Some(postgres.to_owned()),
        state_dir: Some(directory.join("state")),
        ..Flags::default()
    };
    // The demo is the same everywhere: no variable of the environment changes it.
    let environment = Environment::of(&[("SYNC_SECRET", TOKEN), ("INGEST_TOKEN", TOKEN)]);
    Ok(Config::load(&flags, &environment)?)
}
