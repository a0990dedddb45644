//! Writes that flipgate does not make: who may not write, what cannot be meant, what was deleted or curated.

use crate::both_stores::*;
use crate::write_rig::*;
use flipgate::backend::inprocess::{InProcess, Store};
use flipgate::backend::{Backend, Write};
use flipgate::config::WriteSecrets;
use http::Method;
use serde_json::{Value, json};

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
