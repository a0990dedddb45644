//! The watch after a flip: what the new primary did, and whether that means going back.
//!
//! Noise, transients and mismatches that could not be confirmed never count; nor does what hangs on one client among
//! several, or on one target.

use std::collections::HashMap;
use std::time::Duration;

use crate::ledger::seen::{Counts, Seen, at_most_per_target};
use crate::stats::{latency, lower_bound};

/// With this many clients the verdict must not hang on one of them. (With fewer it cannot be told whether one is hostile
/// or everybody comes through it.)
const SEVERAL_CLIENTS: usize = 3;

/// When the watch goes back by itself.
#[derive(Debug, Clone, Copy)]
pub struct WatchRules {
    /// Whether it does.
    pub enabled: bool,
    /// How long after a flip.
    pub window: Duration,
    /// Fewest requests that count.
    pub min_samples: u64,
    /// Fewest different targets.
    pub min_targets: u64,
    /// Most of the new primary's answers that may be confirmed mismatches.
    pub max_mismatch_rate: f64,
    /// Most that may be 5xx or none at all where the other side answered.
    pub max_failure_rate: f64,
}

// === impl WatchRules ===

impl Default for WatchRules {
    fn default() -> Self {
        WatchRules {
            enabled: true,
            window: Duration::from_secs(30 * 60),
            min_samples: 50,
            min_targets: 20,
            max_mismatch_rate: 0.01,
            max_failure_rate: 0.01,
        }
    }
}

impl WatchRules {
    /// Why to go back, if there is a reason.
    #[must_use]
    pub fn verdict(&self, seen: &[Seen]) -> Option<String> {
        let verdict = self.reason(seen)?;
        let mut clients: HashMap<u64, u64> = HashMap::new();
        for seen in seen {
            *clients.entry(seen.client).or_insert(0) += u64::from(seen.failed || seen.mismatch);
        }
        if clients.len() < SEVERAL_CLIENTS {
            return Some(verdict);
        }
        let worst = clients.iter().max_by_key(|(client, bad)| (**bad, **client)).map(|(client, _)| *client);
        let others: Vec<Seen> = seen.iter().filter(|seen| Some(seen.client) != worst).copied().collect();
        // Where nearly everything comes from one, as from a load balancer, it stands for all.
        if self.suffices(&at_most_per_target(&others)) { self.reason(&others) } else { Some(verdict) }
    }

    fn suffices(&self, seen: &[Seen]) -> bool {
        let Counts { requests, targets, .. } = Counts::of(seen);
        requests >= self.min_samples && targets >= self.min_targets
    }

    fn reason(&self, seen: &[Seen]) -> Option<String> {
        let seen = at_most_per_target(seen);
        let Counts { requests, mismatches, failures, .. } = Counts::of(&seen);
        if !self.suffices(&seen) {
            return None;
        }
        let is_over = |bad, most| lower_bound(bad, requests) > most;
        if is_over(failures, self.max_failure_rate) {
            return Some(format!(
                "{failures} of {requests} answers of the new primary failed where the other side answered"
            ));
        }
        if is_over(mismatches, self.max_mismatch_rate) {
            return Some(format!(
                "{mismatches} of {requests} answers of the new primary are confirmed mismatches"
            ));
        }
        let seconds = |micros: u32| f64::from(micros) / 1e6;
        let pairs: Vec<(f64, f64)> =
            seen.iter().filter_map(|seen| seen.times).map(|t| (seconds(t.from), seconds(t.to))).collect();
        if (pairs.len() as u64) < self.min_samples {
            return None;
        }
        let judged = latency(&pairs);
        judged.exceeded.then(|| {
            format!("p95 of the new primary is {:.4} s, and may be {:.4} s", judged.to, judged.limit)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::evidence::Pair32;

    /// `count` requests over as many targets, from `clients` clients in turn; of which `bad` decides what went wrong.
    fn seen(count: u64, clients: u64, bad: impl Fn(u64) -> (bool, bool)) -> Vec<Seen> {
        (0..count)
            .map(|number| {
                let (failed, mismatch) = bad(number);
                let times = Some(Pair32 { from: 10_000, to: 10_000 });
                Seen { client: number % clients, target: number, failed, mismatch, times }
            })
            .collect()
    }

    #[test]
    fn failures_and_mismatches_beyond_chance_go_back() {
        let rules = WatchRules::default();
        let tenth = |number| number % 10 == 0;
        let failing = rules.verdict(&seen(100, 1, |n| (tenth(n), false))).unwrap();
        assert!(failing.contains("10 of 100"), "{failing}");
        let differing = rules.verdict(&seen(100, 10, |n| (false, tenth(n / 7)))).unwrap();
        assert!(differing.contains("confirmed mismatches"), "{differing}");
        assert_eq!(rules.verdict(&seen(100, 1, |n| (n == 5, false))), None, "one of a hundred may be chance");
        assert_eq!(rules.verdict(&seen(100, 1, |_| (false, false))), None);
    }

    #[test]
    fn few_requests_and_few_targets_say_nothing() {
        let rules = WatchRules::default();
        assert_eq!(rules.verdict(&seen(49, 1, |_| (true, true))), None);
        let mut one_target = seen(1000, 1, |_| (true, true));
        one_target.iter_mut().for_each(|seen| seen.target = 7);
        assert_eq!(rules.verdict(&one_target), None);
    }

    #[test]
    fn one_hostile_client_among_several_does_not_go_back() {
        let rules = WatchRules::default();
        let hostile = |number: u64| (number % 4 == 1, number % 4 == 1);
        assert_eq!(rules.verdict(&seen(400, 4, hostile)), None);
        let two = |number: u64| (number % 4 < 2, false);
        assert!(rules.verdict(&seen(400, 4, two)).is_some());
    }

    #[test]
    fn health_checks_beside_a_load_balancer_do_not_turn_it_off() {
        let mut all = seen(300, 1, |n| (n % 10 == 0, false));
        all.extend(
            seen(20, 2, |_| (false, false)).into_iter().map(|seen| Seen { client: seen.client + 7, ..seen }),
        );
        assert!(WatchRules::default().verdict(&all).is_some());
    }

    #[test]
    fn a_slow_primary_goes_back() {
        let mut slow = seen(200, 5, |_| (false, false));
        slow.iter_mut().for_each(|seen| seen.times = Some(Pair32 { from: 10_000, to: 40_000 }));
        assert!(WatchRules::default().verdict(&slow).unwrap().starts_with("p95"));
    }
}
