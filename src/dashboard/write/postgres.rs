//! Writes to a PostgreSQL library: a pool of its own, one transaction a write.

mod session;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sqlx::postgres::PgPool;

use self::session::Open;
use super::record::spelt;
use super::session::Failure;
use super::{Change, Fate, Made, Stamp, WriteError, apply};
use crate::migrate::blames_row;
use crate::migrate::single::Types;
use crate::pg::{Target, code};

const CONNECTIONS: u32 = 8;
/// How often a write is tried that other writers got in the way of.
const TRIES: usize = 3;
/// Writes between two times that ids are forgotten.
const FORGET_EVERY: u32 = 256;
/// What each session is set to. A write that was answered must survive the server's end, since the journal forgets it. What it says must not depend on the server's settings, and nothing it holds may be held
/// for long by a flipgate that is gone.
const SESSION: &str = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET jit = off; SET statement_timeout = '30s'; \
    SET idle_in_transaction_session_timeout = '60s'; SET default_transaction_read_only = off; \
    SET default_transaction_isolation = 'read committed'; \
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";
const FORGET: &str = "DELETE FROM flipgate_writes WHERE id IN (SELECT id FROM flipgate_writes \
    WHERE at < $1::timestamptz LIMIT 1000 FOR UPDATE SKIP LOCKED)";

/// A library that is written to; it is connected to by the first write.
#[derive(Debug)]
pub(super) struct Writer {
    /// Or why the URL is none.
    target: Result<Target, String>,
    pool: OnceLock<PgPool>,
    types: Mutex<Option<Arc<Types>>>,
    writes: AtomicU32,
}

/// Where a transaction broke.
enum Broken {
    /// COMMIT was not sent, or refused: nothing is stored.
    Before(sqlx::Error),
    /// COMMIT was sent and not answered.
    AtCommit(sqlx::Error),
}

// === impl Writer ===

impl Writer {
    pub(super) fn new(url: &str) -> Self {
        Self {
            target: Target::parse(url),
            pool: OnceLock::new(),
            types: Mutex::new(None),
            writes: AtomicU32::new(0),
        }
    }

    pub(super) async fn write(&self, change: &Change, stamp: &Stamp) -> Result<Made, WriteError> {
        let target = self.target()?;
        let pool = self.pool(target);
        let mut tries = 1;
        loop {
            let broken = match self.attempt(pool, change, stamp).await {
                Ok(made) => {
                    self.forget(pool, stamp);
                    return Ok(made);
                }
                Err(broken) => broken,
            };
            self.keep_types(None);
            match broken {
                Broken::Before(error) if tries < TRIES && is_crossed(&error) => tries += 1,
                // The row is at fault, and no reason to send it again.
                Broken::Before(error) if blames_row(&error) => {
                    let reason = error.as_database_error().map(|error| error.message().to_owned());
                    return Ok(Made::refused_by_store(&reason.unwrap_or_default()));
                }
                Broken::Before(error) => return Err(WriteError::NotDone(target.explain(&error))),
                Broken::AtCommit(error) => return Err(WriteError::Unknown(target.explain(&error))),
            }
        }
    }

    pub(super) async fn settle(&self, id: &str) -> Result<Fate, WriteError> {
        let target = self.target()?;
        session::settle(self.pool(target), id)
            .await
            .map_err(|error| WriteError::Unknown(target.explain(&error)))
    }

    async fn attempt(&self, pool: &PgPool, change: &Change, stamp: &Stamp) -> Result<Made, Broken> {
        let mut transaction = pool.begin().await.map_err(Broken::Before)?;
        let types = match self.known_types() {
            Some(types) => types,
            None => {
                let types = Arc::new(Types::read(&mut transaction).await.map_err(Broken::Before)?);
                self.keep_types(Some(Arc::clone(&types)));
                types
            }
        };
        let made =
            apply::apply(&mut Open { connection: &mut transaction, types: &types }, change, stamp).await;
        let made = made.map_err(|failure| {
            Broken::Before(match failure {
                Failure::Postgres(error) => error,
                Failure::Sqlite(error) => sqlx::Error::Encode(Box::new(error)),
            })
        })?;
        // A server that is told to end may say so after it has committed.
        let is_refused = |error: &sqlx::Error| code(error).is_some_and(|code| !code.starts_with("57"));
        transaction.commit().await.map_err(|error| {
            if is_refused(&error) { Broken::Before(error) } else { Broken::AtCommit(error) }
        })?;
        Ok(made)
    }

    /// Forgets ids that are not needed any more, now and then, while nobody waits for it.
    fn forget(&self, pool: &PgPool, stamp: &Stamp) {
        if self.writes.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY != FORGET_EVERY - 1 {
            return;
        }
        let (pool, since) = (pool.clone(), spelt(stamp.unfinished_since));
        tokio::spawn(async move {
            if let Err(error) = sqlx::query(FORGET).bind(since).execute(&pool).await {
                tracing::warn!(%error, "ids of former writes could not be forgotten");
            }
        });
    }

    fn target(&self) -> Result<&Target, WriteError> {
        self.target.as_ref().map_err(|why| WriteError::NotDone(why.clone()))
    }

    fn pool(&self, target: &Target) -> &PgPool {
        self.pool.get_or_init(|| target.pool(CONNECTIONS, SESSION))
    }

    fn known_types(&self) -> Option<Arc<Types>> {
        self.types.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps the columns' types; none after a failure, which a change of the schema may have caused.
    fn keep_types(&self, types: Option<Arc<Types>>) {
        *self.types.lock().unwrap_or_else(PoisonError::into_inner) = types;
    }
}

/// Whether another writer got in the way, so that it may work the next time: a key taken meanwhile, a deadlock.
fn is_crossed(error: &sqlx::Error) -> bool {
    matches!(code(error).as_deref(), Some("23505" | "40001" | "40P01"))
}
