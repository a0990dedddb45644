//! How requests ended, what differed, and the evidence the gate judges. Everything here is bounded.
//!
//! Not for: what the evidence allows (`cutover::gate`).

pub mod acceptance;
pub mod archive;
pub mod evidence;
pub mod finding;
pub mod findings;
pub mod outcome;
pub mod redact;
pub mod sample;
pub(crate) mod sentence;
pub mod ticket;

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use self::acceptance::{Acceptance, JudgeError, Judgement, Place, Values};
use self::archive::{Archive, Bounds};
use self::evidence::{Evidence, Tally};
use self::finding::{Finding, SAMPLES, State};
use self::findings::Findings;
use self::sample::{Sample, SampleDifference, SampleLeg};
pub use self::ticket::Ticket;
use self::ticket::canonical_hash;
use crate::compare::{Comparison, Severity};
use crate::metrics::Metrics;
use crate::side::{Pair, Side};
use crate::state::{StateError, StateStore};

/// Places kept with a comparison; one that differs in more stays a mismatch, whatever is accepted.
const PLACES: usize = 64;

/// The books of one flipgate.
#[derive(Debug)]
pub struct Ledger {
    metrics: Arc<Metrics>,
    names: Pair<String>,
    labels: Vec<String>,
    evidence: Vec<Mutex<Evidence>>,
    findings: Arc<Mutex<Findings>>,
    archive: Archive,
    last_sample: AtomicU64,
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
    /// Books for routes with these labels, `other` last; findings and samples are taken up from `directory`.
    ///
    /// # Errors
    /// If what an earlier run left there cannot be read.
    pub fn open(
        metrics: Arc<Metrics>,
        names: Pair<String>,
        labels: Vec<String>,
        directory: &Path,
        store: &StateStore,
    ) -> Result<Self, StateError> {
        let findings = Arc::new(Mutex::new(Findings::default()));
        let (archive, restored) = Archive::open(
            directory,
            Bounds::default(),
            Arc::clone(&findings),
            store.clone(),
            Arc::clone(&metrics),
        )?;
        // What cannot be read is not accepted: the finding is open, and can be accepted again.
        let read = |(id, document): (String, String)| Some((id, serde_json::from_str(&document).ok()?));
        let accepted = store.judgements()?.into_iter().filter_map(read).collect();
        lock(&findings).restore(restored.findings, &labels, accepted);
        let evidence = labels.iter().map(|_| Mutex::default()).collect();
        let last_sample = AtomicU64::new(restored.last_sample);
        Ok(Ledger { metrics, names, labels, evidence, findings, archive, last_sample })
    }

    /// Opens a ticket for a request to `target` on `route`.
    #[must_use]
    pub fn ticket(self: &Arc<Self>, route: usize, target: &str) -> Ticket {
        Ticket { ledger: Arc::clone(self), route, target: canonical_hash(target), open: true }
    }

    /// The evidence of `route` since `since_ms` (milliseconds since the Unix epoch).
    #[must_use]
    pub fn tally(&self, route: usize, since_ms: i64) -> Tally {
        let entries =
            self.evidence.get(route).map(|evidence| lock(evidence).since(since_ms)).unwrap_or_default();
        let accepted = {
            let mut findings = lock(&self.findings);
            findings.settle(Utc::now());
            findings.accepted()
        };
        Tally::of(&entries, &accepted)
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

    /// Open findings of each severity.
    #[must_use]
    pub fn open_findings(&self) -> Vec<(Severity, i64)> {
        let open = |((state, severity), count)| (state == State::Open).then_some((severity, count));
        self.finding_counts().into_iter().filter_map(open).collect()
    }

    /// What accepting a finding as asked would mean, counted in the stored evidence. Changes nothing.
    ///
    /// # Errors
    /// [`JudgeError`] says why it cannot be accepted so.
    pub fn acceptance(&self, id: &str, judgement: &Judgement) -> Result<Acceptance, JudgeError> {
        let finding = self.finding(id).ok_or(JudgeError::Unknown)?;
        let mut acceptance = judgement.acceptance(&finding, Utc::now())?;
        let route = self.labels.iter().position(|label| *label == finding.route);
        if let Some(evidence) = route.and_then(|route| self.evidence.get(route)) {
            (acceptance.compared, acceptance.occurred) = lock(evidence).occurrences(&finding);
        }
        match acceptance.max_share {
            Some(max_share) if acceptance.is_beyond_its_share() => {
                let Acceptance { occurred, compared, .. } = acceptance;
                Err(JudgeError::Beyond { occurred, compared, max_share })
            }
            Some(_) | None => Ok(acceptance),
        }
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

    fn count_differences(&self, route: usize, compared: &Compared<'_>, now: DateTime<Utc>) -> Noted {
        let label = self.labels.get(route).map_or("other", String::as_str);
        let mut findings = lock(&self.findings);
        findings.begin(route);
        let mut noted = Noted::default();
        // Of a frequent cause only the first values are listed: which others there were is not known.
        let all_values = compared.comparison.total == compared.comparison.differences.len() as u64;
        for difference in &compared.comparison.differences {
            self.metrics.difference(route, difference.kind.as_str(), difference.class.as_str());
            if difference.accepted_by_rule {
                continue;
            }
            let shown = |value: Option<&str>| value.map(|value| sentence::shown(difference, value));
            let values =
                Values { from: shown(difference.from.as_deref()), to: shown(difference.to.as_deref()) };
            let finding = findings.count(route, label, &self.names, difference, &values, now);
            noted.wants_sample |= finding.samples.len() < SAMPLES;
            noted.places.insert(Place::new(finding, all_values.then_some(&values)));
            noted.differences.push((finding.id.clone(), values));
        }
        if noted.is_complete(compared) {
            let places: Arc<[Place]> = noted.places.iter().copied().collect();
            noted.covered = findings.accepted().covers(&places);
            noted.differs = Some(places);
        }
        noted
    }

    fn keep_sample(
        &self,
        route: usize,
        compared: &Compared<'_>,
        now: DateTime<Utc>,
        noted: Noted,
        records: Records,
    ) {
        let ids: Vec<String> = noted.differences.iter().map(|(id, _)| id.clone()).collect();
        let differences = compared.comparison.differences.iter().filter(|d| !d.accepted_by_rule);
        let differences: Vec<SampleDifference> = differences
            .zip(noted.differences)
            .map(|(difference, (finding, Values { from, to }))| SampleDifference {
                finding,
                at: difference.at.clone(),
                kind: difference.kind.to_string(),
                class: difference.class.to_string(),
                from,
                to,
            })
            .collect();
        let leg = |side: Side, record: LegRecord| SampleLeg {
            backend: self.names.get(side).clone(),
            status: record.status,
            headers: record.headers,
            seconds: compared.times.get(side).as_secs_f64(),
            body: record.body,
        };
        let Pair { from, to } = records.legs;
        let id = self.last_sample.fetch_add(1, Ordering::Relaxed) + 1;
        let sample = Sample {
            id,
            at: now,
            route: self.labels.get(route).cloned().unwrap_or_default(),
            target: redact::target(compared.target),
            request: records.request,
            primary: self.names.get(compared.primary).clone(),
            from: leg(Side::From, from),
            to: leg(Side::To, to),
            differences,
            patch: records.patch,
        };
        // Named before it is queued, so that the writer finds the name to take back should it fail.
        lock(&self.findings).add_sample(&ids, id);
        if !self.archive.keep(sample) {
            lock(&self.findings).forget_samples(&[id]);
        }
    }
}

/// What counting a comparison's differences brought to light.
#[derive(Default)]
struct Noted {
    /// The finding of each difference that no rule covers, in order, and the values as they may be shown.
    differences: Vec<(String, Values)>,
    /// The same, each once.
    places: HashSet<Place>,
    /// Whether one of these findings still has room for a sample.
    wants_sample: bool,
    /// Whether all of them are accepted.
    covered: bool,
    /// What the evidence keeps, so that later judgements judge it again; none if they cannot.
    differs: Option<Arc<[Place]>>,
}

impl Noted {
    /// Whether all is known that an acceptance must cover.
    fn is_complete(&self, compared: &Compared<'_>) -> bool {
        compared.comparison.limited.is_none() && compared.listed && (1..=PLACES).contains(&self.places.len())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
