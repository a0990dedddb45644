//! A few connections, made when they are needed and looked at before each use.
//!
//! Not sqlx's pool: that one hides a refused connection behind its own timeout and gives back what was cut off.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::SharedError;
use crate::pg::Target;

/// Connections at once; further calls wait within their deadline.
const AT_ONCE: usize = 4;
/// How long an idle connection may take to show that it lives: a new one is better than waiting for a dead one.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
/// What a session says does not depend on the server's settings, and what it began does not outlive its caller.
const SETUP: &str = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET jit = off; SET client_min_messages = warning; \
    SET statement_timeout = '5s'; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = '10s'; \
    SET default_transaction_isolation = 'read committed'";

pub(super) struct Connections {
    target: Target,
    deadline: Duration,
    permits: Semaphore,
    idle: Mutex<Vec<PgConnection>>,
}

// === impl Connections ===

impl Connections {
    pub(super) fn new(target: Target, deadline: Duration) -> Self {
        Self { target, deadline, permits: Semaphore::new(AT_ONCE), idle: Mutex::default() }
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Does `work` with a connection, all within the deadline.
    pub(super) async fn run<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, SharedError> {
        self.within(self.attempt(work)).await
    }

    /// A connection of the caller's own.
    pub(super) async fn own(&self) -> Result<PgConnection, SharedError> {
        self.within(self.target.open(SETUP)).await
    }

    /// Bounds some work and tells its error.
    pub(super) async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, SharedError> {
        match timeout(self.deadline, work).await {
            Ok(done) => done.map_err(|error| SharedError::of(&self.target, &error)),
            Err(_) => Err(SharedError::late(&self.target, self.deadline)),
        }
    }

    async fn attempt<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let _permit = self.permits.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let mut connection = self.connection().await?;
        // After an error, or a deadline that drops this future, the connection is closed and its transaction with it:
        // what is left of it is not known, and a server that is read-only now stays so for old connections.
        let done = work(&mut connection).await?;
        self.idle().push(connection);
        Ok(done)
    }

    async fn connection(&self) -> Result<PgConnection, sqlx::Error> {
        let idle = self.idle().pop();
        if let Some(mut connection) = idle {
            if matches!(timeout(SIGN_OF_LIFE, connection.ping()).await, Ok(Ok(()))) {
                return Ok(connection);
            }
            // What ended one has most likely ended all.
            self.idle().clear();
        }
        self.target.open(SETUP).await
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<PgConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
