//! What is done every few seconds, beside requests: idle connections, silent backends, load; and epochs for changes of
//! the data (who sees them: `beside`, the quarantine, the data versions).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::backend::Backend;
use crate::backend::upstream::Upstream;
use crate::cutover::{Cause, Cutover, Event, Refused};
use crate::metrics::Metrics;
use crate::side::{Pair, Side};

/// How often unused connections, silent backends and load are looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(2);
/// How long after an epoch could not be stored it is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long after another change of the state came before.
const AT_ONCE: Duration = Duration::from_millis(10);
/// From one epoch that a change of the data began to the next, at least: those in between begin one together.
const PACE: Duration = Duration::from_secs(1);

/// Closes connections that were idle too long, and looks whether a backend that gave no answer is back: where a load
/// balancer has taken this flipgate out, no request would show it.
pub(super) async fn housekeeping(
    upstreams: Vec<Arc<Upstream>>,
    backends: Pair<Arc<dyn Backend>>,
    metrics: Arc<Metrics>,
    look_at_load: impl Fn() + Send + 'static,
    mut stopping: watch::Receiver<bool>,
) {
    let mut ticks = tokio::time::interval(HOUSEKEEPING);
    loop {
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
        }
        look_at_load();
        upstreams.iter().for_each(|upstream| upstream.prune());
        for side in Side::BOTH {
            if !metrics.is_up(side) && backends.get(side).check().await.is_ok() {
                metrics.set_up(side, true);
            }
        }
    }
}

/// Begins an epoch for each change of the data that is told.
pub(super) async fn follow_events(cutover: Arc<Cutover>, mut events: mpsc::Receiver<Event>) {
    while let Some(event) = events.recv().await {
        // Several at once are one.
        let mut all = vec![event];
        all.extend(std::iter::from_fn(|| events.try_recv().ok()));
        let reason = Event::reason(&all);
        tracing::warn!("the data changed, and an epoch begins: {reason}");
        let cause = Cause { trigger: "automatic", source: "flipgate".to_owned(), reason };
        while let Err(error) = cutover.begin_epoch(cause.clone()).await {
            if matches!(error, Refused::Overtaken) {
                // Mostly by another replica's epoch for the same change. Looked at later, it might not be the latest any more,
                // and this one would begin for what is long known.
                tokio::time::sleep(AT_ONCE).await;
                continue;
            }
            tracing::error!(%error, "the epoch cannot be stored yet: evidence from before the change still counts");
            tokio::time::sleep(RETRY).await;
        }
        for begun in all.into_iter().filter_map(|event| event.begun) {
            // Nobody waits where flipgate stops.
            let _ = begun.send(());
        }
        tokio::time::sleep(PACE).await;
    }
}
