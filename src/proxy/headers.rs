//! Headers on their way through: hop-by-hop ones end here (RFC 9110, 7.6.1), forwarding ones are added.

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri, Version};

use crate::ledger::outcome::Reason;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Headers that make a request conditional: its answer depends on what the client holds.
const CONDITIONAL: [HeaderName; 5] = [
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_MATCH,
    header::IF_UNMODIFIED_SINCE,
    header::IF_RANGE,
];

/// Why a request is not compared, whatever its path.
#[must_use]
pub fn why_not_compared<B: http_body::Body>(request: &Request<B>) -> Option<Reason> {
    let headers = request.headers();
    if is_upgrade(headers) {
        Some(Reason::Upgrade)
    } else if request.method() == Method::HEAD {
        Some(Reason::Head)
    } else if request.method() != Method::GET {
        Some(Reason::Method)
    } else if CONDITIONAL.iter().any(|name| headers.contains_key(name)) {
        Some(Reason::Conditional)
    } else if headers.contains_key(header::RANGE) {
        Some(Reason::Range)
    } else if !request.body().is_end_stream() {
        Some(Reason::Body)
    } else {
        None
    }
}

fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(header::UPGRADE)
        && connection_tokens(headers).any(|token| token.eq_ignore_ascii_case("upgrade"))
}

/// Removes what is meant for one connection only. An upgrade keeps the two headers that ask for it.
pub fn strip_hop_by_hop(headers: &mut HeaderMap, is_upgrade: bool) {
    let named: Vec<HeaderName> = connection_tokens(headers).filter_map(|token| token.parse().ok()).collect();
    let takes_trailers = headers
        .get_all(header::TE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.to_ascii_lowercase().contains("trailers"));
    if headers.contains_key(header::TRANSFER_ENCODING) {
        // The chunks say how long the body is; a length beside them is wrong (RFC 9112, 6.3).
        headers.remove(header::CONTENT_LENGTH);
    }
    let upgrade = if is_upgrade { headers.remove(header::UPGRADE) } else { None };
    for name in named {
        // Host is no option of a connection, whoever says so.
        if name != header::HOST {
            headers.remove(name);
        }
    }
    for name in [
        header::CONNECTION,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        header::TE,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ] {
        headers.remove(name);
    }
    if let Some(upgrade) = upgrade {
        headers.insert(header::UPGRADE, upgrade);
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    } else if takes_trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
    }
}

/// Whether it cannot be told which host is meant: HTTP/1.1 asks for exactly one Host (RFC 9112, 3.2).
#[must_use]
pub fn host_is_ambiguous<B>(request: &Request<B>) -> bool {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11)
}

/// Whether a request with these headers has a body.
#[must_use]
pub fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
}

/// Says for whom the request is: the address is appended, protocol and host are set where nobody did before.
pub fn forwarded(headers: &mut HeaderMap, client: IpAddr) {
    let before: Vec<&[u8]> = headers.get_all(FORWARDED_FOR).iter().map(HeaderValue::as_bytes).collect();
    let mut chain = before.join(&b", "[..]);
    if !chain.is_empty() {
        chain.extend_from_slice(b", ");
    }
    chain.extend_from_slice(client.to_canonical().to_string().as_bytes());
    if let Ok(chain) = HeaderValue::from_bytes(&chain) {
        headers.insert(FORWARDED_FOR, chain);
    }
    headers.entry(FORWARDED_PROTO).or_insert(HeaderValue::from_static("http"));
    if let Some(host) = headers.get(header::HOST).cloned() {
        headers.entry(FORWARDED_HOST).or_insert(host);
    }
}

/// A target in absolute form names the host; a Host header beside it is wrong (RFC 9112, 3.2.2).
pub fn use_target_authority(uri: &Uri, headers: &mut HeaderMap) {
    if let Some(authority) = uri.authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        headers.insert(header::HOST, host);
    }
}

fn connection_tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        map
    }

    #[test]
    fn hop_by_hop_headers_and_those_that_connection_names_are_removed() {
        let mut map = headers(&[
            ("connection", "close, X-One"),
            ("connection", "x-two"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("x-three", "3"),
            ("keep-alive", "5"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
        ]);
        strip_hop_by_hop(&mut map, false);
        assert_eq!(map, headers(&[("x-three", "3")]));
    }

    #[test]
    fn an_upgrade_keeps_what_asks_for_it() {
        let mut map = headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]);
        strip_hop_by_hop(&mut map, true);
        assert_eq!(map, headers(&[("upgrade", "websocket"), ("connection", "upgrade")]));
    }

    #[test]
    fn the_client_is_appended_to_the_chain() {
        let mut map =
            headers(&[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "2.2.2.2"), ("host", "a:1")]);
        forwarded(&mut map, "::ffff:10.0.0.1".parse().unwrap());
        assert_eq!(map.get(FORWARDED_FOR).unwrap(), "1.1.1.1, 2.2.2.2, 10.0.0.1");
        assert_eq!(map.get(FORWARDED_HOST).unwrap(), "a:1");
        assert_eq!(map.get(FORWARDED_PROTO).unwrap(), "http");
    }
}
