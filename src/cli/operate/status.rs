//! `flipgate status`.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::readiness::{Readiness, condition};
use super::remote::{Reach, Remote};
use super::reply::Failure;
use super::standing::{Standing, percent, word};
use super::table::{Cell, aligned, items_of, labelled, unmet};
use super::{Flags, Format, after_help, ended};
use crate::telemetry;

/// Tell who is primary, what the evidence says route by route, and what a flip still needs.
#[derive(Debug, Args)]
#[command(after_help = after_help!("  flipgate status
  flipgate status --admin https://gate.example --token-file read-token
  flipgate status --format json | jq .primary
  flipgate status --healthz"))]
pub(in crate::cli) struct Arguments {
    /// Only tell whether it runs, by `/healthz` and without a token, as a container's health check does
    #[arg(long, conflicts_with_all = ["format", "token_file"])]
    healthz: bool,
    #[command(flatten)]
    flags: Flags,
}

/// A column of the routes' table: its title, and what it says of a route.
type Column = (&'static str, fn(&Route<'_>) -> Option<Cell>);

/// Columns that no route has anything to say in are left out.
const COLUMNS: [Column; 10] = [
    ("route", |route| Some(Cell::word(&route.pattern))),
    ("required", |route| {
        route.status.get("required")?.as_bool().map(|is| Cell::word(if is { "yes" } else { "no" }))
    }),
    ("distinct", |route| route.distinct().map(|text| Cell::number(&text))),
    ("mismatches", |route| route.count("mismatches")),
    ("bound", |route| route.bound().map(|text| Cell::number(&text))),
    ("transient", |route| route.count("transient")),
    ("unexplained", |route| route.count("unexplained")),
    ("noise", |route| route.count("noise")),
    ("failures", |route| route.count("shadow_failures")),
    ("floor", |route| route.floor().map(|text| Cell::number(&text))),
];

/// One route, as both documents speak of it.
struct Route<'d> {
    pattern: String,
    status: &'d Value,
    readiness: &'d Value,
}

pub(in crate::cli) async fn run(arguments: &Arguments) -> ExitCode {
    telemetry::init("warn");
    let told = if arguments.healthz { health(&arguments.flags).await } else { told(&arguments.flags).await };
    ended(told, arguments.flags.format)
}

async fn health(flags: &Flags) -> Result<Vec<u8>, Failure> {
    Remote::of(flags, Reach::Nothing)?.health().await?;
    Ok(b"flipgate runs\n".to_vec())
}

async fn told(flags: &Flags) -> Result<Vec<u8>, Failure> {
    let remote = Remote::of(flags, Reach::Read)?;
    let status = remote.get("/api/status").await?;
    match flags.format {
        Format::Json => Ok(status.as_it_came()),
        Format::Text => {
            let readiness = remote.get("/api/readiness").await?;
            Ok(text(&status.document, &readiness.document).into_bytes())
        }
    }
}

fn text(status: &Value, readiness: &Value) -> String {
    let standing = Standing(status);
    let mut rows = vec![("primary", standing.primary_since())];
    rows.extend(standing.rows());
    let blocks =
        [labelled(&rows), aligned(&standing.backends()), routes(status, readiness), verdict(readiness)];
    let told: Vec<String> = blocks.into_iter().filter(|block| !block.is_empty()).collect();
    told.join("\n")
}

fn routes(status: &Value, readiness: &Value) -> String {
    let routes = status.get("routes").and_then(Value::as_array).into_iter().flatten();
    let routes: Vec<Route<'_>> = routes
        .map(|status| {
            let pattern = status.get("route").and_then(word).unwrap_or_else(|| "not told".to_owned());
            Route { pattern, status, readiness }
        })
        .collect();
    let mut rows = vec![Vec::new(); routes.len() + 1];
    for (title, cell) in COLUMNS {
        let cells: Vec<Option<Cell>> = routes.iter().map(cell).collect();
        if cells.iter().all(Option::is_none) {
            continue;
        }
        let title =
            if matches!(title, "route" | "required") { Cell::word(title) } else { Cell::number(title) };
        let column =
            std::iter::once(title).chain(cells.into_iter().map(|cell| cell.unwrap_or(Cell::number("-"))));
        for (row, cell) in rows.iter_mut().zip(column) {
            row.push(cell);
        }
    }
    rows.retain(|row| !row.is_empty());
    aligned(&rows)
}

fn verdict(document: &Value) -> String {
    let readiness = Readiness::of(document);
    let is = match readiness.ready {
        Some(true) => "ready",
        Some(false) => "not ready",
        None => "whether it is ready is not told",
    };
    if readiness.unmet.is_empty() {
        return format!("{is}\n");
    }
    format!("{is}: {}\n{}", unmet(readiness.unmet.len()), items_of(&readiness.unmet))
}

// === impl Route ===

impl Route<'_> {
    fn count(&self, member: &str) -> Option<Cell> {
        self.status.get(member).and_then(word).map(|count| Cell::number(&count))
    }

    /// `12/300`: distinct comparisons, of so many that are required.
    fn distinct(&self) -> Option<String> {
        let distinct = self.status.get("distinct").and_then(word)?;
        let evidence = condition(self.readiness, "evidence", &self.pattern);
        let required = evidence.and_then(|evidence| evidence.get("required")).and_then(word);
        Some(required.map_or(distinct.clone(), |required| format!("{distinct}/{required}")))
    }

    /// The upper bound of the mismatch rate, which versions that do not show it judge all the same.
    fn bound(&self) -> Option<String> {
        let judged = || condition(self.readiness, "mismatch_bound", &self.pattern)?.get("actual");
        self.status.get("upper_bound").and_then(percent).or_else(|| judged().and_then(percent))
    }

    /// `2/400`: what differed of one store's answers compared with themselves.
    fn floor(&self) -> Option<String> {
        let floor = self.status.get("floor")?;
        let word = |member| floor.get(member).and_then(word);
        Some(format!("{}/{}", word("differed")?, word("compared")?))
    }
}
