use std::io::Write as _;

use sha2::{Digest, Sha256};

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Two legs of content type and body, framed or not.
fn legs(content_type: &str, from: (&[u8], bool), to: (&[u8], bool)) -> Vec<String> {
    let headers = headers(&[("content-type", content_type)]);
    let leg = |(bytes, framed)| Leg { status: 200, headers: &headers, body: Body::Whole { bytes, framed } };
    lines(&compare(leg(from), leg(to), &Rules::default()))
}

const BODY: [&str; 1] = [" body value"];
const NONE: [&str; 0] = [];

#[test]
fn another_status_is_the_only_difference() {
    let headers = headers(&[("content-type", JSON)]);
    let leg = |status, bytes| Leg { status, headers: &headers, body: Body::Whole { bytes, framed: true } };
    let comparison = compare(leg(200, b"{}"), leg(500, b"oops"), &Rules::default());
    assert_eq!(lines(&comparison), [" status value"]);
    assert_eq!(comparison.differences[0].severity(), Severity::Breaking);
    assert_eq!(
        (comparison.differences[0].from.as_deref(), comparison.differences[0].to.as_deref()),
        (Some("200"), Some("500"))
    );
}

#[test]
fn configured_headers_are_compared_by_meaning() {
    let by = |from: &[(&str, &str)], to: &[(&str, &str)], rules: &Rules| {
        let (from, to) = (headers(from), headers(to));
        let leg = |headers| Leg { status: 302, headers, body: Body::Whole { bytes: b"", framed: true } };
        lines(&compare(leg(&from), leg(&to), rules))
    };
    let default = Rules::default();
    let content_type = "content-type";
    assert_eq!(
        by(
            &[(content_type, "text/html; charset=utf-8")],
            &[(content_type, "Text/HTML;Charset=\"UTF-8\"")],
            &default
        ),
        NONE
    );
    assert_eq!(
        by(&[(content_type, "text/html")], &[(content_type, "text/html; charset=utf-8")], &default),
        ["content-type header value"]
    );
    assert_eq!(
        by(&[("location", "/a")], &[("location", "/b"), ("server", "x")], &default),
        ["location header value"]
    );
    let links = rules(|spec| spec.headers = vec!["Link".into()]);
    assert_eq!(by(&[("link", "a")], &[], &links), ["link header value"]);
    let mut twice = headers(&[("link", "a")]);
    twice.append("link", HeaderValue::from_static("b"));
    let once = headers(&[("link", "a")]);
    let leg = |headers| Leg { status: 200, headers, body: Body::Whole { bytes: b"", framed: true } };
    assert_eq!(lines(&compare(leg(&once), leg(&twice), &links)), ["link header value"]);
}

#[test]
fn a_truncated_body_is_never_a_match() {
    let cut = br#"{"a":[1,2"#;
    assert_eq!(legs(JSON, (cut, false), (cut, false)), BODY);
    assert_eq!(legs(JSON, (cut, true), (cut, false)), BODY);
    assert_eq!(legs(JSON, (b"{}", false), (b"{}", false)), NONE);
    assert_eq!(legs(JSON, (b"", false), (b"{}", false)), BODY);
    let page = b"<!doctype html><html><body><p>all</p></body></html> <!-- 3 ms -->\n";
    let half = b"<!doctype html><html><body><p>all</p>";
    assert_eq!(legs(HTML, (page, false), (page, false)), NONE);
    assert_eq!(legs(HTML, (half, false), (half, false)), BODY);
    assert_eq!(legs(HTML, (page, true), (half, false)), BODY);
    // A complete page that leaves its end tags out, and says so by its length.
    assert_eq!(legs(HTML, (page, true), (half, true)), NONE);
    assert_eq!(legs(HTML, (b"<p>part</p>", false), (b"<p>part</p>", false)), NONE);
}

#[test]
fn bodies_that_are_not_what_they_say() {
    assert_eq!(legs(JSON, (b"{}", true), (b"<html>", true)), BODY);
    assert_eq!(legs(JSON, (b"{'a'}", true), (b"{'b'}", true)), BODY);
    let smuggled = b"HTTP/1.0 500 Internal Server Error\r\n\r\n";
    assert_eq!(legs(HTML, (smuggled, true), (smuggled, true)), BODY);
    assert_eq!(
        legs("text/plain", (b"HTTP/1.1 is a protocol", true), (b"HTTP/1.1 is a protocol", true)),
        NONE
    );
    let (json, html) = (headers(&[("content-type", JSON)]), headers(&[("content-type", HTML)]));
    let leg = |headers, bytes| Leg { status: 200, headers, body: Body::Whole { bytes, framed: true } };
    let compared = |from, to| lines(&compare(leg(&json, from), leg(&html, to), &Rules::default()));
    assert_eq!(compared(b"{}", b"<p>"), [" body value", "content-type header value"]);
    // The same bytes are the same body, whatever they are called.
    assert_eq!(compared(b"{}", b"{}"), ["content-type header value"]);
}

#[test]
fn bodies_over_the_cap_by_length_and_digest() {
    let headers = headers(&[("content-type", JSON)]);
    let over = |bytes: &[u8]| Leg {
        status: 200,
        headers: &headers,
        body: Body::Over { length: bytes.len() as u64, digest: Sha256::digest(bytes).into() },
    };
    let whole = Leg { status: 200, headers: &headers, body: Body::Whole { bytes: b"{}", framed: true } };
    let rules = Rules::default();
    assert!(compare(over(b"aa"), over(b"aa"), &rules).is_match());
    for (from, to) in [(over(b"aa"), over(b"ab")), (over(b"{}"), whole), (whole, over(b"{}"))] {
        assert_eq!(lines(&compare(from, to, &rules)), BODY);
    }
}

#[test]
fn encodings_of_one_body_match() {
    let body = br#"{"a": 1}"#;
    let encoded = |encoding: &str| headers(&[("content-type", JSON), ("content-encoding", encoding)]);
    let (plain, zipped) = (headers(&[("content-type", JSON)]), encoded("gzip"));
    let leg = |headers, bytes| Leg { status: 200, headers, body: Body::Whole { bytes, framed: true } };
    let rules = Rules::default();
    let packed = gzip(body);
    assert!(compare(leg(&plain, body), leg(&zipped, &packed), &rules).is_match());
    let other = gzip(br#"{"a": 2}"#);
    assert_eq!(lines(&compare(leg(&plain, body), leg(&zipped, &other), &rules)), ["/a changed value"]);
    let broken = compare(leg(&plain, body), leg(&zipped, &packed[..10]), &rules);
    assert_eq!(lines(&broken), BODY);
    assert!(broken.differences[0].to.as_deref().unwrap().contains("gzip"));
    let unknown = encoded("compress");
    let named = compare(leg(&unknown, body), leg(&plain, body), &rules);
    assert!(named.differences[0].from.as_deref().unwrap().contains("`compress`"));
    let bomb = gzip(&vec![b' '; 20 << 20]);
    assert_eq!(compare(leg(&zipped, &bomb), leg(&plain, body), &rules).limited, Some(Limit::Ratio));
}

#[test]
fn text_by_lines_and_bytes_by_digest() {
    let text = "text/plain";
    assert_eq!(legs(text, (b"a\nb\nc\n", true), (b"a\nx\nc\n", true)), ["line[*] changed value"]);
    assert_eq!(legs(text, (b"a\nb\nc\n", true), (b"a\nc\n", true)), ["line[*] removed value"]);
    assert_eq!(legs(text, (b"a\nb\n", true), (b"a\r\nb\r\n", true)), ["line[*] changed whitespace"; 2]);
    assert_eq!(legs("image/png", (b"\x89a", true), (b"\x89b", true)), BODY);
    assert_eq!(legs("image/png", (b"\x89a", true), (b"\x89a", false)), NONE);
    assert_eq!(
        legs("text/plain; charset=latin1", (b"\xe9", true), (b"\xe8", true)),
        ["line[*] changed value"]
    );
}

#[test]
fn charsets_of_one_text_are_one_text() {
    let by = |charset: &str, from: &[u8], to: &[u8]| {
        let (plain, named) = (
            headers(&[("content-type", "text/plain; charset=utf-8")]),
            headers(&[("content-type", &format!("text/plain; charset={charset}"))]),
        );
        let leg = |headers, bytes| Leg { status: 200, headers, body: Body::Whole { bytes, framed: true } };
        let by = rules(|spec| spec.headers = Vec::new());
        lines(&compare(leg(&plain, from), leg(&named, to), &by))
    };
    assert_eq!(by("iso-8859-1", "café €".as_bytes(), b"caf\xe9 \x80"), NONE);
    assert_eq!(by("utf-16le", "hé".as_bytes(), b"h\0\xe9\0"), NONE);
    assert_eq!(by("utf-8", "hé".as_bytes(), b"\xff\xfeh\0\xe9\0"), NONE, "a byte order mark counts more");
    assert_eq!(by("utf-8", "hé".as_bytes(), b"\xef\xbb\xbfh\xc3\xa9"), NONE);
    assert_eq!(by("shift_jis", "日本".as_bytes(), b"\x93\xfa\x96\x7b"), NONE);
    assert_eq!(by("shift_jis", "日本".as_bytes(), b"\x93\xfa\x96\x7a").len(), 1);
    assert_eq!(by("no-such-charset", "hé".as_bytes(), "hé".as_bytes()), NONE);
    assert_eq!(by("utf-8", "hé".as_bytes(), b"h\xff").len(), 1);
    // Not valid in what it says, and not the same either.
    assert_eq!(by("utf-8", b"h\xfe", b"h\xff").len(), 1);
}

#[test]
fn problem_documents_and_feeds_are_what_their_type_says() {
    let problem = "application/problem+json";
    assert_eq!(legs(problem, (b"{\"a\":1}", true), (b"{ \"a\":1}", true)), NONE);
    assert_eq!(legs("application/xhtml+xml", (b"<p>a  b</p>", true), (b"<p>a b</p>", true)), NONE);
}
