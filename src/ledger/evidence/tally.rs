//! A route's evidence, counted: over all replicas, in the window, by what is accepted now.

use std::collections::HashMap;

use super::{Book, Compared, MINUTE, Minute, PER_TARGET, Target};
use crate::ledger::acceptance::Accepted;

/// Of the comparisons that count, equal answers that are not 2xx may be one in this many.
const EQUAL_FAILURES: u64 = 20;

/// A route's evidence, counted.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Different targets.
    pub targets: u64,
    /// Comparisons that count: at most three a target, and of equal answers that are not 2xx so many that they are at
    /// most a twentieth.
    pub counted: u64,
    /// Comparisons with equal answers that are not 2xx, at most three a target, whether they count or not.
    pub equal_failures: u64,
    /// Of those that count, mismatches.
    pub mismatches: u64,
    /// Requests whose shadow failed, or was not asked because it had failed.
    pub shadow_failures: u64,
    /// Requests that were shadowed: compared or failed.
    pub shadowed: u64,
    /// Requests that should have been compared and were not.
    pub uncompared: u64,
    /// All requests of the route that could have been compared.
    pub all: u64,
    /// All comparisons.
    pub compared: u64,
    /// Comparisons that differed, whatever became of them; those that could not be confirmed too.
    pub differed: u64,
    /// Those that differed, and agreed when asked again.
    pub transients: u64,
    /// Of these, those that nothing explains.
    pub unexplained: u64,
    /// Those that differed only where the primary differs from itself.
    pub noise: u64,
    /// Those that differed and could not be asked again; they do not count as compared.
    pub unconfirmed: u64,
    /// When the last confirmed mismatch came that nothing covers.
    pub last_mismatch: Option<i64>,
    /// When each comparison came to count, in no order.
    pub reached: Vec<i64>,
    /// Pairs of leg times, in seconds: a sample.
    pub pairs: Vec<(f64, f64)>,
}

// === impl Tally ===

impl Tally {
    /// Counts what all `books` hold since `since_ms`, by what is accepted now.
    #[must_use]
    pub fn of<'a>(books: impl Iterator<Item = &'a Book> + Clone, since_ms: i64, accepted: &Accepted) -> Self {
        let mut tally = Tally::default();
        let mut successes = 0;
        for target in merged(books.clone(), since_ms).values() {
            tally.targets += 1;
            successes += tally.add_target(target, accepted);
        }
        let told = successes + tally.mismatches;
        tally.counted = told + tally.equal_failures.min(told / (EQUAL_FAILURES - 1));
        for (_, minute) in books.flat_map(|book| book.minutes.range(since_ms.div_euclid(MINUTE)..)) {
            tally.add_minute(minute, accepted);
        }
        tally
    }

    /// Counts one target; gives how many of its comparisons were equal and 2xx.
    fn add_target(&mut self, target: &Target, accepted: &Accepted) -> u64 {
        let mut successes = 0;
        for compared in &target.latest {
            if compared.differs.is_mismatch(accepted) {
                self.mismatches += 1;
            } else if compared.success {
                successes += 1;
            } else {
                self.equal_failures += 1;
                continue;
            }
        }
        let told = target.latest.iter().filter(|compared| !compared.is_equal_failure()).count();
        self.reached.extend(target.reached.iter().take(told));
        successes
    }

    /// Comparisons that agreed, at once or when asked again, noise left out. What was accepted later is not among them.
    #[must_use]
    pub fn agreed(&self) -> u64 {
        self.compared
            .saturating_sub(self.differed.saturating_sub(self.transients + self.noise + self.unconfirmed))
    }

    fn add_minute(&mut self, minute: &Minute, accepted: &Accepted) {
        self.all += minute.all;
        self.shadowed += minute.shadowed;
        self.compared += minute.compared;
        self.differed += minute.differed;
        self.shadow_failures += minute.shadow_failures;
        self.uncompared += minute.uncompared;
        self.transients += minute.transients;
        self.unexplained += minute.unexplained;
        self.noise += minute.noise;
        self.unconfirmed += minute.unconfirmed;
        let uncovered = minute.confirmed.iter().filter(|(_, differs)| differs.is_mismatch(accepted));
        let latest = uncovered.map(|(at, _)| *at).chain(minute.beyond).max();
        self.last_mismatch = self.last_mismatch.max(latest);
        let seconds = |micros: u32| f64::from(micros) / 1e6;
        self.pairs.extend(minute.pairs.iter().map(|(from, to)| (seconds(*from), seconds(*to))));
    }
}

/// The targets of all books, each with its latest comparisons in the window.
fn merged<'a>(books: impl Iterator<Item = &'a Book>, since_ms: i64) -> HashMap<u64, Target> {
    let mut merged: HashMap<u64, Target> = HashMap::new();
    for (key, target) in books.flat_map(|book| &book.targets) {
        let recent = target.latest.iter().filter(|compared| compared.at_ms >= since_ms);
        let mut recent = recent.peekable();
        if recent.peek().is_none() {
            continue;
        }
        let all = merged.entry(*key).or_default();
        all.latest.extend(recent.cloned());
        all.reached.extend(&target.reached);
        all.keep_most();
    }
    merged
}

// === impl Target ===

impl Target {
    /// The latest comparisons, and the earliest times, of several books together.
    fn keep_most(&mut self) {
        if self.latest.len() > PER_TARGET {
            self.latest.sort_by_key(|Compared { at_ms, .. }| *at_ms);
            self.latest.drain(..self.latest.len() - PER_TARGET);
        }
        self.reached.sort_unstable();
        self.reached.truncate(PER_TARGET);
    }
}
