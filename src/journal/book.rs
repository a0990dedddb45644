//! What is not in both stores yet, in memory: in order, by key, and how much of it there may be.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use chrono::{DateTime, Utc};

use super::disk::Standing;
use super::request::Request;
use super::traffic::OnItsWay;
use super::{Counts, State};
use crate::side::{Pair, Side};

/// One write.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) state: State,
    pub(super) leader: Side,
    /// `DELETE /api/delete/{id}`.
    pub(super) route: String,
    pub(super) keys: Vec<String>,
    pub(super) at: DateTime<Utc>,
    pub(super) by: String,
    /// What the leader made of it.
    pub(super) effect: Option<String>,
    pub(super) tries: u32,
    pub(super) last_error: String,
    /// Whether a later write of one of its keys went by while it was parked or in doubt.
    pub(super) passed: bool,
    /// Whether its doubt is being settled: its keys wait for that.
    pub(super) settling: bool,
    /// Whether it is with the follower, or an operator decides about it, now.
    pub(super) busy: bool,
    /// Whether the follower may have it already: it is there now, or a try ended without an answer.
    pub(super) maybe_there: bool,
    /// Not before.
    pub(super) next_try: Option<Instant>,
    /// None if it was sealed with another key.
    pub(super) request: Option<Arc<Request>>,
    /// What reads know of it, until it has ended or someone must decide.
    pub(super) on_its_way: Option<OnItsWay>,
    #[expect(dead_code, reason = "held until the write has ended")]
    pub(super) room: Room,
}

/// What is to be delivered.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) seq: i64,
    pub(super) id: String,
    pub(super) at: DateTime<Utc>,
    pub(super) by: String,
    pub(super) effect: Option<String>,
    /// Whether what is not there counts as taken.
    pub(super) deletes: bool,
    pub(super) to: Side,
    pub(super) tries: u32,
    /// Whether the store may have it from an earlier try.
    pub(super) maybe_there: bool,
    pub(super) request: Arc<Request>,
}

/// All that is not in both stores.
#[derive(Debug, Default)]
pub(super) struct Book(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    entries: BTreeMap<i64, Entry>,
    ids: HashMap<String, i64>,
    by_key: HashMap<String, BTreeSet<i64>>,
    last: i64,
}

/// How much may be journalled.
#[derive(Debug)]
pub(super) struct Space {
    most: (usize, usize),
    entries: AtomicUsize,
    bytes: AtomicUsize,
}

/// The place of one write; dropping it gives it back.
#[derive(Debug)]
pub struct Room {
    space: Arc<Space>,
    bytes: usize,
}

// === impl Space ===

impl Space {
    pub(super) fn new(entries: usize, bytes: usize) -> Arc<Self> {
        Arc::new(Space { most: (entries, bytes), entries: AtomicUsize::new(0), bytes: AtomicUsize::new(0) })
    }

    /// A place for one more write; none if there are too many.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Room> {
        let before = self.entries.fetch_add(1, Ordering::Relaxed);
        let room = Room { space: Arc::clone(self), bytes: 0 };
        // Dropping the room gives the place back.
        (before < self.most.0).then_some(room)
    }

    /// For a write that is on disk already.
    pub(super) fn enter_anyway(self: &Arc<Self>, bytes: usize) -> Room {
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Room { space: Arc::clone(self), bytes }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

// === impl Room ===

impl Room {
    /// Makes room for `more` bytes; false if there is none.
    #[must_use]
    pub fn grow(&mut self, more: usize) -> bool {
        let before = self.space.bytes.fetch_add(more, Ordering::Relaxed);
        self.bytes += more;
        before.saturating_add(more) <= self.space.most.1
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.space.entries.fetch_sub(1, Ordering::Relaxed);
        self.space.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

// === impl Entry ===

impl Entry {
    /// The store that gets it second.
    pub(super) fn follower(&self) -> Side {
        self.leader.other()
    }

    /// Whether later writes of its keys wait for it.
    fn is_ahead(&self) -> bool {
        match self.state {
            State::Sending | State::Pending => true,
            State::InDoubt => self.settling,
            State::Parked => false,
        }
    }

    pub(super) fn standing(&self) -> Standing {
        Standing {
            state: self.state,
            effect: self.effect.clone(),
            last_error: self.last_error.clone(),
            passed: self.passed,
        }
    }
}

// === impl Book ===

impl Book {
    /// Takes an entry in behind all others; its number. None where its leader is still owed a write of its keys.
    pub(super) fn insert(&self, entry: Entry) -> Option<i64> {
        let mut inner = self.inner();
        if inner.owes(entry.leader, &entry.keys) {
            return None;
        }
        let seq = inner.last + 1;
        inner.put(seq, entry);
        Some(seq)
    }

    /// Takes in an entry that is on disk under this number.
    pub(super) fn restore(&self, seq: i64, entry: Entry) {
        self.inner().put(seq, entry);
    }

    /// Whether a write of one of these keys is still to be delivered to `side`.
    pub(super) fn owes(&self, side: Side, keys: &[String]) -> bool {
        self.inner().owes(side, keys)
    }

    /// Writes that may be delivered now, oldest first; `most` for each side. They are busy until their try has ended.
    pub(super) fn ready(&self, now: Instant, mut most: Pair<usize>) -> Vec<Delivery> {
        let mut inner = self.inner();
        let Inner { entries, .. } = &mut *inner;
        let mut ahead: HashSet<&str> = HashSet::new();
        let mut ready = Vec::new();
        let mut seqs = Vec::new();
        for (seq, entry) in entries.iter() {
            if most.from + most.to == 0 {
                break;
            }
            if !entry.is_ahead() {
                continue;
            }
            let is_first = !entry.keys.iter().any(|key| ahead.contains(key.as_str()));
            ahead.extend(entry.keys.iter().map(String::as_str));
            let is_due = entry.next_try.is_none_or(|at| at <= now);
            let left = match entry.follower() {
                Side::From => &mut most.from,
                Side::To => &mut most.to,
            };
            if entry.state == State::Pending && is_first && is_due && !entry.busy && *left > 0 {
                *left -= 1;
                seqs.push(*seq);
            }
        }
        for seq in seqs {
            let Some(entry) = entries.get_mut(&seq) else { continue };
            let Some(request) = entry.request.clone() else { continue };
            entry.busy = true;
            let maybe_there = std::mem::replace(&mut entry.maybe_there, true);
            ready.push(Delivery {
                seq,
                id: entry.id.clone(),
                at: entry.at,
                by: entry.by.clone(),
                effect: entry.effect.clone(),
                deletes: super::deletes(&entry.route),
                to: entry.follower(),
                tries: entry.tries,
                maybe_there,
                request,
            });
        }
        ready
    }

    /// When the next write that waits for its time may be tried. What is due waits for something else than time.
    pub(super) fn next_try(&self, now: Instant) -> Option<Instant> {
        let inner = self.inner();
        let waiting = inner.entries.values().filter(|entry| entry.state == State::Pending && !entry.busy);
        waiting.filter_map(|entry| entry.next_try).filter(|at| *at > now).min()
    }

    /// Changes one entry; what `change` gives, if it is there.
    pub(super) fn change<T>(&self, seq: i64, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        self.inner().entries.get_mut(&seq).map(change)
    }

    /// Changes one entry as an operator asks. `change` is also told of a later write of its keys that its follower may have
    /// already, which it would undo.
    pub(super) fn decide<T>(
        &self,
        seq: i64,
        change: impl FnOnce(&mut Entry, Option<&str>) -> T,
    ) -> Option<T> {
        let mut inner = self.inner();
        let overtaking = inner.overtaking(seq);
        inner.entries.get_mut(&seq).map(|entry| change(entry, overtaking.as_deref()))
    }

    /// Takes an entry out; the numbers of those that it went by and that did not know yet.
    pub(super) fn remove(&self, seq: i64, delivered: bool) -> (Option<Entry>, Vec<i64>) {
        let mut inner = self.inner();
        let Inner { entries, ids, by_key, .. } = &mut *inner;
        let Some(entry) = entries.remove(&seq) else { return (None, Vec::new()) };
        ids.remove(&entry.id);
        let mut gone_by = Vec::new();
        for key in &entry.keys {
            let Some(of_key) = by_key.get_mut(key) else { continue };
            of_key.remove(&seq);
            if delivered {
                for earlier in of_key.range(..seq) {
                    if let Some(earlier_entry) =
                        entries.get_mut(earlier).filter(|entry| !entry.is_ahead() && !entry.passed)
                    {
                        earlier_entry.passed = true;
                        gone_by.push(*earlier);
                    }
                }
            }
            if of_key.is_empty() {
                by_key.remove(key);
            }
        }
        (Some(entry), gone_by)
    }

    /// Writes that have not ended.
    pub(super) fn len(&self) -> usize {
        self.inner().entries.len()
    }

    pub(super) fn find(&self, id: &str) -> Option<i64> {
        self.inner().ids.get(id).copied()
    }

    /// What `side` does not have yet.
    pub(super) fn counts(&self, side: Side) -> Counts {
        let mut counts = Counts::default();
        for entry in self.inner().entries.values().filter(|entry| entry.follower() == side) {
            match entry.state {
                State::Sending => continue,
                State::Pending => counts.pending += 1,
                State::Parked => counts.parked += 1,
                State::InDoubt => counts.in_doubt += 1,
            }
            counts.oldest = Some(counts.oldest.map_or(entry.at, |oldest| oldest.min(entry.at)));
        }
        counts
    }

    /// When the first write that has not ended was taken in; others may have been taken in a little before it.
    pub(super) fn unfinished_since(&self) -> Option<DateTime<Utc>> {
        self.inner().entries.values().next().map(|entry| entry.at)
    }

    /// What `show` makes of each entry that it wants, oldest first, at most `most`.
    pub(super) fn list<T>(&self, most: usize, show: impl FnMut(&Entry) -> Option<T>) -> Vec<T> {
        self.inner().entries.values().filter_map(show).take(most).collect()
    }

    /// How many entries are wanted.
    pub(super) fn count(&self, is_wanted: impl Fn(&Entry) -> bool) -> usize {
        self.inner().entries.values().filter(|entry| is_wanted(entry)).count()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Inner ===

impl Inner {
    fn owes(&self, side: Side, keys: &[String]) -> bool {
        let mut ahead = keys.iter().filter_map(|key| self.by_key.get(key)).flatten();
        ahead.any(|seq| {
            self.entries.get(seq).is_some_and(|entry| entry.follower() == side && entry.is_ahead())
        })
    }

    /// The id of a later write of the same keys that the follower of this one may have: as the leader, or delivered.
    fn overtaking(&self, seq: i64) -> Option<String> {
        let entry = self.entries.get(&seq)?;
        let of_keys = entry.keys.iter().filter_map(|key| self.by_key.get(key));
        let mut later =
            of_keys.flat_map(|seqs| seqs.range(seq + 1..)).filter_map(|later| self.entries.get(later));
        later
            .find(|later| later.leader == entry.follower() || later.maybe_there)
            .map(|later| later.id.clone())
    }

    fn put(&mut self, seq: i64, entry: Entry) {
        self.last = self.last.max(seq);
        self.ids.insert(entry.id.clone(), seq);
        for key in &entry.keys {
            self.by_key.entry(key.clone()).or_default().insert(seq);
        }
        self.entries.insert(seq, entry);
    }
}

#[cfg(test)]
mod tests;
