//! Both stores answer every read of a library with the same bytes, and an UPDATE in either shows.

use crate::both_stores::*;
use crate::harness::pg_database;
use flipgate::dashboard::Dashboard;
use flipgate::migrate;
use http::{Method, StatusCode};
use serde_json::{Value, json};

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
