//! Writes that are not in both stores yet, and those that have just come there: what reads need to know of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::keys;

/// How long after a write's end what differs may be its lag.
pub const LAG: Duration = Duration::from_secs(2);
/// Keys remembered after their writes have ended.
const REMEMBERED: usize = 20_000;

/// Writes on their way. Its locks are held for a look, never for a computation.
#[derive(Debug, Default)]
pub struct Traffic(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Writes of each key that have not ended, and when the last one ended.
    keys: HashMap<String, Standing>,
    /// Writes of each client that have not ended.
    clients: HashMap<u64, usize>,
    /// Writes that have not ended.
    open: usize,
    ended: Option<Instant>,
}

#[derive(Debug, Default)]
struct Standing {
    open: usize,
    ended: Option<Instant>,
}

/// A write that has not ended; dropping it ends it.
#[derive(Debug)]
pub struct OnItsWay {
    traffic: Arc<Traffic>,
    keys: Vec<String>,
    client: u64,
}

// === impl Traffic ===

impl Traffic {
    /// A write of these keys is about to be sent, for the client known by this hash.
    #[must_use]
    pub fn begin(self: &Arc<Self>, keys: &[String], client: u64) -> OnItsWay {
        let mut inner = self.inner();
        inner.open += 1;
        *inner.clients.entry(client).or_default() += 1;
        for key in keys {
            inner.keys.entry(key.clone()).or_default().open += 1;
        }
        OnItsWay { traffic: Arc::clone(self), keys: keys.to_vec(), client }
    }

    /// Whether a write that touches a read of `target` is on its way now, or ended at or after `since` less [`LAG`]. A
    /// read that names no record is a list, which every write touches; so does a write of which no key is known.
    #[must_use]
    pub fn touches(&self, target: &str, is_list: bool, since: Instant) -> bool {
        let recent = since.checked_sub(LAG);
        let is_near = |open: usize, ended: Option<Instant>| open > 0 || (ended.is_some() && ended >= recent);
        let inner = self.inner();
        if !is_near(inner.open, inner.ended) {
            return false;
        }
        if is_list {
            return true;
        }
        let is_of_route = |key: &str| key.contains(' ');
        let near_key =
            |key: &String| inner.keys.get(key).is_some_and(|standing| is_near(standing.open, standing.ended));
        keys::of_read(target).iter().any(near_key)
            || inner
                .keys
                .iter()
                .any(|(key, standing)| is_of_route(key) && is_near(standing.open, standing.ended))
    }

    /// Whether a write of this client is not in both stores yet.
    #[must_use]
    pub fn waits(&self, client: u64) -> bool {
        self.inner().clients.contains_key(&client)
    }

    fn end(&self, keys: &[String], client: u64) {
        let now = Instant::now();
        let mut inner = self.inner();
        inner.open = inner.open.saturating_sub(1);
        inner.ended = Some(now);
        if let Some(left) = inner.clients.get_mut(&client) {
            *left = left.saturating_sub(1);
            if *left == 0 {
                inner.clients.remove(&client);
            }
        }
        for key in keys {
            if let Some(standing) = inner.keys.get_mut(key) {
                standing.open = standing.open.saturating_sub(1);
                standing.ended = Some(now);
            }
        }
        if inner.keys.len() > REMEMBERED {
            inner.keys.retain(|_, standing| {
                standing.open > 0 || standing.ended.is_some_and(|ended| ended.elapsed() < 4 * LAG)
            });
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.traffic.end(&self.keys, self.client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_touches_reads_of_its_keys_and_lists_until_it_has_lagged() {
        let traffic = Arc::new(Traffic::default());
        let now = Instant::now();
        assert!(!traffic.touches("/api/reports", true, now));
        let write = traffic.begin(&["abc".to_owned()], 7);
        assert!(traffic.touches("/yt:ABC.json", false, now));
        assert!(!traffic.touches("/other.json", false, now));
        assert!(traffic.touches("/api/reports?page=2", true, now));
        assert!(traffic.waits(7) && !traffic.waits(8));
        drop(write);
        assert!(!traffic.waits(7));
        assert!(traffic.touches("/abc.json", false, Instant::now()));
        let later = Instant::now() + LAG + Duration::from_millis(1);
        assert!(!traffic.touches("/abc.json", false, later) && !traffic.touches("/api/reports", true, later));
    }

    #[test]
    fn a_write_without_a_key_touches_everything() {
        let traffic = Arc::new(Traffic::default());
        let _write = traffic.begin(&["POST /import".to_owned()], 0);
        assert!(traffic.touches("/abc.json", false, Instant::now()));
    }
}
