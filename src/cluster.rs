//! A private throw-away PostgreSQL from the local binaries.
//!
//! For the demo and the tests: one server in a fresh directory, reachable over a unix socket only, durable in nothing.
//! Not for anything that must survive its process. A guardian (a `sh` in a process group of its own) owns the server
//! and reads from a pipe whose other end this process holds; however this process ends, the pipe closes and the
//! guardian stops the server and deletes the directory.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, postgres::PgConnectOptions};

mod binaries;
mod home;

use self::home::{Home, Owner};

/// Owns the server; see the script for its protocol.
const GUARDIAN: &str = include_str!("cluster/guardian.sh");

/// The only role of the cluster, a superuser.
const USER: &str = "flipgate";

/// The port names the socket file, nothing listens on it.
const PORT: &str = "5432";

/// initdb and start together; usually 2 s.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Why there is no cluster, in one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Neither PATH nor the usual directories hold a PostgreSQL server.
    #[error(
        "PostgreSQL's server programs (initdb, pg_ctl, postgres) were found neither on PATH nor under {searched}; \
         install them: `apt-get install postgresql` on Debian or Ubuntu, `brew install postgresql` on macOS"
    )]
    NoBinaries {
        /// The directories looked at besides PATH.
        searched: String,
    },
    /// PostgreSQL refuses root, and nobody else is there to run it.
    #[error(
        "PostgreSQL does not run as root and this machine has neither a user `postgres` nor `nobody` to run it; \
         run this as another user"
    )]
    NoUnprivilegedUser,
    /// The directory for the data could not be made.
    #[error(
        "the directory {path} for a throw-away PostgreSQL could not be made: {source}; is the disk full or read-only?"
    )]
    Home {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The guardian could not be run.
    #[error("the guardian of a throw-away PostgreSQL could not be started with `sh`: {0}")]
    Guardian(std::io::Error),
    /// initdb or the server failed.
    #[error("a throw-away PostgreSQL from {binaries} did not start: {reason}")]
    Start {
        /// Directory of the programs used.
        binaries: PathBuf,
        /// The end of its log, on one line.
        reason: String,
    },
    /// A database of the cluster could not be made.
    #[error("the database {name} could not be made in the throw-away PostgreSQL: {reason}")]
    Database {
        /// Its name.
        name: String,
        /// What PostgreSQL said.
        reason: String,
    },
    /// The directory is still there after the stop.
    #[error(
        "the throw-away PostgreSQL in {0} was stopped but not wholly removed; delete that directory by hand"
    )]
    Left(PathBuf),
}

/// A running server; dropping it stops and deletes it.
#[derive(Debug)]
pub struct Cluster {
    home: Home,
    guardian: Child,
    /// Held open for as long as the server shall live; nothing is written to it.
    lifeline: Option<ChildStdin>,
}

impl Cluster {
    /// Starts a server and waits until it takes connections, at most 60 s. Blocks; usually for 2 s.
    pub fn start() -> Result<Self, ClusterError> {
        let binaries = binaries::find()?;
        let owner = Owner::choose()?;
        let home = Home::create(&owner)?;
        let mut guardian = spawn_guardian(&binaries, &home, &owner).map_err(ClusterError::Guardian)?;
        let lifeline = guardian.stdin.take();
        let stdout = guardian.stdout.take();
        let cluster = Self { home, guardian, lifeline };
        match await_ready(stdout) {
            Ok(()) => Ok(cluster),
            Err(reason) => Err(ClusterError::Start { binaries, reason }),
        }
    }

    /// The URL of database `db`, over the socket; it holds no secret.
    #[must_use]
    pub fn url(&self, db: &str) -> String {
        format!("postgres://{USER}@localhost:{PORT}/{db}?host={}", self.home.path().display())
    }

    /// Makes database `name` (lower-case letters, digits, `_`), empty or as a copy of `template`, to which nobody may
    /// be connected.
    pub async fn create_database(&self, name: &str, template: Option<&str>) -> Result<(), ClusterError> {
        let failed = |reason: String| ClusterError::Database { name: name.to_owned(), reason };
        let template = template.unwrap_or("template1");
        for identifier in [name, template] {
            if !is_plain_identifier(identifier) {
                return Err(failed(format!("{identifier:?} is not a plain lower-case name")));
            }
        }
        let options: PgConnectOptions = self.url("postgres").parse().map_err(|e| failed(format!("{e}")))?;
        let mut connection = options.connect().await.map_err(|e| failed(format!("{e}")))?;
        let sql = format!("CREATE DATABASE {name} TEMPLATE {template}");
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .map_err(|e| failed(format!("{e}")))?;
        connection.close().await.map_err(|e| failed(format!("{e}")))
    }

    /// Stops the server and deletes its directory; returns when both are done. Open connections are cut.
    pub fn stop(mut self) -> Result<(), ClusterError> {
        self.end();
        if self.home.path().exists() { Err(ClusterError::Left(self.home.path().to_owned())) } else { Ok(()) }
    }

    fn end(&mut self) {
        drop(self.lifeline.take());
        // Bounded by the guardian, whose `pg_ctl stop` gives up after 20 s and kills.
        if let Err(error) = self.guardian.wait() {
            tracing::warn!(%error, "the guardian of the throw-away PostgreSQL could not be waited for");
        }
        // What an unprivileged guardian may not remove: an entry in a directory that is not its own.
        self.home.remove();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end();
    }
}

fn is_plain_identifier(name: &str) -> bool {
    let first_ok = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let rest_ok = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    first_ok && rest_ok && name.len() <= 63
}

fn spawn_guardian(binaries: &Path, home: &Home, owner: &Owner) -> std::io::Result<Child> {
    let mut command = Command::new("sh");
    command.arg("-c").arg(GUARDIAN).arg("flipgate-guardian");
    command.arg(binaries).arg(home.path()).arg(USER).arg(PORT);
    // PG* variables of the caller would change what the server and initdb do.
    command.env_clear().env("LC_ALL", "C").env("PATH", std::env::var_os("PATH").unwrap_or_default());
    // The caller's directory may be closed to the unprivileged user.
    command.current_dir("/");
    // Ctrl-C goes to the terminal's process group: the guardian must outlive us to clean up.
    command.process_group(0);
    if let Owner::Other { uid, gid } = owner {
        command.uid(*uid).gid(*gid);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
}

/// Waits for the guardian's `ready`, else returns what it said went wrong.
fn await_ready(stdout: Option<ChildStdout>) -> Result<(), String> {
    let Some(stdout) = stdout else { return Err("its guardian has no output".to_owned()) };
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        // Nobody listens once the limit has passed.
        drop(sender.send(read_verdict(stdout)));
    });
    match receiver.recv_timeout(START_LIMIT) {
        Ok(verdict) => verdict,
        Err(_) => Err(format!("it was not ready after {} s", START_LIMIT.as_secs())),
    }
}

fn read_verdict(stdout: ChildStdout) -> Result<(), String> {
    let mut stdout = BufReader::new(stdout);
    let mut first = String::new();
    stdout.read_line(&mut first).map_err(|e| e.to_string())?;
    if first.trim_end() == "ready" {
        return Ok(());
    }
    let mut rest = String::new();
    stdout.take(64 * 1024).read_to_string(&mut rest).map_err(|e| e.to_string())?;
    let said: Vec<&str> = rest.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if said.is_empty() {
        return Err("its guardian ended without a word".to_owned());
    }
    Err(said.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn starts_makes_databases_and_leaves_nothing() {
        let cluster = Cluster::start().unwrap();
        cluster.create_database("library", None).await.unwrap();
        let url = cluster.url("library");
        let options: PgConnectOptions = url.parse().unwrap();
        let mut connection = options.connect().await.unwrap();
        sqlx::raw_sql("CREATE TABLE kept (name text); INSERT INTO kept VALUES ('é')")
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();

        cluster.create_database("copy", Some("library")).await.unwrap();
        let options: PgConnectOptions = cluster.url("copy").parse().unwrap();
        let mut connection = options.connect().await.unwrap();
        let name: String =
            sqlx::query_scalar("SELECT name FROM kept").fetch_one(&mut connection).await.unwrap();
        assert_eq!(name, "é");
        let tcp: String =
            sqlx::query_scalar("SHOW listen_addresses").fetch_one(&mut connection).await.unwrap();
        assert_eq!(tcp, "");

        let home = cluster.home.path().to_owned();
        cluster.stop().unwrap();
        assert!(!home.exists());
        connection.ping().await.unwrap_err();
    }

    #[tokio::test]
    async fn refuses_a_name_that_would_need_quoting() {
        let cluster = Cluster::start().unwrap();
        let error = cluster.create_database("a\"; DROP", None).await.unwrap_err();
        assert!(error.to_string().contains("not a plain lower-case name"), "{error}");
    }

    /// Not a test of its own: the process that `goes_with_a_killed_process` kills.
    #[test]
    #[ignore = "is run by goes_with_a_killed_process, as a process of its own"]
    fn holds_a_cluster_until_killed() {
        let cluster = Cluster::start().unwrap();
        println!("home={}", cluster.home.path().display());
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    }

    #[test]
    fn goes_with_a_killed_process() {
        let mut holder = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "cluster::tests::holds_a_cluster_until_killed", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines().map(Result::unwrap);
        let home = lines.find_map(|line| line.split_once("home=").map(|(_, home)| home.to_owned())).unwrap();
        assert!(Path::new(&home).join("data/postmaster.pid").exists());
        holder.kill().unwrap();
        holder.wait().unwrap();
        let patience = std::time::Instant::now() + Duration::from_secs(30);
        // Root's unprivileged guardian may empty its directory, and /tmp lets the directory's owner remove it.
        while std::fs::read_dir(&home).is_ok_and(|mut left| left.next().is_some()) {
            assert!(std::time::Instant::now() < patience, "{home} outlived its process");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_failed_start_says_why_and_leaves_nothing() {
        let owner = Owner::choose().unwrap();
        let home = Home::create(&owner).unwrap();
        let mut guardian = spawn_guardian(Path::new("/nonexistent/bin"), &home, &owner).unwrap();
        let reason = await_ready(guardian.stdout.take()).unwrap_err();
        assert!(reason.contains("/nonexistent/bin/initdb"), "{reason}");
        guardian.wait().unwrap();
        home.remove();
        assert!(!home.path().exists());
    }
}
