//! Writes that go to both backends: collected, handed to the journal, answered by the leader.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Response, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::respond::Refusal;
use super::tee::Tee;
use super::visit::Visit;
use super::{Client, Proxy, outgoing};
use crate::journal::book::Room;
use crate::journal::intake::{self, NewWrite};
use crate::journal::request::Request as Journalled;
use crate::journal::{Journal, keys};
use crate::ledger::outcome::{Outcome, Reason};
use crate::metrics::JournalRefusal;

/// How long the pieces of a body may let wait for themselves, all together.
const PATIENCE: Duration = Duration::from_secs(60);

/// The route of a write that is journalled, and the values of its path's parameters.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) route: String,
    pub(super) parameters: Vec<String>,
}

/// What a write that was not taken in is answered, and what is counted for it.
#[derive(Debug)]
struct Refused {
    refusal: Refusal,
    why: Option<JournalRefusal>,
}

// === impl Refused ===

impl Refused {
    const FULL: Refused = Refused { refusal: Refusal::CannotJournal, why: Some(JournalRefusal::Full) };
    const TOO_LONG: Refused = Refused { refusal: Refusal::TooLong, why: Some(JournalRefusal::TooLarge) };
    const TOO_MANY: Refused = Refused { refusal: Refusal::TooMany, why: Some(JournalRefusal::TooLarge) };
    const BROKEN: Refused = Refused { refusal: Refusal::BrokenBody, why: None };
}

// === impl Proxy ===

impl Proxy {
    /// The journal's route of a request, if it goes to both backends.
    pub(super) fn journalled(&self, request: &Request<Incoming>) -> Option<Written> {
        let matched = self.journal.as_ref()?.route(request.method(), request.uri().path())?;
        Some(Written { route: matched.route.label.clone(), parameters: matched.parameters })
    }

    pub(super) async fn write(
        &self,
        mut visit: Visit,
        client: &Client,
        written: Written,
        request: Request<Incoming>,
    ) -> Response<Tee> {
        let refuse = |visit: Visit, refusal| visit.refuse(&refusal, Outcome::Skipped, Reason::Write);
        let Some(journal) = &self.journal else { return refuse(visit, Refusal::NoDashboard) };
        let new = match self.new_write(journal, client, written, request).await {
            Ok(new) => new,
            Err(refused) => {
                if let Some(why) = refused.why {
                    self.metrics.journal_refused(why);
                }
                return refuse(visit, refused.refusal);
            }
        };
        let cutover = Arc::clone(&self.cutover);
        let taken = journal.take(new, move || cutover.leader()).await;
        visit.primary = taken.leader;
        match taken.answer {
            Ok(answer) => {
                if answer.status().is_success() {
                    self.ledger.note_write();
                }
                self.passed(visit, answer, Outcome::Skipped, Reason::Write)
            }
            Err(intake::Refusal::Leader(error)) => {
                self.log_failure(taken.leader, &error);
                refuse(visit, Refusal::from(&error))
            }
            Err(intake::Refusal::Busy) => {
                self.metrics.journal_refused(JournalRefusal::Busy);
                refuse(visit, Refusal::CannotJournal)
            }
            Err(intake::Refusal::Disk(error)) => {
                tracing::warn!(error, "a write was refused");
                self.metrics.journal_refused(JournalRefusal::Disk);
                refuse(visit, Refusal::CannotJournal)
            }
        }
    }

    /// Collects what is journalled.
    async fn new_write(
        &self,
        journal: &Arc<Journal>,
        client: &Client,
        written: Written,
        request: Request<Incoming>,
    ) -> Result<NewWrite, Refused> {
        let Written { route, parameters } = written;
        let mut room = journal.room().ok_or(Refused::FULL)?;
        let most = journal.longest_body();
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()).and_then(|text| text.parse::<u64>().ok());
        if length.is_some_and(|length| length > most as u64) {
            return Err(Refused::TOO_LONG);
        }
        let (parts, body) = request.into_parts();
        let hash = self.sticky.client(client.address.ip(), &parts.headers);
        let body = collected(body, most, &mut room).await?;
        let head = outgoing(parts, client, false);
        let mut headers = head.headers;
        headers.remove(header::CONTENT_LENGTH);
        if !body.is_empty() || length.is_some() {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        let keys = keys::of_write(&route, &parameters, head.uri.query(), &body).ok_or(Refused::TOO_MANY)?;
        let request = Journalled { method: head.method, uri: head.uri, headers, body };
        let names: usize = keys.iter().map(String::len).sum();
        if !room.grow(request.size() - request.body.len() + names) {
            return Err(Refused::FULL);
        }
        Ok(NewWrite {
            request,
            route,
            keys,
            client: hash,
            by: client.address.ip().to_canonical().to_string(),
            room,
        })
    }
}

async fn collected(mut body: Incoming, most: usize, room: &mut Room) -> Result<Bytes, Refused> {
    let deadline = Instant::now() + PATIENCE;
    let mut collected = BytesMut::new();
    loop {
        let frame = tokio::time::timeout_at(deadline, body.frame()).await.map_err(|_| Refused::BROKEN)?;
        let Some(frame) = frame else { return Ok(collected.freeze()) };
        let Ok(data) = frame.map_err(|_| Refused::BROKEN)?.into_data() else { continue };
        if collected.len() + data.len() > most {
            return Err(Refused::TOO_LONG);
        }
        if !room.grow(data.len()) {
            return Err(Refused::FULL);
        }
        collected.extend_from_slice(&data);
    }
}
