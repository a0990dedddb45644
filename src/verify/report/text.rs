//! For people, in a terminal.

use std::fmt::Write as _;

use super::{Note, Verification};
use crate::migrate::escaped;

/// Rows of one sort that a terminal shows; JSON has more of them.
const ROWS: usize = 20;

pub(super) fn print(verification: &Verification) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(verification, &mut text);
    text
}

fn write(verification: &Verification, text: &mut String) -> std::fmt::Result {
    for check in &verification.checks {
        writeln!(text, "{} {} ({})", if check.ok { "ok  " } else { "FAIL" }, check.name, check.detail)?;
    }
    writeln!(
        text,
        "     {} cells that should be JSON are not and kept as text, {} orphaned summaries in SQLite",
        verification.invalid_json, verification.sqlite_orphans
    )?;
    for difference in verification.differences.iter().take(ROWS) {
        writeln!(text, "{} {} {}", difference.what, difference.table, escaped(&difference.row))?;
        for change in &difference.changes {
            writeln!(text, "    {}: sqlite {}", escaped(&change.column), change.sqlite)?;
            writeln!(text, "    {:1$}  postgres {2}", "", change.column.chars().count(), change.postgres)?;
        }
    }
    let more = verification.differences.len().saturating_sub(ROWS) as u64 + verification.unlisted();
    if more > 0 {
        writeln!(text, "… and {more} more rows that differ; --format json lists up to 1000 of each sort")?;
    }
    notes(text, "quarantined", &verification.quarantined)?;
    notes(text, "repaired", &verification.repaired)?;
    let verdict =
        if verification.clean { "Both stores hold the same library." } else { "The stores differ." };
    writeln!(text, "{verdict}")
}

fn notes(text: &mut String, what: &str, notes: &[Note]) -> std::fmt::Result {
    for note in notes.iter().take(ROWS) {
        writeln!(text, "{what} {}:{}: {}", note.table, escaped(&note.row), escaped(&note.why))?;
    }
    if notes.len() > ROWS {
        writeln!(text, "… and {} more {what}", notes.len() - ROWS)?;
    }
    Ok(())
}
