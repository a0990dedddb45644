//! `flipgate diff`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::{CLEAN, COULD_NOT_RUN, FOUND, UNUSABLE, failed};
use crate::compare::{Class, Mode, Rules, RulesSpec};
use crate::config::Config;
use crate::diff::report::Colour;
use crate::diff::source::{Document, Source};
use crate::side::Pair;
use crate::{diff, telemetry};

/// Compare two files or two URLs as the proxy compares two answers, and name what differs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flipgate diff old.json new.json
  flipgate diff http://127.0.0.1:10000/api/filters http://127.0.0.1:10001/api/filters
  flipgate diff --config flipgate.toml --route /api/reports old.json new.json
  flipgate diff --key /reports=id --ignore /generated_at --treat-as-equal timestamp_format old.json new.json
  curl -s http://127.0.0.1:10000/ | flipgate diff --compare html - page.html
  flipgate diff --format patch old.json new.json > old-to-new.json

A file's type is guessed from its extension, else from its first byte. Redirects are not followed. Status and headers
are compared between two URLs only. Secrets are blanked in text and json; a patch is verbatim, so that it applies.

Ends with 0 if both are equal by the rules, 1 if they differ, 2 if the arguments are unusable, 3 if one of the two
cannot be read.")]
pub(super) struct Arguments {
    /// The first: a file, http://…, https://…, or - for standard input
    #[arg(value_name = "A")]
    from: String,
    /// The second, likewise
    #[arg(value_name = "B")]
    to: String,
    /// Take the rules of a route of this configuration
    #[arg(long, value_name = "FILE", requires = "route")]
    config: Option<PathBuf>,
    /// The route whose rules to take, as its `match` is written
    #[arg(long, value_name = "PATTERN", requires = "config")]
    route: Option<String>,
    /// How to compare: json, html, text, bytes or auto (by content type)
    #[arg(long, value_name = "HOW")]
    compare: Option<Mode>,
    /// Align an array's items by a member, as in /reports=id
    #[arg(long, value_name = "PTR=MEMBER", value_parser = key)]
    key: Vec<(String, String)>,
    /// Do not compare what lies here; * is one segment, ** any number
    #[arg(long, value_name = "PTR")]
    ignore: Vec<String>,
    /// Compare this array without regard to order
    #[arg(long, value_name = "PTR")]
    unordered: Vec<String>,
    /// Count differences of this class as equal, as in timestamp_format
    #[arg(long, value_name = "CLASS")]
    treat_as_equal: Vec<Class>,
    /// How to print what differs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// When to print in colour; auto is on a terminal, unless NO_COLOR is set
    #[arg(long, value_enum, default_value_t = When::Auto)]
    color: When,
    /// How long a URL may take
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Grouped by cause, for people
    Text,
    /// One JSON document
    Json,
    /// RFC 6902: turns A into B
    Patch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

pub(super) async fn run(arguments: Arguments) -> ExitCode {
    telemetry::init("warn");
    let (sources, rules) =
        match arguments.sources().and_then(|sources| Ok((arguments.rules(&sources)?, sources))) {
            Ok((rules, sources)) => (sources, rules),
            Err(why) => return failed(UNUSABLE, &why),
        };
    let timeout = Duration::from_secs(arguments.timeout);
    let mut documents = match tokio::try_join!(sources.from.read(timeout), sources.to.read(timeout)) {
        Ok((from, to)) => Pair { from, to },
        Err(error) => return failed(COULD_NOT_RUN, &error.to_string()),
    };
    diff::agree_on_type(&mut documents);
    match print(&arguments, &sources, &documents, &rules) {
        Ok(code) => ExitCode::from(code),
        Err(why) => failed(COULD_NOT_RUN, &why),
    }
}

// === impl Arguments ===

impl Arguments {
    fn sources(&self) -> Result<Pair<Source>, String> {
        let sources = Pair { from: Source::parse(&self.from)?, to: Source::parse(&self.to)? };
        if sources.from == Source::Stdin && sources.to == Source::Stdin {
            return Err("only one of the two can be standard input; give a file for the other".into());
        }
        Ok(sources)
    }

    /// The route's rules, with the flags on top.
    fn rules(&self, sources: &Pair<Source>) -> Result<Rules, String> {
        let mut spec = match (&self.config, &self.route) {
            (Some(config), Some(route)) => Config::rules_of(config, route).map_err(|e| e.to_string())?,
            (None, _) | (_, None) => RulesSpec::default(),
        };
        if let Some(mode) = self.compare {
            spec.mode = mode;
        }
        // The first key that fits an array is taken: flags before the file.
        spec.keys.splice(0..0, self.key.iter().cloned());
        spec.ignore.extend_from_slice(&self.ignore);
        spec.unordered.extend_from_slice(&self.unordered);
        spec.treat_as_equal.extend_from_slice(&self.treat_as_equal);
        if !(sources.from.is_url() && sources.to.is_url()) {
            spec.headers.clear();
        }
        Rules::new(&spec).map_err(|e| e.to_string())
    }

    fn colour(&self) -> Colour {
        let auto =
            || std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let coloured = match self.color {
            When::Always => true,
            When::Never => false,
            When::Auto => auto(),
        };
        if coloured { Colour::Ansi } else { Colour::Plain }
    }
}

/// Prints in the format asked for; gives the exit code.
fn print(
    arguments: &Arguments,
    sources: &Pair<Source>,
    documents: &Pair<Document>,
    rules: &Rules,
) -> Result<u8, String> {
    let report = diff::report(documents, rules);
    let pretty = |value: &serde_json::Value| format!("{value:#}\n");
    let text = match arguments.format {
        Format::Text => {
            let names = Pair { from: sources.from.to_string(), to: sources.to.to_string() };
            report.text(&names, arguments.colour())
        }
        Format::Json => pretty(&serde_json::json!(report)),
        Format::Patch => pretty(&diff::patch(documents, rules).ok_or(
            "a patch needs two JSON documents, and one of these is none; use --format text or json",
        )?),
    };
    super::print(text.as_bytes())?;
    Ok(if report.equal { CLEAN } else { FOUND })
}

fn key(text: &str) -> Result<(String, String), String> {
    let (array, member) = text.rsplit_once('=').ok_or("write the array and the member, as in /reports=id")?;
    Ok((array.to_owned(), member.to_owned()))
}
