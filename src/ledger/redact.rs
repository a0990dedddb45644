//! Blanks secrets by byte span in what is stored or shown. Comparisons see the values before that.

use std::borrow::Cow;

/// Names whose values are secrets, folded to lower case without `-` and `_`.
const SECRET_NAMES: &[&str] = &[
    "password",
    "passwd",
    "secret",
    "token",
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "apikey",
    "authorization",
    "credential",
    "credentials",
    "csrf",
    "csrftoken",
    "csrfmiddlewaretoken",
    "session",
    "sessionid",
    "privatekey",
    "clientsecret",
    "syncsecret",
    "ingesttoken",
    "key",
    "auth",
    "jwt",
    "signature",
];
/// Names that are secrets in a query but common data in documents.
const ONLY_IN_QUERY: &[&str] = &["key", "auth", "session", "signature"];
/// What stands in a secret's place.
pub const BLANK: &str = "***";

/// Whether a JSON member or HTML field of this name holds a secret.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let folded = fold(name);
    SECRET_NAMES.contains(&folded.as_str()) && !ONLY_IN_QUERY.contains(&folded.as_str())
}

/// A target (path and query) with the values of secret parameters blanked.
#[must_use]
pub fn target(target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
    let parameters: Vec<Cow<'_, str>> = query
        .split('&')
        .map(|parameter| match parameter.split_once('=') {
            Some((name, _)) if SECRET_NAMES.contains(&fold(name).as_str()) => {
                Cow::Owned(format!("{name}={BLANK}"))
            }
            Some(_) | None => Cow::Borrowed(parameter),
        })
        .collect();
    format!("{path}?{}", parameters.join("&"))
}

/// `text` (JSON, or a page with JSON in it) with the values of secret members blanked, whatever their type.
#[must_use]
pub fn members(text: &str) -> Cow<'_, str> {
    let mut kept = String::new();
    let mut copied = 0;
    let mut position = 0;
    while let Some(member) = next_member(text, position) {
        position = member.value_start;
        if is_secret(&text[member.name_start..member.name_end]) {
            let end = value_end(text.as_bytes(), member.value_start);
            kept.push_str(&text[copied..member.value_start]);
            kept.push_str("\"***\"");
            copied = end;
            position = end;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    kept.push_str(&text[copied..]);
    Cow::Owned(kept)
}

/// A member's name and where its value starts: byte offsets at ASCII characters, so always on character borders.
struct Member {
    name_start: usize,
    name_end: usize,
    value_start: usize,
}

fn fold(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase()).collect()
}

/// The next `"name" :` at or after `from`.
fn next_member(text: &str, from: usize) -> Option<Member> {
    let bytes = text.as_bytes();
    let mut position = from;
    loop {
        let quote = position + bytes.get(position..)?.iter().position(|b| *b == b'"')?;
        let end = string_end(bytes, quote)?;
        let colon = skip_space(bytes, end);
        if bytes.get(colon) == Some(&b':') {
            let value_start = skip_space(bytes, colon + 1);
            return Some(Member { name_start: quote + 1, name_end: end - 1, value_start });
        }
        position = end;
    }
}

/// The offset behind the string that opens at `quote`.
fn string_end(bytes: &[u8], quote: usize) -> Option<usize> {
    let mut position = quote + 1;
    loop {
        match bytes.get(position)? {
            b'\\' => position += 2,
            b'"' => return Some(position + 1),
            _ => position += 1,
        }
    }
}

/// The offset behind the JSON value at `start`; the end of the text where it does not close.
fn value_end(bytes: &[u8], start: usize) -> usize {
    match bytes.get(start) {
        Some(b'"') => string_end(bytes, start).unwrap_or(bytes.len()),
        Some(b'{' | b'[') => container_end(bytes, start),
        Some(_) | None => {
            let rest = bytes.get(start..).unwrap_or_default();
            let length =
                rest.iter().position(|b| matches!(b, b',' | b'}' | b']' | b'<') || b.is_ascii_whitespace());
            start + length.unwrap_or(rest.len())
        }
    }
}

fn container_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut position = start;
    while let Some(byte) = bytes.get(position) {
        match byte {
            b'"' => {
                position = string_end(bytes, position).unwrap_or(bytes.len());
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

fn skip_space(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_parameters_are_blanked_and_others_kept_byte_for_byte() {
        assert_eq!(target("/a?q=%20x&token=abc&Key=1&&b"), "/a?q=%20x&token=***&Key=***&&b");
        assert_eq!(target("/token"), "/token");
    }

    #[test]
    fn secret_members_are_blanked_whatever_their_type() {
        assert_eq!(
            members(r#"{"a":"token","api_key" : "x\"y","n":1,"Token":{"k":["}"]},"secret":12,"z":2}"#),
            r#"{"a":"token","api_key" : "***","n":1,"Token":"***","secret":"***","z":2}"#
        );
        assert_eq!(members(r#"{"password":"unclosed"#), r#"{"password":"***""#);
        assert_eq!(members("plain é text"), "plain é text");
    }
}
