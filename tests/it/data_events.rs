//! Real stores: what is written beside flipgate (a replaced file, records that got fewer, deleted ones that are back), and
//! a migration, each begin an epoch.

use std::path::Path;

use flipgate::{library, migrate};
use serde_json::Value;
use sqlx::Connection as _;

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
    let setup = Setup::with_config(&sqlite, &postgres, config);
    let flipgate = setup.environment("FLIPGATE_LOG", "info,flipgate::app::beside=debug").start().await;
    wait_until("both stores were looked at", async || flipgate.said().contains("the first look at what"))
        .await;
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

/// What was counted of a backend's data.
async fn counted(flipgate: &Flipgate, backend: &str) -> [f64; 3] {
    let metrics = flipgate.metrics().await;
    ["replaced", "backwards", "resurrected"]
        .map(|event| metrics.sum("flipgate_data_events_total", &[("backend", backend), ("event", event)]))
}

async fn reason(flipgate: &Flipgate) -> String {
    let status = flipgate.admin_get("/api/status").await.json();
    status["epoch_reason"].as_str().unwrap_or_default().to_owned()
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
    let reason = status["epoch_reason"].as_str().unwrap();
    assert!(reason.contains("library.db was replaced (inode "), "{status}");
    assert!(reason.contains("library.db went back: 20 records, where there were 30"), "{status}");
    assert_eq!(counted(&flipgate, "sqlite").await, [1.0, 1.0, 0.0]);
    // One that holds the same is another file all the same, and no older one.
    replace(&directory.path().join("library.db"), 20);
    wait_until("an epoch begins", async || epoch(&flipgate).await == 3).await;
    assert_eq!(counted(&flipgate, "sqlite").await, [2.0, 1.0, 0.0]);
    assert_eq!(counted(&flipgate, "postgres").await, [0.0; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_deleted_beside_flipgate_begin_an_epoch() {
    let (flipgate, directory, postgres) = started(30).await;
    gathered(&flipgate).await;
    let library = rusqlite::Connection::open(directory.path().join("library.db")).unwrap();
    library.pragma_update(None, "foreign_keys", false).unwrap();
    let delete = "DELETE FROM content WHERE id IN (SELECT id FROM content ORDER BY id LIMIT 2)";
    assert_eq!(library.execute(delete, []).unwrap(), 2);
    wait_until("an epoch begins", async || epoch(&flipgate).await == 2).await;
    let told = reason(&flipgate).await;
    assert!(told.contains("library.db went back: 28 records, where there were 30"), "{told}");
    assert!(flipgate.said().contains("deletes that did not go through flipgate?"));
    assert_eq!(counted(&flipgate, "sqlite").await, [0.0, 1.0, 0.0]);
    // Curated subcategories that are gone count as well; what is written and added does not.
    library.execute("UPDATE content SET title = 'other'", []).unwrap();
    library.execute("INSERT INTO content (id, video_id) VALUES ('yt:more', 'moremoremor')", []).unwrap();
    let strip = "UPDATE content SET subcategories_json = NULL WHERE id = \
        (SELECT id FROM content WHERE subcategories_json LIKE '%subcategories%' LIMIT 1)";
    assert_eq!(library.execute(strip, []).unwrap(), 1);
    wait_until("an epoch begins", async || epoch(&flipgate).await == 3).await;
    let told = reason(&flipgate).await;
    assert!(
        told.contains("with subcategories, where there were") && !told.contains("where there were 28"),
        "{told}"
    );
    // And so it is in PostgreSQL.
    assert_eq!(counted(&flipgate, "postgres").await, [0.0; 3]);
    execute(&postgres, "DELETE FROM content WHERE id = (SELECT max(id) FROM content)").await;
    wait_until("PostgreSQL's are noticed", async || counted(&flipgate, "postgres").await[1] == 1.0).await;
    wait_until("an epoch begins", async || {
        reason(&flipgate).await.contains("went back: 29 records, where there were 30")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_records_that_are_back_begin_an_epoch() {
    let (flipgate, directory, postgres) = started(30).await;
    gathered(&flipgate).await;
    // A name that nothing had, and holds; and one that another store never had.
    let named = "INSERT INTO tombstones (id, video_id, named) VALUES ('Back0000000', 'Back0000000', true)";
    execute(&postgres, named).await;
    let library = rusqlite::Connection::open(directory.path().join("library.db")).unwrap();
    library
        .execute("INSERT INTO content (id, video_id) VALUES ('yt:back0000000', 'Back0000000')", [])
        .unwrap();
    library.execute("INSERT INTO content (id, video_id) VALUES ('yt:new', 'newnewnewne')", []).unwrap();
    wait_until("an epoch begins", async || epoch(&flipgate).await == 2).await;
    let told = reason(&flipgate).await;
    let expected = "1 record deleted from PostgreSQL in ";
    assert!(told.contains(expected) && told.contains("library.db: Back0000000"), "{told}");
    assert_eq!(counted(&flipgate, "sqlite").await, [0.0, 0.0, 1.0]);
    assert!(flipgate.said().contains(expected), "{}", flipgate.said());
    // Back in both is no news.
    let both = "INSERT INTO content (id, video_id, title) VALUES ('yt:back0000000', 'Back0000000', 'again')";
    execute(&postgres, both).await;
    library.execute("UPDATE content SET title = 'again' WHERE id = 'yt:back0000000'", []).unwrap();
    assert_eq!(counted(&flipgate, "postgres").await, [0.0; 3]);
}

async fn execute(postgres: &str, sql: &'static str) {
    let mut connection = sqlx::PgConnection::connect(postgres).await.unwrap();
    sqlx::query(sql).execute(&mut connection).await.unwrap();
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
