//! The evidence of every route: one inbox, one book for each replica, and what control reads showed.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::acceptance::Accepted;
use super::evidence::history::{Point, history};
use super::evidence::{Book, Entry, Page, Tally};
use super::finding::{Finding, Signature};
use super::lock;
use super::noise::{Counts, Noise};
use crate::compare::{Class, Comparison, Kind};

/// Requests that may wait to be taken in; beyond, they are dropped and counted. The ticker takes them in each second.
const WAITING: usize = 100_000;
/// The key of the page with what control reads showed.
const NOISE: &str = "n";

/// The books of all routes, of one epoch.
#[derive(Debug)]
pub struct Books {
    labels: Vec<String>,
    routes: Vec<RouteBooks>,
    epoch: AtomicI64,
    /// Requests that were not taken in.
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct RouteBooks {
    inbox: Mutex<Vec<Entry>>,
    shelf: Mutex<Shelf>,
    noise: Mutex<Noise>,
}

#[derive(Debug, Default)]
struct Shelf {
    /// The epoch that all on it, and what control reads showed, is of.
    epoch: i64,
    own: Book,
    others: HashMap<String, Book>,
}

/// A page to be stored, with where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The route's label.
    pub route: String,
    /// The page.
    pub page: Page,
}

// === impl Books ===

impl Books {
    /// Empty books of `epoch` for routes with these labels.
    #[must_use]
    pub fn new(labels: &[String], epoch: i64) -> Self {
        Books {
            labels: labels.to_vec(),
            routes: labels.iter().map(|_| RouteBooks::of(epoch)).collect(),
            epoch: AtomicI64::new(epoch),
            dropped: AtomicU64::new(0),
        }
    }

    /// The epoch that evidence is gathered in now.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Takes an entry of a request that began in `epoch`; of another epoch it is no evidence. Held for a push only.
    pub fn push(&self, route: usize, epoch: i64, entry: Entry) {
        let Some(books) = self.routes.get(route) else { return };
        let mut inbox = lock(&books.inbox);
        if epoch != self.epoch() {
            return;
        }
        if inbox.len() < WAITING {
            inbox.push(entry);
        } else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes in what waits, and forgets what is older than `since_ms`, or in the future of `now_ms`.
    pub fn tick(&self, since_ms: i64, now_ms: i64) {
        for books in &self.routes {
            let mut shelf = books.shelf();
            shelf.own.forget(since_ms, now_ms);
            shelf.others.values_mut().for_each(|book| book.forget(since_ms, now_ms));
        }
    }

    /// The evidence of `route` since `since_ms`.
    #[must_use]
    pub fn tally(&self, route: usize, since_ms: i64, accepted: &Accepted) -> Tally {
        let Some(books) = self.routes.get(route) else { return Tally::default() };
        let shelf = books.shelf();
        Tally::of(shelf.others.values().chain([&shelf.own]), since_ms, accepted)
    }

    /// The last hour of `route` by `now_ms`, stretch by stretch.
    #[must_use]
    pub fn history(&self, route: usize, now_ms: i64) -> Vec<Point> {
        let Some(books) = self.routes.get(route) else { return Vec::new() };
        let shelf = books.shelf();
        history(shelf.others.values().chain([&shelf.own]), now_ms)
    }

    /// How many comparisons of `route` are kept, and in how many of them the finding occurred.
    #[must_use]
    pub fn occurrences(&self, route: usize, finding: &Finding) -> (u64, u64) {
        let Some(books) = self.routes.get(route) else { return (0, 0) };
        let shelf = books.shelf();
        let all = shelf.others.values().chain([&shelf.own]).map(|book| book.occurrences(finding));
        all.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// Notes how the primary differed from itself; gives the paths at which it does.
    pub fn control(&self, route: usize, comparison: &Comparison) -> Vec<String> {
        let Some(books) = self.routes.get(route) else { return Vec::new() };
        let mut noise = lock(&books.noise);
        noise.control(comparison);
        noise.paths().to_vec()
    }

    /// Notes how the two sides differed on `route`, or that they did not.
    pub fn compared(&self, route: usize, comparison: &Comparison) {
        if let Some(books) = self.routes.get(route) {
            lock(&books.noise).compared(comparison);
        }
    }

    /// The paths of `route` at which the primary differs from itself.
    #[must_use]
    pub fn noisy(&self, route: usize) -> Vec<String> {
        self.routes.get(route).map(|books| lock(&books.noise).paths().to_vec()).unwrap_or_default()
    }

    /// Adds to what is accepted on `route` what is noise there.
    #[must_use]
    pub fn with_noise(&self, route: usize, accepted: Accepted) -> Accepted {
        let label = self.labels.get(route).map_or("other", String::as_str);
        let paths = self.noisy(route);
        let ids = paths.iter().flat_map(|path| Class::ALL.iter().map(move |class| (path, *class)));
        let ids = ids.map(|(path, class)| {
            let path = path.clone();
            Signature { route, path, kind: Kind::Changed, class, transient: false }.id(label)
        });
        let ids: Vec<String> = ids.collect();
        accepted.with_noise(ids.iter().map(String::as_str))
    }

    /// Begins another epoch: all evidence is forgotten.
    pub fn begin_epoch(&self, epoch: i64) {
        self.epoch.store(epoch, Ordering::Release);
        for books in &self.routes {
            let mut shelf = lock(&books.shelf);
            lock(&books.inbox).clear();
            lock(&books.noise).clear();
            *shelf = Shelf { epoch, ..Shelf::default() };
        }
    }

    /// This replica's pages that changed since the last call, and the epoch they are of.
    #[must_use]
    pub fn take_changed(&self) -> (i64, Vec<Placed>) {
        self.gather(|book, noise| (book.take_changed(), noise.take_changed()))
    }

    /// All pages of this replica, and the epoch they are of.
    #[must_use]
    pub fn pages(&self) -> (i64, Vec<Placed>) {
        self.gather(|book, noise| (book.pages(), noise.own()))
    }

    fn gather(
        &self,
        of: impl Fn(&mut Book, &mut Noise) -> (Vec<Page>, Option<Counts>),
    ) -> (i64, Vec<Placed>) {
        let epoch = self.epoch();
        let mut placed = Vec::new();
        for (label, books) in self.labels.iter().zip(&self.routes) {
            let mut shelf = books.shelf();
            if shelf.epoch != epoch {
                // Another one begins at this moment: what is of it comes with the next call.
                continue;
            }
            let (mut pages, noise) = of(&mut shelf.own, &mut lock(&books.noise));
            pages.extend(noise.and_then(|counts| {
                Some(Page { key: NOISE.to_owned(), document: serde_json::to_string(&counts).ok()? })
            }));
            placed.extend(pages.into_iter().map(|page| Placed { route: label.clone(), page }));
        }
        (epoch, placed)
    }

    /// Takes up a page of a replica, of this one where `replica` is none; of another epoch it is no evidence.
    pub fn restore(&self, epoch: i64, replica: Option<&str>, placed: &Placed) {
        let route = self.labels.iter().position(|label| *label == placed.route);
        let Some(books) = route.and_then(|route| self.routes.get(route)) else { return };
        let Page { key, document } = &placed.page;
        let mut shelf = lock(&books.shelf);
        if shelf.epoch != epoch {
            return;
        }
        if key == NOISE {
            if let Ok(counts) = serde_json::from_str(document) {
                lock(&books.noise).restore(replica, counts);
            }
            return;
        }
        match replica {
            None => shelf.own.restore(key, document),
            Some(replica) => shelf.others.entry(replica.to_owned()).or_default().restore(key, document),
        }
    }

    /// Requests that were not taken in since the start.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

// === impl RouteBooks ===

impl RouteBooks {
    fn of(epoch: i64) -> Self {
        RouteBooks { shelf: Mutex::new(Shelf { epoch, ..Shelf::default() }), ..RouteBooks::default() }
    }

    /// The shelf, with all that waited taken in. The inbox is held no longer than it takes to empty it.
    fn shelf(&self) -> std::sync::MutexGuard<'_, Shelf> {
        let mut shelf = lock(&self.shelf);
        let waiting = std::mem::take(&mut *lock(&self.inbox));
        waiting.into_iter().for_each(|entry| shelf.own.add(entry));
        shelf
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(number: u64) -> Placed {
        let document = r#"{"l":[{"a":1,"s":true,"d":"n"}],"r":[1]}"#.to_owned();
        Placed { route: "/a".to_owned(), page: Page { key: format!("t{number:016x}"), document } }
    }

    fn targets(books: &Books) -> u64 {
        let json = serde_json::json!({"id": "", "route": "/a", "path": "/n", "kind": "changed", "class": "value",
            "severity": "value", "state": "open", "count": 0, "first_seen": "2026-01-01T00:00:00Z",
            "last_seen": "2026-01-01T00:00:00Z", "sentence": "", "samples": []});
        books.occurrences(0, &serde_json::from_value(json).unwrap()).0
    }

    #[test]
    fn a_page_of_another_epoch_is_not_taken_up() {
        let books = Books::new(&["/a".to_owned()], 1);
        books.restore(1, None, &target(1));
        books.restore(1, Some("b"), &target(2));
        books.restore(2, Some("b"), &target(3));
        assert_eq!(targets(&books), 2);
        books.begin_epoch(2);
        books.restore(1, Some("b"), &target(1));
        assert_eq!((targets(&books), books.take_changed()), (0, (2, Vec::new())));
        books.restore(2, Some("b"), &target(1));
        assert_eq!(targets(&books), 1);
    }
}
