//! What the new primary answered since the last change of the dial: what the watch after a flip judges.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard};

use super::evidence::Pair32;
use super::lock;

/// Requests kept; the oldest go first.
const KEPT: usize = 20_000;
/// How often one target counts.
const PER_TARGET: u8 = 3;

/// One request that the new primary answered.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Hash of the client.
    pub client: u64,
    /// Hash of the target.
    pub target: u64,
    /// Whether it was 5xx, or no answer, and the other side's was not.
    pub failed: bool,
    /// Whether it was a confirmed mismatch.
    pub mismatch: bool,
    /// Leg times, if both sides answered.
    pub times: Option<Pair32>,
}

/// What was seen since the last change of the dial.
#[derive(Debug, Default)]
pub struct Log(Mutex<Run>);

#[derive(Debug, Default)]
struct Run {
    /// The change it watches: requests that began under another one do not count.
    turn: i64,
    seen: VecDeque<Seen>,
}

/// Counts for the status page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that count.
    pub requests: u64,
    /// Their different targets.
    pub targets: u64,
    /// Confirmed mismatches among them.
    pub mismatches: u64,
    /// Failures among them.
    pub failures: u64,
}

// === impl Counts ===

impl Counts {
    /// Counts these.
    #[must_use]
    pub fn of(seen: &[Seen]) -> Self {
        let targets: HashSet<u64> = seen.iter().map(|seen| seen.target).collect();
        Counts {
            requests: seen.len() as u64,
            targets: targets.len() as u64,
            mismatches: seen.iter().filter(|seen| seen.mismatch).count() as u64,
            failures: seen.iter().filter(|seen| seen.failed).count() as u64,
        }
    }
}

// === impl Log ===

impl Log {
    /// Watches another change from now on; nothing has been seen of it yet.
    pub fn begin(&self, turn: i64) {
        *self.run() = Run { turn, seen: VecDeque::new() };
    }

    /// Notes a request that began under the change `turn`.
    pub fn note(&self, turn: i64, seen: Seen) {
        let mut run = self.run();
        if run.turn != turn {
            return;
        }
        if run.seen.len() >= KEPT {
            run.seen.pop_front();
        }
        run.seen.push_back(seen);
    }

    /// What was seen since the change `turn`.
    #[must_use]
    pub fn seen(&self, turn: i64) -> Vec<Seen> {
        let run = self.run();
        if run.turn == turn { run.seen.iter().copied().collect() } else { Vec::new() }
    }

    /// The same, counted.
    #[must_use]
    pub fn counts(&self, turn: i64) -> Counts {
        Counts::of(&at_most_per_target(&self.seen(turn)))
    }

    fn run(&self) -> MutexGuard<'_, Run> {
        lock(&self.0)
    }
}

/// The latest of each target.
#[must_use]
pub fn at_most_per_target(seen: &[Seen]) -> Vec<Seen> {
    let mut times: HashMap<u64, u8> = HashMap::new();
    let counts = |seen: &&Seen| {
        let times = times.entry(seen.target).or_insert(0);
        *times = times.saturating_add(1);
        *times <= PER_TARGET
    };
    seen.iter().rev().filter(counts).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_began_before_the_change_does_not_count() {
        let watch = Log::default();
        watch.begin(2);
        let one = Seen { client: 1, target: 1, failed: true, mismatch: false, times: None };
        watch.note(1, one);
        watch.note(2, one);
        assert_eq!((watch.counts(2).requests, watch.counts(1).requests), (1, 0));
        (0..30_000).for_each(|_| watch.note(2, one));
        assert_eq!((watch.seen(2).len(), watch.counts(2).requests), (KEPT, 3));
        watch.begin(3);
        assert_eq!(watch.counts(2), Counts::default());
    }
}
