//! What each side does, from the two spellings of one difference, in a plain sentence: the hint to the cause.
//!
//! Never guessed from a value that was cut or blanked: then there is no hint, or only what does not depend on it.

mod spelling;
#[cfg(test)]
mod tests;
mod value;

use std::borrow::Cow;

use unicode_normalization::{is_nfc, is_nfd};

use super::redact;
use crate::compare::{self, Class, Kind};
use crate::side::Pair;

/// A value of this length or longer may have been cut, in bytes: the longest that is kept, less one character.
const CUT: usize = 508;

/// Both sides of a difference, with the names of the backends.
struct Sides<'a> {
    names: &'a Pair<String>,
    from: Option<&'a str>,
    to: Option<&'a str>,
}

/// What each side does at a difference of this class and kind; `from` and `to` are its values as rendered (JSON text, or
/// the text itself for pages), for `renamed` the names. None if nothing can be said that the sentence does not say.
#[must_use]
pub fn hint(
    class: Class,
    kind: Kind,
    names: &Pair<String>,
    from: Option<&str>,
    to: Option<&str>,
) -> Option<String> {
    let sides = Sides { names, from, to };
    match class {
        Class::Value => value::hint(kind, &sides),
        Class::TimestampFormat => spelling::hint(&sides),
        Class::NumberFormat => sides.told("writes", |value| Some(value.to_owned())),
        Class::NumberAsString => sides.told("writes", |value| {
            let what = if value.starts_with('"') { "the string" } else { "the number" };
            Some(format!("{what} {value}"))
        }),
        Class::BooleanEncoding => sides
            .told("writes", |value| Some(value.to_owned()))
            .map(|told| format!("{told}: a store without booleans keeps 0 and 1")),
        Class::JsonInString => sides.json_in_string(),
        Class::NullVsAbsent => sides.null_vs_absent(),
        Class::EmptyVsNull => sides.told("writes", |value| emptiness(value).map(str::to_owned)),
        Class::UnicodeForm => sides.texts().and_then(|(from, to)| {
            sides.of_both("writes", form(&from)?, form(&to)?)
        }),
        Class::Whitespace => sides.texts().and_then(|(from, to)| sides.white_space(&from, &to)),
        Class::Case => sides.texts().and_then(|(from, to)| sides.of_both("writes", case(&from), case(&to))),
        Class::HtmlEntity => sides.entities(),
        Class::TieOrder => Some(if kind == Kind::Moved {
            "rows with equal sort keys have no order of their own; sorting by a unique column as well gives them one"
                .to_owned()
        } else {
            "which of the rows with equal sort keys end up on the page is chance; sorting by a unique column as well \
             settles it"
                .to_owned()
        }),
        Class::NullOrder => Some(
            "rows without a sort key come first on one side and last on the other; `NULLS FIRST` or `NULLS LAST` in \
             the query settles it"
                .to_owned(),
        ),
        Class::Collation => Some(
            "one side sorts text by bytes, the other by the rules of a language; `COLLATE` in the query settles it"
                .to_owned(),
        ),
        Class::Order => sides.is_reversed().then(|| format!("{} has the opposite order", sides.names.to)),
    }
}

// === impl Sides ===

impl<'a> Sides<'a> {
    /// Both values, if both are known in full.
    fn whole(&self) -> Option<(&'a str, &'a str)> {
        let is_whole = |value: &&str| value.len() < CUT && !value.contains(redact::BLANK);
        self.from.filter(is_whole).zip(self.to.filter(is_whole))
    }

    /// Both values as texts, if both are known in full and texts.
    fn texts(&self) -> Option<(Cow<'a, str>, Cow<'a, str>)> {
        let (from, to) = self.whole()?;
        Some((text(from)?, text(to)?))
    }

    /// What each side does, where it can be told of both and is not the same.
    fn told(&self, does: &str, tell: impl Fn(&str) -> Option<String>) -> Option<String> {
        let (from, to) = self.whole()?;
        self.of_both(does, &tell(from)?, &tell(to)?)
    }

    fn of_both(&self, does: &str, from: &str, to: &str) -> Option<String> {
        let Pair { from: old, to: new } = self.names;
        (from != to).then(|| format!("{old} {does} {from}, {new} {to}"))
    }

    /// The side of which the condition holds, if it is one of them: its name, and that of the other.
    fn only(&self, from: bool, to: bool) -> Option<(&'a str, &'a str)> {
        let Pair { from: old, to: new } = self.names;
        match (from, to) {
            (true, false) => Some((old, new)),
            (false, true) => Some((new, old)),
            (true, true) | (false, false) => None,
        }
    }

    /// That a string holds JSON shows in its first character, so also where it was cut.
    fn json_in_string(&self) -> Option<String> {
        let (from, to) = self.from.zip(self.to)?;
        let is_text = |value: &str| value.starts_with('"');
        let is_json = |value: &str| value.starts_with(['{', '[']);
        let (stores, decodes) = self.only(is_text(from) && is_json(to), is_text(to) && is_json(from)).unzip();
        match stores.zip(decodes) {
            Some((stores, decodes)) => {
                Some(format!("{decodes} decodes the JSON that {stores} keeps as text"))
            }
            None if is_text(from) && is_text(to) => Some(
                "both keep the same JSON as text, written with other spaces or in another order".to_owned(),
            ),
            None => None,
        }
    }

    fn null_vs_absent(&self) -> Option<String> {
        let (writes, leaves) = self.only(self.from == Some("null"), self.to == Some("null"))?;
        Some(format!("{writes} writes null, {leaves} leaves the member out"))
    }

    fn white_space(&self, from: &str, to: &str) -> Option<String> {
        let ends = |text: &str| if text.contains("\r\n") { "CR LF" } else { "LF" };
        if from.replace("\r\n", "\n") == to.replace("\r\n", "\n") {
            return self.of_both("ends lines with", ends(from), ends(to));
        }
        let has = |side: (bool, bool), place: &str| {
            self.only(side.0, side.1)
                .map(|(has, other)| format!("{has} has white space at the {place}, {other} has none"))
        };
        let start = (from.trim_start() != from, to.trim_start() != to);
        let end = (from.trim_end() != from, to.trim_end() != to);
        if from.trim() != to.trim() {
            return Some("white space between words differs".to_owned());
        }
        match (has(start, "beginning"), has(end, "end")) {
            (Some(told), None) | (None, Some(told)) => Some(told),
            (Some(_), Some(_)) | (None, None) => Some("white space around the text differs".to_owned()),
        }
    }

    fn entities(&self) -> Option<String> {
        let (from, to) = self.texts()?;
        let (writes, other) = self.only(compare::is_escaped(&from, &to), compare::is_escaped(&to, &from))?;
        Some(format!("{writes} writes HTML entities, {other} the characters themselves"))
    }

    /// Both orders are lists of what names the items.
    fn is_reversed(&self) -> bool {
        let list = |text: &str| serde_json::from_str::<Vec<serde_json::Value>>(text).ok();
        let lists = self.whole().and_then(|(from, to)| list(from).zip(list(to)));
        lists.is_some_and(|(from, to)| from.len() > 2 && from.iter().rev().eq(&to))
    }
}

/// A value as text: the content of a JSON string, or what stands in a page. None for other JSON, and for what is no
/// whole string.
fn text(value: &str) -> Option<Cow<'_, str>> {
    if value.starts_with('"') {
        return serde_json::from_str(value).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(value))
}

fn emptiness(value: &str) -> Option<&'static str> {
    match value {
        "null" => Some("null"),
        "\"\"" => Some("an empty string"),
        "[]" => Some("an empty array"),
        "{}" => Some("an empty object"),
        _ => None,
    }
}

/// In which normal form a text is, if in one only.
fn form(text: &str) -> Option<&'static str> {
    match (is_nfc(text), is_nfd(text)) {
        (true, false) => Some("composed characters (NFC)"),
        (false, true) => Some("decomposed ones (NFD)"),
        (true, true) | (false, false) => None,
    }
}

fn case(text: &str) -> &'static str {
    match (text == text.to_lowercase(), text == text.to_uppercase()) {
        (true, false) => "lower case",
        (false, true) => "upper case",
        (true, true) | (false, false) => "mixed case",
    }
}
