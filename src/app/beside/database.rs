//! PostgreSQL, looked at on a connection that is kept: what it holds, and what was deleted from it.

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::back::Dead;
use super::course::{Counts, Course};
use crate::pg::Target;
use crate::side::Side;

/// Tombstones that are looked for in the other store, the latest.
const TOMBSTONES: i64 = 10_000;

/// What is counted again only if it changed: the last delete, the statistics' count of rows written (some seconds late),
/// and the file, which a TRUNCATE replaces.
const VERSION: &str = "SELECT concat_ws(' ', (SELECT max(deleted_at) FROM tombstones), \
    (SELECT n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_all_tables WHERE relid = 'content'::regclass), \
    pg_relation_filenode('content'))";
const COUNTS: &str = "SELECT count(*), count(*) FILTER (WHERE subcategories_json::text LIKE '%subcategories%') \
    FROM content";
const DEAD: &str = "SELECT t.id, CASE WHEN t.named THEN t.video_id END FROM \
        (SELECT * FROM tombstones ORDER BY deleted_at DESC LIMIT $1) t \
    WHERE NOT EXISTS (SELECT 1 FROM content c WHERE c.id = t.id OR (t.named AND c.video_id = t.video_id))";

/// The database on one side.
pub(super) struct Database {
    side: Side,
    target: Target,
    connection: Option<PgConnection>,
    version: Option<String>,
    counts: Option<Counts>,
    course: Course,
    /// Whether it changed since the dead were asked for.
    changed: bool,
}

// === impl Database ===

impl Database {
    /// Nothing known yet; none if the URL is no URL, which the configuration has refused.
    pub(super) fn new(side: Side, url: &str) -> Option<Self> {
        let target = Target::parse(url).ok()?;
        Some(Self {
            side,
            target,
            connection: None,
            version: None,
            counts: None,
            course: Course::default(),
            changed: false,
        })
    }

    pub(super) fn side(&self) -> Side {
        self.side
    }

    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// What went back since the last look.
    ///
    /// # Errors
    /// One sentence that says why it cannot be told now; what is known stays.
    pub(super) async fn look(&mut self, own: u64) -> Result<Option<String>, String> {
        let mut connection = self.connect().await?;
        let looked = async {
            let version: String = sqlx::query_scalar(VERSION).fetch_one(&mut connection).await?;
            if self.version.as_ref() == Some(&version) && self.counts.is_some() {
                return Ok(None);
            }
            let (records, curated): (i64, i64) = sqlx::query_as(COUNTS).fetch_one(&mut connection).await?;
            let count = |count: i64| u64::try_from(count).unwrap_or(0);
            let counts = Counts { records: count(records), curated: count(curated), newest: None };
            Ok(Some((version, counts)))
        };
        match looked.await {
            Ok(news) => {
                self.connection = Some(connection);
                if let Some((version, counts)) = news {
                    (self.version, self.counts, self.changed) = (Some(version), Some(counts), true);
                }
            }
            Err(error) => return Err(self.failed(connection, &error).await),
        }
        let went_back = self.counts.and_then(|now| self.course.judge(now, own, false));
        Ok(went_back.map(|what| format!("PostgreSQL {} went back: {what}", self.target.name())))
    }

    /// The records deleted last that are not there again.
    ///
    /// # Errors
    /// As [`Database::look`].
    pub(super) async fn dead(&mut self) -> Result<Vec<Dead>, String> {
        let mut connection = self.connect().await?;
        let found: Result<Vec<(String, Option<String>)>, sqlx::Error> =
            sqlx::query_as(DEAD).bind(TOMBSTONES).fetch_all(&mut connection).await;
        match found {
            Ok(found) => {
                self.connection = Some(connection);
                Ok(found.into_iter().map(|(id, video)| Dead { id, video }).collect())
            }
            Err(error) => Err(self.failed(connection, &error).await),
        }
    }

    /// Taken from its place for as long as it is used: one whose query was given up is not used again.
    async fn connect(&mut self) -> Result<PgConnection, String> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => self.target.connect_one().await,
        }
    }

    async fn failed(&self, connection: PgConnection, error: &sqlx::Error) -> String {
        // It is made anew at the next look.
        let _ = connection.close().await;
        self.target.explain(error)
    }
}
