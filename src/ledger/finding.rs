//! Findings: all differences of one cause (route, index-free path, kind, class), counted, with samples.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::compare::{Class, Difference, Kind, Severity};
use crate::side::Pair;

/// Findings kept a route; beyond, differences go to one overflow finding at `**`.
pub const PER_ROUTE: usize = 200;
/// Samples kept a finding.
pub const SAMPLES: usize = 3;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nobody has judged it.
    Open,
}

/// One cause of differences.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// Stable over restarts and flips: a hash of the signature.
    pub id: String,
    /// The route's `match` string.
    pub route: String,
    /// Index-free path.
    pub path: String,
    /// What kind of difference.
    pub kind: Kind,
    /// Why.
    pub class: Class,
    /// How much it weighs.
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
}

/// All findings.
#[derive(Debug, Default)]
pub struct Findings {
    by_signature: HashMap<Signature, Finding>,
    per_route: HashMap<usize, usize>,
}

/// Writes a time as RFC 3339 in UTC with milliseconds.
///
/// # Errors
/// Those of the serializer.
pub fn rfc3339<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

// === impl Signature ===

impl Signature {
    fn of(route: usize, difference: &Difference) -> Self {
        Signature { route, path: difference.path.clone(), kind: difference.kind, class: difference.class }
    }

    fn overflow(route: usize) -> Self {
        Signature { route, path: "**".into(), kind: Kind::Body, class: Class::Value }
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
    /// The name used in the API and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            State::Open => "open",
        }
    }
}

// === impl Findings ===

impl Findings {
    /// Counts one difference and returns its finding.
    pub fn count(
        &mut self,
        route: usize,
        label: &str,
        names: &Pair<String>,
        difference: &Difference,
        now: DateTime<Utc>,
    ) -> &mut Finding {
        let mut signature = Signature::of(route, difference);
        let known = self.per_route.entry(route).or_insert(0);
        let is_new = !self.by_signature.contains_key(&signature);
        if is_new && *known >= PER_ROUTE {
            signature = Signature::overflow(route);
        } else if is_new {
            *known += 1;
        }
        let finding = self
            .by_signature
            .entry(signature)
            .or_insert_with_key(|signature| Finding::new(signature, label, names, difference, now));
        finding.count += 1;
        finding.last_seen = now;
        finding
    }

    /// Notes that the findings of these ids have one sample more, where they have room for it.
    pub fn add_sample(&mut self, ids: &[String], sample: u64) {
        for finding in self.by_signature.values_mut().filter(|finding| ids.contains(&finding.id)) {
            if finding.samples.len() < SAMPLES {
                finding.samples.push(sample);
            }
        }
    }

    /// The finding of this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Finding> {
        self.by_signature.values().find(|finding| finding.id == id)
    }

    /// All findings, most severe first, then most frequent.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Finding> {
        let mut findings: Vec<&Finding> = self.by_signature.values().collect();
        findings.sort_by(|a, b| {
            (a.severity, std::cmp::Reverse(a.count), &a.id).cmp(&(
                b.severity,
                std::cmp::Reverse(b.count),
                &b.id,
            ))
        });
        findings
    }

    /// How many findings there are of each severity, in state open.
    #[must_use]
    pub fn open_by_severity(&self) -> BTreeMap<Severity, i64> {
        let mut counts: BTreeMap<Severity, i64> =
            Severity::ALL.iter().map(|severity| (*severity, 0)).collect();
        for finding in self.by_signature.values() {
            *counts.entry(finding.severity).or_insert(0) += 1;
        }
        counts
    }
}

// === impl Finding ===

impl Finding {
    fn new(
        signature: &Signature,
        label: &str,
        names: &Pair<String>,
        difference: &Difference,
        now: DateTime<Utc>,
    ) -> Self {
        let overflow = signature.path == "**";
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
        }
    }
}
