//! `flipgate verify`: what it finds, what it leaves alone, and how it prints both.

use sqlx::Connection as _;

use crate::both_stores::{Library, SCHEMA};
use crate::command::{flipgate, sqlite};
use crate::harness::pg_database;

const ROWS: &str = r#"
    INSERT INTO content (id, video_id, title, channel_name, indexed_at, duration_seconds, has_audio, language, category,
            subcategories_json, key_topics, updated_at)
        VALUES ('yt:aaaaaaaaaa1', 'aaaaaaaaaa1', 'One | two', 'C', '2025-09-17 06:34:00', 60, 1, 'en', '["History"]',
            '{"categories":[{"category":"History","subcategories":["Modern"]}]}', '["t"]', '2025-09-17'),
        ('yt:aaaaaaaaaa2', 'aaaaaaaaaa2', '<script>', 'C', '2025-09-17T06:34:00Z', NULL, NULL, 'en-US', 'broken[', NULL, NULL, ''),
        ('other', 'aaaaaaaaaa2', 'a second id', 'C', NULL, 0, 0, 'en', NULL, NULL, NULL, NULL),
        ('yt:aaaaaaaaaa3', 'aaaaaaaaaa3', 'Three', 'C', NULL, 0, 0, 'en', NULL, NULL, NULL, NULL);
    INSERT INTO content_summaries (content_id, summary_text, created_at) VALUES ('yt:aaaaaaaaaa1', 'text', '2025-01-01'),
        ('gone', 'nobody''s', '2025-01-01');
    INSERT INTO summary_variants (video_id, variant_type, revision, content, raw_payload, created_at)
        VALUES ('aaaaaaaaaa1', 'audio', 1, 'first', '{"a":1}', '2025-01-01'), ('aaaaaaaaaa1', 'audio', 2, 'second', NULL, '2025-01-02');"#;

struct Pair {
    library: Library,
    url: String,
}

impl Pair {
    async fn copied() -> Self {
        let pair = Self { library: Library::of(&[SCHEMA, ROWS]), url: pg_database().await };
        flipgate::migrate::run(&pair.library.path, &pair.url).await.unwrap();
        pair
    }

    async fn postgres(&self, sql: &str) {
        let mut connection = sqlx::PgConnection::connect(&self.url).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    }

    async fn verify(&self, more: &[&str]) -> crate::command::Told {
        let file = sqlite(&self.library.path);
        flipgate(&[&["verify", "--sqlite", &file, "--postgres", &self.url], more].concat()).await
    }

    /// Resolves what cannot be stored, so that everything is clean.
    async fn resolved(self) -> Self {
        flipgate(&["migrate", "--to", &self.url, "--resolve", "all", "--reason", "known"]).await;
        let told = self.verify(&[]).await;
        assert_eq!(told.code, 0, "{told:?}");
        self
    }
}

/// One defect, planted in PostgreSQL, and how verify must name it.
#[tokio::test(flavor = "multi_thread")]
async fn every_planted_defect_is_found_and_named() {
    for (statement, table, what, column) in [
        ("UPDATE content SET title = 'one' WHERE id = 'yt:aaaaaaaaaa1'", "content", "differing", "title"),
        (
            "UPDATE content SET has_audio = false WHERE id = 'yt:aaaaaaaaaa1'",
            "content",
            "differing",
            "has_audio",
        ),
        (
            "UPDATE content SET has_audio = false WHERE id = 'yt:aaaaaaaaaa2'",
            "content",
            "differing",
            "has_audio",
        ),
        (
            "UPDATE content SET indexed_at = indexed_at + interval '1 hour' WHERE id = 'yt:aaaaaaaaaa1'",
            "content",
            "differing",
            "indexed_at",
        ),
        (
            "UPDATE content SET indexed_at_text = '2025-09-17T06:34:00' WHERE id = 'yt:aaaaaaaaaa1'",
            "content",
            "differing",
            "indexed_at",
        ),
        (
            "UPDATE content SET duration_seconds = 0 WHERE id = 'yt:aaaaaaaaaa2'",
            "content",
            "differing",
            "duration_seconds",
        ),
        (
            "UPDATE content SET language = 'fr' WHERE id = 'yt:aaaaaaaaaa2'",
            "content",
            "differing",
            "language",
        ),
        (
            "UPDATE content SET category_json = '[]' WHERE id = 'yt:aaaaaaaaaa2'",
            "content",
            "differing",
            "category",
        ),
        (
            "UPDATE content SET topics_json = topics_json || '\"u\"' WHERE id = 'yt:aaaaaaaaaa1'",
            "content",
            "differing",
            "key_topics",
        ),
        (
            "UPDATE content SET analysis_json = '{}' WHERE id = 'yt:aaaaaaaaaa1'",
            "content",
            "differing",
            "subcategories_json",
        ),
        (
            "UPDATE content SET subcategories_json = '{}' WHERE id = 'yt:aaaaaaaaaa1'",
            "content",
            "differing",
            "subcategories_json",
        ),
        (
            "UPDATE content SET extra = '{\"columns\": {\"new\": 1}}' WHERE id = 'yt:aaaaaaaaaa1'",
            "content",
            "differing",
            "new",
        ),
        (
            "UPDATE content SET video_id = 'bbbbbbbbbb1' WHERE id = 'yt:aaaaaaaaaa3'",
            "content",
            "differing",
            "video_id",
        ),
        ("UPDATE content SET id = 'yt:new' WHERE id = 'yt:aaaaaaaaaa3'", "content", "missing", ""),
        (
            "INSERT INTO content (id, video_id, title) VALUES ('yt:x', 'xxxxxxxxxxx', 'x')",
            "content",
            "additional",
            "",
        ),
        (
            "UPDATE content_summaries SET html = html || '!' WHERE legacy",
            "content_summaries",
            "differing",
            "summary_text",
        ),
        (
            "UPDATE content_summaries SET variant = 'audio' WHERE legacy",
            "content_summaries",
            "differing",
            "summary_type",
        ),
        ("DELETE FROM content_summaries WHERE legacy", "content_summaries", "missing", ""),
        (
            "UPDATE content_summaries SET raw_json = '{\"a\":2}' WHERE revision = 1",
            "summary_variants",
            "differing",
            "raw_payload",
        ),
        (
            "UPDATE content_summaries SET is_latest = NOT is_latest WHERE revision = 2",
            "summary_variants",
            "differing",
            "is_latest",
        ),
        (
            "UPDATE content_summaries SET created_at = '2025-01-03' WHERE revision = 2",
            "summary_variants",
            "differing",
            "created_at",
        ),
        ("DELETE FROM content_summaries WHERE revision = 1", "summary_variants", "missing", ""),
        (
            "INSERT INTO content_summaries (video_id, variant, revision, html) VALUES ('aaaaaaaaaa1', 'audio', 3, 'x')",
            "summary_variants",
            "additional",
            "",
        ),
    ] {
        let pair = Pair::copied().await.resolved().await;
        pair.postgres(statement).await;
        let told = pair.verify(&["--format", "json"]).await;
        let found = told.json();
        assert_eq!(told.code, 1, "{statement}: {found}");
        let differences = found["differences"].as_array().unwrap();
        let named = differences.iter().any(|difference| {
            let changes = difference["changes"].as_array().unwrap();
            difference["table"] == table
                && difference["what"] == what
                && (column.is_empty() || changes.iter().any(|change| change["column"] == column))
        });
        assert!(named, "{statement}: {differences:?}");
        for counts in found["tables"].as_array().unwrap() {
            let count = |name: &str| counts[name].as_u64().unwrap();
            let sqlite: u64 =
                ["equal", "differing", "missing", "quarantined", "tombstoned"].map(count).iter().sum();
            assert_eq!(count("sqlite"), sqlite, "{statement}: {counts}");
            let postgres: u64 = ["equal", "differing", "additional"].map(count).iter().sum();
            assert_eq!(count("postgres"), postgres, "{statement}: {counts}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_is_not_enforced_is_told() {
    for (statement, rule) in [
        ("ALTER TABLE content DROP CONSTRAINT content_video_id_key CASCADE", "content.video_id is unique"),
        ("ALTER TABLE content DROP CONSTRAINT content_language_check", "content.language has two letters"),
        (
            "ALTER TABLE content_summaries DROP CONSTRAINT content_summaries_video_id_fkey",
            "belong to a record",
        ),
        (
            "ALTER TABLE content_summaries DROP CONSTRAINT content_summaries_video_id_variant_revision_key",
            "each revision",
        ),
        ("DROP INDEX content_summaries_legacy_idx", "one legacy summary"),
        ("ALTER TABLE content DISABLE TRIGGER updated_at_2_touch", "updated_at follows"),
        ("DROP TRIGGER tombstone ON content", "deletes leave a tombstone"),
        (
            "UPDATE content SET nonconforming = false WHERE id = 'other'; ALTER TABLE content DROP CONSTRAINT content_pkey",
            "primary key",
        ),
    ] {
        let pair = Pair::copied().await.resolved().await;
        pair.postgres(statement).await;
        let told = pair.verify(&[]).await;
        assert_eq!(told.code, 1, "{statement}: {told:?}");
        assert!(
            told.out.lines().any(|line| line.starts_with("FAIL") && line.contains(rule)),
            "{statement}: {told:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_to_both_meanwhile_is_no_difference() {
    let directory = tempfile::tempdir().unwrap();
    let library = Library { path: directory.path().join("library.db"), _directory: directory };
    flipgate::library::generate(&library.path, 2000, 5).unwrap();
    let pair = Pair { library, url: pg_database().await };
    flipgate::migrate::run(&pair.library.path, &pair.url).await.unwrap();
    let (path, url) = (pair.library.path.clone(), pair.url.clone());
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    // A dual writer: one store, then the other, all over the library, until it is told to stop.
    let runtime = tokio::runtime::Handle::current();
    let writer = std::thread::spawn(move || {
        let sqlite = rusqlite::Connection::open(path).unwrap();
        sqlite.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        let mut postgres = runtime.block_on(sqlx::PgConnection::connect(&url)).unwrap();
        let mut writes = 0_u32;
        while stopped.try_recv().is_err() {
            writes += 1;
            let title = format!("title {writes}");
            let sql = "UPDATE content SET title = ?1 WHERE id IN (SELECT id FROM content WHERE abs(random()) % 40 = 0 LIMIT 5) RETURNING id";
            let ids: Vec<String> = {
                let mut statement = sqlite.prepare_cached(sql).unwrap();
                let rows = statement.query_map([&title], |row| row.get(0)).unwrap();
                rows.map(Result::unwrap).collect()
            };
            // Neither store's own clock counts here.
            let sql = "UPDATE content SET title = $1, updated_at = updated_at WHERE id = ANY($2)";
            runtime.block_on(sqlx::query(sql).bind(title).bind(ids).execute(&mut postgres)).unwrap();
        }
        writes
    });
    for _ in 0..3 {
        let told = pair.verify(&[]).await;
        assert_eq!(told.code, 0, "{told:?}");
    }
    stop.send(()).unwrap();
    let writes = tokio::task::spawn_blocking(move || writer.join().unwrap()).await.unwrap();
    assert!(writes > 10, "only {writes} writes: nothing was tested");
    // And a difference that stays is one.
    pair.postgres("UPDATE content SET title = 'different' WHERE id = (SELECT min(id) FROM content)").await;
    assert_eq!(pair.verify(&[]).await.code, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_prints() {
    let pair = Pair::copied().await;
    pair.postgres(
        "UPDATE content SET title = E'One\\nmore <b> | `x`', updated_at = updated_at WHERE id = 'yt:aaaaaaaaaa1';
         DELETE FROM content_summaries WHERE revision = 2;
         INSERT INTO content (id, video_id, title) VALUES (E'yt:\\x1b[31m', 'xxxxxxxxxxx', 'x');
         DELETE FROM content WHERE id = 'yt:aaaaaaaaaa3'",
    )
    .await;
    for format in ["text", "json", "markdown", "junit"] {
        let told = pair.verify(&["--format", format, "--expect-subcategories", "2"]).await;
        assert_eq!(told.code, 1, "{told:?}");
        let text = match format {
            "json" => format!("{:#}", told.json()),
            _ => told.out,
        };
        assert!(!text.contains('\u{1b}'), "{text:?}");
        insta::assert_snapshot!(format!("verify_{format}"), text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_help_shows_how() {
    for command in ["migrate", "verify"] {
        let told = flipgate(&[command, "--help"]).await;
        assert_eq!(told.code, 0);
        insta::assert_snapshot!(format!("help_{command}"), told.out);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_arguments_are_told() {
    let library = Library::of(&[SCHEMA]);
    let file = sqlite(&library.path);
    flipgate(&["verify", "--sqlite", "library.db", "--postgres", "postgres://x/y"])
        .await
        .assert_one_sentence(2, "sqlite:FILE");
    flipgate(&["verify", "--sqlite", "sqlite:Cargo.toml", "--postgres", "postgres://x/y"])
        .await
        .assert_one_sentence(2, "not a SQLite database");
    flipgate(&["verify", "--sqlite", &file, "--postgres", "mysql://x/y"])
        .await
        .assert_one_sentence(2, "postgres://");
}
