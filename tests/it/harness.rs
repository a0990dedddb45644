//! The real binary, started as a user starts it, and the PostgreSQL that tests share.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use flipgate::cluster::Cluster;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{self, Answer};
use crate::metrics::Metrics;

/// How long a condition may take; far more than any needs.
const PATIENCE: Duration = Duration::from_secs(40);

/// One compared route; everything else is `other`.
pub(crate) const ROUTES: &str = r#"
preset = "none"
[[routes]]
match = "/read/{name}"
"#;

/// A flipgate to start: its arguments and where it keeps its state.
#[derive(Debug)]
pub(crate) struct Setup {
    dir: TempDir,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

/// A running `flipgate serve`; killed when dropped, which fails the test if it had ended or panicked before.
#[derive(Debug)]
pub(crate) struct Flipgate {
    /// `None` once its end is expected.
    setup: Option<Setup>,
    child: Child,
    pub(crate) proxy: SocketAddr,
    pub(crate) admin: SocketAddr,
    log: Log,
}

/// What a process said on standard error so far.
type Log = Arc<Mutex<String>>;

/// What a command that ends did.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
}

// === impl Setup ===

impl Setup {
    /// Between two servers, with [`ROUTES`].
    pub(crate) fn between(from: &str, to: &str) -> Self {
        Self::with_config(from, to, ROUTES)
    }

    /// Between two backends, with a configuration file of this text.
    pub(crate) fn with_config(from: &str, to: &str, config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("flipgate.toml");
        // Unless a test is about it, a mismatch counts at once, and no backend is asked more than clients ask.
        let recheck =
            if config.contains("[recheck]") { "" } else { "\n[recheck]\nafter = []\ncontrol_share = 0.0\n" };
        std::fs::write(&file, format!("{config}{recheck}")).unwrap();
        let state = dir.path().join("state");
        let mut arguments: Vec<String> =
            ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"].map(str::to_owned).to_vec();
        for (flag, value) in [
            ("--config", file.to_str().unwrap()),
            ("--state-dir", state.to_str().unwrap()),
            ("--sqlite", from),
            ("--postgres", to),
        ] {
            arguments.extend([flag.to_owned(), value.to_owned()]);
        }
        Self { dir, arguments, environment: Vec::new() }
    }

    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A later flag of the same name wins over those given so far.
    pub(crate) fn argument(mut self, flag: &str, value: &str) -> Self {
        if let Some(known) = self.arguments.iter().position(|argument| argument == flag) {
            self.arguments[known + 1] = value.to_owned();
        } else {
            self.arguments.extend([flag.to_owned(), value.to_owned()]);
        }
        self
    }

    /// A flag without a value.
    pub(crate) fn switch(mut self, flag: &str) -> Self {
        self.arguments.push(flag.to_owned());
        self
    }

    /// Takes a flag without a value back.
    pub(crate) fn without(mut self, flag: &str) -> Self {
        self.arguments.retain(|argument| argument != flag);
        self
    }

    /// Replaces the configuration file.
    pub(crate) fn config(self, config: &str) -> Self {
        std::fs::write(self.path("flipgate.toml"), config).unwrap();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts it and waits until both listeners are bound.
    pub(crate) async fn start(self) -> Flipgate {
        let mut child = self.command().spawn().unwrap();
        let log = Log::default();
        let stdout = child.stdout.take().unwrap();
        collect(child.stderr.take().unwrap(), &log);
        // The backends it looks at may be served by this very runtime: wait for it elsewhere.
        let first = tokio::task::spawn_blocking(move || {
            let mut lines = BufReader::new(stdout).lines();
            let first = lines.next();
            // Nobody may be held up by a full pipe.
            std::thread::spawn(move || lines.for_each(drop));
            first
        });
        let first = tokio::time::timeout(PATIENCE, first).await;
        let Ok(Ok(Some(Ok(line)))) = first else {
            child.kill().unwrap();
            panic!("flipgate did not start; {:?}; it said:\n{}", child.wait(), log.lock().unwrap());
        };
        let (proxy, admin) =
            addresses(&line).unwrap_or_else(|| panic!("not the line of addresses: {line:?}"));
        Flipgate { setup: Some(self), child, proxy, admin, log }
    }

    /// Runs it where it should refuse to, and waits until it ends.
    pub(crate) async fn refuse(self) -> Run {
        let mut child = self.command().spawn().unwrap();
        let run = tokio::task::spawn_blocking(move || {
            let log = Log::default();
            let reader = collect(child.stderr.take().unwrap(), &log);
            let status = wait(&mut child);
            child.kill().unwrap();
            reader.join().unwrap();
            let stderr = log.lock().unwrap().clone();
            Run { code: status.and_then(|status| status.code()), stderr }
        });
        run.await.unwrap()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flipgate"));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy().into_owned();
            if text.starts_with("FLIPGATE_")
                || ["DATABASE_URL", "READ_FROM_POSTGRES", "DUAL_WRITE_MODE", "SYNC_SECRET", "INGEST_TOKEN"]
                    .contains(&&*text)
            {
                command.env_remove(name);
            }
        }
        command.args(&self.arguments).current_dir(self.dir.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// `flipgate: proxy http://127.0.0.1:PORT admin http://127.0.0.1:PORT`
pub(crate) fn addresses(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let (proxy, admin) = line.strip_prefix("flipgate: proxy http://")?.split_once(" admin http://")?;
    Some((proxy.parse().ok()?, admin.trim_end_matches('/').parse().ok()?))
}

fn collect(mut from: impl Read + Send + 'static, log: &Log) -> std::thread::JoinHandle<()> {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        let mut block = [0; 4096];
        while let Ok(read) = from.read(&mut block)
            && read > 0
        {
            log.lock().unwrap().push_str(&String::from_utf8_lossy(&block[..read]));
        }
    })
}

/// Waits for a process to end, within patience.
fn wait(child: &mut Child) -> Option<ExitStatus> {
    let patience = Instant::now() + PATIENCE;
    while Instant::now() < patience {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

// === impl Flipgate ===

impl Flipgate {
    /// One GET through the proxy on a connection of its own.
    pub(crate) async fn get(&self, target: &str) -> Answer {
        client::get(self.proxy, target)
            .await
            .unwrap_or_else(|error| panic!("GET {target}: {error}; {}", self.said()))
    }

    pub(crate) async fn request(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        client::request(self.proxy, method, target, headers, body)
            .await
            .unwrap_or_else(|error| panic!("{method} {target}: {error}; {}", self.said()))
    }

    pub(crate) async fn admin_get(&self, target: &str) -> Answer {
        client::get(self.admin, target).await.unwrap()
    }

    pub(crate) async fn admin_post(&self, target: &str, body: &Value) -> Answer {
        let body = body.to_string();
        let headers = [("Content-Type", "application/json")];
        client::request(self.admin, "POST", target, &headers, body.as_bytes()).await.unwrap()
    }

    /// Asks for another primary.
    pub(crate) async fn flip(&self, to: &str, force: bool) -> Answer {
        self.admin_post("/api/primary", &json!({"primary": to, "reason": "a test", "force": force})).await
    }

    /// The name of the primary now.
    pub(crate) async fn primary(&self) -> String {
        self.admin_get("/api/status").await.json()["primary"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn findings(&self) -> Vec<Value> {
        self.admin_get("/api/findings").await.json()["findings"].as_array().unwrap().clone()
    }

    /// One scrape; that it adds up is checked each time.
    pub(crate) async fn metrics(&self) -> Metrics {
        let scrape = self.admin_get("/metrics").await;
        assert_eq!(scrape.status, 200);
        let metrics = Metrics::parse(scrape.text());
        metrics.assert_accounting();
        metrics
    }

    /// The scrape at which every request so far has its outcome.
    pub(crate) async fn settled(&self) -> Metrics {
        let patience = Instant::now() + PATIENCE;
        loop {
            let metrics = self.metrics().await;
            if metrics.sum("flipgate_outcomes_pending", &[]) == 0.0 {
                return metrics;
            }
            assert!(Instant::now() < patience, "outcomes stay pending; {}", self.said());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Asserts that there were exactly these outcomes, once there are as many. (What hyper refuses by itself is counted
    /// when its client may have the answer already.)
    pub(crate) async fn assert_outcomes(&self, wanted: &[(&str, u32)]) -> Metrics {
        let total = f64::from(wanted.iter().map(|(_, count)| count).sum::<u32>());
        let patience = Instant::now() + PATIENCE;
        let mut metrics = self.settled().await;
        while metrics.sum("flipgate_outcomes_total", &[]) < total && Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(5)).await;
            metrics = self.settled().await;
        }
        let found = metrics.by("flipgate_outcomes_total", "outcome");
        let wanted = wanted.iter().map(|(name, count)| ((*name).to_owned(), f64::from(*count))).collect();
        assert_eq!(found, wanted, "{}", self.said());
        metrics
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it logged so far.
    pub(crate) fn said(&self) -> String {
        format!("it said:\n{}", self.log.lock().unwrap())
    }

    /// Ends it at once, as the kernel would; it may be started again where it stopped.
    pub(crate) fn kill9(mut self) -> Setup {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.setup.take().unwrap()
    }

    /// Asks it to stop, without waiting for that.
    pub(crate) fn terminate(&self) {
        kill(Pid::from_raw(i32::try_from(self.pid()).unwrap()), Signal::SIGTERM).unwrap();
    }

    /// Waits until it has stopped, as [`Flipgate::terminate`] asked; it may be started again where it stopped.
    pub(crate) async fn stopped(mut self) -> Setup {
        let setup = self.setup.take().unwrap();
        assert_eq!(self.ended().await, Some(0));
        setup
    }

    /// A file of its directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.setup.as_ref().unwrap().path(name)
    }

    /// The status with which it ends, within patience.
    pub(crate) async fn ended(mut self) -> Option<i32> {
        self.setup = None;
        let waited =
            tokio::task::spawn_blocking(move || wait(&mut self.child).and_then(|status| status.code()));
        waited.await.unwrap()
    }
}

impl Drop for Flipgate {
    fn drop(&mut self) {
        let ended = self.child.try_wait();
        // Both fail only where it has ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
        if std::thread::panicking() {
            return;
        }
        let expected = self.setup.is_none();
        assert!(
            expected || matches!(ended, Ok(None)),
            "flipgate ended by itself: {ended:?}; {}",
            self.said()
        );
        assert!(!self.said().contains("panicked at"), "flipgate panicked; {}", self.said());
    }
}

/// Waits until `condition` holds, within patience.
pub(crate) async fn wait_until<F>(what: &str, mut condition: impl FnMut() -> F)
where
    F: Future<Output = bool>,
{
    let patience = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < patience, "it never came about that {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A URL of a fresh, empty database in the cluster that all tests share.
pub(crate) async fn pg_database() -> String {
    static CLUSTER: LazyLock<Cluster> =
        LazyLock::new(|| Cluster::start().unwrap_or_else(|error| panic!("{error}")));
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let cluster = tokio::task::spawn_blocking(|| LazyLock::force(&CLUSTER)).await.unwrap();
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::SeqCst));
    cluster.create_database(&name, None).await.unwrap();
    cluster.url(&name)
}

/// The directory of real data beside the project; `None`, and said loudly, where there is none.
pub(crate) fn shared() -> Option<PathBuf> {
    let named =
        std::env::var("FLIPGATE_SHARED").map_or_else(|_| Path::new("../shared").to_owned(), PathBuf::from);
    if named.join("data").is_dir() {
        return Some(named);
    }
    eprintln!("SKIPPED: no real data at {} (FLIPGATE_SHARED)", named.display());
    None
}
