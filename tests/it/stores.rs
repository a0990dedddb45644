//! flipgate answering by itself, from SQLite and from the PostgreSQL that the library was copied to.

use std::path::Path;

use sqlx::Connection as _;

use crate::harness::{Flipgate, Setup, pg_database, shared};

/// Reads of every sort the dashboard's front end makes.
const READS: [&str; 22] = [
    "/",
    "/api/filters",
    "/api/reports",
    "/api/reports?size=50",
    "/api/reports?page=2&size=7",
    "/api/reports?page=999",
    "/api/reports?size=50&sort=added_desc",
    "/api/reports?size=50&sort=added_asc",
    "/api/reports?size=50&sort=video_newest",
    "/api/reports?size=50&sort=video_oldest",
    "/api/reports?size=50&sort=title_az",
    "/api/reports?size=50&sort=title_za",
    "/api/reports?size=50&sort=duration_desc",
    "/api/reports?size=50&sort=duration_asc",
    "/api/reports?size=50&has_audio=true",
    "/api/reports?size=50&has_audio=no",
    "/api/reports?q=the",
    "/api/reports?q=a_%25",
    "/api/reports?language=en&content_type=Discussion&complexity=Intermediate",
    "/api/reports?category=Gardens&category=History",
    "/api/reports?subcategory=Pruning&parentCategory=Gardens",
    "/api/reports/none-such",
];

/// Copies the library at `path` to a fresh database and starts flipgate on both.
async fn on_both_stores(path: &Path) -> (String, Flipgate) {
    let database = pg_database().await;
    flipgate::migrate::run(path, &database).await.unwrap();
    let sqlite = format!("sqlite:{}", path.display());
    let flipgate = Setup::with_config(&sqlite, &database, "").start().await;
    (database, flipgate)
}

/// Reads everything, and each record in each form; returns how many requests that was. It goes no faster than the
/// comparison: what is shed would prove nothing.
async fn read_everything(flipgate: &Flipgate) -> u32 {
    let mut count = 0;
    for target in READS {
        let status = flipgate.get(target).await.status;
        assert_eq!(status, if target.ends_with("none-such") { 404 } else { 200 }, "{target}");
        count += 1;
        flipgate.settled().await;
    }
    for page in 1.. {
        let listed = flipgate.get(&format!("/api/reports?size=50&page={page}")).await.json();
        count += 1;
        for report in listed["reports"].as_array().unwrap() {
            let (id, stem) = (report["id"].as_str().unwrap(), report["file_stem"].as_str().unwrap());
            for target in [format!("/api/reports/{id}"), format!("/{stem}.json"), format!("/{stem}.html")] {
                assert_eq!(flipgate.get(&target).await.status, 200, "{target}");
                count += 1;
            }
            flipgate.settled().await;
        }
        if listed["pagination"]["has_next"] == false {
            return count;
        }
    }
    unreachable!("the last page has no next");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_library_reads_alike_from_both() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("library.db");
    flipgate::library::generate(&path, flipgate::library::DEFAULT_ROWS, 1).unwrap();
    let (_database, flipgate) = on_both_stores(&path).await;
    let reads = read_everything(&flipgate).await;
    assert_eq!(flipgate.findings().await, Vec::<serde_json::Value>::new());
    flipgate.assert_outcomes(&[("match", reads)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_library_reads_alike_from_both() {
    let Some(shared) = shared() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("library.db");
    std::fs::copy(shared.join("data/library.db"), &path).unwrap();
    let (_database, flipgate) = on_both_stores(&path).await;
    let reads = read_everything(&flipgate).await;
    assert_eq!(flipgate.findings().await, Vec::<serde_json::Value>::new());
    flipgate.assert_outcomes(&[("match", reads)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_in_one_store_shows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("library.db");
    flipgate::library::generate(&path, 20, 1).unwrap();
    let (database, flipgate) = on_both_stores(&path).await;
    flipgate.get("/api/reports?size=50").await;
    flipgate.assert_outcomes(&[("match", 1)]).await;
    let mut postgres = sqlx::PgConnection::connect(&database).await.unwrap();
    sqlx::raw_sql("UPDATE content SET title = title || '!'").execute(&mut postgres).await.unwrap();
    flipgate.get("/api/reports?size=50").await;
    flipgate.assert_outcomes(&[("match", 1), ("mismatch", 1)]).await;
    let findings = flipgate.findings().await;
    assert!(findings.iter().any(|finding| finding["path"] == "/reports/*/title"), "{findings:?}");
}
