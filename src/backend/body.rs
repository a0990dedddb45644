//! Bodies of requests to and answers from backends.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::pool::Lease;

/// Why a body ended before its end.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request to a backend.
#[derive(Debug)]
pub enum RequestBody {
    /// None.
    Empty,
    /// The client's, streamed.
    Streamed {
        /// The bytes as they come.
        incoming: Incoming,
        /// Noted at each piece.
        progress: Arc<Progress>,
    },
    /// The client's, collected first.
    Collected(Option<Bytes>),
}

/// When a body last moved: a slow upload is not a slow backend.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    last_ms: AtomicU64,
}

/// The body of an answer.
#[derive(Debug)]
pub enum AnswerBody {
    /// Made in this process.
    Made(Option<Bytes>),
    /// From an upstream server; the lease gives its connection back at the end.
    Upstream {
        /// The bytes as they arrive.
        incoming: Incoming,
        /// The connection's place, held until the body ends.
        lease: Option<Lease>,
    },
    /// What was read of a body already, and the rest of it.
    Resumed {
        /// Its beginning.
        prefix: Option<Bytes>,
        /// The rest.
        rest: Box<AnswerBody>,
    },
}

impl AnswerBody {
    /// Gives the connection's place back before the body's end: for streams that may never end.
    pub fn release_place(&mut self) {
        match self {
            AnswerBody::Upstream { lease: Some(lease), .. } => lease.release_place(),
            AnswerBody::Upstream { lease: None, .. } | AnswerBody::Made(_) => {}
            AnswerBody::Resumed { rest, .. } => rest.release_place(),
        }
    }
}

// === impl Progress ===

impl Progress {
    /// Nothing has moved yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Progress { started: Instant::now(), last_ms: AtomicU64::new(0) })
    }

    /// When the body last moved, or was begun.
    #[must_use]
    pub fn last(&self) -> Instant {
        self.started + Duration::from_millis(self.last_ms.load(Ordering::Relaxed))
    }

    fn note(&self) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(elapsed, Ordering::Relaxed);
    }
}

// === impl RequestBody ===

impl RequestBody {
    /// When this body last moves is told by the progress returned; `None` where there is nothing to wait for.
    #[must_use]
    pub fn progress(&self) -> Option<Arc<Progress>> {
        match self {
            RequestBody::Streamed { progress, .. } => Some(Arc::clone(progress)),
            RequestBody::Empty | RequestBody::Collected(_) => None,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            RequestBody::Empty => Poll::Ready(None),
            RequestBody::Streamed { incoming, progress } => {
                let frame = Pin::new(incoming).poll_frame(cx);
                if frame.is_ready() {
                    progress.note();
                }
                frame.map_err(Into::into)
            }
            RequestBody::Collected(bytes) => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            RequestBody::Empty => true,
            RequestBody::Streamed { incoming, .. } => incoming.is_end_stream(),
            RequestBody::Collected(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            RequestBody::Empty => SizeHint::with_exact(0),
            RequestBody::Streamed { incoming, .. } => incoming.size_hint(),
            RequestBody::Collected(bytes) => SizeHint::with_exact(length(bytes.as_ref())),
        }
    }
}

// === impl AnswerBody ===

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            AnswerBody::Made(bytes) => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            AnswerBody::Upstream { incoming, lease } => {
                let frame = Pin::new(&mut *incoming).poll_frame(cx);
                let ended = match &frame {
                    Poll::Ready(None) => true,
                    // Behind trailers nobody polls again.
                    Poll::Ready(Some(Ok(frame))) => frame.is_trailers() || incoming.is_end_stream(),
                    Poll::Ready(Some(Err(_))) | Poll::Pending => false,
                };
                if ended && let Some(lease) = lease.take() {
                    lease.finish();
                }
                frame.map_err(Into::into)
            }
            AnswerBody::Resumed { prefix, rest } => match prefix.take() {
                Some(prefix) => Poll::Ready(Some(Ok(Frame::data(prefix)))),
                None => Pin::new(&mut **rest).poll_frame(cx),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            AnswerBody::Made(bytes) => bytes.is_none(),
            AnswerBody::Upstream { incoming, .. } => incoming.is_end_stream(),
            AnswerBody::Resumed { prefix, rest } => prefix.is_none() && rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            AnswerBody::Made(bytes) => SizeHint::with_exact(length(bytes.as_ref())),
            AnswerBody::Upstream { incoming, .. } => incoming.size_hint(),
            AnswerBody::Resumed { prefix, rest } => {
                let (read, left) = (length(prefix.as_ref()), rest.size_hint());
                left.exact().map_or_else(SizeHint::default, |left| SizeHint::with_exact(read + left))
            }
        }
    }
}

fn length(bytes: Option<&Bytes>) -> u64 {
    bytes.map_or(0, |b| b.len() as u64)
}
