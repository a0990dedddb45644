//! A finding: all differences of one cause (route, index-free path, kind, class), counted, with samples.

use std::str::FromStr;

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
        Signature { route, path: difference.path.clone(), kind: difference.kind, class: difference.class }
    }

    pub(super) fn overflow(route: usize) -> Self {
        Signature { route, path: OVERFLOW.into(), kind: Kind::Body, class: Class::Value }
    }

    fn id(&self, label: &str) -> String {
        let mut hash = Sha256::new();
        for part in [label, &self.path, self.kind.as_str(), self.class.as_str()] {
            hash.update(part.as_bytes());
            hash.update([0]);
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
            } else {
                super::sentence::sentence(Some(label), names, difference)
            },
            samples: Vec::new(),
            accepted: None,
            watch: Watch::default(),
        }
    }

    /// Notes that it occurred with these values in the route's comparison of this number; tells why it reopens, if it
    /// does.
    pub(super) fn occur(&mut self, values: &Values, comparison: u64, now: DateTime<Utc>) -> Option<String> {
        self.count += 1;
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

    /// Why its state changes by itself now, and to which: an acceptance that expired, a cause that is gone.
    pub(super) fn due(&self, comparisons: u64, now: DateTime<Utc>) -> Option<(State, String)> {
        if self.accepted.as_ref().is_some_and(|accepted| accepted.has_expired(now)) {
            return Some((State::Open, "its acceptance expired".to_owned()));
        }
        let agreed = !self.samples.is_empty() && self.samples.iter().all(|id| self.watch.agreed.contains(id));
        let later = comparisons.saturating_sub(self.watch.occurred_at);
        (self.state != State::Resolved && agreed && later >= LATER).then(|| {
            let samples = self.samples.len();
            (
                State::Resolved,
                format!("{samples} samples agreed when asked again, and {later} later comparisons"),
            )
        })
    }

    /// Counts the route's comparisons since the last time for the share that is accepted.
    pub(super) fn bring_up_to_date(&mut self, comparisons: u64) {
        if let Some(accepted) = &mut self.accepted {
            accepted.compared += comparisons.saturating_sub(self.watch.counted_at);
        }
        self.watch.counted_at = comparisons;
    }
}
