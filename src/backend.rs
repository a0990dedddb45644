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
}

impl Role {
    /// The metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Role::Primary => "primary",
            Role::Shadow => "shadow",
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
        if self.role == Role::Shadow {
            request.headers_mut().insert(ROLE_HEADER, HeaderValue::from_static("shadow"));
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

    /// Whether it takes requests other than reads.
    fn takes_writes(&self) -> bool;

    /// When the store's data last changed, as far as that shows. May look at the disk.
    fn changed_at(&self) -> Option<SystemTime> {
        None
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
