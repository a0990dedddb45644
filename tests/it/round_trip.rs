//! Nothing is lost: every row is accounted for, and there and back is the same library.

use std::path::Path;

use flipgate::migrate::{self, Options, Report};
use flipgate::verify::{self, Verification};
use sqlx::Connection as _;

use crate::both_stores::{Library, NASTY, SCHEMA, real_library};
use crate::harness::pg_database;
use crate::nasty::{self, Tables, dump};

async fn verified(library: &Path, url: &str) -> Verification {
    let options = verify::Options { expect_subcategories: None };
    verify::run(library, url, &options).await.unwrap()
}

async fn back(url: &str, to: &Path) -> Report {
    migrate::back(url, to, &Options::default()).await.unwrap()
}

/// Asserts that every row of `library` is equal, repaired or in quarantine.
fn assert_accounted(found: &Verification, seed: &str) {
    for table in &found.tables {
        assert_eq!((table.missing, table.differing, table.additional), (0, 0, 0), "{seed}: {found:#?}");
        assert_eq!(table.sqlite, table.equal + table.quarantined, "{seed}: {table:?}");
        assert_eq!(table.postgres, table.equal, "{seed}: {table:?}");
    }
    assert!(found.differences.is_empty(), "{seed}: {:?}", found.differences);
    assert_eq!(found.subcategories.lost, 0, "{seed}");
    let wrong: Vec<_> =
        found.checks.iter().filter(|check| !check.ok && !check.name.contains("quarantine")).collect();
    assert!(wrong.is_empty(), "{seed}: {wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_library_comes_back_as_it_went() {
    let Some(library) = real_library() else { return };
    let url = pg_database().await;
    let report = migrate::run(&library, &url).await.unwrap();
    assert!(report.clean());
    let options = verify::Options { expect_subcategories: Some(67) };
    let found = verify::run(&library, &url, &options).await.unwrap();
    assert!(found.clean, "{found:#?}");
    assert_accounted(&found, "the real library");
    let equal: Vec<u64> = found.tables.iter().map(|table| table.equal).collect();
    assert_eq!(equal, [81, 80, 38]);
    assert_eq!((found.subcategories.sqlite, found.subcategories.postgres), (67, 67));
    let too_many = verify::Options { expect_subcategories: Some(68) };
    assert!(!verify::run(&library, &url, &too_many).await.unwrap().clean);
    let directory = tempfile::tempdir().unwrap();
    let again = directory.path().join("again.db");
    migrate::export(&url, &again).await.unwrap();
    assert_eq!(dump(&again), dump(&library));
}

/// A library of nasty rows: copied, accounted for, copied again without a change, and back into a new file.
async fn goes_there_and_back(seed: u64, tables: Tables) {
    let library = nasty::library(seed, 120, tables);
    let name = format!("{tables:?} {seed}");
    let url = pg_database().await;
    let first = migrate::run(&library.path, &url).await.unwrap();
    for table in &first.tables {
        assert_eq!(table.read, table.inserted + table.quarantined, "{name}: {table:?}");
    }
    assert_accounted(&verified(&library.path, &url).await, &name);
    let second = migrate::run(&library.path, &url).await.unwrap();
    for (table, before) in second.tables.iter().zip(&first.tables) {
        assert_eq!(
            (table.unchanged, table.quarantined),
            (before.inserted, before.quarantined),
            "{name}: {table:?}"
        );
    }
    // Back into the file it came from: nothing to do.
    let before = dump(&library.path);
    for table in back(&url, &library.path).await.tables {
        assert_eq!(table.read, table.unchanged, "{name}: {table:?}");
    }
    assert_eq!(dump(&library.path), before, "{name}");
    // Back into a file of the same tables that is empty: the same library.
    let empty = nasty::library(seed, 0, tables);
    for table in back(&url, &empty.path).await.tables {
        assert_eq!(table.read, table.inserted + table.kept, "{name}: {table:?}");
        assert_eq!(table.kept, 0, "{name}: {table:?}");
    }
    assert_eq!(dump(&empty.path), before, "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_nasty_row_is_equal_repaired_or_quarantined_and_comes_back() {
    for seed in 0..3 {
        goes_there_and_back(seed, Tables::Production).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn so_does_every_row_of_a_library_without_constraints() {
    for seed in 0..3 {
        goes_there_and_back(seed, Tables::Loose).await;
    }
}

/// Rows that neither PostgreSQL nor the dashboard's schema can hold stay in quarantine and stop no snapshot.
#[tokio::test(flavor = "multi_thread")]
async fn what_neither_store_can_hold_stops_no_snapshot() {
    let library = Library::of(&[&SCHEMA.replace("CHECK(revision > 0)", ""), NASTY]);
    library.execute(
        "INSERT INTO summary_variants (video_id, variant_type, revision, content, created_at) \
         VALUES ('tttttttttt1', 'audio', -1, 'no revision', '')",
    );
    let url = pg_database().await;
    migrate::run(&library.path, &url).await.unwrap();
    migrate::export(&url, &library.path.with_file_name("export.db")).await.unwrap();
    let report = back(&url, &library.path.with_file_name("new.db")).await;
    assert!(report.tables.iter().all(|table| table.conflicts == 0), "{report}");
    assert!(report.tables[2].quarantined == 1 && !report.clean(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_file_of_the_way_back_has_the_dashboards_schema() {
    let library = Library::of(&[SCHEMA, NASTY]);
    let url = pg_database().await;
    migrate::run(&library.path, &url).await.unwrap();
    let new = library.path.with_file_name("new.db");
    back(&url, &new).await;
    let schema = |path: &Path| -> Vec<String> {
        let connection = rusqlite::Connection::open(path).unwrap();
        let sql =
            "SELECT type || ' ' || name FROM sqlite_schema WHERE type IN ('table', 'trigger') ORDER BY 1";
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(
        schema(&new),
        [
            "table content",
            "table content_summaries",
            "table sqlite_sequence",
            "table summary_variants",
            "trigger update_latest_revision",
            "trigger update_timestamp"
        ]
    );
    assert_eq!(dump(&new), dump(&library.path));
    assert_accounted(&verified(&new, &url).await, "new");
}

/// What PostgreSQL gained since the flip, written by others: typed values without spellings.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_wrote_in_postgresql_reaches_sqlite_and_stays_equal() {
    let library = Library::of(&[SCHEMA, NASTY]);
    let url = pg_database().await;
    migrate::run(&library.path, &url).await.unwrap();
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO content (id, video_id, title, indexed_at, analysis_json, topics_json, has_audio) VALUES
            ('yt:newnewnewn1', 'newnewnewn1', 'gained', '2026-01-01 00:00:00.25+00',
             '{\"categories\": [{\"category\": \"K\", \"subcategories\": [\"k\"]}], \"depth\": 1.50}', '[\"t\"]', true);
         INSERT INTO content_summaries (video_id, variant, html) VALUES ('newnewnewn1', 'audio', '<p>words</p>');
         UPDATE content SET analysis_json = jsonb_set(coalesce(analysis_json, '{}'), '{categories}',
            '[{\"category\": \"New\", \"subcategories\": [\"n\"]}]') WHERE id IN ('j4', 'j5', 't1');
         UPDATE content SET video_id = 'given_later' WHERE id = 'nothing-else';
         UPDATE content SET title = 'given', language = 'de', published_at = 'infinity', duration_seconds = 7
            WHERE id IN ('also-nothing', 'b2', 'n2');
         UPDATE content_summaries SET html = '<p>edited</p>' WHERE video_id = 'tttttttttt1' AND legacy",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let report = back(&url, &library.path).await;
    assert!(report.clean(), "{report}");
    let ask = |sql: &str| -> String {
        let connection = rusqlite::Connection::open(&library.path).unwrap();
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(
        ask(
            "SELECT subcategories_json || analysis || indexed_at || has_audio FROM content WHERE title = 'gained'"
        ),
        "{\"categories\":[{\"category\":\"K\",\"subcategories\":[\"k\"]}]}{\"depth\":1.50}2026-01-01T00:00:00.250000+00:001"
    );
    assert_eq!(ask("SELECT content FROM summary_variants WHERE video_id = 'newnewnewn1'"), "<p>words</p>");
    assert_eq!(ask("SELECT video_id FROM content WHERE id = 'nothing-else'"), "given_later");
    assert_eq!(ask("SELECT summary_text FROM content_summaries WHERE content_id = 't1'"), "<p>edited</p>");
    assert_accounted(&verified(&library.path, &url).await, "after the way back");
    let again = migrate::run(&library.path, &url).await.unwrap();
    assert!(again.tables.iter().all(|table| table.read == table.unchanged), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_library_gets_the_columns_it_needs() {
    let library = Library::of(&[
        "CREATE TABLE content (id TEXT PRIMARY KEY, Title TEXT, video_id TEXT, indexed_at TEXT);
         INSERT INTO content VALUES ('yt:a', 'One', 'aaaaaaaaaaa', '2025-01-01'), ('b', NULL, 'b', NULL)",
    ]);
    let url = pg_database().await;
    migrate::run(&library.path, &url).await.unwrap();
    let columns = || -> String {
        let connection = rusqlite::Connection::open(&library.path).unwrap();
        let sql = "SELECT group_concat(name, ' ') FROM pragma_table_info('content')";
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    // Nothing new: nothing is added.
    back(&url, &library.path).await;
    assert_eq!(columns(), "id Title video_id indexed_at");
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(
        "UPDATE content SET channel_name = 'C' WHERE id = 'b';
         INSERT INTO content_summaries (video_id, variant, html) VALUES ('aaaaaaaaaaa', 'audio', 'words')",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let report = back(&url, &library.path).await;
    assert!(report.clean(), "{report}");
    assert!(columns().ends_with("indexed_at channel_name updated_at"), "{}", columns());
    assert_accounted(&verified(&library.path, &url).await, "older");
}

/// PostgreSQL's own reading of each spelling, where it has one, is the typed value: neither an hour off nor a day.
#[tokio::test(flavor = "multi_thread")]
async fn typed_values_are_what_postgresql_reads_of_the_spellings() {
    let library = nasty::library(11, 120, Tables::Production);
    let url = pg_database().await;
    migrate::run(&library.path, &url).await.unwrap();
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(
        "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD';
         CREATE FUNCTION pg_temp.read(text) RETURNS timestamptz LANGUAGE plpgsql AS
            $$ BEGIN RETURN $1::timestamptz; EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$;
         CREATE FUNCTION pg_temp.document(text) RETURNS jsonb LANGUAGE plpgsql AS
            $$ BEGIN RETURN $1::jsonb; EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    for column in ["published_at", "indexed_at", "created_at", "updated_at"] {
        // A seventh digit of a second is cut off, where PostgreSQL rounds it.
        let sql = format!(
            "SELECT count(*) FILTER (WHERE {column} IS NOT NULL), coalesce(string_agg({column}_text, ' | ') FILTER \
             (WHERE abs(extract(epoch FROM {column} - pg_temp.read({column}_text))) > 0.000001), '') FROM content"
        );
        let (typed, wrong): (i64, String) =
            sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_one(&mut connection).await.unwrap();
        assert!(typed > 20, "only {typed} instants in {column}");
        assert_eq!(wrong, "", "{column}");
    }
    // What is JSON is typed JSON with the same value, and nothing else is.
    for (value, text) in
        [("category_json", "category_text"), ("topics_json", "topics_text"), ("analysis_of", "analysis_text")]
    {
        // What nests deeper than the API reads is text to us. An analysis has the curated categories merged in.
        let own = if value == "analysis_of" { " - 'categories'" } else { "" };
        let sql = format!(
            "SELECT coalesce(string_agg(coalesce(left({value}::text, 60), 'nothing') || ' for ' || left({text}, 60), ' | '), '') \
             FROM content WHERE pg_temp.document({text}) IS NOT NULL \
             AND ({value} IS NOT NULL OR {text} !~ '([]}}] ?){{100}}') AND CASE \
             WHEN jsonb_typeof({value}) = 'object' THEN ({value}{own}) IS DISTINCT FROM (pg_temp.document({text}){own}) \
             ELSE {value} IS DISTINCT FROM pg_temp.document({text}) END"
        );
        let wrong: String =
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&mut connection).await.unwrap();
        assert_eq!(wrong, "", "{value}");
    }
}
