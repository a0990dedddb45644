//! Rows that the migration could not store: looked at now and then, so that the gate need not wait for PostgreSQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{mpsc, oneshot, watch};

use super::{Event, blocking};
use crate::migrate::quarantine::unresolved;
use crate::migrate::runs::last_run;
use crate::pg::Target;
use crate::state::{StateError, StateStore};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(2);
/// How long a look may take.
const LIMIT: Duration = Duration::from_secs(10);
const UNKNOWN: i64 = -1;
/// The fact of the state directory that says which migration was seen last.
const MIGRATION: &str = "migration";

/// How many rows wait in quarantine, as far as is known.
#[derive(Debug)]
pub struct Quarantine(AtomicI64);

// === impl Quarantine ===

impl Quarantine {
    /// Nothing known yet.
    #[must_use]
    pub fn unknown() -> Arc<Self> {
        Arc::new(Quarantine(AtomicI64::new(UNKNOWN)))
    }

    /// Unresolved rows at the last look; `None` if that failed.
    #[must_use]
    pub fn rows(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|rows| *rows != UNKNOWN)
    }

    /// Looks until `stopping`; that a migration ended since the last look is told to `events`. Which one was seen last is
    /// kept in `store`, so that one that ended while flipgate did not run is told as well.
    pub async fn watch(
        self: Arc<Self>,
        url: String,
        store: StateStore,
        events: mpsc::Sender<Event>,
        mut stopping: watch::Receiver<bool>,
    ) {
        let Ok(target) = Target::parse(&url) else { return };
        let mut migrations = Migrations { store, events, told: None };
        let mut connection = None;
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return,
                _ = ticks.tick() => {}
            }
            let rows = match tokio::time::timeout(LIMIT, look(&target, connection.take())).await {
                Ok(Ok((rows, run, used))) => {
                    migrations.note(run).await;
                    connection = Some(used);
                    rows
                }
                Ok(Err(why)) => {
                    tracing::debug!(why, "the quarantine cannot be looked at");
                    UNKNOWN
                }
                Err(_) => UNKNOWN,
            };
            self.0.store(rows, Ordering::Relaxed);
        }
    }
}

/// Which migration ended last.
struct Migrations {
    store: StateStore,
    events: mpsc::Sender<Event>,
    /// The one that was told and whose epoch has not begun yet.
    told: Option<(String, oneshot::Receiver<()>)>,
}

// === impl Migrations ===

impl Migrations {
    async fn note(&mut self, run: Option<i64>) {
        let Some(run) = run.map(|run| run.to_string()) else { return };
        if let Err(error) = self.try_to_note(run).await {
            tracing::warn!(%error, "which migration ended last cannot be kept");
        }
    }

    /// Keeps a run as known when its epoch has begun, not before: else one that is killed in between would never tell.
    async fn try_to_note(&mut self, run: String) -> Result<(), StateError> {
        if let Some((told, mut begun)) = self.told.take() {
            match begun.try_recv() {
                Ok(()) => self.keep(told).await?,
                Err(TryRecvError::Empty) => {
                    self.told = Some((told, begun));
                    return Ok(());
                }
                // It was dropped, and is told again.
                Err(TryRecvError::Closed) => {}
            }
        }
        let store = self.store.clone();
        match blocking(move || store.fact(MIGRATION)).await? {
            None => self.keep(run).await,
            Some(known) if known == run => Ok(()),
            Some(_) => {
                let (begun, told) = oneshot::channel();
                let what = format!("a migration wrote to PostgreSQL (run {run})");
                // Where too many events wait, it is told at the next look.
                if self.events.try_send(Event { what, begun: Some(begun) }).is_ok() {
                    self.told = Some((run, told));
                }
                Ok(())
            }
        }
    }

    async fn keep(&self, run: String) -> Result<(), StateError> {
        let store = self.store.clone();
        blocking(move || store.keep_fact(MIGRATION, &run)).await
    }
}

async fn look(
    target: &Target,
    connection: Option<PgConnection>,
) -> Result<(i64, Option<i64>, PgConnection), String> {
    let mut connection = match connection {
        Some(connection) => connection,
        None => target.connect_one().await?,
    };
    let looked = async {
        let rows = unresolved(&mut connection).await?;
        Ok((rows, last_run(&mut connection).await?))
    };
    match looked.await {
        Ok((rows, run)) => Ok((rows, run, connection)),
        Err(error) => {
            // It is made anew at the next look.
            let _ = connection.close().await;
            Err(target.explain(&error))
        }
    }
}
