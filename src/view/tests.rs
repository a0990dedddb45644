mod json;
mod lines;
mod property;

use http::header::{CONTENT_TYPE, HeaderValue};

use super::*;
use crate::compare::{Body, Leg, Rules, compare};

/// The differences as a sample has them.
fn differences(from: &str, to: &str, mime: &'static str) -> Vec<SampleDifference> {
    let headers = [(CONTENT_TYPE, HeaderValue::from_static(mime))].into_iter().collect();
    let leg = |text: &'static str| Leg {
        status: 200,
        headers: &headers,
        body: Body::Whole { bytes: text.as_bytes(), framed: true },
    };
    let comparison = compare(leg(from.to_owned().leak()), leg(to.to_owned().leak()), &Rules::default());
    let told = comparison.differences.into_iter().map(|difference| SampleDifference {
        finding: String::new(),
        at: difference.at,
        kind: difference.kind.to_string(),
        class: difference.class.to_string(),
        from: difference.from,
        to: difference.to,
    });
    told.collect()
}

/// The view as text: mark, both lines with what differs in `⟨⟩`, place and difference.
fn shown(from: &str, to: &str, mime: &'static str) -> String {
    let differences = differences(from, to, mime);
    let view = side_by_side(from, to, &differences);
    let mut text = format!("{:?}{}\n", view.form, if view.cut { ", cut" } else { "" });
    for row in &view.rows {
        text.push_str(&line(row, &differences));
        text.push('\n');
    }
    text
}

fn line(row: &Row, differences: &[SampleDifference]) -> String {
    match row {
        Row::Folded { lines, mark, what, content } => {
            format!("{} … {what} ({lines} lines, {} inside)", sign(*mark), content.len())
        }
        Row::Line { depth, from, to, mark, at, difference } => {
            let side = |cell: &Option<Cell>| {
                let Some(Cell { line, parts }) = cell else { return String::new() };
                let part = |part: &Part| {
                    if part.differs { format!("⟨{}⟩", part.text) } else { part.text.clone() }
                };
                let text: String = parts.iter().map(part).collect();
                format!("{line:>2} {}{text}", "  ".repeat(usize::from(*depth)))
            };
            let told = difference.map_or_else(String::new, |index| {
                let SampleDifference { kind, class, .. } = &differences[index];
                format!(" = {kind} {class}")
            });
            let at = at.as_ref().map_or_else(String::new, |at| format!(" @{at}"));
            format!("{} {:<34}| {:<34}|{at}{told}", sign(*mark), side(from), side(to))
        }
    }
}

fn sign(mark: Mark) -> char {
    match mark {
        Mark::Equal => ' ',
        Mark::Changed => '~',
        Mark::Added => '+',
        Mark::Removed => '-',
        Mark::Moved => '>',
        Mark::Renamed => '=',
    }
}

/// How often each mark stands on a line.
fn marks(view: &SideBySide) -> [usize; 6] {
    let all = [Mark::Equal, Mark::Changed, Mark::Moved, Mark::Renamed, Mark::Added, Mark::Removed];
    all.map(|wanted| {
        view.rows.iter().filter(|row| matches!(row, Row::Line { mark, .. } if *mark == wanted)).count()
    })
}
