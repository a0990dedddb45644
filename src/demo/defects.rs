//! Defects as real copies have had them, planted in the demo's PostgreSQL.

use anyhow::Context;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};

/// One defect: what it is called, and the statement that plants it in one record.
struct Defect {
    name: &'static str,
    statement: &'static str,
}

const DEFECTS: [Defect; 3] = [
    Defect {
        name: "a lost audio flag",
        statement: "UPDATE content SET has_audio = false
                    WHERE id = (SELECT id FROM content WHERE has_audio ORDER BY id LIMIT 1) RETURNING id",
    },
    Defect {
        name: "lost hand-curated subcategories",
        statement: "UPDATE content SET subcategories_json = NULL, analysis_json = analysis_json - 'categories'
                    WHERE id = (SELECT id FROM content WHERE subcategories_json IS NOT NULL ORDER BY id DESC LIMIT 1)
                    RETURNING id",
    },
    Defect {
        name: "a time stored an hour off",
        statement: "UPDATE content SET indexed_at = indexed_at + interval '1 hour'
                    WHERE id = (SELECT id FROM content WHERE indexed_at IS NOT NULL ORDER BY title, id LIMIT 1)
                    RETURNING id",
    },
];

/// Plants each defect and says in which record.
pub(super) async fn plant(url: &str) -> anyhow::Result<Vec<String>> {
    let options: PgConnectOptions = url.parse().context("the cluster's URL is unusable")?;
    let mut connection = PgConnection::connect_with(&options).await.context("the cluster does not answer")?;
    let mut planted = Vec::new();
    for defect in &DEFECTS {
        let id: Option<String> = sqlx::query_scalar(defect.statement)
            .fetch_optional(&mut connection)
            .await
            .with_context(|| format!("{} cannot be planted", defect.name))?;
        planted.push(match id {
            Some(id) => format!("{} in {id}", defect.name),
            None => format!("({}: no record has one to lose)", defect.name),
        });
    }
    connection.close().await.context("the cluster's connection broke")?;
    Ok(planted)
}
