//! A journalled request as bytes and back; credentials that are configured secrets become references to them.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

use crate::config::WriteSecrets;

/// The header of ingests' tokens.
const INGEST_TOKEN: HeaderName = HeaderName::from_static("x-ingest-token");
const BEARER: &str = "Bearer ";

/// What is sent to both stores.
#[derive(Debug, Clone)]
pub struct Request {
    /// The client's method.
    pub method: Method,
    /// Path and query, byte for byte.
    pub uri: Uri,
    /// As they are sent on.
    pub headers: HeaderMap,
    /// Whole.
    pub body: Bytes,
}

/// How a header's value is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// As it is.
    Value = 0,
    /// It is the configured `SYNC_SECRET` as a bearer token.
    Sync = 1,
    /// It is the configured `INGEST_TOKEN`.
    Ingest = 2,
}

// === impl Request ===

impl Request {
    /// As bytes; each part after its length.
    pub(super) fn encode(&self, secrets: &WriteSecrets) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.size());
        put(&mut bytes, self.method.as_str().as_bytes());
        put(&mut bytes, self.uri.to_string().as_bytes());
        put(&mut bytes, &self.body);
        for (name, value) in &self.headers {
            put(&mut bytes, name.as_str().as_bytes());
            let kept = kept(name, value, secrets);
            bytes.push(kept as u8);
            put(&mut bytes, if kept == Kept::Value { value.as_bytes() } else { &[] });
        }
        bytes
    }

    /// None if these bytes are no request, or a secret that it refers to is configured no more.
    pub(super) fn decode(mut bytes: &[u8], secrets: &WriteSecrets) -> Option<Self> {
        let method = Method::from_bytes(take(&mut bytes)?).ok()?;
        let uri = Uri::try_from(take(&mut bytes)?).ok()?;
        let body = Bytes::copy_from_slice(take(&mut bytes)?);
        let mut headers = HeaderMap::new();
        while !bytes.is_empty() {
            let name = HeaderName::from_bytes(take(&mut bytes)?).ok()?;
            let (kind, rest) = bytes.split_first()?;
            bytes = rest;
            let text = take(&mut bytes)?;
            let mut value = match kind {
                0 => HeaderValue::from_bytes(text),
                1 => HeaderValue::from_str(&format!("{BEARER}{}", secrets.sync.as_ref()?.reveal())),
                2 => HeaderValue::from_str(secrets.ingest.as_ref()?.reveal()),
                _ => return None,
            }
            .ok()?;
            value.set_sensitive(*kind != Kept::Value as u8);
            headers.append(name, value);
        }
        Some(Request { method, uri, headers, body })
    }

    /// Bytes it takes, about.
    #[must_use]
    pub fn size(&self) -> usize {
        let headers: usize =
            self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 9).sum();
        self.body.len() + headers + 256
    }
}

fn kept(name: &HeaderName, value: &HeaderValue, secrets: &WriteSecrets) -> Kept {
    let is = |value: Option<&str>, secret: &Option<crate::config::Secret>| {
        value.is_some_and(|value| secret.as_ref().is_some_and(|secret| secret.reveal() == value))
    };
    let text = value.to_str().ok();
    if *name == header::AUTHORIZATION && is(text.and_then(|text| text.strip_prefix(BEARER)), &secrets.sync) {
        Kept::Sync
    } else if *name == INGEST_TOKEN && is(text, &secrets.ingest) {
        Kept::Ingest
    } else {
        Kept::Value
    }
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
    bytes.extend_from_slice(part);
}

fn take<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (part, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    Some(part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Secret;

    fn request(headers: &[(&'static str, &str)], body: &[u8]) -> Request {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let uri = Uri::from_static("/api/delete/yt%3Aa?x=1");
        Request { method: Method::DELETE, uri, headers: map, body: Bytes::copy_from_slice(body) }
    }

    #[test]
    fn a_configured_secret_is_a_reference_that_follows_its_rotation() {
        let secrets = |sync: &str, ingest: &str| WriteSecrets {
            sync: Some(Secret::new(sync.into())),
            ingest: Some(Secret::new(ingest.into())),
        };
        let headers = [
            ("authorization", "Bearer old-sync"),
            ("x-ingest-token", "old-token"),
            ("cookie", "a=1"),
            ("cookie", "b=2"),
        ];
        let bytes = request(&headers, b"{}").encode(&secrets("old-sync", "old-token"));
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("old-sync") && !text.contains("old-token"), "{text}");
        let again = Request::decode(&bytes, &secrets("new-sync", "new-token")).unwrap();
        assert_eq!(again.headers["authorization"], "Bearer new-sync");
        assert_eq!(again.headers["x-ingest-token"], "new-token");
        assert_eq!(again.headers.get_all("cookie").iter().count(), 2);
        assert_eq!(
            (again.uri.to_string().as_str(), &again.body[..]),
            ("/api/delete/yt%3Aa?x=1", b"{}".as_slice())
        );
        assert!(Request::decode(&bytes, &WriteSecrets::default()).is_none());
        // Another token than the configured one is the client's own.
        let own = request(&[("authorization", "Bearer other")], b"").encode(&secrets("s", "i"));
        assert_eq!(
            Request::decode(&own, &WriteSecrets::default()).unwrap().headers["authorization"],
            "Bearer other"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Request::decode(&bytes, &WriteSecrets::default());
        }
    }
}
