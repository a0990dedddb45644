//! Connections to one upstream server: how many at once, and which are kept.
//!
//! A connection is opened only for a request that is sent on it at once: no connect ahead of need, no race of a new
//! connection against an idle one. Either stops a single-threaded server with a short backlog.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::client::conn::http1::SendRequest;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::body::RequestBody;

/// Connections held at once while a backend answers HTTP/1.0 or closes: one served, the rest within a backlog of 5.
pub(super) const NARROW: usize = 4;
/// `Connection: close` answers in a row after which a server that kept connections counts as one that closes.
const CLOSES_IN_A_ROW: u32 = 8;

/// How a server treats its connections, found from its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// No answer seen yet.
    Unknown,
    /// HTTP/1.1 and keeps them.
    Keeps,
    /// HTTP/1.0, or closes after each answer.
    Closes,
}

/// The connections of one upstream server.
#[derive(Debug)]
pub(super) struct Pool {
    idle: Mutex<Vec<Idle>>,
    idle_timeout: Duration,
    manner: AtomicU8,
    closes_in_a_row: AtomicU32,
    /// Wakes those who wait for a narrow place once the server turns out to keep connections.
    widened: Notify,
    narrow: Arc<Semaphore>,
    wide: Arc<Semaphore>,
    narrow_size: usize,
    wide_size: usize,
}

#[derive(Debug)]
struct Idle {
    sender: SendRequest<RequestBody>,
    since: Instant,
}

/// One of the places among a server's connections, held while a request is under way.
#[derive(Debug)]
pub(super) struct Place(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// A connection in use; it goes back to the pool when the answer's body has ended, and is closed otherwise.
#[derive(Debug)]
pub struct Lease {
    pool: Arc<Pool>,
    sender: Option<SendRequest<RequestBody>>,
    place: Option<Place>,
}

// === impl Pool ===

impl Pool {
    /// `max_connections`, when configured, holds whatever manner is found.
    pub(super) fn new(max_connections: Option<usize>, default_max: usize, idle_timeout: Duration) -> Self {
        let wide_size = max_connections.unwrap_or(default_max).max(1);
        let narrow_size = max_connections.unwrap_or(NARROW).max(1);
        Pool {
            idle: Mutex::new(Vec::new()),
            idle_timeout,
            manner: AtomicU8::new(0),
            closes_in_a_row: AtomicU32::new(0),
            widened: Notify::new(),
            narrow: Arc::new(Semaphore::new(narrow_size)),
            wide: Arc::new(Semaphore::new(wide_size)),
            narrow_size,
            wide_size,
        }
    }

    pub(super) fn manner(&self) -> Manner {
        match self.manner.load(Ordering::Relaxed) {
            1 => Manner::Keeps,
            2 => Manner::Closes,
            _ => Manner::Unknown,
        }
    }

    /// Learns from one answer.
    pub(super) fn learn(&self, http10: bool, closes: bool) {
        if !closes && !http10 {
            self.closes_in_a_row.store(0, Ordering::Relaxed);
            if self.manner.swap(1, Ordering::Relaxed) != 1 {
                self.widened.notify_waiters();
            }
            return;
        }
        let row = self.closes_in_a_row.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if http10 || self.manner() != Manner::Keeps || row >= CLOSES_IN_A_ROW {
            self.manner.store(2, Ordering::Relaxed);
            self.idle().clear();
        }
    }

    /// How many connections it may have now.
    pub(super) fn size(&self) -> usize {
        if self.manner() == Manner::Keeps { self.wide_size } else { self.narrow_size }
    }

    /// Waits for a place; first come, first served.
    pub(super) async fn place(&self) -> Option<Place> {
        let widened = self.widened.notified();
        tokio::pin!(widened);
        // Listened for before the manner is looked at: what it turns into meanwhile is not missed.
        widened.as_mut().enable();
        if self.manner() != Manner::Keeps {
            tokio::select! {
                biased;
                permit = Arc::clone(&self.narrow).acquire_owned() => return permit.ok().map(Place),
                () = widened => {}
            }
        }
        Arc::clone(&self.wide).acquire_owned().await.ok().map(Place)
    }

    /// The most recently used connection that is still open.
    pub(super) fn reuse(&self) -> Option<SendRequest<RequestBody>> {
        let mut idle = self.idle();
        while let Some(kept) = idle.pop() {
            if kept.since.elapsed() > self.idle_timeout {
                idle.clear();
            } else if !kept.sender.is_closed() {
                return Some(kept.sender);
            }
        }
        None
    }

    fn keep(&self, sender: SendRequest<RequestBody>) {
        if self.manner() != Manner::Keeps || sender.is_closed() {
            return;
        }
        let mut idle = self.idle();
        if idle.len() < self.wide_size {
            idle.push(Idle { sender, since: Instant::now() });
        }
    }

    /// Closes what has been idle too long.
    pub(super) fn prune(&self) {
        self.idle().retain(|kept| kept.since.elapsed() <= self.idle_timeout && !kept.sender.is_closed());
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Lease ===

impl Lease {
    /// `reusable` says that the answer allows another request on this connection.
    pub(super) fn new(
        pool: Arc<Pool>,
        sender: SendRequest<RequestBody>,
        place: Place,
        reusable: bool,
    ) -> Self {
        Lease { pool, sender: reusable.then_some(sender), place: Some(place) }
    }

    /// The body has ended: the connection may carry another request.
    pub(super) fn finish(mut self) {
        if let Some(sender) = self.sender.take() {
            self.pool.keep(sender);
        }
    }

    pub(super) fn release_place(&mut self) {
        self.place = None;
    }
}
