//! The writes of the YTV2 API, applied in-process: an ingest and a delete, each exactly once in effect.
//!
//! Both stores are written through the one form of a row that [`migrate`](crate::migrate) has: a record is read as the
//! row it stands for, changed by the request and stored by the same mapping, so rows that were equal stay equal. The
//! rules are written once ([`apply`]) over what a store can do ([`session`]). One transaction holds the rows, the
//! tombstone and the id applied. Not for: which writes go to both stores, and in which order (`journal`).

mod access;
mod apply;
mod members;
mod payload;
mod postgres;
mod record;
mod request;
mod session;
mod sqlite;

use std::path::Path;

use chrono::{DateTime, Utc};
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;

use self::payload::Ingest;
pub(crate) use self::request::{deletes, takes};
use crate::config::WriteSecrets;

/// A write as it came.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    /// Raw path and query.
    pub(crate) target: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// What fixes a write, so that it is applied once and alike.
#[derive(Debug, Clone)]
pub(crate) struct Stamp {
    pub(crate) id: String,
    /// The time that is written.
    pub(crate) at: DateTime<Utc>,
    pub(crate) by: String,
    /// What the leader made of it.
    pub(crate) effect: Option<String>,
    /// Ids of writes before this may be forgotten.
    pub(crate) unfinished_since: DateTime<Utc>,
}

/// What a request asks for.
#[derive(Debug, Clone)]
enum Change {
    Ingest(Box<Ingest>),
    /// The records of this name.
    Delete(String),
}

/// A request that is refused whatever the store holds.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    sentence: String,
}

/// What was made of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) status: StatusCode,
    /// JSON.
    pub(crate) answer: String,
    /// For the follower.
    pub(crate) effect: Option<String>,
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was applied, or refused by what the store held.
    Done { status: u16, effect: Option<String> },
    /// It was not, and never will be.
    Never,
}

/// Why a write was not answered; each is one sentence for the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// Nothing of it was stored.
    #[error("{0}")]
    NotDone(String),
    /// Too many wait already.
    #[error("{0} writes are waiting for the SQLite library")]
    Busy(usize),
    /// It may have been stored.
    #[error("{0}")]
    Unknown(String),
}

/// Writes to one store, which is opened by the first of them.
#[derive(Debug)]
pub(crate) struct Writer {
    secrets: WriteSecrets,
    store: Store,
}

#[derive(Debug)]
enum Store {
    Sqlite(sqlite::Writer),
    Postgres(Box<postgres::Writer>),
}

// === impl Writer ===

impl Writer {
    /// Writes to the SQLite library at `path`.
    pub(crate) fn sqlite(path: &Path, secrets: WriteSecrets) -> Self {
        Self { secrets, store: Store::Sqlite(sqlite::Writer::new(path)) }
    }

    /// Writes to the PostgreSQL library at `url`.
    pub(crate) fn postgres(url: &str, secrets: WriteSecrets) -> Self {
        Self { secrets, store: Store::Postgres(Box::new(postgres::Writer::new(url))) }
    }

    /// Applies a write, unless one with the same id was applied: then what was answered to that one is given again.
    pub(crate) async fn write(&self, asked: &Asked<'_>, stamp: Stamp) -> Result<Made, WriteError> {
        match request::read(asked, &self.secrets) {
            Err(refusal) => Ok(refusal.made()),
            Ok(change) => match &self.store {
                Store::Sqlite(writer) => writer.write(change, stamp).await,
                Store::Postgres(writer) => writer.write(&change, &stamp).await,
            },
        }
    }

    /// What became of the write with this id; one that was not applied never will be.
    pub(crate) async fn settle(&self, id: &str) -> Result<Fate, WriteError> {
        match &self.store {
            Store::Sqlite(writer) => writer.settle(id.to_owned()).await,
            Store::Postgres(writer) => writer.settle(id).await,
        }
    }
}

// === impl Refusal ===

impl Refusal {
    /// The request is at fault.
    fn bad(sentence: &str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, sentence: sentence.to_owned() }
    }

    fn made(self) -> Made {
        Made::refused(self.status, &self.sentence)
    }
}

// === impl Made ===

impl Made {
    fn refused(status: StatusCode, sentence: &str) -> Self {
        Self { status, answer: json!({ "error": sentence }).to_string(), effect: None }
    }

    /// The store does not take the row, and will not the next time.
    fn refused_by_store(reason: &dyn std::fmt::Display) -> Self {
        let sentence = format!("the store refuses the record ({reason}); correct it and send it anew");
        Self::refused(StatusCode::CONFLICT, &sentence)
    }

    /// Whether it is refused for good: a conflict with what the store holds does not go away by itself.
    pub(crate) fn is_final(&self) -> bool {
        self.status == StatusCode::CONFLICT
    }
}
