//! Rows that the migration could not store: looked at now and then, so that the gate need not wait for PostgreSQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tokio::sync::{mpsc, watch};

use super::blocking;
use crate::migrate::quarantine::unresolved;
use crate::migrate::runs::last_run;
use crate::pg::Target;
use crate::state::StateStore;

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
        events: mpsc::Sender<String>,
        mut stopping: watch::Receiver<bool>,
    ) {
        let Ok(target) = Target::parse(&url) else { return };
        let mut migrations = Migrations { store, events };
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
    events: mpsc::Sender<String>,
}

// === impl Migrations ===

impl Migrations {
    async fn note(&mut self, run: Option<i64>) {
        let Some(run) = run.map(|run| run.to_string()) else { return };
        let store = self.store.clone();
        let now = run.clone();
        let noted = blocking(move || {
            let before = store.fact(MIGRATION)?;
            if before.as_ref() != Some(&now) {
                store.keep_fact(MIGRATION, &now)?;
            }
            Ok(before)
        });
        match noted.await {
            Ok(Some(before)) if before != run => {
                // Where events wait already, an epoch is about to begin anyway.
                let _ = self.events.try_send("a migration wrote to PostgreSQL".to_owned());
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "which migration ended last cannot be kept"),
        }
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
