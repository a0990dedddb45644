//! White space, and where it shows.

use std::borrow::Cow;

/// Elements that are laid out in a line of text: white space beside any other does not show.
pub(super) fn is_inline(tag: &str) -> bool {
    matches!(
        tag,
        "a" | "abbr"
            | "b"
            | "bdi"
            | "bdo"
            | "button"
            | "cite"
            | "code"
            | "data"
            | "del"
            | "dfn"
            | "em"
            | "i"
            | "img"
            | "input"
            | "ins"
            | "kbd"
            | "label"
            | "mark"
            | "meter"
            | "output"
            | "progress"
            | "q"
            | "s"
            | "samp"
            | "select"
            | "small"
            | "span"
            | "strong"
            | "sub"
            | "sup"
            | "svg"
            | "textarea"
            | "time"
            | "u"
            | "var"
            | "audio"
            | "video"
            | "iframe"
            | "object"
            | "picture"
            | "canvas"
    )
}

/// Elements inside which white space is kept.
pub(super) fn is_preformatted(tag: &str) -> bool {
    matches!(tag, "pre" | "textarea" | "listing" | "plaintext" | "xmp")
}

/// A class list, sorted and without repetition.
pub(super) fn classes(value: &str) -> Cow<'_, str> {
    let apart = value.split(' ');
    if !value.bytes().any(|byte| byte.is_ascii_whitespace() && byte != b' ')
        && apart.clone().zip(apart.skip(1)).all(|(class, next)| class < next)
        && !value.starts_with(' ')
    {
        return Cow::Borrowed(value);
    }
    let mut classes: Vec<&str> = value.split_ascii_whitespace().collect();
    classes.sort_unstable();
    classes.dedup();
    Cow::Owned(classes.join(" "))
}

/// Folds the white space of a text as HTML does: runs to one space, none at an end beside what is not in a line of text.
pub(super) fn fold(text: Cow<'_, str>, line_before: bool, line_after: bool) -> Cow<'_, str> {
    let space = |c: char| c.is_ascii_whitespace();
    if text.chars().all(space) {
        return Cow::Borrowed(if line_before && line_after && !text.is_empty() { " " } else { "" });
    }
    let (leading, trailing) = (text.starts_with(space), text.ends_with(space));
    let bytes = text.as_bytes();
    let is_folded = (line_before || !leading)
        && (line_after || !trailing)
        && bytes.iter().zip(bytes.get(1..).unwrap_or_default()).all(|(byte, next)| {
            !byte.is_ascii_whitespace() || (*byte == b' ' && !next.is_ascii_whitespace())
        })
        && bytes.last().is_none_or(|last| *last == b' ' || !last.is_ascii_whitespace());
    if is_folded {
        return text;
    }
    let mut folded = String::with_capacity(text.len());
    if line_before && leading {
        folded.push(' ');
    }
    for word in text.split(space).filter(|word| !word.is_empty()) {
        if !folded.is_empty() && !folded.ends_with(' ') {
            folded.push(' ');
        }
        folded.push_str(word);
    }
    if line_after && trailing {
        folded.push(' ');
    }
    Cow::Owned(folded)
}
