//! A finding: all differences of one cause (route, index-free path, kind, class), counted, with samples.

use std::str::FromStr;
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::acceptance::{Acceptance, Values};
use super::findings::PER_ROUTE;
use crate::compare::{Class, Difference, Kind, Severity};
use crate::side::Pair;

/// Samples kept a finding.
pub const SAMPLES: usize = 3;
/// Comparisons of its route without it, after which a finding whose samples agree is resolved.
const LATER: u64 = 30;
/// The same where no sample is kept that could be asked again.
const LATER_WITHOUT_SAMPLES: u64 = 300;
/// How often, at most, a confirmed cause and the samples of a finding are asked again.
pub(super) const AGAIN: Duration = Duration::from_secs(60);
/// Where the differences of a route go that are more than it may have findings.
pub const OVERFLOW: &str = "**";

/// What makes differences one finding.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Signature {
    /// Index of the route.
    pub route: usize,
    /// Index-free path.
    pub path: String,
    /// What kind of difference.
    pub kind: Kind,
    /// Why.
    pub class: Class,
    /// Whether it is of differences that were gone when asked again, which nothing explains.
    pub transient: bool,
}

/// Whether a finding still counts against a flip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nobody has judged it, or what was accepted no longer holds.
    Open,
    /// An operator accepted it, within a scope and until a time.
    Accepted,
    /// It no longer occurs, as rechecks and later comparisons show.
    Resolved,
}

/// One cause of differences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable over restarts and flips: a hash of the signature.
    pub id: String,
    /// The route's `match` string.
    pub route: String,
    /// Index-free path.
    pub path: String,
    /// What kind of difference.
    #[serde(deserialize_with = "named")]
    pub kind: Kind,
    /// Why.
    #[serde(deserialize_with = "named")]
    pub class: Class,
    /// How much it weighs.
    #[serde(deserialize_with = "named")]
    pub severity: Severity,
    /// Whether it counts against a flip.
    pub state: State,
    /// Differences so far.
    pub count: u64,
    /// When it was first seen.
    #[serde(serialize_with = "rfc3339")]
    pub first_seen: DateTime<Utc>,
    /// When it was last seen.
    #[serde(serialize_with = "rfc3339")]
    pub last_seen: DateTime<Utc>,
    /// What it means, in plain words.
    pub sentence: String,
    /// Ids of the samples kept, oldest first.
    pub samples: Vec<u64>,
    /// What was accepted; null unless it is.
    #[serde(default)]
    pub accepted: Option<Acceptance>,
    /// Whether it is of differences that were gone when asked again, which nothing explains.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub transient: bool,
    /// How often it occurred with values that noise could not explain.
    #[serde(default)]
    pub unlike: u64,
    /// What has been seen of it in this run.
    #[serde(skip)]
    pub(super) watch: Watch,
}

/// What has been seen of a finding in this run, in comparisons of its route.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Watch {
    /// How many there had been when it last occurred.
    pub(super) occurred_at: u64,
    /// How many there had been when its share was last brought up to date.
    pub(super) counted_at: u64,
    /// Its samples that agreed when they were asked again, since it last occurred.
    pub(super) agreed: Vec<u64>,
    /// Occurrences that the other replicas have not been told of.
    pub(super) untold: u64,
    /// When a recheck last confirmed it.
    pub(super) confirmed: Option<Instant>,
    /// When its samples were last asked again.
    pub(super) asked: Option<Instant>,
}

/// Writes a time as RFC 3339 in UTC with milliseconds.
///
/// # Errors
/// Those of the serializer.
pub fn rfc3339<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// Reads a name of a closed list.
fn named<'de, T: FromStr<Err: std::fmt::Display>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
}

// === impl Signature ===

impl Signature {
    pub(super) fn of(route: usize, difference: &Difference) -> Self {
        let Difference { path, kind, class, .. } = difference;
        Signature { route, path: path.clone(), kind: *kind, class: *class, transient: false }
    }

    pub(super) fn overflow(route: usize) -> Self {
        Signature { route, path: OVERFLOW.into(), kind: Kind::Body, class: Class::Value, transient: false }
    }

    /// The same, of differences that were gone when asked again.
    pub(super) fn transient(self) -> Self {
        Signature { transient: true, ..self }
    }

    pub(super) fn id(&self, label: &str) -> String {
        let mut hash = Sha256::new();
        for part in [label, &self.path, self.kind.as_str(), self.class.as_str()] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        if self.transient {
            hash.update(b"transient");
        }
        hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }
}

// === impl State ===

impl State {
    /// Every state.
    pub const ALL: [State; 3] = [State::Open, State::Accepted, State::Resolved];

    /// The name used in the API and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Accepted => "accepted",
            State::Resolved => "resolved",
        }
    }
}

// === impl Finding ===

impl Finding {
    pub(super) fn new(
        signature: &Signature,
        label: &str,
        names: &Pair<String>,
        difference: &Difference,
        now: DateTime<Utc>,
    ) -> Self {
        let overflow = signature.path == OVERFLOW;
        let sentence = super::sentence::sentence(Some(label), names, difference);
        Finding {
            id: signature.id(label),
            route: label.to_owned(),
            path: signature.path.clone(),
            kind: signature.kind,
            class: signature.class,
            severity: if overflow { Severity::Breaking } else { difference.severity() },
            state: State::Open,
            count: 0,
            first_seen: now,
            last_seen: now,
            sentence: if overflow {
                format!("More than {PER_ROUTE} different findings on {label}; the rest is counted here.")
            } else if signature.transient {
                format!("For a moment only, and no known write explains it: {sentence}")
            } else {
                sentence
            },
            samples: Vec::new(),
            accepted: None,
            transient: signature.transient,
            unlike: 0,
            watch: Watch::default(),
        }
    }

    /// What makes it this finding, where its route has this index.
    pub(super) fn signature(&self, route: usize) -> Signature {
        let Finding { kind, class, transient, .. } = *self;
        Signature { route, path: self.path.clone(), kind, class, transient }
    }

    /// Notes that it occurred with these values in the route's comparison of this number; tells why it reopens, if it
    /// does.
    pub(super) fn occur(&mut self, values: &Values, comparison: u64, now: DateTime<Utc>) -> Option<String> {
        self.count += 1;
        self.watch.untold += 1;
        self.last_seen = now;
        let is_first = self.watch.occurred_at < comparison;
        self.bring_up_to_date(comparison);
        self.watch.occurred_at = comparison;
        self.watch.agreed.clear();
        match self.state {
            State::Open => None,
            State::Resolved => Some("it occurred again".to_owned()),
            State::Accepted => {
                let accepted = self.accepted.as_mut()?;
                accepted.occurred += u64::from(is_first);
                accepted.exceeded(values)
            }
        }
    }

    /// Notes that it occurred at another replica by the time of the route's comparison of this number: only what comes
    /// later shows that its cause is gone.
    pub(super) fn occur_elsewhere(&mut self, comparison: u64) {
        self.watch.occurred_at = comparison;
        self.watch.agreed.clear();
    }

    /// Why its state changes by itself now, and to which: an acceptance that expired, a cause that is gone.
    pub(super) fn due(&self, comparisons: u64, now: DateTime<Utc>) -> Option<(State, String)> {
        if self.accepted.as_ref().is_some_and(|accepted| accepted.has_expired(now)) {
            return Some((State::Open, "its acceptance expired".to_owned()));
        }
        let later = comparisons.saturating_sub(self.watch.occurred_at);
        let agreed = self.samples.iter().all(|id| self.watch.agreed.contains(id));
        let is_gone = if self.path == OVERFLOW {
            // Nothing came any more that found no room.
            later >= LATER
        } else if self.samples.is_empty() {
            later >= LATER_WITHOUT_SAMPLES
        } else {
            agreed && later >= LATER
        };
        (self.state != State::Resolved && is_gone).then(|| {
            let samples = self.samples.len();
            (
                State::Resolved,
                format!("{samples} samples agreed when asked again, and {later} later comparisons"),
            )
        })
    }

    /// A sample that should be asked again, if the cause may be gone and it has not been asked for a while.
    pub(super) fn sample_to_ask(&self, comparisons: u64) -> Option<u64> {
        let later = comparisons.saturating_sub(self.watch.occurred_at);
        let is_due = self.state == State::Open
            && self.path != OVERFLOW
            && later >= LATER
            && self.watch.asked.is_none_or(|asked| asked.elapsed() >= AGAIN);
        let waits = |id: &&u64| !self.watch.agreed.contains(id);
        if is_due { self.samples.iter().find(waits).copied() } else { None }
    }

    /// Counts the route's comparisons since the last time for the share that is accepted.
    pub(super) fn bring_up_to_date(&mut self, comparisons: u64) {
        if let Some(accepted) = &mut self.accepted {
            accepted.compared += comparisons.saturating_sub(self.watch.counted_at);
        }
        self.watch.counted_at = comparisons;
    }
}
