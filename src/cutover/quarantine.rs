//! Rows that the migration could not store: looked at now and then, so that the gate need not wait for PostgreSQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tokio::sync::watch;

use crate::migrate::quarantine::unresolved;
use crate::pg::Target;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(2);
/// How long a look may take.
const LIMIT: Duration = Duration::from_secs(10);
const UNKNOWN: i64 = -1;

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

    /// Looks until `stopping`.
    pub async fn watch(self: Arc<Self>, url: String, mut stopping: watch::Receiver<bool>) {
        let Ok(target) = Target::parse(&url) else { return };
        let mut connection = None;
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return,
                _ = ticks.tick() => {}
            }
            let rows = match tokio::time::timeout(LIMIT, look(&target, connection.take())).await {
                Ok(Ok((rows, used))) => {
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

async fn look(target: &Target, connection: Option<PgConnection>) -> Result<(i64, PgConnection), String> {
    let mut connection = match connection {
        Some(connection) => connection,
        None => target.connect_one().await?,
    };
    match unresolved(&mut connection).await {
        Ok(rows) => Ok((rows, connection)),
        Err(error) => {
            // It is made anew at the next look.
            let _ = connection.close().await;
            Err(target.explain(&error))
        }
    }
}
