//! That the API is as its document says, by a small reading of JSON Schema: what is answered must be described, member by
//! member, and what is described must be answered.

use serde_json::{Value, json};

use crate::doors::{Doors, Event, FULL, bearer};

/// A document and the schemas it has.
struct Document(Value);

impl Document {
    /// What stands against a value at `at`.
    fn check(&self, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let schema = self.resolved(schema);
        if let Some(choices) = schema["oneOf"].as_array() {
            let tried: Vec<Vec<String>> =
                choices.iter().map(|choice| self.check(choice, value, at)).collect();
            return match tried.iter().filter(|wrong| wrong.is_empty()).count() {
                1 => Vec::new(),
                _ => tried.concat(),
            };
        }
        let mut wrong = Vec::new();
        let kinds = schema["type"].as_array().map_or(std::slice::from_ref(&schema["type"]), Vec::as_slice);
        let kinds: Vec<&str> = kinds.iter().filter_map(Value::as_str).collect();
        if !kinds.is_empty() && !kinds.iter().any(|kind| is_a(kind, value)) {
            wrong.push(format!("{at}: {value} is no {kinds:?}"));
        }
        if let Some(known) = schema["enum"].as_array()
            && !known.contains(value)
        {
            wrong.push(format!("{at}: {value} is none of {known:?}"));
        }
        if schema["format"] == "date-time"
            && let Some(text) = value.as_str()
            && chrono::DateTime::parse_from_rfc3339(text).is_err()
        {
            wrong.push(format!("{at}: {value} is no time"));
        }
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            wrong.extend(self.check(&schema["items"], item, &format!("{at}/{index}")));
        }
        if let Some(members) = value.as_object() {
            wrong.extend(self.check_members(schema, members, at));
        }
        wrong
    }

    fn check_members(
        &self,
        schema: &Value,
        members: &serde_json::Map<String, Value>,
        at: &str,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        let all: Vec<&Value> = std::iter::once(schema)
            .chain(schema["allOf"].as_array().into_iter().flatten())
            .map(|part| self.resolved(part))
            .collect();
        for part in &all {
            for name in part["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !members.contains_key(name) {
                    wrong.push(format!("{at}/{name} is missing"));
                }
            }
        }
        if all.iter().any(|part| part["additionalProperties"] == true || part["properties"].is_null()) {
            return wrong;
        }
        for (name, member) in members {
            match all.iter().find_map(|part| part["properties"].get(name)) {
                Some(schema) => wrong.extend(self.check(schema, member, &format!("{at}/{name}"))),
                None => wrong.push(format!("{at}/{name} is not described")),
            }
        }
        wrong
    }

    fn resolved<'d>(&'d self, schema: &'d Value) -> &'d Value {
        match schema["$ref"].as_str() {
            Some(reference) => self.resolved(self.0.pointer(reference.trim_start_matches('#')).unwrap()),
            None => schema,
        }
    }

    fn response(&self, method: &str, path: &str, status: u16) -> &Value {
        &self.0["paths"][path][method.to_lowercase()]["responses"][status.to_string()]
    }

    /// Asserts that an answer is the one described.
    fn assert_answer(&self, method: &str, path: &str, answer: &crate::client::Answer) {
        let what = format!("{method} {path} {}", answer.status);
        let content_type = answer.header("content-type").unwrap();
        let schema = &self.response(method, path, answer.status)["content"][content_type]["schema"];
        assert!(!schema.is_null(), "{what} is not described as {content_type}");
        let wrong = self.check(schema, &answer.json(), "");
        assert!(wrong.is_empty(), "{what}: {wrong:#?}");
    }
}

fn is_a(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_answers_what_its_document_says() {
    let doors = Doors::open().await;
    let (finding, sample) = doors.finding().await;
    let token = bearer(FULL);
    let who = [("Authorization", token.as_str())];
    let document = Document(doors.told("/api/openapi.json").await);
    assert_eq!(document.0["openapi"], "3.1.0");
    let accept = json!({"state": "accepted", "note": "n", "expires_in": "7d", "max_share": 0.5});
    let too_often = json!({"state": "accepted", "max_share": 0.01});
    let cases: [(&str, &str, Option<Value>, u16); 27] = [
        ("GET", "/api/openapi.json", None, 200),
        ("GET", "/api/status", None, 200),
        ("GET", "/api/readiness", None, 200),
        ("GET", "/api/findings", None, 200),
        ("GET", "/api/findings/{id}", None, 200),
        ("GET", "/api/samples/{id}", None, 200),
        ("POST", "/api/samples/{id}/recheck", Some(json!({})), 200),
        ("POST", "/api/primary", Some(json!({"primary": "postgres"})), 409),
        ("POST", "/api/primary", Some(json!({"primary": "postgres", "expect": "split"})), 409),
        ("POST", "/api/primary", Some(json!({"primary": "nobody"})), 400),
        ("POST", "/api/primary", Some(json!({"primary": "postgres", "force": true, "reason": "r"})), 200),
        ("POST", "/api/dial", Some(json!({"percent": 10, "expect": 100})), 200),
        ("POST", "/api/rollback", None, 200),
        ("POST", "/api/latch", None, 200),
        ("POST", "/api/findings/{id}", Some(too_often), 409),
        ("POST", "/api/findings/{id}", Some(json!({"state": "accepted"})), 422),
        ("POST", "/api/findings/{id}", Some(json!({})), 400),
        ("POST", "/api/epoch", Some(json!({"reason": "r"})), 200),
        ("POST", "/api/findings/{id}", Some(accept), 200),
        ("GET", "/api/findings", None, 200),
        ("GET", "/api/audit", None, 200),
        ("GET", "/api/writes", None, 200),
        ("GET", "/api/writes?state=parked", None, 200),
        ("GET", "/api/writes?state=lost", None, 400),
        ("POST", "/api/writes/{id}", Some(json!({"action": "retry", "reason": " "})), 400),
        ("POST", "/api/writes/{id}", Some(json!({"action": "discard", "reason": "r"})), 404),
        ("GET", "/api/status", None, 200),
    ];
    for (method, path, body, status) in cases {
        let id = if path.contains("samples") { sample.to_string() } else { finding.clone() };
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let answer = doors.ask(method, &path.replace("{id}", &id), &who, &body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        document.assert_answer(method, path.split('?').next().unwrap(), &answer);
    }
    for path in ["/api/findings/{id}", "/api/samples/{id}"] {
        let answer = doors.get(&path.replace("{id}", "0"), &who).await;
        assert_eq!(answer.status, 404);
        document.assert_answer("GET", path, &answer);
    }
    document.assert_answer("GET", "/api/status", &doors.get("/api/status", &[]).await);
    let (_, mut stream) = doors.events(&who).await;
    let event = Event::next(&mut stream).await;
    let schema = &document.response("GET", "/api/events", 200)["content"]["text/event-stream"]["schema"];
    assert_eq!(document.check(schema, &event.data, ""), Vec::<String>::new());
}
