//! How requests ended, what differed, and the evidence the gate judges. Everything here is bounded.
//!
//! Not for: what the evidence allows (`cutover::gate`).

pub mod acceptance;
pub mod archive;
pub mod books;
pub mod evidence;
pub mod finding;
pub mod findings;
pub mod group;
pub mod hint;
pub mod judging;
pub mod noise;
pub mod outcome;
mod outgoing;
pub mod redact;
pub mod sample;
pub mod seen;
pub(crate) mod sentence;
pub mod shape;
pub mod sharing;
pub mod ticket;

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::Utc;

use self::acceptance::{Acceptance, JudgeError, Judgement};
use self::archive::{Archive, Bounds};
use self::books::Books;
use self::evidence::Tally;
use self::evidence::history::Point;
use self::finding::{Finding, State};
use self::findings::Findings;
pub use self::judging::Verdict;
use self::outgoing::Outgoing;
use self::sample::Sample;
use self::seen::Log;
use self::ticket::canonical_hash;
pub use self::ticket::{Confirmation, Ticket};
use crate::compare::{Comparison, Severity};
use crate::metrics::Metrics;
use crate::side::{Pair, Side};
use crate::state::{Position, StateError, StateStore};

/// Places kept with a comparison. Of one with more, only the findings are kept; with more findings than that, it stays a
/// mismatch, whatever is accepted.
const PLACES: usize = 32;

/// The books of one flipgate.
#[derive(Debug)]
pub struct Ledger {
    metrics: Arc<Metrics>,
    names: Pair<String>,
    labels: Vec<String>,
    books: Arc<Books>,
    findings: Arc<Mutex<Findings>>,
    archive: Archive,
    outgoing: Arc<Outgoing>,
    last_sample: AtomicU64,
    /// When a request that may write last went through, in milliseconds since the Unix epoch.
    last_write: AtomicI64,
    seen: Arc<Log>,
}

/// Whose request it is, and under which committed state it began.
#[derive(Debug, Clone, Copy)]
pub struct Visitor {
    /// A hash of where the client is; 0 where *from* answers, since the watch looks at *to* only.
    pub client: u64,
    /// Who answers it.
    pub primary: Side,
    /// The state it began under.
    pub position: Position,
}

/// A comparison that was made, as the ledger takes it.
#[derive(Debug)]
pub struct Compared<'a> {
    /// Path and query as they came.
    pub target: &'a str,
    /// Who served the client.
    pub primary: Side,
    /// Leg times.
    pub times: Pair<Duration>,
    /// Whether both legs answered 2xx.
    pub success: bool,
    /// What differs.
    pub comparison: Comparison,
    /// Whether every cause is listed: the list was not cut short.
    pub listed: bool,
}

/// What a sample keeps of one leg; made only when a sample is kept.
#[derive(Debug)]
pub struct LegRecord {
    /// HTTP status.
    pub status: u16,
    /// The headers that are compared.
    pub headers: Vec<(String, String)>,
    /// The decoded body as text, or a line that describes it.
    pub body: String,
}

/// Both legs for a sample, and the patch between them; made only when one is kept.
#[derive(Debug)]
pub struct Records {
    /// The legs.
    pub legs: Pair<LegRecord>,
    /// RFC 6902 from *from* to *to*.
    pub patch: Option<serde_json::Value>,
    /// The headers with which it can be asked again; none if it carried credentials.
    pub request: Option<Vec<(String, String)>>,
}

// === impl Ledger ===

impl Ledger {
    /// Books for routes with these labels, `other` last; evidence of `epoch`, findings and samples are taken up from
    /// `directory`.
    ///
    /// # Errors
    /// If what an earlier run left there cannot be read.
    pub fn open(
        metrics: Arc<Metrics>,
        names: Pair<String>,
        labels: Vec<String>,
        directory: &Path,
        store: &StateStore,
        epoch: i64,
        seen: Arc<Log>,
    ) -> Result<Self, StateError> {
        let findings = Arc::new(Mutex::new(Findings::default()));
        let books = Arc::new(Books::new(&labels, epoch));
        let outgoing = Arc::new(Outgoing::default());
        let keeps = archive::Keeps {
            findings: Arc::clone(&findings),
            books: Arc::clone(&books),
            outgoing: Arc::clone(&outgoing),
        };
        let (archive, restored) =
            Archive::open(directory, Bounds::default(), keeps, store.clone(), Arc::clone(&metrics))?;
        // What cannot be read is not accepted: the finding is open, and can be accepted again.
        let read = |(id, document): (String, String)| Some((id, serde_json::from_str(&document).ok()?));
        let accepted = store.judgements()?.into_iter().filter_map(read).collect();
        lock(&findings).restore(restored.findings, &labels, accepted);
        let last_sample = AtomicU64::new(restored.last_sample);
        let last_write = AtomicI64::new(0);
        Ok(Ledger {
            metrics,
            names,
            labels,
            books,
            findings,
            archive,
            outgoing,
            last_sample,
            last_write,
            seen,
        })
    }

    /// Opens a ticket for a request to `target` on `route`.
    #[must_use]
    pub fn ticket(self: &Arc<Self>, route: usize, target: &str, visitor: Visitor) -> Ticket {
        Ticket {
            ledger: Arc::clone(self),
            route,
            target: canonical_hash(target),
            visitor,
            epoch: self.books.epoch(),
            primary_erred: false,
            open: true,
        }
    }

    /// The evidence of `route` since `since_ms` (milliseconds since the Unix epoch), by what is accepted now.
    #[must_use]
    pub fn tally(&self, route: usize, since_ms: i64) -> Tally {
        self.books.tally(route, since_ms, &self.accepted(route))
    }

    /// The last hour of `route`, stretch by stretch, oldest first.
    #[must_use]
    pub fn history(&self, route: usize) -> Vec<Point> {
        self.books.history(route, Utc::now().timestamp_millis())
    }

    /// Takes in what came since the last call, and forgets what is older than `since_ms`.
    pub fn tick(&self, since_ms: i64) {
        self.books.tick(since_ms, Utc::now().timestamp_millis());
        self.metrics.set_evidence_dropped(self.books.dropped());
    }

    /// Begins another epoch: evidence gathered so far, and by requests under way, no longer counts.
    pub fn begin_epoch(&self, epoch: i64) {
        self.books.begin_epoch(epoch);
    }

    /// Numbers samples within `numbers`, beyond those that earlier runs made. Before any sample is made.
    ///
    /// # Errors
    /// If `samples.db` cannot be read.
    pub fn number_samples_within(&self, numbers: &Range<u64>) -> Result<(), StateError> {
        let kept = self.archive.last_sample_within(numbers)?;
        // One that was evicted may still be named.
        let named = lock(&self.findings).last_sample_within(numbers);
        let last = kept.into_iter().chain(named).max();
        self.last_sample.store(last.unwrap_or(numbers.start), Ordering::Relaxed);
        Ok(())
    }

    /// The paths of `route` at which the primary differs from itself.
    #[must_use]
    pub fn noisy(&self, route: usize) -> Vec<String> {
        self.books.noisy(route)
    }

    /// Notes that a request that may write goes through.
    pub fn note_write(&self) {
        self.last_write.fetch_max(Utc::now().timestamp_millis(), Ordering::Relaxed);
    }

    /// Whether a request that may write went through at or after `since_ms`.
    #[must_use]
    pub fn has_written_since(&self, since_ms: i64) -> bool {
        self.last_write.load(Ordering::Relaxed) >= since_ms
    }

    /// Has a sample that cannot be asked again wait for clients to ask for its target.
    pub fn await_clients(&self, sample: &Sample) {
        let route = self.labels.iter().position(|label| *label == sample.route);
        // With a secret blanked the target is another one.
        if let Some(route) = route.filter(|_| !sample.target.contains(redact::BLANK)) {
            lock(&self.findings).await_target(route, canonical_hash(&sample.target), sample.id);
        }
    }

    /// Forgets a sample: what it asked for is no longer there, on either side.
    pub fn forget_sample(&self, sample: u64) {
        lock(&self.findings).forget_samples(&[sample]);
    }

    /// Notes that a sample could not be asked again: it is left alone for a while.
    pub fn not_rechecked(&self, sample: u64) {
        lock(&self.findings).not_rechecked(sample);
    }

    /// Samples of findings whose cause may be gone, at most `most`, to be asked again.
    #[must_use]
    pub fn samples_to_ask(&self, most: usize) -> Vec<u64> {
        lock(&self.findings).samples_to_ask(most)
    }

    /// All findings, most severe and most frequent first.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        lock(&self.findings).sorted().into_iter().cloned().collect()
    }

    /// One finding.
    #[must_use]
    pub fn finding(&self, id: &str) -> Option<Finding> {
        lock(&self.findings).get(id).cloned()
    }

    /// One sample.
    #[must_use]
    pub fn sample(&self, id: u64) -> Option<Sample> {
        self.archive.sample(id)
    }

    /// Puts findings and samples on disk. Blocks on it.
    pub fn flush(&self) {
        self.archive.flush();
    }

    /// How many findings there are of each state and severity.
    #[must_use]
    pub fn finding_counts(&self) -> Vec<((State, Severity), i64)> {
        let mut findings = lock(&self.findings);
        findings.settle(Utc::now());
        findings.counts().into_iter().collect()
    }

    /// Open findings of these severities that stand against a flip, most severe and most frequent first.
    #[must_use]
    pub fn open_findings(&self, severities: &[Severity]) -> Vec<Finding> {
        let mut findings = lock(&self.findings);
        findings.settle(Utc::now());
        findings.open(severities).into_iter().cloned().collect()
    }

    /// What accepting a finding as asked would mean, counted in the stored evidence. Changes nothing.
    ///
    /// # Errors
    /// [`JudgeError`] says why it cannot be accepted so.
    pub fn acceptance(&self, id: &str, judgement: &Judgement) -> Result<Acceptance, JudgeError> {
        let finding = self.finding(id).ok_or(JudgeError::Unknown)?;
        let mut acceptance = judgement.acceptance(&finding, Utc::now())?;
        (acceptance.compared, acceptance.occurred) = self.occurrences(&finding);
        match acceptance.max_share {
            Some(max_share) if acceptance.is_beyond_its_share() => {
                let Acceptance { occurred, compared, .. } = acceptance;
                Err(JudgeError::Beyond { occurred, compared, max_share })
            }
            Some(_) | None => Ok(acceptance),
        }
    }

    /// How many comparisons of a finding's route are kept as evidence, and in how many of them it occurred.
    #[must_use]
    pub fn occurrences(&self, finding: &Finding) -> (u64, u64) {
        self.route_of(finding).map_or((0, 0), |route| self.books.occurrences(route, finding))
    }

    fn route_of(&self, finding: &Finding) -> Option<usize> {
        self.labels.iter().position(|label| *label == finding.route)
    }

    /// Gives a finding the state that an operator judged it to have: accepted, or open.
    pub fn judge(&self, id: &str, accepted: Option<Acceptance>) -> Option<Finding> {
        lock(&self.findings).judge(id, accepted)
    }

    /// Notes how a sample's request of `route` differed when it was asked again.
    pub fn rechecked(&self, route: usize, sample: u64, comparison: &Comparison) {
        let mut findings = lock(&self.findings);
        findings.recheck(route, sample, comparison);
        findings.settle(Utc::now());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
