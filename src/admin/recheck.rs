//! `POST /api/samples/{id}/recheck`: ask both sides again now.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde_json::{Value, json};

use super::problem::Problem;
use super::{App, find_sample};
use crate::app::Shared;
use crate::compare::Difference;
use crate::ledger::sample::Sample;
use crate::ledger::sentence::shown;
use crate::shadow::recheck::{Doubt, NotRechecked, Question, Rechecked, Unaskable, doubt, question};

pub(super) async fn recheck(State(shared): App, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let sample = find_sample(&shared, &id).await?;
    let asked = ask(&shared, &sample).await?;
    Ok(Json(document(&sample, &asked)))
}

/// What asking again showed.
pub(super) struct Asked {
    rechecked: Rechecked,
    /// Why it says nothing about the sample; none if it does.
    pub(super) doubt: Option<String>,
}

/// Asks both sides for a sample's request again, now; what that shows counts.
pub(super) async fn ask(shared: &Arc<Shared>, sample: &Sample) -> Result<Asked, Problem> {
    let question = question(sample, &shared.routes).map_err(unaskable)?;
    let Question { route, rules, head } = question;
    // On the clients' runtime: a connection that is made here may serve them later.
    let asking = Arc::clone(shared);
    let asked =
        shared.runtime.spawn(async move { asking.shadow.recheck(&asking.backends, &rules, &head).await });
    let rechecked = asked.await.map_err(|e| Problem::internal(&e))?;
    let rechecked = rechecked.map_err(|why| not_rechecked(shared, &why))?;
    let doubt = doubt(sample, &shared.names, &rechecked);
    if doubt.is_none() {
        shared.ledger.rechecked(route, sample.id, &rechecked.comparison);
    }
    let doubt = doubt.map(|Doubt { now, before }| {
        format!("`{}` answers {} now, in the sample {before}", sample.primary, now.as_u16())
    });
    Ok(Asked { rechecked, doubt })
}

// === impl Asked ===

impl Asked {
    /// Whether both sides agree now.
    pub(super) fn agrees(&self) -> bool {
        let comparison = &self.rechecked.comparison;
        comparison.is_match() || comparison.is_accepted()
    }

    /// What differs now.
    pub(super) fn differences(&self) -> &[Difference] {
        &self.rechecked.comparison.differences
    }
}

fn unaskable(why: Unaskable) -> Problem {
    let why = match why {
        Unaskable::Credentials => {
            "this request carried credentials, which are never stored, so it cannot be asked again; send it anew \
             through the proxy"
        }
        Unaskable::Unreadable => "this request can no longer be read",
        Unaskable::NoRoute => "no route names this request any more",
    };
    Problem::new(StatusCode::CONFLICT, why)
}

fn document(sample: &Sample, asked: &Asked) -> Value {
    let differences: Vec<Value> = asked
        .differences()
        .iter()
        .map(|difference| {
            let value = |value: &Option<String>| value.as_deref().map(|value| shown(difference, value));
            json!({
                "path": difference.path,
                "at": difference.at,
                "kind": difference.kind,
                "class": difference.class,
                "from": value(&difference.from),
                "to": value(&difference.to),
            })
        })
        .collect();
    json!({
        "sample": sample.id,
        "agrees": asked.agrees(),
        "counts": asked.doubt.is_none(),
        "doubt": asked.doubt,
        "differences": differences,
    })
}

fn not_rechecked(shared: &Shared, why: &NotRechecked) -> Problem {
    match why {
        NotRechecked::Busy => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "no place for one more shadow request now; try again",
        ),
        NotRechecked::Failed(side, reason) => {
            let why = format!("`{}` gave no complete answer ({})", shared.names.get(*side), reason.label());
            Problem::new(StatusCode::BAD_GATEWAY, &why)
        }
        NotRechecked::Lost => Problem::internal(&"a recheck's comparison was given up"),
    }
}
