//! One sample as a finding's screen shows it: both legs side by side, and how to ask again.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::words;
use crate::app::Shared;
use crate::ledger::sample::{Sample, SampleDifference, SampleLeg};
use crate::side::{Pair, Side};
use crate::view::curl::curl;
use crate::view::{Cell, Form, Mark, Part, Row, SideBySide, side_by_side};

/// Samples that are laid out at once.
static LAYING_OUT: Semaphore = Semaphore::const_new(2);
/// Places of the finding in this sample that are listed.
const PLACES: usize = 10;
/// Longest value of a place, in characters.
const VALUE: usize = 200;
/// Most rows on the page, and levels of indentation that are drawn.
const ROWS: usize = 600;
const LEVELS: u16 = 24;
/// Longest patch on the page, in bytes.
const PATCH: usize = 16 * 1024;

/// One sample.
pub(crate) struct SampleView {
    pub(crate) id: u64,
    pub(crate) target: String,
    pub(crate) at: String,
    pub(crate) primary: String,
    pub(crate) legs: [Leg; 2],
    pub(crate) places: Vec<Place>,
    pub(crate) may_recheck: bool,
    pub(crate) form: &'static str,
    pub(crate) note: String,
    pub(crate) rows: Vec<TableRow>,
    pub(crate) patch: Option<String>,
    pub(crate) curls: [Curl; 2],
}

/// One side's answer.
pub(crate) struct Leg {
    pub(crate) backend: String,
    pub(crate) status: u16,
    pub(crate) seconds: String,
    pub(crate) headers: Vec<(String, String)>,
}

/// Where the finding is in this sample.
pub(crate) struct Place {
    pub(crate) at: String,
    pub(crate) from: String,
    pub(crate) to: String,
}

/// One row of the table of both bodies.
pub(crate) enum TableRow {
    Folded {
        what: String,
        content: Vec<String>,
    },
    /// `title` says where it is, if a difference is there.
    Line {
        title: Option<String>,
        sides: [Option<Line>; 2],
    },
}

/// One side of a row.
pub(crate) struct Line {
    pub(crate) line: usize,
    /// How it is coloured; empty where it is not.
    pub(crate) tone: &'static str,
    pub(crate) indent: String,
    pub(crate) parts: Vec<Part>,
}

/// A command that asks again.
pub(crate) struct Curl {
    pub(crate) what: String,
    /// None where there is no URL to ask, or no shell that takes it.
    pub(crate) command: Option<String>,
}

// === impl SampleView ===

impl SampleView {
    /// Laid out elsewhere than on the admin side's thread, where a rollback may be waiting; a few at once, since two large
    /// bodies take much memory. None if that failed.
    pub(super) async fn of(shared: &Arc<Shared>, sample: Sample, finding: &str) -> Option<Self> {
        let (shared, finding) = (Arc::clone(shared), finding.to_owned());
        let place = LAYING_OUT.acquire().await.ok()?;
        let view = tokio::task::spawn_blocking(move || {
            // Held to the end, also if nobody waits any more.
            let _place = place;
            SampleView::new(&shared, &sample, &finding)
        });
        view.await.inspect_err(|error| tracing::error!(%error, "a sample cannot be shown")).ok()
    }

    fn new(shared: &Shared, sample: &Sample, finding: &str) -> Self {
        let SideBySide { form, mut rows, mut cut } =
            side_by_side(&sample.from.body, &sample.to.body, &sample.differences);
        cut |= rows.len() > ROWS;
        rows.truncate(ROWS);
        let patch = sample.patch.as_ref().and_then(|patch| serde_json::to_string_pretty(patch).ok());
        let note = match (cut, patch.as_ref().is_some_and(|patch| patch.len() > PATCH)) {
            (false, false) => "",
            (true, false) => "There is more than is shown here: see the sample as JSON.",
            (false, true) => "The patch is too long for this page: see the sample as JSON.",
            (true, true) => {
                "There is more than is shown here, and the patch is too long: see the sample as JSON."
            }
        };
        let here = sample.differences.iter().filter(|difference| difference.finding == finding);
        SampleView {
            id: sample.id,
            target: words::visible(&sample.target),
            at: words::time(sample.at),
            primary: sample.primary.clone(),
            legs: [Leg::of(&sample.from), Leg::of(&sample.to)],
            places: here.take(PLACES).map(Place::of).collect(),
            may_recheck: sample.request.is_some(),
            form: match form {
                Form::Json => "as JSON",
                Form::Html => "as HTML",
                Form::Text => "as text",
            },
            note: note.to_owned(),
            rows: rows.into_iter().map(|row| TableRow::of(row, &shared.names)).collect(),
            patch: patch.filter(|patch| patch.len() <= PATCH),
            curls: Side::BOTH.map(|side| by_hand(shared, sample, side)),
        }
    }
}

/// How to ask one side again. A store that flipgate itself reads has no URL to ask.
fn by_hand(shared: &Shared, sample: &Sample, side: Side) -> Curl {
    let (name, source) = (shared.names.get(side), shared.sources.get(side));
    let headers = sample.request.as_deref().unwrap_or_default();
    if source.starts_with("http://") || source.starts_with("https://") {
        let lost = if sample.request.is_some() { "" } else { " (its credentials were not stored)" };
        return match curl(source, &sample.target, headers) {
            Some(command) => Curl { what: format!("{name}{lost}:"), command: Some(command) },
            None => Curl {
                what: format!("{name}: it holds control characters, which no shell takes"),
                command: None,
            },
        };
    }
    let what = format!("{name}: flipgate answers itself, from {source}; “Recheck now” asks it.");
    Curl { what, command: None }
}

// === impl Leg ===

impl Leg {
    fn of(leg: &SampleLeg) -> Self {
        Leg {
            backend: leg.backend.clone(),
            status: leg.status,
            seconds: words::seconds(leg.seconds),
            headers: leg.headers.iter().map(|(name, value)| (name.clone(), shortened(value))).collect(),
        }
    }
}

// === impl Place ===

impl Place {
    fn of(difference: &SampleDifference) -> Self {
        let value = |value: &Option<String>| value.as_deref().map_or_else(|| "nothing".to_owned(), shortened);
        let at = if difference.at.is_empty() { "the answer" } else { &difference.at };
        Place { at: shortened(at), from: value(&difference.from), to: value(&difference.to) }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(VALUE) {
        Some((end, _)) => format!("{}…", words::visible(text.get(..end).unwrap_or_default())),
        None => words::visible(text),
    }
}

fn shown(part: Part) -> Part {
    Part { text: words::visible(&part.text), ..part }
}

// === impl TableRow ===

impl TableRow {
    fn of(row: Row, names: &Pair<String>) -> Self {
        match row {
            Row::Folded { what, content, mark, lines: _ } => {
                let whose = match mark {
                    Mark::Added => format!(" in {}", names.to),
                    Mark::Removed => format!(" in {}", names.from),
                    Mark::Equal | Mark::Changed | Mark::Moved | Mark::Renamed => String::new(),
                };
                let content = content.iter().map(|line| words::visible(line)).collect();
                TableRow::Folded { what: format!("{what}{whose}"), content }
            }
            Row::Line { depth, from, to, mark, at, difference } => {
                let is_plain = mark == Mark::Equal;
                let line = |cell: Cell, tone| Line {
                    line: cell.line,
                    tone: if is_plain { "" } else { tone },
                    indent: "  ".repeat(usize::from(depth.min(LEVELS))),
                    parts: cell.parts.into_iter().map(shown).collect(),
                };
                let sides = [from.map(|cell| line(cell, "gone")), to.map(|cell| line(cell, "new"))];
                TableRow::Line { title: at.filter(|_| difference.is_some()), sides }
            }
        }
    }
}
