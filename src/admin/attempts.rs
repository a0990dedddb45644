//! How often somebody may try a token at `/login`.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Over which failures are counted.
const WINDOW: Duration = Duration::from_mins(1);
/// Failures of one address.
const OF_ONE: usize = 5;
/// Failures of all addresses; so many are remembered, and thereby no more addresses than these.
const OF_ALL: usize = 60;

/// The failures of the last minute, oldest first.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<VecDeque<Failure>>);

#[derive(Debug)]
struct Failure {
    at: Instant,
    whose: IpAddr,
}

/// What became of an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Attempt<T> {
    Right(T),
    Wrong,
    /// Not looked at: neither a right token nor a wrong one tells anything now.
    Limited {
        /// When one is looked at again.
        after: Duration,
    },
}

// === impl Attempts ===

impl Attempts {
    /// Looks at one attempt, unless there were too many. `check` must be quick: others wait, so that many at once are
    /// counted as many.
    pub(super) fn attempt<T>(
        &self,
        caller: IpAddr,
        now: Instant,
        check: impl FnOnce() -> Option<T>,
    ) -> Attempt<T> {
        let whose = whose(caller);
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.retain(|failure| now.duration_since(failure.at) < WINDOW);
        let free_at = |nth: usize, failures: &mut dyn Iterator<Item = &Failure>| {
            failures.nth(nth.saturating_sub(1)).map(|failure| failure.at + WINDOW)
        };
        // The latest first: once the last of so many is past, there is room for one.
        let of_one = free_at(OF_ONE, &mut failures.iter().rev().filter(|failure| failure.whose == whose));
        let of_all = free_at(OF_ALL, &mut failures.iter().rev());
        if let Some(free) = of_one.max(of_all) {
            return Attempt::Limited { after: free.duration_since(now) };
        }
        match check() {
            Some(right) => Attempt::Right(right),
            None => {
                failures.push_back(Failure { at: now, whose });
                Attempt::Wrong
            }
        }
    }
}

/// The address; of an IPv6 address the half that its network gave out, since the rest is the host's to choose.
fn whose(caller: IpAddr) -> IpAddr {
    match caller.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "192.0.2.1";

    fn attempt(attempts: &Attempts, caller: &str, now: Instant, right: bool) -> Attempt<()> {
        attempts.attempt(caller.parse().unwrap(), now, || right.then_some(()))
    }

    #[test]
    fn after_five_failures_an_address_waits_even_with_the_right_token() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for second in 0..5 {
            let at = now + Duration::from_secs(second);
            assert_eq!(attempt(&attempts, ONE, at, true), Attempt::Right(()), "success does not count");
            assert_eq!(attempt(&attempts, ONE, at, false), Attempt::Wrong);
        }
        let then = now + Duration::from_secs(10);
        let limited = Attempt::Limited { after: Duration::from_secs(50) };
        assert_eq!(attempt(&attempts, ONE, then, true), limited);
        assert_eq!(attempt(&attempts, &format!("::ffff:{ONE}"), then, false), limited);
        assert_eq!(attempt(&attempts, "192.0.2.2", then, true), Attempt::Right(()));
        // One is free again after the first is past, and that is used up at once.
        let after = now + WINDOW;
        assert_eq!(attempt(&attempts, ONE, after, false), Attempt::Wrong);
        assert_eq!(attempt(&attempts, ONE, after, true), Attempt::Limited { after: Duration::from_secs(1) });
    }

    #[test]
    fn all_addresses_together_have_a_limit() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for i in 0..OF_ALL {
            assert_eq!(attempt(&attempts, &format!("198.51.100.{i}"), now, false), Attempt::Wrong);
        }
        assert_eq!(attempt(&attempts, ONE, now, true), Attempt::Limited { after: WINDOW });
        assert_eq!(attempt(&attempts, ONE, now + WINDOW, true), Attempt::Right(()));
    }

    #[test]
    fn one_network_is_one_caller() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for i in 0..OF_ONE {
            assert_eq!(attempt(&attempts, &format!("2001:db8::{i:x}"), now, false), Attempt::Wrong);
        }
        assert!(matches!(attempt(&attempts, "2001:db8::ffff", now, true), Attempt::Limited { .. }));
        assert_eq!(attempt(&attempts, "2001:db8:0:1::1", now, true), Attempt::Right(()));
    }
}
