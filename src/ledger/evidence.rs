//! What was seen of a route's comparisons, kept so that the gate can judge it.
//!
//! Evidence is counted per distinct target: one target counts at most [`PER_TARGET`] times, its latest first, so
//! that one URL asked a thousand times is not a thousand comparisons.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::acceptance::{Accepted, Place};
use super::finding::Finding;
use super::outcome::Outcome;
use crate::side::Pair;

/// How often one target counts.
pub const PER_TARGET: u8 = 3;
/// Entries kept a route; the oldest go first.
const KEPT: usize = 20_000;

/// One request of a compared route, as the gate needs it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When it ended, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Hash of the target.
    pub target: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether both legs answered 2xx.
    pub success: bool,
    /// Leg times; zero where there was no leg.
    pub times: Pair32,
    /// Where it differed, if it is for accepted findings to say whether it is a mismatch; none if it is settled.
    pub differs: Option<Arc<[Place]>>,
}

/// Leg times in microseconds, compact.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pair32 {
    /// Of *from*.
    pub from: u32,
    /// Of *to*.
    pub to: u32,
}

/// The entries of one route.
#[derive(Debug, Default)]
pub struct Evidence {
    entries: VecDeque<Entry>,
}

/// A route's evidence, counted.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Comparisons that count: at most [`PER_TARGET`] a target.
    pub counted: u64,
    /// Of these, equal answers that were not 2xx.
    pub equal_failures: u64,
    /// Of these, mismatches.
    pub mismatches: u64,
    /// Shadow failures among requests that were shadowed.
    pub shadow_failures: u64,
    /// Requests that were shadowed: compared or failed.
    pub shadowed: u64,
    /// Requests that should have been compared and were not.
    pub uncompared: u64,
    /// All requests of the route that could have been compared.
    pub all: u64,
    /// Pairs of leg times, in seconds, one a compared request.
    pub pairs: Vec<(f64, f64)>,
}

// === impl Pair32 ===

impl From<&Pair<Duration>> for Pair32 {
    fn from(times: &Pair<Duration>) -> Self {
        let micros = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        Pair32 { from: micros(times.from), to: micros(times.to) }
    }
}

// === impl Entry ===

impl Entry {
    /// Whether it is a mismatch by what is accepted now.
    fn is_mismatch(&self, accepted: &Accepted) -> bool {
        match &self.differs {
            Some(places) => !accepted.covers(places),
            None => self.outcome == Outcome::Mismatch,
        }
    }
}

// === impl Evidence ===

impl Evidence {
    /// Adds one entry; the oldest goes where there is no room.
    pub fn push(&mut self, entry: Entry) {
        if self.entries.len() >= KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// What came at or after `since_ms`, newest first: a copy, so that it can be counted without holding a lock.
    #[must_use]
    pub fn since(&self, since_ms: i64) -> Vec<Entry> {
        self.entries.iter().rev().filter(|entry| entry.at_ms >= since_ms).cloned().collect()
    }
}

impl Evidence {
    /// How many comparisons are kept, and in how many of them the finding occurred.
    #[must_use]
    pub fn occurrences(&self, finding: &Finding) -> (u64, u64) {
        let compared =
            |entry: &&Entry| matches!(entry.outcome, Outcome::Match | Outcome::Accepted | Outcome::Mismatch);
        let occurred = |entry: &Entry| {
            entry.differs.iter().any(|places| places.iter().any(|place| place.is_of(finding)))
        };
        self.entries
            .iter()
            .filter(compared)
            .fold((0, 0), |(all, with), entry| (all + 1, with + u64::from(occurred(entry))))
    }
}

// === impl Tally ===

impl Tally {
    /// Counts `entries`, which come newest first, by what is accepted now.
    #[must_use]
    pub fn of(entries: &[Entry], accepted: &Accepted) -> Self {
        let mut tally = Tally::default();
        let mut seen: HashMap<u64, u8> = HashMap::new();
        for entry in entries {
            tally.add(entry, accepted, &mut seen);
        }
        tally
    }

    fn add(&mut self, entry: &Entry, accepted: &Accepted, seen: &mut HashMap<u64, u8>) {
        self.all += 1;
        match entry.outcome {
            Outcome::Match | Outcome::Accepted | Outcome::Mismatch => {
                self.add_comparison(entry, accepted, seen);
            }
            Outcome::ShadowFailed => {
                self.shadowed += 1;
                self.shadow_failures += 1;
            }
            Outcome::Shed | Outcome::Incomplete | Outcome::Skipped => self.uncompared += 1,
            Outcome::PrimaryFailed => {}
        }
    }

    fn add_comparison(&mut self, entry: &Entry, accepted: &Accepted, seen: &mut HashMap<u64, u8>) {
        self.shadowed += 1;
        self.pairs.push((f64::from(entry.times.from) / 1e6, f64::from(entry.times.to) / 1e6));
        let times = seen.entry(entry.target).or_insert(0);
        if *times >= PER_TARGET {
            return;
        }
        *times += 1;
        self.counted += 1;
        if entry.is_mismatch(accepted) {
            self.mismatches += 1;
        } else if !entry.success {
            self.equal_failures += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(target: u64, outcome: Outcome) -> Entry {
        Entry { at_ms: 10, target, outcome, success: true, times: Pair32::default(), differs: None }
    }

    #[test]
    fn one_target_counts_three_times_however_often_it_is_asked() {
        let mut evidence = Evidence::default();
        for _ in 0..300 {
            evidence.push(entry(7, Outcome::Match));
        }
        let tally = Tally::of(&evidence.since(0), &Accepted::default());
        assert_eq!((tally.counted, tally.all), (3, 300));
    }

    #[test]
    fn what_is_older_than_the_window_does_not_count() {
        let mut evidence = Evidence::default();
        evidence.push(entry(1, Outcome::Match));
        assert_eq!(Tally::of(&evidence.since(11), &Accepted::default()).counted, 0);
        assert_eq!(Tally::of(&evidence.since(10), &Accepted::default()).counted, 1);
    }

    #[test]
    fn the_latest_of_a_target_count_first() {
        let mut evidence = Evidence::default();
        for _ in 0..5 {
            evidence.push(entry(1, Outcome::Match));
        }
        evidence.push(entry(1, Outcome::Mismatch));
        assert_eq!(Tally::of(&evidence.since(0), &Accepted::default()).mismatches, 1);
    }
}
