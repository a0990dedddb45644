//! Secret members of JSON: in a document, in a page around it, and in strings that hold JSON themselves.

use std::borrow::Cow;
use std::ops::Range;

use super::{BLANK, is_secret, replaced};

/// Longest name looked at, in bytes.
const NAME: usize = 64;

/// A member's name, and where its value starts.
struct Member {
    name: Range<usize>,
    value: usize,
    /// Backslashes before each quote: 0, or more in JSON within strings.
    escapes: usize,
}

/// `text` with the values of secret members blanked, whatever their type.
///
/// Every quote may begin a name: quotes in the prose of a page must not hide the JSON behind them.
pub(super) fn blanked(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut spans = Vec::new();
    let mut position = 0;
    while let Some(quote) = find(bytes, position, |byte| byte == b'"') {
        position = quote + 1;
        if let Some(member) = member_at(bytes, quote)
            && text.get(member.name.clone()).is_some_and(is_secret)
        {
            let end = value_end(bytes, member.value, member.escapes);
            let quote = format!("{}\"", "\\".repeat(member.escapes));
            spans.push((member.value..end, format!("{quote}{BLANK}{quote}")));
            position = end;
        }
    }
    replaced(text, &spans)
}

/// The member whose name opens at `quote`, if one does.
fn member_at(bytes: &[u8], quote: usize) -> Option<Member> {
    let escapes = backslashes(bytes, quote);
    let start = quote + 1;
    let length = bytes.get(start..)?.iter().take(NAME + 1).position(|byte| !is_of_a_name(*byte))?;
    let closing = start + length + escapes;
    let closes = bytes.get(closing) == Some(&b'"') && backslashes(bytes, closing) == escapes;
    if length == 0 || !closes {
        return None;
    }
    let colon = skip_space(bytes, closing + 1);
    (bytes.get(colon) == Some(&b':')).then(|| Member {
        name: start..start + length,
        value: skip_space(bytes, colon + 1),
        escapes,
    })
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// The offset behind the value at `start`; the end of the text where it does not close.
fn value_end(bytes: &[u8], start: usize, escapes: usize) -> usize {
    match bytes.get(start + escapes) {
        Some(b'"') => string_end(bytes, start + escapes, escapes),
        Some(b'{' | b'[') if escapes == 0 => container_end(bytes, start, escapes),
        Some(_) | None => match bytes.get(start) {
            Some(b'{' | b'[') => container_end(bytes, start, escapes),
            Some(_) | None => find(bytes, start, ends_a_scalar).unwrap_or(bytes.len()),
        },
    }
}

fn ends_a_scalar(byte: u8) -> bool {
    matches!(byte, b',' | b'}' | b']' | b'<' | b'"' | b'\\') || byte.is_ascii_whitespace()
}

/// The offset behind the string that opens at `quote`. Each level of JSON in strings doubles the backslashes, so a
/// quote ends a string of its level only if what precedes it is that level's escape after whole escaped backslashes.
fn string_end(bytes: &[u8], quote: usize, escapes: usize) -> usize {
    let mut position = quote + 1;
    while let Some(next) = find(bytes, position, |byte| byte == b'"') {
        // The opening quote bounds the count: what stands before it belongs to no string.
        let run = backslashes(bytes, next).min(next - quote - 1);
        if run % (2 * (escapes + 1)) == escapes {
            return next + 1;
        }
        position = next + 1;
    }
    bytes.len()
}

fn container_end(bytes: &[u8], start: usize, escapes: usize) -> usize {
    let mut depth = 0_usize;
    let mut position = start;
    while let Some(byte) = bytes.get(position) {
        match byte {
            b'"' => {
                position = string_end(bytes, position, escapes);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        position += 1;
        if depth == 0 {
            return position;
        }
    }
    bytes.len()
}

/// How many backslashes stand right before `position`.
fn backslashes(bytes: &[u8], position: usize) -> usize {
    let before = bytes.get(..position).unwrap_or_default();
    before.iter().rev().take_while(|byte| **byte == b'\\').count()
}

fn skip_space(bytes: &[u8], from: usize) -> usize {
    find(bytes, from, |byte| !byte.is_ascii_whitespace()).unwrap_or(bytes.len())
}

fn find(bytes: &[u8], from: usize, wanted: impl Fn(u8) -> bool) -> Option<usize> {
    Some(from + bytes.get(from..)?.iter().position(|byte| wanted(*byte))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_members_are_blanked_whatever_their_type() {
        assert_eq!(
            blanked(r#"{"a":"token","api_key" : "x\"y","n":1,"Token":{"k":["}"]},"secret":12,"z":2}"#),
            r#"{"a":"token","api_key" : "***","n":1,"Token":"***","secret":"***","z":2}"#
        );
        assert_eq!(blanked(r#"{"password":"a\\","b":"c"}"#), r#"{"password":"***","b":"c"}"#);
        assert_eq!(blanked(r#"{"password":"unclosed"#), r#"{"password":"***""#);
    }

    #[test]
    fn json_in_a_string_hides_no_secret() {
        for secret in [r#""x\"y\\""#, "12", r#"{"a":"b\"}"}"#, "null"] {
            let inner = |secret: &str| format!(r#"{{"password": {secret}, "b": "c"}}"#);
            let once = |text: &str| serde_json::json!({ "s": text, "t": 1 }).to_string();
            for (text, wanted) in [
                (once(&inner(secret)), once(&inner("\"***\""))),
                (once(&once(&inner(secret))), once(&once(&inner("\"***\"")))),
            ] {
                assert_eq!(blanked(&text), wanted, "{text}");
            }
        }
    }

    #[test]
    fn quotes_in_prose_hide_no_secret() {
        assert_eq!(blanked(r#"<p>5" x</p>{"token":"x"}"#), r#"<p>5" x</p>{"token":"***"}"#);
    }
}
