//! Deletes hold when a library from before them is copied once more, and what was curated stays.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection as Sqlite;
use serde_json::{Value, json};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use crate::both_stores::real_library;
use crate::command;
use crate::harness::{Flipgate, pg_database};
use crate::written::{Stores, VARIANT, Write, Writer, all_delivered};

const DELETED: usize = 5;
const NEW: &str = "nEw-vIdE0__";

/// Curated documents by record id.
type Curated = BTreeMap<String, Value>;

fn curated_in_sqlite(path: &Path) -> Curated {
    let sqlite = Sqlite::open(path).unwrap();
    let sql = "SELECT id, subcategories_json FROM content WHERE subcategories_json IS NOT NULL";
    let mut statement = sqlite.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?))).unwrap();
    rows.map(Result::unwrap).map(|(id, text)| (id, serde_json::from_str(&text).unwrap())).collect()
}

async fn curated_in_postgres(url: &str) -> Curated {
    let mut postgres = PgConnection::connect(url).await.unwrap();
    let sql = "SELECT id, subcategories_json::text FROM content WHERE subcategories_json IS NOT NULL";
    let rows: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&mut postgres).await.unwrap();
    rows.into_iter().map(|(id, text)| (id, serde_json::from_str(&text).unwrap())).collect()
}

/// Ids and video ids of records with a curated document.
fn names(library: &Path) -> Vec<(String, String)> {
    let sqlite = Sqlite::open(library).unwrap();
    let sql = "SELECT id, video_id FROM content WHERE video_id <> '' AND subcategories_json IS NOT NULL ORDER BY id";
    let mut statement = sqlite.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// What a payload without subcategories looks like.
fn bare(video_id: &str) -> Write {
    Write::ingest(&json!({
        "video_id": video_id,
        "title": "told anew",
        "subcategories_json": {"categories": []},
        "summary_variants": [{"variant": VARIANT, "text": "summed up anew"}],
    }))
}

async fn status(flipgate: &Flipgate, id: &str) -> u16 {
    flipgate.get(&format!("/api/reports/{}", id.replace(':', "%3A"))).await.status
}

/// Deletes some, ingests others, then copies a library from before all that once more.
async fn an_old_copy_undoes_nothing(stores: &Stores) {
    let (before, old) = (curated_in_sqlite(&stores.library), stores.path("before.db"));
    std::fs::copy(&stores.library, &old).unwrap();
    let names = names(&stores.library);
    let (deleted, others) = names.split_at(DELETED);
    let told_anew = &others[..3];
    let flipgate = stores.setup(&stores.url, "").start().await;
    let mut writer = Writer::to(flipgate.proxy);
    for (place, (id, video_id)) in deleted.iter().enumerate() {
        let name = if place % 2 == 0 { id } else { video_id };
        writer.taken(&Write::delete(&name.replace(':', "%3A"))).await;
    }
    for (_, video_id) in told_anew {
        writer.taken(&bare(video_id)).await;
    }
    writer.taken(&Write::report(NEW, "new", "a new one")).await;
    all_delivered(&flipgate).await;
    stores.assert_equal().await;

    let copied = command::flipgate(&["migrate", "--from", &command::sqlite(&old), "--to", &stores.url]).await;
    assert!(copied.code == 0, "{copied:?}");

    for (id, video_id) in deleted {
        for name in [id, video_id] {
            assert_eq!(status(&flipgate, name).await, 404, "{name} is back");
        }
    }
    let mut wanted = before;
    wanted.retain(|id, _| !deleted.iter().any(|(deleted, _)| deleted == id));
    assert_eq!(wanted.len(), names.len() - DELETED);
    for (store, curated, records) in [
        ("sqlite", curated_in_sqlite(&stores.library), stores.in_sqlite()),
        ("postgres", curated_in_postgres(&stores.url).await, stores.in_postgres().await),
    ] {
        let differing: Vec<_> = wanted.iter().filter(|(id, one)| curated.get(*id) != Some(one)).collect();
        assert!(differing.is_empty(), "{store} lost what was curated: {differing:?}");
        for (id, video_id) in deleted {
            assert!(!records.contains_key(video_id), "{id} is back in {store}");
        }
        for (_, video_id) in told_anew {
            let record = &records[video_id];
            assert_eq!(record.title, "told anew", "{store} took an older copy for newer");
            assert_eq!(record.revisions.last().unwrap().1, "summed up anew", "{store}");
        }
        assert_eq!(records[NEW].revisions, [(1, "a new one".to_owned())], "{store}");
    }
    stores.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_from_before_the_deletes_brings_nothing_back_and_takes_no_subcategories_away() {
    let stores = Stores::generated(&pg_database().await).await;
    an_old_copy_undoes_nothing(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_one_of_the_real_library() {
    let Some(library) = real_library() else { return };
    let stores = Stores::of(&library, &pg_database().await).await;
    an_old_copy_undoes_nothing(&stores).await;
}
