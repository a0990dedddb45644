//! `GET /api/openapi.json`: what the API takes and answers, for programs. Paths come from the table of endpoints, the
//! schemas are written by hand.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::endpoint::{Endpoint, Kind, Reach};
use super::problem::Problem;

/// What is answered.
const SCHEMAS: &str = include_str!("openapi/schemas.json");
/// What is asked.
const REQUESTS: &str = include_str!("openapi/requests.json");

/// What an endpoint takes and answers, beyond problems.
#[derive(Debug, Default)]
struct Operation {
    /// Schema of the body it takes.
    takes: Option<&'static str>,
    /// Whether it can do without one.
    takes_nothing: bool,
    /// Query parameters.
    query: &'static [&'static str],
    /// Content type and schema of the answer.
    answers: Answer,
    /// Other statuses, and what they mean.
    others: &'static [(&'static str, &'static str, Answer)],
}

#[derive(Debug, Default, Clone, Copy)]
enum Answer {
    #[default]
    Text,
    Json(&'static str),
    Problem,
    Events,
    /// Any document.
    Document,
}

const NO_FINDING: (&str, &str, Answer) = ("404", "No finding has this id.", Answer::Problem);
const NO_SAMPLE: (&str, &str, Answer) = ("404", "No sample has this id any more.", Answer::Problem);
const NO_WRITE: (&str, &str, Answer) =
    ("404", "No such write is pending, parked or in doubt.", Answer::Problem);
const UNUSABLE: (&str, &str, Answer) = ("400", "The body is not the one expected.", Answer::Problem);
const UNUSABLE_QUERY: (&str, &str, Answer) = ("400", "The query is not the one expected.", Answer::Problem);
const REFUSED: (&str, &str, Answer) = ("409", "Nothing changed, and why.", Answer::Json("Refusal"));
const UNKEPT: (&str, &str, Answer) = ("503", "The state could not be kept.", Answer::Problem);

/// `GET /api/openapi.json`.
pub(super) async fn document() -> Result<Response, Problem> {
    Ok(Json(made().map_err(|e| Problem::internal(&e))?).into_response())
}

fn made() -> serde_json::Result<Value> {
    let mut schemas: Map<String, Value> = serde_json::from_str(SCHEMAS)?;
    schemas.extend(serde_json::from_str::<Map<String, Value>>(REQUESTS)?);
    let mut paths = Map::new();
    for endpoint in Endpoint::ALL.iter().filter(|endpoint| endpoint.kind() == Kind::Api) {
        let path = paths.entry(endpoint.path()).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(endpoint.method().as_str().to_lowercase(), described(*endpoint));
        }
    }
    Ok(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "flipgate, admin side",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Times are RFC 3339 in UTC, durations seconds. Errors are application/problem+json.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "flipgate_session_PORT",
                    "description": "From /login; what changes something needs its x-csrf-token, too.",
                },
            },
        },
    }))
}

fn operation(endpoint: Endpoint) -> Option<Operation> {
    let gets = |schema| Operation { answers: Answer::Json(schema), ..Operation::default() };
    let changes =
        |takes| Operation { takes: Some(takes), others: &[UNUSABLE, REFUSED, UNKEPT], ..gets("Status") };
    let reasoned = Operation { takes_nothing: true, others: &[UNUSABLE, UNKEPT], ..changes("ReasonRequest") };
    Some(match endpoint {
        Endpoint::Health => Operation::default(),
        Endpoint::Ready => Operation {
            others: &[("503", "The primary gave no answer to the last request.", Answer::Text)],
            ..Operation::default()
        },
        Endpoint::Metrics => Operation::default(),
        Endpoint::Document => Operation { answers: Answer::Document, ..Operation::default() },
        Endpoint::Status => gets("Status"),
        Endpoint::Readiness => gets("Readiness"),
        Endpoint::Primary => changes("PrimaryRequest"),
        Endpoint::Dial => changes("DialRequest"),
        Endpoint::Rollback => Operation { answers: Answer::Json("StatusAfterRollback"), ..reasoned },
        Endpoint::Epoch | Endpoint::Latch => reasoned,
        Endpoint::Findings => Operation { query: &["route", "state", "severity"], ..gets("Findings") },
        Endpoint::Finding => Operation { others: &[NO_FINDING], ..gets("FindingWithSamples") },
        Endpoint::Judge => Operation {
            takes: Some("Judgement"),
            others: &[
                UNUSABLE,
                NO_FINDING,
                ("409", "It occurs too often already.", Answer::Problem),
                ("422", "It cannot be accepted so.", Answer::Problem),
                UNKEPT,
            ],
            ..gets("FindingWithSamples")
        },
        Endpoint::Sample => Operation { others: &[NO_SAMPLE, UNKEPT], ..gets("Sample") },
        Endpoint::Recheck => Operation {
            others: &[
                NO_SAMPLE,
                ("409", "This request cannot be asked again.", Answer::Problem),
                ("502", "A backend gave no complete answer.", Answer::Problem),
                ("503", "No place for one more shadow request now.", Answer::Problem),
            ],
            ..gets("Recheck")
        },
        Endpoint::Writes => Operation { query: &["state"], others: &[UNUSABLE_QUERY], ..gets("Writes") },
        Endpoint::Write => Operation {
            takes: Some("WriteRequest"),
            others: &[UNUSABLE, NO_WRITE, ("409", "Not as it stands, and why.", Answer::Problem), UNKEPT],
            ..gets("Write")
        },
        Endpoint::Audit => Operation { others: &[UNKEPT], ..gets("Audit") },
        Endpoint::Events => Operation {
            answers: Answer::Events,
            others: &[("503", "Too many streams are open.", Answer::Problem)],
            ..Operation::default()
        },
        Endpoint::Login
        | Endpoint::LogIn
        | Endpoint::LogOut
        | Endpoint::OverviewPage
        | Endpoint::FindingsPage
        | Endpoint::FindingPage
        | Endpoint::FlipPage
        | Endpoint::WritesPage
        | Endpoint::AuditPage
        | Endpoint::FlipForm
        | Endpoint::DialForm
        | Endpoint::RollbackForm
        | Endpoint::LatchForm
        | Endpoint::EpochForm
        | Endpoint::FindingForm
        | Endpoint::RecheckForm
        | Endpoint::WriteForm
        | Endpoint::Asset => return None,
    })
}

fn described(endpoint: Endpoint) -> Value {
    let operation = operation(endpoint).unwrap_or_default();
    let mut responses = Map::new();
    responses.insert("200".into(), answer(endpoint.summary(), operation.answers));
    for (status, meaning, content) in operation.others {
        responses.insert((*status).into(), answer(meaning, *content));
    }
    if endpoint.reach() > Reach::Nothing {
        responses.insert("401".into(), answer("A token is needed.", Answer::Problem));
    }
    if endpoint.reach() == Reach::Everything {
        responses.insert("403".into(), answer("This token or session may not.", Answer::Problem));
    }
    let mut described = json!({
        "operationId": format!("{endpoint:?}").to_lowercase(),
        "summary": endpoint.summary(),
        "parameters": parameters(endpoint.path(), operation.query),
        "responses": responses,
        "security": security(endpoint.reach()),
    });
    if let (Some(schema), Some(members)) = (operation.takes, described.as_object_mut()) {
        let body = json!({
            "required": !operation.takes_nothing,
            "content": { "application/json": { "schema": reference(schema) } },
        });
        members.insert("requestBody".into(), body);
    }
    described
}

fn parameters(path: &str, query: &[&str]) -> Vec<Value> {
    let parameter = |name: &str, place: &str| json!({ "name": name, "in": place, "required": place == "path", "schema": { "type": "string" } });
    let in_path = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path.map(|name| parameter(name, "path"));
    in_path.chain(query.iter().map(|name| parameter(name, "query"))).collect()
}

/// Any of these; none where nobody is asked who they are.
fn security(reach: Reach) -> Vec<Value> {
    match reach {
        Reach::Nothing => Vec::new(),
        Reach::Reading | Reach::Everything => vec![json!({ "bearer": [] }), json!({ "session": [] })],
    }
}

fn answer(description: &str, answer: Answer) -> Value {
    let (content_type, schema) = match answer {
        Answer::Text => ("text/plain", json!({ "type": "string" })),
        Answer::Json(schema) => ("application/json", reference(schema)),
        Answer::Problem => ("application/problem+json", reference("Problem")),
        // 3.1 has no word for the events of a stream: this is the data of each.
        Answer::Events => ("text/event-stream", reference("StatusEvent")),
        Answer::Document => ("application/json", json!({ "type": "object", "additionalProperties": true })),
    };
    json!({ "description": description, "content": { content_type: { "schema": schema } } })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::compare::Severity;
    use crate::journal::{Action, State as Stand};
    use crate::ledger::finding::State as Judged;
    use crate::shadow::breaker::Standing;

    #[test]
    fn it_has_every_endpoint_of_the_api_and_nothing_else() {
        let document = made().unwrap();
        let mut described = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys() {
                described.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
        let is_api = |endpoint: &&Endpoint| endpoint.kind() == Kind::Api;
        let named = |endpoint: &Endpoint| format!("{} {}", endpoint.method(), endpoint.path());
        assert_eq!(described, Endpoint::ALL.iter().filter(is_api).map(named).collect());
        for endpoint in Endpoint::ALL {
            assert_eq!(operation(*endpoint).is_some(), is_api(&endpoint), "{endpoint:?}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_schema_is_used() {
        let document = made().unwrap();
        let mut used = BTreeSet::new();
        references(&document, &mut used);
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let known: BTreeSet<String> =
            schemas.keys().map(|name| format!("#/components/schemas/{name}")).collect();
        assert_eq!(used, known);
    }

    #[test]
    fn closed_lists_are_those_of_the_code() {
        let schemas = &made().unwrap()["components"]["schemas"];
        let listed = &schemas["Finding"]["properties"]["severity"]["enum"];
        assert_eq!(*listed, json!(Severity::ALL.iter().map(|name| name.as_str()).collect::<Vec<_>>()));
        let listed = &schemas["Finding"]["properties"]["state"]["enum"];
        assert_eq!(*listed, json!(Judged::ALL.map(Judged::as_str)));
        let listed = &schemas["Backend"]["properties"]["breaker"]["enum"];
        assert_eq!(*listed, json!([Standing::Closed, Standing::Open, Standing::HalfOpen]));
        let listed = &schemas["Write"]["properties"]["state"]["enum"];
        assert_eq!(*listed, json!([Stand::Sending, Stand::InDoubt, Stand::Pending, Stand::Parked]));
        let listed = &schemas["WriteRequest"]["properties"]["action"]["enum"];
        assert_eq!(*listed, json!([Action::Retry, Action::Discard]));
    }

    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}
