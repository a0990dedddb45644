//! What each generated column, index and check costs: the floor again, without it.
//!
//! Told in processor seconds of the server's process, as it counts them itself: differences are small beside what else
//! the machine does, which the time on the wall includes.

use crate::dump::Dump;
use crate::lab::{Database, Lab};

/// What is left out, and how; nothing first, as all others are compared with it.
const VARIANTS: [(&str, &str); 20] = [
    ("nothing", "SELECT 1"),
    ("content.facets and its index", "ALTER TABLE content DROP COLUMN facets"),
    ("index of facets (GIN)", "DROP INDEX content_facets_idx"),
    ("index of analysis_json (GIN)", "DROP INDEX content_analysis_json_idx"),
    ("index of topics_json (GIN)", "DROP INDEX content_topics_json_idx"),
    (
        "all three GIN indexes",
        "DROP INDEX content_facets_idx, content_analysis_json_idx, content_topics_json_idx",
    ),
    (
        "content.*_shown and their indexes",
        "ALTER TABLE content DROP COLUMN indexed_at_shown, DROP COLUMN published_at_shown",
    ),
    ("indexes of *_shown", "DROP INDEX content_added_idx, content_newest_idx"),
    ("index of indexed_at", "DROP INDEX content_indexed_at_idx"),
    ("index of channel_name", "DROP INDEX content_channel_name_idx"),
    ("index of the channel's key", "DROP INDEX content_channel_key_idx"),
    ("index of language", "DROP INDEX content_language_idx"),
    (
        "checks of content",
        "ALTER TABLE content DROP CONSTRAINT content_video_id_check, DROP CONSTRAINT content_language_check",
    ),
    (
        "all of these",
        "DROP INDEX content_indexed_at_idx, content_channel_name_idx, content_channel_key_idx, content_language_idx,
            content_analysis_json_idx, content_topics_json_idx;
         ALTER TABLE content DROP COLUMN facets, DROP COLUMN indexed_at_shown, DROP COLUMN published_at_shown,
            DROP CONSTRAINT content_video_id_check, DROP CONSTRAINT content_language_check",
    ),
    (
        "summaries' foreign key",
        "ALTER TABLE content_summaries DROP CONSTRAINT content_summaries_video_id_fkey",
    ),
    ("summaries' body_kept (md5)", "ALTER TABLE content_summaries DROP COLUMN body_kept"),
    ("index of the latest summary", "DROP INDEX content_summaries_latest_idx"),
    ("index of the legacy summary", "DROP INDEX content_summaries_legacy_idx"),
    (
        "pglz (lz4 instead) in summaries",
        "ALTER TABLE content_summaries ALTER COLUMN html SET COMPRESSION lz4, ALTER COLUMN body SET COMPRESSION lz4",
    ),
    (
        "all of these of summaries",
        "ALTER TABLE content_summaries DROP CONSTRAINT content_summaries_video_id_fkey, DROP COLUMN body_kept;
         DROP INDEX content_summaries_latest_idx, content_summaries_legacy_idx;
         ALTER TABLE content_summaries ALTER COLUMN html SET COMPRESSION lz4, ALTER COLUMN body SET COMPRESSION lz4",
    ),
];

/// Seconds of the floor's two tables without one thing; the least of the rounds count.
struct Cost {
    name: &'static str,
    sql: &'static str,
    content: f64,
    summaries: f64,
}

pub(crate) async fn run(lab: &Lab, dump: &Dump, rounds: u32) {
    let mut costs =
        VARIANTS.map(|(name, sql)| Cost { name, sql, content: f64::INFINITY, summaries: f64::INFINITY });
    for _ in 0..rounds {
        for cost in &mut costs {
            cost.time(lab, dump).await;
        }
    }
    println!("{:<34} {:>9} {:>9} {:>11} {:>9}", "left out", "content s", "saved", "summaries s", "saved");
    let [all, ..] = &costs;
    for cost in &costs {
        println!(
            "{:<34} {:>9.2} {:>9.2} {:>11.2} {:>9.2}",
            cost.name,
            cost.content,
            all.content - cost.content,
            cost.summaries,
            all.summaries - cost.summaries
        );
    }
}

// === impl Cost ===

impl Cost {
    async fn time(&mut self, lab: &Lab, dump: &Dump) {
        let database = lab.fresh().await;
        database.psql(&[self.sql]).await.unwrap();
        let [content, summaries] = &dump.tables[..] else { unreachable!("two tables") };
        self.content = self.content.min(processor_seconds(&database, &content.copy_from()).await);
        self.summaries = self.summaries.min(processor_seconds(&database, &summaries.copy_from()).await);
        lab.remove(database).await;
    }
}

/// What the server's process spent on one statement.
async fn processor_seconds(database: &Database, statement: &str) -> f64 {
    let verbose = ["SET client_min_messages = log", "SET log_statement_stats = on", statement];
    let said = database.psql(&verbose).await.unwrap().said;
    // `!  0.50 s user, 0.10 s system, 0.61 s elapsed`, of the last statement last.
    let line = said.lines().rfind(|line| line.ends_with("elapsed")).unwrap();
    let numbers = line.split([' ', '\t']).filter_map(|word| word.parse::<f64>().ok());
    numbers.take(2).sum()
}
