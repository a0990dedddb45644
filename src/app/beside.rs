//! Who writes beside flipgate: every second in-process stores are looked at for what no write through flipgate explains.
//!
//! A SQLite file that was replaced, records that got fewer or older, deleted records that are back: each begins an epoch,
//! is counted and is told to the log. What is known is of this run: the first look only learns. A look that cannot be
//! made, as where a file is locked, changes nothing of that. Not for: mending it (`flipgate migrate`, `verify`).

mod back;
mod course;
mod database;
mod file;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use self::back::{Back, Dead};
use self::database::Database;
use self::file::Library;
use crate::backend::Backend;
use crate::cutover::Event;
use crate::metrics::{DataEvent, Metrics};
use crate::migrate::escaped;
use crate::side::{Pair, Side};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// How long a look at PostgreSQL may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Ids that are told of records that are back.
const TOLD: usize = 3;

/// What looks.
pub(super) struct Beside {
    pub(super) backends: Pair<Arc<dyn Backend>>,
    /// Which side is the PostgreSQL that flipgate reads itself, and its URL.
    pub(super) postgres: Option<(Side, String)>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) events: mpsc::Sender<Event>,
}

/// Something that no write through flipgate explains.
#[derive(Debug)]
struct Found {
    side: Side,
    event: DataEvent,
    /// What, and to what: two of the same text are one.
    what: String,
}

/// What is known of the files.
type Files = Pair<Library>;

// === impl Beside ===

impl Beside {
    /// Looks until `stopping`.
    pub(super) async fn watch(self, mut stopping: watch::Receiver<bool>) {
        let mut files: Files = Pair::default();
        let mut database = self.postgres.as_ref().and_then(|(side, url)| Database::new(*side, url));
        let mut back: Pair<Back> = Pair::default();
        let mut learned = false;
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return,
                _ = ticks.tick() => {}
            }
            let (looked, in_database) = tokio::join!(self.look_at_files(files), self.look_at(&mut database));
            let Some((now, mut found)) = looked else { return };
            files = now;
            found.extend(in_database);
            if let Some(database) = &mut database {
                let Some((now, news, resurrected)) = self.look_for_dead(database, files, back).await else {
                    return;
                };
                (files, back) = (now, news);
                found.extend(resurrected);
            }
            self.tell(found);
            if !std::mem::replace(&mut learned, true) {
                tracing::debug!("the first look at what is written beside flipgate is done");
            }
        }
    }

    /// None if a thread panicked, which takes a bug in SQLite's binding.
    async fn look_at_files(&self, mut files: Files) -> Option<(Files, Vec<Found>)> {
        let backends = self.backends.clone();
        let looking = tokio::task::spawn_blocking(move || {
            let mut found = Vec::new();
            for side in Side::BOTH {
                let backend = backends.get(side).as_ref();
                let events = files.get_mut(side).look(backend, backend.own_deletes());
                found.extend(events.into_iter().map(|(event, what)| Found { side, event, what }));
            }
            (files, found)
        });
        looking.await.ok()
    }

    async fn look_at(&self, database: &mut Option<Database>) -> Option<Found> {
        let database = database.as_mut()?;
        let own = self.backends.get(database.side()).own_deletes();
        let what = bounded(database.look(own)).await.flatten()?;
        Some(Found { side: database.side(), event: DataEvent::Backwards, what })
    }

    /// Looks for records in the files that were deleted from PostgreSQL, where either changed.
    async fn look_for_dead(
        &self,
        database: &mut Database,
        mut files: Files,
        mut back: Pair<Back>,
    ) -> Option<(Files, Pair<Back>, Vec<Found>)> {
        let changed = database.take_changed();
        let mut due =
            |side: Side| files.get_mut(side).take_changed() || changed || back.get(side).is_waiting();
        let due = Pair { from: due(Side::From), to: due(Side::To) };
        let is_due = due.from || due.to;
        let dead: Option<Vec<Dead>> = if is_due { bounded(database.dead()).await } else { None };
        let Some(dead) = dead else {
            // What could not be looked at is looked at next time.
            files.get_mut(Side::From).changed(due.from);
            files.get_mut(Side::To).changed(due.to);
            return Some((files, back, Vec::new()));
        };
        let looking = tokio::task::spawn_blocking(move || {
            let mut found = Vec::new();
            for side in Side::BOTH {
                let file = files.get_mut(side);
                let Some(there) = file.those_of(&dead) else {
                    file.changed(*due.get(side));
                    continue;
                };
                let ids = back.get_mut(side).judge(there, Instant::now());
                if !ids.is_empty() {
                    let what = told(&ids, &file.name());
                    found.push(Found { side, event: DataEvent::Resurrected, what });
                }
            }
            (files, back, found)
        });
        looking.await.ok()
    }

    fn tell(&self, found: Vec<Found>) {
        if found.is_empty() {
            return;
        }
        let mut whats: Vec<String> = Vec::new();
        for Found { side, event, what } in found {
            self.metrics.data_event(side, event);
            tracing::warn!(backend = %self.metrics.name(side), "{what}: {}", advice(event));
            // Both sides of a self-check are one file.
            if !whats.contains(&what) {
                whats.push(what);
            }
        }
        let events: Vec<Event> = whats.into_iter().map(Event::new).collect();
        // What is seen at once begins one epoch. Where events wait already, one is about to begin anyway.
        let _ = self.events.try_send(Event::new(Event::reason(&events)));
    }
}

async fn bounded<T>(look: impl Future<Output = Result<T, String>>) -> Option<T> {
    match tokio::time::timeout(LIMIT, look).await {
        Ok(Ok(seen)) => Some(seen),
        Ok(Err(why)) => {
            tracing::debug!(why, "what is written beside flipgate cannot be looked at");
            None
        }
        Err(_) => None,
    }
}

/// Some of the records that are back, and how many there are.
fn told(ids: &[String], file: &str) -> String {
    // Events are told apart by semicolons.
    let shown: Vec<String> = ids.iter().take(TOLD).map(|id| escaped(id).replace(';', ",")).collect();
    let more = if ids.len() > TOLD { ", …" } else { "" };
    format!("{} deleted from PostgreSQL in {file}: {}{more}", records(ids.len() as u64), shown.join(", "))
}

fn records(count: u64) -> String {
    if count == 1 { "1 record".to_owned() } else { format!("{count} records") }
}

fn advice(event: DataEvent) -> &'static str {
    match event {
        DataEvent::Replaced => "end what renames files into its place, or have it write through flipgate",
        DataEvent::Backwards => "an older copy, or deletes that did not go through flipgate?",
        DataEvent::Resurrected => "an older copy was written back, or the delete went to PostgreSQL alone",
    }
}
