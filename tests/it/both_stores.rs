//! One library in both stores, and what to ask of them.

use crate::harness::{pg_database, shared};
use flipgate::dashboard::{Answer, Dashboard};
use flipgate::migrate;
use http::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use sqlx::Connection as _;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A fresh database with these options of `CREATE DATABASE`; `None` (said aloud) if this server does not know them.
pub(crate) async fn database_with(options: &str) -> Option<String> {
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
pub(crate) fn real_library() -> Option<PathBuf> {
    shared().map(|shared| shared.join("data/library.db"))
}

/// Both stores of one library.
pub(crate) struct Stores {
    pub(crate) sqlite: Dashboard,
    pub(crate) postgres: Dashboard,
    pub(crate) url: String,
}

impl Stores {
    pub(crate) async fn of(library: &Path) -> Self {
        Self::at(pg_database().await, library).await
    }

    pub(crate) async fn at(url: String, library: &Path) -> Self {
        migrate::run(library, &url).await.unwrap();
        let sqlite = Dashboard::sqlite(library).await.unwrap();
        let postgres = Dashboard::postgres(&url).await.unwrap();
        Self { sqlite, postgres, url }
    }

    /// The answer of both, which must be one.
    pub(crate) async fn both(&self, target: &str) -> Answer {
        let sqlite = self.sqlite.answer(&Method::GET, target).await.unwrap();
        let postgres = self.postgres.answer(&Method::GET, target).await.unwrap();
        let text = |answer: &Answer| String::from_utf8(answer.body.to_vec()).unwrap();
        assert_eq!(sqlite.status, postgres.status, "{target}");
        assert!(sqlite.status != StatusCode::SERVICE_UNAVAILABLE, "{target}");
        assert!(text(&sqlite) == text(&postgres), "{target}\n{}\n\n{}", text(&sqlite), text(&postgres));
        assert_eq!(sqlite.headers, postgres.headers, "{target}");
        sqlite
    }

    pub(crate) async fn json(&self, target: &str) -> Value {
        serde_json::from_slice(&self.both(target).await.body).unwrap()
    }

    pub(crate) async fn postgres_json(&self, target: &str) -> Value {
        let answer = self.postgres.answer(&Method::GET, target).await.unwrap();
        assert_eq!(answer.status, StatusCode::OK);
        serde_json::from_slice(&answer.body).unwrap()
    }

    pub(crate) async fn execute(&self, sql: &'static str) {
        let mut connection = sqlx::PgConnection::connect(&self.url).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    }

    /// Asks for everything the read API has of this library; says how many requests that were.
    pub(crate) async fn everything(&self) -> usize {
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

    pub(crate) async fn records(&self) -> Vec<String> {
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

    pub(crate) async fn pages(&self) -> Vec<String> {
        let total = self.json("/api/reports").await["pagination"]["total_count"].as_u64().unwrap();
        let sorts = SORTS.iter().flat_map(|sort| {
            let pages = 1..=total.div_ceil(7) + 1;
            pages.map(move |page| format!("/api/reports?sort={sort}&size=7&page={page}"))
        });
        sorts.collect()
    }

    /// Every value of every facet, alone and with others.
    pub(crate) async fn facets(&self) -> Vec<String> {
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

pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

pub(crate) const SORTS: [&str; 14] = [
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
pub(crate) const LISTS: &[&str] = &[
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

pub(crate) const SCHEMA: &str = "
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
pub(crate) const NASTY: &str = r#"
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
pub(crate) const IMPOSSIBLE: &str = "
    INSERT INTO content (id, video_id, title) VALUES (X'00', 'zzzzzzzzzz1', 'blob id'), (NULL, 'zzzzzzzzzz2', 'no id'),
        ('zz', 'tttttttttt1', 'second id for t1');
    INSERT INTO content_summaries (content_id, summary_text) VALUES ('gone', 'orphan'), (NULL, 'nobody''s');
    INSERT INTO summary_variants (video_id, variant_type, revision, content, created_at) VALUES
        ('gone', 'audio', 1, 'orphan', ''), ('tttttttttt1', 'audio', NULL, 'no revision', ''),
        ('tttttttttt1', 'audio', 5000000000, 'too high', '');";

pub(crate) struct Library {
    pub(crate) path: PathBuf,
    pub(crate) _directory: tempfile::TempDir,
}

impl Library {
    pub(crate) fn of(scripts: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nasty library #1?.db");
        let library = Self { path, _directory: directory };
        for script in scripts {
            library.execute(script);
        }
        library
    }

    pub(crate) fn execute(&self, script: &str) {
        let connection = rusqlite::Connection::open(&self.path).unwrap();
        // As Python opens it: orphans are possible.
        connection.pragma_update(None, "foreign_keys", false).unwrap();
        connection.execute_batch(script).unwrap();
    }
}
