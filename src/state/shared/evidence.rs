//! Documents of evidence: each replica writes its own and reads those of the others.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use sqlx::postgres::PgConnection;

use super::cursor::Place;
use super::text::storable;
use super::{Bounds, Cursor, Document, SharedError, SharedStore};

/// Documents that `$1` has not seen, beyond the place (`$3`, `$4`): at most `$5`, and no more once they have `$6` bytes.
const NEW: &str = "SELECT replica, kind, key, document, tx::text, id, found FROM ( \
        SELECT *, count(*) OVER () AS found, row_number() OVER ordered AS number, \
            sum(octet_length(document)) OVER ordered AS bytes \
        FROM (SELECT replica, kind, key, document, tx, id FROM flipgate.evidence \
            WHERE tx >= coalesce(pg_snapshot_xmin($1::text::pg_snapshot), '0'::xid8) \
            AND ($1 IS NULL OR (replica <> $2 AND NOT pg_visible_in_snapshot(tx, $1::text::pg_snapshot))) \
            AND (tx, id) > ($3::text::xid8, $4) ORDER BY tx, id LIMIT $5) AS page \
        WINDOW ordered AS (ORDER BY tx, id)) AS counted \
    WHERE bytes <= $6 OR number = 1 ORDER BY tx, id";
const PUSH: &str = "INSERT INTO flipgate.evidence (digest, replica, kind, key, document) \
    SELECT digest, $1, kind, key, document \
    FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS given (digest, kind, key, document) \
    ON CONFLICT (digest, replica) DO UPDATE SET document = EXCLUDED.document, written_at = DEFAULT, tx = DEFAULT";
/// Rows that another replica deletes or writes at this moment are left to it: two that wait for each other gain nothing.
/// A replica that has not heard of the latest epoch yet must not delete what others gather in it: the record says which
/// one counts, not the caller. PostgreSQL takes nothing out of JSON that has a NUL, as the reason of an epoch may.
const PRUNE: &str = "WITH old AS MATERIALIZED (SELECT digest, replica FROM flipgate.evidence \
        WHERE substring(kind FROM '^epoch ([0-9]{1,18})[ ;]')::bigint \
            < (SELECT (replace(document, '\\u0000', '\\u0020')::json->'epoch'->>'number')::bigint FROM flipgate.record) \
        OR written_at < now() - interval '25 hours' LIMIT $1 FOR UPDATE SKIP LOCKED) \
    DELETE FROM flipgate.evidence AS e USING old WHERE e.digest = old.digest AND e.replica = old.replica";

/// A document as it is stored, with its place and how many were found.
type Row = (String, String, String, String, String, i64, i64);

impl SharedStore {
    /// Writes documents of this replica, each in place of the one of its kind and key. Of two with the same kind and key
    /// the later one counts.
    ///
    /// # Errors
    /// [`SharedError`]; some may have been written. To write them again is harmless.
    pub async fn push(&self, documents: &[Document]) -> Result<(), SharedError> {
        let mut rest = documents;
        while !rest.is_empty() {
            let (first, others) = rest.split_at(first_batch(rest, self.inner.bounds));
            rest = others;
            let batch = Batch::of(first);
            self.inner
                .connections
                .run(async |connection| {
                    let query = sqlx::query(PUSH).bind(&self.inner.replica).bind(batch.digests);
                    query.bind(batch.kinds).bind(batch.keys).bind(batch.documents).execute(connection).await
                })
                .await?;
        }
        Ok(())
    }

    /// Documents of other replicas that were written since `after`, with the replica's name; from the beginning also
    /// this replica's own, of an earlier run. None is ever missed; the same one may come again. At most 20,000 and 16 MiB:
    /// call again while [`Cursor::has_more`].
    ///
    /// # Errors
    /// [`SharedError`] says whether to try again; the cursor stays good.
    pub async fn pull(&self, after: &Cursor) -> Result<(Vec<(String, Document)>, Cursor), SharedError> {
        let Bounds { page: most, page_bytes, .. } = self.inner.bounds;
        self.inner
            .connections
            .run(async |connection| {
                let page = after.page(connection).await?;
                let query = sqlx::query_as(NEW).bind(&page.seen).bind(&self.inner.replica);
                let query = query.bind(&page.after.tx).bind(page.after.id).bind(most).bind(page_bytes);
                let rows: Vec<Row> = query.fetch_all(connection).await?;
                let last = rows.last().and_then(|(.., tx, id, found)| {
                    let is_cut =
                        *found >= most || usize::try_from(*found).is_ok_and(|found| found > rows.len());
                    is_cut.then(|| Place { tx: tx.clone(), id: *id })
                });
                Ok((rows.into_iter().map(named).collect(), page.next(last)))
            })
            .await
    }

    /// Deletes the documents of all replicas whose kind begins with `epoch N` of an epoch before the record's, and those
    /// that were not written for 25 hours; says how many.
    ///
    /// # Errors
    /// [`SharedError`]; some may have been deleted.
    pub async fn prune(&self) -> Result<u64, SharedError> {
        let most = self.inner.bounds.page;
        let mut deleted = 0;
        loop {
            let done = self.inner.connections.run(async |connection| prune(connection, most).await).await?;
            deleted += done;
            if done < most.unsigned_abs() {
                return Ok(deleted);
            }
        }
    }
}

fn named((replica, kind, key, document, ..): Row) -> (String, Document) {
    (replica, Document { kind, key, document })
}

async fn prune(connection: &mut PgConnection, most: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(PRUNE).bind(most).execute(connection).await?;
    Ok(done.rows_affected())
}

/// How many of these one statement takes: one at least.
fn first_batch(documents: &[Document], bounds: Bounds) -> usize {
    let mut bytes = 0_usize;
    let fits = |Document { kind, key, document }: &&Document| {
        bytes += kind.len() + key.len() + document.len();
        bytes <= bounds.batch_bytes
    };
    documents.iter().take(bounds.batch).take_while(fits).count().max(1)
}

/// Documents by column.
#[derive(Default)]
struct Batch {
    digests: Vec<String>,
    kinds: Vec<String>,
    keys: Vec<String>,
    documents: Vec<String>,
}

// === impl Batch ===

impl Batch {
    fn of(documents: &[Document]) -> Self {
        // One statement may write a row once; and all lock rows in one order, so that none waits in a circle.
        let by_digest: BTreeMap<String, &Document> =
            documents.iter().map(|document| (digest(document), document)).collect();
        let mut batch = Batch::default();
        for (digest, Document { kind, key, document }) in by_digest {
            batch.digests.push(digest);
            batch.kinds.push(storable(kind).into_owned());
            batch.keys.push(storable(key).into_owned());
            batch.documents.push(storable(document).into_owned());
        }
        batch
    }
}

fn digest(document: &Document) -> String {
    let mut hash = Sha256::new();
    hash.update(storable(&document.kind).as_bytes());
    hash.update([0]);
    hash.update(storable(&document.key).as_bytes());
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
