//! `/flip`: what would happen, the gate, and every change of who serves: asked for, shown, confirmed.

use std::sync::Arc;

use askama::Template;
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use chrono::Utc;
use http::StatusCode;
use serde::Deserialize;

use super::checks::{Check, checks};
use super::frame::{Frame, Notice};
use super::{html_as, to, words};
use crate::admin::access::Access;
use crate::admin::changes::{self, DialRequest, PrimaryRequest};
use crate::admin::form::CheckedForm;
use crate::admin::problem::Problem;
use crate::admin::{App, Caller, writes};
use crate::app::Shared;
use crate::cutover::{Change, Refused};
use crate::side::Pair;
use crate::state::Stored;

/// Where every change ends.
const HERE: &str = "/flip";
/// What a checkbox and a confirmed plan send.
const YES: &str = "yes";

#[derive(Template)]
#[template(path = "admin/flip.html")]
struct Screen {
    headline: String,
    consequence: String,
    /// What stands against going forward, of writes.
    lacking: Option<String>,
    /// What going back costs.
    cost: String,
    primary: String,
    latch: String,
    sticky: String,
    outcome: Option<Notice>,
    plan: Option<Plan>,
    form: Filled,
    groups: Vec<Check>,
    frame: Frame,
}

/// What would happen, to be confirmed.
struct Plan {
    title: String,
    lines: Vec<String>,
    unmet: usize,
    force: bool,
    action: &'static str,
    fields: Vec<(&'static str, String)>,
    button: String,
}

/// What was filled in already.
#[derive(Default)]
struct Filled {
    reason: String,
    percent: u8,
    dial_reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct FlipForm {
    to: String,
    expect: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    force: String,
    #[serde(default)]
    confirmed: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct DialForm {
    percent: String,
    expect: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    force: String,
    #[serde(default)]
    confirmed: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct ReasonForm {
    #[serde(default)]
    reason: String,
}

/// `GET /flip`.
pub(in crate::admin) async fn flip(State(shared): App, access: Access) -> Result<Response, Problem> {
    Screen::new(&shared, &access).answer(StatusCode::OK)
}

/// `POST /flip`: the plan, and once that is confirmed the flip.
pub(in crate::admin) async fn ask_flip(
    State(shared): App,
    ConnectInfo(caller): Caller,
    access: Access,
    CheckedForm(form): CheckedForm<FlipForm>,
) -> Result<Response, Problem> {
    let request = PrimaryRequest {
        primary: form.to.clone(),
        expect: Some(form.expect.clone()),
        reason: form.reason.clone(),
        force: form.force == YES,
        dry_run: false,
    };
    let change = request.change(&shared, caller.to_string())?;
    let fields =
        vec![("to", form.to), ("expect", form.expect), ("reason", form.reason), ("force", form.force)];
    let confirmable = Confirmable { change, fields, action: "/flip" };
    confirmable.go(&shared, &access, form.confirmed == YES).await
}

/// `POST /dial`: likewise.
pub(in crate::admin) async fn ask_dial(
    State(shared): App,
    ConnectInfo(caller): Caller,
    access: Access,
    CheckedForm(form): CheckedForm<DialForm>,
) -> Result<Response, Problem> {
    let percent = |text: &str| {
        text.parse().map_err(|_| Problem::bad_request("the dial is a whole number from 0 to 100"))
    };
    let request = DialRequest {
        percent: percent(&form.percent)?,
        expect: Some(percent(&form.expect)?),
        reason: form.reason.clone(),
        force: form.force == YES,
        dry_run: false,
    };
    let change = request.change(caller.to_string())?;
    let fields = vec![
        ("percent", form.percent),
        ("expect", form.expect),
        ("reason", form.reason),
        ("force", form.force),
    ];
    let confirmable = Confirmable { change, fields, action: "/dial" };
    confirmable.go(&shared, &access, form.confirmed == YES).await
}

/// `POST /rollback`: at once.
pub(in crate::admin) async fn rollback(
    State(shared): App,
    ConnectInfo(caller): Caller,
    access: Access,
    CheckedForm(form): CheckedForm<ReasonForm>,
) -> Result<Response, Problem> {
    let changed = shared.cutover.rollback(changes::reason(form.reason)?, caller.to_string()).await;
    done(&shared, &access, changed)
}

/// `POST /latch`.
pub(in crate::admin) async fn latch(
    State(shared): App,
    ConnectInfo(caller): Caller,
    access: Access,
    CheckedForm(form): CheckedForm<ReasonForm>,
) -> Result<Response, Problem> {
    let cause = changes::operator(form.reason, caller.to_string())?;
    let changed = shared.cutover.release_latch(cause).await;
    done(&shared, &access, changed)
}

/// `POST /epoch`.
pub(in crate::admin) async fn epoch(
    State(shared): App,
    ConnectInfo(caller): Caller,
    access: Access,
    CheckedForm(form): CheckedForm<ReasonForm>,
) -> Result<Response, Problem> {
    let cause = changes::operator(form.reason, caller.to_string())?;
    let changed = shared.cutover.begin_epoch(changes::epoch_cause(cause)).await;
    done(&shared, &access, changed)
}

/// A change that is shown before it is made.
struct Confirmable {
    change: Change,
    /// With which it is asked for again, confirmed.
    fields: Vec<(&'static str, String)>,
    action: &'static str,
}

// === impl Confirmable ===

impl Confirmable {
    async fn go(self, shared: &Arc<Shared>, access: &Access, confirmed: bool) -> Result<Response, Problem> {
        if confirmed {
            return done(shared, access, shared.cutover.change(self.change).await);
        }
        let mut screen = Screen::new(shared, access);
        let Change { dial, ref reason, .. } = self.change;
        // Each form keeps what was filled in there; force is asked for anew each time.
        if self.action == HERE {
            screen.form.reason.clone_from(reason);
        } else {
            screen.form = Filled { percent: dial, dial_reason: reason.clone(), ..Filled::default() };
        }
        if dial == screen.frame.dial {
            screen.outcome = Some(Notice::warn("That is so already: nothing would change."));
        } else {
            let of_writes = if dial == 0 { Some(costs(&screen.cost)) } else { screen.lacking.clone() };
            let mut plan = self.plan(&screen.frame);
            plan.lines.extend(of_writes.filter(|_| dial == 0 || dial > screen.frame.dial));
            screen.plan = Some(plan);
        }
        screen.answer(StatusCode::OK)
    }

    fn plan(self, frame: &Frame) -> Plan {
        let Pair { from, to } = &frame.names;
        let (dial, force) = (self.change.dial, self.change.force);
        let raises = dial > frame.dial;
        let unmet = frame.readiness.conditions.iter().filter(|condition| !condition.met).count();
        let mut lines = vec![
            format!("The next request is answered at the new share: {to} {dial} %, {from} {} %.", 100 - dial),
            "Requests under way finish where they began; no client is cut off.".to_owned(),
            "It is on disk before it is in force: a restart keeps it.".to_owned(),
            format!("The comparison goes on{}.", if dial == 100 { ", with the roles exchanged" } else { "" }),
        ];
        if raises {
            lines.push(
                "For a while the watch goes back by itself if mismatches, failures or times exceed their limits."
                    .to_owned(),
            );
        }
        if raises && force && unmet > 0 {
            let unmet = words::counted(unmet as u64, "condition");
            lines.push(format!("{unmet} not met: it is done all the same, and the audit says so."));
        }
        let (title, button) = match dial {
            0 => (format!("Back to {from}?"), format!("Yes, {from} serves all reads")),
            100 => (format!("Flip to {to}?"), format!("Yes, flip to {to}")),
            dial => (format!("Set the dial to {dial} %?"), format!("Yes, set the dial to {dial} %")),
        };
        let unmet = if raises { unmet } else { 0 };
        Plan { title, lines, unmet, force, action: self.action, fields: self.fields, button }
    }
}

/// What writes stand against a flip to `to`.
fn lacks(to: &str, lacking: &str) -> String {
    format!(
        "{to} does not have every write: {lacking}. A flip waits a moment for pending ones and is refused while any is \
         left, force or not."
    )
}

/// What going back costs, as a line.
fn costs(cost: &str) -> String {
    format!("What going back costs: {cost}.")
}

/// To the page as it is now, or why nothing changed.
fn done(shared: &Shared, access: &Access, changed: Result<Stored, Refused>) -> Result<Response, Problem> {
    let refused = match changed {
        Ok(_) => return Ok(to(HERE)),
        Err(refused) => refused,
    };
    let (status, why) = match refused {
        Refused::NotReady(readiness) => {
            let unmet = readiness.conditions.iter().filter(|condition| !condition.met).count() as u64;
            let unmet = words::counted(unmet, "condition");
            (
                StatusCode::CONFLICT,
                format!("Refused: the gate is shut, {unmet} not met. Nothing was changed."),
            )
        }
        Refused::Expected(said) => {
            (StatusCode::CONFLICT, format!("Nothing was changed: {said}. This page shows what is so now."))
        }
        Refused::State(error) => {
            tracing::error!(%error, "the state cannot be kept");
            (StatusCode::SERVICE_UNAVAILABLE, format!("Nothing was changed: {error}."))
        }
        refused @ Refused::InDoubt(_) => (StatusCode::SERVICE_UNAVAILABLE, format!("In doubt: {refused}.")),
        refused @ (Refused::CutOff(_) | Refused::Overtaken) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("Nothing was changed here: {refused}."))
        }
    };
    let mut screen = Screen::new(shared, access);
    screen.outcome = Some(Notice::bad(why));
    screen.answer(status)
}

// === impl Screen ===

impl Screen {
    fn new(shared: &Shared, access: &Access) -> Self {
        let frame = Frame::new(shared, access, HERE);
        let Pair { from, to } = &frame.names;
        let since = words::ago(frame.stored.since, Utc::now());
        let headline = format!("{}, since {} ({since})", frame.headline(), words::time(frame.stored.since));
        let consequence = match frame.dial {
            0 => format!("{to} is the shadow: asked the same, compared, never waited for."),
            100 => format!(
                "{from} is the shadow: asked the same, compared, never waited for. Going back takes one click."
            ),
            _ => "Each side is the shadow of the other's clients. Going back takes one click.".to_owned(),
        };
        let lacking = words::lacking(&frame.lacking.to).map(|lacking| lacks(to, &lacking));
        let cost = writes::cost_told(&frame.names, &frame.lacking.from, writes::is_mirrored(shared));
        let latch = frame.stored.latch.as_ref().map(|latch| latch.reason.clone()).unwrap_or_default();
        let sticky = shared
            .sticky
            .note()
            .map_or_else(|| shared.sticky.by(), |note| format!("{}; {note}", shared.sticky.by()));
        Screen {
            headline,
            consequence,
            lacking,
            cost,
            primary: frame.primary().to_owned(),
            latch,
            sticky,
            outcome: None,
            plan: None,
            form: Filled { percent: frame.dial, ..Filled::default() },
            groups: checks(&frame.readiness.conditions),
            frame,
        }
    }

    fn answer(&self, status: StatusCode) -> Result<Response, Problem> {
        html_as(status, self)
    }
}
