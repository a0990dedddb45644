//! Writes to both stores: taken by the leader, journalled before that, delivered to the follower in order per key.
//!
//! Not for: what a write means (`dashboard::write`, or the server behind HTTP), and who leads (`cutover`).

mod answer;
pub mod book;
pub mod collecting;
mod courier;
mod decision;
mod disk;
mod doubt;
pub mod intake;
pub mod keys;
mod locks;
pub mod request;
pub mod routes;
mod seal;
pub mod traffic;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::Method;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedRwLockWriteGuard, RwLock, watch};

use self::book::{Book, Entry, Space};
use self::collecting::Collecting;
use self::disk::{Disk, Kept};
use self::locks::KeyLocks;
use self::request::Request;
use self::routes::Matched;
use self::seal::Sealer;
use self::traffic::Traffic;
use crate::backend::Backend;
use crate::config::WritesConfig;
use crate::metrics::Metrics;
use crate::side::{Pair, Side};
use crate::state::rfc3339;

/// Where a journalled write stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// With the leader.
    Sending,
    /// Whether the leader took it is not known.
    InDoubt,
    /// The leader took it; the follower has not yet.
    Pending,
    /// The follower refuses it for good, or a doubt cannot be resolved: someone must decide.
    Parked,
}

/// What an operator may do with a write that is pending, parked or in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Have the follower take it, now. The leader is never asked again.
    Retry,
    /// Forget it: the stores may differ.
    Discard,
}

/// A journalled write as it is shown: nothing of its body or credentials.
#[derive(Debug, Clone, Serialize)]
pub struct View {
    /// Its id, unique for ever.
    pub id: String,
    /// Where it stands.
    pub state: State,
    /// The store it waits for, by name.
    pub backend: String,
    /// The store that took it first, by name.
    pub leader: String,
    /// `DELETE /api/delete/{id}`.
    pub route: String,
    /// What it is about.
    pub keys: Vec<String>,
    /// When it was taken in, RFC 3339.
    pub at: String,
    /// How often the follower was asked.
    pub tries: u32,
    /// What the last try said; empty before the first.
    pub last_error: String,
}

/// Writes that a store does not have yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// The leader took them; they are on their way.
    pub pending: u64,
    /// Someone must decide.
    pub parked: u64,
    /// Whether the leader took them is not known (those parked are among `parked`).
    pub in_doubt: u64,
    /// When the oldest of all these was taken in.
    pub oldest: Option<DateTime<Utc>>,
}

/// Why an operator's action was not done.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// No such write.
    #[error("no write `{0}` is pending, parked or in doubt; GET /api/writes lists them")]
    Unknown(String),
    /// Not in its state.
    #[error("{0}")]
    Impossible(String),
    /// It could not be put on disk.
    #[error("the journal did not take it: {0}; try again")]
    Disk(String),
}

/// What the journal is made of.
#[derive(Debug)]
pub struct Parts {
    /// The two backends.
    pub backends: Pair<Arc<dyn Backend>>,
    /// Their names.
    pub names: Pair<String>,
    /// What is journalled, and how much of it.
    pub config: WritesConfig,
    /// Series.
    pub metrics: Arc<Metrics>,
    /// What reads need to know.
    pub traffic: Arc<Traffic>,
    /// How long a backend may take to answer, and a write to wait for its turn.
    pub patience: Duration,
}

/// The journal of this flipgate.
#[derive(Debug)]
pub struct Journal {
    parts: Parts,
    disk: Disk,
    sealer: Sealer,
    book: Book,
    space: Arc<Space>,
    collecting: Arc<Collecting>,
    locks: Arc<KeyLocks>,
    /// Held by each write while it is with the leader; a flip waits for all of them, and keeps new ones out.
    turnstile: Arc<RwLock<()>>,
    /// Writes that the leader has not answered.
    with_leader: AtomicUsize,
    /// Moves whenever an entry changed.
    moved: watch::Sender<u64>,
}

/// New writes are held back for as long as this lives.
#[derive(Debug)]
pub struct Held(#[expect(dead_code, reason = "held")] OwnedRwLockWriteGuard<()>);

// === impl State ===

impl State {
    /// Its name, on disk and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            State::Sending => "sending",
            State::InDoubt => "in_doubt",
            State::Pending => "pending",
            State::Parked => "parked",
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [State::Sending, State::InDoubt, State::Pending, State::Parked]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

// === impl Journal ===

impl Journal {
    /// Opens the journal in `directory`, within a runtime: what was in doubt begins to be settled. What is pending is
    /// delivered by [`Journal::run`].
    ///
    /// # Errors
    /// One sentence that says which file, and why.
    pub fn open(directory: &Path, parts: Parts) -> Result<Arc<Self>, String> {
        // Which is locked: two that start at once do not both make a key.
        let (disk, kept) = Disk::open(&directory.join("journal.db"))?;
        let sealer = Sealer::open(&directory.join("journal.key"))?;
        let space = Space::new(parts.config.entries, parts.config.bytes);
        let journal = Journal {
            disk,
            sealer,
            book: Book::default(),
            space,
            collecting: Collecting::new(parts.config.bytes, parts.config.body),
            locks: Arc::default(),
            turnstile: Arc::default(),
            with_leader: AtomicUsize::new(0),
            moved: watch::Sender::new(0),
            parts,
        };
        for kept in kept {
            journal.restore(kept);
        }
        let journal = Arc::new(journal);
        if journal.is_in_use() && !journal.mirrors() {
            tracing::warn!(
                "writes no longer go to both backends, and some of before are in one only: they are delivered, and may come \
                 after newer ones of the same record; GET /api/writes lists them"
            );
        }
        journal.take_up_doubts();
        Ok(journal)
    }

    /// Whether any writes go to both stores.
    #[must_use]
    pub fn mirrors(&self) -> bool {
        !self.parts.config.routes.is_empty()
    }

    /// Whether any do, or did and have not ended: else nobody need hear of it.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        self.mirrors() || self.bytes() > 0
    }

    /// The route by which a request is journalled, if it is.
    #[must_use]
    pub fn route(&self, method: &Method, path: &str) -> Option<Matched<'_>> {
        self.parts.config.routes.find(method, path)
    }

    /// Bytes that a body may have.
    #[must_use]
    pub fn longest_body(&self) -> usize {
        self.parts.config.body
    }

    /// What `side` does not have yet.
    #[must_use]
    pub fn counts(&self, side: Side) -> Counts {
        self.book.counts(side)
    }

    /// Bytes of all writes that are not in both stores.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.space.bytes()
    }

    /// How many [`Journal::list`] has without a limit.
    #[must_use]
    pub fn count(&self, state: Option<State>) -> usize {
        self.book.count(|entry| state.is_none_or(|state| entry.state == state))
    }

    /// Where the write with this id stands, if it is not in both stores.
    #[must_use]
    pub fn state_of(&self, id: &str) -> Option<State> {
        self.book.find(id).and_then(|seq| self.book.change(seq, |entry| entry.state))
    }

    /// Writes that are not in both stores, oldest first: those in `state` or, without one, all; at most `most`.
    #[must_use]
    pub fn list(&self, state: Option<State>, most: usize) -> Vec<View> {
        self.book.list(most, |entry| state.is_none_or(|state| entry.state == state).then(|| self.view(entry)))
    }

    /// Holds new writes back, waits for those that are with the leader and for what is pending for `target`, all of it at
    /// most `within`. None if the leader keeps one for longer. What is left by then [`Journal::counts`] tells.
    pub async fn hold(&self, target: Side, within: Duration) -> Option<Held> {
        let deadline = tokio::time::Instant::now() + within;
        let turnstile = Arc::clone(&self.turnstile).write_owned();
        let held = tokio::time::timeout_at(deadline, turnstile).await.ok()?;
        let mut moved = self.moved.subscribe();
        let drained = moved.wait_for(|_| self.book.counts(target).pending == 0);
        // What is left is told by whoever asks.
        let _ = tokio::time::timeout_at(deadline, drained).await;
        Some(Held(held))
    }

    fn moved(&self) {
        self.moved.send_modify(|moved| *moved = moved.wrapping_add(1));
    }

    fn view(&self, entry: &Entry) -> View {
        View {
            id: entry.id.clone(),
            state: entry.state,
            backend: self.parts.names.get(entry.follower()).clone(),
            leader: self.parts.names.get(entry.leader).clone(),
            route: entry.route.clone(),
            keys: entry.keys.clone(),
            at: rfc3339(entry.at),
            tries: entry.tries,
            last_error: entry.last_error.clone(),
        }
    }

    /// Takes up an entry that is on disk. One that was with the leader is in doubt.
    fn restore(&self, kept: Kept) {
        let Kept {
            seq,
            id,
            mut state,
            leader,
            follower,
            route,
            keys,
            at,
            client,
            by,
            effect,
            mut last_error,
            ..
        } = kept;
        let names = &self.parts.names;
        let side = Side::BOTH.into_iter().find(|side| *names.get(*side) == leader);
        let request = self.sealer.unseal(&id, &kept.request);
        let request = request.and_then(|bytes| Request::decode(&bytes, &self.parts.config.secrets));
        if state == State::Sending {
            state = State::InDoubt;
            "flipgate ended while the leader had it".clone_into(&mut last_error);
        }
        let unusable = if side.is_none_or(|side| *names.get(side.other()) != follower) {
            Some(format!("it is of {leader} and {follower}, and these are not the backends now"))
        } else if request.is_none() {
            Some(
                "it cannot be opened: the journal's key or the secret it refers to is another one now"
                    .to_owned(),
            )
        } else {
            None
        };
        if let Some(why) = unusable {
            (state, last_error) = (State::Parked, why);
        }
        let leader = side.unwrap_or(Side::From);
        let waits = state != State::Parked;
        let entry = Entry {
            // One that a later write went by is for an operator alone.
            settling: state == State::InDoubt
                && !kept.passed
                && (self.parts.backends.get(leader).remembers() || deletes(&route)),
            on_its_way: waits.then(|| self.parts.traffic.begin(&keys, client)),
            room: self.space.enter_anyway(kept.request.len()),
            id,
            state,
            leader,
            route,
            keys,
            at,
            by,
            effect,
            tries: 0,
            last_error,
            passed: kept.passed,
            busy: false,
            // How its last try ended is not on disk.
            maybe_there: state == State::Pending,
            next_try: None,
            request: request.map(Arc::new),
        };
        self.book.restore(seq, entry);
    }
}

/// Whether a write removes what it names, so that what is not there counts as removed.
fn deletes(route: &str) -> bool {
    let (method, path) = route.split_once(' ').unwrap_or((route, ""));
    method == "DELETE" || path.split('/').any(|segment| segment == "delete" || segment.starts_with("delete-"))
}
