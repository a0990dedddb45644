//! The comparators: threads of their own that compare finished legs, fed by a bounded queue.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode, header};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::near::Reading;
use super::rechecker::{Conclusion, Desk, Differing};
use crate::backend::{Head, LOOP_MARK};
use crate::compare::{self, Body, Comparison, Mode, Rules};
use crate::ledger::outcome::{Outcome, Reason};
use crate::ledger::{Compared, LegRecord, Records, Ticket, redact};
use crate::metrics::Metrics;
use crate::proxy::tee::{Captured, Kept};
use crate::side::{Pair, Side};

/// Stack of a comparator: room for the deepest document its rules allow.
const STACK: usize = 8 * 1024 * 1024;

/// Bytes of a request's headers kept with a sample; one with more cannot be asked again.
const HEADER_BYTES: usize = 4096;
/// Request headers that choose no answer, or say who asked: not kept.
const LEFT_OUT: [&str; 8] = [
    LOOP_MARK,
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "referer",
    "connection",
    "te",
    "traceparent",
];

/// Both legs of one request, to be compared.
#[derive(Debug)]
pub struct Job {
    /// The request's outcome.
    pub ticket: Ticket,
    /// How to compare.
    pub rules: Arc<Rules>,
    /// Who served the client.
    pub primary: Side,
    /// What was asked.
    pub head: Arc<Head>,
    /// What tells which writes touch it.
    pub reading: Reading,
    /// Both legs.
    pub legs: Pair<Leg>,
}

/// One backend's complete answer. Copies share its body.
#[derive(Debug, Clone)]
pub struct Leg {
    /// HTTP status.
    pub status: StatusCode,
    /// Leg time.
    pub time: Duration,
    headers: HeaderMap,
    framed: bool,
    captured: Arc<Captured>,
}

/// The queue and its threads. Dropping it ends the threads once the queue is empty.
#[derive(Debug)]
pub struct Comparators {
    queue: SyncSender<Job>,
    metrics: Arc<Metrics>,
}

/// A leg's body in one piece.
enum Whole {
    Bytes(Bytes),
    Over { length: u64, digest: [u8; 32] },
}

// === impl Leg ===

impl Leg {
    /// A leg from its parts; `framed` says that the body's end shows.
    #[must_use]
    pub fn new(status: StatusCode, headers: HeaderMap, framed: bool, captured: Captured) -> Self {
        Leg { status, time: captured.time, headers, framed, captured: Arc::new(captured) }
    }

    /// What was kept of the body.
    #[must_use]
    pub fn kept(&self) -> &Kept {
        &self.captured.kept
    }

    fn whole(&self) -> Whole {
        match &self.captured.kept {
            Kept::Whole(chunks) => match chunks.as_slice() {
                [one] => Whole::Bytes(one.clone()),
                many => Whole::Bytes(many.concat().into()),
            },
            Kept::Over { length, digest } => Whole::Over { length: *length, digest: *digest },
            Kept::NoRoom => Whole::Over { length: 0, digest: [0; 32] },
        }
    }

    fn borrowed<'a>(&'a self, whole: &'a Whole) -> compare::Leg<'a> {
        let body = match whole {
            Whole::Bytes(bytes) => Body::Whole { bytes, framed: self.framed },
            Whole::Over { length, digest } => Body::Over { length: *length, digest: *digest },
        };
        compare::Leg { status: self.status.as_u16(), headers: &self.headers, body }
    }

    fn record(&self, whole: &Whole, rules: &Rules) -> LegRecord {
        let stored = |(name, value): (&HeaderName, &http::HeaderValue)| {
            (name.to_string(), redact::header(name.as_str(), &String::from_utf8_lossy(value.as_bytes())))
        };
        let headers = self.headers.iter().map(stored).collect();
        let body = match whole {
            Whole::Bytes(bytes) => shown(bytes, &self.headers, rules),
            Whole::Over { length, digest } => {
                format!("(over the cap: {length} bytes, SHA-256 {})", hex(digest))
            }
        };
        LegRecord { status: self.status.as_u16(), headers, body }
    }
}

// === impl Whole ===

impl Whole {
    fn length(&self) -> u64 {
        match self {
            Whole::Bytes(bytes) => bytes.len() as u64,
            Whole::Over { length, .. } => *length,
        }
    }
}

// === impl Comparators ===

impl Comparators {
    /// Starts `threads` comparators behind a queue of `queue` jobs.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn start(threads: usize, queue: usize, metrics: &Arc<Metrics>, desk: Desk) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(queue);
        let receiver = Arc::new(Mutex::new(receiver));
        let desk = Arc::new(desk);
        for number in 0..threads.max(1) {
            let receiver = Arc::clone(&receiver);
            let (metrics, desk) = (Arc::clone(metrics), Arc::clone(&desk));
            std::thread::Builder::new()
                .name(format!("compare-{number}"))
                .stack_size(STACK)
                .spawn(move || work(&receiver, &metrics, &desk))?;
        }
        Ok(Comparators { queue: sender, metrics: Arc::clone(metrics) })
    }

    /// Queues `job`; its ticket ends as `shed` where the queue is full.
    pub fn submit(&self, job: Job) {
        self.metrics.compare_queue.inc();
        if let Err(refused) = self.queue.try_send(job) {
            self.metrics.compare_queue.dec();
            let (TrySendError::Full(job) | TrySendError::Disconnected(job)) = refused;
            job.ticket.end(Outcome::Shed, Reason::Queue);
        }
    }
}

fn work(jobs: &Mutex<Receiver<Job>>, metrics: &Metrics, desk: &Desk) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        metrics.compare_queue.dec();
        // A comparison promises not to panic; should one, its request is `incomplete` and the thread lives on.
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| compare(job, metrics, desk))).is_err() {
            tracing::error!("a comparison panicked; please report it with the request that caused it");
        }
    }
}

fn compare(job: Job, metrics: &Metrics, desk: &Desk) {
    let started = Instant::now();
    let Job { ticket, rules, primary, head, reading, legs } = job;
    let whole = Pair { from: legs.from.whole(), to: legs.to.whole() };
    let comparison = compare::compare(legs.from.borrowed(&whole.from), legs.to.borrowed(&whole.to), &rules);
    metrics.compared(started.elapsed(), whole.from.length() + whole.to.length());
    let differing =
        Differing { ticket, rules, primary, head, reading, legs, comparison, at: Instant::now(), key: None };
    desk.take(differing);
}

impl Differing {
    /// A hash of the route and of what differs; none if not all of that is known.
    pub(super) fn signature(&self) -> Option<u64> {
        if self.comparison.limited.is_some() || !self.is_listed() {
            return None;
        }
        let mut parts: Vec<_> =
            self.comparison.differences.iter().map(|d| (d.path.as_str(), d.kind, d.class)).collect();
        parts.sort_unstable();
        parts.dedup();
        let mut hasher = DefaultHasher::new();
        (self.ticket.route(), parts).hash(&mut hasher);
        Some(hasher.finish())
    }

    /// Whether every cause is listed: the list was not cut short.
    pub(super) fn is_listed(&self) -> bool {
        is_listed(&self.comparison, &self.rules)
    }

    /// Gives the request its outcome; it must be on a thread with a stack for deep documents.
    pub(super) fn conclude(self, conclusion: Conclusion) {
        let listed = self.is_listed();
        let Differing { ticket, rules, primary, head, legs, comparison, .. } = self;
        let compared = Compared {
            target: target(&head),
            primary,
            times: Pair { from: legs.from.time, to: legs.to.time },
            success: legs.from.status.is_success() && legs.to.status.is_success(),
            listed,
            comparison,
        };
        let records = || {
            let whole = Pair { from: legs.from.whole(), to: legs.to.whole() };
            records(&head, &legs, &whole, &rules)
        };
        match conclusion {
            Conclusion::Settled(confirmation) => ticket.compared(&compared, confirmation, records),
            Conclusion::Agreed { after, explained } => ticket.transient(&compared, after, explained, records),
            Conclusion::WritePending => ticket.write_pending(&compared),
        }
    }
}

/// Path and query of what was asked.
pub(super) fn target(head: &Head) -> &str {
    head.uri.path_and_query().map_or("/", |target| target.as_str())
}

/// Whether every cause is listed.
pub(super) fn is_listed(comparison: &Comparison, rules: &Rules) -> bool {
    comparison.differences.len() < rules.limits().differences
}

/// Does `work` on a thread of its own, which has the stack that deep documents may need. None if it was given up.
pub(super) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (told, done) = oneshot::channel();
    let work = move || {
        // Nobody waits any more where the caller has left.
        let _ = told.send(work());
    };
    std::thread::Builder::new().name("recheck".into()).stack_size(STACK).spawn(work).ok()?;
    done.await.ok()
}

/// Compares two legs and gives them back. None if it was given up.
pub(super) async fn compare_apart(legs: Pair<Leg>, rules: Arc<Rules>) -> Option<(Comparison, Pair<Leg>)> {
    let work = move || {
        let whole = Pair { from: legs.from.whole(), to: legs.to.whole() };
        let comparison =
            compare::compare(legs.from.borrowed(&whole.from), legs.to.borrowed(&whole.to), &rules);
        (comparison, legs)
    };
    apart(work).await
}

/// Both legs for a sample. The patch is made from the bodies as they are shown, so it cannot hold a secret either.
fn records(head: &Head, legs: &Pair<Leg>, whole: &Pair<Whole>, rules: &Rules) -> Records {
    let from = legs.from.record(&whole.from, rules);
    let to = legs.to.record(&whole.to, rules);
    let patch = compare::patch(from.body.as_bytes(), to.body.as_bytes());
    Records { legs: Pair { from, to }, patch, request: request(head) }
}

/// The headers with which a request can be asked again: all that may choose among answers. None if it carried credentials,
/// since without them the answer would be another one, and with them they would be stored; or if they are too many.
fn request(head: &Head) -> Option<Vec<(String, String)>> {
    let target = target(head);
    if redact::target(target) != target {
        return None;
    }
    let (mut kept, mut bytes) = (Vec::new(), 0);
    for (name, value) in &head.headers {
        let (name, value) = (name.as_str(), value.to_str().ok()?);
        if LEFT_OUT.contains(&name) {
            continue;
        }
        bytes += name.len() + value.len();
        if bytes > HEADER_BYTES || redact::is_secret(name) || redact::header(name, value) != value {
            return None;
        }
        kept.push((name.to_owned(), value.to_owned()));
    }
    Some(kept)
}

/// A body as text with secrets blanked. One in which they cannot be found, since it is no text, or JSON that does not
/// parse, is described by its digest.
fn shown(bytes: &Bytes, headers: &HeaderMap, rules: &Rules) -> String {
    let digest =
        |what: &str| format!("({what}: {} bytes, SHA-256 {})", bytes.len(), hex(&Sha256::digest(bytes)));
    let decoded = compare::decoded(bytes, headers, rules.limits());
    match decoded.as_deref().map(std::str::from_utf8) {
        Some(Ok(text)) if claims_json(headers, rules.mode()) && !parses(text) => digest("not valid JSON"),
        Some(Ok(text)) => redact::text(text).into_owned(),
        Some(Err(_)) | None => digest("not text"),
    }
}

fn claims_json(headers: &HeaderMap, mode: Mode) -> bool {
    let named = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    mode == Mode::Json || named.to_ascii_lowercase().contains("json")
}

fn parses(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text.trim_start_matches('\u{feff}')).is_ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
