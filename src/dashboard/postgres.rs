//! Rows from a PostgreSQL library: an sqlx pool of sessions that can only read.

mod query;
pub(crate) mod shown;

use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::postgres::PgPool;

use super::facets::{FacetCounter, Facets};
use super::model::{Page, Record, Summary};
use super::request::ListQuery;
use super::{Name, OpenError, StoreError};
use crate::pg::Target;

const CONNECTIONS: u32 = 10;
/// How long one read may take, waiting for a connection included; a little above the session's own limit.
const DEADLINE: Duration = Duration::from_secs(35);
const UP_TIMEOUT: Duration = Duration::from_secs(2);
/// What each session is set to. Compiling a query just in time costs more than any of these queries.
const SESSION: &str = "SET default_transaction_read_only = on; SET statement_timeout = '30s'; SET jit = off; \
    SET TimeZone = 'UTC'";

/// A PostgreSQL library that is read.
#[derive(Debug)]
pub(super) struct Library {
    pool: PgPool,
}

impl Library {
    /// Connects, or says in one sentence why the library cannot be read.
    pub(super) async fn connect(url: &str) -> Result<Self, OpenError> {
        let target = Target::parse(url).map_err(OpenError)?;
        let pool = target.connect(CONNECTIONS, SESSION).await.map_err(OpenError)?;
        let library = Self { pool };
        // An unlikely id, so that every column is looked at and no row is read.
        match library.find(Name::Id, "flipgate:probe".to_owned()).await {
            Ok(_) => Ok(library),
            Err(StoreError::Postgres(error)) => Err(OpenError(target.explain(&error))),
            Err(error) => Err(OpenError(format!("PostgreSQL {} cannot be read ({error}).", target.name()))),
        }
    }

    pub(super) async fn list(&self, query: &ListQuery) -> Result<Page, StoreError> {
        let (sql, parameters) = query::list(query);
        let rows = within(query::bind(sql, parameters).fetch_all(&self.pool)).await?;
        // One row without a record stands for an empty page.
        let total: i64 = rows.first().map(query::total).transpose()?.unwrap_or(0);
        let records =
            rows.iter().filter_map(|row| query::record(row).transpose()).collect::<Result<Vec<_>, _>>()?;
        let total = match query.search {
            Some(_) => records.len() as u64,
            None => u64::try_from(total).unwrap_or(0),
        };
        Ok(Page { records, total })
    }

    pub(super) async fn facets(&self) -> Result<Facets, StoreError> {
        within(async {
            let mut rows = sqlx::query(query::facets()).fetch(&self.pool);
            let mut counter = FacetCounter::default();
            while let Some(row) = rows.try_next().await? {
                counter.add(query::facet_row(&row)?);
            }
            Ok(counter.finish())
        })
        .await
    }

    pub(super) async fn find(
        &self,
        name: Name,
        value: String,
    ) -> Result<Option<(Record, Option<Summary>)>, StoreError> {
        let row = within(sqlx::query(query::find(name)).bind(value).fetch_optional(&self.pool)).await?;
        let Some(row) = row else { return Ok(None) };
        let summary = query::summary(&row)?;
        Ok(query::record(&row)?.map(|record| (record, summary)))
    }

    pub(super) async fn up(&self) -> bool {
        let trivial = sqlx::query("SELECT 1 FROM content LIMIT 1").fetch_optional(&self.pool);
        matches!(tokio::time::timeout(UP_TIMEOUT, trivial).await, Ok(Ok(_)))
    }
}

async fn within<T>(read: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    match tokio::time::timeout(DEADLINE, read).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(StoreError::Timeout(DEADLINE.as_secs())),
    }
}
