//! A write on its way through the leader: taken in, on disk, sent, answered.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::Utc;
use http::HeaderValue;
use tokio::time::Instant;

use super::answer::{Judged, Verdict, judge};
use super::book::{Entry, Room};
use super::collecting::Coming;
use super::disk::Kept;
use super::locks::Locked;
use super::request::Request;
use super::{Journal, State};
use crate::backend::body::RequestBody;
use crate::backend::{Answer, Ask, AskError, Head, IDEMPOTENCY_KEY, Role, Write};
use crate::metrics::WriteResult;
use crate::side::Side;

/// How long before the first unfinished entry stores keep ids all the same: entries overlap, clocks are set, and another
/// flipgate may write to the same store.
const OVERLAP: chrono::TimeDelta = chrono::TimeDelta::days(7);

/// A write that came in, whole.
#[derive(Debug)]
pub struct NewWrite {
    /// What is sent to both stores.
    pub request: Request,
    /// `DELETE /api/delete/{id}`.
    pub route: String,
    /// What it is about, sorted, each once.
    pub keys: Vec<String>,
    /// A hash of the client.
    pub client: u64,
    /// Who asks, as tombstones name them.
    pub by: String,
    /// Its place in the journal.
    pub room: Room,
}

/// Why a write was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Too many wait already, or too many of its keys.
    #[error("too many writes wait")]
    Busy,
    /// The journal's disk did not take it.
    #[error("the journal did not take it: {0}")]
    Disk(String),
    /// The leader gave no answer.
    #[error(transparent)]
    Leader(AskError),
}

/// What became of a write for the client.
#[derive(Debug)]
pub struct Taken {
    /// Who leads.
    pub leader: Side,
    /// The leader's answer.
    pub answer: Result<Answer, Refusal>,
}

// === impl Journal ===

impl Journal {
    /// A place for one more write; none if the journal is full.
    #[must_use]
    pub fn room(&self) -> Option<Room> {
        self.space.enter()
    }

    /// What a body of this client takes while it comes.
    #[must_use]
    pub fn coming(&self, client: u64) -> Coming {
        self.collecting.begin(client)
    }

    /// The answer to a write whose head alone says that `leader` refuses it.
    #[must_use]
    pub fn refuses(&self, leader: Side, head: &http::request::Parts) -> Option<Answer> {
        let refused =
            self.parts.backends.get(leader).refuses(&head.method, head.uri.path(), &head.headers)?;
        self.parts.metrics.write(leader, WriteResult::Refused);
        Some(refused)
    }

    /// Has the leader take a write and journals it for the follower. In a task of its own: a client who hangs up changes
    /// nothing. `leader` is asked when no flip can come between.
    pub async fn take(
        self: &Arc<Self>,
        write: NewWrite,
        leader: impl Fn() -> Side + Send + 'static,
    ) -> Taken {
        let journal = Arc::clone(self);
        let taking = tokio::spawn(async move { journal.take_apart(write, leader).await });
        // It may have been sent.
        let lost = |e: tokio::task::JoinError| Refusal::Leader(AskError::Reset(e.to_string()));
        taking.await.unwrap_or_else(|e| Taken { leader: Side::From, answer: Err(lost(e)) })
    }

    async fn take_apart(self: Arc<Self>, write: NewWrite, leader: impl Fn() -> Side) -> Taken {
        let deadline = Instant::now() + self.parts.patience;
        let busy = |leader| Taken { leader, answer: Err(Refusal::Busy) };
        let Ok(locked) = tokio::time::timeout_at(deadline, self.locks.lock(&write.keys)).await else {
            return busy(leader());
        };
        let turnstile = Arc::clone(&self.turnstile).read_owned();
        let Ok(turn) = tokio::time::timeout_at(deadline, turnstile).await else { return busy(leader()) };
        let leader = leader();
        // What these keys have pending for it came before.
        let mut moved = self.moved.subscribe();
        let caught_up = moved.wait_for(|_| !self.book.owes(leader, &write.keys));
        if !matches!(tokio::time::timeout_at(deadline, caught_up).await, Ok(Ok(_))) {
            return busy(leader);
        }
        let (seq, sent) = match self.append(write, leader).await {
            Ok(appended) => appended,
            Err(refusal) => return Taken { leader, answer: Err(refusal) },
        };
        let write = sent.write(self.unfinished_since());
        self.with_leader.fetch_add(1, Ordering::Relaxed);
        let asked =
            self.parts.backends.get(leader).write(self.ask(&sent.request, Role::Primary), &write).await;
        let judged = judge(asked, sent.deletes, self.parts.patience).await;
        self.with_leader.fetch_sub(1, Ordering::Relaxed);
        self.settle(seq, leader, &judged, locked).await;
        drop(turn);
        Taken { leader, answer: judged.answer.map_err(Refusal::Leader) }
    }

    /// Puts a write on disk before anything of it is sent.
    async fn append(&self, write: NewWrite, leader: Side) -> Result<(i64, Sent), Refusal> {
        let NewWrite { mut request, route, keys, client, by, room } = write;
        let id = random_id().map_err(Refusal::Disk)?;
        if let (false, Ok(key)) = (request.headers.contains_key(IDEMPOTENCY_KEY), HeaderValue::from_str(&id))
        {
            request.headers.insert(IDEMPOTENCY_KEY, key);
        }
        let sealed =
            self.sealer.seal(&id, request.encode(&self.parts.config.secrets)).map_err(Refusal::Disk)?;
        let (at, request) = (Utc::now(), Arc::new(request));
        let deletes = super::deletes(&route);
        let names = &self.parts.names;
        let mut kept = Kept {
            seq: 0,
            id: id.clone(),
            state: State::Sending,
            leader: names.get(leader).clone(),
            follower: names.get(leader.other()).clone(),
            route: route.clone(),
            keys: keys.clone(),
            at,
            client,
            by: by.clone(),
            effect: None,
            last_error: String::new(),
            passed: false,
            request: sealed,
        };
        let inserted = self.book.insert(Entry {
            id: id.clone(),
            state: State::Sending,
            leader,
            route,
            on_its_way: Some(self.parts.traffic.begin(&keys, client)),
            keys,
            at,
            by: by.clone(),
            effect: None,
            tries: 0,
            last_error: String::new(),
            passed: false,
            settling: false,
            busy: false,
            maybe_there: false,
            next_try: None,
            request: Some(Arc::clone(&request)),
            room,
        });
        // None where an operator had an earlier one retried just now.
        let seq = inserted.ok_or(Refusal::Busy)?;
        kept.seq = seq;
        if let Err(why) = self.disk.append(kept).await {
            self.book.remove(seq, false);
            self.moved();
            return Err(Refusal::Disk(why));
        }
        Ok((seq, Sent { id, at, by, request, deletes }))
    }

    /// Notes what the leader said.
    async fn settle(self: &Arc<Self>, seq: i64, leader: Side, judged: &Judged, locked: Locked) {
        let remembers = self.parts.backends.get(leader).remembers();
        let result = match &judged.verdict {
            Verdict::Taken => WriteResult::Taken,
            Verdict::Refused if judged.answer.is_ok() => WriteResult::Refused,
            Verdict::Refused => WriteResult::Unreachable,
            Verdict::Unknown(_) => WriteResult::InDoubt,
        };
        self.parts.metrics.write(leader, result);
        match &judged.verdict {
            Verdict::Taken => self.taken(seq, judged.effect.clone(), remembers).await,
            Verdict::Refused => self.ended(seq, remembers).await,
            Verdict::Unknown(why) => {
                let standing = self.book.change(seq, |entry| {
                    entry.state = State::InDoubt;
                    entry.settling = true;
                    entry.last_error.clone_from(why);
                    entry.standing()
                });
                if let Some(standing) = standing {
                    self.disk.set_soon(seq, standing).await;
                }
                tokio::spawn(Arc::clone(self).resolve(seq, locked));
            }
        }
        self.moved();
    }

    /// The leader took it: from here on it is the follower's. Where the leader itself can tell that after a crash, nobody
    /// waits for the disk.
    pub(super) async fn taken(&self, seq: i64, effect: Option<String>, remembers: bool) {
        let standing = self.book.change(seq, |entry| {
            entry.state = State::Pending;
            entry.settling = false;
            entry.effect = effect;
            entry.last_error.clear();
            entry.standing()
        });
        let Some(standing) = standing else { return };
        if remembers {
            self.disk.set_soon(seq, standing).await;
        } else if let Err(error) = self.disk.set(seq, standing.clone()).await {
            tracing::error!(%error, "a write that the leader took is not noted as such on disk yet");
            self.disk.set_soon(seq, standing).await;
        }
    }

    /// It ended without anything for the follower.
    pub(super) async fn ended(&self, seq: i64, remembers: bool) {
        self.book.remove(seq, false);
        if remembers || self.disk.remove(seq).await.is_err() {
            self.disk.remove_soon(seq).await;
        }
    }

    pub(super) fn ask(&self, request: &Request, role: Role) -> Ask {
        let head = Head {
            method: request.method.clone(),
            uri: request.uri.clone(),
            headers: request.headers.clone(),
            repeatable: false,
        };
        let body = match request.body.is_empty() {
            true => RequestBody::Empty,
            false => RequestBody::Collected(Some(request.body.clone())),
        };
        Ask { head: Arc::new(head), role, body, patience: self.parts.patience }
    }

    /// Stores may forget the ids of writes taken in before this.
    pub(super) fn unfinished_since(&self) -> chrono::DateTime<Utc> {
        // A clock that was wrong for a while must not make them forget what is new.
        let now = Utc::now();
        self.book.unfinished_since().map_or(now, |since| since.min(now)) - OVERLAP
    }
}

/// What of an entry its leader is sent.
struct Sent {
    id: String,
    at: chrono::DateTime<Utc>,
    by: String,
    request: Arc<Request>,
    deletes: bool,
}

// === impl Sent ===

impl Sent {
    fn write(&self, unfinished_since: chrono::DateTime<Utc>) -> Write {
        Write { id: self.id.clone(), at: self.at, by: self.by.clone(), effect: None, unfinished_since }
    }
}

/// 128 random bits: never given twice, whatever becomes of the journal's file.
fn random_id() -> Result<String, String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| e.to_string())?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// How long a client that was refused should wait.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);
