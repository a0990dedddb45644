//! Where a reader of changes is.
//!
//! Transactions do not commit in the order of their numbers, so "all after the last number seen" would miss what a slow
//! one commits later. A cursor therefore is PostgreSQL's own account of which transactions had been committed when the
//! reader began: new is what is of any other. What is more than a page is read in the order of (transaction, row); the
//! cursor that comes of the last page is the account of before the first, so nothing is missed in between either.

use sqlx::postgres::PgConnection;

use crate::pg::constant_sql;

/// Where to go on reading; the default is the beginning. Lives no longer than the process: it is of one server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    /// What has been seen; none: nothing, and the reader wants its own, too.
    seen: Option<String>,
    /// Where a reading of several pages is.
    within: Option<Within>,
    /// Since when the server that it is of has been up.
    server: Option<String>,
}

/// A place within a reading of several pages.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Within {
    /// What had been committed when it began.
    begun: String,
    /// The last row read.
    last: Place,
}

/// The place of a row in the order of reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The transaction that wrote it.
    pub(super) tx: String,
    /// Its number among those of the transaction.
    pub(super) id: i64,
}

/// One page to read.
#[derive(Debug)]
pub(super) struct Page {
    /// What has been seen; none: nothing, and the reader wants its own, too.
    pub(super) seen: Option<String>,
    /// Read beyond this.
    pub(super) after: Place,
    begun: String,
    server: String,
}

/// Since when this server has been up. One that was killed may use the numbers of transactions again that it had not put
/// on disk; its checkpointer starts anew even where only another of its processes was killed.
const UP_SINCE: &str = "pg_postmaster_start_time()::text || coalesce((SELECT backend_start::text FROM pg_stat_activity \
    WHERE backend_type = 'checkpointer' LIMIT 1), '')";

/// The account of a server on which nothing has been committed: 3 is the first transaction's number.
const NOTHING: &str = "3:3:";

// === impl Cursor ===

impl Cursor {
    /// Whether more is waiting now: the last call was bounded.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.within.is_some()
    }

    /// One that has seen what this account of a server says.
    #[cfg(test)]
    pub(super) fn that_has_seen(account: &str) -> Self {
        Cursor { seen: Some(account.to_owned()), within: None, server: None }
    }

    /// The next page. Call it before the rows are read, in a statement of its own: what is committed in between is then
    /// read twice rather than never.
    pub(super) async fn page(&self, connection: &mut PgConnection) -> Result<Page, sqlx::Error> {
        let sql = constant_sql(format!(
            "SELECT pg_current_snapshot()::text, {UP_SINCE}, \
             coalesce(pg_snapshot_xmax(pg_current_snapshot()) < pg_snapshot_xmax($1::text::pg_snapshot), false)"
        ));
        let (begun, server, went_backwards): (String, String, bool) =
            sqlx::query_as(sql).bind(&self.seen).fetch_one(connection).await?;
        // What numbers meant before a crash, or on another server, they need not mean now: it may hold anything.
        let is_of_another = went_backwards || self.server.as_ref().is_some_and(|known| *known != server);
        let nothing = Place { tx: "0".to_owned(), id: 0 };
        Ok(match self.within.clone() {
            _ if is_of_another => Page { seen: Some(NOTHING.to_owned()), after: nothing, begun, server },
            Some(Within { begun, last }) => Page { seen: self.seen.clone(), after: last, begun, server },
            None => Page { seen: self.seen.clone(), after: nothing, begun, server },
        })
    }
}

// === impl Page ===

impl Page {
    /// Where to go on: beyond `last` if there is more, else with what is committed after this reading began.
    pub(super) fn next(self, last: Option<Place>) -> Cursor {
        match last {
            Some(last) => Cursor {
                seen: self.seen,
                within: Some(Within { begun: self.begun, last }),
                server: Some(self.server),
            },
            None => Cursor { seen: Some(self.begun), within: None, server: Some(self.server) },
        }
    }
}
