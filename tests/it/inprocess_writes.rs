//! Writes that flipgate makes itself: alike in both stores, and once in effect.

use crate::both_stores::*;
use crate::client;
use crate::harness::Setup;
use crate::write_rig::*;
use flipgate::backend::{Backend, Settled, Write};
use serde_json::{Value, json};
use sqlx::Connection as _;
use std::time::Duration;

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

/// What the leader made of a write is made of it again, whatever the follower would have made of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_follower_does_what_the_leader_did() {
    let both = Both::of(&[SCHEMA, PLAIN]).await;
    let item = |text: &str| json!([{"variant":"audio","text":text}]);
    for backend in [&both.sqlite, &both.postgres] {
        let effect = json!({"id":"web:other","revisions":{"audio":7}}).to_string();
        let led = Write { effect: Some(effect.clone()), ..write(1) };
        let request = ingest(json!({"video_id":"nnnnnnnnnnN","summary_variants":item("one")}));
        let told = send(backend, &request, &led).await;
        assert_eq!(told.effect.as_deref(), Some(effect.as_str()));
        let request = ingest(json!({"video_id":"nnnnnnnnnnN","summary_variants":item("two")}));
        let led = Write { effect: Some(effect), ..write(2) };
        send(backend, &request, &led).await;
        let effect = json!({"ids":["yt:aaaaaaaaaa2","gone"]}).to_string();
        let led = Write { effect: Some(effect), ..write(3) };
        assert_eq!(send(backend, &delete("kfByOR0_Kuw"), &led).await.body["deleted"], 2);
        let refused =
            send(backend, &ingest(json!({"video_id":"x","indexed_at":"2025-01-01"})), &write(4)).await;
        assert_eq!(refused.status, 200, "only what was named is held");
    }
    let found = both.stores.json("/api/reports/web:other").await;
    assert_eq!(
        (found["video_id"].as_str(), found["summary"]["text"].as_str()),
        (Some("nnnnnnnnnnN"), Some("two"))
    );
    let sql = "SELECT group_concat(revision || content) = '7two' FROM summary_variants WHERE video_id = 'nnnnnnnnnnN'";
    assert_eq!(sqlite_rows(&both.library.path, sql), 1);
    let sql =
        "SELECT count(*) FROM flipgate_tombstones WHERE id IN ('yt:aaaaaaaaaa2', 'gone', 'yt:kfbyor0_kuw')";
    assert_eq!(sqlite_rows(&both.library.path, sql), 3);
    assert_eq!(rows(&both.stores.url, "SELECT count(*) FROM tombstones WHERE NOT named").await, 3);
    both.assert_equal().await;
}

/// Through a running flipgate that sends writes to its leader alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_writes_through_flipgate() {
    let library = Library::of(&[SCHEMA, PLAIN]);
    let stores = Stores::of(&library.path).await;
    let sqlite = format!("sqlite:{}", library.path.display());
    let flipgate = Setup::with_config(&sqlite, &stores.url, "[writes]\nmode = \"primary\"\n")
        .environment("SYNC_SECRET", SECRET)
        .environment("INGEST_TOKEN", TOKEN)
        .start()
        .await;
    let payload = json!({"video_id":"nnnnnnnnnnN","title":"New"}).to_string();
    for coding in
        [&[("X-INGEST-TOKEN", TOKEN)][..], &[("X-INGEST-TOKEN", TOKEN), ("Transfer-Encoding", "chunked")]]
    {
        let answer = client::request(flipgate.proxy, "POST", "/ingest/report", coding, payload.as_bytes())
            .await
            .unwrap();
        assert_eq!((answer.status, answer.json()), (200, json!({"upserted":1,"summaries_upserted":0})));
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    assert_eq!(flipgate.get("/api/reports/nnnnnnnnnnN").await.json()["title"], "New");
    let bearer = format!("Bearer {SECRET}");
    for (target, status) in
        [("/api/delete/yt%3AnnnnnnnnnnN", 200), ("/api/delete/nnnnnnnnnnN", 404), ("/api/delete/_", 404)]
    {
        let headers = [("Authorization", bearer.as_str())];
        let answer = client::request(flipgate.proxy, "DELETE", target, &headers, b"").await.unwrap();
        assert_eq!(answer.status, status, "{target} {}", answer.text());
        let answer = client::request(flipgate.proxy, "DELETE", target, &[], b"").await.unwrap();
        assert_eq!(answer.status, 401, "{target}");
    }
    assert_eq!(flipgate.get("/api/reports/nnnnnnnnnnN").await.status, 404);
    assert_eq!(sqlite_rows(&library.path, "SELECT count(*) FROM content"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_a_tombstone_stood_against_is_applied_once_that_is_gone() {
    let both = Both::of(&[SCHEMA, PLAIN]).await;
    let backend = &both.sqlite;
    assert_eq!(send(backend, &delete("aaaaaaaaaa2"), &write(1)).await.status, 200);
    let older = ingest(json!({"video_id":"aaaaaaaaaa2","title":"back","indexed_at":"2026-11-25T20:00:00Z"}));
    assert_eq!(send(backend, &older, &write(2)).await.status, 409);
    let library = rusqlite::Connection::open(&both.library.path).unwrap();
    library.execute("DELETE FROM flipgate_tombstones", []).unwrap();
    // What an operator's retry sends.
    for _ in 0..2 {
        assert_eq!(send(backend, &older, &write(2)).await.status, 200);
    }
    assert_eq!(sqlite_rows(&both.library.path, "SELECT count(*) FROM content WHERE title = 'back'"), 1);
}
