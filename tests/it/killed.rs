//! SIGKILL at any moment of a copy, then a further run: equal to the source each time, whichever way it goes.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::Connection as _;

use crate::command::{Told, command, flipgate, sqlite};
use crate::harness::pg_database;

/// Records of the library; with summaries and variants about twice as many rows.
const ROWS: u32 = 20_000;
const KILLS: u32 = 20;

/// Copies run at once: as many as there are cores, so that the test takes half the time.
const AT_ONCE: u32 = 2;

fn library(directory: &Path) -> std::path::PathBuf {
    let path = directory.join("library.db");
    flipgate::library::generate(&path, ROWS, 1).unwrap();
    path
}

async fn clean(arguments: &[&str]) -> Told {
    let told = flipgate(arguments).await;
    assert_eq!(told.code, 0, "{told:?}");
    told
}

/// Runs a copy and kills it after `moment`; says whether it was still at work.
async fn killed_after(arguments: &[&str], moment: Duration) -> bool {
    let mut child = command(arguments).spawn().unwrap();
    // Not a wait for something: the moment is the fault that is tested.
    tokio::time::sleep(moment).await;
    let running = child.try_wait().unwrap().is_none();
    child.kill().await.unwrap();
    running
}

/// Kills copies one after the other at random moments of `whole`, each run again on what it left; how many were killed at
/// work.
async fn kill_and_run_again(library: &Path, mut whole: Duration, kills: u32, seed: u64) -> u32 {
    let mut rng = fastrand::Rng::with_seed(seed);
    let from = sqlite(library);
    let mut at_work = 0;
    for kill in 0..kills {
        let url = pg_database().await;
        let copy = ["migrate", "--from", &from, "--to", &url];
        if killed_after(&copy, whole.mul_f64(rng.f64())).await {
            at_work += 1;
        } else {
            // The machine was busier when the whole was measured.
            whole = whole.mul_f64(0.7);
        }
        clean(&copy).await;
        clean(&["verify", "--sqlite", &from, "--postgres", &url]).await;
        let again = clean(&copy).await;
        assert!(
            again.out.contains(" 0 inserted, 0 updated, 20000 unchanged"),
            "after kill {kill}: {again:?}"
        );
    }
    at_work
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_copies_killed_at_random_moments_end_equal_to_the_source() {
    let directory = tempfile::tempdir().unwrap();
    let library = library(directory.path());
    let begun = Instant::now();
    clean(&["migrate", "--from", &sqlite(&library), "--to", &pg_database().await]).await;
    let whole = begun.elapsed();
    let runs = (0..AT_ONCE).map(|run| {
        let library = library.clone();
        tokio::spawn(
            async move { kill_and_run_again(&library, whole, KILLS / AT_ONCE, u64::from(run)).await },
        )
    });
    let mut at_work = 0;
    for run in runs.collect::<Vec<_>>() {
        at_work += run.await.unwrap();
    }
    // However busy the machine was when the whole was measured: moments move until they lie within the copies.
    assert!(at_work >= KILLS / 2, "only {at_work} of {KILLS} were killed at work");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_way_back_ends_equal_too() {
    let directory = tempfile::tempdir().unwrap();
    let library = library(directory.path());
    let url = pg_database().await;
    clean(&["migrate", "--from", &sqlite(&library), "--to", &url]).await;
    let changed = "UPDATE content SET title = title || '!' WHERE hashtext(id) % 2 = 0; \
                   INSERT INTO content_summaries (video_id, variant, revision, html) \
                   SELECT video_id, 'audio-fr', 7, title FROM content";
    let mut connection = sqlx::postgres::PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(changed).execute(&mut connection).await.unwrap();
    let to = sqlite(&library);
    let back = ["migrate", "--from", &url, "--to", &to];
    let mut rng = fastrand::Rng::with_seed(7);
    let mut at_work = 0;
    for _ in 0..6 {
        at_work += u32::from(killed_after(&back, Duration::from_millis(rng.u64(100..900))).await);
    }
    assert!(at_work > 0, "all six were done before they were killed");
    clean(&back).await;
    clean(&["verify", "--sqlite", &to, "--postgres", &url]).await;
    let again = clean(&back).await;
    assert!(again.out.contains(" 0 inserted, 0 updated, 20000 unchanged"), "{again:?}");
}
