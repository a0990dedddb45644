//! One write at a time for each key, in the order of asking.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

type Lock = Arc<tokio::sync::Mutex<()>>;

/// The locks of all keys that somebody holds or waits for.
#[derive(Debug, Default)]
pub(super) struct KeyLocks(Mutex<HashMap<String, Lock>>);

/// Some keys, locked.
#[derive(Debug)]
pub(super) struct Locked {
    locks: Arc<KeyLocks>,
    keys: Vec<String>,
    held: Vec<OwnedMutexGuard<()>>,
}

// === impl KeyLocks ===

impl KeyLocks {
    /// Locks all of `keys`, which must be sorted and each there once: so two writes never wait for each other.
    pub(super) async fn lock(self: &Arc<Self>, keys: &[String]) -> Locked {
        let mut locked = Locked { locks: Arc::clone(self), keys: keys.to_vec(), held: Vec::new() };
        for key in keys {
            let lock = Arc::clone(self.map().entry(key.clone()).or_default());
            locked.held.push(lock.lock_owned().await);
        }
        locked
    }

    fn map(&self) -> MutexGuard<'_, HashMap<String, Lock>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let mut map = self.locks.map();
        self.held.clear();
        for key in &self.keys {
            // Nobody else holds it, waits for it, or can begin to: the map is locked.
            if map.get(key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
                map.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_is_held_by_one_and_forgotten_by_the_last() {
        let locks = Arc::new(KeyLocks::default());
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        let (first, other) = (locks.lock(&keys(&["a", "b"])).await, locks.lock(&keys(&["c"])).await);
        let waiting = tokio::spawn({
            let (locks, keys) = (Arc::clone(&locks), keys(&["b", "c"]));
            async move { locks.lock(&keys).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        drop(other);
        drop(waiting.await.unwrap());
        // One that gave up waiting leaves nothing behind either.
        let held = locks.lock(&keys(&["a"])).await;
        let gone = tokio::time::timeout(std::time::Duration::ZERO, locks.lock(&keys(&["a"]))).await;
        assert!(gone.is_err());
        drop(held);
        assert!(locks.map().is_empty());
    }
}
