//! What was deleted stays deleted, whatever copy of the library is migrated again; and the command that tells and clears.

use std::path::{Path, PathBuf};

use flipgate::library;
use serde_json::Value;
use sqlx::Connection as _;

use crate::both_stores::{Library, SCHEMA, real_library};
use crate::command::{Told, flipgate, sqlite};
use crate::harness::pg_database;

/// A library that was migrated, and the copy of it that somebody kept.
struct Moved {
    directory: tempfile::TempDir,
    url: String,
}

impl Moved {
    async fn of(library: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::copy(library, directory.path().join("old.db")).unwrap();
        let moved = Self { directory, url: pg_database().await };
        moved.migrate().await;
        moved
    }

    fn old(&self) -> PathBuf {
        self.directory.path().join("old.db")
    }

    async fn migrate(&self) -> Value {
        let old = sqlite(&self.old());
        let told = flipgate(&["migrate", "--format", "json", "--from", &old, "--to", &self.url]).await;
        assert_eq!(told.code, 0, "{told:?}");
        told.json()["tables"].clone()
    }

    async fn verify(&self, file: &Path) -> Told {
        let file = sqlite(file);
        flipgate(&["verify", "--format", "json", "--sqlite", &file, "--postgres", &self.url]).await
    }

    async fn connection(&self) -> sqlx::PgConnection {
        sqlx::PgConnection::connect(&self.url).await.unwrap()
    }

    async fn execute(&self, sql: &str) -> u64 {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        sqlx::query(sql).execute(&mut self.connection().await).await.unwrap().rows_affected()
    }

    /// One column of text.
    async fn all(&self, sql: &str) -> Vec<String> {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        sqlx::query_scalar(sql).fetch_all(&mut self.connection().await).await.unwrap()
    }

    async fn tombstones(&self, arguments: &[&str]) -> Told {
        flipgate(&[&["tombstones", "--postgres", &self.url], arguments].concat()).await
    }
}

/// Ids of all records with their curated subcategories.
const CURATED: &str = "SELECT id || ' ' || coalesce(subcategories_json::text, '') FROM content \
    WHERE id <> 'yt:new' ORDER BY id COLLATE \"C\"";

async fn an_older_copy_brings_nothing_back(library: &Path) {
    let moved = Moved::of(library).await;
    let before = moved.all(CURATED).await;
    // With subcategories, so that it matters that they are gone and the others' are not.
    let five =
        moved.all("SELECT id FROM content WHERE subcategories_json IS NOT NULL ORDER BY id LIMIT 5").await;
    for id in &five {
        assert_eq!(moved.execute(&format!("DELETE FROM content WHERE id = '{id}'")).await, 1);
    }
    // The sixth by its video's name, when nothing was there: only the old copy has it.
    let sixth = moved.all("SELECT id FROM content WHERE id <> 'yt:' || video_id ORDER BY id LIMIT 1").await;
    let [sixth] = sixth.as_slice() else { panic!("no record is called otherwise than its video") };
    let video = moved.all(&format!("SELECT video_id FROM content WHERE id = '{sixth}'")).await;
    moved.execute(&format!("DELETE FROM content WHERE id = '{sixth}'")).await;
    let named =
        format!("INSERT INTO tombstones (id, video_id, named) VALUES ('yt:{0}', '{0}', true)", video[0]);
    moved.execute(&format!("DELETE FROM tombstones WHERE id = '{sixth}'")).await;
    moved.execute(&named).await;
    moved.execute("INSERT INTO content (id, video_id, title) VALUES ('yt:new', 'newnewnewne', 'new')").await;
    let changed = moved
        .execute("UPDATE content SET title = 'modified' WHERE id IN (SELECT id FROM content ORDER BY id DESC LIMIT 3)")
        .await;
    assert_eq!(changed, 3);

    let tables = moved.migrate().await;
    assert_eq!(tables[0]["tombstoned"], 6, "{tables}");
    for table in tables.as_array().unwrap() {
        let count = |what: &str| table[what].as_u64().unwrap();
        let written = ["inserted", "updated", "conflicts", "quarantined"].map(count);
        assert_eq!(written, [0; 4], "{tables}");
    }
    let is_gone = |row: &String| five.iter().chain([sixth]).any(|id| row.starts_with(&format!("{id} ")));
    let expected: Vec<String> = before.into_iter().filter(|row| !is_gone(row)).collect();
    assert_eq!(moved.all(CURATED).await, expected);

    // What differs is what was changed; the six are accounted for, not missing.
    let verified = moved.verify(&moved.old()).await;
    let tables = verified.json()["tables"].clone();
    assert_eq!((&tables[0]["tombstoned"], &tables[0]["missing"]), (&6.into(), &0.into()), "{tables}");
    for table in tables.as_array().unwrap() {
        assert_eq!((&table["missing"], &table["unresolved"]), (&0.into(), &0.into()), "{tables}");
    }
    // And the way back takes all six from the old copy, too.
    let (from, to) = (moved.url.as_str(), sqlite(&moved.old()));
    let told = flipgate(&["migrate", "--format", "json", "--from", from, "--to", &to]).await;
    assert_eq!((told.code, &told.json()["tables"][0]["deleted"]), (0, &6.into()), "{told:?}");
    let verified = moved.verify(&moved.old()).await;
    assert_eq!(verified.code, 0, "{verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_a_library_brings_nothing_back() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("library.db");
    library::generate(&file, library::DEFAULT_ROWS, 1).unwrap();
    an_older_copy_brings_nothing_back(&file).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_the_real_library_brings_nothing_back() {
    let Some(file) = real_library() else { return };
    an_older_copy_brings_nothing_back(&file).await;
}

/// One record whose id and video are spelt differently, with both sorts of summary.
const RECORD: &str = "INSERT INTO content (id, video_id, title, indexed_at) \
        VALUES ('yt:aaa', 'AaAaAaAaAaA', 'title', '2025-01-01');
    INSERT INTO content_summaries (content_id, summary_text) VALUES ('yt:aaa', 'text');
    INSERT INTO summary_variants (video_id, variant_type, content, created_at)
        VALUES ('AaAaAaAaAaA', 'audio', 'text', '2025-01-01');";

async fn empty() -> String {
    let url = pg_database().await;
    flipgate::migrate::run(&Library::of(&[SCHEMA]).path, &url).await.unwrap();
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_holds_every_record_of_it_by_whichever_name() {
    for name in ["AaAaAaAaAaA", "yt:AaAaAaAaAaA", "yt:aaa", "aaa"] {
        let library = Library::of(&[SCHEMA, RECORD]);
        let moved = Moved { directory: tempfile::tempdir().unwrap(), url: empty().await };
        std::fs::copy(&library.path, moved.old()).unwrap();
        let video = name.strip_prefix("yt:").unwrap_or(name);
        let named =
            format!("INSERT INTO tombstones (id, video_id, named) VALUES ('{name}', '{video}', true)");
        moved.execute(&named).await;
        let tables = moved.migrate().await;
        assert_eq!([0, 1, 2].map(|table| tables[table]["tombstoned"].as_u64().unwrap()), [1; 3], "{name}");
        let verified = moved.verify(&moved.old()).await;
        assert_eq!(verified.code, 0, "{name}: {verified:?}");
        // Back, it goes from the file, unless it was written there since.
        let (from, to) = (moved.url.as_str(), sqlite(&moved.old()));
        let file = rusqlite::Connection::open(moved.old()).unwrap();
        let write = |at: &str| file.execute("UPDATE content SET indexed_at = ?1", [at]).unwrap();
        write("2999-01-01");
        let back = ["migrate", "--format", "json", "--from", from, "--to", &to];
        let told = flipgate(&back).await;
        assert_eq!((told.code, &told.json()["tables"][0]["conflicts"]), (1, &1.into()), "{name}: {told:?}");
        write("2025-01-01");
        let tables = flipgate(&back).await.json()["tables"].clone();
        assert_eq!([0, 1, 2].map(|table| tables[table]["deleted"].as_u64().unwrap()), [1; 3], "{name}");
    }
}

fn ask(library: &Library, sql: &str) -> i64 {
    rusqlite::Connection::open(&library.path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tombstones_are_listed_and_cleared() {
    let moved = Moved { directory: tempfile::tempdir().unwrap(), url: empty().await };
    moved
        .execute(
            "INSERT INTO tombstones (id, video_id, deleted_at, deleted_by, named) VALUES
             ('yt:a', 'AAA', '2026-01-02 03:04:05+01', 'somebody', false),
             ('b', 'b', '2026-01-03', E'\\x1b[2J', true), ('yt:c', NULL, '2026-01-01', 'she', false)",
        )
        .await;
    let told = moved.tombstones(&["list"]).await;
    assert_eq!(told.code, 0, "{told:?}");
    insta::assert_snapshot!("tombstones_list", told.out);
    let cut = moved.tombstones(&["list", "--limit", "2", "--format", "json"]).await.json();
    assert_eq!((cut["tombstones"].as_array().unwrap().len(), &cut["cut"]), (2, &true.into()), "{cut}");
    assert_eq!(cut["tombstones"][1]["deleted_at"], "2026-01-02T02:04:05.000000Z");

    // A library without a table of them gets none.
    let library = Library::of(&[SCHEMA]);
    let file = sqlite(&library.path);
    let told = moved.tombstones(&["clear", "yt:AAA", "nobody", "--sqlite", &file]).await;
    told.assert_one_sentence(1, "nobody");
    assert_eq!(told.out, "yt:a (video AAA) in postgres\n1 tombstone is cleared.\n");
    assert_eq!(ask(&library, "SELECT count(*) FROM sqlite_master WHERE name LIKE 'flipgate%'"), 0);
    library.execute(
        "CREATE TABLE flipgate_tombstones (id text primary key, video_id text, deleted_at text, deleted_by text,
            named integer);
         INSERT INTO flipgate_tombstones VALUES ('b', 'b', '2026-01-04T00:00:00Z', 'he', 1),
            ('yt:d', 'ddd', '2026-01-01T12:00:00Z', 'he', 0)",
    );
    let told = moved.tombstones(&["list", "--sqlite", &file, "--format", "json"]).await.json();
    let stones: Vec<String> = told["tombstones"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stone| format!("{} {} {}", stone["id"], stone["deleted_by"], stone["stores"]))
        .collect();
    let expected =
        [r#""b" "he" ["postgres","sqlite"]"#, r#""yt:d" "he" ["sqlite"]"#, r#""yt:c" "she" ["postgres"]"#];
    assert_eq!(stones, expected);
    let told = moved.tombstones(&["clear", "b", "ddd", "yt:c", "--sqlite", &file, "--format", "json"]).await;
    assert_eq!((told.code, told.json()["cleared"].as_array().unwrap().len()), (0, 4), "{told:?}");
    assert_eq!(moved.all("SELECT id FROM tombstones").await, Vec::<String>::new());
    assert_eq!(ask(&library, "SELECT count(*) FROM flipgate_tombstones"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_says_what_it_lacks() {
    let told = flipgate(&["tombstones", "list"]).await;
    told.assert_one_sentence(2, "DATABASE_URL");
    flipgate(&["tombstones", "list", "--postgres", "http://x"])
        .await
        .assert_one_sentence(2, "--postgres must be");
    let url = pg_database().await;
    let told = crate::command::command(&["tombstones", "list"])
        .env("FLIPGATE_POSTGRES", "http://127.0.0.1:10001")
        .env("DATABASE_URL", &url)
        .output()
        .await
        .unwrap();
    Told::of(told).assert_one_sentence(3, "run `flipgate migrate` first");
    for arguments in
        [&["tombstones", "--help"][..], &["tombstones", "list", "--help"], &["tombstones", "clear", "--help"]]
    {
        let told = flipgate(arguments).await;
        assert_eq!(told.code, 0, "{told:?}");
        insta::assert_snapshot!(arguments.join("_").replace("_--", "_"), told.out);
    }
}
