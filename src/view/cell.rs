//! A line's text in pieces: what differs within it, and around that as much as may be shown.

use std::fmt;
use std::ops::Range;

use super::{CHARACTERS, Part};

/// Characters kept before the first one that differs, where a line is cut.
const BEFORE: usize = 200;
/// Stands for what was cut.
const ELLIPSIS: char = '…';

/// A line as it is written: what differs is looked for in its body only.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written<'a> {
    /// The member's name.
    pub(super) head: &'a str,
    /// The value.
    pub(super) body: &'a str,
    /// The comma.
    pub(super) tail: &'static str,
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.head, self.body, self.tail)
    }
}

/// A piece that borrows.
type Piece<'a> = (&'a str, bool);

/// The pieces of two lines that stand opposite each other.
pub(super) fn both(from: Written<'_>, to: Written<'_>) -> (Vec<Part>, Vec<Part>) {
    let head = common(from.head, to.head);
    let body = if is_word(from.body) || is_word(to.body) { (0, 0) } else { common(from.body, to.body) };
    let pieces = |side: Written<'_>| {
        let [a, b, c] = split(side.head, head);
        let [d, e, f] = split(side.body, body);
        cut(&[a, b, c, d, e, f, (side.tail, false)])
    };
    (pieces(from), pieces(to))
}

/// What is not made of parts: that `true` and `false` end alike says nothing.
fn is_word(body: &str) -> bool {
    matches!(body, "true" | "false" | "null")
}

/// A text in what it has in common at its beginning, what differs, and what is common at its end.
fn split(text: &str, (before, behind): (usize, usize)) -> [Piece<'_>; 3] {
    let end = text.len().saturating_sub(behind);
    let part = |range: Range<usize>| text.get(range).unwrap_or_default();
    [(part(0..before), false), (part(before..end), true), (part(end..text.len()), false)]
}

/// The pieces of a line of which nothing is marked.
pub(super) fn plain(line: Written<'_>) -> Vec<Part> {
    cut(&[(line.head, false), (line.body, false), (line.tail, false)])
}

/// How many bytes two texts have in common at their beginning, and at their end.
pub(super) fn common(from: &str, to: &str) -> (usize, usize) {
    let alike = |(left, right): &(char, char)| left == right;
    let before = from.chars().zip(to.chars()).take_while(alike).map(|(c, _)| c.len_utf8()).sum();
    let (left, right) = (from.get(before..).unwrap_or_default(), to.get(before..).unwrap_or_default());
    let behind =
        left.chars().rev().zip(right.chars().rev()).take_while(alike).map(|(c, _)| c.len_utf8()).sum();
    (before, behind)
}

/// Owns the pieces, joined where they are marked alike; of a line that is too long, those around the first mark.
fn cut(pieces: &[Piece<'_>]) -> Vec<Part> {
    let lengths: Vec<usize> = pieces.iter().map(|(text, _)| text.chars().count()).collect();
    let total: usize = lengths.iter().sum();
    let marked = pieces.iter().position(|(text, differs)| *differs && !text.is_empty());
    let first: usize = marked.map_or(0, |marked| lengths.iter().take(marked).sum());
    // Room for the marks of what is left out.
    let most = CHARACTERS - 2;
    let start =
        if total <= CHARACTERS { 0 } else { first.saturating_sub(BEFORE).min(total.saturating_sub(most)) };
    let end = if total <= CHARACTERS { total } else { start + most };

    let mut parts: Vec<Part> = Vec::new();
    let mut push = |text: String, differs: bool| match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(last) if last.differs == differs => last.text.push_str(&text),
        Some(_) | None => parts.push(Part { text, differs }),
    };
    if start > 0 {
        push(ELLIPSIS.to_string(), false);
    }
    let mut at = 0;
    for ((text, differs), length) in pieces.iter().zip(lengths) {
        let (skipped, until) = (start.saturating_sub(at), end.saturating_sub(at).min(length));
        let kept = text.chars().skip(skipped).take(until.saturating_sub(skipped));
        push(kept.collect(), *differs);
        at += length;
    }
    if end < total {
        push(ELLIPSIS.to_string(), false);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(from: &str, to: &str) -> [String; 2] {
        let (left, right) =
            both(Written { body: from, ..Written::default() }, Written { body: to, ..Written::default() });
        [left, right].map(|parts| {
            let shown =
                |part: &Part| if part.differs { format!("[{}]", part.text) } else { part.text.clone() };
            parts.iter().map(shown).collect()
        })
    }

    #[test]
    fn what_differs_is_marked_on_character_boundaries() {
        assert_eq!(marked("10", "10.0"), ["10", "10[.0]"]);
        assert_eq!(marked("aXXb", "aXb"), ["aX[X]b", "aXb"]);
        assert_eq!(marked("true", "false"), ["[true]", "[false]"]);
        // é and è begin with the same byte, ç and § end with the same.
        assert_eq!(marked("caf\u{e9}", "caf\u{e8}"), ["caf[\u{e9}]", "caf[\u{e8}]"]);
        assert_eq!(marked("\u{e7}!", "\u{a7}!"), ["[\u{e7}]!", "[\u{a7}]!"]);
        assert_eq!(marked("éa", "éb"), ["é[a]", "é[b]"]);
        assert_eq!(marked("", "x"), ["", "[x]"]);
        assert_eq!(marked("same", "same"), ["same", "same"]);
    }

    #[test]
    fn a_long_line_is_cut_around_what_differs() {
        let (from, to) = (format!("{}1{}", "é".repeat(5_000), "z".repeat(5_000)), "é".repeat(10_001));
        for (at, side) in marked(&from, &to).into_iter().enumerate() {
            assert!(side.starts_with("…é") && side.contains("é["), "{at}");
            assert!(side.chars().count() <= CHARACTERS + 2, "{at}");
        }
        let whole = "z".repeat(CHARACTERS);
        assert_eq!(marked(&whole, &whole)[0], whole);
        assert_eq!(marked(&format!("{whole}z"), &format!("{whole}z"))[0].chars().count(), CHARACTERS - 1);
    }
}
