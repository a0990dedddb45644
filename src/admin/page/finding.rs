//! `/findings/{id}`: one cause, its samples side by side, and what an operator makes of it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{ConnectInfo, Path, State};
use axum::response::Response;
use chrono::Utc;
use http::StatusCode;
use serde::Deserialize;

use super::frame::{Frame, Notice};
use super::sample::{SampleView, TableRow};
use super::told::{Piece, told};
use super::{html_as, to, words};
use crate::admin::access::Access;
use crate::admin::form::{CheckedForm, CheckedQuery};
use crate::admin::problem::Problem;
use crate::admin::{App, Caller, find_sample, judgement, recheck as rechecks};
use crate::app::Shared;
use crate::compare::Severity;
use crate::ledger::acceptance::{Acceptance, Judgement, Values};
use crate::ledger::finding::{Finding, State as Judged};
use crate::ledger::hint::hint;
use crate::ledger::sample::Sample;

/// For how long a finding may be accepted: as the API takes it, and in words.
pub(crate) const EXPIRIES: &[(&str, &str)] =
    &[("1d", "a day"), ("7d", "a week"), ("30d", "30 days"), ("", "for ever")];

/// Longest sentence shown, in characters.
const SENTENCE: usize = 400;

/// Longest target that names a sample, in characters.
const TARGET: usize = 40;

#[derive(Template)]
#[template(path = "admin/finding.html")]
struct Screen {
    finding: Shown,
    sentence: Vec<Piece>,
    hint: Option<String>,
    accepted: Option<Accepted>,
    may_accept_any: bool,
    /// Different pairs of values in the samples.
    values: usize,
    form: Filled,
    samples: Vec<Tab>,
    sample: Option<SampleView>,
    rechecked: Option<Notice>,
    outcome: Option<Notice>,
    frame: Frame,
}

struct Shown {
    id: String,
    sentence: String,
    route: String,
    path: String,
    kind: &'static str,
    class: &'static str,
    severity: &'static str,
    state: &'static str,
    is_transient: bool,
    times: String,
    first_seen: String,
    last_seen: String,
    last_ago: String,
    /// In how many of the comparisons kept.
    share: String,
}

struct Accepted {
    at: String,
    until: String,
    scope: String,
    note: String,
}

struct Tab {
    id: u64,
    name: String,
}

/// What was filled in already.
struct Filled {
    note: String,
    scope: String,
    share: String,
    expires_in: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::admin) struct Chosen {
    sample: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct JudgeForm {
    state: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    share: String,
    #[serde(default)]
    expires_in: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct RecheckForm {
    finding: String,
}

/// `GET /findings/{id}`.
pub(in crate::admin) async fn finding(
    State(shared): App,
    access: Access,
    Path(id): Path<String>,
    CheckedQuery(chosen): CheckedQuery<Chosen>,
) -> Result<Response, Problem> {
    let finding = find(&shared, &id)?;
    Screen::new(&shared, &access, finding, chosen.sample).await.answer(StatusCode::OK)
}

/// `POST /findings/{id}`: accepts it or opens it again.
pub(in crate::admin) async fn judge(
    State(shared): App,
    ConnectInfo(caller): Caller,
    access: Access,
    Path(id): Path<String>,
    CheckedForm(form): CheckedForm<JudgeForm>,
) -> Result<Response, Problem> {
    let finding = find(&shared, &id)?;
    let judged = match form.judgement(&shared, &finding).await {
        Ok(judgement) => judgement::apply(&shared, &id, &judgement, caller.to_string()).await,
        Err(problem) => Err(problem),
    };
    match judged {
        Ok(_) => Ok(to(&format!("/findings/{}", finding.id))),
        Err(problem) => {
            let mut screen = Screen::new(&shared, &access, finding, None).await;
            screen.outcome = Some(Notice::bad(format!("Nothing was changed: {}.", problem.detail())));
            let JudgeForm { note, scope, share, expires_in, .. } = form;
            screen.form = Filled { note, scope, share, expires_in };
            screen.answer(problem.status())
        }
    }
}

/// `POST /samples/{id}/recheck`: asks both sides again and shows what that showed.
pub(in crate::admin) async fn recheck(
    State(shared): App,
    access: Access,
    Path(id): Path<String>,
    CheckedForm(form): CheckedForm<RecheckForm>,
) -> Result<Response, Problem> {
    let sample = find_sample(&shared, &id).await?;
    let asked = rechecks::ask(&shared, &sample).await;
    let (status, notice) = match &asked {
        Ok(asked) => (StatusCode::OK, shown(asked)),
        Err(problem) => (problem.status(), Notice::bad(format!("Not rechecked: {}.", problem.detail()))),
    };
    let finding = find(&shared, &form.finding)?;
    let mut screen = Screen::new(&shared, &access, finding, Some(sample.id)).await;
    screen.rechecked = Some(notice);
    screen.answer(status)
}

fn find(shared: &Shared, id: &str) -> Result<Finding, Problem> {
    shared.ledger.finding(id).ok_or_else(|| Problem::not_found("no finding has this id"))
}

fn shown(asked: &rechecks::Asked) -> Notice {
    if let Some(doubt) = &asked.doubt {
        return Notice::warn(format!("Asked again just now, but it says nothing: {doubt}."));
    }
    if asked.agrees() {
        return Notice::good("Asked again just now: both sides agree.");
    }
    let mut paths: Vec<String> =
        asked.differences().iter().map(|d| format!("{} {}", d.path, d.kind)).collect();
    paths.sort();
    paths.dedup();
    let more = paths.len().saturating_sub(5);
    paths.truncate(5);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Notice::warn(format!("Asked again just now: it still differs at {}{more}.", paths.join(", ")))
}

// === impl JudgeForm ===

impl JudgeForm {
    /// What it asks for, as the API would be asked.
    async fn judgement(&self, shared: &Shared, finding: &Finding) -> Result<Judgement, Problem> {
        let is_accepted = match self.state.as_str() {
            "accepted" => true,
            "open" => false,
            _ => return Err(Problem::bad_request("state is `accepted` or `open`")),
        };
        let mut judgement = Judgement {
            state: if is_accepted { Judged::Accepted } else { Judged::Open },
            note: self.note.clone(),
            expires_in: Some(self.expires_in.clone()).filter(|text| is_accepted && !text.is_empty()),
            max_share: None,
            values: None,
        };
        match self.scope.as_str() {
            "share" if is_accepted => {
                let percent: Result<f64, _> = self.share.trim().parse();
                let percent =
                    percent.map_err(|_| Problem::bad_request("the share is a number of percent"))?;
                judgement.max_share = Some(percent / 100.0);
            }
            "values" if is_accepted => {
                judgement.values = Some(values(&samples(shared, finding).await, finding));
            }
            "any" if is_accepted => {}
            _ if !is_accepted => {}
            _ => return Err(Problem::bad_request("scope is `any`, `values` or `share`")),
        }
        Ok(judgement)
    }
}

/// The samples of a finding that are still kept, oldest first.
async fn samples(shared: &Shared, finding: &Finding) -> Vec<Sample> {
    let mut kept = Vec::new();
    for id in &finding.samples {
        kept.extend(find_sample(shared, &id.to_string()).await.ok());
    }
    kept
}

/// The different pairs of values that a finding has in its samples.
fn values(samples: &[Sample], finding: &Finding) -> Vec<Values> {
    let mut values: Vec<Values> = Vec::new();
    let differences = samples.iter().flat_map(|sample| &sample.differences);
    for difference in differences.filter(|difference| difference.finding == finding.id) {
        let pair = Values { from: difference.from.clone(), to: difference.to.clone() };
        if !values.contains(&pair) {
            values.push(pair);
        }
    }
    values
}

// === impl Screen ===

impl Screen {
    async fn new(shared: &Arc<Shared>, access: &Access, finding: Finding, chosen: Option<u64>) -> Self {
        let frame = Frame::new(shared, access, "/findings");
        let mut kept = samples(shared, &finding).await;
        let values = values(&kept, &finding);
        let first = values.first();
        let (from, to) = (first.and_then(|v| v.from.as_deref()), first.and_then(|v| v.to.as_deref()));
        let samples = kept.iter().map(Tab::of).collect();
        let place = kept.iter().position(|sample| Some(sample.id) == chosen).or(kept.len().checked_sub(1));
        let sample = match place {
            Some(place) => SampleView::of(shared, kept.swap_remove(place), &finding.id).await,
            None => None,
        };
        let may_accept_any = finding.severity != Severity::Value;
        let scope = if may_accept_any { "any" } else { "share" };
        Screen {
            hint: hint(finding.class, finding.kind, &shared.names, from, to),
            accepted: finding.accepted.as_ref().map(Accepted::of),
            may_accept_any,
            values: values.len(),
            form: Filled {
                note: String::new(),
                scope: scope.to_owned(),
                share: "1".to_owned(),
                expires_in: "7d".to_owned(),
            },
            samples,
            sample,
            sentence: told(&finding.sentence, SENTENCE),
            finding: Shown::of(finding, shared),
            rechecked: None,
            outcome: None,
            frame,
        }
    }

    fn answer(&self, status: StatusCode) -> Result<Response, Problem> {
        html_as(status, self)
    }
}

// === impl Shown ===

impl Shown {
    fn of(finding: Finding, shared: &Shared) -> Self {
        let (compared, occurred) = shared.ledger.occurrences(&finding);
        let share = match (occurred, compared) {
            (0, _) => String::new(),
            (some, all) if some == all => {
                format!("on every answer of {} that was compared lately", finding.route)
            }
            (some, all) => {
                format!("on {some} of {all} answers of {} that were compared lately", finding.route)
            }
        };
        Shown {
            share,
            kind: finding.kind.as_str(),
            class: finding.class.as_str(),
            severity: finding.severity.as_str(),
            state: finding.state.as_str(),
            is_transient: finding.transient,
            times: words::counted(finding.count, "time"),
            first_seen: words::time(finding.first_seen),
            last_seen: words::time(finding.last_seen),
            last_ago: words::ago(finding.last_seen, Utc::now()),
            id: finding.id,
            sentence: finding.sentence,
            route: finding.route,
            path: finding.path,
        }
    }
}

// === impl Tab ===

impl Tab {
    fn of(sample: &Sample) -> Self {
        let more = if sample.target.chars().count() > TARGET { "…" } else { "" };
        let target: String = sample.target.chars().take(TARGET).collect();
        Tab { id: sample.id, name: format!("{}{more}", words::visible(&target)) }
    }
}

// === impl Accepted ===

impl Accepted {
    fn of(acceptance: &Acceptance) -> Self {
        let until = match acceptance.expires_at {
            Some(time) => format!("until {}", words::time(time)),
            None => "for ever".to_owned(),
        };
        let scope = match (acceptance.max_share, &acceptance.values) {
            (Some(share), _) => {
                let Acceptance { occurred, compared, .. } = acceptance;
                let share = words::percent(share);
                format!("in at most {share} of the comparisons (so far {occurred} of {compared})")
            }
            (None, Some(values)) => {
                format!("for {} only", words::counted(values.len() as u64, "pair of values"))
            }
            (None, None) => String::new(),
        };
        Accepted { at: words::time(acceptance.at), until, scope, note: words::visible(&acceptance.note) }
    }
}
