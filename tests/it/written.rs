//! What the tests of writes share: a library in both stores, writes as the dashboard's writers make them, and what each
//! store has of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection as Sqlite, OpenFlags};
use serde_json::{Value, json};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tempfile::TempDir;

use crate::client::{Answer, Connection};
use crate::command;
use crate::harness::{Flipgate, Setup};

const SYNC_SECRET: &str = "hush-sync";
const INGEST_TOKEN: &str = "hush-ingest";
/// The variant of every summary that these tests write.
pub(crate) const VARIANT: &str = "comprehensive";
/// How long what is pending may take; far more than it needs.
const PATIENCE: Duration = Duration::from_secs(120);

/// One library in SQLite and in PostgreSQL.
pub(crate) struct Stores {
    directory: TempDir,
    pub(crate) library: PathBuf,
    pub(crate) url: String,
}

/// A write as it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    method: &'static str,
    target: String,
    header: (&'static str, String),
    body: Vec<u8>,
}

/// What a writer knows of its write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Told {
    /// It was decided about, with this status.
    Decided(u16),
    /// It was not taken.
    NotTaken,
    /// It may have been taken: the connection broke, or whoever sent it went.
    Broken,
    /// It may have been taken: flipgate answered that it has no answer.
    NoAnswer,
}

/// Who writes, one write after the other.
#[derive(Debug)]
pub(crate) struct Writer {
    proxy: SocketAddr,
    connection: Option<Connection>,
}

/// What a store has of one video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) title: String,
    /// Number and text of each revision of [`VARIANT`].
    pub(crate) revisions: Vec<(i64, String)>,
}

/// What holds a deleted record, in either store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tombstone {
    pub(crate) id: String,
    pub(crate) video_id: String,
    /// To the microsecond, as writes spell it.
    deleted_at: String,
}

/// Records by video id.
pub(crate) type Records = BTreeMap<String, Record>;

// === impl Stores ===

impl Stores {
    /// A generated library, copied to the empty database at `url`.
    pub(crate) async fn generated(url: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let library = directory.path().join("library.db");
        flipgate::library::generate(&library, flipgate::library::DEFAULT_ROWS, 1).unwrap();
        Self::copied(directory, library, url).await
    }

    /// The library at `path`, of which a copy is used.
    pub(crate) async fn of(path: &Path, url: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let library = directory.path().join("library.db");
        std::fs::copy(path, &library).unwrap();
        Self::copied(directory, library, url).await
    }

    async fn copied(directory: TempDir, library: PathBuf, url: &str) -> Self {
        flipgate::migrate::run(&library, url).await.unwrap();
        Self { directory, library, url: url.to_owned() }
    }

    /// A file beside the library.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A flipgate to start on both, which reaches PostgreSQL by this URL.
    pub(crate) fn setup(&self, url: &str, config: &str) -> Setup {
        let setup = Setup::with_config(&command::sqlite(&self.library), url, config);
        setup.environment("SYNC_SECRET", SYNC_SECRET).environment("INGEST_TOKEN", INGEST_TOKEN)
    }

    /// Asserts that `flipgate verify` finds them equal.
    pub(crate) async fn assert_equal(&self) {
        let sqlite = command::sqlite(&self.library);
        let told = command::flipgate(&["verify", "--sqlite", &sqlite, "--postgres", &self.url]).await;
        assert_eq!(told.code, 0, "the stores differ: {}\n{}", told.out, told.err);
    }

    /// What SQLite has.
    pub(crate) fn in_sqlite(&self) -> Records {
        let sqlite = Sqlite::open_with_flags(&self.library, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        sqlite.busy_timeout(PATIENCE).unwrap();
        let mut records = Records::new();
        let mut statement = sqlite
            .prepare("SELECT video_id, id, coalesce(title, '') FROM content WHERE video_id <> ''")
            .unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        for (video_id, id, title) in rows.map(Result::unwrap) {
            records.insert(video_id, Record { id, title, revisions: Vec::new() });
        }
        let sql = "SELECT video_id, revision, content FROM summary_variants WHERE variant_type = ?1 ORDER BY revision";
        let mut statement = sqlite.prepare(sql).unwrap();
        let rows = statement.query_map([VARIANT], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        with_revisions(records, rows.map(Result::unwrap))
    }

    /// What PostgreSQL has.
    pub(crate) async fn in_postgres(&self) -> Records {
        let mut postgres = PgConnection::connect(&self.url).await.unwrap();
        let sql = "SELECT video_id, id, coalesce(title, '') FROM content WHERE video_id <> ''";
        let rows: Vec<(String, String, String)> = sqlx::query_as(sql).fetch_all(&mut postgres).await.unwrap();
        let records = rows
            .into_iter()
            .map(|(video_id, id, title)| (video_id, Record { id, title, revisions: Vec::new() }));
        let sql = "SELECT video_id, revision::bigint, coalesce(body, html) FROM content_summaries \
            WHERE variant = $1 AND NOT legacy ORDER BY revision";
        let rows: Vec<(String, i64, String)> =
            sqlx::query_as(sql).bind(VARIANT).fetch_all(&mut postgres).await.unwrap();
        with_revisions(records.collect(), rows.into_iter())
    }

    /// What SQLite holds as deleted.
    pub(crate) fn tombstones_in_sqlite(&self) -> BTreeSet<Tombstone> {
        let sqlite = Sqlite::open_with_flags(&self.library, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let sql = "SELECT id, coalesce(video_id, ''), deleted_at FROM flipgate_tombstones";
        let mut statement = sqlite.prepare(sql).unwrap();
        let rows = statement
            .query_map([], |row| {
                Ok(Tombstone { id: row.get(0)?, video_id: row.get(1)?, deleted_at: row.get(2)? })
            })
            .unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// What PostgreSQL holds as deleted.
    pub(crate) async fn tombstones_in_postgres(&self) -> BTreeSet<Tombstone> {
        let mut postgres = PgConnection::connect(&self.url).await.unwrap();
        let sql = "SELECT id, coalesce(video_id, ''), \
            to_char(deleted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"') FROM tombstones";
        let rows: Vec<(String, String, String)> = sqlx::query_as(sql).fetch_all(&mut postgres).await.unwrap();
        let stone = |(id, video_id, deleted_at)| Tombstone { id, video_id, deleted_at };
        rows.into_iter().map(stone).collect()
    }
}

fn with_revisions(mut records: Records, rows: impl Iterator<Item = (String, i64, String)>) -> Records {
    for (video_id, number, text) in rows {
        let record = records.get_mut(&video_id);
        record
            .unwrap_or_else(|| panic!("{video_id} is gone, and its summary {number} is not"))
            .revisions
            .push((number, text));
    }
    records
}

/// Waits until every write is in both stores: nothing pending, parked or in doubt.
pub(crate) async fn all_delivered(flipgate: &Flipgate) {
    let patience = Instant::now() + PATIENCE;
    loop {
        let writes = flipgate.admin_get("/api/writes").await.json();
        let parked = writes["writes"].as_array().unwrap().iter().any(|write| write["state"] == "parked");
        assert!(!parked, "nobody is there to decide about a parked write: {writes:#}; {}", flipgate.said());
        if writes["total"] == 0 {
            return;
        }
        assert!(Instant::now() < patience, "writes stay behind: {writes:#}; {}", flipgate.said());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

// === impl Write ===

impl Write {
    /// `POST /ingest/report`.
    pub(crate) fn ingest(payload: &Value) -> Self {
        let header = ("X-INGEST-TOKEN", INGEST_TOKEN.to_owned());
        let body = payload.to_string().into_bytes();
        Self { method: "POST", target: "/ingest/report".to_owned(), header, body }
    }

    /// An ingest of a title and one summary.
    pub(crate) fn report(video_id: &str, title: &str, text: &str) -> Self {
        Self::ingest(&json!({
            "video_id": video_id,
            "title": title,
            "summary_variants": [{"variant": VARIANT, "text": text}],
        }))
    }

    /// `DELETE /api/delete/{id}`, the name as it is to be in the path.
    pub(crate) fn delete(encoded: &str) -> Self {
        Self::authorised("DELETE", format!("/api/delete/{encoded}"), Vec::new())
    }

    /// `POST /api/delete?id=`, the name as it is to be in the query.
    pub(crate) fn delete_by_query(encoded: &str) -> Self {
        Self::authorised("POST", format!("/api/delete?id={encoded}"), Vec::new())
    }

    /// `POST /api/delete` with the name in the body.
    pub(crate) fn delete_by_body(name: &str) -> Self {
        Self::authorised("POST", "/api/delete".to_owned(), json!({"id": name}).to_string().into_bytes())
    }

    fn authorised(method: &'static str, target: String, body: Vec<u8>) -> Self {
        Self { method, target, header: ("Authorization", format!("Bearer {SYNC_SECRET}")), body }
    }
}

// === impl Writer ===

impl Writer {
    pub(crate) fn to(proxy: SocketAddr) -> Self {
        Self { proxy, connection: None }
    }

    /// Sends a write over the connection that is kept.
    pub(crate) async fn send(&mut self, write: &Write) -> Told {
        match self.answer(write).await {
            Ok(answer) => match answer.status {
                503 => Told::NotTaken,
                502 | 504 => Told::NoAnswer,
                status => Told::Decided(status),
            },
            Err(told) => told,
        }
    }

    /// Sends a write that must be taken.
    pub(crate) async fn taken(&mut self, write: &Write) -> Answer {
        let (method, target) = (write.method, &write.target);
        let answer = self.answer(write).await.unwrap_or_else(|told| panic!("{method} {target}: {told:?}"));
        let is_taken = (200..300).contains(&answer.status);
        assert!(is_taken, "{method} {target}: {} {}", answer.status, answer.text());
        answer
    }

    /// Sends a write and hangs up before the answer.
    pub(crate) async fn send_and_leave(&self, write: &Write) {
        let Ok(mut connection) = Connection::open(self.proxy).await else { return };
        let (name, value) = &write.header;
        let (method, target, length) = (write.method, &write.target, write.body.len());
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: a\r\n{name}: {value}\r\nContent-Length: {length}\r\n\r\n"
        );
        // Where flipgate is gone meanwhile, so is the write.
        let _ = connection.send(&[head.as_bytes(), &write.body].concat()).await;
    }

    async fn answer(&mut self, write: &Write) -> Result<Answer, Told> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.proxy).await.map_err(|_| Told::NotTaken)?,
        };
        let (name, value) = &write.header;
        let headers = [(*name, value.as_str()), ("Content-Type", "application/json")];
        let answer = connection.request(write.method, &write.target, &headers, &write.body).await;
        let answer = answer.map_err(|_| Told::Broken)?;
        self.connection = Some(connection);
        Ok(answer)
    }
}
