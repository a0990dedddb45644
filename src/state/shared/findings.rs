//! Findings: one row each, to which every replica adds what it counted.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::cursor::Place;
use super::text::storable;
use super::{Cursor, FindingChange, SharedError, SharedFinding, SharedStore};

/// What was seen later than by who says its state has the state that stands there.
const CHANGE: &str = "INSERT INTO flipgate.findings AS f (finding, document, count, first_seen, last_seen, state) \
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::timestamptz[], $5::timestamptz[], $6::text[]) \
    ON CONFLICT (finding) DO UPDATE SET document = EXCLUDED.document, count = f.count + EXCLUDED.count, \
        first_seen = least(f.first_seen, EXCLUDED.first_seen), last_seen = greatest(f.last_seen, EXCLUDED.last_seen), \
        state = CASE WHEN f.last_seen > EXCLUDED.last_seen THEN f.state ELSE coalesce(EXCLUDED.state, f.state) END, \
        tx = DEFAULT";
/// What is there is changed by nothing but what was seen later.
const TELL_AGAIN: &str = "INSERT INTO flipgate.findings AS f (finding, document, count, first_seen, last_seen, state) \
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::timestamptz[], $5::timestamptz[], $6::text[]) \
    ON CONFLICT (finding) DO UPDATE SET document = EXCLUDED.document, \
        first_seen = least(f.first_seen, EXCLUDED.first_seen), last_seen = EXCLUDED.last_seen, \
        state = coalesce(EXCLUDED.state, f.state), tx = DEFAULT \
    WHERE f.last_seen < EXCLUDED.last_seen";
/// Findings that `$1` has not seen, beyond the place (`$2`, `$3`): at most `$4`.
const NEW: &str = "SELECT finding, document, count, first_seen, last_seen, coalesce(state, 'open'), tx::text, id \
    FROM flipgate.findings WHERE tx >= coalesce(pg_snapshot_xmin($1::text::pg_snapshot), '0'::xid8) \
        AND ($1 IS NULL OR NOT pg_visible_in_snapshot(tx, $1::text::pg_snapshot)) \
        AND (tx, id) > ($2::text::xid8, $3) \
    ORDER BY tx, id LIMIT $4";

/// A finding as it is stored, with its place.
type Row = (String, String, i64, DateTime<Utc>, DateTime<Utc>, String, String, i64);

impl SharedStore {
    /// Adds what this replica counted, in one transaction for each 5000 changes.
    ///
    /// # Errors
    /// [`SharedError`]; after [`SharedError::Unreachable`] it may have been added all the same, so adding again may count
    /// twice. Counts of findings are for people: no verdict may depend on them.
    pub async fn change_findings(&self, changes: &[FindingChange]) -> Result<(), SharedError> {
        self.write_findings(CHANGE, changes).await
    }

    /// Tells what an earlier run of this replica may have told already: `added` counts only where nothing is known of the
    /// finding, and the rest only if it was seen later than by all others.
    ///
    /// # Errors
    /// [`SharedError`]; to tell it again is harmless.
    pub async fn tell_findings_again(&self, known: &[FindingChange]) -> Result<(), SharedError> {
        self.write_findings(TELL_AGAIN, known).await
    }

    async fn write_findings(
        &self,
        statement: &'static str,
        changes: &[FindingChange],
    ) -> Result<(), SharedError> {
        for batch in changes.chunks(self.inner.bounds.batch) {
            let rounds = rounds(batch);
            self.inner
                .connections
                .run(async |connection| {
                    let mut transaction = connection.begin().await?;
                    for round in &rounds {
                        change(&mut transaction, statement, round).await?;
                    }
                    transaction.commit().await
                })
                .await?;
        }
        Ok(())
    }

    /// Findings that any replica, or an operator, changed since `after`. None is ever missed; the same one may come again.
    /// At most 20,000: call again while [`Cursor::has_more`].
    ///
    /// # Errors
    /// [`SharedError`] says whether to try again; the cursor stays good.
    pub async fn findings(&self, after: &Cursor) -> Result<(Vec<SharedFinding>, Cursor), SharedError> {
        let most = self.inner.bounds.page;
        self.inner
            .connections
            .run(async |connection| {
                let page = after.page(connection).await?;
                let query = sqlx::query_as(NEW).bind(&page.seen).bind(&page.after.tx).bind(page.after.id);
                let rows: Vec<Row> = query.bind(most).fetch_all(connection).await?;
                let is_cut = i64::try_from(rows.len()).is_ok_and(|read| read >= most);
                let last = rows.last().filter(|_| is_cut);
                let last = last.map(|(.., tx, id)| Place { tx: tx.clone(), id: *id });
                Ok((rows.into_iter().map(finding).collect(), page.next(last)))
            })
            .await
    }
}

fn finding(row: Row) -> SharedFinding {
    let (id, document, count, first_seen, last_seen, state, ..) = row;
    SharedFinding { id, document, count, first_seen, last_seen, state }
}

/// The changes so that none is of the same finding as another of its round: one statement may change a row once. By id,
/// so that two replicas lock rows in one order and none waits in a circle.
fn rounds(changes: &[FindingChange]) -> Vec<Vec<&FindingChange>> {
    let mut by_id: BTreeMap<Cow<'_, str>, Vec<&FindingChange>> = BTreeMap::new();
    for change in changes {
        by_id.entry(storable(&change.id)).or_default().push(change);
    }
    let most = by_id.values().map(Vec::len).max().unwrap_or_default();
    let round = |number: usize| by_id.values().filter_map(|of_one| of_one.get(number).copied()).collect();
    (0..most).map(round).collect()
}

async fn change(
    connection: &mut PgConnection,
    statement: &'static str,
    changes: &[&FindingChange],
) -> Result<(), sqlx::Error> {
    let text = |of: fn(&FindingChange) -> &str| -> Vec<String> {
        changes.iter().map(|change| storable(of(change)).into_owned()).collect()
    };
    sqlx::query(statement)
        .bind(text(|change| &change.id))
        .bind(text(|change| &change.document))
        .bind(changes.iter().map(|change| change.added).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.first_seen).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.last_seen).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.state.clone()).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}
