//! Writes made by flipgate itself: how a test sends them to both stores, as the journal does.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use flipgate::backend::body::{AnswerBody, RequestBody};
use flipgate::backend::inprocess::{InProcess, Store};
use flipgate::backend::{Ask, Backend, Head, Role, Write, Written};
use flipgate::config::{Secret, WriteSecrets};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;
use sqlx::Connection as _;

use crate::both_stores::{Library, Stores, encoded};

pub(crate) const SECRET: &str = "s3cret";
pub(crate) const TOKEN: &str = "t0ken";

/// A library of two ordinary records, one with curated subcategories and a summary.
pub(crate) const PLAIN: &str = r#"
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
pub(crate) enum Request {
    Ingest(Value),
    Delete(String),
}

/// One answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) effect: Option<String>,
    pub(crate) is_final: bool,
}

/// Both stores of a library, written to by flipgate.
pub(crate) struct Both {
    pub(crate) library: Library,
    pub(crate) stores: Stores,
    pub(crate) sqlite: InProcess,
    pub(crate) postgres: InProcess,
    pub(crate) writes: u32,
}

pub(crate) fn secrets() -> WriteSecrets {
    WriteSecrets { sync: Some(Secret::new(SECRET.into())), ingest: Some(Secret::new(TOKEN.into())) }
}

pub(crate) fn start() -> DateTime<Utc> {
    "2026-11-25T21:00:00.123456Z".parse().unwrap()
}

pub(crate) fn write(number: u32) -> Write {
    let at = start() + TimeDelta::seconds(i64::from(number));
    Write {
        id: format!("write-{number}"),
        at,
        by: "tests".into(),
        effect: None,
        unfinished_since: start() - TimeDelta::hours(1),
    }
}

pub(crate) fn ask(method: Method, target: &str, headers: &[(&'static str, &str)], body: &str) -> Ask {
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
    pub(crate) fn ask(&self) -> Ask {
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

pub(crate) fn told(written: Written) -> Told {
    let status = written.answered.answer.status().as_u16();
    let body = match written.answered.answer.into_body() {
        AnswerBody::Made(bytes) => serde_json::from_slice(&bytes.unwrap()).unwrap(),
        other @ (AnswerBody::Upstream { .. } | AnswerBody::Resumed { .. }) => panic!("{other:?}"),
    };
    Told { status, body, effect: written.effect, is_final: written.is_final }
}

pub(crate) async fn send(backend: &InProcess, request: &Request, write: &Write) -> Told {
    told(backend.write(request.ask(), write).await.unwrap())
}

pub(crate) async fn rows(url: &str, sql: &'static str) -> i64 {
    let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
}

pub(crate) fn sqlite_rows(path: &Path, sql: &str) -> i64 {
    rusqlite::Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

impl Both {
    pub(crate) async fn of(scripts: &[&str]) -> Self {
        let library = Library::of(scripts);
        let stores = Stores::of(&library.path).await;
        let sqlite = InProcess::new(Store::Sqlite(library.path.clone()), secrets());
        let postgres = InProcess::new(Store::Postgres(stores.url.clone()), secrets());
        Self { library, stores, sqlite, postgres, writes: 0 }
    }

    /// Sends it to one store first and, as the journal does, to the other where that took it. They take turns.
    pub(crate) async fn apply(&mut self, request: Request) -> Told {
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

    pub(crate) async fn assert_equal(&self) {
        let options = flipgate::verify::Options { expect_subcategories: None };
        let found = flipgate::verify::run(&self.library.path, &self.stores.url, &options).await.unwrap();
        assert!(found.differences.is_empty(), "{:#?}", found.differences);
        for table in &found.tables {
            let lost = [table.differing, table.missing, table.additional, table.tombstoned];
            assert_eq!((lost, table.sqlite), ([0; 4], table.postgres), "{table:?}");
        }
    }
}

pub(crate) fn ingest(payload: Value) -> Request {
    Request::Ingest(payload)
}

pub(crate) fn delete(name: &str) -> Request {
    Request::Delete(name.to_owned())
}
