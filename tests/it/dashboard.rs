//! Both stores answer every read of a library with the same bytes, and an UPDATE in either shows.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use flipgate::dashboard::{Answer, Dashboard};
use flipgate::migrate;
use http::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::harness::{pg_database, shared};

// === What the tests stand on ===

/// A fresh database with these options of `CREATE DATABASE`; `None` (said aloud) if this server does not know them.
async fn database_with(options: &str) -> Option<String> {
    let url = pg_database().await;
    let with = url.replace("/test_", "/with_");
    let name = with.split('/').nth(3).and_then(|rest| rest.split('?').next()).unwrap();
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    let sql = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' {options}");
    if let Err(error) = sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await {
        eprintln!("SKIPPED: this PostgreSQL makes no database with {options} ({error})");
        return None;
    }
    Some(with)
}

/// The real library, or `None` (said aloud) where it is missing.
fn real_library() -> Option<PathBuf> {
    shared().map(|shared| shared.join("data/library.db"))
}

/// Both stores of one library.
struct Stores {
    sqlite: Dashboard,
    postgres: Dashboard,
    url: String,
}

impl Stores {
    async fn of(library: &Path) -> Self {
        Self::at(pg_database().await, library).await
    }

    async fn at(url: String, library: &Path) -> Self {
        migrate::run(library, &url).await.unwrap();
        let sqlite = Dashboard::sqlite(library).await.unwrap();
        let postgres = Dashboard::postgres(&url).await.unwrap();
        Self { sqlite, postgres, url }
    }

    /// The answer of both, which must be one.
    async fn both(&self, target: &str) -> Answer {
        let sqlite = self.sqlite.answer(&Method::GET, target).await.unwrap();
        let postgres = self.postgres.answer(&Method::GET, target).await.unwrap();
        let text = |answer: &Answer| String::from_utf8(answer.body.to_vec()).unwrap();
        assert_eq!(sqlite.status, postgres.status, "{target}");
        assert!(sqlite.status != StatusCode::SERVICE_UNAVAILABLE, "{target}");
        assert!(text(&sqlite) == text(&postgres), "{target}\n{}\n\n{}", text(&sqlite), text(&postgres));
        assert_eq!(sqlite.headers, postgres.headers, "{target}");
        sqlite
    }

    async fn json(&self, target: &str) -> Value {
        serde_json::from_slice(&self.both(target).await.body).unwrap()
    }

    async fn postgres_json(&self, target: &str) -> Value {
        let answer = self.postgres.answer(&Method::GET, target).await.unwrap();
        assert_eq!(answer.status, StatusCode::OK);
        serde_json::from_slice(&answer.body).unwrap()
    }

    async fn execute(&self, sql: &'static str) {
        let mut connection = sqlx::PgConnection::connect(&self.url).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    }

    /// Asks for everything the read API has of this library; says how many requests that were.
    async fn everything(&self) -> usize {
        let mut targets: BTreeSet<String> =
            LISTS.iter().map(|query| format!("/api/reports?{query}")).collect();
        targets.extend(["/", "/api/filters", "/api/reports"].map(str::to_owned));
        targets.extend(self.records().await);
        targets.extend(self.pages().await);
        targets.extend(self.facets().await);
        for target in &targets {
            self.both(target).await;
        }
        targets.len()
    }

    async fn records(&self) -> Vec<String> {
        let mut targets = Vec::new();
        for page in 1.. {
            let list = self.json(&format!("/api/reports?size=50&page={page}")).await;
            for report in list["reports"].as_array().unwrap() {
                for name in ["id", "video_id", "file_stem"] {
                    let name = encoded(report[name].as_str().unwrap());
                    if !name.is_empty() {
                        targets.push(format!("/api/reports/{name}"));
                        targets.push(format!("/{name}.json"));
                        targets.push(format!("/{name}.json?v=2"));
                        targets.push(format!("/{name}.html"));
                    }
                }
            }
            if !list["pagination"]["has_next"].as_bool().unwrap() {
                break;
            }
        }
        targets
    }

    async fn pages(&self) -> Vec<String> {
        let total = self.json("/api/reports").await["pagination"]["total_count"].as_u64().unwrap();
        let sorts = SORTS.iter().flat_map(|sort| {
            let pages = 1..=total.div_ceil(7) + 1;
            pages.map(move |page| format!("/api/reports?sort={sort}&size=7&page={page}"))
        });
        sorts.collect()
    }

    /// Every value of every facet, alone and with others.
    async fn facets(&self) -> Vec<String> {
        let facets = self.json("/api/filters").await;
        let mut filters = Vec::new();
        for (facet, parameter) in [
            ("source", "source"),
            ("language", "language"),
            ("category", "category"),
            ("content_type", "content_type"),
            ("complexity_level", "complexity"),
            ("channel", "channel"),
            ("has_audio", "has_audio"),
        ] {
            for count in facets[facet].as_array().unwrap() {
                let value = &count["value"];
                let value = value.as_str().map_or_else(|| value.to_string(), encoded);
                filters.push(format!("{parameter}={value}"));
                for below in count["subcategories"].as_array().into_iter().flatten() {
                    let below = encoded(below["value"].as_str().unwrap());
                    filters.push(format!("subcategory={below}"));
                    filters.push(format!("subcategory={below}&parentCategory={value}"));
                }
            }
        }
        let mut targets: Vec<String> =
            filters.iter().map(|filter| format!("/api/reports?{filter}")).collect();
        for (number, filter) in filters.iter().enumerate() {
            for step in [1, 7, 19, 31] {
                let other = &filters[(number + step) % filters.len()];
                targets.push(format!("/api/reports?{filter}&{other}&sort=title&size=50"));
            }
        }
        targets
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

const SORTS: [&str; 14] = [
    "added_desc",
    "added_asc",
    "video_newest",
    "newest",
    "video_oldest",
    "oldest",
    "title",
    "title_az",
    "title_asc",
    "title_za",
    "title_desc",
    "duration",
    "duration_desc",
    "duration_asc",
];

/// Queries good and bad. Searches are for what both libraries hold, and for what neither does.
const LISTS: &[&str] = &[
    "page=0",
    "page=-1",
    "page=x",
    "page=2&size=0",
    "page=99999999999999999999",
    "size=51",
    "size=1e3",
    "size=",
    "sort=%00",
    "sort=bogus&page=2",
    "q=ai",
    "q=AI&size=50",
    "q=%25&size=50",
    "q=%25%25&size=50",
    "q=__&size=50",
    "q=a%25e&size=50",
    "q=a_e&size=50",
    "q=%27%27",
    "q=%27%20OR%201%3D1--",
    "q=%22",
    "q=%5C%5C",
    "q=%5C%25",
    "q=%C3%A9t%C3%A9",
    "q=%C3%89T%C3%89",
    "q=%E8%B3%87%E6%96%99",
    "q=%F0%9F%98%80%F0%9F%98%80",
    "q=%F0%9F%98%80_",
    "q=%ff%fe",
    "q=a%00b",
    "q=x",
    "q=+a+",
    "q=the&has_audio=true",
    "q=the&category=Technology",
    "q=history&sort=title&page=3&size=3",
    "q=script",
    "q=zzzzzz",
    "has_audio=true",
    "has_audio=NO",
    "has_audio=maybe",
    "category=History&category=Technology&category=nothing",
    "category=%E2%80%93",
    "category=A%E2%80%93B",
    "category=A-B",
    "category=history",
    "category=a%00b",
    "subcategory=nothing",
    "subcategory=Modern%20History&parentCategory=Technology",
    "parentCategory=Technology",
    "language=en&language=fr",
    "source=youtube",
    "source=web&source=reddit",
    "channel=%27",
    "%3D=&&==&=x&category",
];

// === The real library ===

#[tokio::test(flavor = "multi_thread")]
async fn the_real_library_is_answered_alike_from_both_stores() {
    let Some(library) = real_library() else { return };
    let stores = Stores::of(&library).await;
    assert!(stores.everything().await > 600);
    let list = stores.json("/api/reports?category=History&size=50").await;
    assert_eq!(list["pagination"]["total_count"], 15);
    let many = encoded(&"a%".repeat(100));
    stores.both(&format!("/api/reports?q={many}")).await;
}

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

/// Names and kinds of all members, in their order; an array by its first item.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(members) => members.iter().map(|(name, value)| json!([name, shape(value)])).collect(),
        Value::Array(items) => items.iter().take(1).map(shape).collect(),
        Value::String(_) => json!("string"),
        Value::Number(_) => json!("number"),
        Value::Bool(_) => json!("bool"),
        Value::Null => json!("null"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_have_the_shape_that_production_recorded() {
    let Some(library) = real_library() else { return };
    let sqlite = Dashboard::sqlite(&library).await.unwrap();
    let recorded = library.with_file_name("recorded");
    for (name, target) in [
        ("reports-size-1", "/api/reports?size=1&q=GLM"),
        ("filters", "/api/filters"),
        ("reports-size-1", "/api/reports?size=1&category=History"),
    ] {
        let text = std::fs::read(recorded.join(format!("{name}.sqlite.json"))).unwrap();
        let mut recorded: Value = serde_json::from_slice(&text).unwrap();
        recorded.as_object_mut().unwrap().remove("deployment_version");
        let answer = sqlite.answer(&Method::GET, target).await.unwrap();
        let mut answered: Value = serde_json::from_slice(&answer.body).unwrap();
        // Whatever the record, an array without items says nothing of its shape.
        for document in [&mut recorded, &mut answered] {
            if let Some(analysis) = document.pointer_mut("/reports/0/analysis") {
                analysis["named_entities"] = json!([]);
            }
            if let Some(filters) = document.pointer_mut("/filters") {
                *filters = json!({});
            }
        }
        assert_eq!(shape(&answered), shape(&recorded), "{target}");
    }
}

// === A nasty library ===

const SCHEMA: &str = "
    CREATE TABLE content (id TEXT PRIMARY KEY, title TEXT, canonical_url TEXT, thumbnail_url TEXT, published_at TEXT,
        indexed_at TEXT, duration_seconds INTEGER DEFAULT 0, word_count INTEGER DEFAULT 0, has_audio BOOLEAN DEFAULT 0,
        audio_duration_seconds INTEGER DEFAULT 0, has_transcript BOOLEAN DEFAULT 0, transcript_chars INTEGER DEFAULT 0,
        video_id TEXT, channel_name TEXT, channel_id TEXT, view_count INTEGER DEFAULT 0, like_count INTEGER DEFAULT 0,
        comment_count INTEGER DEFAULT 0, category TEXT, content_type TEXT, complexity_level TEXT,
        language TEXT DEFAULT 'en', key_topics TEXT, named_entities TEXT, format_source TEXT DEFAULT 'api',
        processing_status TEXT DEFAULT 'completed', created_at TEXT, updated_at TEXT, subcategory TEXT,
        subcategories_json TEXT, summary TEXT, analysis TEXT, \"Odd \"\"column\" TEXT);
    CREATE TABLE content_summaries (id INTEGER PRIMARY KEY AUTOINCREMENT, content_id TEXT UNIQUE REFERENCES content(id),
        summary_text TEXT, summary_type TEXT DEFAULT 'comprehensive', created_at TEXT);
    CREATE TABLE summary_variants (id INTEGER PRIMARY KEY AUTOINCREMENT, video_id TEXT NOT NULL,
        variant_type TEXT NOT NULL, revision INTEGER DEFAULT 1 CHECK(revision > 0), content TEXT NOT NULL,
        raw_payload TEXT, metadata TEXT, is_latest BOOLEAN DEFAULT 1, created_at TEXT NOT NULL, updated_at TEXT,
        file_size INTEGER, word_count INTEGER, UNIQUE(video_id, variant_type, revision));";

/// Rows of every kind a library may hold; all can be stored.
const NASTY: &str = r#"
    INSERT INTO content (id) VALUES ('nothing-else'), ('also-nothing');
    INSERT INTO content (id, video_id, title, language) VALUES ('', '', '', ''), ('bare', 'bare', 'bare id', 'EN'),
        ('yt:short', 'short_id_x', 'ten', 'en-US'), ('yt:long', 'longer_id_xx', 'twelve', 'klingon'),
        ('reddit:a', 'aaaaaaaaaa1', 'other source', 'fr'), ('web:b', 'bbbbbbbbbb1', 'third source', ' de '),
        ('slash/and space?', 'x/y z?&#%', 'needs escapes', NULL), ('née', 'née', 'ÉTÉ été İstanbul ß', 'pt_br');
    INSERT INTO content (id, video_id, title, canonical_url, thumbnail_url, channel_name, category, subcategories_json)
        VALUES ('yt:xss', '<script>x</', '</script><script>alert(1)</script>', 'javascript:alert(1)',
        'https://x/"onerror="alert(1)', '<b>&amp;"''', '["</script>", "<img>"]',
        '{"categories":[{"category":"</script>","subcategories":["<i>", "&"]}]}');
    INSERT INTO content (id, video_id, title, indexed_at, published_at) VALUES
        ('t1', 'tttttttttt1', 'a', '2025-09-17T06:34:00.302974', '2025-09-17'),
        ('t2', 'tttttttttt2', 'A', '2025-09-17 06:34:00', '2025-09-17T06:34:00Z'),
        ('t3', 'tttttttttt3', 'B', '2025-09-17T06:34:00Z', '2025-09-17T06:34:00+00:00'),
        ('t4', 'tttttttttt4', 'b', '2025-09-17T06:34:00+00:00', '2025-09-17T08:34:00+0200'),
        ('t5', 'tttttttttt5', '_a', '2025-09-17T06:34:00+00:00', 'yesterday'),
        ('t6', 'tttttttttt6', '資料 データ', '2025-09-17T06:34:00+00:00', ''),
        ('t7', 'tttttttttt7', '😀😀 emoji', '2025-13-45', '2025-06-30T23:59:60Z'),
        ('t8', 'tttttttttt8', '\ back % slash', '2025-09-17T06:34:00.1234567Z', '9999-12-31T23:59:59'),
        ('t9', 'tttttttttt9', '', 1694930040, '0000-00-00'), ('t0', 'tttttttttt0', 'مرحبا', ' 2025-09-17 ', NULL);
    INSERT INTO content (id, video_id, title, category, subcategory, subcategories_json, key_topics, named_entities, analysis)
        VALUES ('j1', 'jjjjjjjjjj1', 'j', '[broken', 's', '{broken', 'a, b, c', '[1.0, 1e2, {"a":1,"a":2}, null, "x\u0000y"]', '{'),
        ('j2', 'jjjjjjjjjj2', 'j', '"scalar"', 's', '[]', '{"not":"array"}', '[12345678901234567890123, 1e999999]', '[]'),
        ('j3', 'jjjjjjjjjj3', 'j', '["A–B", "a\u0000b", 7, null, ""]', 'X–Y', '{"categories":"x"}', '["\ud83d\ude00"]', '["\ud800"]', '"s"'),
        ('j4', 'jjjjjjjjjj4', 'j', '["A-B", "History"]', 'History', '{ "categories" : [ {"category":"A–B","subcategories":["X–Y", 5]}, {"no":1}, 3 ] , "z":1.50}', '[]', '', '{"categories":[{"category":"Own","subcategories":["Other"]}],"n":1.0}'),
        ('j5', 'jjjjjjjjjj5', 'j', '["C", "C"]', '', '{"categories":[]}', NULL, NULL, '{"b":1,"a":2}'),
        ('j6', 'jjjjjjjjjj6', 'j', NULL, 'lonely', '{"categories":[{"category":"D","subcategories":null},{"category":"D","subcategories":["d","d"]}]}', NULL, NULL, NULL);
    INSERT INTO content (id, video_id, title, duration_seconds, word_count, has_audio, has_transcript, view_count, transcript_chars)
        VALUES ('n1', 'nnnnnnnnnn1', 'n', 'abc', '12 monkeys', 'true', NULL, 9223372036854775807, -1),
        ('n2', 'nnnnnnnnnn2', 'n', 3000000000, 1e300, 2, 'x', 1e19, 12.5),
        ('n3', 'nnnnnnnnnn3', 'n', 12.5, -9223372036854775807, 1, 1, X'00', 0),
        ('n4', 'nnnnnnnnnn4', 'n', NULL, X'3132', NULL, 0, NULL, NULL), ('n5', 'nnnnnnnnnn5', 'n', -5, 5, 0, 1, 0, 0);
    INSERT INTO content (id, video_id, title, channel_name, content_type, complexity_level, language, "Odd ""column")
        VALUES ('b1', 'bbbbbbbbbbb', X'626c6f62', X'ff00fe', X'00', 'C–D', X'656e', 'kept'),
        ('b2', X'6262', CAST(X'61006200' AS TEXT), CAST(X'c328' AS TEXT), 'T–U', 'C-D', 'fr', X'01');
    INSERT INTO content_summaries (content_id, summary_text, summary_type) VALUES ('t1', 'legacy text 100% été', 'audio'),
        ('t2', 'legacy ''quoted'' <b>bold</b>', NULL), ('t3', NULL, 'audio'), ('t4', '', 'audio'),
        ('bare', 'para one

para two 資料', 'weird');
    INSERT INTO content_summaries (content_id, summary_text, created_at) VALUES ('nothing-else', X'68690a', 'never'),
        ('t5', CAST(X'6100ff' AS TEXT), '2025-01-01');
    INSERT INTO summary_variants (video_id, variant_type, revision, content, created_at, raw_payload, metadata) VALUES
        ('tttttttttt1', 'audio', 1, 'variant text', '2025-01-01', '{"a":"\u0000"}', '{'),
        ('tttttttttt1', 'audio', 2, 'second', '2025-01-01', 'x', NULL),
        ('tttttttttt3', 'zeta', 1, 'z1', 'x', NULL, NULL), ('tttttttttt3', 'alpha', 1, 'a1', 'x', NULL, NULL),
        ('tttttttttt3', 'alpha', 10, 'a10', 'x', NULL, NULL), ('tttttttttt3', 'alpha', 9, 'a9', 'x', NULL, NULL),
        ('tttttttttt4', 'audio', 1, 'the audio', '', NULL, NULL), ('tttttttttt4', 'executive', 3, 'The Executive', '', NULL, NULL),
        ('tttttttttt6', '', 1, 'no type', '', NULL, NULL), ('tttttttttt6', 'comprehensive', 1, '', '', NULL, NULL),
        ('tttttttttt7', 'audio-fr', 1, X'c3a9', '', NULL, NULL);
"#;

/// Rows that cannot be stored: an id that is no text, a second id for one video, summaries of no record, no revision.
const IMPOSSIBLE: &str = "
    INSERT INTO content (id, video_id, title) VALUES (X'00', 'zzzzzzzzzz1', 'blob id'), (NULL, 'zzzzzzzzzz2', 'no id'),
        ('zz', 'tttttttttt1', 'second id for t1');
    INSERT INTO content_summaries (content_id, summary_text) VALUES ('gone', 'orphan'), (NULL, 'nobody''s');
    INSERT INTO summary_variants (video_id, variant_type, revision, content, created_at) VALUES
        ('gone', 'audio', 1, 'orphan', ''), ('tttttttttt1', 'audio', NULL, 'no revision', ''),
        ('tttttttttt1', 'audio', 5000000000, 'too high', '');";

struct Library {
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Library {
    fn of(scripts: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nasty library #1?.db");
        let library = Self { path, _directory: directory };
        for script in scripts {
            library.execute(script);
        }
        library
    }

    fn execute(&self, script: &str) {
        let connection = rusqlite::Connection::open(&self.path).unwrap();
        // As Python opens it: orphans are possible.
        connection.pragma_update(None, "foreign_keys", false).unwrap();
        connection.execute_batch(script).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nasty_library_is_answered_alike_from_both_stores() {
    let library = Library::of(&[SCHEMA, NASTY]);
    let stores = Stores::of(&library.path).await;
    let again = migrate::run(&library.path, &stores.url).await.unwrap();
    for table in again.tables {
        assert_eq!((table.unchanged, table.quarantined), (table.read, 0), "{}", table.table);
    }
    assert!(stores.everything().await > 300);
    let found = stores.json("/api/reports?category=A-B&size=50&sort=title").await;
    assert_eq!(found["pagination"]["total_count"], 2);
    assert_eq!(found["filters"], json!({ "category": ["A-B"] }));
    let found = stores.json("/api/reports?q=100%25").await;
    assert_eq!(found["reports"][0]["id"], "t1");
    for (id, text, kind) in [
        ("t1", "legacy text 100% été", "audio"),
        ("t3", "a10", "alpha"),
        ("t4", "The Executive", "executive"),
        ("t6", "no type", ""),
        ("t8", "No summary available.", "none"),
    ] {
        let summary = &stores.json(&format!("/api/reports/{id}")).await["summary"];
        assert_eq!((summary["text"].as_str(), summary["type"].as_str()), (Some(text), Some(kind)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn order_and_search_do_not_depend_on_the_databases_collation() {
    let library = Library::of(&[SCHEMA, NASTY]);
    let Some(url) = database_with("LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR'").await else { return };
    Stores::at(url, &library.path).await.everything().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_text_stays_text() {
    let library = Library::of(&[SCHEMA, NASTY]);
    let sqlite = Dashboard::sqlite(&library.path).await.unwrap();
    for target in ["/", "/%3Cscript%3Ex%3C%2F.html", "/yt%3Axss.json?v=2"] {
        let answer = sqlite.answer(&Method::GET, target).await.unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{target}");
        let page = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(!page.contains("alert(1)</script>"), "{target}");
        assert!(!page.contains("href=\"javascript:"), "{target}");
        assert!(!page.contains("x/\"onerror="), "{target}");
    }
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

// === Changes show ===

#[tokio::test(flavor = "multi_thread")]
async fn an_update_in_postgresql_shows() {
    let Some(library) = real_library() else { return };
    let stores = Stores::of(&library).await;
    let target = "/api/reports/NVkHfn6-Zl4";
    let before = stores.postgres_json(target).await;
    assert_eq!(before["indexed_at"], "2025-09-17T13:56:44.479177");
    stores
        .execute(
            "UPDATE content SET indexed_at = '2030-01-02 03:04:05.5+02', published_at = '2030-01-02 03:04:05+00',
                title = 'changed', topics_json = '[\"t\"]', language = 'de',
                analysis_json = jsonb_set(analysis_json, '{categories}',
                    '[{\"category\": \"New – kind\", \"subcategories\": [\"Sub\"]}]')
                WHERE id = 'yt:NVkHfn6-Zl4';
             UPDATE content_summaries SET html = 'new summary' WHERE video_id = 'NVkHfn6-Zl4' AND legacy",
        )
        .await;
    let after = stores.postgres_json(target).await;
    assert_eq!(after["indexed_at"], "2030-01-02T01:04:05.500000+00:00");
    assert_eq!(after["published_at"], "2030-01-02T03:04:05+00:00");
    assert_eq!(after["title"], "changed");
    assert_eq!(after["analysis"]["key_topics"], json!(["t"]));
    assert_eq!(after["analysis"]["language"], "de");
    assert_eq!(after["summary"]["text"], "new summary");
    assert_eq!(
        after["subcategories_json"],
        r#"{"categories":[{"category":"New – kind","subcategories":["Sub"]}]}"#
    );
    assert_eq!(after["analysis"]["categories"][0]["category"], "New – kind");
    // Orders, filters, counts and searches follow.
    assert_eq!(
        stores.postgres_json("/api/reports?sort=added_desc").await["reports"][0]["id"],
        "yt:NVkHfn6-Zl4"
    );
    let list = stores.postgres_json("/api/reports?subcategory=Sub&parentCategory=New%20-%20kind").await;
    assert_eq!(list["pagination"]["total_count"], 1);
    let facets = stores.postgres_json("/api/filters").await;
    assert!(facets["category"].as_array().unwrap().iter().any(|count| count["value"] == "New – kind"));
    assert_eq!(stores.postgres_json("/api/reports?q=new%20summary").await["pagination"]["total_count"], 1);
    // Changed back, the spelling denotes the value again.
    stores
        .execute("UPDATE content SET indexed_at = '2025-09-17 13:56:44.479177+00' WHERE title = 'changed'")
        .await;
    assert_eq!(stores.postgres_json(target).await["indexed_at"], "2025-09-17T13:56:44.479177");
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

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_or_changed_sqlite_file_is_answered_anew() {
    let library = Library::of(&[SCHEMA, "INSERT INTO content (id, title) VALUES ('a', 'one')"]);
    let sqlite = Dashboard::sqlite(&library.path).await.unwrap();
    let title = async || {
        let answer = sqlite.answer(&Method::GET, "/api/reports/a").await.unwrap();
        serde_json::from_slice::<Value>(&answer.body).unwrap()["title"].clone()
    };
    assert_eq!(title().await, "one");
    library.execute("UPDATE content SET title = 'two'");
    assert_eq!(title().await, "two");
    let other = Library::of(&["CREATE TABLE content (id TEXT PRIMARY KEY, title TEXT);
        INSERT INTO content VALUES ('a', 'three')"]);
    std::fs::rename(&other.path, &library.path).unwrap();
    assert_eq!(title().await, "three");
    library
        .execute("ALTER TABLE content ADD COLUMN channel_name TEXT; UPDATE content SET channel_name = 'c'");
    let answer = sqlite.answer(&Method::GET, "/api/reports/a").await.unwrap();
    assert!(String::from_utf8_lossy(&answer.body).contains(r#""channel":"c""#));
    std::fs::remove_file(&library.path).unwrap();
    let answer = sqlite.answer(&Method::GET, "/api/reports/a").await.unwrap();
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!String::from_utf8_lossy(&answer.body).contains("nasty"));
    assert!(!sqlite.up().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_at_work_neither_blocks_nor_shows() {
    let library = Library::of(&[
        "PRAGMA journal_mode = WAL",
        SCHEMA,
        "INSERT INTO content (id, title) VALUES ('a', 'one')",
    ]);
    let sqlite = Dashboard::sqlite(&library.path).await.unwrap();
    let writer = rusqlite::Connection::open(&library.path).unwrap();
    for (script, title) in [
        ("BEGIN IMMEDIATE; UPDATE content SET title = 'two'", "one"),
        ("COMMIT", "two"),
        ("PRAGMA wal_checkpoint(TRUNCATE)", "two"),
    ] {
        writer.execute_batch(script).unwrap();
        let answer = sqlite.answer(&Method::GET, "/api/reports/a").await.unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&answer.body).unwrap()["title"], title, "{script}");
    }
}

// === Requests and refusals ===

#[tokio::test(flavor = "multi_thread")]
async fn methods_unknown_records_and_other_paths() {
    let library = Library::of(&[SCHEMA, NASTY]);
    let sqlite = Dashboard::sqlite(&library.path).await.unwrap();
    let status =
        async |method: Method, target: &str| sqlite.answer(&method, target).await.map(|answer| answer.status);
    assert_eq!(status(Method::GET, "/nope").await, None);
    assert_eq!(status(Method::GET, "/nope.json").await, Some(StatusCode::NOT_FOUND));
    assert_eq!(status(Method::GET, "/nope.html").await, Some(StatusCode::NOT_FOUND));
    assert_eq!(status(Method::GET, "/api/reports/nope").await, Some(StatusCode::NOT_FOUND));
    assert_eq!(status(Method::POST, "/api/reports").await, Some(StatusCode::METHOD_NOT_ALLOWED));
    let get = sqlite.answer(&Method::GET, "/api/filters").await.unwrap();
    let head = sqlite.answer(&Method::HEAD, "/api/filters").await.unwrap();
    assert_eq!((&get.headers, head.body.len()), (&head.headers, 0));
    assert_eq!(get.headers["cache-control"], "public, max-age=60");
    assert!(sqlite.up().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_opened_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("notes.txt");
    std::fs::write(&text, "no database, just some words that are long enough to have a header").unwrap();
    let empty = directory.path().join("empty.db");
    rusqlite::Connection::open(&empty).unwrap().execute_batch("CREATE TABLE other (x)").unwrap();
    for (path, words) in [
        (directory.path().join("missing.db"), "cannot be opened"),
        (directory.path().to_owned(), "is not a file"),
        (text, "is not a SQLite database"),
        (empty, "has no table `content`"),
    ] {
        let error = Dashboard::sqlite(&path).await.unwrap_err().to_string();
        assert!(error.contains(words) && error.contains(path.to_str().unwrap()), "{error}");
        assert!(!path.ends_with("missing.db") || !path.exists());
        let error = migrate::run(&path, "postgres://u:hunter2@127.0.0.1:1/x").await.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let error = Dashboard::postgres("postgres://u:hunter2@127.0.0.1:1/x").await.unwrap_err().to_string();
    assert!(error.contains("cannot be reached") && !error.contains("hunter2"), "{error}");
    let error = Dashboard::postgres("postgres:/u:hunter2@nowhere").await.unwrap_err().to_string();
    assert!(error.contains("not valid") && !error.contains("hunter2"), "{error}");
    let url = pg_database().await;
    let error = Dashboard::postgres(&url).await.unwrap_err().to_string();
    assert!(error.contains("flipgate migrate"), "{error}");
    let error = Dashboard::postgres(&url.replace("/test_", "/not_")).await.unwrap_err().to_string();
    assert!(error.contains("no such database"), "{error}");
}
