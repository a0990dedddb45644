//! What the new primary answered since the last change of the dial, to all replicas: what the watch after a flip judges.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::evidence::Pair32;
use super::lock;

/// Requests kept; the oldest go first.
const KEPT: usize = 20_000;
/// Requests told to the other replicas at most: the latest.
const TOLD: usize = 2000;
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
    since: Option<Instant>,
    /// How many there were, with those no longer kept.
    noted: u64,
    seen: VecDeque<Seen>,
    /// What other replicas saw, and since which change.
    others: HashMap<String, (i64, Vec<Seen>)>,
}

/// What the other replicas are to be told.
#[derive(Debug)]
pub struct Told {
    /// The change it is of.
    pub turn: i64,
    /// How many requests it is about.
    pub noted: u64,
    /// Itself, as JSON.
    pub document: String,
}

/// One request as it is told: client, target, whether it failed and whether it was a mismatch, leg times.
type Row = (u64, u64, u8, Option<(u32, u32)>);

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

// === impl Seen ===

impl Seen {
    fn row(&self) -> Row {
        let flags = u8::from(self.failed) | u8::from(self.mismatch) << 1;
        (self.client, self.target, flags, self.times.map(|times| (times.from, times.to)))
    }

    fn of((client, target, flags, times): Row) -> Self {
        let times = times.map(|(from, to)| Pair32 { from, to });
        Seen { client, target, failed: flags & 1 != 0, mismatch: flags & 2 != 0, times }
    }
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
        let mut run = self.run();
        // Other replicas may have followed the change before this one.
        let mut others = std::mem::take(&mut run.others);
        others.retain(|_, (theirs, _)| *theirs >= turn);
        *run = Run { turn, since: Some(Instant::now()), others, ..Run::default() };
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
        run.noted += 1;
        run.seen.push_back(seen);
    }

    /// What was seen since the change `turn`, on all replicas; here last.
    #[must_use]
    pub fn seen(&self, turn: i64) -> Vec<Seen> {
        let run = self.run();
        if run.turn != turn {
            return Vec::new();
        }
        let others = run.others.values().filter(|(theirs, _)| *theirs == turn);
        others.flat_map(|(_, seen)| seen).chain(&run.seen).copied().collect()
    }

    /// What the other replicas have to be told, if it is more than `told` requests of that change, and the change not
    /// longer ago than `window`.
    #[must_use]
    pub fn untold(&self, told: (i64, u64), window: Duration) -> Option<Told> {
        let run = self.run();
        let is_watched = run.since.is_some_and(|since| since.elapsed() < window);
        if !is_watched || run.noted == 0 || (run.turn, run.noted) == told {
            return None;
        }
        let latest = run.seen.iter().skip(run.seen.len().saturating_sub(TOLD));
        let rows: Vec<Row> = latest.map(Seen::row).collect();
        Some(Told { turn: run.turn, noted: run.noted, document: serde_json::to_string(&rows).ok()? })
    }

    /// Takes up what another replica saw since the change `turn`; what cannot be read is left out.
    pub fn adopt(&self, replica: &str, turn: i64, document: &str) {
        let Ok(rows) = serde_json::from_str::<Vec<Row>>(document) else { return };
        let mut run = self.run();
        if turn >= run.turn {
            let seen = rows.into_iter().take(TOLD).map(Seen::of).collect();
            run.others.insert(replica.to_owned(), (turn, seen));
        }
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

    #[test]
    fn what_another_replica_saw_counts_for_the_change_it_saw() {
        let (here, there) = (Log::default(), Log::default());
        let window = Duration::from_secs(60);
        there.begin(3);
        assert!(there.untold((0, 0), window).is_none());
        let times = Some(Pair32 { from: 1, to: u32::MAX });
        for target in 0..3000 {
            let seen = Seen { client: u64::MAX, target, failed: target == 2999, mismatch: true, times };
            there.note(3, seen);
        }
        let told = there.untold((0, 0), window).unwrap();
        assert!(there.untold((3, 3000), window).is_none());
        assert!(there.untold((3, 2999), Duration::ZERO).is_none());
        here.begin(2);
        // It may be told before the change is followed.
        here.adopt("b", told.turn, &told.document);
        assert_eq!(here.counts(2), Counts::default());
        here.begin(3);
        here.note(3, Seen { client: 1, target: 1, failed: true, mismatch: false, times: None });
        let counts = Counts { requests: 2001, targets: 2001, mismatches: 2000, failures: 2 };
        assert_eq!(here.counts(3), counts);
        assert_eq!(here.seen(3)[0].times, times);
        here.adopt("b", 3, &told.document);
        here.adopt("b", 2, "[]");
        here.adopt("b", 3, "nonsense");
        assert_eq!(here.counts(3), counts);
        assert_eq!(here.untold((0, 0), window).unwrap().noted, 1);
        here.begin(4);
        assert_eq!(here.counts(4), Counts::default());
    }
}
