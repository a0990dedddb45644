//! Load on the clients' side: where it grows, shadowing is the first to give way.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Times of one stretch that are looked at, at most.
const KEPT: usize = 4096;
/// Fewer say nothing about a p99.
const FEWEST: usize = 20;
/// The primary's p99 is too long at this many times its baseline, if it is longer by [`SLACK`], too.
const FACTOR: f64 = 3.0;
const SLACK: f64 = 0.025;
/// How fast the baseline follows: down at once by half of the way, up by a hundredth.
const DOWN: f64 = 0.5;
const UP: f64 = 0.01;
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
    /// Seconds to the head of the primary's answers since the last look.
    seconds: Vec<f64>,
    /// p99 as it usually is.
    baseline: Option<f64>,
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
        self.heads().baseline
    }

    /// Looks at the stretch since the last call: halves the share where the primary is slower than it usually is or
    /// `queue_is_full`, doubles it where neither is so.
    pub fn look(&self, queue_is_full: bool) {
        let is_slow = self.heads().is_slow();
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
    fn is_slow(&mut self) -> bool {
        let mut seconds = std::mem::take(&mut self.seconds);
        if seconds.len() < FEWEST {
            return false;
        }
        let rank = (seconds.len() * 99).div_ceil(100).saturating_sub(1);
        let p99 = *seconds.select_nth_unstable_by(rank, f64::total_cmp).1;
        let baseline = self.baseline.unwrap_or(p99);
        let is_slow = p99 > (baseline * FACTOR).max(baseline + SLACK);
        let follow = if p99 < baseline { DOWN } else { UP };
        self.baseline = Some(baseline + (p99 - baseline).min(baseline) * follow);
        is_slow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(load: &Load, millis: u64) {
        (0..100).for_each(|_| load.note(Duration::from_millis(millis)));
        load.look(false);
    }

    #[test]
    fn a_slow_primary_halves_the_share_down_to_a_sixteenth() {
        let load = Load::default();
        (0..10).for_each(|_| stretch(&load, 10));
        assert!((load.share() - 1.0).abs() < f64::EPSILON);
        let shares: Vec<f64> = (0..6)
            .map(|_| {
                stretch(&load, 100);
                load.share()
            })
            .collect();
        assert_eq!(shares, [0.5, 0.25, 0.125, 0.0625, 0.0625, 0.0625]);
        let admitted = (0..16_000).filter(|_| load.admits()).count();
        assert!((800..1200).contains(&admitted), "{admitted}");
        (0..4).for_each(|_| stretch(&load, 10));
        assert!((load.share() - 1.0).abs() < f64::EPSILON && load.admits());
    }

    #[test]
    fn a_full_queue_does_as_well_and_few_requests_say_nothing() {
        let load = Load::default();
        stretch(&load, 10);
        (0..19).for_each(|_| load.note(Duration::from_secs(9)));
        load.look(false);
        assert!((load.share() - 1.0).abs() < f64::EPSILON);
        load.look(true);
        assert!((load.share() - 0.5).abs() < f64::EPSILON);
    }
}
