//! What stands in a line: escaped text with `**bold**`.
//!
//! Escapes what an HTML serialiser escapes and nothing else, so that a parser and serialiser give it back unchanged.

/// Bold marks.
const BOLD: &str = "**";

/// The first byte of U+00A0 in UTF-8, and of few other characters.
const MAYBE_NO_BREAK_SPACE: u8 = 0xC2;

/// Appends a line, its bold parts as `strong`. Bold ends in its line; marks without a partner stay as they are.
pub(super) fn line(text: &str, html: &mut String) {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BOLD) {
        escaped(before, html);
        rest = if let Some((bold, after)) = bold(after) {
            html.push_str("<strong>");
            escaped(bold, html);
            html.push_str("</strong>");
            after
        } else {
            html.push_str(BOLD);
            after
        };
    }
    escaped(rest, html);
}

/// The bold text that begins here, and what follows it. Looks no further than the next mark, so that thousands of marks
/// take linear time.
fn bold(text: &str) -> Option<(&str, &str)> {
    let (bold, after) = text.split_once(BOLD)?;
    let is_tight = !bold.is_empty() && bold.trim().len() == bold.len();
    is_tight.then_some((bold, after))
}

/// The text of a line that is bold from end to end, `**so**`, `**so:**` or `**so**:`.
pub(super) fn all_bold(line: &str) -> Option<&str> {
    let (bold, after) = bold(line.strip_prefix(BOLD)?)?;
    matches!(after, "" | ":").then_some(bold)
}

fn escaped(text: &str, html: &mut String) {
    let mut rest = text;
    while let Some((plain, special)) =
        rest.bytes().position(is_special).and_then(|at| rest.split_at_checked(at))
    {
        html.push_str(plain);
        let mut characters = special.chars();
        if let Some(character) = characters.next() {
            escaped_character(character, html);
        }
        rest = characters.as_str();
    }
    html.push_str(rest);
}

fn is_special(byte: u8) -> bool {
    matches!(byte, b'&' | b'<' | b'>' | 0 | MAYBE_NO_BREAK_SPACE)
}

fn escaped_character(character: char, html: &mut String) {
    match character {
        '&' => html.push_str("&amp;"),
        '<' => html.push_str("&lt;"),
        '>' => html.push_str("&gt;"),
        '\u{a0}' => html.push_str("&nbsp;"),
        // No HTML document can hold it, written as itself or as a reference.
        '\0' => html.push(char::REPLACEMENT_CHARACTER),
        other => html.push(other),
    }
}
