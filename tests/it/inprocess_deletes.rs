//! What deletes and copies leave behind: tombstones, old copies, followers that lack a record.

use crate::both_stores::*;
use crate::write_rig::*;
use flipgate::backend::Backend;
use http::Method;
use serde_json::json;

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

/// A second delete finds nothing, and says less than the first did.
#[tokio::test(flavor = "multi_thread")]
async fn a_delete_again_forgets_nothing() {
    let mut both = Both::of(&[SCHEMA, PLAIN]).await;
    for (name, times) in [("yt:kfbyor0_kuw", 2), ("yt:kfbyor0_kuw", 1)] {
        for _ in 0..times {
            both.apply(delete(name)).await;
        }
        for _ in 0..2 {
            let old =
                ingest(json!({"video_id":"kfByOR0_Kuw","title":"back","indexed_at":"2026-11-25T20:00:00Z"}));
            assert_eq!(both.apply(old).await.status, 409);
        }
    }
    both.assert_equal().await;
}

/// A name that no record has, and that one has with a prefix, holds nothing that is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_delete_of_nothing_is_none_of_what_is_there() {
    let mut both = Both::of(&[SCHEMA, PLAIN]).await;
    for _ in 0..2 {
        assert_eq!(both.apply(delete("kfbyor0_kuw")).await.status, 404);
    }
    both.assert_equal().await;
    let file = crate::command::sqlite(&both.library.path);
    let told = crate::command::flipgate(&["migrate", "--from", &both.stores.url, "--to", &file]).await;
    assert_eq!(sqlite_rows(&both.library.path, "SELECT count(*) FROM content"), 2, "{told:?}");
    both.assert_equal().await;
}

/// The follower has no such record: its tombstone names the video all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_names_the_video_also_where_the_record_was_not() {
    let both = Both::of(&[SCHEMA, PLAIN]).await;
    for (leader, follower) in [(&both.sqlite, &both.postgres), (&both.postgres, &both.sqlite)] {
        let empty = "DELETE FROM content; DELETE FROM tombstones";
        let number = if std::ptr::eq(leader, &both.sqlite) {
            both.stores.execute(empty).await;
            1
        } else {
            rusqlite::Connection::open(&both.library.path)
                .unwrap()
                .execute("DELETE FROM content", [])
                .unwrap();
            both.stores.execute("DELETE FROM tombstones").await;
            migrate_plain(&both.stores.url).await;
            2
        };
        let mut write = write(number);
        let told = send(leader, &delete("yt:kfbyor0_kuw"), &write).await;
        assert_eq!(told.status, 200, "{told:?}");
        write.effect = told.effect;
        assert_eq!(send(follower, &delete("yt:kfbyor0_kuw"), &write).await.status, 404);
        let old = json!({"video_id":"kfByOR0_Kuw","indexed_at":"2026-11-25T20:00:00Z"});
        let told = send(follower, &ingest(old), &self::write(number + 10)).await;
        assert_eq!(told.status, 409, "{told:?}");
    }
}

async fn migrate_plain(url: &str) {
    flipgate::migrate::run(&Library::of(&[SCHEMA, PLAIN]).path, url).await.unwrap();
}

/// A video id that PostgreSQL cannot hold names no video there.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_whose_video_id_is_no_text_gets_one() {
    let odd = "INSERT INTO content (id, video_id, title) VALUES
        ('yt:blobblobblo', CAST('blobblobblo' AS BLOB), 'b'), ('yt:nulnulnulnu', 'x' || char(0), 'b')";
    let mut both = Both::of(&[SCHEMA, PLAIN, odd]).await;
    for video in ["blobblobblo", "nulnulnulnu"] {
        let item = json!({"variant":"a","text":"t"});
        let payload = json!({"video_id":video,"title":"x","summary_variants":[item]});
        for _ in 0..2 {
            assert_eq!(both.apply(ingest(payload.clone())).await.status, 200);
            both.assert_equal().await;
        }
        assert_eq!(both.stores.json(&format!("/api/reports/{video}")).await["summary"]["text"], "t");
    }
}

/// A copy made between two writes is older than what both stores have, and no conflict.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_from_between_two_writes_is_an_old_one() {
    let mut both = Both::of(&[SCHEMA, PLAIN]).await;
    let item = |text: &str, changed: &str| {
        ingest(json!({"video_id":"newnewnewne","summary_variants":[{"variant":"audio","text":text},
            {"variant":"executive","text":changed,"revision":3}]}))
    };
    both.apply(item("one", "one")).await;
    let copy = both.library.path.with_extension("copy");
    std::fs::copy(&both.library.path, &copy).unwrap();
    both.apply(item("two", "two")).await;
    let told = crate::command::flipgate(&[
        "migrate",
        "--from",
        &crate::command::sqlite(&copy),
        "--to",
        &both.stores.url,
    ])
    .await;
    assert_eq!(told.code, 0, "{told:?}");
    both.assert_equal().await;
}

/// A change of a record that the follower does not have would make another record of it there.
#[tokio::test(flavor = "multi_thread")]
async fn a_follower_makes_no_record_of_a_change_to_one() {
    let both = Both::of(&[SCHEMA, PLAIN]).await;
    let beside = r#"INSERT INTO content (id, video_id, title, subcategories_json, updated_at) VALUES ('yt:besidebesid',
        'besidebesid', 'Beside', '{"categories":[{"category":"A","subcategories":["b"]}]}', '2026-11-25')"#;
    rusqlite::Connection::open(&both.library.path).unwrap().execute_batch(beside).unwrap();
    let (request, mut write) = (ingest(json!({"video_id":"besidebesid","title":"x"})), write(1));
    let first = send(&both.sqlite, &request, &write).await;
    assert_eq!(first.status, 200);
    write.effect = first.effect;
    let refused = send(&both.postgres, &request, &write).await;
    assert_eq!((refused.status, refused.is_final), (409, true));
    assert!(refused.body["error"].as_str().unwrap().contains("run `flipgate migrate`"), "{refused:?}");
    flipgate::migrate::run(&both.library.path, &both.stores.url).await.unwrap();
    both.assert_equal().await;
    write.id = "again".into();
    assert_eq!(send(&both.postgres, &request, &write).await.status, 200);
    both.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_is_refused_explains_no_loss() {
    let both = Both::of(&[SCHEMA, PLAIN]).await;
    for (secret, deletes) in [("wrong", 0), (SECRET, 1)] {
        let headers = [("authorization", format!("Bearer {secret}"))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let ask = ask(Method::DELETE, "/api/delete/aaaaaaaaaa2", &headers, "");
        told(both.sqlite.write(ask, &write(1)).await.unwrap());
        assert_eq!(both.sqlite.own_deletes(), deletes);
    }
}
