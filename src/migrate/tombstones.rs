//! Records that were deleted from PostgreSQL: what a copy must not bring back.

use std::collections::HashSet;

use sqlx::postgres::PgConnection;

/// Which of these records (a name, and the id or video it stands for) were deleted.
pub(crate) async fn buried(
    connection: &mut PgConnection,
    records: &[(&str, Option<&str>, Option<&str>)],
) -> Result<HashSet<String>, sqlx::Error> {
    if records.is_empty() {
        return Ok(HashSet::new());
    }
    let found = sqlx::query_scalar(
        "SELECT a.record FROM unnest($1::text[], $2::text[], $3::text[]) AS a(record, id, video) \
         WHERE EXISTS (SELECT 1 FROM tombstones t WHERE t.id = a.id) \
            OR EXISTS (SELECT 1 FROM tombstones t WHERE t.video_id = a.video)",
    )
    .bind(records.iter().map(|(record, _, _)| *record).collect::<Vec<_>>())
    .bind(records.iter().map(|(_, id, _)| *id).collect::<Vec<_>>())
    .bind(records.iter().map(|(_, _, video)| *video).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    Ok(found.into_iter().collect())
}
