//! For a ticket or a wiki.

use std::fmt::Write as _;

use super::{Note, Verification};

pub(super) fn print(verification: &Verification) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(verification, &mut text);
    text
}

fn write(verification: &Verification, text: &mut String) -> std::fmt::Result {
    let verdict = if verification.clean { "both stores hold the same library" } else { "the stores differ" };
    writeln!(text, "# Verification: {verdict}\n\n| check | result | found |\n|---|---|---|")?;
    for check in &verification.checks {
        let result = if check.ok { "pass" } else { "**fail**" };
        writeln!(text, "| {} | {result} | {} |", cell(&check.name), cell(&check.detail))?;
    }
    if !verification.differences.is_empty() {
        writeln!(
            text,
            "\n## Rows that differ\n\n| table | row | what | column | sqlite | postgres |\n|---|---|---|---|---|---|"
        )?;
        for difference in &verification.differences {
            let row =
                format!("{} | {} | {}", cell(&difference.table), cell(&difference.row), difference.what);
            if difference.changes.is_empty() {
                writeln!(text, "| {row} | | | |")?;
            }
            for change in &difference.changes {
                let (column, sqlite, postgres) =
                    (cell(&change.column), cell(&change.sqlite), cell(&change.postgres));
                writeln!(text, "| {row} | {column} | {sqlite} | {postgres} |")?;
            }
        }
    }
    if verification.unlisted() > 0 {
        writeln!(text, "\nAnd {} more.", verification.unlisted())?;
    }
    notes(text, "Rows in quarantine", &verification.quarantined)?;
    notes(text, "Rows stored with repairs", &verification.repaired)
}

fn notes(text: &mut String, title: &str, notes: &[Note]) -> std::fmt::Result {
    if notes.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n## {title}\n\n| table | row | why |\n|---|---|---|")?;
    for note in notes {
        writeln!(text, "| {} | {} | {} |", cell(&note.table), cell(&note.row), cell(&note.why))?;
    }
    Ok(())
}

/// Text that stays in its cell and is no markup.
fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' => safe.extend(['\\', character]),
            '<' => safe.push_str("&lt;"),
            '&' => safe.push_str("&amp;"),
            other if other.is_control() => safe.push(' '),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_cell_holds_no_markup() {
        assert_eq!(super::cell("a|b\n<script>*&"), "a\\|b &lt;script>\\*&amp;");
    }
}
