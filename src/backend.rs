//! One of the two sources of answers, behind one trait: an HTTP server that reads the store ([`upstream`]), or
//! flipgate itself, reading it in-process ([`inprocess`]).
//!
//! Not for: choosing which backend answers (`cutover`), or what becomes of the answer (`proxy`, `shadow`).

pub mod body;
pub mod data_version;
pub mod inprocess;
mod pool;
pub mod upstream;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};

use self::body::{AnswerBody, RequestBody};

/// A header that every request sent on carries; a request that arrives with it has come round in a loop.
pub const LOOP_MARK: &str = "x-flipgate-loop";
/// Tells a backend that its answer goes to no client.
pub const ROLE_HEADER: &str = "x-flipgate-role";

/// What is asked of a backend: cleaned of hop-by-hop headers and marked, shared by both legs.
#[derive(Debug)]
pub struct Head {
    /// The client's method.
    pub method: Method,
    /// Path and query, byte for byte.
    pub uri: Uri,
    /// End-to-end headers, forwarding headers and loop mark.
    pub headers: HeaderMap,
    /// Whether the request may be sent a second time when a reused connection broke before any answer.
    pub repeatable: bool,
}

/// For whom a backend is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A client waits for the answer.
    Primary,
    /// Nobody waits: the answer is only compared.
    Shadow,
    /// A write that the leader took is delivered.
    Follower,
}

impl Role {
    /// The metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Role::Primary => "primary",
            Role::Shadow => "shadow",
            Role::Follower => "follower",
        }
    }
}

/// One request to a backend.
#[derive(Debug)]
pub struct Ask {
    /// Method, target, headers.
    pub head: Arc<Head>,
    /// For whom.
    pub role: Role,
    /// The request's body.
    pub body: RequestBody,
    /// How long it may take until a connection is free, and again until the head of the answer is there; a body that
    /// is being sent has that long for each of its pieces.
    pub patience: Duration,
}

impl Ask {
    /// The request as hyper sends it; the shadow's says that it is one.
    fn request(&self, body: RequestBody) -> Request<RequestBody> {
        let mut request = Request::new(body);
        *request.method_mut() = self.head.method.clone();
        *request.uri_mut() = self.head.uri.clone();
        *request.headers_mut() = self.head.headers.clone();
        if self.role != Role::Primary {
            request.headers_mut().insert(ROLE_HEADER, HeaderValue::from_static(self.role.label()));
        }
        request
    }
}

/// Why a backend gave no answer. The text is for the log and the operator, never for the client.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nothing listens there, or the name does not resolve.
    #[error("cannot connect: {0}")]
    Refused(String),
    /// The connection broke before the head of the answer was complete.
    #[error("connection broken: {0}")]
    Reset(String),
    /// No place among the backend's connections became free in time.
    #[error("all {0} connections to it were busy")]
    Busy(usize),
    /// It did not answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The request's body is over what may be collected for a backend that cannot read chunks.
    #[error("request body over {0} bytes and without Content-Length")]
    BodyTooLarge(usize),
    /// The client's own body broke off.
    #[error("the client's body broke off")]
    ClientBody,
    /// The in-process store cannot be opened now.
    #[error("store unavailable: {0}")]
    Store(String),
}

/// The answer of a backend as it arrives.
pub type Answer = Response<AnswerBody>;

/// An answer, and when its request was sent: waiting for a connection is not the backend's time.
#[derive(Debug)]
pub struct Answered {
    /// Head, and the body as it arrives.
    pub answer: Answer,
    /// When the backend was asked.
    pub sent: Instant,
}

/// A journalled write: what fixes it, so that a store applies it once and both apply it alike.
#[derive(Debug, Clone)]
pub struct Write {
    /// Unique for ever; the `Idempotency-Key` of every try.
    pub id: String,
    /// When it was taken in: the time written to both stores.
    pub at: DateTime<Utc>,
    /// Who asked for it, as tombstones name them.
    pub by: String,
    /// What the leader made of it (ids, revisions), in its own words; None for the leader itself, or where it is HTTP.
    pub effect: Option<String>,
    /// Every write taken in before this has ended: stores may forget its id.
    pub unfinished_since: DateTime<Utc>,
}

/// The answer to a write.
#[derive(Debug)]
pub struct Written {
    /// As to any request.
    pub answered: Answered,
    /// What was made of it, for the follower.
    pub effect: Option<String>,
    /// Whether a refusal is for good whatever its status says, as where a newer delete stands against it.
    pub is_final: bool,
}

/// What became of a write whose answer is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It was done, with this status; `effect` as in [`Written`].
    Done {
        /// The status answered.
        status: u16,
        /// What was made of it.
        effect: Option<String>,
    },
    /// It was not done and never will be.
    Never,
    /// This backend cannot tell.
    Unknown,
}

/// The future of a write's answer.
pub type Writing<'a> = Pin<Box<dyn Future<Output = Result<Written, AskError>> + Send + 'a>>;
/// The future of what became of a write.
pub type Settling<'a> = Pin<Box<dyn Future<Output = Result<Settled, String>> + Send + 'a>>;

/// A store that is a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreFile {
    /// Where it is.
    pub path: PathBuf,
    /// Which file it is: device and inode.
    pub identity: (u64, u64),
}

/// The future of an answer, boxed so that backends of all kinds stand behind one trait.
pub type Asking<'a> = Pin<Box<dyn Future<Output = Result<Answered, AskError>> + Send + 'a>>;

/// A source of answers.
pub trait Backend: Send + Sync + std::fmt::Debug {
    /// Sends `ask` and returns once the head of the answer is there. The body follows as it arrives.
    ///
    /// # Errors
    /// [`AskError`] if there is no complete head within the patience of `ask`.
    fn ask(&self, ask: Ask) -> Asking<'_>;

    /// Whether this backend answers `path` at all; false means that the path is the `--dashboard`'s.
    fn answers(&self, path: &str) -> bool;

    /// Whether it takes this request, which is no read; false means that it is the `--dashboard`'s.
    fn takes_write(&self, method: &Method, path: &str) -> bool;

    /// Sends a journalled write, its body collected. A backend that [`Backend::remembers`] applies `write` at most once,
    /// however often it is sent.
    ///
    /// # Errors
    /// As [`Backend::ask`]. Whether it was done is unknown then, except for [`AskError::Refused`], [`AskError::Busy`] and
    /// [`AskError::Store`], which say that it was not.
    fn write<'a>(&'a self, ask: Ask, write: &'a Write) -> Writing<'a> {
        let _ = write;
        Box::pin(async move {
            let answered = self.ask(ask).await?;
            Ok(Written { answered, effect: None, is_final: false })
        })
    }

    /// Whether it keeps the ids of the writes it applied, so that [`Backend::settle`] can tell.
    fn remembers(&self) -> bool {
        false
    }

    /// What became of the write with this id; where it was not done, this makes sure that it never will be.
    ///
    /// # Errors
    /// One sentence that says why it cannot be told now.
    fn settle<'a>(&'a self, id: &'a str) -> Settling<'a> {
        let _ = id;
        Box::pin(async { Ok(Settled::Unknown) })
    }

    /// When the store's data last changed, as far as that shows. May look at the disk.
    fn changed_at(&self) -> Option<SystemTime> {
        None
    }

    /// How many deletes flipgate made or tried in the store by itself: records that get fewer with one are no news.
    fn own_deletes(&self) -> u64 {
        0
    }

    /// What the store is and holds now, if it is a file that can be replaced. May look at the disk.
    fn file(&self) -> Option<StoreFile> {
        None
    }

    /// Whether the store can be reached, checked now.
    ///
    /// # Errors
    /// One sentence that says why not.
    fn check(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>>;
}
