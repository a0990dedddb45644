//! What a finding means, in one plain sentence.

use super::redact;
use crate::compare::{Class, Difference, Kind};
use crate::side::Pair;

/// Longest value quoted in a sentence, in characters.
const QUOTED: usize = 60;
/// Shortest text without a space that may be a token, in bytes.
const TOKEN: usize = 16;

/// The sentence for the finding that `difference` opened, on a route or between two documents.
#[must_use]
pub(crate) fn sentence(route: Option<&str>, names: &Pair<String>, difference: &Difference) -> String {
    let Pair { from, to } = names;
    let place =
        if difference.path.is_empty() { "the answer".to_owned() } else { format!("`{}`", difference.path) };
    let old = quoted(difference, difference.from.as_deref());
    let new = quoted(difference, difference.to.as_deref());
    let what = match difference.kind {
        Kind::Status => format!("{from} answers {old}, {to} answers {new}"),
        Kind::Header => format!("header {place} is {old} in {from} and {new} in {to}"),
        Kind::Added => format!("{place} is only in {to} ({new})"),
        Kind::Removed => format!("{place} is missing in {to}; {from} has {old}"),
        Kind::Changed => format!("{place} is {old} in {from} and {new} in {to}"),
        Kind::TypeChanged => format!("{place} has another type: {old} in {from}, {new} in {to}"),
        Kind::Renamed => format!("`{old}` is called `{new}` in {to}{}", under(&difference.path)),
        Kind::Moved => format!("the items of {place} come in another order in {to}"),
        Kind::Body => format!("{place} cannot be compared structurally: {from} has {old}, {to} has {new}"),
    };
    let on = route.map_or_else(String::new, |route| format!(", on {route}"));
    match cause(difference.class) {
        Some(cause) => format!("{what}{on}: {cause}."),
        None => format!("{what}{on}."),
    }
}

/// Where a renamed member is, unless that is the document itself.
fn under(path: &str) -> String {
    match path.rsplit_once('/') {
        Some((parent, _)) if !parent.is_empty() => format!(", under `{parent}`"),
        Some(_) | None => String::new(),
    }
}

/// What a representation class says about the cause.
fn cause(class: Class) -> Option<&'static str> {
    match class {
        Class::Value => None,
        Class::TimestampFormat => Some("the same instant, spelled differently"),
        Class::NumberFormat => Some("the same number, spelled differently"),
        Class::NumberAsString => Some("a number on one side is a string on the other"),
        Class::BooleanEncoding => Some("a boolean on one side is 0 or 1 on the other"),
        Class::JsonInString => Some("JSON on one side is a string of JSON on the other"),
        Class::NullVsAbsent => Some("null on one side is left out on the other"),
        Class::EmptyVsNull => Some("empty on one side is null on the other"),
        Class::UnicodeForm => Some("the same text in another Unicode normal form"),
        Class::Whitespace => Some("only white space differs"),
        Class::Case => Some("only upper and lower case differ"),
        Class::HtmlEntity => Some("the same text with and without HTML entities"),
        Class::TieOrder => Some("only rows with equal sort keys changed places"),
        Class::NullOrder => Some("rows without a sort key come at the other end"),
        Class::Collation => Some("text is sorted by other rules"),
        Class::Order => Some("the order is another one"),
    }
}

fn quoted(difference: &Difference, value: Option<&str>) -> String {
    let Some(value) = value else { return "nothing".into() };
    let value = shown(difference, value);
    if value.chars().count() > QUOTED {
        format!("{}…", value.chars().take(QUOTED).collect::<String>())
    } else {
        value
    }
}

/// A difference's value as it may be shown: blank if its path names a secret or a field that may hold one.
#[must_use]
pub(crate) fn shown(difference: &Difference, value: &str) -> String {
    if difference.kind == Kind::Header {
        return redact::header(&difference.path, value);
    }
    if difference.path.split(['/', '@', '!']).any(redact::is_secret)
        || may_be_a_token(&difference.path, value)
    {
        redact::BLANK.to_owned()
    } else {
        redact::text(value).into_owned()
    }
}

/// Element paths do not say a field's name: an input's value is blanked, and of a meta's content what reads like a token.
fn may_be_a_token(path: &str, value: &str) -> bool {
    let is = |element: &str, attribute: &str| {
        path.strip_suffix(attribute)
            .and_then(|path| path.strip_suffix("/@"))
            .and_then(|path| path.rsplit('/').next())
            .and_then(|last| last.strip_prefix(element))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '#']))
    };
    is("input", "value")
        || (is("meta", "content") && value.len() >= TOKEN && !value.contains(char::is_whitespace))
}

#[cfg(test)]
mod tests {
    use super::{may_be_a_token, shown};
    use crate::compare::{Class, Difference, Kind};

    #[test]
    fn headers_are_shown_without_their_secrets() {
        let header = |path: &str, value: &str| {
            let difference = Difference {
                path: path.to_owned(),
                at: path.to_owned(),
                kind: Kind::Header,
                class: Class::Value,
                from: None,
                to: None,
                accepted_by_rule: false,
            };
            shown(&difference, value)
        };
        assert_eq!(header("location", "/a?token=hush&n=1"), "/a?token=***&n=1");
        assert_eq!(header("set-cookie", "s=hush"), "***");
    }

    #[test]
    fn an_input_s_value_may_be_a_token_and_a_description_is_none() {
        assert!(may_be_a_token("html/body/form/input[*]/@value", "1"));
        assert!(may_be_a_token("html/head/meta/@content", "0123456789abcdef"));
        assert!(!may_be_a_token("html/head/meta/@content", "What this page is about"));
        assert!(!may_be_a_token("html/body/inputs/@value", "0123456789abcdef"));
    }
}
