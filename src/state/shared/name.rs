//! A replica's name, held against a second one of that name.

use std::fmt;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::{SharedError, SharedStore};

/// Two integers would be locks of another kind than those of the schema and of samples; one is what a hash gives.
const HOLD: &str = "SELECT pg_try_advisory_lock(hashtextextended('flipgate replica ' || $1, 0))";

/// Holds the name as long as its connection lives.
pub struct Held {
    store: SharedStore,
    connection: PgConnection,
}

impl SharedStore {
    /// Holds this replica's name; none if another one holds it.
    ///
    /// # Errors
    /// [`SharedError`] says whether to try again.
    pub async fn hold_name(&self) -> Result<Option<Held>, SharedError> {
        let connections = &self.inner.connections;
        let mut connection = connections.own().await?;
        let query = sqlx::query_scalar(HOLD).bind(self.replica());
        let is_held: bool = connections.within(query.fetch_one(&mut connection)).await?;
        Ok(is_held.then(|| Held { store: self.clone(), connection }))
    }
}

// === impl Held ===

impl Held {
    /// Asks whether the connection still lives.
    ///
    /// # Errors
    /// If it does not: the name is no longer held.
    pub async fn is_held(&mut self) -> Result<(), SharedError> {
        self.store.inner.connections.within(self.connection.ping()).await
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("store", &self.store).finish_non_exhaustive()
    }
}
