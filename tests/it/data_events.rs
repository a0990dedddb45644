//! Real stores: a file that is replaced, and a migration, each begin an epoch; a write to the file explains a transient.

use std::path::Path;

use flipgate::{library, migrate};
use serde_json::Value;

use crate::command;
use crate::harness::{Flipgate, Setup, pg_database, wait_until};
use crate::lag_and_noise::{ask_all, condition};
use crate::replicas::{Server, is_cut_off};

/// Both stores of a generated library, answered in-process.
async fn started(rows: u32) -> (Flipgate, tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("library.db");
    library::generate(&file, rows, 1).unwrap();
    let postgres = pg_database().await;
    migrate::run(&file, &postgres).await.unwrap();
    let sqlite = format!("sqlite:{}", file.display());
    let config = "[gate]\nmin_comparisons = 1\n";
    let flipgate = Setup::with_config(&sqlite, &postgres, config).start().await;
    (flipgate, directory, postgres)
}

async fn epoch(flipgate: &Flipgate) -> Value {
    flipgate.admin_get("/api/status").await.json()["epoch"].clone()
}

async fn gathered(flipgate: &Flipgate) {
    ask_all(flipgate, ["/".to_owned(), "/api/filters".to_owned(), "/api/reports".to_owned()]).await;
    flipgate.assert_outcomes(&[("match", 3)]).await;
    assert_eq!(condition(flipgate, "evidence").await["actual"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_whose_epoch_could_not_be_stored_is_not_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("library.db");
    library::generate(&file, 30, 1).unwrap();
    let (postgres, state) = (pg_database().await, Server::start().await);
    migrate::run(&file, &postgres).await.unwrap();
    let setup = Setup::with_config(&command::sqlite(&file), &postgres, "").argument("--state", &state.url);
    let flipgate = setup.start().await;
    let quarantine = async |flipgate: &Flipgate| condition(flipgate, "quarantine").await["met"] == true;
    wait_until("which migration came last is known", async || quarantine(&flipgate).await).await;
    state.kill9();
    wait_until("it knows that it is cut off", async || is_cut_off(&flipgate).await).await;
    let library = rusqlite::Connection::open(&file).unwrap();
    library.execute("UPDATE content SET title = 'other', updated_at = datetime('now')", []).unwrap();
    migrate::run(&file, &postgres).await.unwrap();
    wait_until("it cannot begin an epoch", async || {
        flipgate.said().contains("the epoch cannot be stored yet")
    })
    .await;
    let setup = flipgate.kill9();
    state.restart().await;
    let flipgate = setup.start().await;
    wait_until("the epoch begins", async || epoch(&flipgate).await == 2).await;
}

fn replace(file: &Path, rows: u32) {
    let other = file.with_extension("new");
    library::generate(&other, rows, 1).unwrap();
    std::fs::rename(other, file).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_file_begins_an_epoch_and_an_older_copy_is_warned_of() {
    let (flipgate, directory, _postgres) = started(30).await;
    gathered(&flipgate).await;
    assert_eq!(epoch(&flipgate).await, 1);
    replace(&directory.path().join("library.db"), 20);
    wait_until("an epoch begins", async || epoch(&flipgate).await == 2).await;
    assert_eq!(condition(&flipgate, "evidence").await["actual"], 0);
    let said = flipgate.said();
    assert!(said.contains("20 records, where there were 30"), "{said}");
    let status = flipgate.admin_get("/api/status").await.json();
    assert!(status["epoch_reason"].as_str().unwrap().contains("library.db was replaced (inode "), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_wrote_begins_an_epoch_also_while_flipgate_did_not_run() {
    let (flipgate, directory, postgres) = started(30).await;
    gathered(&flipgate).await;
    let file = directory.path().join("library.db");
    let migrate = async || {
        let from = command::sqlite(&file);
        let told = command::flipgate(&["migrate", "--from", &from, "--to", &postgres]).await;
        assert_eq!(told.code, 0, "{}", told.err);
    };
    let touch = |title: &str| {
        let library = rusqlite::Connection::open(&file).unwrap();
        let sql = "UPDATE content SET title = ?1, updated_at = datetime('now') WHERE id = (SELECT min(id) FROM content)";
        assert_eq!(library.execute(sql, [title]).unwrap(), 1);
    };
    // Which migration came last is known before another one ends.
    wait_until("the quarantine was looked at", async || {
        condition(&flipgate, "quarantine").await["met"] == true
    })
    .await;
    touch("another title");
    migrate().await;
    wait_until("an epoch begins", async || epoch(&flipgate).await == 2).await;
    let status = flipgate.admin_get("/api/status").await.json();
    let reason = status["epoch_reason"].as_str().unwrap();
    assert!(reason.starts_with("a migration wrote to PostgreSQL (run "), "{reason}");
    flipgate.terminate();
    let setup = flipgate.stopped().await;
    touch("and another one");
    migrate().await;
    let flipgate = setup.start().await;
    wait_until("an epoch begins at the start", async || epoch(&flipgate).await == 3).await;
    // A run that changes nothing is no event.
    migrate().await;
    wait_until("the last run was seen", async || condition(&flipgate, "quarantine").await["met"] == true)
        .await;
    assert_eq!(epoch(&flipgate).await, 3);
}
