//! Bodies that are still coming: none of one client's may take all the room that writes have.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The part of all room that bodies of one client may have while they come.
const SHARE: usize = 4;

/// How much each client is sending.
#[derive(Debug)]
pub(super) struct Collecting {
    most: usize,
    clients: Mutex<HashMap<u64, usize>>,
}

/// What one body has taken so far; dropping it says that it is complete, or given up.
#[derive(Debug)]
pub struct Coming {
    collecting: Arc<Collecting>,
    client: u64,
    bytes: usize,
}

// === impl Collecting ===

impl Collecting {
    /// Where all writes together may have `bytes`, and one of them `body`.
    pub(super) fn new(bytes: usize, body: usize) -> Arc<Self> {
        Arc::new(Collecting { most: (bytes / SHARE).max(body), clients: Mutex::default() })
    }

    pub(super) fn begin(self: &Arc<Self>, client: u64) -> Coming {
        Coming { collecting: Arc::clone(self), client, bytes: 0 }
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<u64, usize>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Coming ===

impl Coming {
    /// Takes `more` bytes; false if this client sends too much at once.
    #[must_use]
    pub fn take(&mut self, more: usize) -> bool {
        let mut clients = self.collecting.clients();
        let taken = clients.entry(self.client).or_default();
        *taken += more;
        self.bytes += more;
        *taken <= self.collecting.most
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        let mut clients = self.collecting.clients();
        if let Some(taken) = clients.get_mut(&self.client) {
            *taken = taken.saturating_sub(self.bytes);
            if *taken == 0 {
                clients.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_takes_no_more_than_its_share_and_gives_it_back() {
        let collecting = Collecting::new(400, 50);
        let (mut first, mut second, mut other) =
            (collecting.begin(1), collecting.begin(1), collecting.begin(2));
        assert!(first.take(60) && other.take(100));
        assert!(!second.take(60));
        drop(second);
        drop(first);
        assert!(collecting.begin(1).take(100));
        drop(other);
        assert!(collecting.clients().is_empty());
        assert!(Collecting::new(100, 80).begin(1).take(80), "one body always fits");
    }
}
