//! The state store of several replicas: a schema `flipgate` of PostgreSQL.
//!
//! It keeps documents and knows nothing of what they mean: the committed record, the audit, judgements, documents of
//! evidence by replica, findings that all replicas add to, samples. Every call has a deadline and says whether it is
//! worth another try ([`SharedError`]). It is not the state of one flipgate alone: that is [`super::StateStore`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use self::connections::Connections;
use crate::pg::Target;

mod audit;
mod beginning;
mod connections;
mod cursor;
mod error;
mod evidence;
mod findings;
mod judgements;
mod listener;
mod name;
mod record;
mod samples;
mod schema;
mod text;

pub use self::cursor::Cursor;
pub use self::error::SharedError;
pub use self::listener::Listener;
pub use self::name::Held;

/// How long a call may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long a listener's connection may be silent before it is asked whether it still lives.
const SILENCE: Duration = Duration::from_secs(15);
/// Rows written by one statement; more are written by several.
const BATCH: usize = 5000;
/// Bytes of documents written by one statement, so that it is done in time over a slow line.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Rows answered by one call.
const PAGE: i64 = 20_000;
/// Bytes of documents answered by one call: the row that crosses it is left for the next.
const PAGE_BYTES: i64 = 16 * 1024 * 1024;
/// Bytes of all samples.
const SAMPLE_BYTES: i64 = 64 * 1024 * 1024;
/// The channel that tells of a new record or judgement.
const CHANNEL: &str = "flipgate_state";

/// The store. Cheap to clone; connections are made when they are needed.
#[derive(Clone)]
pub struct SharedStore {
    inner: Arc<Inner>,
}

struct Inner {
    replica: String,
    connections: Connections,
    bounds: Bounds,
}

/// What bounds a call's work.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    deadline: Duration,
    silence: Duration,
    batch: usize,
    batch_bytes: usize,
    page: i64,
    page_bytes: i64,
    sample_bytes: i64,
}

/// What is committed.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Counts every change.
    pub version: i64,
    /// The rest.
    pub document: serde_json::Value,
}

/// How a compare-and-set ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Set {
    /// The record is the new one, on the server's disk.
    Done,
    /// Nothing was changed, since the record is this one.
    Conflict(Option<Record>),
}

/// One document of evidence, of the replica that writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What it is, with all that makes it comparable: [`SharedStore::prune`] goes by the epoch it begins with.
    pub kind: String,
    /// Which of its kind.
    pub key: String,
    /// Itself.
    pub document: String,
}

/// What one replica has to add to a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingChange {
    /// Which.
    pub id: String,
    /// What it is; replaces what stands there.
    pub document: String,
    /// How often it occurred since this replica last said so.
    pub added: i64,
    /// When it was first seen here.
    pub first_seen: DateTime<Utc>,
    /// When it was last seen here.
    pub last_seen: DateTime<Utc>,
    /// `open`, `accepted` or `resolved`; none leaves it as it is, and so does one if another replica saw it later.
    pub state: Option<String>,
}

/// A finding of all replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedFinding {
    /// Which.
    pub id: String,
    /// What it is, as the last replica to change it wrote.
    pub document: String,
    /// How often it occurred, anywhere.
    pub count: i64,
    /// When it was first seen, anywhere.
    pub first_seen: DateTime<Utc>,
    /// When it was last seen, anywhere.
    pub last_seen: DateTime<Utc>,
    /// `open`, `accepted` or `resolved`.
    pub state: String,
}

// === impl SharedStore ===

impl SharedStore {
    /// The store at this postgres URL, for the replica of this name. Only reads the URL; connects to nothing.
    ///
    /// # Errors
    /// A sentence, if the URL is not one.
    pub fn new(url: &str, replica: &str) -> Result<Self, String> {
        Self::bounded(url, replica, Bounds::default())
    }

    fn bounded(url: &str, replica: &str, bounds: Bounds) -> Result<Self, String> {
        let connections = Connections::new(Target::parse(url)?, bounds.deadline);
        let replica = text::storable(replica).into_owned();
        Ok(Self { inner: Arc::new(Inner { replica, connections, bounds }) })
    }

    /// The replica that this one is.
    #[must_use]
    pub fn replica(&self) -> &str {
        &self.inner.replica
    }

    /// Database, host, port and user: what messages say. Never the password.
    #[must_use]
    pub fn name(&self) -> &str {
        self.inner.connections.target().name()
    }
}

impl fmt::Debug for SharedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not derived: the connections know the password.
        f.debug_struct("SharedStore")
            .field("name", &self.name())
            .field("replica", &self.inner.replica)
            .finish()
    }
}

// === impl Bounds ===

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            deadline: DEADLINE,
            silence: SILENCE,
            batch: BATCH,
            batch_bytes: BATCH_BYTES,
            page: PAGE,
            page_bytes: PAGE_BYTES,
            sample_bytes: SAMPLE_BYTES,
        }
    }
}

#[cfg(test)]
mod tests;
