//! Bodies of requests to and answers from backends.

use std::pin::Pin;
use std::task::{Context, Poll};

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
    Streamed(Incoming),
    /// The client's, collected first.
    Collected(Option<Bytes>),
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
}

impl AnswerBody {
    /// Gives the connection's place back early: for streams that may never end.
    pub fn release_place(&mut self) {
        match self {
            AnswerBody::Upstream { lease: Some(lease), .. } => lease.release_place(),
            AnswerBody::Upstream { lease: None, .. } | AnswerBody::Made(_) => {}
        }
    }
}

// === impl RequestBody ===

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            RequestBody::Empty => Poll::Ready(None),
            RequestBody::Streamed(incoming) => Pin::new(incoming).poll_frame(cx).map_err(Into::into),
            RequestBody::Collected(bytes) => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            RequestBody::Empty => true,
            RequestBody::Streamed(incoming) => incoming.is_end_stream(),
            RequestBody::Collected(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            RequestBody::Empty => SizeHint::with_exact(0),
            RequestBody::Streamed(incoming) => incoming.size_hint(),
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
                    Poll::Ready(Some(Ok(_))) => incoming.is_end_stream(),
                    Poll::Ready(Some(Err(_))) | Poll::Pending => false,
                };
                if ended && let Some(lease) = lease.take() {
                    lease.finish();
                }
                frame.map_err(Into::into)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            AnswerBody::Made(bytes) => bytes.is_none(),
            AnswerBody::Upstream { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            AnswerBody::Made(bytes) => SizeHint::with_exact(length(bytes.as_ref())),
            AnswerBody::Upstream { incoming, .. } => incoming.size_hint(),
        }
    }
}

fn length(bytes: Option<&Bytes>) -> u64 {
    bytes.map_or(0, |b| b.len() as u64)
}
