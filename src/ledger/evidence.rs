//! What was seen of a route's comparisons in one epoch, kept so that the gate can judge it.
//!
//! Two views of the same requests, both bounded: the latest comparisons of each target, since one URL asked a thousand
//! times is not a thousand comparisons; and a bucket for each minute, for rates and times. Each target and each minute
//! is one document in the store.

pub mod history;
mod tally;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::tally::Tally;
use super::acceptance::{Accepted, Place};
use super::finding::Finding;
use super::outcome::{Outcome, Reason};
use crate::side::Pair;

/// How often one target counts.
pub const PER_TARGET: usize = 3;
/// Targets remembered; further ones are not evidence.
const TARGETS: usize = 20_000;
/// Pairs of leg times kept a minute: a uniform sample of them.
const PAIRS: usize = 256;
/// Confirmed mismatches of a minute kept with their places.
const CONFIRMED: usize = 8;
/// One minute in milliseconds.
const MINUTE: i64 = 60_000;

/// One request of a compared route, as the gate needs it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When it ended, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Hash of the target.
    pub target: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
    /// Whether both legs answered 2xx.
    pub success: bool,
    /// Leg times, if there were two legs.
    pub times: Option<Pair32>,
    /// How it differed.
    pub differs: Differs,
    /// Whether a write or a change of data is known that explains a transient.
    pub explained: bool,
}

/// Leg times in microseconds, compact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pair32 {
    /// Of *from*.
    pub from: u32,
    /// Of *to*.
    pub to: u32,
}

/// How a comparison differed, as far as later judgements may judge it again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Differs {
    /// Not at all.
    #[default]
    #[serde(rename = "n")]
    No,
    /// In a way that nothing can cover.
    #[serde(rename = "y")]
    Yes,
    /// At these places; accepted findings and noise say whether it is a mismatch.
    #[serde(rename = "p")]
    At(Arc<[Place]>),
}

/// One document of a book, to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// `t` and the target, or `m` and the minute.
    pub key: String,
    /// JSON.
    pub document: String,
}

/// The evidence of one route, gathered by one replica.
#[derive(Debug, Default)]
pub struct Book {
    targets: HashMap<u64, Target>,
    minutes: BTreeMap<i64, Minute>,
    changed_targets: HashSet<u64>,
    changed_minutes: HashSet<i64>,
    /// How often clients left before a target's answer had ended.
    aborted: HashMap<u64, usize>,
}

/// The latest comparisons of one target.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Target {
    /// At most [`PER_TARGET`], oldest first.
    #[serde(rename = "l")]
    latest: Vec<Compared>,
    /// When it counted for the first, second and third time: equal answers that are not 2xx do not, since only a few of
    /// them count.
    #[serde(rename = "r")]
    reached: Vec<i64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Compared {
    #[serde(rename = "a")]
    at_ms: i64,
    #[serde(rename = "s")]
    success: bool,
    #[serde(rename = "d")]
    differs: Differs,
}

/// What happened in one minute.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Minute {
    all: u64,
    shadowed: u64,
    compared: u64,
    /// Comparisons that differed, whatever became of them.
    differed: u64,
    shadow_failures: u64,
    uncompared: u64,
    transients: u64,
    unexplained: u64,
    noise: u64,
    /// Those that differed and could not be asked again: they are in `differed`, and not compared.
    #[serde(default)]
    unconfirmed: u64,
    /// Pairs of leg times seen; those kept are a sample.
    timed: u64,
    pairs: Vec<(u32, u32)>,
    confirmed: Vec<(i64, Differs)>,
    /// When the last confirmed mismatch came that is not in the list.
    beyond: Option<i64>,
}

// === impl Pair32 ===

impl From<&Pair<Duration>> for Pair32 {
    fn from(times: &Pair<Duration>) -> Self {
        let micros = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        Pair32 { from: micros(times.from), to: micros(times.to) }
    }
}

// === impl Differs ===

impl Differs {
    /// Whether it is a mismatch by what is accepted, and known as noise, now.
    #[must_use]
    pub fn is_mismatch(&self, accepted: &Accepted) -> bool {
        match self {
            Differs::No => false,
            Differs::Yes => true,
            Differs::At(places) => !accepted.covers(places),
        }
    }

    fn includes(&self, finding: &Finding) -> bool {
        match self {
            Differs::No | Differs::Yes => false,
            Differs::At(places) => places.iter().any(|place| place.is_of(finding)),
        }
    }
}

/// Whether a mismatch of this reason is one for sure: what could not be asked again, and what was not compared to its
/// end, may be none.
#[must_use]
pub fn is_confirmed(reason: Reason) -> bool {
    !matches!(reason, Reason::Unconfirmed | Reason::Limit)
}

// === impl Entry ===

impl Entry {
    /// Whether two answers were compared to an end that says something: an unconfirmed mismatch says nothing.
    fn is_compared(&self) -> bool {
        match self.outcome {
            Outcome::Match | Outcome::Accepted | Outcome::Transient | Outcome::Noise => true,
            Outcome::Mismatch => is_confirmed(self.reason),
            Outcome::ShadowFailed
            | Outcome::PrimaryFailed
            | Outcome::Shed
            | Outcome::Skipped
            | Outcome::Incomplete => false,
        }
    }

    /// Whether it says that its target agrees, or how it differs. What differs and may be lag never agreed: it must neither
    /// count as if it had, nor take the place of a mismatch.
    fn tells_of_its_target(&self) -> bool {
        self.is_compared() && self.reason != Reason::WritePending
    }

    /// Whether the shadow failed, or was not asked because it had failed.
    fn is_shadow_failure(&self) -> bool {
        self.outcome == Outcome::ShadowFailed
            || (self.outcome == Outcome::Shed && self.reason == Reason::Breaker)
    }
}

// === impl Book ===

impl Book {
    /// Takes in one request.
    pub fn add(&mut self, entry: Entry) {
        if self.is_one_abort_too_many(&entry) {
            return;
        }
        let minute = entry.at_ms.div_euclid(MINUTE);
        self.minutes.entry(minute).or_default().add(&entry);
        self.changed_minutes.insert(minute);
        if !entry.tells_of_its_target() {
            return;
        }
        if self.has_room(&entry) {
            let Entry { at_ms, success, differs, target, .. } = entry;
            self.targets.entry(target).or_default().add(Compared { at_ms, success, differs });
            self.changed_targets.insert(target);
        }
    }

    /// Whether clients that leave have counted for this target often enough: one that does so on purpose must not keep
    /// the route from being compared enough.
    fn is_one_abort_too_many(&mut self, entry: &Entry) -> bool {
        if entry.outcome != Outcome::Incomplete || self.aborted.len() >= TARGETS {
            return false;
        }
        let times = self.aborted.entry(entry.target).or_insert(0);
        *times += 1;
        *times > PER_TARGET
    }

    /// Whether the entry's target is remembered, or can be: beyond the limit one that differed takes the place of one that
    /// only ever matched, so that many targets hide no mismatch.
    fn has_room(&mut self, entry: &Entry) -> bool {
        if self.targets.len() < TARGETS || self.targets.contains_key(&entry.target) {
            return true;
        }
        if entry.differs == Differs::No {
            return false;
        }
        let matched = |target: &Target| target.latest.iter().all(|compared| compared.differs == Differs::No);
        let Some(gone) = self.targets.iter().find(|(_, target)| matched(target)).map(|(key, _)| *key) else {
            return false;
        };
        self.targets.remove(&gone);
        true
    }

    /// Forgets what is older than `since_ms`, and what a clock that was ahead left in the future of `now_ms`.
    pub fn forget(&mut self, since_ms: i64, now_ms: i64) {
        self.minutes = self.minutes.split_off(&since_ms.div_euclid(MINUTE));
        let _future = self.minutes.split_off(&(now_ms.div_euclid(MINUTE) + 2));
        let is_of_now = |compared: &Compared| {
            compared.at_ms >= since_ms && compared.at_ms <= now_ms.saturating_add(MINUTE)
        };
        self.targets.retain(|_, target| target.latest.last().is_some_and(is_of_now));
    }

    /// What changed since the last call, as documents.
    pub fn take_changed(&mut self) -> Vec<Page> {
        let targets = std::mem::take(&mut self.changed_targets);
        let minutes = std::mem::take(&mut self.changed_minutes);
        let targets = targets.iter().filter_map(|key| page(format!("t{key:016x}"), self.targets.get(key)?));
        let minutes = minutes.iter().filter_map(|key| page(format!("m{key}"), self.minutes.get(key)?));
        targets.chain(minutes).collect()
    }

    /// All of it, as documents.
    #[must_use]
    pub fn pages(&self) -> Vec<Page> {
        let targets = self.targets.iter().filter_map(|(key, target)| page(format!("t{key:016x}"), target));
        let minutes = self.minutes.iter().filter_map(|(key, minute)| page(format!("m{key}"), minute));
        targets.chain(minutes).collect()
    }

    /// Takes up a document; one that cannot be read is left out.
    pub fn restore(&mut self, key: &str, document: &str) {
        if let Some(target) = key.strip_prefix('t') {
            let read = (u64::from_str_radix(target, 16), serde_json::from_str::<Target>(document));
            if let (Ok(key), Ok(target)) = read
                && (self.targets.len() < TARGETS || self.targets.contains_key(&key))
            {
                self.targets.insert(key, target);
            }
        } else if let Some(minute) = key.strip_prefix('m') {
            let read = (minute.parse(), serde_json::from_str::<Minute>(document));
            if let (Ok(key), Ok(minute)) = read {
                self.minutes.insert(key, minute);
            }
        }
    }

    /// How many comparisons are kept, and in how many of them the finding occurred.
    #[must_use]
    pub fn occurrences(&self, finding: &Finding) -> (u64, u64) {
        let kept = self.targets.values().flat_map(|target| &target.latest);
        kept.fold((0, 0), |(all, with), kept| (all + 1, with + u64::from(kept.differs.includes(finding))))
    }
}

fn page(key: String, of: &impl Serialize) -> Option<Page> {
    Some(Page { key, document: serde_json::to_string(of).ok()? })
}

// === impl Compared ===

impl Compared {
    /// Whether both sides answered alike, and not 2xx.
    fn is_equal_failure(&self) -> bool {
        !self.success && self.differs == Differs::No
    }
}

// === impl Target ===

impl Target {
    fn add(&mut self, compared: Compared) {
        if self.reached.len() < PER_TARGET && !compared.is_equal_failure() {
            self.reached.push(compared.at_ms);
        }
        if self.latest.len() >= PER_TARGET {
            self.latest.remove(0);
        }
        self.latest.push(compared);
    }
}

// === impl Minute ===

impl Minute {
    fn add(&mut self, entry: &Entry) {
        self.all += 1;
        self.shadowed += u64::from(entry.is_compared() || entry.is_shadow_failure());
        self.compared += u64::from(entry.is_compared());
        self.shadow_failures += u64::from(entry.is_shadow_failure());
        let differed = matches!(entry.outcome, Outcome::Transient | Outcome::Noise | Outcome::Mismatch);
        self.differed += u64::from(differed);
        match entry.outcome {
            Outcome::Transient => {
                self.transients += 1;
                self.unexplained += u64::from(!entry.explained);
                // It never agreed: where a route is written to without a pause a lasting defect would look like this.
                self.uncompared += u64::from(entry.reason == Reason::WritePending);
            }
            Outcome::Noise => self.noise += 1,
            Outcome::Mismatch if !is_confirmed(entry.reason) => {
                self.uncompared += 1;
                self.unconfirmed += 1;
            }
            Outcome::Mismatch => self.confirm(entry),
            Outcome::Shed | Outcome::Incomplete | Outcome::Skipped => self.uncompared += 1,
            Outcome::Match | Outcome::Accepted | Outcome::ShadowFailed | Outcome::PrimaryFailed => {}
        }
        if let Some(times) = entry.times {
            self.time(times);
        }
    }

    fn confirm(&mut self, entry: &Entry) {
        if self.confirmed.len() < CONFIRMED {
            self.confirmed.push((entry.at_ms, entry.differs.clone()));
        } else {
            self.beyond = Some(entry.at_ms);
        }
    }

    /// Keeps a pair so that each of the minute's is kept with the same probability.
    fn time(&mut self, Pair32 { from, to }: Pair32) {
        self.timed += 1;
        if self.pairs.len() < PAIRS {
            self.pairs.push((from, to));
        } else if let Ok(place) = usize::try_from(fastrand::u64(..self.timed))
            && let Some(kept) = self.pairs.get_mut(place)
        {
            *kept = (from, to);
        }
    }
}

#[cfg(test)]
mod tests;
