//! The tee: the body that goes to the client, with a bounded copy kept for the comparison.
//!
//! Chunks are shared by reference, not copied. At the cap only the copy is lost: the body goes on, measured by length
//! and digest.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use crate::backend::body::{AnswerBody, BodyError};
use crate::metrics::Metrics;

/// What one kept chunk costs besides its bytes.
const CHUNK_COST: usize = 64;
/// Chunks smaller than this are copied together, so that a body in tiny pieces costs no more than another.
const SMALL: usize = 512;

/// The bytes that may be held for comparison over all requests.
#[derive(Debug)]
pub struct Budget {
    used: AtomicUsize,
    most: usize,
}

/// A part of the budget, given back when dropped.
#[derive(Debug)]
struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

/// How a leg's body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It is complete.
    Complete,
    /// The backend broke it off.
    Cut,
    /// The client left first.
    ClientGone,
}

/// What was kept of a body.
#[derive(Debug)]
pub enum Kept {
    /// Every byte.
    Whole(Vec<Bytes>),
    /// Over the cap: length and SHA-256 of the bytes as they came.
    Over {
        /// Bytes in the body.
        length: u64,
        /// Their SHA-256.
        digest: [u8; 32],
    },
    /// The budget of all requests was used up.
    NoRoom,
}

/// A copy of a body while it arrives.
#[derive(Debug)]
pub struct Capture {
    cap: usize,
    held: Held,
    chunks: Vec<Bytes>,
    small: BytesMut,
    length: u64,
    digest: Option<Sha256>,
    no_room: bool,
}

/// A finished capture. Its share of the budget lasts as long as it does.
#[derive(Debug)]
pub struct Captured {
    /// How the body ended.
    pub end: End,
    /// Its bytes.
    pub kept: Kept,
    /// Time from sending the request to the last byte, less time blocked on the client.
    pub time: Duration,
    _held: Held,
}

/// The client's body, teed.
#[derive(Debug)]
pub struct Tee {
    inner: AnswerBody,
    capture: Option<Capture>,
    done: Option<oneshot::Sender<Captured>>,
    sent: Instant,
    /// When the last chunk was handed on: until the next poll it is the client that is slow.
    handed_on: Option<Instant>,
    blocked: Duration,
    clock: Clock,
}

/// Observes, when dropped, how long the client waited for its whole answer.
#[derive(Debug)]
pub struct Clock {
    /// Where to.
    pub metrics: Arc<Metrics>,
    /// Index of the route.
    pub route: usize,
    /// When the request came.
    pub started: Instant,
    /// What of the time until now was not flipgate's own, once that is known: of a compared request whose body ended.
    pub others: Option<Duration>,
}

// === impl Clock ===

impl Drop for Clock {
    fn drop(&mut self) {
        let time = self.started.elapsed();
        self.metrics.request_time(self.route, time);
        if let Some(others) = self.others {
            self.metrics.overhead(time.saturating_sub(others));
        }
    }
}

// === impl Budget ===

impl Budget {
    /// At most `most` bytes.
    #[must_use]
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Budget { used: AtomicUsize::new(0), most })
    }

    /// Bytes held now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

// === impl Held ===

impl Held {
    fn take(&mut self, bytes: usize) -> bool {
        let before = self.budget.used.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.budget.most {
            self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.bytes += bytes;
        true
    }

    fn release(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = 0;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

// === impl Capture ===

impl Capture {
    /// Keeps at most `cap` bytes, as far as `budget` has room.
    #[must_use]
    pub fn new(cap: usize, budget: &Arc<Budget>) -> Self {
        Capture {
            cap,
            held: Held { budget: Arc::clone(budget), bytes: 0 },
            chunks: Vec::new(),
            small: BytesMut::new(),
            length: 0,
            digest: None,
            no_room: false,
        }
    }

    /// Notes the next chunk.
    pub fn push(&mut self, chunk: &Bytes) {
        self.length += chunk.len() as u64;
        if self.no_room {
            return;
        }
        if let Some(digest) = &mut self.digest {
            digest.update(chunk);
        } else if self.is_over() {
            self.measure_only(chunk);
        } else if self.held.take(chunk.len() + CHUNK_COST) {
            self.keep(chunk);
        } else {
            self.no_room = true;
            self.drop_copy();
        }
    }

    /// Whether the body is over the cap.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.length > self.cap as u64
    }

    /// Ends the capture.
    #[must_use]
    pub fn finish(mut self, end: End, time: Duration) -> Captured {
        let kept = if self.no_room {
            Kept::NoRoom
        } else if let Some(digest) = self.digest.take() {
            Kept::Over { length: self.length, digest: digest.finalize().into() }
        } else {
            self.flush_small();
            Kept::Whole(std::mem::take(&mut self.chunks))
        };
        Captured { end, kept, time, _held: self.held }
    }

    fn keep(&mut self, chunk: &Bytes) {
        if chunk.len() < SMALL {
            self.small.extend_from_slice(chunk);
        } else {
            self.flush_small();
            self.chunks.push(chunk.clone());
        }
    }

    fn measure_only(&mut self, chunk: &Bytes) {
        self.flush_small();
        let mut digest = Sha256::new();
        for kept in &self.chunks {
            digest.update(kept);
        }
        digest.update(chunk);
        self.digest = Some(digest);
        self.drop_copy();
    }

    fn flush_small(&mut self) {
        if !self.small.is_empty() {
            self.chunks.push(self.small.split().freeze());
        }
    }

    fn drop_copy(&mut self) {
        self.chunks = Vec::new();
        self.small = BytesMut::new();
        self.held.release();
    }
}

// === impl Tee ===

impl Tee {
    /// Passes `inner` on unobserved.
    #[must_use]
    pub fn plain(inner: AnswerBody, clock: Clock) -> Self {
        Tee {
            inner,
            capture: None,
            done: None,
            sent: Instant::now(),
            handed_on: None,
            blocked: Duration::ZERO,
            clock,
        }
    }

    /// Passes `inner` on and hands the copy to `done` at its end, however it ends. `sent` is when the request was
    /// sent to the backend.
    #[must_use]
    pub fn kept(
        inner: AnswerBody,
        clock: Clock,
        capture: Capture,
        sent: Instant,
        done: oneshot::Sender<Captured>,
    ) -> Self {
        let mut tee = Tee::plain(inner, clock);
        tee.capture = Some(capture);
        tee.done = Some(done);
        tee.sent = sent;
        // A body that has ended already is never polled.
        if tee.inner.is_end_stream() {
            tee.end(End::Complete);
        }
        tee
    }

    fn end(&mut self, end: End) {
        if let (Some(capture), Some(done)) = (self.capture.take(), self.done.take()) {
            let since_sent = self.sent.elapsed();
            self.clock.others = (end == End::Complete).then_some(since_sent);
            let time = since_sent.saturating_sub(self.blocked);
            // Nobody waits any more if the shadow was given up.
            let _ = done.send(capture.finish(end, time));
        }
    }

    fn note(&mut self, frame: Option<&Result<Frame<Bytes>, BodyError>>) {
        match frame {
            Some(Ok(frame)) => {
                if let (Some(capture), Some(chunk)) = (&mut self.capture, frame.data_ref()) {
                    capture.push(chunk);
                }
                // Behind trailers nobody polls again.
                if frame.is_trailers() || self.inner.is_end_stream() {
                    self.end(End::Complete);
                }
                self.handed_on = Some(Instant::now());
            }
            Some(Err(_)) => self.end(End::Cut),
            None => self.end(End::Complete),
        }
    }
}

impl Body for Tee {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let tee = self.get_mut();
        if tee.capture.is_none() {
            return Pin::new(&mut tee.inner).poll_frame(cx);
        }
        if let Some(handed_on) = tee.handed_on.take() {
            tee.blocked += handed_on.elapsed();
        }
        let polled = Pin::new(&mut tee.inner).poll_frame(cx);
        if let Poll::Ready(frame) = &polled {
            tee.note(frame.as_ref());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Tee {
    fn drop(&mut self) {
        self.end(End::ClientGone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(cap: usize, budget: usize, chunks: &[&'static [u8]]) -> (Captured, Arc<Budget>) {
        let budget = Budget::new(budget);
        let mut capture = Capture::new(cap, &budget);
        for chunk in chunks {
            capture.push(&Bytes::from_static(chunk));
        }
        (capture.finish(End::Complete, Duration::ZERO), budget)
    }

    #[test]
    fn a_body_within_the_cap_is_kept_whole() {
        let (captured, _budget) = captured(10, 1000, &[b"abc", b"defg"]);
        let Kept::Whole(chunks) = captured.kept else { panic!("{:?}", captured.kept) };
        assert_eq!(chunks.concat(), b"abcdefg");
    }

    #[test]
    fn over_the_cap_only_length_and_digest_remain() {
        let (captured, budget) = captured(5, 1000, &[b"abc", b"defg"]);
        let Kept::Over { length, digest } = captured.kept else { panic!("{:?}", captured.kept) };
        let expected: [u8; 32] = Sha256::digest(b"abcdefg").into();
        assert_eq!((length, digest, budget.used()), (7, expected, 0));
    }

    #[test]
    fn without_room_nothing_is_kept_and_the_budget_is_given_back() {
        let (captured, budget) = captured(1000, 100, &[b"abc", b"def", b"ghi"]);
        assert!(matches!(captured.kept, Kept::NoRoom));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn the_budget_is_held_until_the_capture_is_dropped() {
        let (captured, budget) = captured(1000, 1000, &[b"abc"]);
        assert_eq!(budget.used(), 3 + CHUNK_COST);
        drop(captured);
        assert_eq!(budget.used(), 0);
    }
}
