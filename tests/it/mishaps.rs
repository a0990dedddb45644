//! What goes wrong at three in the morning: one sentence, exit 3, and a further run goes on.

use flipgate::cluster::Cluster;
use sqlx::Connection as _;

use crate::both_stores::{Library, NASTY, SCHEMA};
use crate::command::{Told, command, flipgate, sqlite};
use crate::disk::Disk;
use crate::harness::{pg_database, wait_until};

/// A library whose copy takes a while.
fn large(directory: &std::path::Path) -> std::path::PathBuf {
    let path = directory.join("large.db");
    flipgate::library::generate(&path, 6000, 3).unwrap();
    path
}

async fn execute(url: &str, sql: &str) {
    let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_of_postgresql_stops_the_copy_and_a_further_run_goes_on() {
    let Some(disk) = Disk::of("24m") else { return };
    let directory = tempfile::tempdir().unwrap();
    let library = large(directory.path());
    let url = pg_database().await;
    // The server's own user must own the place.
    let place = disk.path("place");
    std::fs::create_dir(&place).unwrap();
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    let data: String = sqlx::query_scalar("SHOW data_directory").fetch_one(&mut connection).await.unwrap();
    let owner = std::fs::metadata(&data).unwrap();
    use std::os::unix::fs::MetadataExt as _;
    std::os::unix::fs::chown(&place, Some(owner.uid()), Some(owner.gid())).unwrap();
    let space = format!("small_{}", std::process::id());
    execute(&url, &format!("CREATE TABLESPACE {space} LOCATION '{}'", place.display())).await;
    let name: String =
        sqlx::query_scalar("SELECT current_database()").fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let other = pg_database().await;
    execute(&other, &format!("ALTER DATABASE {name} SET TABLESPACE {space}")).await;

    let from = sqlite(&library);
    let told = flipgate(&["migrate", "--from", &from, "--to", &url]).await;
    told.assert_one_sentence(3, "no disk space left");
    assert!(told.err.contains("a further run goes on"), "{told:?}");
    disk.grow("400m");
    let told = flipgate(&["migrate", "--from", &from, "--to", &url]).await;
    assert_eq!(told.code, 0, "{told:?}");
    verified(&from, &url).await;
    execute(&other, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
    execute(&other, &format!("DROP TABLESPACE {space}")).await;
}

async fn verified(from: &str, url: &str) {
    let told = flipgate(&["verify", "--sqlite", from, "--postgres", url]).await;
    assert_eq!(told.code, 0, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_of_sqlite_stops_the_way_back_and_a_further_run_goes_on() {
    let Some(disk) = Disk::of("3m") else { return };
    let directory = tempfile::tempdir().unwrap();
    let library = large(directory.path());
    let url = pg_database().await;
    let told = flipgate(&["migrate", "--from", &sqlite(&library), "--to", &url]).await;
    assert_eq!(told.code, 0, "{told:?}");
    // A new file: nothing of it is left.
    let new = disk.path("new.db");
    let told = flipgate(&["migrate", "--from", &url, "--to", &sqlite(&new)]).await;
    told.assert_one_sentence(3, "No disk space is left");
    assert_eq!(std::fs::read_dir(new.parent().unwrap()).unwrap().count(), 0);
    // A file that is there: it keeps whole batches.
    let there = disk.path("there.db");
    flipgate::library::generate(&there, 0, 1).unwrap();
    let told = flipgate(&["migrate", "--from", &url, "--to", &sqlite(&there)]).await;
    told.assert_one_sentence(3, "a further run goes on");
    disk.grow("200m");
    let told = flipgate(&["migrate", "--from", &url, "--to", &sqlite(&there)]).await;
    assert_eq!(told.code, 0, "{told:?}");
    verified(&sqlite(&there), &url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_stops_the_copy_and_a_further_run_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let library = large(directory.path());
    let (from, url) = (sqlite(&library), pg_database().await);
    let mut killer = sqlx::PgConnection::connect(&url).await.unwrap();
    let copy = command(&["migrate", "--from", &from, "--to", &url]).spawn().unwrap();
    let copied = copy.wait_with_output();
    // In the midst of it: a batch is stored, and more are to come.
    let killed = async {
        loop {
            // OFFSET keeps the condition that kills from being asked of others.
            let some = "SELECT count(*) FROM (SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
                        AND application_name = 'flipgate' OFFSET 0) copy \
                        WHERE CASE WHEN EXISTS (SELECT 1 FROM content) THEN pg_terminate_backend(pid) END";
            match sqlx::query_scalar::<_, i64>(some).fetch_one(&mut killer).await {
                Ok(0) => {}
                Ok(_) => return,
                // Until the schema is there.
                Err(error) => assert!(error.as_database_error().is_some(), "{error}"),
            }
        }
    };
    let (output, ()) = tokio::join!(copied, killed);
    let told = Told::of(output.unwrap());
    told.assert_one_sentence(3, "a further run goes on");
    let told = flipgate(&["migrate", "--from", &from, "--to", &url]).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(!told.out.contains("content: 6000 read, 6000 inserted"), "nothing was stored before: {told:?}");
    verified(&from, &url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_that_cannot_be_written_can_be_copied_but_not_written() {
    let Some(disk) = Disk::of("16m") else { return };
    let (library, url) = (disk.path("library.db"), pg_database().await);
    flipgate::library::generate(&library, 30, 1).unwrap();
    disk.make_read_only();
    let file = sqlite(&library);
    let told = flipgate(&["migrate", "--from", &file, "--to", &url]).await;
    assert_eq!(told.code, 0, "{told:?}");
    verified(&file, &url).await;
    execute(&url, "UPDATE content SET title = 'changed'").await;
    let told = flipgate(&["migrate", "--from", &url, "--to", &file]).await;
    told.assert_one_sentence(3, "is read-only");
    let told = flipgate(&["migrate", "--from", &url, "--to", &sqlite(&disk.path("new.db"))]).await;
    told.assert_one_sentence(3, "check the directory");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_and_not_shown() {
    // A server that asks for one.
    let cluster = tokio::task::spawn_blocking(|| Cluster::start().unwrap()).await.unwrap();
    cluster.create_database("library", None).await.unwrap();
    let url = cluster.url("library");
    execute(
        &url,
        "CREATE ROLE reader LOGIN PASSWORD 'right'; DO $$ BEGIN
            EXECUTE format('COPY (SELECT ''local all all scram-sha-256'') TO %L', current_setting('hba_file'));
         END $$; SELECT pg_reload_conf()",
    )
    .await;
    let as_reader = url.replace("postgres://flipgate@", "postgres://reader:hunter2@");
    let library = Library::of(&[SCHEMA, NASTY]);
    let file = sqlite(&library.path);
    wait_until("the server asks for passwords", || async {
        sqlx::PgConnection::connect(&as_reader).await.is_err()
    })
    .await;
    for arguments in [
        ["migrate", "--from", &file, "--to", &as_reader],
        ["migrate", "--to", &file, "--from", &as_reader],
        ["verify", "--sqlite", &file, "--postgres", &as_reader],
    ] {
        let told = flipgate(&arguments).await;
        told.assert_one_sentence(3, "refused the login");
        assert!(!told.err.contains("hunter2"), "{told:?}");
    }
    tokio::task::spawn_blocking(move || cluster.stop().unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_table_or_file_or_server_is_told() {
    let library = Library::of(&["CREATE TABLE videos (id TEXT)"]);
    let (file, url) = (sqlite(&library.path), pg_database().await);
    flipgate(&["migrate", "--from", &file, "--to", &url])
        .await
        .assert_one_sentence(3, "has no table `content`");
    flipgate(&["migrate", "--from", "sqlite:/none/such.db", "--to", &url])
        .await
        .assert_one_sentence(3, "/none/such.db");
    let library = Library::of(&[SCHEMA]);
    let file = sqlite(&library.path);
    // Nothing was stored in it: the schema is not even there.
    flipgate(&["verify", "--sqlite", &file, "--postgres", &url])
        .await
        .assert_one_sentence(3, "run `flipgate migrate` first");
    let away = "postgres://nobody:hunter2@127.0.0.1:1/none";
    flipgate(&["migrate", "--from", &file, "--to", away]).await.assert_one_sentence(3, "cannot be reached");
    flipgate(&["migrate", "--from", away, "--to", &file]).await.assert_one_sentence(3, "cannot be reached");
    flipgate(&["migrate", "--from", &file, "--to", &file])
        .await
        .assert_one_sentence(2, "in either direction");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_rights_is_told() {
    let library = Library::of(&[SCHEMA, NASTY]);
    let (file, url) = (sqlite(&library.path), pg_database().await);
    execute(&url, &format!("CREATE ROLE powerless_{} LOGIN", std::process::id())).await;
    let as_other =
        url.replace("postgres://flipgate@", &format!("postgres://powerless_{}@", std::process::id()));
    flipgate(&["migrate", "--from", &file, "--to", &as_other])
        .await
        .assert_one_sentence(3, "does not permit this");
    flipgate(&["migrate", "--from", &file, "--to", &url]).await;
    flipgate(&["verify", "--sqlite", &file, "--postgres", &as_other])
        .await
        .assert_one_sentence(3, "does not permit this");
}
