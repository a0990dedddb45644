//! `GET /api/events`: the status as it changes, for pages that are open.
//!
//! One task makes it for all streams, once a second while there are any. A stream holds nothing but its place in that:
//! one whose reader does not read is not asked for more, and goes on with the latest when it is.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::{StatusCode, header};
use serde_json::json;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::problem::Problem;
use super::session::Lease;
use super::writes;
use crate::app::Shared;
use crate::ledger::finding::State as Judged;
use crate::side::Side;

/// Streams at once.
const STREAMS: usize = 16;
/// When to try again where there are as many, in seconds.
const RETRY_AFTER: &str = "15";
/// How often it is looked at.
const STEP: Duration = Duration::from_secs(1);
/// Silence after which a comment is sent, so that whatever stands between does not take the stream for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What all streams show.
#[derive(Debug)]
pub(super) struct Events {
    /// None while nobody looks: what was so then is not told to who comes later.
    latest: watch::Sender<Option<Update>>,
    /// Somebody looks.
    watched: Notify,
    places: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
}

/// A status that differs from the one before.
#[derive(Debug, Clone)]
struct Update {
    id: u64,
    document: Arc<str>,
}

/// One stream.
struct Stream {
    latest: watch::Receiver<Option<Update>>,
    /// The last that was sent.
    sent: u64,
    stop: watch::Receiver<bool>,
    /// The session that opened it.
    lease: Option<Lease>,
    _place: OwnedSemaphorePermit,
}

/// `GET /api/events`.
pub(super) async fn events(
    Extension(events): Extension<Arc<Events>>,
    lease: Option<Extension<Lease>>,
) -> Response {
    let Ok(place) = Arc::clone(&events.places).try_acquire_owned() else {
        let why = format!("{STREAMS} event streams are open; close one, or ask /api/status");
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, &why);
        return ([(header::RETRY_AFTER, RETRY_AFTER)], problem).into_response();
    };
    let stream = Stream {
        latest: events.latest.subscribe(),
        sent: 0,
        stop: events.stop.clone(),
        lease: lease.map(|Extension(lease)| lease),
        _place: place,
    };
    events.watched.notify_one();
    let stream = stream::unfold(stream, async |mut stream| {
        let update = stream.next().await?;
        let event = Event::default().event("status").id(update.id.to_string()).data(update.document);
        Some((Ok::<_, Infallible>(event), stream))
    });
    let unbuffered = [("x-accel-buffering", "no")];
    (unbuffered, Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT))).into_response()
}

// === impl Events ===

impl Events {
    pub(super) fn new(stop: watch::Receiver<bool>) -> Self {
        Events {
            latest: watch::Sender::new(None),
            watched: Notify::new(),
            places: Arc::new(Semaphore::new(STREAMS)),
            stop,
        }
    }

    /// Looks for changes as long as somebody wants to know, until the stop.
    pub(super) async fn run(&self, shared: Arc<Shared>) {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = self.look(&shared) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn look(&self, shared: &Arc<Shared>) {
        let mut step = interval(STEP);
        step.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut id = 0;
        loop {
            step.tick().await;
            if self.latest.receiver_count() == 0 {
                self.latest.send_replace(None);
                self.watched.notified().await;
                continue;
            }
            // Elsewhere, and never for more than a tenth of the time: much evidence takes long to judge.
            let (judged, begun) = (Arc::clone(shared), Instant::now());
            let Ok(document) = tokio::task::spawn_blocking(move || document(&judged)).await else { return };
            step.reset_after(STEP.max(begun.elapsed() * 10));
            self.latest.send_if_modified(|latest| {
                if latest.as_ref().is_some_and(|latest| *latest.document == *document) {
                    return false;
                }
                id += 1;
                *latest = Some(Update { id, document: document.into() });
                true
            });
        }
    }
}

// === impl Stream ===

impl Stream {
    /// What was not sent yet, once there is something; none at the end.
    async fn next(&mut self) -> Option<Update> {
        let (sent, lease) = (self.sent, &mut self.lease);
        let ended = async {
            match lease {
                Some(lease) => lease.ended().await,
                None => std::future::pending().await,
            }
        };
        let is_new = |update: &Option<Update>| update.as_ref().is_some_and(|update| update.id > sent);
        let update = tokio::select! {
            biased;
            _ = self.stop.wait_for(|stop| *stop) => None,
            () = ended => None,
            update = self.latest.wait_for(is_new) => update.ok()?.clone(),
        }?;
        self.sent = update.id;
        Some(update)
    }
}

fn document(shared: &Shared) -> String {
    let stored = shared.cutover.status();
    let readiness = shared.cutover.readiness();
    let counts = shared.ledger.finding_counts();
    let findings = |wanted: Judged| -> i64 {
        counts.iter().filter(|((state, _), _)| *state == wanted).map(|(_, count)| count).sum()
    };
    let since = shared.cutover.window_start();
    let tallies = shared.routes.iter().map(|(index, _)| shared.ledger.tally(index, since));
    let (compared, mismatches) = tallies.fold((0, 0), |(compared, mismatches), tally| {
        (compared + tally.compared, mismatches + tally.mismatches)
    });
    let backend = |side: Side| {
        json!({
            "up": shared.metrics.is_up(side),
            "breaker": shared.shadow.capacity.breakers.get(side).standing(),
        })
    };
    let writes = |side: Side| {
        let counts = writes::counts(shared, side);
        json!({ "pending": counts.pending, "parked": counts.parked, "in_doubt": counts.in_doubt })
    };
    json!({
        "version": stored.version,
        "primary": stored.primary().map_or("split", |side| shared.names.get(side).as_str()),
        "dial": stored.dial,
        "leader": shared.names.get(stored.leader),
        "ready": readiness.ready,
        "unmet": readiness.conditions.iter().filter(|condition| !condition.met).count(),
        "epoch": stored.epoch.number,
        "latched": stored.latch.is_some(),
        "backends": { "from": backend(Side::From), "to": backend(Side::To) },
        "state": {
            "up": shared.metrics.is_state_up(),
            "owed": shared.metrics.is_state_owed(),
            "unsaved": shared.metrics.is_state_unsaved(),
        },
        "shadow_share": shared.shadow.capacity.load.share(),
        "writes": { "from": writes(Side::From), "to": writes(Side::To) },
        "findings": {
            "open": findings(Judged::Open),
            "accepted": findings(Judged::Accepted),
            "resolved": findings(Judged::Resolved),
        },
        "compared": compared,
        "mismatches": mismatches,
    })
    .to_string()
}
