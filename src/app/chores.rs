//! What is done every few seconds, beside requests: idle connections, silent backends, load, changes of the data.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::OpenFlags;
use tokio::sync::{mpsc, watch};

use crate::backend::upstream::Upstream;
use crate::backend::{Backend, StoreFile};
use crate::cutover::{Cause, Cutover, Event};
use crate::metrics::Metrics;
use crate::side::{Pair, Side};

/// How often unused connections, silent backends and load are looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(2);
/// How long after an epoch could not be stored it is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// From one epoch that a change of the data began to the next, at least: those in between begin one together.
const PACE: Duration = Duration::from_secs(1);
/// How often files are looked at whether they were replaced.
const FILES: Duration = Duration::from_secs(1);

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

/// A store's file, and how many records it had.
struct Known {
    file: StoreFile,
    rows: Option<i64>,
}

/// Looks whether the file of a store was replaced; that is told to `events`.
pub(super) async fn watch_files(
    backends: Pair<Arc<dyn Backend>>,
    events: mpsc::Sender<Event>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut known: Pair<Option<Known>> = Pair::default();
    let mut ticks = tokio::time::interval(FILES);
    loop {
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
        }
        let (looking, before) = (backends.clone(), known);
        let looked = tokio::task::spawn_blocking(move || look(&looking, before)).await;
        let Ok((now, replaced)) = looked else { return };
        known = now;
        for event in replaced {
            // Where events wait already, an epoch is about to begin anyway.
            let _ = events.try_send(Event::new(event));
        }
    }
}

fn look(
    backends: &Pair<Arc<dyn Backend>>,
    mut known: Pair<Option<Known>>,
) -> (Pair<Option<Known>>, Vec<String>) {
    let mut replaced = Vec::new();
    for side in Side::BOTH {
        // A file that is gone is about to be replaced, or the backend is no file.
        let Some(file) = backends.get(side).file() else { continue };
        let slot = match side {
            Side::From => &mut known.from,
            Side::To => &mut known.to,
        };
        let is_known = slot.as_ref().is_some_and(|known| known.file == file);
        let before = slot.as_ref().and_then(|known| known.rows);
        if is_known && before.is_some() {
            continue;
        }
        let (rows, path) = (rows(&file), file.path.display().to_string());
        if slot.is_some() && !is_known {
            if let (Some(before), Some(rows)) = (before, rows)
                && rows < before
            {
                tracing::warn!(
                    "{path} was replaced by a file with {rows} records, where there were {before}: an older copy?"
                );
            }
            replaced.push(format!("{path} was replaced (inode {})", file.identity.1));
        }
        *slot = Some(Known { file, rows });
    }
    (known, replaced)
}

/// Records in a library; none if that cannot be told now.
fn rows(file: &StoreFile) -> Option<i64> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = rusqlite::Connection::open_with_flags(&file.path, flags).ok()?;
    connection.query_row("SELECT count(*) FROM content", [], |row| row.get(0)).ok()
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
