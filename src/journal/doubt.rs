//! Writes whose leader's answer is unknown: never sent to it again, but settled, or left to an operator.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::{Method, StatusCode, Uri};

use super::answer::{Verdict, by_status};
use super::locks::Locked;
use super::request::Request;
use super::{Journal, State};
use crate::backend::body::RequestBody;
use crate::backend::{Ask, Head, Role, Settled};
use crate::side::Side;

/// Between two times a leader is asked.
const EVERY: Duration = Duration::from_millis(500);
/// What is told of a write that is left to an operator.
const LEFT: &str = "; look whether the leader has it, then retry (the follower takes it) or discard";

// === impl Journal ===

impl Journal {
    /// Takes up what was in doubt when flipgate ended. When this returns each waits for its keys before any later write.
    pub(super) fn take_up_doubts(self: &Arc<Self>) {
        let doubts = self.book.list(usize::MAX, |entry| {
            (entry.state == State::InDoubt && !entry.passed).then(|| (entry.id.clone(), entry.keys.clone()))
        });
        for (id, keys) in doubts {
            let Some(seq) = self.book.find(&id) else { continue };
            let (journal, locks) = (Arc::clone(self), Arc::clone(&self.locks));
            let mut locking = Box::pin(async move { locks.lock(&keys).await });
            // The first look queues it.
            let locked = locking.as_mut().now_or_never();
            tokio::spawn(async move {
                let locked = match locked {
                    Some(locked) => locked,
                    None => locking.await,
                };
                journal.resolve(seq, locked).await;
            });
        }
    }

    /// Asks the leader what became of a write until it says, with its keys locked meanwhile; a leader that cannot say
    /// leaves it to an operator.
    pub(super) async fn resolve(self: Arc<Self>, seq: i64, locked: Locked) {
        loop {
            let about = self.book.change(seq, |entry| {
                let still = entry.state == State::InDoubt;
                still.then(|| (entry.id.clone(), entry.leader, entry.route.clone(), entry.request.clone()))
            });
            // An operator may have discarded it.
            let Some(Some((id, leader, route, request))) = about else { return };
            let remembers = self.parts.backends.get(leader).remembers();
            match self.parts.backends.get(leader).settle(&id).await {
                Ok(Settled::Done { status, effect }) => {
                    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
                    match by_status(status, super::deletes(&route)) {
                        Verdict::Taken => self.taken(seq, effect, remembers).await,
                        Verdict::Refused | Verdict::Unknown(_) => self.ended(seq, remembers).await,
                    }
                    break;
                }
                Ok(Settled::Never) => {
                    self.ended(seq, remembers).await;
                    break;
                }
                Ok(Settled::Unknown) => {
                    match request {
                        Some(request) if self.is_gone(leader, &request, &route).await => {
                            self.taken(seq, None, remembers).await;
                        }
                        Some(_) | None => self.leave(seq).await,
                    }
                    break;
                }
                Err(why) => {
                    self.book.change(seq, |entry| entry.last_error = why);
                    tokio::time::sleep(EVERY).await;
                }
            }
        }
        drop(locked);
        self.moved();
    }

    /// Leaves a doubt to an operator; what comes after goes by it.
    async fn leave(&self, seq: i64) {
        let standing = self.book.change(seq, |entry| {
            entry.settling = false;
            entry.on_its_way = None;
            // After a restart it says so already.
            if !entry.last_error.ends_with(LEFT) {
                entry.last_error.push_str(LEFT);
            }
            entry.standing()
        });
        if let Some(standing) = standing {
            self.disk.set_soon(seq, standing).await;
        }
    }

    /// Whether what a DELETE names is surely gone: reading it back says so.
    async fn is_gone(&self, leader: Side, request: &Request, route: &str) -> bool {
        let Some(template) = &self.parts.config.read_back else { return false };
        let matched = self.route(&request.method, request.uri.path());
        let Some([id]) = matched.as_ref().map(|matched| matched.parameters.as_slice()) else { return false };
        if !super::deletes(route) {
            return false;
        }
        let Ok(uri) = Uri::try_from(template.replace("{id}", id)) else { return false };
        let mut headers = request.headers.clone();
        headers.remove(http::header::CONTENT_LENGTH);
        headers.remove(http::header::CONTENT_TYPE);
        let head = Head { method: Method::GET, uri, headers, repeatable: true };
        let patience = self.parts.patience;
        let ask = Ask { head: Arc::new(head), role: Role::Shadow, body: RequestBody::Empty, patience };
        let answered = self.parts.backends.get(leader).ask(ask).await;
        answered.is_ok_and(|answered| {
            matches!(answered.answer.status(), StatusCode::NOT_FOUND | StatusCode::GONE)
        })
    }
}
