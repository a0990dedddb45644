//! Rows from a SQLite library: read-only connections on their own few threads.

mod connection;
mod pool;
mod query;

use std::path::Path;
use std::time::Duration;

pub(crate) use self::connection::{Identity, immutable_uri, read_only};
use self::pool::Pool;
use super::facets::Facets;
use super::model::{Page, Record, Summary};
use super::request::ListQuery;
use super::{Name, OpenError, StoreError};

/// How long [`Library::up`] waits.
const UP_TIMEOUT: Duration = Duration::from_secs(2);

/// A SQLite library that is read.
#[derive(Debug)]
pub(super) struct Library {
    pool: Pool,
}

impl Library {
    /// Opens the file, or says in one sentence why it cannot be read.
    pub(super) async fn open(path: &Path) -> Result<Self, OpenError> {
        let pool = Pool::start(path)?;
        match pool.run(|_| Ok(())).await {
            Ok(()) => Ok(Self { pool }),
            Err(StoreError::Reopen(error)) => Err(error),
            Err(error) => Err(OpenError(format!(
                "The SQLite library {} cannot be read ({error}); check that it is whole and not locked.",
                path.display()
            ))),
        }
    }

    pub(super) async fn list(&self, query: ListQuery) -> Result<Page, StoreError> {
        self.pool.run(move |library| query::list(library, &query)).await
    }

    pub(super) async fn facets(&self) -> Result<Facets, StoreError> {
        self.pool.run(query::facets).await
    }

    pub(super) async fn find(
        &self,
        name: Name,
        value: String,
    ) -> Result<Option<(Record, Option<Summary>)>, StoreError> {
        self.pool.run(move |library| query::find(library, name, &value)).await
    }

    pub(super) async fn up(&self) -> bool {
        let trivial = self.pool.run(query::probe);
        matches!(tokio::time::timeout(UP_TIMEOUT, trivial).await, Ok(Ok(())))
    }
}
