//! `/writes`: what each store does not have yet, and what an operator makes of it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{ConnectInfo, Path, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use http::StatusCode;
use serde::Deserialize;

use super::frame::{Frame, Notice};
use super::{html_as, to, words};
use crate::admin::access::Access;
use crate::admin::form::CheckedForm;
use crate::admin::problem::Problem;
use crate::admin::writes::{self as deciding, MOST, WriteRequest};
use crate::admin::{App, Caller};
use crate::app::Shared;
use crate::journal::{Action, Counts, State as Stand, View};
use crate::side::Side;

/// This screen.
const HERE: &str = "/writes";
/// Longest word of a backend on what it refused, in characters.
const SAID: usize = 300;
/// Keys of one write that are shown.
const KEYS: usize = 8;
/// Longest key shown, in characters.
const KEY: usize = 80;

#[derive(Template)]
#[template(path = "admin/writes.html")]
struct Screen {
    is_mirrored: bool,
    stores: Vec<Store>,
    writes: Vec<Line>,
    is_cut: bool,
    outcome: Option<Notice>,
    /// The write that was decided about without success, and the reason that was given.
    given: (String, String),
    frame: Frame,
}

/// What one store does not have yet.
struct Store {
    name: String,
    pending: u64,
    parked: u64,
    in_doubt: u64,
    oldest: Option<Moment>,
}

/// A time, and how long ago that was.
struct Moment {
    at: String,
    ago: String,
}

/// One write.
struct Line {
    id: String,
    state: &'static str,
    /// How bad that is: the class of its tag.
    weight: &'static str,
    may_be_decided: bool,
    route: String,
    keys: Vec<String>,
    more_keys: usize,
    leader: String,
    backend: String,
    at: Moment,
    tries: u32,
    said: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct WriteForm {
    action: String,
    #[serde(default)]
    reason: String,
}

/// `GET /writes`.
pub(in crate::admin) async fn writes(State(shared): App, access: Access) -> Result<Response, Problem> {
    Screen::new(&shared, &access).answer(StatusCode::OK)
}

/// `POST /writes/{id}`: has it delivered again, or gives it up.
pub(in crate::admin) async fn decide(
    State(shared): App,
    ConnectInfo(caller): Caller,
    access: Access,
    Path(id): Path<String>,
    CheckedForm(form): CheckedForm<WriteForm>,
) -> Result<Response, Problem> {
    let WriteForm { action, reason } = form;
    let decided = match action_of(&action) {
        Ok(action) => {
            let request = WriteRequest { action, reason: reason.clone() };
            deciding::apply(&shared, id.clone(), request, caller.to_string()).await
        }
        Err(problem) => Err(problem),
    };
    match decided {
        Ok(_) => Ok(to(HERE)),
        Err(problem) => {
            let mut screen = Screen::new(&shared, &access);
            screen.outcome = Some(Notice::bad(format!("Not done: {}.", problem.detail())));
            screen.given = (id, reason);
            screen.answer(problem.status())
        }
    }
}

fn action_of(text: &str) -> Result<Action, Problem> {
    match text {
        "retry" => Ok(Action::Retry),
        "discard" => Ok(Action::Discard),
        _ => Err(Problem::bad_request("`action` is `retry` or `discard`")),
    }
}

// === impl Screen ===

impl Screen {
    fn new(shared: &Arc<Shared>, access: &Access) -> Self {
        let now = Utc::now();
        let frame = Frame::new(shared, access, HERE);
        let stores = Side::BOTH.map(|side| Store::new(shared.names.get(side), frame.lacking.get(side), now));
        let writes = shared.journal.as_ref().map(|journal| journal.list(None, MOST + 1)).unwrap_or_default();
        Screen {
            is_mirrored: deciding::is_mirrored(shared),
            stores: stores.into(),
            is_cut: writes.len() > MOST,
            writes: writes.into_iter().take(MOST).map(|write| Line::new(write, now)).collect(),
            outcome: None,
            given: Default::default(),
            frame,
        }
    }

    fn answer(&self, status: StatusCode) -> Result<Response, Problem> {
        html_as(status, self)
    }

    /// The reason that was given for this write already.
    fn reason(&self, line: &Line) -> &str {
        if self.given.0 == line.id { &self.given.1 } else { "" }
    }
}

// === impl Store ===

impl Store {
    fn new(name: &str, counts: &Counts, now: DateTime<Utc>) -> Self {
        let Counts { pending, parked, in_doubt, oldest } = *counts;
        let oldest = oldest.map(|oldest| Moment::new(oldest, now));
        Store { name: name.to_owned(), pending, parked, in_doubt, oldest }
    }
}

// === impl Moment ===

impl Moment {
    fn new(at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        Moment { at: words::time(at), ago: words::ago(at, now) }
    }
}

// === impl Line ===

impl Line {
    fn new(write: View, now: DateTime<Utc>) -> Self {
        let View { id, state, backend, leader, route, keys, at, tries, last_error } = write;
        let (state, weight, may_be_decided) = match state {
            Stand::Sending => ("sending", "", false),
            Stand::Pending => ("pending", "", true),
            Stand::InDoubt => ("in doubt", "warn", true),
            Stand::Parked => ("parked", "bad", true),
        };
        let at = match DateTime::parse_from_rfc3339(&at) {
            Ok(time) => Moment::new(time.with_timezone(&Utc), now),
            Err(_) => Moment { at, ago: String::new() },
        };
        Line {
            id,
            state,
            weight,
            may_be_decided,
            route: words::visible(&route),
            more_keys: keys.len().saturating_sub(KEYS),
            keys: keys.iter().take(KEYS).map(|key| cut(key, KEY)).collect(),
            leader,
            backend,
            at,
            tries,
            said: cut(&last_error, SAID),
        }
    }
}

/// Text of others, cut at `most` characters.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => words::visible(&format!("{}…", text.get(..end).unwrap_or_default())),
        None => words::visible(text),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::cutover::gate::Readiness;
    use crate::side::Pair;
    use crate::state::{Stored, rfc3339};

    /// What would run if it were not text.
    const HOSTILE: &str = r#"</td><script>alert(1)</script><img src=x onerror=alert(2)>"'{{7*7}}"#;

    fn frame(may_change: bool) -> Frame {
        let names = Pair { from: "old".to_owned(), to: "new".to_owned() };
        Frame {
            sources: names.clone(),
            names,
            screen: HERE,
            serving: String::new(),
            dial: 0,
            ready: false,
            is_latched: false,
            may_change,
            may_log_out: false,
            csrf: "token".to_owned(),
            notices: Vec::new(),
            version: "0",
            assets: "0",
            undecided: 2,
            lacking: Pair::default(),
            stored: Stored::new(0, String::new()),
            readiness: Readiness { ready: false, epoch: 1, conditions: Vec::new() },
        }
    }

    fn write(id: &str, state: Stand, said: &str) -> View {
        View {
            id: id.to_owned(),
            state,
            backend: "new".to_owned(),
            leader: "old".to_owned(),
            route: "DELETE /api/delete/{id}".to_owned(),
            keys: vec![HOSTILE.to_owned(), "k".repeat(200)],
            at: rfc3339(Utc::now() - TimeDelta::seconds(300)),
            tries: 4,
            last_error: said.to_owned(),
        }
    }

    fn rendered(may_change: bool) -> String {
        let now = Utc::now();
        let writes = [
            write("w1", Stand::Parked, HOSTILE),
            write("w2", Stand::InDoubt, "404: no \u{202e}such record"),
            write("w3", Stand::Pending, &"x".repeat(5000)),
            write("w4", Stand::Sending, ""),
        ];
        let counts =
            Counts { pending: 1, parked: 1, in_doubt: 1, oldest: Some(now - TimeDelta::seconds(300)) };
        let screen = Screen {
            is_mirrored: true,
            stores: vec![Store::new("old", &Counts::default(), now), Store::new("new", &counts, now)],
            writes: writes.into_iter().map(|write| Line::new(write, now)).collect(),
            is_cut: true,
            outcome: Some(Notice::bad("Not done: no.")),
            given: ("w2".to_owned(), HOSTILE.to_owned()),
            frame: frame(may_change),
        };
        screen.render().unwrap()
    }

    #[test]
    fn what_a_store_refused_with_is_text_and_cut() {
        let text = rendered(true);
        for markup in
            ["<script>", "<img", "onerror=alert(2)>", "\u{202e}", &"x".repeat(SAID + 1), &"k".repeat(KEY + 1)]
        {
            assert!(!text.contains(markup), "{markup} in:\n{text}");
        }
        assert!(text.matches("script&#62;alert(1)").count() >= 6, "{text}");
        assert!(text.contains("404: no \\u202esuch record"), "{text}");
        assert!(text.contains("(5 min ago)"), "{text}");
    }

    #[test]
    fn who_may_change_something_decides_about_all_but_what_is_under_way() {
        let text = rendered(true);
        for (id, is_offered) in [("w1", true), ("w2", true), ("w3", true), ("w4", false)] {
            assert_eq!(text.contains(&format!("action=\"/writes/{id}\"")), is_offered, "{id}:\n{text}");
        }
        assert!(text.contains("data-fold=\"w2\" open"), "the reason that was given is hidden:\n{text}");
        assert!(text.contains(">2</span>"), "the menu does not count them:\n{text}");
        let text = rendered(false);
        assert!(!text.contains("action=\"/writes/"), "{text}");
        assert_eq!(text.matches("needs the full token").count(), 3);
    }
}
