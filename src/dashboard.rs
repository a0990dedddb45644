//! The YTV2 API answered in-process from SQLite or PostgreSQL (`../shared/dashboard-api.md`): reads here, writes in
//! `write`.
//!
//! One request parser, one report model, one renderer; the two stores only supply rows, so the same rows are the same
//! bytes. What a store cannot say at run time is a 503 whose reason is in the log alone. Besides the migration, the only
//! module that knows YTV2. Not for: comparing the two.

pub(crate) mod cells;
mod facets;
mod model;
mod postgres;
mod render;
mod request;
mod sqlite;
pub(crate) use self::postgres::shown;
pub(crate) use self::sqlite::{immutable_uri, read_only};
pub(crate) mod subjects;
pub(crate) mod summary_html;
pub(crate) mod write;

use std::path::Path;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use self::facets::Facets;
use self::model::{Detail, List, Page, Record, Summary};
use self::request::{ListQuery, Request};

/// Reports on the page of cards.
const CARDS: u32 = 100;

/// A complete answer made in this process.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Content type, cache control, length.
    pub headers: HeaderMap,
    /// The whole body, not content-encoded.
    pub body: Bytes,
}

/// Why a store cannot be used: one sentence that names it, the reason and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(pub String);

/// The dashboard's read API over one store.
#[derive(Debug)]
pub struct Dashboard {
    store: Store,
}

#[derive(Debug)]
enum Store {
    Sqlite(sqlite::Library),
    Postgres(postgres::Library),
}

/// Why a store did not answer a read. For the log; clients get a sentence without internals.
#[derive(Debug, thiserror::Error)]
enum StoreError {
    /// SQLite failed.
    #[error("SQLite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL failed.
    #[error("PostgreSQL: {0}")]
    Postgres(#[from] sqlx::Error),
    /// The library's file cannot be opened any more.
    #[error("{0}")]
    Reopen(OpenError),
    /// Too many reads wait already.
    #[error("too many reads are waiting for the SQLite library")]
    Busy,
    /// The store took too long.
    #[error("no answer within {0} s")]
    Timeout(u64),
}

/// Which of a record's names a path gives; the other is tried too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    /// `id` before `video_id`.
    Id,
    /// `video_id` before `id`.
    Stem,
}

// === impl Dashboard ===

impl Dashboard {
    /// Opens the SQLite library at `path` for reading.
    pub async fn sqlite(path: &Path) -> Result<Self, OpenError> {
        let store = Store::Sqlite(sqlite::Library::open(path).await?);
        Ok(Self { store })
    }

    /// Connects to the PostgreSQL library at `url`.
    pub async fn postgres(url: &str) -> Result<Self, OpenError> {
        let store = Store::Postgres(postgres::Library::connect(url).await?);
        Ok(Self { store })
    }

    /// Answers a read; `None` if `target` (raw path and query) is not a path of the read API.
    ///
    /// Statuses: 200, 404 for an unknown record, 405 for a method other than GET and HEAD, 503 if the store fails.
    pub async fn answer(&self, method: &Method, target: &str) -> Option<Answer> {
        let request = Request::parse(target)?;
        if method != Method::GET && method != Method::HEAD {
            return Some(render::method_not_allowed());
        }
        let mut answer = match self.read(request).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(store = self.store.name(), %error, "a read of the library failed");
                render::unavailable()
            }
        };
        if method == Method::HEAD {
            // Headers stay those of the GET, its length included.
            answer.body = Bytes::new();
        }
        Some(answer)
    }

    /// Whether the store answers a trivial query now.
    pub async fn up(&self) -> bool {
        match &self.store {
            Store::Sqlite(library) => library.up().await,
            Store::Postgres(library) => library.up().await,
        }
    }

    async fn read(&self, request: Request) -> Result<Answer, StoreError> {
        Ok(match request {
            Request::Cards => {
                let query = ListQuery::newest(CARDS);
                render::cards(&List::new(&query, self.store.list(&query).await?))
            }
            Request::List(query) => render::json(&List::new(&query, self.store.list(&query).await?)),
            Request::Filters => render::json_for_a_minute(&self.store.facets().await?),
            Request::Report(id) => match self.store.find(Name::Id, id).await? {
                Some(detail) => render::json(&detail),
                None => render::not_found(),
            },
            Request::StemJson(stem) => match self.store.find(Name::Stem, stem).await? {
                Some(detail) => render::stem_json(detail),
                None => render::not_found(),
            },
            Request::StemHtml(stem) => match self.store.find(Name::Stem, stem).await? {
                Some(detail) => render::report(&detail),
                None => render::not_found(),
            },
        })
    }
}

// === impl Store ===

impl Store {
    fn name(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, StoreError> {
        match self {
            Self::Sqlite(library) => library.list(query.clone()).await,
            Self::Postgres(library) => library.list(query).await,
        }
    }

    async fn facets(&self) -> Result<Facets, StoreError> {
        match self {
            Self::Sqlite(library) => library.facets().await,
            Self::Postgres(library) => library.facets().await,
        }
    }

    async fn find(&self, name: Name, value: String) -> Result<Option<Detail>, StoreError> {
        let found: Option<(Record, Option<Summary>)> = match self {
            Self::Sqlite(library) => library.find(name, value).await?,
            Self::Postgres(library) => library.find(name, value).await?,
        };
        Ok(found.map(|(record, summary)| Detail::new(record, summary)))
    }
}

/// Whether a write route is one that is implemented in-process.
#[must_use]
pub fn is_write_route(method: &Method, pattern: &str) -> bool {
    matches!(
        (method.as_str(), pattern),
        ("POST", "/ingest/report" | "/api/delete") | ("DELETE", "/api/delete/{id}")
    )
}

/// Whether `path` is one the read API answers.
#[must_use]
pub fn is_read_path(path: &str) -> bool {
    Request::parse(path).is_some()
}
