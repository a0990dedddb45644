//! Several replicas and one state store: every one follows, evidence adds up, and a rollback needs nobody.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flipgate::cluster::Cluster;
use futures_util::future::join_all;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::client::Connection;
use crate::harness::{Flipgate, Setup, pg_database, wait_until};
use crate::lag_and_noise::{ask_all, condition};
use crate::upstream::{Reply, Upstream};

pub(crate) const CONFIG: &str =
    "preset = \"none\"\n[[routes]]\nmatch = \"/read/{name}\"\n[gate]\nhold = 0.05\n";

pub(crate) async fn named(name: &str) -> Upstream {
    Upstream::always(Reply::json("{}").header("X-Backend", name)).await
}

/// Replicas of one flipgate before these two servers.
pub(crate) async fn replicas(count: usize, from: &Upstream, to: &Upstream, state: &str) -> Vec<Flipgate> {
    let mut started = Vec::new();
    for _ in 0..count {
        let setup = Setup::with_config(&from.url(), &to.url(), CONFIG).argument("--state", state);
        started.push(setup.start().await);
    }
    started
}

pub(crate) async fn status(flipgate: &Flipgate) -> Value {
    flipgate.admin_get("/api/status").await.json()
}

/// Waits until all of them have this primary.
pub(crate) async fn all_follow(replicas: &[Flipgate], primary: &str) {
    wait_until(&format!("all follow to {primary}"), async || {
        join_all(replicas.iter().map(Flipgate::primary)).await.iter().all(|now| now == primary)
    })
    .await;
}

/// Reads until told to stop; every answer is 200 and from the backend it says. Gives who answered, in order.
async fn read(proxy: std::net::SocketAddr, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut answered = Vec::new();
    let mut connection = Connection::open(proxy).await.unwrap();
    while !stop.load(Ordering::SeqCst) {
        let answer = connection.request("GET", "/read/a", &[], b"").await.unwrap();
        let name = answer.header("x-backend").unwrap().to_owned();
        assert_eq!((answer.status, answer.header("x-flipgate-primary")), (200, Some(&*name)));
        if answered.last() != Some(&name) {
            answered.push(name);
        }
    }
    answered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
pub(crate) async fn all_follow_a_flip_under_load_and_no_request_fails() {
    let (from, to) = (named("sqlite").await, named("postgres").await);
    let replicas = replicas(3, &from, &to, &pg_database().await).await;
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> =
        replicas.iter().map(|replica| tokio::spawn(read(replica.proxy, Arc::clone(&stop)))).collect();
    for (by, primary) in [(0, "postgres"), (1, "sqlite"), (2, "postgres")] {
        assert_eq!(replicas[by].flip(primary, true).await.status, 200);
        // The replica that flipped obeys before it answers, the others promptly.
        assert_eq!(replicas[by].primary().await, primary);
        all_follow(&replicas, primary).await;
    }
    let rollback = replicas[1].admin_post("/api/rollback", &json!({"reason": "a test"})).await;
    assert_eq!((rollback.status, &rollback.json()["primary"]), (200, &json!("sqlite")));
    all_follow(&replicas, "sqlite").await;
    wait_until("nothing is owed", async || status(&replicas[1]).await["state"]["owed"] == false).await;
    stop.store(true, Ordering::SeqCst);
    for reader in readers {
        // Each change once, in the order they were committed, and nothing else.
        let answered = reader.await.unwrap();
        let committed = ["sqlite", "postgres", "sqlite", "postgres", "sqlite"];
        assert_eq!(answered, committed);
    }
    let versions = join_all(replicas.iter().map(status)).await;
    assert!(versions.iter().all(|status| status["version"] == versions[0]["version"]), "{versions:?}");
    let audit = replicas[2].admin_get("/api/audit").await.json();
    let actions: Vec<&str> =
        audit["entries"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["rollback", "flip", "flip", "flip"], "one audit of all replicas");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_50_flips_over_three_replicas_exactly_one_wins() {
    let (from, to) = (named("sqlite").await, named("postgres").await);
    let replicas = replicas(3, &from, &to, &pg_database().await).await;
    let flip = json!({"primary": "postgres", "expect": "sqlite", "reason": "a race", "force": true});
    let answers = join_all((0..50).map(|n| replicas[n % 3].admin_post("/api/primary", &flip))).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 49, "{statuses:?}");
    all_follow(&replicas, "postgres").await;
    let flips = async |replica: &Flipgate| replica.metrics().await.sum("flipgate_flips_total", &[]);
    assert_eq!(join_all(replicas.iter().map(flips)).await.iter().sum::<f64>(), 1.0);
}

/// A PostgreSQL of this test's own, which it may kill and start again.
pub(crate) struct Server {
    home: PathBuf,
    pub(crate) url: String,
    _cluster: Cluster,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let cluster = tokio::task::spawn_blocking(|| Cluster::start().unwrap()).await.unwrap();
        cluster.create_database("state", None).await.unwrap();
        let url = cluster.url("state");
        let home = PathBuf::from(url.split_once("?host=").unwrap().1);
        Self { home, url, _cluster: cluster }
    }

    /// Those of the tests are durable in nothing; this one keeps what it says it committed.
    pub(crate) async fn durable() -> Self {
        use sqlx::Connection as _;
        let server = Self::start().await;
        let mut connection = sqlx::PgConnection::connect(&server.url).await.unwrap();
        let sql = "ALTER DATABASE state SET synchronous_commit = on";
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        server
    }

    fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Kills it as the kernel would.
    pub(crate) fn kill9(&self) {
        let pid = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        let pid = Pid::from_raw(pid.lines().next().unwrap().parse().unwrap());
        kill(pid, Signal::SIGKILL).unwrap();
    }

    pub(crate) async fn restart(&self) {
        let options = std::fs::read_to_string(self.data().join("postmaster.opts")).unwrap();
        let programs = Path::new(options.split_whitespace().next().unwrap()).parent().unwrap().to_owned();
        let owner = std::fs::metadata(&self.home).unwrap();
        wait_until("PostgreSQL is up again", async || {
            let mut start = Command::new(programs.join("pg_ctl"));
            start.args(["start", "-w", "-t", "20"]).arg("-D").arg(self.data());
            start.arg("-l").arg(self.home.join("server.log")).current_dir("/");
            start.uid(owner.uid()).gid(owner.gid());
            start.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
            tokio::task::spawn_blocking(move || start.status().unwrap().success()).await.unwrap()
        })
        .await;
    }
}

pub(crate) async fn is_cut_off(replica: &Flipgate) -> bool {
    replica.metrics().await.sum("flipgate_state_up", &[]) == 0.0
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_of_a_replica_and_of_postgresql_the_state_is_right() {
    let (from, to) = (named("sqlite").await, named("postgres").await);
    let server = Server::start().await;
    let mut replicas = replicas(3, &from, &to, &server.url).await;
    assert_eq!(replicas[0].flip("postgres", true).await.status, 200);
    all_follow(&replicas, "postgres").await;
    let killed = replicas.remove(0).kill9();
    server.kill9();
    for replica in &replicas {
        wait_until("it knows that it is cut off", async || is_cut_off(replica).await).await;
        // It serves with what it knows, says so, and goes nowhere but back.
        assert_eq!(replica.get("/read/a").await.header("x-backend"), Some("postgres"));
        let ready = replica.admin_get("/readyz").await;
        assert!(
            ready.status == 200 && ready.text().contains("cut off from the state store"),
            "{}",
            ready.text()
        );
        let lowered = replica.admin_post("/api/dial", &json!({"percent": 50})).await;
        assert_eq!(lowered.status, 503, "{}", lowered.text());
    }
    // One that starts without the state store goes on where it was.
    let restarted = killed.start().await;
    assert_eq!(restarted.get("/read/a").await.header("x-backend"), Some("postgres"));
    replicas.push(restarted);
    server.restart().await;
    for replica in &replicas {
        wait_until("it is no longer cut off", async || !is_cut_off(replica).await).await;
    }
    all_follow(&replicas, "postgres").await;
    assert_eq!(replicas[1].flip("sqlite", false).await.status, 200);
    all_follow(&replicas, "sqlite").await;
    drop(replicas);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_postgresql_a_rollback_works_on_each_replica_and_holds() {
    let (from, to) = (named("sqlite").await, named("postgres").await);
    let server = Server::start().await;
    let mut replicas = replicas(3, &from, &to, &server.url).await;
    assert_eq!(replicas[0].flip("postgres", true).await.status, 200);
    all_follow(&replicas, "postgres").await;
    server.kill9();
    // Its processes may serve for a moment without the one that was killed.
    for replica in &replicas {
        wait_until("it knows that it is cut off", async || is_cut_off(replica).await).await;
    }
    for replica in &replicas[..2] {
        let rollback = replica.admin_post("/api/rollback", &json!({"reason": "PostgreSQL is down"})).await;
        assert_eq!((rollback.status, &rollback.json()["primary"]), (200, &json!("sqlite")));
        assert_eq!(replica.get("/read/a").await.header("x-backend"), Some("sqlite"));
        assert_eq!(status(replica).await["state"]["owed"], true);
        let forward = replica.flip("postgres", true).await;
        assert_eq!(forward.status, 503, "never forward: {}", forward.text());
    }
    // What is owed is owed after a kill as well.
    let killed = replicas.remove(0).kill9();
    replicas.insert(0, killed.start().await);
    assert_eq!(replicas[0].primary().await, "sqlite");
    assert_eq!(replicas[2].primary().await, "postgres", "it was not told");
    server.restart().await;
    all_follow(&replicas, "sqlite").await;
    for replica in &replicas {
        wait_until("nothing is owed", async || status(replica).await["state"]["owed"] == false).await;
    }
    let audit = replicas[2].admin_get("/api/audit").await.json();
    let rollbacks = audit["entries"].as_array().unwrap().iter().filter(|entry| entry["action"] == "rollback");
    assert_eq!(rollbacks.count(), 2, "{audit}");
    // And forward again, with everybody.
    wait_until("it goes forward", async || replicas[2].flip("postgres", true).await.status == 200).await;
    all_follow(&replicas, "postgres").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_state_store_and_without_a_state_it_does_not_start() {
    let (from, to) = (named("sqlite").await, named("postgres").await);
    let nowhere = "postgres://flipgate:hush@127.0.0.1:9/state";
    let run = Setup::between(&from.url(), &to.url()).argument("--state", nowhere).refuse().await;
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    assert!(
        run.stderr.contains("cannot start without the state store") && !run.stderr.contains("hush"),
        "{}",
        run.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_of_all_replicas_adds_up_and_an_epoch_is_everybody_s() {
    let (from, to) = (named("sqlite").await, named("postgres").await);
    let state = pg_database().await;
    let replicas = replicas(2, &from, &to, &state).await;
    for (n, replica) in replicas.iter().enumerate() {
        let first = n * 150;
        ask_all(replica, (first..first + 150).map(|n| format!("/read/{n}"))).await;
    }
    for replica in &replicas {
        wait_until("the evidence of both is there", async || {
            replica.admin_get("/api/readiness").await.json()["ready"] == true
        })
        .await;
        assert_eq!(condition(replica, "evidence").await["actual"], 300);
    }
    // One that joins later, and one that was killed, know it as well.
    let setup = Setup::with_config(&from.url(), &to.url(), CONFIG).argument("--state", &state);
    let joined = setup.start().await;
    wait_until("it knows the evidence", async || condition(&joined, "evidence").await["actual"] == 300).await;
    let joined = joined.kill9().start().await;
    wait_until("it knows it again", async || condition(&joined, "evidence").await["actual"] == 300).await;
    assert_eq!(replicas[0].admin_post("/api/epoch", &json!({"reason": "a test"})).await.status, 200);
    for replica in replicas.iter().chain([&joined]) {
        wait_until("the epoch has begun", async || status(replica).await["epoch"] == 2).await;
        assert_eq!(condition(replica, "evidence").await["actual"], 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finding_is_one_everywhere_and_judged_anywhere() {
    let from = Upstream::always(Reply::json("{\"category\":\"a\"}")).await;
    let to = Upstream::always(Reply::json("{\"categories\":\"a\"}")).await;
    let replicas = replicas(2, &from, &to, &pg_database().await).await;
    for replica in &replicas {
        ask_all(replica, (0..5).map(|n| format!("/read/{n}"))).await;
    }
    for replica in &replicas {
        wait_until("it counts what all have seen", async || {
            let findings = replica.findings().await;
            findings.len() == 1 && findings[0]["count"] == 10
        })
        .await;
    }
    let finding = replicas[0].findings().await.remove(0);
    let id = finding["id"].as_str().unwrap();
    // Every sample can be looked at, and asked again, on each of them.
    for replica in &replicas {
        let samples: Vec<Value> = finding["samples"].as_array().unwrap().clone();
        for sample in samples {
            let path = format!("/api/samples/{sample}");
            wait_until("the sample is there", async || replica.admin_get(&path).await.status == 200).await;
            let again = replica.admin_post(&format!("{path}/recheck"), &json!({})).await;
            assert_eq!((again.status, &again.json()["agrees"]), (200, &json!(false)));
        }
    }
    let accepted = json!({"state": "accepted", "note": "known"});
    assert_eq!(replicas[1].admin_post(&format!("/api/findings/{id}"), &accepted).await.status, 200);
    wait_until("it is accepted everywhere", async || replicas[0].findings().await[0]["state"] == "accepted")
        .await;
    assert_eq!(condition(&replicas[0], "open_findings").await["met"], true);
    assert_eq!(
        replicas[0].admin_post(&format!("/api/findings/{id}"), &json!({"state": "open"})).await.status,
        200
    );
    wait_until("it is open everywhere", async || replicas[1].findings().await[0]["state"] == "open").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_loses_a_race_tells_so() {
    let (from, to) = (named("sqlite").await, named("postgres").await);
    let replicas = replicas(2, &from, &to, &pg_database().await).await;
    assert_eq!(replicas[0].flip("postgres", true).await.status, 200);
    let late = json!({"primary": "postgres", "expect": "sqlite", "reason": "late", "force": true});
    let refused = replicas[1].admin_post("/api/primary", &late).await;
    assert_eq!(refused.status, 409);
    assert_eq!(refused.json()["detail"], "the primary is postgres now");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_config_warns_of_a_state_store_on_the_server_that_is_moved_to() {
    let check = async |state: &str| {
        let to = "postgres://flipgate:hush@db.example:5432/library";
        let arguments =
            ["check-config", "--sqlite", "http://127.0.0.1:9", "--postgres", to, "--state", state];
        let told = crate::command::flipgate(&arguments).await;
        assert!(told.code == 0 && !told.out.contains("hush"), "{told:?}");
        told.out
    };
    let same = check("postgres://ops:hush@db.example:5432/ops").await;
    assert!(
        same.contains("warning   the state store is on the same server as the backend `postgres`"),
        "{same}"
    );
    let other = check("postgres://ops:hush@other.example:5432/ops").await;
    assert!(!other.contains("on the same server"), "{other}");
    let told = crate::command::flipgate(&[
        "check-config",
        "--sqlite",
        "http://127.0.0.1:9",
        "--postgres",
        "http://127.0.0.1:8",
        "--state",
        "mysql://ops:hush@db/ops",
    ])
    .await;
    assert!(told.code == 2 && told.err.contains("state: ") && !told.err.contains("hush"), "{told:?}");
}
