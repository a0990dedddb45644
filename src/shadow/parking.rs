//! A burst of lag: requests that differ alike shortly after a write wait for the recheck of the first of them, since each
//! of them asked again would use up what may be asked.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::rechecker::Differing;

/// Requests that wait, at most: their bodies are held.
const PARKED: usize = 128;
/// A recheck that has not ended by then is lost; the next request takes its place, and those behind it along.
const LOST: Duration = Duration::from_secs(600);

/// What waits, by what differs.
#[derive(Debug, Default)]
pub struct Parking(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Since when the first is being asked again, and those behind it.
    waiting: HashMap<u64, (Instant, Vec<Differing>)>,
    count: usize,
}

/// What becomes of a request that differs.
#[derive(Debug)]
pub(super) enum Parked {
    /// It waits for the recheck of another one.
    Waits,
    /// It is the first: to be asked again.
    First(Differing),
    /// It is to be asked again by itself.
    Alone(Differing),
}

// === impl Parking ===

impl Parking {
    /// Has a request wait if another one that differs by the same `key` is being asked again.
    pub(super) fn park(&self, key: u64, differing: Differing) -> Parked {
        let mut inner = self.inner();
        let has_room = inner.count < PARKED;
        match inner.waiting.get_mut(&key) {
            Some((since, _)) if since.elapsed() >= LOST => {
                *since = Instant::now();
                Parked::First(differing)
            }
            Some((_, waiting)) if has_room => {
                waiting.push(differing);
                inner.count += 1;
                Parked::Waits
            }
            Some(_) => Parked::Alone(differing),
            None => {
                inner.waiting.insert(key, (Instant::now(), Vec::new()));
                Parked::First(differing)
            }
        }
    }

    /// A request that was asked again, and behind it all that waited for that.
    pub(super) fn with_those_that_wait(&self, first: Differing) -> Vec<Differing> {
        let left = first.key.map(|key| {
            let mut inner = self.inner();
            let left = inner.waiting.remove(&key).map(|(_, left)| left).unwrap_or_default();
            inner.count -= left.len();
            left
        });
        std::iter::once(first).chain(left.into_iter().flatten()).collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
