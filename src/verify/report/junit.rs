//! For a build server: each check is a test.

use std::fmt::Write as _;

use super::Verification;

pub(super) fn print(verification: &Verification) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(verification, &mut text);
    text
}

fn write(verification: &Verification, text: &mut String) -> std::fmt::Result {
    let failures = verification.checks.iter().filter(|check| !check.ok).count();
    writeln!(text, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(
        text,
        "<testsuite name=\"flipgate verify\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\">",
        verification.checks.len()
    )?;
    for check in &verification.checks {
        let name = escaped(&check.name);
        if check.ok {
            writeln!(text, "  <testcase classname=\"flipgate.verify\" name=\"{name}\"/>")?;
        } else {
            writeln!(text, "  <testcase classname=\"flipgate.verify\" name=\"{name}\">")?;
            writeln!(
                text,
                "    <failure message=\"{}\">{}</failure>",
                escaped(&check.detail),
                rows(verification, &check.name)
            )?;
            writeln!(text, "  </testcase>")?;
        }
    }
    writeln!(text, "</testsuite>")
}

/// The rows that a failed check of a table is about.
fn rows(verification: &Verification, check: &str) -> String {
    let Some((table, what)) = check.split_once(": no row ") else { return String::new() };
    let what = match what {
        "is missing" => "missing",
        "is additional" => "additional",
        "differs" => "differing",
        _ => {
            let notes = verification.quarantined.iter().filter(|note| note.table == table);
            let lines: Vec<String> =
                notes.map(|note| escaped(&format!("{}: {}", note.row, note.why))).collect();
            return lines.join("\n");
        }
    };
    let about = verification.differences.iter().filter(|row| row.table == table && row.what == what);
    let lines: Vec<String> = about
        .map(|difference| {
            let columns: Vec<&str> = difference.changes.iter().map(|change| change.column.as_str()).collect();
            escaped(format!("{} {}", difference.row, columns.join(" ")).trim_end())
        })
        .collect();
    lines.join("\n")
}

/// Text as XML 1.0 can hold it.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            other if other.is_control() => safe.push(' '),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_ends_an_attribute() {
        assert_eq!(super::escaped("a\"<b>&\0\u{ffff}"), "a&quot;&lt;b&gt;&amp; \u{fffd}");
    }
}
