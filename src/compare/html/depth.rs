//! How deeply a page nests, known before its tree is built.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// Most attributes of one tag: the parser looks through all of them for each one.
const ATTRIBUTES: usize = 1000;
/// Longest name that an element known here has, in bytes.
const NAME_BYTES: usize = 16;

/// Elements without content, and those whose end tag is optional: opened again, they close themselves.
fn does_not_nest(tag: &[u8]) -> bool {
    matches!(
        tag,
        b"area"
            | b"base"
            | b"br"
            | b"col"
            | b"embed"
            | b"hr"
            | b"img"
            | b"input"
            | b"link"
            | b"meta"
            | b"param"
            | b"source"
            | b"track"
            | b"wbr"
            | b"p"
            | b"li"
            | b"dt"
            | b"dd"
            | b"option"
            | b"optgroup"
            | b"tr"
            | b"td"
            | b"th"
            | b"thead"
            | b"tbody"
            | b"tfoot"
            | b"rt"
            | b"rp"
    )
}

/// Elements whose content is text, whatever it looks like.
fn is_raw(tag: &[u8]) -> bool {
    matches!(
        tag,
        b"script" | b"style" | b"textarea" | b"title" | b"xmp" | b"iframe" | b"noembed" | b"noframes"
    )
}

/// True if the tags nest more deeply than `depth`, counted without building the tree: the parser walks its stack of open
/// elements for most tags, so a deep page would take quadratic time. True as well if a tag has too many attributes.
pub(super) fn is_deep(text: &str, depth: usize) -> bool {
    let (mut open, mut foreign) = (0_usize, 0_usize);
    let mut names: HashMap<[u8; NAME_BYTES], usize, RandomState> = HashMap::default();
    let mut rest = text;
    // What is left of the text after the last tag whose attributes were counted.
    let mut uncounted = text.len();
    while let Some((_, after)) = rest.split_once('<') {
        if let Some(comment) = after.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let (closing, tag) = after.strip_prefix('/').map_or((false, after), |tag| (true, tag));
        let end =
            tag.bytes().position(|byte| !byte.is_ascii_alphanumeric() && byte != b'-').unwrap_or(tag.len());
        let mut lower = [0; NAME_BYTES];
        let name = lowered(tag.get(..end).unwrap_or_default(), &mut lower);
        rest = tag.get(end..).unwrap_or_default();
        if !name.is_empty() && rest.len() <= uncounted {
            let Some(length) = tag_length(rest) else { return true };
            uncounted = rest.len() - length;
        }
        if name.is_empty() || (foreign == 0 && does_not_nest(name)) {
            continue;
        }
        // Inside SVG and MathML every element nests, unless it is written `<path/>`.
        let drawing = usize::from(matches!(name, b"svg" | b"math"));
        if closing {
            // An end tag of what is not open closes nothing, however many of them there are.
            let of_name = names.get_mut(&padded(name)).filter(|count| **count > 0);
            if let Some(count) = of_name {
                *count -= 1;
                open = open.saturating_sub(1);
                foreign = foreign.saturating_sub(drawing);
            }
        } else if foreign > 0 && rest.split('>').next().is_some_and(|inner| inner.ends_with('/')) {
            continue;
        } else if foreign == 0 && is_raw(name) {
            rest = after_raw(rest, name);
        } else {
            open += 1;
            foreign += drawing;
            *names.entry(padded(name)).or_default() += 1;
        }
        if open > depth {
            return true;
        }
    }
    false
}

/// The length of a tag after its name; none if it has too many attributes.
fn tag_length(rest: &str) -> Option<usize> {
    let (mut quote, mut within, mut count) = (None, false, 0);
    for (at, byte) in rest.bytes().enumerate() {
        match (quote, byte) {
            (Some(open), _) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'>') => return Some(at),
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'/') => within = false,
            (None, _) if byte.is_ascii_whitespace() => within = false,
            (None, _) => {
                count += usize::from(!within);
                within = true;
            }
        }
        if count > ATTRIBUTES {
            return None;
        }
    }
    Some(rest.len())
}

fn padded(name: &[u8]) -> [u8; NAME_BYTES] {
    let mut key = [0; NAME_BYTES];
    for (slot, byte) in key.iter_mut().zip(name) {
        *slot = *byte;
    }
    key
}

/// The name in lower case, cut at the longest that matters.
fn lowered<'b>(name: &str, buffer: &'b mut [u8; NAME_BYTES]) -> &'b [u8] {
    let length = name.len().min(NAME_BYTES);
    for (slot, byte) in buffer.iter_mut().zip(name.bytes()) {
        *slot = byte.to_ascii_lowercase();
    }
    buffer.get(..length).unwrap_or_default()
}

fn after_raw<'t>(text: &'t str, name: &[u8]) -> &'t str {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("</") {
        if after.as_bytes().get(..name.len()).is_some_and(|tag| tag.eq_ignore_ascii_case(name)) {
            return after;
        }
        rest = after;
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::is_deep;

    #[test]
    fn a_tag_has_few_attributes_and_what_is_quoted_is_none() {
        let tag = |attributes: &str, times: usize| format!("<p {}>", attributes.repeat(times));
        assert!(is_deep(&tag("a ", 1001), 128) && is_deep(&tag("a='>' ", 1001), 128));
        assert!(!is_deep(&tag("a=1 ", 1000), 128));
        assert!(!is_deep(&format!("<path d=\"{}\"/>", "M 0 0 ".repeat(5000)), 128));
        // Linear, also where no tag ever ends.
        assert!(!is_deep(&"<a=".repeat(1 << 20), usize::MAX));
    }

    #[test]
    fn end_tags_of_what_is_not_open_close_nothing() {
        assert!(is_deep(&"<div></zz>".repeat(200), 128));
        assert!(is_deep(&"<div></p></span></DIVV>".repeat(200), 128));
        assert!(!is_deep(&"<div><SPAN>x</span></DIV>".repeat(200), 128));
    }
}
