//! Ways to lose data, or more, that a review of the copy found.

use std::path::Path;

use flipgate::migrate::{self, Options};
use sqlx::Connection as _;

use crate::both_stores::{Library, SCHEMA};
use crate::command::{Told, command, flipgate, sqlite};
use crate::disk::Disk;
use crate::harness::{pg_database, wait_until};

const CURATED: &str = r#"{"categories":[{"category":"A","subcategories":["b"]}]}"#;

async fn connect(url: &str) -> sqlx::PgConnection {
    sqlx::PgConnection::connect(url).await.unwrap()
}

async fn execute(url: &str, sql: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connect(url).await).await.unwrap();
}

async fn ask(url: &str, sql: &str) -> String {
    let sql = sqlx::AssertSqlSafe(format!("SELECT coalesce(({sql})::text, '')"));
    sqlx::query_scalar(sql).fetch_one(&mut connect(url).await).await.unwrap()
}

async fn forth(library: &Path, url: &str) -> Told {
    flipgate(&["migrate", "--from", &sqlite(library), "--to", url]).await
}

async fn back(url: &str, library: &Path) -> Told {
    flipgate(&["migrate", "--from", url, "--to", &sqlite(library)]).await
}

async fn verify(library: &Path, url: &str) -> Told {
    flipgate(&["verify", "--sqlite", &sqlite(library), "--postgres", url]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tombstones_trigger_lends_its_rights_to_nobody() {
    let url = pg_database().await;
    migrate::run(&Library::of(&[SCHEMA]).path, &url).await.unwrap();
    let role = format!("mallory_{}", std::process::id());
    execute(&url, &format!("CREATE ROLE {role} LOGIN")).await;
    let mut mallory = connect(&url.replace("postgres://flipgate@", &format!("postgres://{role}@"))).await;
    let hung = sqlx::raw_sql(
        "CREATE TEMP TABLE content (id text, video_id text, video_id_absent bool);
         CREATE TRIGGER t AFTER DELETE ON content FOR EACH ROW EXECUTE FUNCTION public.flipgate_bury()",
    );
    let error = hung.execute(&mut mallory).await.unwrap_err().to_string();
    assert!(error.contains("permission denied"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_back_into_a_new_file_does_not_change_who_wins_elsewhere() {
    let library = Library::of(&[
        SCHEMA,
        "INSERT INTO content (id, video_id, title, updated_at) VALUES ('a', 'aaaaaaaaaaa', 'old', '2025-01-01')",
    ]);
    let url = pg_database().await;
    forth(&library.path, &url).await;
    library.execute("UPDATE content SET title = 'sqlite', updated_at = '2025-02-01'");
    execute(&url, "UPDATE content SET title = 'postgres', updated_at = '2025-03-01'").await;
    assert_eq!(back(&url, &library.path.with_file_name("new.db")).await.code, 0);
    let told = forth(&library.path, &url).await;
    assert!(told.out.contains("0 updated, 0 unchanged, 1 kept"), "{told:?}");
    assert_eq!(ask(&url, "SELECT title FROM content").await, "postgres");
}

/// A writer with a transaction open touches what a batch holds while another batch wants what the writer holds.
#[tokio::test(flavor = "multi_thread")]
async fn two_connections_and_a_writer_never_wait_for_each_other_in_a_circle() {
    let rows: String = ["x", "y"]
        .map(|name| {
            format!(
                "INSERT INTO content (id, video_id, title) VALUES ('{name}', '{}', 'old');
                 INSERT INTO content_summaries (content_id, summary_text) VALUES ('{name}', 'text');",
                name.repeat(11)
            )
        })
        .concat();
    let library = Library::of(&[SCHEMA, &rows]);
    let url = pg_database().await;
    forth(&library.path, &url).await;
    library.execute("UPDATE content SET video_id = 'zzzzzzzzzzz' WHERE id = 'x'; UPDATE content SET title = 'new' WHERE id = 'y'");
    let mut writer = connect(&url).await;
    sqlx::raw_sql("BEGIN; UPDATE content_summaries SET html = 'w' WHERE video_id = 'xxxxxxxxxxx'")
        .execute(&mut writer)
        .await
        .unwrap();
    let copy = command(&["migrate", "--from", &sqlite(&library.path), "--to", &url, "--batch", "1"])
        .spawn()
        .unwrap();
    // Until the copy waits for the writer.
    wait_until("the copy waits for a lock", || async {
        ask(
            &url,
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
            AND application_name = 'flipgate' AND wait_event_type = 'Lock'",
        )
        .await
            != "0"
    })
    .await;
    sqlx::raw_sql("UPDATE content SET channel_name = 'w' WHERE id = 'y'; COMMIT")
        .execute(&mut writer)
        .await
        .unwrap();
    let told = Told::of(copy.wait_with_output().await.unwrap());
    assert!(told.code == 0 || told.code == 1, "{told:?}");
    assert_eq!(ask(&url, "SELECT video_id FROM content WHERE id = 'x'").await, "zzzzzzzzzzz");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_read_is_not_passed_over() {
    let Some(disk) = Disk::of("16m") else { return };
    let (live, path) = (Library::of(&[]), disk.path("library.db"));
    let connection = rusqlite::Connection::open(&live.path).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    connection.execute_batch(SCHEMA).unwrap();
    connection.pragma_update(None, "wal_checkpoint", "truncate").unwrap();
    connection.execute_batch("INSERT INTO content (id, video_id) VALUES ('b', 'bbbbbbbbbbb')").unwrap();
    // As a backup of the two files has them, on a medium that cannot be written.
    std::fs::copy(&live.path, &path).unwrap();
    std::fs::copy(live.path.with_file_name("nasty library #1?.db-wal"), disk.path("library.db-wal")).unwrap();
    disk.make_read_only();
    let url = pg_database().await;
    forth(&path, &url).await.assert_one_sentence(3, "library.db-wal");
    migrate::run(&live.path, &url).await.unwrap();
    verify(&path, &url).await.assert_one_sentence(3, "library.db-wal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_written_anew_is_not_a_deleted_one() {
    let library = Library::of(&[SCHEMA, "INSERT INTO content (id, video_id, title) VALUES ('a', 'aaaaaaaaaaa', 't');
        INSERT INTO content_summaries (content_id, summary_text) VALUES ('a', 'text');
        INSERT INTO summary_variants (video_id, variant_type, content, created_at) VALUES ('aaaaaaaaaaa', 'audio', 'x', '')"]);
    let url = pg_database().await;
    forth(&library.path, &url).await;
    execute(
        &url,
        "CREATE TEMP TABLE kept AS SELECT * FROM content; DELETE FROM content;
        INSERT INTO content (id, video_id, title) SELECT id, video_id, title FROM kept",
    )
    .await;
    let told = verify(&library.path, &url).await;
    assert_eq!(told.code, 1, "its summaries are lost: {told:?}");
    assert!(
        told.out.contains("missing content_summaries a") && told.out.contains("missing summary_variants"),
        "{told:?}"
    );
    forth(&library.path, &url).await;
    assert_eq!(ask(&url, "SELECT count(*) FROM content_summaries").await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_record_of_a_video_survives_the_deletion_of_the_first() {
    let library = Library::of(&[
        SCHEMA,
        &format!(
            "INSERT INTO content (id, video_id, subcategories_json) VALUES
        ('yt:a', 'aaaaaaaaaaa', NULL), ('yt:A', 'aaaaaaaaaaa', '{CURATED}')"
        ),
    ]);
    let url = pg_database().await;
    assert_eq!(forth(&library.path, &url).await.code, 1);
    execute(&url, "DELETE FROM content").await;
    let told = forth(&library.path, &url).await;
    assert_eq!(told.code, 1, "{told:?}");
    assert!(
        told.out.contains("quarantined content yt:A: its video was deleted as another record"),
        "{told:?}"
    );
    assert_eq!(verify(&library.path, &url).await.code, 1);
    assert_eq!(
        ask(&url, "SELECT source_row ->> 'subcategories_json' FROM migration_quarantine").await,
        CURATED
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_file_does_not_empty_the_quarantine() {
    let one = Library::of(&[
        SCHEMA,
        "INSERT INTO content_summaries (id, content_id, summary_text) VALUES (7, 'gone', 'only here')",
    ]);
    let other = Library::of(&[
        SCHEMA,
        "INSERT INTO content_summaries (id, content_id, summary_text) VALUES (7, 'gone too', 'only there')",
    ]);
    let url = pg_database().await;
    for library in [&one, &other] {
        assert_eq!(forth(&library.path, &url).await.code, 1);
    }
    let kept = "SELECT string_agg(source_row ->> 'summary_text', ', ' ORDER BY id) FROM migration_quarantine";
    assert_eq!(ask(&url, kept).await, "only here, only there");
    // What is stored in the end leaves it.
    one.execute("INSERT INTO content (id, video_id) VALUES ('gone', 'ggggggggggg')");
    assert_eq!(forth(&one.path, &url).await.code, 0);
    assert_eq!(ask(&url, kept).await, "only there");
    let told = verify(&one.path, &url).await;
    assert!(told.code == 1 && told.out.contains("not in the source that was copied last"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_and_ingested_anew_must_be_decided() {
    let library = Library::of(&[SCHEMA, "INSERT INTO content (id, video_id) VALUES ('a', 'aaaaaaaaaaa')"]);
    let url = pg_database().await;
    forth(&library.path, &url).await;
    execute(&url, "DELETE FROM content").await;
    assert_eq!(verify(&library.path, &url).await.code, 0);
    library.execute("UPDATE content SET indexed_at = '2999-01-01'");
    let told = forth(&library.path, &url).await;
    assert!(told.code == 1 && told.out.contains("written in SQLite after that"), "{told:?}");
    assert_eq!(verify(&library.path, &url).await.code, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_differ_by_case_are_two_whatever_the_column_says() {
    let library = Library::of(&[
        "CREATE TABLE content (id TEXT COLLATE NOCASE, video_id TEXT COLLATE NOCASE, title TEXT);
        INSERT INTO content VALUES ('yt:abc', 'abcabcabcab', 'one'), ('yt:ABC', 'ABCABCABCAB', 'two')",
    ]);
    let url = pg_database().await;
    let told = forth(&library.path, &url).await;
    assert!(told.code == 0 && told.out.contains("2 inserted"), "{told:?}");
    execute(&url, "DELETE FROM content WHERE id = 'yt:abc'").await;
    let told = back(&url, &library.path).await;
    assert!(told.out.contains("1 deleted here as there"), "{told:?}");
    assert_eq!(verify(&library.path, &url).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_waits_in_quarantine_is_told() {
    let library = Library::of(&[
        SCHEMA,
        "INSERT INTO content (id, video_id) VALUES ('a', 'aaaaaaaaaaa'), ('b', 'bbbbbbbbbbb')",
    ]);
    let url = pg_database().await;
    forth(&library.path, &url).await;
    library
        .execute("UPDATE content SET video_id = CASE id WHEN 'a' THEN 'bbbbbbbbbbb' ELSE 'aaaaaaaaaaa' END");
    assert_eq!(forth(&library.path, &url).await.code, 1);
    let told = verify(&library.path, &url).await;
    assert!(
        told.out.contains("FAIL content: no row waits in quarantine")
            && told.out.contains("quarantined content:a"),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_from_a_row_reaches_the_terminal_as_it_is() {
    let library = Library::of(&[SCHEMA]);
    let connection = rusqlite::Connection::open(&library.path).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    connection
        .execute("INSERT INTO content_summaries (content_id) VALUES (?1)", ["x\u{1b}[2J\nok   fake"])
        .unwrap();
    let url = pg_database().await;
    for told in [forth(&library.path, &url).await, verify(&library.path, &url).await] {
        assert!(!told.out.contains('\u{1b}') && !told.out.contains("\nok   fake"), "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_dropped_from_the_schema_is_made_again() {
    let library = Library::of(&[SCHEMA, "INSERT INTO content (id, video_id) VALUES ('a', 'aaaaaaaaaaa')"]);
    let url = pg_database().await;
    forth(&library.path, &url).await;
    for dropped in [
        "DROP TRIGGER tombstone ON content",
        "DROP INDEX content_summaries_legacy_idx",
        "DROP TABLE tombstones",
        "ALTER TABLE content DROP CONSTRAINT content_language_check",
    ] {
        execute(&url, dropped).await;
        assert_eq!(forth(&library.path, &url).await.code, 0, "{dropped}");
        assert_eq!(verify(&library.path, &url).await.code, 0, "{dropped}");
    }
    execute(&url, "DELETE FROM content").await;
    assert_eq!(ask(&url, "SELECT id FROM tombstones").await, "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_keys_replace_rows_loses_none() {
    let tables = SCHEMA.replace(
        "content_summaries (id INTEGER PRIMARY KEY AUTOINCREMENT",
        "content_summaries (id INTEGER PRIMARY KEY ON CONFLICT REPLACE AUTOINCREMENT",
    );
    let library = Library::of(&[
        &tables,
        "INSERT INTO content (id, video_id) VALUES ('a', 'aaaaaaaaaaa'), ('b', 'bbbbbbbbbbb');
        INSERT INTO content_summaries (id, content_id, summary_text) VALUES (1, 'b', 'of b')",
    ]);
    let url = pg_database().await;
    forth(&library.path, &url).await;
    execute(&url, "INSERT INTO content_summaries (video_id, variant, revision, legacy, source_id, html) VALUES ('aaaaaaaaaaa', 'audio', 0, true, 1, 'of a')").await;
    assert_eq!(back(&url, &library.path).await.code, 0);
    assert_eq!(verify(&library.path, &url).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_resolved_is_decided_and_comes_back_all_the_same() {
    let library = Library::of(&[
        SCHEMA,
        "INSERT INTO content_summaries (content_id, summary_text) VALUES ('gone', 'orphan')",
    ]);
    let url = pg_database().await;
    assert_eq!(forth(&library.path, &url).await.code, 1);
    flipgate(&["migrate", "--to", &url, "--resolve", "all"]).await;
    let told = forth(&library.path, &url).await;
    assert!(told.code == 0 && told.out.contains("1 in quarantine and resolved"), "{told:?}");
    let new = library.path.with_file_name("new.db");
    back(&url, &new).await;
    let connection = rusqlite::Connection::open(new).unwrap();
    let text: String =
        connection.query_row("SELECT summary_text FROM content_summaries", [], |row| row.get(0)).unwrap();
    assert_eq!(text, "orphan");
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_rows_of_others_stop_nothing() {
    let library = Library::of(&[
        SCHEMA,
        "INSERT INTO content (id, video_id) VALUES ('a', 'aaaaaaaaaaa'), ('b', 'bbbbbbbbbbb')",
    ]);
    let url = pg_database().await;
    migrate::run(&Library::of(&[SCHEMA]).path, &url).await.unwrap();
    execute(&url, "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 'a' THEN RAISE 'not this one'; END IF; RETURN NEW; END $$;
        CREATE TRIGGER no BEFORE INSERT ON content FOR EACH ROW EXECUTE FUNCTION no();
        ALTER TABLE content_summaries DROP CONSTRAINT content_summaries_revision_check;
        ALTER DATABASE test_ SET default_transaction_isolation = 'serializable'".replace("test_ SET", &format!("{} SET", ask(&url, "SELECT current_database()").await)).as_str()).await;
    let told = forth(&library.path, &url).await;
    assert!(
        told.code == 1 && told.out.contains("1 inserted") && told.out.contains("not this one"),
        "{told:?}"
    );
    execute(&url, "INSERT INTO content_summaries (video_id, variant, revision, html) VALUES ('bbbbbbbbbbb', 'audio', -1, 'x')").await;
    let told = verify(&library.path, &url).await;
    assert!(told.code == 1 && told.out.contains("additional summary_variants"), "{told:?}");
    let told = back(&url, &library.path).await;
    assert!(told.code == 1 && told.out.contains("SQLite refuses it"), "{told:?}");
}

/// More conflicts than are listed are still counted, and rows that merely stay do not crowd them out.
#[tokio::test(flavor = "multi_thread")]
async fn what_must_be_decided_is_listed_first() {
    let rows: String = (0..150)
        .map(|n| format!("INSERT INTO content (id, video_id) VALUES ('r{n:03}', '{n:011}');"))
        .collect();
    let library = Library::of(&[SCHEMA, &rows]);
    let url = pg_database().await;
    forth(&library.path, &url).await;
    execute(&url, "UPDATE content SET title = 'p'").await;
    library.execute("UPDATE content SET title = 's' WHERE id = 'r149'");
    let report = migrate::copy(&library.path, &url, &Options::default()).await.unwrap();
    assert_eq!((report.tables[0].kept, report.tables[0].conflicts), (149, 1));
    assert!(report.tables[0].listed.iter().any(|row| row.what == "conflict" && row.row == "r149"));
}

/// UTF-16 orders what lies beyond its first plane before the end of that plane; PostgreSQL and we do not.
#[tokio::test(flavor = "multi_thread")]
async fn a_library_in_utf_16_is_verified_in_order() {
    let rows: String = (0..1200)
        .map(|n| {
            let id = if n % 2 == 0 { format!("\u{ff5e}{n}") } else { format!("\u{1f600}{n}") };
            format!("INSERT INTO content (id, video_id) VALUES ('{id}', '{n:011}');")
        })
        .collect();
    let library = Library::of(&[""]);
    let connection = rusqlite::Connection::open(&library.path).unwrap();
    connection.execute_batch(&format!("PRAGMA encoding = 'UTF-16'; BEGIN; {SCHEMA} {rows} COMMIT")).unwrap();
    let url = pg_database().await;
    forth(&library.path, &url).await;
    let told = verify(&library.path, &url).await;
    assert!(
        told.code == 0 && told.out.contains("1200 rows in SQLite, 1200 in PostgreSQL, 1200 equal"),
        "{told:?}"
    );
}

/// After the highest number SQLite has no next one, and says so by undoing the whole transaction.
#[tokio::test(flavor = "multi_thread")]
async fn a_library_whose_numbers_are_used_up_takes_new_rows() {
    let library = Library::of(&[
        SCHEMA,
        "INSERT INTO content (id, video_id) VALUES ('a', 'aaaaaaaaaaa'), ('b', 'bbbbbbbbbbb');
         INSERT INTO content_summaries (id, content_id, summary_text) VALUES (9223372036854775807, 'a', 'last')",
    ]);
    let url = pg_database().await;
    forth(&library.path, &url).await;
    let sql = "INSERT INTO content_summaries (video_id, variant, revision, legacy, html)
        VALUES ('bbbbbbbbbbb', 'audio', 0, true, 'new')";
    execute(&url, sql).await;
    let told = back(&url, &library.path).await;
    assert!(told.code == 0 && told.out.contains("content_summaries: 2 read, 1 inserted"), "{told:?}");
    assert_eq!(verify(&library.path, &url).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_schema_gets_no_second_library() {
    let library = Library::of(&[SCHEMA, "INSERT INTO content (id, video_id) VALUES ('a', 'aaaaaaaaaaa')"]);
    let url = pg_database().await;
    execute(
        &url,
        "CREATE TABLE content (id text PRIMARY KEY, video_id text NOT NULL UNIQUE, title text NOT NULL,
            channel_name text, canonical_url text, thumbnail_url text, duration_seconds integer, indexed_at timestamptz,
            updated_at timestamptz, analysis_json jsonb, topics_json jsonb, language text, content_type text,
            complexity_level text, has_audio boolean);
         CREATE SCHEMA flipgate",
    )
    .await;
    forth(&library.path, &url).await.assert_one_sentence(3, "search_path=public");
    let told = forth(&library.path, &format!("{url}&options=-csearch_path%3Dpublic")).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert_eq!(ask(&url, "SELECT count(*) FROM public.content").await, "1");
}

/// As a killed writer leaves it: pages half written, and a journal that says what they were.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_writer_left_half_done_is_taken_back() {
    let live = Library::of(&[]);
    flipgate::library::generate(&live.path, 200, 1).unwrap();
    let url = pg_database().await;
    migrate::run(&live.path, &url).await.unwrap();
    let writer = rusqlite::Connection::open(&live.path).unwrap();
    writer.pragma_update(None, "cache_size", 1).unwrap();
    writer.execute_batch("BEGIN; UPDATE content SET title = hex(randomblob(2000))").unwrap();
    let torn = live.path.with_file_name("torn.db");
    std::fs::copy(&live.path, &torn).unwrap();
    let journal = live.path.with_file_name("nasty library #1?.db-journal");
    std::fs::copy(journal, torn.with_file_name("torn.db-journal")).unwrap();
    let told = verify(&torn, &url).await;
    assert_eq!(told.code, 0, "{told:?}");
}
