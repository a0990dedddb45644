//! Connections to one upstream server: how many at once, and which are kept.
//!
//! A connection is opened only for a request that is sent on it at once: no connect ahead of need, no race of a new
//! connection against an idle one. Either stops a single-threaded server with a short backlog.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::client::conn::http1::SendRequest;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::Role;
use super::body::RequestBody;

/// Requests at once while a backend answers HTTP/1.0 or closes: one served, the rest within a backlog of 5.
pub(super) const NARROW: usize = 4;
/// How long a connection may take, after its answer, to be done with its request.
const SETTLE: Duration = Duration::from_secs(5);
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
    narrow: Places,
    wide: Places,
    /// Whether the bound was configured: then a place is held until the answer has ended. Else only until its head is
    /// there, so that clients who pause a download keep nobody else from asking.
    is_strict: bool,
}

/// A bound on requests at once, of which shadows may have half: they never stand in a client's way.
#[derive(Debug, Clone)]
struct Places {
    size: usize,
    all: Arc<Semaphore>,
    shadows: Arc<Semaphore>,
}

#[derive(Debug)]
struct Idle {
    sender: SendRequest<RequestBody>,
    since: Instant,
}

/// One of the places among a server's connections.
#[derive(Debug)]
pub(super) struct Place {
    _all: OwnedSemaphorePermit,
    _shadow: Option<OwnedSemaphorePermit>,
}

/// A connection in use; it goes back to the pool when the answer's body has ended, and is closed otherwise.
#[derive(Debug)]
pub struct Lease {
    pool: Arc<Pool>,
    sender: Option<SendRequest<RequestBody>>,
    place: Option<Place>,
}

// === impl Places ===

impl Places {
    fn new(size: usize) -> Self {
        let size = size.clamp(1, Semaphore::MAX_PERMITS);
        Places {
            size,
            all: Arc::new(Semaphore::new(size)),
            shadows: Arc::new(Semaphore::new((size / 2).max(1))),
        }
    }

    /// A shadow queues among shadows first, so that at most half of the queue before a client is shadows.
    async fn take(&self, role: Role) -> Option<Place> {
        let shadow = match role {
            Role::Primary => None,
            Role::Shadow | Role::Follower => Some(Arc::clone(&self.shadows).acquire_owned().await.ok()?),
        };
        let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Place { _all: all, _shadow: shadow })
    }
}

// === impl Pool ===

impl Pool {
    /// `max_connections`, when configured, holds whatever manner is found.
    pub(super) fn new(max_connections: Option<usize>, default_max: usize, idle_timeout: Duration) -> Self {
        let narrow = Places::new(max_connections.unwrap_or(NARROW));
        let wide = if max_connections.is_some() { narrow.clone() } else { Places::new(default_max) };
        Pool {
            idle: Mutex::new(Vec::new()),
            idle_timeout,
            manner: AtomicU8::new(0),
            closes_in_a_row: AtomicU32::new(0),
            widened: Notify::new(),
            narrow,
            wide,
            is_strict: max_connections.is_some(),
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

    /// How many requests it may have at once now.
    pub(super) fn size(&self) -> usize {
        if self.manner() == Manner::Keeps { self.wide.size } else { self.narrow.size }
    }

    /// Waits for a place; first come, first served among those of a role.
    pub(super) async fn place(&self, role: Role) -> Option<Place> {
        let widened = self.widened.notified();
        tokio::pin!(widened);
        // Listened for before the manner is looked at: what it turns into meanwhile is not missed.
        widened.as_mut().enable();
        if self.manner() != Manner::Keeps {
            tokio::select! {
                biased;
                place = self.narrow.take(role) => return place,
                () = widened => {}
            }
        }
        self.wide.take(role).await
    }

    /// The most recently used connection that is still open.
    pub(super) fn reuse(&self) -> Option<SendRequest<RequestBody>> {
        let mut idle = self.idle();
        while let Some(kept) = idle.pop() {
            if kept.since.elapsed() > self.idle_timeout {
                idle.clear();
            } else if kept.sender.is_ready() {
                return Some(kept.sender);
            }
        }
        None
    }

    /// Keeps a connection whose answer has ended, once its request has as well: a server may answer before it has read
    /// all of it, and the next request must not wait for another client's upload.
    fn keep(self: Arc<Self>, mut sender: SendRequest<RequestBody>) {
        if self.manner() != Manner::Keeps || sender.is_closed() {
            return;
        }
        if sender.is_ready() {
            return self.push(sender);
        }
        tokio::spawn(async move {
            if let Ok(Ok(())) = tokio::time::timeout(SETTLE, sender.ready()).await {
                self.push(sender);
            }
        });
    }

    fn push(&self, sender: SendRequest<RequestBody>) {
        let mut idle = self.idle();
        if idle.len() < self.wide.size {
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
        let place = pool.is_strict.then_some(place);
        Lease { pool, sender: reusable.then_some(sender), place }
    }

    /// The body has ended: the connection may carry another request.
    pub(super) fn finish(mut self) {
        if let Some(sender) = self.sender.take() {
            Arc::clone(&self.pool).keep(sender);
        }
    }

    pub(super) fn release_place(&mut self) {
        self.place = None;
    }
}
