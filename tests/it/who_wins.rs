//! Both stores may change: who wins, what is a conflict, what stays deleted.

use serde_json::Value;
use sqlx::Connection as _;

use crate::both_stores::{Library, SCHEMA};
use crate::command::{flipgate, sqlite};
use crate::harness::{Setup, pg_database, wait_until};

const CURATED: &str = r#"{"categories":[{"category":"History","subcategories":["Modern History"]}]}"#;

/// One library in both stores, and the commands that move it.
struct Pair {
    library: Library,
    url: String,
}

impl Pair {
    /// Records `a`, `b`, `c` with a summary and a variant each, copied.
    async fn copied() -> Self {
        let rows = ["a", "b", "c"].map(|name| {
            format!(
                "INSERT INTO content (id, video_id, title, channel_name, indexed_at, updated_at, subcategories_json)
                    VALUES ('yt:{name}', '{}', 'title', 'old', '2025-01-01', '', '{CURATED}');
                 INSERT INTO content_summaries (content_id, summary_text) VALUES ('yt:{name}', 'old');
                 INSERT INTO summary_variants (video_id, variant_type, content, created_at)
                    VALUES ('{0}', 'audio', 'old', '2025-01-01');",
                name.repeat(11)
            )
        });
        let pair = Self { library: Library::of(&[SCHEMA, &rows.concat()]), url: pg_database().await };
        pair.forth(&[]).await;
        pair
    }

    async fn forth(&self, more: &[&str]) -> Value {
        let from = sqlite(&self.library.path);
        self.migrate(&[&["--from", from.as_str(), "--to", self.url.as_str()], more].concat()).await
    }

    async fn back(&self, more: &[&str]) -> Value {
        let to = sqlite(&self.library.path);
        self.migrate(&[&["--from", self.url.as_str(), "--to", to.as_str()], more].concat()).await
    }

    async fn migrate(&self, arguments: &[&str]) -> Value {
        let told = flipgate(&[&["migrate", "--format", "json"], arguments].concat()).await;
        let report = told.json();
        let left: u64 = report["tables"]
            .as_array()
            .unwrap()
            .iter()
            .map(|table| table["conflicts"].as_u64().unwrap() + table["quarantined"].as_u64().unwrap())
            .sum();
        assert_eq!(told.code, i32::from(left > 0), "{told:?}");
        report["tables"].clone()
    }

    async fn postgres(&self, sql: &str) {
        let mut connection = sqlx::PgConnection::connect(&self.url).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    }

    async fn ask(&self, sql: &str) -> String {
        let mut connection = sqlx::PgConnection::connect(&self.url).await.unwrap();
        let sql = sqlx::AssertSqlSafe(format!("SELECT ({sql})::text"));
        sqlx::query_scalar::<_, Option<String>>(sql)
            .fetch_one(&mut connection)
            .await
            .unwrap()
            .unwrap_or_default()
    }

    fn ask_sqlite(&self, sql: &str) -> String {
        let connection = rusqlite::Connection::open(&self.library.path).unwrap();
        connection.query_row(&format!("SELECT CAST(({sql}) AS TEXT)"), [], |row| row.get(0)).unwrap()
    }

    async fn channel(&self) -> String {
        self.ask("SELECT channel_name FROM content WHERE id = 'yt:a'").await
    }

    fn sqlite_channel(&self) -> String {
        self.ask_sqlite("SELECT channel_name FROM content WHERE id = 'yt:a'")
    }

    /// Both stores hold the same, says verify.
    async fn equal(&self) -> bool {
        let told =
            flipgate(&["verify", "--sqlite", &sqlite(&self.library.path), "--postgres", &self.url]).await;
        assert!(told.code == 0 || told.code == 1, "{told:?}");
        told.code == 0
    }
}

/// `[inserted, updated, unchanged, kept, conflicts]` of a table.
fn counts(tables: &Value, table: usize) -> [u64; 5] {
    ["inserted", "updated", "unchanged", "kept", "conflicts"]
        .map(|name| tables[table][name].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_writes_nothing() {
    let pair = Pair::copied().await;
    let written = "SELECT max(xmin::text::bigint) FROM (SELECT xmin FROM content UNION ALL \
                   SELECT xmin FROM content_summaries UNION ALL SELECT xmin FROM migration_quarantine) x";
    let before = pair.ask(written).await;
    let tables = pair.forth(&[]).await;
    for table in 0..3 {
        assert_eq!(counts(&tables, table), [0, 0, 3, 0, 0]);
    }
    assert_eq!(pair.ask(written).await, before);
    assert!(pair.equal().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_side_that_changed_wins() {
    let pair = Pair::copied().await;
    pair.library.execute("UPDATE content SET channel_name = 'new' WHERE id = 'yt:a'");
    pair.postgres("UPDATE content SET channel_name = 'dual write' WHERE id = 'yt:b'").await;
    let tables = pair.forth(&[]).await;
    assert_eq!(counts(&tables, 0), [0, 1, 1, 1, 0]);
    assert_eq!(pair.channel().await, "new");
    assert_eq!(pair.ask("SELECT channel_name FROM content WHERE id = 'yt:b'").await, "dual write");
    // Again and again: nothing is forgotten in between.
    assert_eq!(counts(&pair.forth(&[]).await, 0), [0, 0, 2, 1, 0]);
    // The way back brings the other one home.
    assert_eq!(counts(&pair.back(&[]).await, 0), [0, 1, 2, 0, 0]);
    assert!(pair.equal().await);
    assert_eq!(counts(&pair.forth(&[]).await, 0), [0, 0, 3, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_both_changed_the_newer_wins_or_someone_decides() {
    let pair = Pair::copied().await;
    for (sqlite_time, postgres_time, wins) in [
        ("'2025-02-01 00:00:00'", "'2025-03-01'", "postgres"),
        ("'2025-05-01T00:00:00.5Z'", "'2025-04-01'", "sqlite"),
        ("''", "'2025-06-01'", "nobody"),
        ("'2025-06-01'", "NULL", "nobody"),
    ] {
        pair.library.execute(&format!(
            "UPDATE content SET channel_name = channel_name || 's', updated_at = {sqlite_time} WHERE id = 'yt:a'"
        ));
        pair.postgres(&format!(
            "UPDATE content SET channel_name = channel_name || 'p', updated_at = {postgres_time} WHERE id = 'yt:a'"
        ))
        .await;
        let (before, source) = (pair.channel().await, pair.sqlite_channel());
        let tables = pair.forth(&[]).await;
        let (updated, kept, conflicts) = match wins {
            "sqlite" => (1, 0, 0),
            "postgres" => (0, 1, 0),
            _ => (0, 0, 1),
        };
        assert_eq!(counts(&tables, 0), [0, updated, 2, kept, conflicts], "{sqlite_time} {postgres_time}");
        assert_eq!(pair.channel().await, if wins == "sqlite" { &*source } else { &*before });
        if wins == "nobody" {
            assert_eq!(tables[0]["listed"][0]["row"], "yt:a");
            assert_eq!(tables[0]["listed"][0]["what"], "conflict");
            // Until someone decides.
            assert_eq!(counts(&pair.forth(&[]).await, 0)[4], 1);
        }
        assert_eq!(counts(&pair.forth(&["--overwrite"]).await, 0)[4], 0);
        assert_eq!(pair.channel().await, source);
        assert!(pair.equal().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_changes_nothing() {
    let pair = Pair::copied().await;
    let old = pair.library.path.with_extension("old");
    std::fs::copy(&pair.library.path, &old).unwrap();
    for (name, time) in [("second", "2025-02-01"), ("third", "2025-03-01")] {
        pair.library.execute(&format!(
            "UPDATE content SET channel_name = '{name}' WHERE id = 'yt:a';
             UPDATE summary_variants SET content = '{name}', updated_at = '{time}' WHERE id = 1"
        ));
        pair.forth(&[]).await;
        if name == "second" {
            std::fs::copy(&pair.library.path, pair.library.path.with_extension("second")).unwrap();
        }
    }
    // The sync of old puts its own copy in place. What has no time may be an old copy, or changed back: nobody wins.
    std::fs::copy(&old, &pair.library.path).unwrap();
    let tables = pair.forth(&[]).await;
    assert_eq!([counts(&tables, 0), counts(&tables, 2)], [[0, 0, 2, 0, 1]; 2]);
    assert_eq!(pair.channel().await, "third");
    // What has a time is the older one.
    std::fs::copy(pair.library.path.with_extension("second"), &pair.library.path).unwrap();
    assert_eq!(counts(&pair.forth(&[]).await, 2), [0, 0, 2, 1, 0]);
    pair.back(&[]).await;
    assert_eq!(pair.sqlite_channel(), "third");
    assert!(pair.equal().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_was_never_copied_but_is_older_wins_nothing() {
    let pair = Pair::copied().await;
    let write = |name: &str, time: &str| {
        pair.library.execute(&format!(
            "UPDATE content SET channel_name = '{name}', updated_at = '{time}' WHERE id = 'yt:a'"
        ));
    };
    write("the other one", "2025-02-01");
    let other = pair.library.path.with_extension("other");
    std::fs::copy(&pair.library.path, &other).unwrap();
    write("newest", "2025-03-01");
    pair.forth(&[]).await;
    std::fs::copy(&other, &pair.library.path).unwrap();
    assert_eq!(counts(&pair.forth(&[]).await, 0), [0, 0, 2, 0, 1]);
    assert_eq!(pair.channel().await, "newest");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_changed_back_is_never_dropped_in_silence() {
    let pair = Pair::copied().await;
    for text in ["new", "old"] {
        pair.library.execute(&format!("UPDATE content_summaries SET summary_text = '{text}' WHERE id = 1"));
        let tables = pair.forth(&[]).await;
        let (updated, conflicts) = if text == "new" { (1, 0) } else { (0, 1) };
        assert_eq!(counts(&tables, 1), [0, updated, 2, 0, conflicts], "{tables}");
    }
    pair.forth(&["--overwrite"]).await;
    assert!(pair.equal().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn curated_subcategories_are_never_lost_without_being_asked() {
    let pair = Pair::copied().await;
    for lost in ["NULL", "''", "'{\"categories\":[]}'", "'{broken'"] {
        pair.library.execute(&format!("UPDATE content SET subcategories_json = {lost} WHERE id = 'yt:a'"));
        let tables = pair.forth(&[]).await;
        assert_eq!(counts(&tables, 0), [0, 0, 2, 0, 1], "{lost}");
        let why = tables[0]["listed"][0]["why"].as_str().unwrap();
        assert!(why.contains("curated subcategories"), "{why}");
        assert_eq!(pair.ask("SELECT subcategories_text FROM content WHERE id = 'yt:a'").await, CURATED);
    }
    pair.forth(&["--overwrite"]).await;
    assert_eq!(pair.ask("SELECT subcategories_text FROM content WHERE id = 'yt:a'").await, "{broken");
    // And neither does the way back.
    pair.postgres("UPDATE content SET subcategories_json = NULL, analysis_json = NULL WHERE id = 'yt:b'")
        .await;
    assert_eq!(counts(&pair.back(&[]).await, 0), [0, 0, 2, 0, 1]);
    assert_eq!(pair.ask_sqlite("SELECT subcategories_json FROM content WHERE id = 'yt:b'"), CURATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_does_not_come_back() {
    let pair = Pair::copied().await;
    // Whoever deletes need not be able to write tombstones, nor to find them.
    pair.postgres(
        "CREATE ROLE deleter_of_records; GRANT DELETE, SELECT ON content TO deleter_of_records;
         SET ROLE deleter_of_records; SET search_path = pg_catalog; DELETE FROM public.content WHERE id = 'yt:a';
         RESET ROLE; REVOKE ALL ON public.content FROM deleter_of_records; DROP ROLE deleter_of_records",
    )
    .await;
    assert_eq!(pair.ask("SELECT id || ' ' || video_id FROM tombstones").await, "yt:a aaaaaaaaaaa");
    // An older copy knows the video by another id.
    pair.library.execute(
        "INSERT INTO content (id, video_id) VALUES ('YT:AAA', 'aaaaaaaaaaa');
         INSERT INTO content_summaries (content_id, summary_text) VALUES ('YT:AAA', 'its summary')",
    );
    let tables = pair.forth(&["--overwrite"]).await;
    // That record waits for someone to decide; what was deleted itself stays so.
    for (table, quarantined) in [(0, 1), (1, 1), (2, 0)] {
        assert_eq!(tables[table]["tombstoned"], 1, "{tables}");
        assert_eq!(tables[table]["quarantined"], quarantined, "{tables}");
    }
    assert_eq!(pair.ask("SELECT count(*) FROM content").await, "2");
    assert!(!pair.equal().await);
    flipgate(&["migrate", "--to", &pair.url, "--resolve", "all", "--reason", "the same video"]).await;
    assert!(pair.equal().await);
    pair.library.execute(
        "DELETE FROM content WHERE id = 'YT:AAA'; DELETE FROM content_summaries WHERE content_id = 'YT:AAA'",
    );
    assert!(pair.equal().await);
    // The way back takes it from the file, too, with its summaries.
    let tables = pair.back(&[]).await;
    assert_eq!([0, 1, 2].map(|table| tables[table]["deleted"].as_u64().unwrap()), [1, 1, 1]);
    assert_eq!(pair.ask_sqlite("SELECT count(*) FROM summary_variants"), "2");
    // Unless it was written again after that.
    pair.library.execute("INSERT INTO content (id, indexed_at) VALUES ('yt:a', '2999-01-01')");
    assert_eq!(counts(&pair.back(&[]).await, 0)[4], 1);
    assert_eq!(pair.ask_sqlite("SELECT count(*) FROM content WHERE id = 'yt:a'"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_would_be_done_and_leaves_nothing() {
    let pair = Pair::copied().await;
    pair.library.execute(
        "UPDATE content SET channel_name = 'new' WHERE id = 'yt:a'; DELETE FROM content WHERE id = 'yt:b'",
    );
    let dry = pair.forth(&["--dry-run"]).await;
    assert_eq!(pair.channel().await, "old");
    let wet = pair.forth(&[]).await;
    assert_eq!(dry, wet);
    pair.postgres("UPDATE content SET channel_name = 'newer' WHERE id = 'yt:a'").await;
    let dry = pair.back(&["--dry-run"]).await;
    assert_eq!(pair.sqlite_channel(), "new");
    assert_eq!(dry, pair.back(&[]).await);
    assert_eq!(pair.sqlite_channel(), "newer");
    // Not even the schema, nor a file.
    let empty = pg_database().await;
    let told =
        flipgate(&["migrate", "--dry-run", "--from", &sqlite(&pair.library.path), "--to", &empty]).await;
    assert!(told.out.contains("content: 3 read, 3 inserted") && told.out.contains("Dry run"), "{told:?}");
    let mut connection = sqlx::PgConnection::connect(&empty).await.unwrap();
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(tables, 0);
    let file = pair.library.path.with_file_name("none.db");
    flipgate(&["migrate", "--dry-run", "--from", &pair.url, "--to", &sqlite(&file)]).await;
    assert_eq!(std::fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_can_be_copied_alone() {
    let library = Library::of(&[
        SCHEMA,
        "INSERT INTO content (id, video_id) VALUES ('yt:a', 'aaaaaaaaaaa');
         INSERT INTO content_summaries (content_id, summary_text) VALUES ('yt:a', 'text')",
    ]);
    let pair = Pair { library, url: pg_database().await };
    let tables = pair.forth(&["--only", "summaries"]).await;
    assert_eq!((tables.as_array().unwrap().len(), &tables[0]["quarantined"]), (2, &1.into()), "{tables}");
    let tables = pair.forth(&["--only", "content"]).await;
    assert_eq!((tables.as_array().unwrap().len(), &tables[0]["inserted"]), (1, &1.into()), "{tables}");
    // Its record is there now: it leaves the quarantine.
    let tables = pair.forth(&["--only", "content,summaries", "--batch", "1"]).await;
    assert_eq!((&tables[1]["inserted"], &tables[1]["quarantined"]), (&1.into(), &0.into()), "{tables}");
    assert!(pair.equal().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_quarantine_stands_against_a_flip_until_it_is_resolved() {
    let pair = Pair::copied().await;
    pair.library
        .execute("INSERT INTO content (id, video_id, title) VALUES ('other', 'aaaaaaaaaaa', 'second id')");
    let tables = pair.forth(&[]).await;
    assert_eq!(tables[0]["listed"][0]["row"], "other");
    let flip = Setup::with_config(&sqlite(&pair.library.path), &pair.url, "").start().await;
    let condition = async || -> Value {
        let readiness = flip.admin_get("/api/readiness").await.json();
        let conditions = readiness["conditions"].as_array().unwrap();
        conditions.iter().find(|condition| condition["name"] == "quarantine").unwrap().clone()
    };
    wait_until("the quarantine is seen", async || condition().await["actual"] == 1).await;
    assert_eq!(condition().await["met"], false);
    assert!(!pair.equal().await);
    let to = ["migrate", "--to", pair.url.as_str(), "--reason", "a test record"];
    let told = flipgate(&[&to[..], &["--resolve", "content:nobody"]].concat()).await;
    told.assert_one_sentence(1, "content:nobody");
    let told = flipgate(&[&to[..], &["--resolve", "content:other"]].concat()).await;
    assert_eq!((told.code, told.out.as_str()), (0, "1 quarantined rows are resolved.\n"), "{told:?}");
    wait_until("it is resolved", async || condition().await["met"] == true).await;
    assert!(pair.equal().await);
    // It stays resolved while it is the same row, and is open again once it is another.
    pair.forth(&[]).await;
    assert!(pair.equal().await);
    pair.library.execute("UPDATE content SET title = 'changed' WHERE id = 'other'");
    pair.forth(&[]).await;
    assert!(!pair.equal().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_may_move_from_row_to_row() {
    let pair = Pair::copied().await;
    // A chain: each takes the video of the next, whose own comes later.
    pair.library.execute(
        "UPDATE content SET video_id = 'zzzzzzzzzzz' WHERE id = 'yt:c';
         UPDATE content SET video_id = 'ccccccccccc' WHERE id = 'yt:b';
         UPDATE content SET video_id = 'bbbbbbbbbbb' WHERE id = 'yt:a';
         DELETE FROM summary_variants",
    );
    let tables = pair.forth(&[]).await;
    assert_eq!(counts(&tables, 0), [0, 3, 0, 0, 0], "{tables}");
    assert_eq!(
        pair.ask("SELECT string_agg(video_id, ' ' ORDER BY id) FROM content").await,
        "bbbbbbbbbbb ccccccccccc zzzzzzzzzzz"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_written_in_postgresql_comes_back_as_the_latest() {
    let pair = Pair::copied().await;
    pair.postgres("INSERT INTO content_summaries (video_id, variant, revision, html) VALUES ('aaaaaaaaaaa', 'audio', 2, '<p>new</p>')").await;
    let tables = pair.back(&[]).await;
    assert_eq!(counts(&tables, 2), [1, 1, 2, 0, 0], "{tables}");
    let latest = "SELECT group_concat(revision || ':' || is_latest, ' ') FROM \
                  (SELECT * FROM summary_variants WHERE video_id = 'aaaaaaaaaaa' ORDER BY revision)";
    assert_eq!(pair.ask_sqlite(latest), "1:0 2:1");
    // The library's triggers stamp the time of every change; the copy says itself when a row was changed.
    assert_eq!(pair.ask_sqlite("SELECT count(*) FROM summary_variants WHERE updated_at > '2025'"), "1");
    assert!(pair.equal().await);
    assert_eq!(counts(&pair.forth(&[]).await, 2), [0, 0, 4, 0, 0]);
}
