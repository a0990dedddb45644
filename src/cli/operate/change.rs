//! What `flip`, `dial` and `rollback` have in common: one change is asked for, and what is true then is told.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value};

use super::remote::{Reach, Remote};
use super::reply::{Failure, Reply};
use super::standing::Standing;
use super::table::labelled;
use super::wait::{self, Wait};
use super::{Flags, Format, ended};
use crate::telemetry;

/// How long is asked for what was before, which is told only and must not hold a change up.
const BEFORE: Duration = Duration::from_secs(2);

/// The flags of a change that the gate judges.
#[derive(Debug, Args)]
pub(super) struct Gated {
    /// Why, for the audit
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Do it although conditions are unmet; the audit says so
    #[arg(long)]
    force: bool,
    /// Only tell whether it would be done now
    #[arg(long)]
    dry_run: bool,
    /// Wait until every condition is met, then do it
    #[arg(long, conflicts_with = "force")]
    wait_ready: bool,
    /// How long to wait, as in 90s, 30m, 12h or 2d
    #[arg(long, value_name = "DURATION", requires = "wait_ready", default_value = "1h", value_parser = wait::duration)]
    timeout: Duration,
}

/// One change.
#[derive(Debug)]
pub(super) struct Change {
    /// The endpoint that makes it.
    pub(super) path: &'static str,
    /// What it is called, as in `the flip to postgres`.
    pub(super) what: String,
    /// The member of the status document that it moves.
    pub(super) moves: &'static str,
    /// What is sent.
    pub(super) body: Map<String, Value>,
    /// How long to wait for the gate; `None` takes its answer as it is.
    pub(super) wait: Option<Duration>,
}

/// Makes the change and tells how things stand then.
pub(super) async fn run(flags: &Flags, change: &Change) -> ExitCode {
    telemetry::init("warn");
    ended(told(flags, change).await, flags.format)
}

async fn told(flags: &Flags, change: &Change) -> Result<Vec<u8>, Failure> {
    let remote = Remote::of(flags, Reach::Change)?;
    // Nothing depends on it: what cannot be read now is not told, and a rollback is not held up.
    let asked = tokio::time::timeout(BEFORE, remote.get("/api/status")).await;
    let before = asked.ok().and_then(Result::ok).map(|reply| reply.document);
    let reply = match change.wait {
        Some(patience) => Wait::new(&remote, change, patience).run().await?,
        None => change.send(&remote, change.is_dry()).await?,
    };
    Ok(match flags.format {
        Format::Json => reply.as_it_came(),
        Format::Text => change.text(before.as_ref(), &reply.document).into_bytes(),
    })
}

// === impl Gated ===

impl Gated {
    /// What the flags add to the body.
    pub(super) fn add_to(&self, body: &mut Map<String, Value>) {
        body.insert("reason".to_owned(), self.reason.clone().unwrap_or_default().into());
        body.insert("force".to_owned(), self.force.into());
        body.insert("dry_run".to_owned(), self.dry_run.into());
    }

    /// How long to wait for the gate, if at all.
    pub(super) fn wait(&self) -> Option<Duration> {
        self.wait_ready.then_some(self.timeout)
    }
}

// === impl Change ===

impl Change {
    /// Asks for it, or, dry, whether it would be made.
    pub(super) async fn send(&self, remote: &Remote, dry: bool) -> Result<Reply, Failure> {
        let mut body = self.body.clone();
        if dry {
            body.insert("dry_run".to_owned(), true.into());
        }
        remote.post(self.path, &Value::Object(body)).await
    }

    /// Whether it was only asked what would happen.
    pub(super) fn is_dry(&self) -> bool {
        self.body.get("dry_run") == Some(&Value::Bool(true))
    }

    /// Whether what the change expects is what a status document says.
    pub(super) fn expects(&self, status: &Value) -> bool {
        self.body.get("expect").is_none_or(|expected| status.get(self.moves) == Some(expected))
    }

    /// What is true now.
    fn text(&self, before: Option<&Value>, after: &Value) -> String {
        let (was, is) = (before.map(Standing), Standing(after));
        let was_of = |was: Option<String>, is: Option<String>| match (was, is) {
            _ if self.is_dry() => String::new(),
            (Some(was), Some(is)) if was == is => " (as before)".to_owned(),
            (Some(was), Some(_)) => format!(" (was {was})"),
            (_, _) => String::new(),
        };
        let was_primary = was_of(was.and_then(Standing::primary), is.primary());
        let mut rows = vec![("primary", format!("{}{was_primary}", is.primary_since()))];
        let is_split = is.dial().is_some_and(|dial| (1..100).contains(&dial));
        if (self.moves == "dial" || is_split)
            && let Some(dial) = is.dial_told()
        {
            let percent = |standing: Standing<'_>| standing.dial().map(|dial| format!("{dial} %"));
            rows.push(("dial", format!("{dial}{}", was_of(was.and_then(percent), percent(is)))));
        }
        rows.extend(is.watch().map(|watch| ("watch", watch)));
        rows.extend(is.latch().map(|latch| ("latch", latch)));
        rows.extend(is.cost().map(|cost| ("cost", cost)));
        if self.is_dry() {
            rows.push(("dry run", format!("{} would be done now; nothing was changed", self.what)));
        }
        labelled(&rows)
    }
}
