//! The copy loses nothing, converges, and may be run again.

use crate::both_stores::*;
use crate::harness::pg_database;
use flipgate::dashboard::Dashboard;
use flipgate::migrate;
use serde_json::Value;
use sqlx::Connection as _;

#[tokio::test(flavor = "multi_thread")]
async fn the_real_library_is_copied_whole_and_once() {
    let Some(library) = real_library() else { return };
    let url = pg_database().await;
    let counts = |report: migrate::Report| -> Vec<[u64; 5]> {
        report.tables.iter().map(|t| [t.read, t.inserted, t.updated, t.unchanged, t.quarantined]).collect()
    };
    let first = migrate::run(&library, &url).await.unwrap();
    assert_eq!(counts(first), [[81, 81, 0, 0, 0], [80, 80, 0, 0, 0], [38, 38, 0, 0, 0]]);
    let second = migrate::run(&library, &url).await.unwrap();
    assert_eq!(counts(second), [[81, 0, 0, 81, 0], [80, 0, 0, 80, 0], [38, 0, 0, 38, 0]]);
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    let subcategories: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM content WHERE analysis_json->'categories'->0->'subcategories'->0 IS NOT NULL",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(subcategories, 67);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_cannot_be_stored_is_lost() {
    let library = Library::of(&[SCHEMA, NASTY, IMPOSSIBLE]);
    let url = pg_database().await;
    for _ in 0..2 {
        let report = migrate::run(&library.path, &url).await.unwrap();
        let quarantined: Vec<u64> = report.tables.iter().map(|table| table.quarantined).collect();
        assert_eq!(quarantined, [3, 2, 3]);
        for table in report.tables {
            assert_eq!(table.read, table.inserted + table.updated + table.unchanged + table.quarantined);
        }
    }
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    let rows: Vec<(String, String, Value)> =
        sqlx::query_as("SELECT source_table, source_key, source_row FROM migration_quarantine ORDER BY id")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    assert_eq!(rows.len(), 8);
    assert!(rows.iter().any(|(_, key, row)| key == "zz" && row["title"] == "second id for t1"));
    // What was in the way is gone: the row is stored and leaves the quarantine.
    library.execute("UPDATE content SET video_id = 'tttttttttt_' WHERE id = 't1'");
    let report = migrate::run(&library.path, &url).await.unwrap();
    assert_eq!(
        (report.tables[0].inserted, report.tables[0].updated, report.tables[0].quarantined),
        (1, 1, 2)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_column_converges() {
    let library = Library::of(&[SCHEMA, NASTY]);
    let stores = Stores::of(&library.path).await;
    library.execute(
        "UPDATE content SET channel_name = 'new', thumbnail_url = 'new', view_count = 7, category = '[\"N\"]',
            subcategories_json = '{\"categories\":[{\"category\":\"N\",\"subcategories\":[\"n\"]}]}', updated_at = 'now'
            WHERE id IN ('t1', 'j4', 'bare');
         UPDATE content SET video_id = 'tttttttttt!' WHERE id = 't3';
         UPDATE summary_variants SET video_id = 'tttttttttt!' WHERE video_id = 'tttttttttt3';
         UPDATE content_summaries SET summary_type = 'other', summary_text = 'changed' WHERE content_id = 't1'",
    );
    let report = migrate::run(&library.path, &stores.url).await.unwrap();
    let updated: Vec<u64> = report.tables.iter().map(|table| table.updated).collect();
    // The variants followed their record's new video_id by themselves.
    assert_eq!(updated, [4, 1, 0]);
    stores.everything().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn older_libraries_lack_columns_and_tables() {
    let library = Library::of(&[
        "CREATE TABLE content (id TEXT PRIMARY KEY, Title TEXT, video_id TEXT, indexed_at TEXT);
         INSERT INTO content VALUES ('yt:a', 'One', 'aaaaaaaaaaa', '2025-01-01'), ('b', NULL, 'b', NULL)",
    ]);
    let stores = Stores::of(&library.path).await;
    stores.everything().await;
    let report = stores.json("/api/reports/aaaaaaaaaaa").await;
    assert_eq!((report["title"].as_str(), report["original_language"].as_str()), (Some("One"), Some("en")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plans_own_schema_is_completed_and_the_migrations_may_run_again() {
    let library = Library::of(&[SCHEMA, NASTY]);
    let url = pg_database().await;
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(
        "CREATE TABLE content (id text PRIMARY KEY, video_id text NOT NULL UNIQUE
            CHECK (video_id ~ '^[A-Za-z0-9_-]{11}$'), title text NOT NULL, channel_name text, canonical_url text,
            thumbnail_url text, duration_seconds integer, indexed_at timestamptz DEFAULT now(),
            updated_at timestamptz DEFAULT now(), analysis_json jsonb, topics_json jsonb,
            language text CHECK (language ~ '^[a-z]{2}$' OR language IS NULL), content_type text,
            complexity_level text, has_audio boolean DEFAULT false);
         CREATE TABLE content_summaries (id bigserial PRIMARY KEY,
            video_id text REFERENCES content(video_id) ON DELETE CASCADE,
            variant text NOT NULL DEFAULT 'comprehensive', revision integer NOT NULL DEFAULT 1, html text NOT NULL,
            raw_json jsonb, created_at timestamptz, updated_at timestamptz, UNIQUE (video_id, variant, revision))",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    migrate::run(&library.path, &url).await.unwrap();
    sqlx::raw_sql("DROP TABLE _sqlx_migrations").execute(&mut connection).await.unwrap();
    let report = migrate::run(&library.path, &url).await.unwrap();
    assert!(report.tables.iter().all(|table| table.unchanged == table.read));
    let sqlite = Dashboard::sqlite(&library.path).await.unwrap();
    let postgres = Dashboard::postgres(&url).await.unwrap();
    Stores { sqlite, postgres, url }.everything().await;
    let deleted =
        "DELETE FROM content WHERE id = 't1'; SELECT 1 / (NOT EXISTS (SELECT 1 FROM content_summaries
        WHERE video_id = 'tttttttttt1'))::int";
    sqlx::raw_sql(deleted).execute(&mut connection).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_written_by_others_need_no_spelling() {
    let library = Library::of(&[SCHEMA]);
    let stores = Stores::of(&library.path).await;
    stores
        .execute(
            "INSERT INTO content (id, video_id, title, indexed_at, analysis_json, topics_json) VALUES
                ('yt:aaaaaaaaaaa', 'aaaaaaaaaaa', 'dual write', '2025-01-01 00:00:00+00',
                 '{\"categories\": [{\"category\": \"K\", \"subcategories\": [\"k\"]}]}', '[\"t\"]');
             INSERT INTO content_summaries (video_id, variant, html) VALUES ('aaaaaaaaaaa', 'audio', 'words')
                ON CONFLICT (video_id, variant, revision) DO UPDATE SET html = excluded.html",
        )
        .await;
    let report = stores.postgres_json("/api/reports/aaaaaaaaaaa").await;
    assert_eq!(report["indexed_at"], "2025-01-01T00:00:00+00:00");
    assert_eq!(report["subcategories_json"], r#"{"categories":[{"category":"K","subcategories":["k"]}]}"#);
    assert_eq!(report["summary"]["text"], "words");
    assert_eq!(stores.postgres_json("/api/reports?category=K").await["pagination"]["total_count"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn updated_at_follows_only_what_does_not_set_it() {
    let library = Library::of(&[SCHEMA, NASTY]);
    let stores = Stores::of(&library.path).await;
    let mut connection = sqlx::PgConnection::connect(&stores.url).await.unwrap();
    for (sql, touched) in [
        ("UPDATE content SET updated_at = '2001-01-01', title = 'x' WHERE id = 't1'", false),
        ("UPDATE content SET updated_at = updated_at, title = 'y' WHERE id = 't1'", false),
        ("UPDATE content SET title = 'z' WHERE id = 't1'", true),
    ] {
        sqlx::query(sql).execute(&mut connection).await.unwrap();
        let year: i32 =
            sqlx::query_scalar("SELECT extract(year FROM updated_at)::int FROM content WHERE id = 't1'")
                .fetch_one(&mut connection)
                .await
                .unwrap();
        assert_eq!(year > 2001, touched, "{sql}");
    }
}

/// Exit code and what was said of `flipgate migrate`.
async fn migrate_command(from: &str, to: &str) -> (Option<i32>, String) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_flipgate"));
    let output = command.args(["migrate", "--from", from, "--to", to]).output().await.unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_says_what_it_did_or_why_not() {
    let library = Library::of(&[SCHEMA, NASTY, IMPOSSIBLE]);
    let from = format!("sqlite:{}", library.path.display());
    let url = pg_database().await;
    let (code, said) = migrate_command(&from, &url).await;
    assert_eq!(code, Some(1), "rows in quarantine: {said}");
    assert!(said.contains("content: ") && said.contains(" quarantined"), "{said}");
    let (code, said) = migrate_command("sqlite:Cargo.toml", &url).await;
    assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.contains("Cargo.toml is not a SQLite database"), "{said}");
    let (code, said) = migrate_command(&from, "postgres://u:hunter2@127.0.0.1:1/x").await;
    assert_eq!((code, said.lines().count()), (Some(3), 1), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}
