//! Delivers to the follower what the leader took: in order per key, different keys at once, until it is taken.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::answer::{Judged, Verdict, judge};
use super::book::Delivery;
use super::{Journal, State};
use crate::backend::{Role, Write};
use crate::metrics::WriteResult;
use crate::side::{Pair, Side};

/// Deliveries at once to each store.
const AT_ONCE: usize = 8;
/// So many writes may wait while clients' writes are with the leader: until then these come first, and deliveries go one by
/// one.
const PATIENT: usize = 1000;
/// Between the first and the second try, and at most between any two.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How deliveries to one store go.
#[derive(Debug, Default)]
struct Road {
    under_way: usize,
    /// Tries in a row that did not reach it.
    failures: u32,
    /// Not before.
    until: Option<Instant>,
}

/// How one delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The store answered.
    Reached,
    /// It did not.
    Unreachable,
}

// === impl Road ===

impl Road {
    /// Deliveries that may begin now: where the store does not answer, one at a time.
    fn free(&self, now: Instant, clients_wait: bool) -> usize {
        let most = if self.failures == 0 && !clients_wait { AT_ONCE } else { 1 };
        if self.until.is_some_and(|until| until > now) { 0 } else { most.saturating_sub(self.under_way) }
    }

    fn note(&mut self, end: End) {
        self.under_way = self.under_way.saturating_sub(1);
        match end {
            End::Reached => (self.failures, self.until) = (0, None),
            End::Unreachable => {
                self.failures = self.failures.saturating_add(1);
                self.until = Some(Instant::now() + backoff(self.failures));
            }
        }
    }
}

// === impl Journal ===

impl Journal {
    /// Delivers what is pending, until `stopping`.
    pub async fn run(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        let mut roads: Pair<Road> = Pair::default();
        let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
        let mut moved = self.moved.subscribe();
        loop {
            moved.mark_unchanged();
            let now = Instant::now();
            let clients_wait = self.with_leader.load(Ordering::Relaxed) > 0 && self.book.len() < PATIENT;
            let free =
                Pair { from: roads.from.free(now, clients_wait), to: roads.to.free(now, clients_wait) };
            for delivery in self.book.ready(now, free) {
                road(&mut roads, delivery.to).under_way += 1;
                let (journal, ended) = (Arc::clone(&self), ended.clone());
                tokio::spawn(async move {
                    let side = delivery.to;
                    // Nobody listens any more where flipgate stops.
                    let _ = ended.send((side, journal.deliver(delivery).await));
                });
            }
            let until = [roads.from.until, roads.to.until, self.book.next_try(now)];
            let next = until.into_iter().flatten().filter(|at| *at > now).min();
            let wake = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return,
                // The journal holds the sender.
                _ = moved.changed() => {}
                Some((side, end)) = ends.recv() => road(&mut roads, side).note(end),
                () = wake => {}
            }
        }
    }

    async fn deliver(&self, delivery: Delivery) -> End {
        let Delivery { seq, id, at, by, effect, deletes, to, tries, maybe_there, request } = delivery;
        let write = Write { id, at, by, effect, unfinished_since: self.unfinished_since() };
        let backend = self.parts.backends.get(to);
        let asked = backend.write(self.ask(&request, Role::Follower), &write).await;
        let Judged { verdict, answer, is_final, .. } = judge(asked, deletes, self.parts.patience).await;
        let said = match &answer {
            Ok(answer) => format!("{} answered {}", self.parts.names.get(to), answer.status().as_u16()),
            Err(error) => format!("{}: {error}", self.parts.names.get(to)),
        };
        let end = if answer.is_ok() { End::Reached } else { End::Unreachable };
        let result = match &verdict {
            Verdict::Taken => WriteResult::Delivered,
            Verdict::Refused if is_final => WriteResult::Parked,
            Verdict::Refused | Verdict::Unknown(_) => WriteResult::Retried,
        };
        self.parts.metrics.write(to, result);
        match verdict {
            Verdict::Taken => {
                let (_, gone_by) = self.book.remove(seq, true);
                // First that it went by: should flipgate end in between, it is delivered again and says so again.
                for seq in gone_by {
                    if let Some(standing) = self.book.change(seq, |entry| entry.standing()) {
                        self.disk.set_soon(seq, standing).await;
                    }
                }
                self.disk.remove_soon(seq).await;
            }
            Verdict::Refused if is_final => {
                tracing::warn!(
                    id = write.id,
                    why = said,
                    "a write is parked: the follower refuses it for good"
                );
                let standing = self.book.change(seq, |entry| {
                    entry.state = State::Parked;
                    entry.busy = false;
                    entry.maybe_there = maybe_there;
                    entry.next_try = None;
                    entry.tries = tries.saturating_add(1);
                    entry.last_error = said;
                    // Reads must show what differs for good.
                    entry.on_its_way = None;
                    entry.standing()
                });
                if let Some(standing) = standing {
                    self.disk.set_soon(seq, standing).await;
                }
            }
            Verdict::Refused | Verdict::Unknown(_) => {
                let is_surely_not = verdict == Verdict::Refused;
                self.book.change(seq, |entry| {
                    entry.busy = false;
                    entry.maybe_there = maybe_there || !is_surely_not;
                    entry.tries = tries.saturating_add(1);
                    entry.last_error = said;
                    entry.next_try = Some(Instant::now() + backoff(entry.tries));
                });
            }
        }
        self.moved();
        end
    }
}

fn road(roads: &mut Pair<Road>, side: Side) -> &mut Road {
    match side {
        Side::From => &mut roads.from,
        Side::To => &mut roads.to,
    }
}

/// Doubles with each try, and varies by half.
fn backoff(tries: u32) -> Duration {
    let (first, most) = BACKOFF;
    let doubled = first.saturating_mul(1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(most).mul_f64(0.5 + fastrand::f64() / 2.0)
}
