//! Several replicas, and what goes wrong: a rollback holds whatever is on its way, the disk full or the store restored.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor as _};

use crate::disk::Disk;
use crate::harness::{Flipgate, Setup, pg_database, wait_until};
use crate::replicas::{CONFIG, Server, all_follow, is_cut_off, named, replicas, status};
use crate::upstream::Upstream;

async fn backends() -> (Upstream, Upstream) {
    (named("sqlite").await, named("postgres").await)
}

/// The committed record, as somebody else than flipgate reads and writes it.
struct Held {
    connection: PgConnection,
}

impl Held {
    async fn open(state: &str) -> Self {
        Held { connection: PgConnection::connect(state).await.unwrap() }
    }

    /// From now on nobody changes the record, until this is released.
    async fn lock(&mut self) {
        self.connection.execute("BEGIN; SELECT * FROM flipgate.record FOR UPDATE").await.unwrap();
    }

    async fn release(&mut self) {
        self.connection.execute("COMMIT").await.unwrap();
    }

    async fn read(&mut self) -> Value {
        let query = sqlx::query_scalar::<_, String>("SELECT document FROM flipgate.record");
        serde_json::from_str(&query.fetch_one(&mut self.connection).await.unwrap()).unwrap()
    }

    async fn write(&mut self, record: &Value) {
        let query = sqlx::query("UPDATE flipgate.record SET version = $1, document = $2");
        let query = query.bind(record["version"].as_i64().unwrap()).bind(record.to_string());
        query.execute(&mut self.connection).await.unwrap();
    }

    /// Waits until somebody waits for the record.
    async fn is_waited_for(&mut self) {
        let state = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        while sqlx::query_scalar::<_, i64>(state).fetch_one(&mut self.connection).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
    }
}

async fn rollback(replica: &Flipgate) -> Value {
    let answer = replica.admin_post("/api/rollback", &json!({"reason": "a test"})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["primary"], "sqlite");
    answer.json()
}

async fn nothing_is_owed(replica: &Flipgate) {
    wait_until("nothing is owed", async || status(replica).await["state"]["owed"] == false).await;
}

async fn actions(replica: &Flipgate) -> Vec<String> {
    let audit = replica.admin_get("/api/audit").await.json();
    let entries = audit["entries"].as_array().unwrap();
    entries.iter().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_while_a_flip_is_on_its_way_holds() {
    let ((from, to), state) = (backends().await, pg_database().await);
    let replicas = replicas(2, &from, &to, &state).await;
    let mut held = Held::open(&state).await;
    held.lock().await;
    let flipping = replicas[0].flip("postgres", true);
    let meanwhile = async {
        held.is_waited_for().await;
        rollback(&replicas[0]).await;
        held.release().await;
    };
    let (flipped, ()) = tokio::join!(flipping, meanwhile);
    assert_ne!(flipped.status, 200, "it was taken back before it was answered: {}", flipped.text());
    nothing_is_owed(&replicas[0]).await;
    all_follow(&replicas, "sqlite").await;
    assert_eq!(held.read().await["dial"], 0);
    // Where it is known that all are there, a rollback changes nothing.
    let before = actions(&replicas[0]).await;
    rollback(&replicas[1]).await;
    assert_eq!(actions(&replicas[0]).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_on_a_replica_that_slept_through_the_flip_holds() {
    let ((from, to), state) = (backends().await, pg_database().await);
    let replicas = replicas(2, &from, &to, &state).await;
    let pid = Pid::from_raw(i32::try_from(replicas[1].pid()).unwrap());
    kill(pid, Signal::SIGSTOP).unwrap();
    assert_eq!(replicas[0].flip("postgres", true).await.status, 200);
    let asked = rollback(&replicas[1]);
    let woken = async { kill(pid, Signal::SIGCONT).unwrap() };
    tokio::join!(asked, woken);
    nothing_is_owed(&replicas[1]).await;
    all_follow(&replicas, "sqlite").await;
    assert_eq!(Held::open(&state).await.read().await["dial"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raise_that_a_rollback_overtook_is_refused() {
    let ((from, to), state) = (backends().await, pg_database().await);
    let replicas = replicas(2, &from, &to, &state).await;
    let half = json!({"percent": 50, "reason": "half", "force": true});
    assert_eq!(replicas[0].admin_post("/api/dial", &half).await.status, 200);
    let mut held = Held::open(&state).await;
    held.lock().await;
    let raising = replicas[0].flip("postgres", true);
    let meanwhile = async {
        held.is_waited_for().await;
        let mut record = held.read().await;
        let version = record["version"].as_i64().unwrap() + 1;
        for (member, value) in [("dial", 0), ("version", version), ("turn", version), ("zeroed", version)] {
            record[member] = json!(value);
        }
        held.write(&record).await;
        held.release().await;
    };
    let (raised, ()) = tokio::join!(raising, meanwhile);
    assert_eq!(raised.status, 409, "{}", raised.text());
    all_follow(&replicas, "sqlite").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flip_without_an_answer_is_said_to_be_in_doubt() {
    let ((from, to), state) = (backends().await, pg_database().await);
    let replicas = replicas(1, &from, &to, &state).await;
    let mut held = Held::open(&state).await;
    held.lock().await;
    let flipped = replicas[0].flip("postgres", true).await;
    assert_eq!(flipped.status, 503, "{}", flipped.text());
    let said = flipped.text();
    assert!(said.contains("may still be done") && !said.contains("nothing was changed"), "{said}");
    held.release().await;
}

/// Back to the record of before, as a server restored from a backup is.
async fn restored(is_running: bool) {
    let ((from, to), state) = (backends().await, pg_database().await);
    let mut all = replicas(1, &from, &to, &state).await;
    assert_eq!(all[0].flip("postgres", true).await.status, 200);
    let mut held = Held::open(&state).await;
    let old = held.read().await;
    rollback(&all[0]).await;
    nothing_is_owed(&all[0]).await;
    if is_running {
        held.write(&old).await;
    } else {
        let setup = all.remove(0).kill9();
        held.write(&old).await;
        all.push(setup.start().await);
    }
    wait_until("it recovered", async || actions(&all[0]).await[0] == "recover").await;
    // It is committed, and so audited, before it is in force.
    wait_until("it is in force", async || status(&all[0]).await["epoch"] == 2).await;
    assert_eq!(all[0].primary().await, "sqlite");
    let now = status(&all[0]).await;
    assert_eq!((&now["epoch"], &now["epoch_reason"]), (&json!(2), &json!("the state store lost changes")));
    let record = held.read().await;
    assert_eq!((&record["dial"], &record["version"]), (&json!(0), &now["version"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_does_not_overrule_what_a_start_knows() {
    restored(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_does_not_overrule_what_a_running_replica_knows() {
    restored(true).await;
}

/// Nothing fits on the disk any more.
fn fill(disk: &Disk) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(disk.path("filler")).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_keeps_nobody_from_going_back() {
    let Some(disk) = Disk::of("8m") else { return };
    let (from, to) = backends().await;
    let directory = disk.path("state");
    let setup = Setup::with_config(&from.url(), &to.url(), CONFIG);
    let flipgate = setup.argument("--state-dir", directory.to_str().unwrap()).start().await;
    assert_eq!(flipgate.flip("postgres", true).await.status, 200);
    fill(&disk);
    assert_eq!(rollback(&flipgate).await["state"]["unsaved"], true);
    assert_eq!(flipgate.metrics().await.sum("flipgate_state_unsaved", &[]), 1.0);
    assert_eq!(flipgate.get("/read/a").await.header("x-backend"), Some("sqlite"));
    assert_eq!(flipgate.flip("postgres", true).await.status, 503, "never forward");
    disk.grow("16m");
    wait_until("it is on disk", async || status(&flipgate).await["state"]["unsaved"] == false).await;
    assert_eq!(actions(&flipgate).await, ["rollback", "flip"]);
    let flipgate = flipgate.kill9().start().await;
    assert_eq!(flipgate.primary().await, "sqlite");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_of_a_replica_owes_nothing_and_the_audit_says_it_once() {
    let Some(disk) = Disk::of("8m") else { return };
    let ((from, to), state) = (backends().await, pg_database().await);
    let mut all = replicas(1, &from, &to, &state).await;
    let setup = Setup::with_config(&from.url(), &to.url(), CONFIG).argument("--state", &state);
    let directory = disk.path("state");
    all.push(setup.argument("--state-dir", directory.to_str().unwrap()).start().await);
    assert_eq!(all[0].flip("postgres", true).await.status, 200);
    all_follow(&all, "postgres").await;
    fill(&disk);
    rollback(&all[1]).await;
    // It is kept by the others before it is answered.
    assert_eq!(Held::open(&state).await.read().await["dial"], 0);
    all_follow(&all, "sqlite").await;
    let version = status(&all[1]).await["version"].clone();
    assert_eq!(all[1].flip("postgres", true).await.status, 503, "its own disk does not take a raise");
    disk.grow("16m");
    wait_until("it is on disk", async || status(&all[1]).await["state"]["unsaved"] == false).await;
    assert_eq!((&status(&all[0]).await["version"], actions(&all[0]).await.len()), (&version, 2));
    let again = all.remove(1).kill9().start().await;
    nothing_is_owed(&again).await;
    assert_eq!((&status(&again).await["version"], actions(&again).await.len()), (&version, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_told_late_undoes_no_later_flip() {
    let (from, to) = backends().await;
    let server = Server::start().await;
    let mut all = replicas(2, &from, &to, &server.url).await;
    assert_eq!(all[0].flip("postgres", true).await.status, 200);
    all_follow(&all, "postgres").await;
    server.kill9();
    wait_until("it knows that it is cut off", async || is_cut_off(&all[0]).await).await;
    rollback(&all[0]).await;
    let away = all.remove(0).kill9();
    server.restart().await;
    wait_until("it is no longer cut off", async || !is_cut_off(&all[0]).await).await;
    rollback(&all[0]).await;
    nothing_is_owed(&all[0]).await;
    assert_eq!(all[0].flip("postgres", true).await.status, 200);
    all.push(away.start().await);
    nothing_is_owed(&all[1]).await;
    all_follow(&all, "postgres").await;
    let told = actions(&all[0]).await;
    assert_eq!(told.iter().filter(|action| *action == "rollback").count(), 2, "{told:?}");
}

async fn unmet(replica: &Flipgate) -> Vec<String> {
    let readiness = replica.admin_get("/api/readiness").await.json();
    let unmet =
        readiness["conditions"].as_array().unwrap().iter().filter(|condition| condition["met"] == false);
    unmet.map(|condition| condition["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_with_different_rules_say_so_and_begin_no_epochs_in_turn() {
    let ((from, to), state) = (backends().await, pg_database().await);
    let mut all = replicas(1, &from, &to, &state).await;
    let changed = CONFIG.replace("[gate]", "unordered = [\"/tags\"]\n[gate]");
    let setup = Setup::with_config(&from.url(), &to.url(), &changed).argument("--state", &state);
    all.push(setup.start().await);
    assert_eq!(status(&all[1]).await["epoch"], 2);
    assert!(!unmet(&all[1]).await.contains(&"rules".to_owned()));
    wait_until("the other one says so", async || unmet(&all[0]).await.contains(&"rules".to_owned())).await;
    // Both have looked again by the time that both follow this.
    assert_eq!(all[0].flip("postgres", true).await.status, 200);
    all_follow(&all, "postgres").await;
    rollback(&all[0]).await;
    all_follow(&all, "sqlite").await;
    for replica in &all {
        assert_eq!(status(replica).await["epoch"], 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_changed_while_postgresql_was_away_begin_an_epoch_later() {
    let (from, to) = backends().await;
    let server = Server::start().await;
    let flipgate = replicas(1, &from, &to, &server.url).await.remove(0);
    server.kill9();
    let changed = CONFIG.replace("[gate]", "unordered = [\"/tags\"]\n[gate]");
    let flipgate = flipgate.kill9().config(&changed).start().await;
    wait_until("it knows that it is cut off", async || is_cut_off(&flipgate).await).await;
    let names = unmet(&flipgate).await;
    assert!(["rules", "state_store"].iter().all(|name| names.contains(&(*name).to_owned())), "{names:?}");
    server.restart().await;
    wait_until("the epoch has begun", async || status(&flipgate).await["epoch"] == 2).await;
    let names = unmet(&flipgate).await;
    assert!(!names.contains(&"rules".to_owned()) && !names.contains(&"state_store".to_owned()), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_self_check_is_of_one_flipgate_alone() {
    let state = "postgres://flipgate:hush@127.0.0.1:9/state";
    let setup = Setup::between("http://127.0.0.1:9", "http://127.0.0.1:9");
    let run = setup.switch("--self-check").argument("--state", state).refuse().await;
    assert!(run.code == Some(2) && run.stderr.contains("leave --state out"), "{:?} {}", run.code, run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_versions_within_a_moment_are_two_epochs_and_alternating_ones_are_not() {
    let version = std::sync::Arc::new(std::sync::Mutex::new("1".to_owned()));
    let shown = std::sync::Arc::clone(&version);
    let to = Upstream::start(move |_| {
        crate::upstream::Reply::json("{}").header("X-Data-Version", &shown.lock().unwrap())
    })
    .await;
    let from = named("sqlite").await;
    let config = format!("data_version_header = \"x-data-version\"\n{CONFIG}");
    let state = pg_database().await;
    let mut all = Vec::new();
    for _ in 0..2 {
        all.push(
            Setup::with_config(&from.url(), &to.url(), &config).argument("--state", &state).start().await,
        );
    }
    let sees = async |now: &str| {
        now.clone_into(&mut version.lock().unwrap());
        for replica in &all {
            // On a busy machine a shadow may be shed, and the version go unseen.
            let asked = to.requests("/read/a").len();
            wait_until("the shadow is asked", async || {
                replica.get("/read/a").await;
                replica.settled().await;
                to.requests("/read/a").len() > asked
            })
            .await;
        }
    };
    sees("1").await;
    for (now, epoch) in [("2", 2), ("3", 3)] {
        sees(now).await;
        let reason = format!("`postgres` answers with another x-data-version: {now}");
        for replica in &all {
            wait_until("an epoch begins", async || status(replica).await["epoch_reason"] == reason).await;
            assert_eq!(status(replica).await["epoch"], epoch);
        }
    }
    // Nodes that answer in turn: these are known. What comes after them shows that they began nothing.
    sees("2").await;
    sees("3").await;
    sees("a; b").await;
    for replica in &all {
        wait_until("an epoch begins", async || status(replica).await["epoch"] == 4).await;
        let reason = status(replica).await["epoch_reason"].to_string();
        assert!(reason.contains("x-data-version: sha256 "), "{reason}");
    }
}
