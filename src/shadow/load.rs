//! Load on the clients' side: where it grows, shadowing is the first to give way.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::stats::quantile;

/// Times of one stretch that are looked at, at most.
const KEPT: usize = 4096;
/// Fewer say nothing about a p99: a stretch goes on until there are as many.
const FEWEST: usize = 100;
/// Stretches whose p99s are remembered, and how many there must be before any is judged.
const REMEMBERED: usize = 60;
const WARM: usize = 5;
/// The baseline is the p99 that so many of the stretches do not exceed.
const USUAL: f64 = 0.8;
/// A stretch is slow at this many times its baseline, if it is longer by [`SLACK`] seconds, too.
const FACTOR: f64 = 3.0;
const SLACK: f64 = 0.025;
/// So many slow stretches in a row are load; of those only each tenth is remembered, so that load does not become usual
/// at once.
const IN_A_ROW: u32 = 2;
const REMEMBERED_OF_SLOW: u32 = 10;
/// Halvings at most: a sixteenth is always shadowed.
const MOST: u8 = 4;

/// How much is shadowed.
#[derive(Debug, Default)]
pub struct Load {
    /// How often the share was halved.
    halvings: AtomicU8,
    heads: Mutex<Heads>,
}

#[derive(Debug, Default)]
struct Heads {
    /// Seconds to the head of the primary's answers in this stretch.
    seconds: Vec<f64>,
    /// p99s of earlier stretches.
    p99s: VecDeque<f64>,
    /// Slow stretches in a row.
    slow: u32,
    /// The change of the dial since which all this was seen: another primary has another baseline.
    turn: i64,
}

// === impl Load ===

impl Load {
    /// Notes how long the primary took to the head of its answer. Held for a push only.
    pub fn note(&self, head: Duration) {
        let mut heads = self.heads();
        if heads.seconds.len() < KEPT {
            heads.seconds.push(head.as_secs_f64());
        }
    }

    /// Whether this request is among the share that is shadowed.
    #[must_use]
    pub fn admits(&self) -> bool {
        let halvings = self.halvings.load(Ordering::Relaxed);
        halvings == 0 || fastrand::u32(..1 << halvings) == 0
    }

    /// The share that is shadowed, above 0 and up to 1.
    #[must_use]
    pub fn share(&self) -> f64 {
        0.5_f64.powi(i32::from(self.halvings.load(Ordering::Relaxed)))
    }

    /// The primary's p99 as it usually is, in seconds; none before there were requests enough.
    #[must_use]
    pub fn baseline(&self) -> Option<f64> {
        self.heads().baseline()
    }

    /// Halves the share where the primary of the change `turn` is slower than it usually is or `queue_is_full`, doubles it
    /// where neither is so.
    pub fn look(&self, turn: i64, queue_is_full: bool) {
        let is_slow = self.heads().is_slow(turn);
        let halvings = self.halvings.load(Ordering::Relaxed);
        let next =
            if is_slow || queue_is_full { (halvings + 1).min(MOST) } else { halvings.saturating_sub(1) };
        self.halvings.store(next, Ordering::Relaxed);
    }

    fn heads(&self) -> MutexGuard<'_, Heads> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Heads ===

impl Heads {
    fn baseline(&self) -> Option<f64> {
        let mut p99s: Vec<f64> = self.p99s.iter().copied().collect();
        (p99s.len() >= WARM).then(|| quantile(&mut p99s, USUAL))
    }

    fn is_slow(&mut self, turn: i64) -> bool {
        if self.turn != turn {
            *self = Heads { turn, ..Heads::default() };
        }
        if self.seconds.len() >= FEWEST {
            let p99 = quantile(&mut std::mem::take(&mut self.seconds), 0.99);
            self.note(p99);
        }
        self.slow >= IN_A_ROW
    }

    fn note(&mut self, p99: f64) {
        let exceeds = |baseline: f64| p99 > (baseline * FACTOR).max(baseline + SLACK);
        self.slow = if self.baseline().is_some_and(exceeds) { self.slow.saturating_add(1) } else { 0 };
        if self.slow < IN_A_ROW || self.slow.is_multiple_of(REMEMBERED_OF_SLOW) {
            if self.p99s.len() >= REMEMBERED {
                self.p99s.pop_front();
            }
            self.p99s.push_back(p99);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(load: &Load, millis: u64) {
        (0..FEWEST).for_each(|_| load.note(Duration::from_millis(millis)));
        load.look(1, false);
    }

    #[test]
    fn a_slow_primary_halves_the_share_down_to_a_sixteenth() {
        let load = Load::default();
        (0..10).for_each(|_| stretch(&load, 10));
        assert!((load.share() - 1.0).abs() < f64::EPSILON);
        let shares: Vec<f64> = (0..7)
            .map(|_| {
                stretch(&load, 100);
                load.share()
            })
            .collect();
        assert_eq!(shares, [1.0, 0.5, 0.25, 0.125, 0.0625, 0.0625, 0.0625]);
        let admitted = (0..16_000).filter(|_| load.admits()).count();
        assert!((800..1200).contains(&admitted), "{admitted}");
        (0..4).for_each(|_| stretch(&load, 10));
        assert!((load.share() - 1.0).abs() < f64::EPSILON && load.admits());
    }

    #[test]
    fn a_full_queue_does_as_well_and_few_requests_or_another_primary_say_nothing() {
        let load = Load::default();
        (0..10).for_each(|_| stretch(&load, 10));
        (1..FEWEST).for_each(|_| load.note(Duration::from_secs(9)));
        load.look(1, false);
        assert!((load.share() - 1.0).abs() < f64::EPSILON);
        load.look(1, true);
        assert!((load.share() - 0.5).abs() < f64::EPSILON);
        (0..2 * WARM).for_each(|_| {
            (0..FEWEST).for_each(|_| load.note(Duration::from_millis(500)));
            load.look(2, false);
        });
        assert!((load.share() - 1.0).abs() < f64::EPSILON, "what is slow for one is usual for the other");
    }

    #[test]
    fn a_mix_of_fast_and_slow_pages_is_no_load() {
        let load = Load::default();
        let mut random = fastrand::Rng::with_seed(5);
        let mut reduced = 0;
        for _ in 0..1000 {
            (0..FEWEST)
                .for_each(|_| load.note(Duration::from_millis(if random.u8(..50) == 0 { 120 } else { 2 })));
            load.look(1, false);
            reduced += u32::from(load.share() < 1.0);
        }
        assert!(reduced <= 20, "{reduced} of 1000");
    }
}
