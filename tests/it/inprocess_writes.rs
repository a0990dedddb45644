//! Writes that flipgate makes itself: alike in both stores, once in effect, and never more than was asked for.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use flipgate::backend::body::{AnswerBody, RequestBody};
use flipgate::backend::inprocess::{InProcess, Store};
use flipgate::backend::{Ask, Backend, Head, Role, Settled, Write, Written};
use flipgate::config::{Secret, WriteSecrets};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::both_stores::{Library, NASTY, SCHEMA, Stores, encoded};

const SECRET: &str = "s3cret";
const TOKEN: &str = "t0ken";

/// A library of two ordinary records, one with curated subcategories and a summary.
const PLAIN: &str = r#"
    INSERT INTO content (id, video_id, title, indexed_at, subcategories_json, updated_at) VALUES
        ('yt:kfbyor0_kuw', 'kfByOR0_Kuw', 'One', '2025-09-17 06:34:00',
            '{"categories":[{"category":"History","subcategories":["Modern"]}]}', '2025-09-17'),
        ('yt:aaaaaaaaaa2', 'aaaaaaaaaa2', 'Two', '2025-09-17T06:34:00Z', NULL, NULL);
    INSERT INTO content_summaries (content_id, summary_text, summary_type, created_at)
        VALUES ('yt:kfbyor0_kuw', 'old', 'comprehensive', '2025-01-01');
    INSERT INTO summary_variants (video_id, variant_type, revision, content, created_at)
        VALUES ('kfByOR0_Kuw', 'comprehensive', 1, 'old', '2025-01-01');"#;

/// What is asked, without its secret.
#[derive(Debug, Clone)]
enum Request {
    Ingest(Value),
    Delete(String),
}

/// One answer.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    status: u16,
    body: Value,
    effect: Option<String>,
    is_final: bool,
}

/// Both stores of a library, written to by flipgate.
struct Both {
    library: Library,
    stores: Stores,
    sqlite: InProcess,
    postgres: InProcess,
    writes: u32,
}

fn secrets() -> WriteSecrets {
    WriteSecrets { sync: Some(Secret::new(SECRET.into())), ingest: Some(Secret::new(TOKEN.into())) }
}

fn start() -> DateTime<Utc> {
    "2026-11-25T21:00:00.123456Z".parse().unwrap()
}

fn write(number: u32) -> Write {
    let at = start() + TimeDelta::seconds(i64::from(number));
    Write {
        id: format!("write-{number}"),
        at,
        by: "tests".into(),
        effect: None,
        unfinished_since: start() - TimeDelta::hours(1),
    }
}

fn ask(method: Method, target: &str, headers: &[(&'static str, &str)], body: &str) -> Ask {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, HeaderValue::from_str(value).unwrap());
    }
    Ask {
        head: Arc::new(Head { method, uri: target.parse().unwrap(), headers: map, repeatable: false }),
        role: Role::Primary,
        body: RequestBody::Collected((!body.is_empty()).then(|| body.to_owned().into())),
        patience: Duration::from_secs(30),
    }
}

impl Request {
    fn ask(&self) -> Ask {
        match self {
            Self::Ingest(payload) => {
                ask(Method::POST, "/ingest/report", &[("x-ingest-token", TOKEN)], &payload.to_string())
            }
            Self::Delete(name) => {
                let target = format!("/api/delete/{}", encoded(name));
                ask(Method::DELETE, &target, &[("authorization", &format!("Bearer {SECRET}"))], "")
            }
        }
    }
}

fn told(written: Written) -> Told {
    let status = written.answered.answer.status().as_u16();
    let body = match written.answered.answer.into_body() {
        AnswerBody::Made(bytes) => serde_json::from_slice(&bytes.unwrap()).unwrap(),
        other => panic!("{other:?}"),
    };
    Told { status, body, effect: written.effect, is_final: written.is_final }
}

async fn send(backend: &InProcess, request: &Request, write: &Write) -> Told {
    told(backend.write(request.ask(), write).await.unwrap())
}

async fn rows(url: &str, sql: &'static str) -> i64 {
    let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
}

fn sqlite_rows(path: &Path, sql: &str) -> i64 {
    rusqlite::Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

impl Both {
    async fn of(scripts: &[&str]) -> Self {
        let library = Library::of(scripts);
        let stores = Stores::of(&library.path).await;
        let sqlite = InProcess::new(Store::Sqlite(library.path.clone()), secrets());
        let postgres = InProcess::new(Store::Postgres(stores.url.clone()), secrets());
        Self { library, stores, sqlite, postgres, writes: 0 }
    }

    /// Sends it to one store first and, as the journal does, to the other where that took it. They take turns.
    async fn apply(&mut self, request: Request) -> Told {
        self.writes += 1;
        let (leader, follower) = if self.writes.is_multiple_of(2) {
            (&self.sqlite, &self.postgres)
        } else {
            (&self.postgres, &self.sqlite)
        };
        let mut write = write(self.writes);
        let first = send(leader, &request, &write).await;
        assert_eq!(send(leader, &request, &write).await, first, "a second time: {request:?}");
        let is_taken = first.status == 200 || (first.status == 404 && matches!(request, Request::Delete(_)));
        if is_taken {
            write.effect = first.effect.clone();
            let second = send(follower, &request, &write).await;
            assert_eq!((second.status, &second.body), (first.status, &first.body), "{request:?}");
        }
        first
    }

    async fn assert_equal(&self) {
        let options = flipgate::verify::Options { expect_subcategories: None };
        let found = flipgate::verify::run(&self.library.path, &self.stores.url, &options).await.unwrap();
        assert!(found.differences.is_empty(), "{:#?}", found.differences);
        for table in &found.tables {
            let lost = [table.differing, table.missing, table.additional, table.tombstoned];
            assert_eq!((lost, table.sqlite), ([0; 4], table.postgres), "{table:?}");
        }
    }
}

fn ingest(payload: Value) -> Request {
    Request::Ingest(payload)
}

fn delete(name: &str) -> Request {
    Request::Delete(name.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_writes_leave_both_stores_the_same() {
    let mut both = Both::of(&[SCHEMA, NASTY, PLAIN]).await;
    let analysis = json!({"content_type":"Talk","language":"fr","category":["A–B"],"named_entities":[1.50],"key_topics":["x\u{0}"]});
    let requests = [
        // New, whole and bare.
        ingest(
            json!({"video_id":"nnnnnnnnnnN","title":"New","channel_name":"C","indexed_at":"2026-01-01 10:00:00",
            "duration_seconds":"61","thumbnail_url":"t","canonical_url":"c","published_at":"2025",
            "subcategories_json":{"categories":[{"category":"X","subcategories":["Y"]}]},
            "analysis_json":analysis,"topics_json":"[ \"a\" ]","media":{"has_audio":"true","transcript_chars":7},
            "summary_variants":[{"variant":"audio","text":"one"},{"variant":"executive","html":"<p>x</p>","revision":4}]}),
        ),
        ingest(json!({"video_id":"not eleven chars"})),
        ingest(
            json!({"video_id":"nul","title":"a\u{0}b","summary_variants":[{"variant":"v","text":"t\u{0}"}]}),
        ),
        // Further revisions, given ones again, and the summary that the API shows.
        ingest(json!({"video_id":"nnnnnnnnnnN","summary_variants":[{"variant":"audio","text":"two"}]})),
        ingest(
            json!({"video_id":"nnnnnnnnnnN","summary_variants":[{"variant":"executive","text":"lower","revision":2},
            {"variant":"executive","text":"changed","revision":4}]}),
        ),
        ingest(
            json!({"video_id":"kfByOR0_Kuw","summary_variants":[{"variant":"comprehensive","text":"new"}]}),
        ),
        ingest(
            json!({"video_id":"tttttttttt1","title":"changed","summary_variants":[{"variant":"audio","text":"a"}]}),
        ),
        ingest(
            json!({"video_id":"tttttttttt2","summary_variants":[{"variant":"comprehensive","text":"for NULL"}]}),
        ),
        ingest(json!({"video_id":"tttttttttt3","summary_variants":[{"variant":"alpha","text":"a11"}]})),
        // Records of odd cells, of which one is changed; found by id, and one that gets its video.
        ingest(json!({"video_id":"jjjjjjjjjj1","title":"x"})),
        ingest(json!({"video_id":"jjjjjjjjjj4","analysis_json":{"n":2}})),
        ingest(json!({"video_id":"nnnnnnnnnn1","channel_name":"x"})),
        ingest(json!({"video_id":"nnnnnnnnnn2","duration_seconds":5})),
        ingest(json!({"video_id":"bbbbbbbbbbb","published_at":"x"})),
        ingest(json!({"video_id":"tttttttttt9","media":{"has_audio":false}})),
        ingest(json!({"video_id":"xss","title":"by id"})),
        // Deletes by each spelling.
        delete("yt:kfbyor0_kuw"),
        delete("aaaaaaaaaa2"),
        delete("yt:tttttttttt4"),
        delete("nothing-else"),
        delete("slash/and space?"),
        delete("née"),
        delete("nobody"),
    ];
    for request in requests {
        let first = both.apply(request.clone()).await;
        let expected = if matches!(&request, Request::Delete(name) if name == "nobody" || name.contains('/'))
        {
            first.status
        } else {
            200
        };
        assert_eq!(first.status, expected, "{request:?} {first:?}");
        both.assert_equal().await;
    }
    both.stores.everything().await;
    assert_eq!(
        sqlite_rows(&both.library.path, "SELECT count(*) FROM content WHERE video_id = 'tttttttttt4'"),
        0
    );
    let report = both.stores.json("/api/reports/tttttttttt1").await;
    assert_eq!((report["title"].as_str(), report["summary"]["text"].as_str()), (Some("changed"), Some("a")));
    let report = both.stores.json("/api/reports/nnnnnnnnnnN").await;
    assert_eq!(report["analysis"]["content_type"], "Talk");
    assert_eq!(report["duration_seconds"], 61);
    assert_eq!(report["summary"]["text"], "changed", "the latest of executive comes before audio");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_a_payload_does_not_change_is_not_written() {
    let mut both = Both::of(&[SCHEMA, NASTY, PLAIN]).await;
    let payload =
        json!({"video_id":"jjjjjjjjjj3","title":"j3","summary_variants":[{"variant":"audio","text":"x"}]});
    let first = both.apply(ingest(payload.clone())).await;
    let before = both.stores.json("/api/reports?size=50").await;
    let again = both.apply(ingest(payload)).await;
    assert_eq!((first.body, first.effect), (again.body, again.effect));
    assert_eq!(both.stores.json("/api/reports?size=50").await, before);
    let sql = "SELECT count(*) FROM content WHERE updated_at LIKE '%21:00:02%'";
    assert_eq!(sqlite_rows(&both.library.path, sql), 0, "the second write is not told as one");
    let sql = "SELECT count(*) FROM summary_variants WHERE video_id = 'jjjjjjjjjj3'";
    assert_eq!(sqlite_rows(&both.library.path, sql), 1);
    both.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_applied_once() {
    let both = Both::of(&[SCHEMA, PLAIN]).await;
    for backend in [&both.sqlite, &both.postgres] {
        let summary =
            |text: &str| json!({"video_id":"aaaaaaaaaa2","summary_variants":[{"variant":"a","text":text}]});
        let first = send(backend, &ingest(summary("one")), &write(1)).await;
        assert_eq!(first.status, 200);
        // Whatever comes under the id of a write that was applied.
        assert_eq!(send(backend, &ingest(summary("two")), &write(1)).await, first);
        assert_eq!(send(backend, &delete("aaaaaaaaaa2"), &write(1)).await, first);
        let unknown = send(backend, &delete("unknown"), &write(2)).await;
        assert_eq!(unknown.status, 404);
        send(backend, &ingest(json!({"video_id":"unknown","indexed_at":"2030-01-01"})), &write(3)).await;
        assert_eq!(send(backend, &delete("unknown"), &write(2)).await, unknown);
        assert_eq!(send(backend, &delete("unknown"), &write(4)).await.status, 200);
    }
    let sql = "SELECT count(*) FROM summary_variants WHERE video_id = 'aaaaaaaaaa2' AND content = 'one'";
    assert_eq!(sqlite_rows(&both.library.path, sql), 1);
    both.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_in_doubt_is_settled() {
    let both = Both::of(&[SCHEMA, PLAIN]).await;
    for backend in [&both.sqlite, &both.postgres] {
        assert!(backend.remembers());
        let done = send(backend, &ingest(json!({"video_id":"aaaaaaaaaa2","title":"done"})), &write(1)).await;
        let settled = backend.settle("write-1").await.unwrap();
        assert_eq!(settled, Settled::Done { status: 200, effect: done.effect });
        for _ in 0..2 {
            assert_eq!(backend.settle("write-2").await.unwrap(), Settled::Never);
        }
        let late = send(backend, &ingest(json!({"video_id":"aaaaaaaaaa2","title":"late"})), &write(2)).await;
        assert_eq!((late.status, late.is_final), (409, true), "{late:?}");
    }
    assert_eq!(both.stores.json("/api/reports/aaaaaaaaaa2").await["title"], "done");
    both.assert_equal().await;
}

/// A transaction of another connection has the id and has not ended: settling waits for it, and is told what came of it.
#[tokio::test(flavor = "multi_thread")]
async fn settling_waits_for_a_transaction_under_way() {
    let both = Both::of(&[SCHEMA, PLAIN]).await;
    for (end, expected) in
        [("COMMIT", Settled::Done { status: 200, effect: Some("{}".into()) }), ("ROLLBACK", Settled::Never)]
    {
        let mut other = sqlx::PgConnection::connect(&both.stores.url).await.unwrap();
        let sql = format!(
            "BEGIN; INSERT INTO flipgate_writes (id, at, status, effect) VALUES ('{end}', now(), 200, '{{}}')"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut other).await.unwrap();
        let mut settling = both.postgres.settle(end);
        tokio::time::timeout(Duration::from_millis(200), &mut settling).await.expect_err("it did not wait");
        sqlx::raw_sql(end).execute(&mut other).await.unwrap();
        assert_eq!(settling.await.unwrap(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_comes_back_only_if_it_is_newer() {
    let mut both = Both::of(&[SCHEMA, PLAIN]).await;
    let indexed = |video: &str, at: &str| ingest(json!({"video_id":video,"title":"back","indexed_at":at}));
    let (before, after) = ("2026-11-25T20:00:00Z", "2026-11-25T22:00:00Z");
    for name in ["kfByOR0_Kuw", "yt:aaaaaaaaaa2"] {
        let video = name.trim_start_matches("yt:");
        assert_eq!(both.apply(delete(name)).await.status, 200);
        for _ in 0..2 {
            // Both leaders refuse.
            let refused = both.apply(indexed(video, before)).await;
            assert_eq!((refused.status, refused.is_final), (409, true));
            assert!(
                refused.body["error"].as_str().unwrap().contains("was deleted at 2026-11-25T21:00"),
                "{refused:?}"
            );
        }
        assert_eq!(both.apply(indexed(video, after)).await.status, 200);
        both.assert_equal().await;
        assert_eq!(both.apply(indexed(video, before)).await.status, 200, "it is there");
    }
    // A name that no record has is held as well, under either spelling.
    for name in ["yt:nobody", "noone"] {
        assert_eq!(both.apply(delete(name)).await.status, 404);
        let video = name.trim_start_matches("yt:");
        for _ in 0..2 {
            assert_eq!(both.apply(indexed(video, before)).await.status, 409);
        }
        let without = both.apply(ingest(json!({"video_id":video}))).await;
        assert_eq!(without.status, 200, "without a time it is as new as the write");
    }
    assert_eq!(rows(&both.stores.url, "SELECT count(*) FROM tombstones").await, 0);
    assert_eq!(sqlite_rows(&both.library.path, "SELECT count(*) FROM flipgate_tombstones"), 0);
    both.apply(delete("last")).await;
    let sql = "SELECT count(*) FROM tombstones WHERE id = 'last' AND video_id = 'last' AND named AND deleted_by = 'tests'";
    assert_eq!(rows(&both.stores.url, sql).await, 1);
    both.apply(delete("kfByOR0_Kuw")).await;
    let sql =
        "SELECT count(*) FROM tombstones WHERE id = 'yt:kfByOR0_Kuw' AND NOT named AND deleted_by = 'tests'
        AND deleted_at BETWEEN '2026-11-25T21:00:00Z' AND '2026-11-25T21:01:00Z'";
    assert_eq!(rows(&both.stores.url, sql).await, 1, "its time is the write's");
    both.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_is_a_name() {
    let both = Both::of(&[SCHEMA, PLAIN]).await;
    for (number, name) in ["_", "%", "yt:%", "kfByOR0_Ku_", "KFBYOR0_KUW", "*"].into_iter().enumerate() {
        for backend in [&both.sqlite, &both.postgres] {
            let told = send(backend, &delete(name), &write(u32::try_from(number).unwrap())).await;
            assert_eq!(told.status, 404, "{name}");
        }
    }
    for raw in ["/api/delete/%25", "/api/delete/_"] {
        let bearer = format!("Bearer {SECRET}");
        let answered =
            both.sqlite.ask(ask(Method::DELETE, raw, &[("authorization", &bearer)], "")).await.unwrap();
        assert_eq!(answered.answer.status(), 404);
    }
    assert_eq!(sqlite_rows(&both.library.path, "SELECT count(*) FROM content"), 2);
    both.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_knows_the_secret_may_write() {
    let both = Both::of(&[SCHEMA, PLAIN]).await;
    let unset = InProcess::new(Store::Sqlite(both.library.path.clone()), WriteSecrets::default());
    let (right, token) = (format!("Bearer {SECRET}"), TOKEN.to_owned());
    let cases: [(&InProcess, &'static str, &str, &str); 7] = [
        (&both.sqlite, "x-other", "", "SYNC_SECRET"),
        (&both.sqlite, "authorization", "Bearer wrong", "SYNC_SECRET"),
        (&both.sqlite, "authorization", SECRET, "SYNC_SECRET"),
        (&both.postgres, "authorization", "Bearer ", "SYNC_SECRET"),
        (&unset, "authorization", &right, "set SYNC_SECRET"),
        (&both.sqlite, "x-ingest-token", &right, "SYNC_SECRET"),
        (&both.sqlite, "authorization", &format!("Basic {SECRET}"), "SYNC_SECRET"),
    ];
    for (backend, header, value, said) in cases {
        for (method, target, body) in [
            (Method::DELETE, "/api/delete/aaaaaaaaaa2", ""),
            (Method::POST, "/api/delete?id=aaaaaaaaaa2", ""),
            (Method::POST, "/api/delete", r#"{"id":"aaaaaaaaaa2"}"#),
        ] {
            let ask = ask(method, target, &[(header, value)], body);
            let told = told(backend.write(ask, &write(1)).await.unwrap());
            assert_eq!(told.status, 401, "{header} {value}");
            assert!(told.body["error"].as_str().unwrap().contains(said), "{told:?}");
        }
    }
    let payload = r#"{"video_id":"aaaaaaaaaa2","title":"x"}"#;
    for (backend, header, value, status) in [
        (&both.sqlite, "x-ingest-token", "wrong", 401),
        (&both.sqlite, "authorization", right.as_str(), 401),
        (&unset, "x-ingest-token", token.as_str(), 401),
        (&both.sqlite, "x-ingest-token", token.as_str(), 200),
        (&both.postgres, "x-ingest-token", token.as_str(), 200),
    ] {
        let ask = ask(Method::POST, "/ingest/report", &[(header, value)], payload);
        assert_eq!(told(backend.write(ask, &write(2)).await.unwrap()).status, status, "{header} {value}");
    }
    assert_eq!(sqlite_rows(&both.library.path, "SELECT count(*) FROM content"), 2);
    for (method, target, body) in [
        (Method::POST, "/api/delete", r#"{"id":"aaaaaaaaaa2"}"#),
        (Method::POST, "/api/delete?id=yt:aaaaaaaaaa2", ""),
    ] {
        let backend = if body.is_empty() { &both.postgres } else { &both.sqlite };
        let ask = ask(method, target, &[("authorization", &right)], body);
        let told = told(backend.write(ask, &write(3)).await.unwrap());
        assert_eq!((told.status, &told.body), (200, &json!({"success":true,"deleted":1})));
    }
    both.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_cannot_be_meant_change_nothing() {
    let both = Both::of(&[SCHEMA, PLAIN]).await;
    let bearer = format!("Bearer {SECRET}");
    for (method, target, body, status) in [
        (Method::DELETE, "/api/delete/%20", "", 400),
        (Method::DELETE, "/api/delete/", "", 501),
        (Method::DELETE, "/api/delete/a/b", "", 501),
        (Method::POST, "/api/delete", "", 400),
        (Method::POST, "/api/delete", "[]", 400),
        (Method::POST, "/api/delete?id=a", r#"{"id":"b"}"#, 400),
        (Method::POST, "/ingest/report", "{}", 400),
        (Method::PUT, "/ingest/report", "{}", 501),
    ] {
        let takes = both.sqlite.takes_write(&method, target.split('?').next().unwrap());
        assert_eq!(takes, status != 501, "{method} {target}");
        let headers = [("authorization", bearer.as_str()), ("x-ingest-token", TOKEN)];
        let answered = both.sqlite.ask(ask(method.clone(), target, &headers, body)).await.unwrap();
        assert_eq!(answered.answer.status(), status, "{method} {target} {body}");
    }
    let long = format!(r#"{{"video_id":"v","title":"{}"}}"#, "x".repeat(8 * 1024 * 1024));
    let answered =
        both.sqlite.ask(ask(Method::POST, "/ingest/report", &[("x-ingest-token", TOKEN)], &long)).await;
    assert_eq!(answered.unwrap().answer.status(), 413);
    assert_eq!(sqlite_rows(&both.library.path, "SELECT count(*) FROM content"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn curated_subcategories_survive_a_payload_without_them() {
    let mut both = Both::of(&[SCHEMA, PLAIN]).await;
    let curated = || async { both_subcategories(&both.stores).await };
    let before = curated().await;
    assert!(before.contains("Modern"));
    for document in [
        Value::Null,
        json!({}),
        json!({"categories":[]}),
        json!({"categories":[{"category":"History","subcategories":[]}]}),
        json!(r#"{"categories":[{"category":"History"}]}"#),
        json!(" "),
    ] {
        let payload =
            json!({"video_id":"kfByOR0_Kuw","title":document.to_string(),"subcategories_json":document});
        assert_eq!(both.apply(ingest(payload)).await.status, 200);
        assert_eq!(both_subcategories(&both.stores).await, before, "{document}");
    }
    let other = json!({"categories":[{"category":"History","subcategories":["Ancient"]}]});
    both.apply(ingest(json!({"video_id":"kfByOR0_Kuw","subcategories_json":other}))).await;
    assert!(both_subcategories(&both.stores).await.contains("Ancient"));
    both.assert_equal().await;
}

async fn both_subcategories(stores: &Stores) -> String {
    stores.json("/api/reports/kfByOR0_Kuw").await["subcategories_json"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_ingests_of_one_new_video_follow_on_each_other() {
    let both = Both::of(&[SCHEMA, PLAIN]).await;
    for backend in [&both.sqlite, &both.postgres] {
        let requests: Vec<Request> = (0..8)
            .map(|number| {
                let item = json!({"variant":"audio","text":format!("body {number}")});
                ingest(json!({"video_id":"nnnnnnnnnnN","title":"t","summary_variants":[item]}))
            })
            .collect();
        let writes: Vec<Write> = (0..8).map(write).collect();
        let sent = requests.iter().zip(&writes).map(|(request, write)| send(backend, request, write));
        let told = futures_util::future::join_all(sent).await;
        let mut revisions: Vec<i64> = told
            .iter()
            .map(|told| {
                let effect: Value = serde_json::from_str(told.effect.as_deref().unwrap()).unwrap();
                effect["revisions"]["audio"].as_i64().unwrap()
            })
            .collect();
        revisions.sort_unstable();
        assert_eq!(revisions, (1..=8).collect::<Vec<_>>());
    }
    let latest = "SELECT count(*) FROM content_summaries WHERE video_id = 'nnnnnnnnnnN' AND is_latest AND revision = 8";
    assert_eq!(rows(&both.stores.url, latest).await, 1);
    let latest = "SELECT sum(is_latest * revision) FROM summary_variants WHERE video_id = 'nnnnnnnnnnN'";
    assert_eq!(sqlite_rows(&both.library.path, latest), 8);
}

/// A write that a trigger or a constraint of the store refuses takes nothing else with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_store_refuses_is_refused_alone() {
    let library = Library::of(&[&SCHEMA.replace("title TEXT,", "title TEXT CHECK (title <> 'bad'),"), PLAIN]);
    let sqlite = InProcess::new(Store::Sqlite(library.path.clone()), secrets());
    let titles = ["a", "bad", "b", "bad", "c"];
    let requests: Vec<Request> = titles
        .iter()
        .enumerate()
        .map(|(number, title)| ingest(json!({"video_id":format!("video{number}"),"title":title})))
        .collect();
    let writes: Vec<Write> = (0..5).map(write).collect();
    let sent = requests.iter().zip(&writes).map(|(request, write)| send(&sqlite, request, write));
    let statuses: Vec<u16> =
        futures_util::future::join_all(sent).await.iter().map(|told| told.status).collect();
    assert_eq!(statuses, [200, 409, 200, 409, 200]);
    assert_eq!(sqlite_rows(&library.path, "SELECT count(*) FROM content WHERE id LIKE 'yt:video%'"), 3);
    assert_eq!(
        sqlite_rows(&library.path, "SELECT count(*) FROM flipgate_writes"),
        3,
        "a refused one may come again"
    );
}

/// A store that cannot be written says so, and that nothing was done.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_not_there_is_one_where_nothing_was_done() {
    let both = Both::of(&[SCHEMA, PLAIN]).await;
    both.stores.execute("DROP TABLE flipgate_writes").await;
    let request = ingest(json!({"video_id":"aaaaaaaaaa2","title":"x"}));
    let error = both.postgres.write(request.ask(), &write(1)).await.unwrap_err();
    assert!(matches!(error, flipgate::backend::AskError::Store(_)), "{error:?}");
    assert!(error.to_string().contains("run `flipgate migrate` first"), "{error}");
    let missing = InProcess::new(Store::Sqlite("/nowhere/library.db".into()), secrets());
    let error = missing.write(request.ask(), &write(1)).await.unwrap_err();
    assert!(matches!(error, flipgate::backend::AskError::Store(_)), "{error:?}");
    // A file that comes in its place is written to.
    let other = Library::of(&[SCHEMA, PLAIN]);
    assert_eq!(send(&both.sqlite, &request, &write(1)).await.status, 200);
    std::fs::rename(&other.path, &both.library.path).unwrap();
    assert_eq!(send(&both.sqlite, &request, &write(1)).await.status, 200);
    let sql = "SELECT count(*) FROM content WHERE title = 'x'";
    assert_eq!(sqlite_rows(&both.library.path, sql), 1, "the new file knows nothing of the write");
}

/// A library of an older schema gets the columns and tables that a write needs.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_library_is_completed() {
    let old = "CREATE TABLE content (id TEXT PRIMARY KEY, Title TEXT, video_id TEXT, indexed_at TEXT);
        INSERT INTO content VALUES ('yt:a', 'One', 'aaaaaaaaaaa', '2025-01-01'), ('b', NULL, 'b', NULL)";
    let mut both = Both::of(&[old]).await;
    for _ in 0..2 {
        let told = both
            .apply(ingest(json!({"video_id":"aaaaaaaaaaa","channel_name":"C","media":{"has_audio":true},
                "summary_variants":[{"variant":"audio","text":"x"}]})))
            .await;
        assert_eq!(told.status, 200);
    }
    both.assert_equal().await;
    assert_eq!(both.apply(delete("b")).await.status, 200);
    both.assert_equal().await;
}

/// A request about one of few records, so that they meet each other in every order.
fn random(random: &mut fastrand::Rng) -> Request {
    const NAMES: [&str; 10] = [
        "kfByOR0_Kuw",
        "kfbyor0_kuw",
        "aaaaaaaaaa2",
        "jjjjjjjjjj4",
        "tttttttttt3",
        "nnnnnnnnnn1",
        "née",
        "new1",
        "new2",
        "yt:new1",
    ];
    let pick = |random: &mut fastrand::Rng, values: &[Value]| values[random.usize(..values.len())].clone();
    let name = NAMES[random.usize(..NAMES.len())];
    if random.u8(..5) == 0 {
        let prefix = if random.bool() { "yt:" } else { "" };
        return delete(&format!("{prefix}{name}"));
    }
    let documents = [
        json!(null),
        json!("{}"),
        json!({"categories":[{"category":"A–B","subcategories":["c"]}],"n":1.50}),
        json!(" {\"categories\" : [{\"category\":\"D\"}], \"n\":1e400} "),
        json!({"a":{"b":"\u{0}"},"language":"xx-YY","category":["A"],"key_topics":[1]}),
    ];
    let texts = [json!(null), json!(""), json!("a\u{0}"), json!("été"), json!(7)];
    let times =
        [json!(null), json!("2025-01-01"), json!("2030-01-01 00:00:00"), json!("2026-11-25T21:00:30.5+0000")];
    let numbers = [json!(null), json!("12.7"), json!(-3), json!("3000000000")];
    let variants: Vec<Value> = (0..random.usize(..3))
        .map(|position| {
            let (name, text) =
                (["alpha", "audio", "comprehensive"][position], ["one", "two", ""][random.usize(..3)]);
            let mut item = json!({"variant":name,"text":text,"html":"<b>"});
            if random.u8(..3) == 0 {
                item["revision"] = json!(random.u8(1..12));
            }
            item
        })
        .collect();
    ingest(json!({
        "video_id":name,
        "title":pick(random, &texts),
        "channel_name":pick(random, &texts),
        "indexed_at":pick(random, &times),
        "published_at":pick(random, &texts),
        "duration_seconds":pick(random, &numbers),
        "subcategories_json":pick(random, &documents),
        "analysis_json":pick(random, &documents),
        "topics_json":pick(random, &[json!(null), json!("[1.0, 2]"), json!(["x", null])]),
        "media":pick(random, &[json!(null), json!({"has_audio":"no","transcript_chars":9}), json!("{\"has_transcript\":1}")]),
        "summary_variants":variants,
    }))
}

/// Any writes in any order, each store leading at times.
#[tokio::test(flavor = "multi_thread")]
async fn random_writes_leave_both_stores_the_same() {
    let seed =
        std::env::var("FLIPGATE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(fastrand::u64(..));
    eprintln!("FLIPGATE_SEED={seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut both = Both::of(&[SCHEMA, NASTY, PLAIN]).await;
    let mut counts = std::collections::BTreeMap::new();
    for round in 0..300 {
        let request = random(&mut rng);
        if rng.bool() {
            // The other one leads.
            both.writes += 1;
        }
        let told = both.apply(request).await;
        *counts.entry(told.status).or_insert(0) += 1;
        if round % 20 == 19 {
            both.assert_equal().await;
        }
    }
    assert!(counts[&200] > 100 && counts.keys().all(|status| [200, 404, 409].contains(status)), "{counts:?}");
    both.stores.everything().await;
}
