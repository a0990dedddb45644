//! Cookies that are flipgate's own. A browser knows no ports, so it sends the admin side's session to the application
//! behind the proxy as well, if both have one host; that is the one thing a client's request loses here.

use http::header::{self, HeaderMap, HeaderValue};

/// What the names of sessions' cookies begin with.
pub const SESSION: &str = "flipgate_session_";

/// Takes sessions of the admin side out of a request; all else stays as it came, byte for byte.
pub fn strip_sessions(headers: &mut HeaderMap) {
    if !headers.get_all(header::COOKIE).iter().any(|value| has_session(value.as_bytes())) {
        return;
    }
    let kept: Vec<HeaderValue> =
        headers.get_all(header::COOKIE).iter().filter_map(without_sessions).collect();
    headers.remove(header::COOKIE);
    for value in kept {
        headers.append(header::COOKIE, value);
    }
}

/// A header's value without sessions; `None` if nothing is left.
fn without_sessions(value: &HeaderValue) -> Option<HeaderValue> {
    let bytes = value.as_bytes();
    if !has_session(bytes) {
        return Some(value.clone());
    }
    let mut kept: Vec<&[u8]> = bytes.split(|byte| *byte == b';').filter(|pair| !is_session(pair)).collect();
    if let Some(first) = kept.first_mut() {
        // It may follow a pair that is gone, and then begins with the blank that stood between them.
        *first = first.trim_ascii_start();
    }
    let joined = kept.join(&b';');
    if joined.trim_ascii().is_empty() {
        return None;
    }
    HeaderValue::from_bytes(&joined).ok()
}

fn has_session(value: &[u8]) -> bool {
    value.split(|byte| *byte == b';').any(is_session)
}

fn is_session(pair: &[u8]) -> bool {
    pair.trim_ascii_start().starts_with(SESSION.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The Cookie headers that are left of these.
    fn left(values: &[&str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::COOKIE, value.parse().unwrap());
        }
        headers.insert(header::ACCEPT, HeaderValue::from_static("flipgate_session_1=no cookie"));
        strip_sessions(&mut headers);
        assert_eq!(headers.get(header::ACCEPT).unwrap(), "flipgate_session_1=no cookie");
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        headers.get_all(header::COOKIE).iter().map(text).collect()
    }

    #[test]
    fn a_session_goes_wherever_it_stands() {
        assert_eq!(left(&["flipgate_session_9900=x; a=1; b=2"]), ["a=1; b=2"]);
        assert_eq!(left(&["a=1; flipgate_session_9900=x; b=2"]), ["a=1; b=2"]);
        assert_eq!(left(&["a=1; b=2; flipgate_session_9900=x"]), ["a=1; b=2"]);
        assert_eq!(left(&["a=1;flipgate_session_9900=x;b=2"]), ["a=1;b=2"]);
        assert_eq!(left(&["flipgate_session_1=x; flipgate_session_2=y; a=1; flipgate_session_1=z"]), ["a=1"]);
    }

    #[test]
    fn a_header_that_had_nothing_else_goes_as_a_whole() {
        assert!(left(&["flipgate_session_9900=x"]).is_empty());
        assert!(left(&[" flipgate_session_9900=x ; "]).is_empty());
        assert_eq!(left(&["flipgate_session_9900=x", "a=1"]), ["a=1"]);
    }

    #[test]
    fn what_only_looks_alike_stays() {
        for cookie in
            ["my_flipgate_session_9900=x", "a=flipgate_session_9900", "Flipgate_session_1=x", "; ;a", ""]
        {
            assert_eq!(left(&[cookie]), [cookie]);
        }
    }

    proptest! {
        #[test]
        fn all_others_stay_byte_for_byte(
            pairs in prop::collection::vec("[a-z]{1,4}=[ -:<-~]{0,6}[!-:<-~]", 1..5),
            at in 0..5_usize,
            port in any::<u16>(),
        ) {
            let plain = pairs.join("; ");
            prop_assert_eq!(left(&[&plain]), [plain.clone()]);
            let mut with = pairs;
            with.insert(at.min(with.len()), format!("{SESSION}{port}=0123456789abcdef"));
            prop_assert_eq!(left(&[&with.join("; ")]), [plain]);
        }
    }
}
