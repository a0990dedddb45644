//! Requests of the write API: which change, by whom.

use http::Method;
use serde_json::Value;

use super::members::Members;
use super::payload::Ingest;
use super::{Asked, Change, Refusal, access};
use crate::config::WriteSecrets;
use crate::dashboard::request::{Parameters, segment};

/// Bytes of a name, which an index of PostgreSQL has to hold.
const MOST_NAME_BYTES: usize = 1000;

/// A route of the write API.
enum Route<'a> {
    Ingest,
    Delete,
    /// With the raw name.
    DeleteNamed(&'a str),
}

/// Whether the write API has this request.
pub(crate) fn takes(method: &Method, path: &str) -> bool {
    Route::of(method, path).is_some()
}

/// Whether a request of the write API removes records.
pub(crate) fn deletes(method: &Method, path: &str) -> bool {
    match Route::of(method, path) {
        Some(Route::Delete | Route::DeleteNamed(_)) => true,
        Some(Route::Ingest) | None => false,
    }
}

/// Reads a request that [`takes`] said it has.
pub(super) fn read(asked: &Asked<'_>, secrets: &WriteSecrets) -> Result<Change, Refusal> {
    let (path, query) = asked.target.split_once('?').unwrap_or((asked.target, ""));
    match Route::of(asked.method, path) {
        None => Err(Refusal::bad("this is no path of the write API")),
        Some(Route::Ingest) => {
            access::ingest(asked.headers, secrets)?;
            Ingest::parse(asked.body).map(|ingest| Change::Ingest(Box::new(ingest)))
        }
        Some(Route::Delete) => {
            access::delete(asked.headers, secrets)?;
            named(asked_name(query, asked.body)?)
        }
        Some(Route::DeleteNamed(raw)) => {
            access::delete(asked.headers, secrets)?;
            named(segment(raw).unwrap_or_default())
        }
    }
}

/// The name in the query or the body; both are one, or it is not clear which is meant.
fn asked_name(query: &str, body: &[u8]) -> Result<String, Refusal> {
    let parameters = Parameters::parse(query);
    let by_query = parameters.first("id").map(str::to_owned);
    let by_body = if body.trim_ascii().is_empty() {
        None
    } else {
        match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => Members::new(&members, String::new()).text("id")?,
            Ok(_) | Err(_) => {
                return Err(Refusal::bad("the body should be a JSON object with the member id"));
            }
        }
    };
    match (by_query, by_body) {
        (Some(query), Some(body)) if query != body => {
            Err(Refusal::bad("id is one thing in the query and another in the body; give it once"))
        }
        (Some(name), _) | (None, Some(name)) => Ok(name),
        (None, None) => Err(Refusal::bad("id is required")),
    }
}

fn named(name: String) -> Result<Change, Refusal> {
    if name.trim().is_empty() || name.contains('\0') {
        return Err(Refusal::bad("id should name a record"));
    }
    if name.len() > MOST_NAME_BYTES {
        return Err(Refusal::bad("id is longer than any record's name"));
    }
    Ok(Change::Delete(name))
}

// === impl Route ===

impl<'a> Route<'a> {
    fn of(method: &Method, path: &'a str) -> Option<Self> {
        match (method.as_str(), path) {
            ("POST", "/ingest/report") => Some(Self::Ingest),
            ("POST", "/api/delete") => Some(Self::Delete),
            ("DELETE", _) => {
                let raw = path.strip_prefix("/api/delete/")?;
                (!raw.is_empty() && !raw.contains('/')).then_some(Self::DeleteNamed(raw))
            }
            _ => None,
        }
    }
}
