//! Who may write: the token of the dashboard's writers, compared so that time tells nothing of it, not even its length.

use http::{HeaderMap, StatusCode, header};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::Refusal;
use crate::config::{Secret, WriteSecrets};

const INGEST_HEADER: &str = "x-ingest-token";

/// Whether a delete may be made.
pub(super) fn delete(headers: &HeaderMap, secrets: &WriteSecrets) -> Result<(), Refusal> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = given
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let token = bearer.map(|(_, token)| token.trim().as_bytes());
    check(token, secrets.sync.as_ref(), "SYNC_SECRET", "`Authorization: Bearer`")
}

/// Whether a report may be brought.
pub(super) fn ingest(headers: &HeaderMap, secrets: &WriteSecrets) -> Result<(), Refusal> {
    let token = headers.get(INGEST_HEADER).map(http::HeaderValue::as_bytes);
    check(token, secrets.ingest.as_ref(), "INGEST_TOKEN", "`X-INGEST-TOKEN`")
}

fn check(given: Option<&[u8]>, secret: Option<&Secret>, variable: &str, place: &str) -> Result<(), Refusal> {
    let refuse = |sentence: String| Err(Refusal { status: StatusCode::UNAUTHORIZED, sentence });
    let Some(secret) = secret else {
        return refuse(format!(
            "this write needs a secret and none is configured; set {variable} for flipgate"
        ));
    };
    let hash = |bytes: &[u8]| Sha256::digest(bytes);
    let is_it = given.is_some_and(|given| hash(given).ct_eq(&hash(secret.reveal().as_bytes())).into());
    if is_it { Ok(()) } else { refuse(format!("this write needs {variable} in {place}")) }
}
