//! Asks a shadow that fails again and again less and less.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

/// Failures in a row that open it.
const FAILURES: u32 = 5;
/// How long it stays open at first, and at most; doubled after each probe that failed.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// How long a probe may be under way before another one is allowed.
const LOST: Duration = Duration::from_secs(30);

/// The breaker of one backend.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    failures: u32,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    since: Instant,
    wait: Duration,
    probe: Option<Instant>,
}

/// How a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Every request is asked.
    Closed,
    /// None is.
    Open,
    /// One is under way, to see.
    HalfOpen,
}

// === impl Breaker ===

impl Breaker {
    /// Whether one more request may be asked; where it is open, this one is the probe.
    #[must_use]
    pub fn allows(&self) -> bool {
        self.allows_at(Instant::now())
    }

    /// Notes an answer.
    pub fn succeeded(&self) {
        *self.inner() = Inner::default();
    }

    /// Notes an answer to a request that was no shadow's: it closes a breaker that is open, and leaves the count of failures
    /// in a row as it is where it is closed.
    pub fn answers(&self) {
        let mut inner = self.inner();
        if inner.open.is_some() {
            *inner = Inner::default();
        }
    }

    /// Notes that none came.
    pub fn failed(&self) {
        self.failed_at(Instant::now());
    }

    /// Notes that a request which was allowed was not asked after all.
    pub fn not_asked(&self) {
        if let Some(open) = &mut self.inner().open {
            open.probe = None;
        }
    }

    /// How it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match &self.inner().open {
            None => Standing::Closed,
            Some(Open { probe: None, .. }) => Standing::Open,
            Some(Open { probe: Some(_), .. }) => Standing::HalfOpen,
        }
    }

    fn allows_at(&self, now: Instant) -> bool {
        let mut inner = self.inner();
        let Some(open) = &mut inner.open else { return true };
        let is_free = open.probe.is_none_or(|probe| now.duration_since(probe) >= LOST);
        let may = is_free && now.duration_since(open.since) >= open.wait;
        if may {
            open.probe = Some(now);
        }
        may
    }

    fn failed_at(&self, now: Instant) {
        let mut inner = self.inner();
        inner.failures = inner.failures.saturating_add(1);
        inner.open = match inner.open.take() {
            // One that was asked before it opened says nothing new.
            Some(open @ Open { probe: None, .. }) => Some(open),
            Some(Open { wait, .. }) => Some(Open { since: now, wait: (wait * 2).min(LONGEST), probe: None }),
            None if inner.failures >= FAILURES => Some(Open { since: now, wait: FIRST, probe: None }),
            None => None,
        };
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_in_a_row_open_it_and_probes_come_ever_later() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        (0..4).for_each(|_| breaker.failed_at(start));
        breaker.succeeded();
        (0..4).for_each(|_| breaker.failed_at(start));
        assert!(breaker.allows_at(start));
        breaker.failed_at(start);
        assert!(!breaker.allows_at(start));
        let (mut now, mut waits) = (0, Vec::new());
        for _ in 0..8 {
            let opened = now;
            while !breaker.allows_at(at(now)) {
                now += 1;
            }
            waits.push(now - opened);
            assert_eq!(breaker.standing(), Standing::HalfOpen);
            assert!(!breaker.allows_at(at(now)), "one probe at a time");
            breaker.failed_at(at(now));
            assert_eq!(breaker.standing(), Standing::Open);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(breaker.allows_at(at(now + 60)));
        breaker.succeeded();
        assert_eq!(breaker.standing(), Standing::Closed);
    }

    #[test]
    fn a_probe_that_is_lost_or_not_asked_is_followed_by_another() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        (0..5).for_each(|_| breaker.failed_at(start));
        assert!(breaker.allows_at(start + FIRST));
        assert!(breaker.allows_at(start + FIRST + LOST));
        breaker.not_asked();
        assert!(breaker.allows_at(start + FIRST + LOST));
    }
}
