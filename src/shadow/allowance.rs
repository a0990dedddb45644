//! How often the primary may be asked for flipgate's own sake: rechecks, controls, samples asked again.

use std::sync::atomic::{AtomicI64, Ordering};

/// What one request of a client adds, in thousandths of a request: 5 %.
const EARNED: i64 = 50;
/// What one extra request takes.
const TAKEN: i64 = 1000;
/// Requests that may be ahead of what was earned, and that can be saved up.
const BURST: i64 = 20;

/// A bucket of requests: over any stretch at most 5 % of the clients' and [`BURST`] more are taken.
#[derive(Debug)]
pub struct Allowance(AtomicI64);

// === impl Allowance ===

impl Default for Allowance {
    fn default() -> Self {
        Allowance(AtomicI64::new(BURST * TAKEN))
    }
}

impl Allowance {
    /// A client's request went to the primary.
    pub fn earn(&self) {
        let most = |thousandths: i64| Some((thousandths + EARNED).min(BURST * TAKEN));
        // It always gives a value, so it cannot fail.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, most);
    }

    /// Takes one request, if there is one.
    #[must_use]
    pub fn take(&self) -> bool {
        let less = |thousandths: i64| (thousandths >= TAKEN).then_some(thousandths - TAKEN);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_more_than_five_percent_and_twenty_are_taken() {
        let allowance = Allowance::default();
        let (mut asked, mut taken) = (0, 0);
        for _ in 0..1000 {
            asked += 1;
            allowance.earn();
            while allowance.take() {
                taken += 1;
            }
            assert!(taken * 20 <= asked + 20 * 20, "{taken} of {asked}");
        }
        assert!((69..=70).contains(&taken), "{taken}");
        (0..100_000).for_each(|_| allowance.earn());
        assert_eq!((0..1000).filter(|_| allowance.take()).count(), 20, "no more than that is saved up");
    }
}
