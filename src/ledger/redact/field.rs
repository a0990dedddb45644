//! Secret fields of HTML: inputs and metas by their name, password fields by their type.

use std::borrow::Cow;
use std::ops::Range;

use super::{BLANK, is_secret, replaced};

/// The tags that carry a value beside their name.
const TAGS: &[&str] = &["input", "meta", "button"];

/// One attribute: where its name and its value are, quotes left out.
struct Attribute {
    name: Range<usize>,
    value: Range<usize>,
}

/// `text` with the values of secret fields blanked.
pub(super) fn blanked(text: &str) -> Cow<'_, str> {
    let mut spans = Vec::new();
    let mut position = 0;
    while let Some(open) = text.get(position..).and_then(|rest| rest.find('<')) {
        position += open + 1;
        let Some(tag) = tag_at(text, position) else { continue };
        let (attributes, end) = attributes(text, position + tag.len());
        position = end;
        let found = |name: &str| {
            let named = |attribute: &&Attribute| is(text, &attribute.name, name);
            attributes.iter().find(named).and_then(|attribute| text.get(attribute.value.clone()))
        };
        let secret = found("name").is_some_and(is_secret)
            || found("id").is_some_and(is_secret)
            || found("type").is_some_and(|kind| kind.eq_ignore_ascii_case("password"));
        if secret {
            let holds = |attribute: &&Attribute| {
                is(text, &attribute.name, "value") || is(text, &attribute.name, "content")
            };
            spans.extend(attributes.iter().filter(holds).map(|a| (a.value.clone(), BLANK.to_owned())));
        }
    }
    replaced(text, &spans)
}

/// The tag's name, if it is one of those that matter.
fn tag_at(text: &str, position: usize) -> Option<&'static str> {
    TAGS.iter().copied().find(|tag| {
        let name = text.get(position..position + tag.len());
        let next = text.as_bytes().get(position + tag.len());
        name.is_some_and(|name| name.eq_ignore_ascii_case(tag))
            && next.is_some_and(|byte| byte.is_ascii_whitespace() || *byte == b'/')
    })
}

/// A tag's attributes that have values, and the offset of its end.
fn attributes(text: &str, from: usize) -> (Vec<Attribute>, usize) {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut position = from;
    loop {
        position = skip(bytes, position, |byte| byte.is_ascii_whitespace() || byte == b'/');
        match bytes.get(position) {
            None => return (found, bytes.len()),
            Some(b'>') => return (found, position + 1),
            Some(_) => {}
        }
        let start = position;
        // An attribute may begin with `=`; it must not hold the scan up.
        let behind =
            skip(bytes, start + 1, |byte| !byte.is_ascii_whitespace() && !matches!(byte, b'=' | b'>' | b'/'));
        position = skip(bytes, behind, |byte| byte.is_ascii_whitespace());
        if bytes.get(position) != Some(&b'=') {
            continue;
        }
        let value = value(bytes, skip(bytes, position + 1, |byte| byte.is_ascii_whitespace()));
        position = value.end + usize::from(matches!(bytes.get(value.end), Some(b'"' | b'\'')));
        found.push(Attribute { name: start..behind, value });
    }
}

fn value(bytes: &[u8], start: usize) -> Range<usize> {
    match bytes.get(start) {
        Some(quote @ (b'"' | b'\'')) => start + 1..skip(bytes, start + 1, |byte| byte != *quote),
        Some(_) | None => {
            start..skip(bytes, start, |byte| {
                !byte.is_ascii_whitespace() && !matches!(byte, b'>' | b'"' | b'\'')
            })
        }
    }
}

fn is(text: &str, span: &Range<usize>, name: &str) -> bool {
    text.get(span.clone()).is_some_and(|written| written.eq_ignore_ascii_case(name))
}

/// The first offset at or after `from` whose byte is not skipped; the end where there is none.
fn skip(bytes: &[u8], from: usize, skipped: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    rest.iter().position(|byte| !skipped(*byte)).map_or(bytes.len(), |length| from + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_blanked_however_they_are_written() {
        for (field, blank) in [
            (r#"<input name="csrf_token" value="a b">"#, r#"<input name="csrf_token" value="***">"#),
            (
                "<INPUT VALUE='a' type=hidden Name='_Token'/>",
                "<INPUT VALUE='***' type=hidden Name='_Token'/>",
            ),
            ("<input type=password value=a>x", "<input type=password value=***>x"),
            ("<input value = \"a>b\"\n id=password>", "<input value = \"***\"\n id=password>"),
            ("<meta name=csrf-token content=\"a\">", "<meta name=csrf-token content=\"***\">"),
            ("<input = name=token value=\"unclosed", "<input = name=token value=\"***"),
        ] {
            assert_eq!(blanked(field), blank);
        }
    }

    #[test]
    fn other_fields_are_kept() {
        for kept in
            ["<input name=q value=a>", "<inputs name=token value=a>", "<é", "<input", "a < b", "<input value"]
        {
            assert!(matches!(blanked(kept), Cow::Borrowed(_)), "{kept}");
        }
    }
}
