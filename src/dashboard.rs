//! The YTV2 read API answered in-process from SQLite or PostgreSQL.

use std::path::Path;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

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
pub struct Dashboard {}

impl Dashboard {
    /// Opens the SQLite library at `path` for reading.
    pub async fn sqlite(_path: &Path) -> Result<Self, OpenError> {
        todo!()
    }

    /// Connects to the PostgreSQL library at `url`.
    pub async fn postgres(_url: &str) -> Result<Self, OpenError> {
        todo!()
    }

    /// Answers a read; `None` if `target` (raw path and query) is not a path of the read API.
    pub async fn answer(&self, _method: &Method, _target: &str) -> Option<Answer> {
        todo!()
    }

    /// Whether the store answers a trivial query now.
    pub async fn up(&self) -> bool {
        todo!()
    }
}

/// Whether `path` is one the read API answers.
#[must_use]
pub fn is_read_path(_path: &str) -> bool {
    todo!()
}
