use super::*;

fn told(class: Class, kind: Kind, from: &str, to: &str) -> Option<String> {
    let names = Pair { from: "sqlite".to_owned(), to: "postgres".to_owned() };
    let value = |value: &'static str| Some(value).filter(|value| !value.is_empty());
    hint(class, kind, &names, value(from.to_owned().leak()), value(to.to_owned().leak()))
}

fn check(class: Class, kind: Kind, from: &str, to: &str, expected: &str) {
    let expected = Some(expected).filter(|expected| !expected.is_empty());
    assert_eq!(told(class, kind, from, to).as_deref(), expected, "{from} {to}");
}

#[test]
fn timestamps_say_what_each_side_writes() {
    for (from, to, expected) in [
        (
            r#""2025-09-17 06:34:00""#,
            r#""2025-09-17 06:34:00+00:00""#,
            "the same instant; sqlite writes no offset, postgres writes +00:00",
        ),
        (
            r#""2025-09-17 06:34:00""#,
            r#""2025-09-17T06:34:00""#,
            "the same instant; sqlite separates date and time by a space, postgres T",
        ),
        (
            "2025-09-17T06:34:00Z",
            "2025-09-17T06:34:00.000000Z",
            "the same instant; sqlite writes whole seconds, postgres microseconds",
        ),
        (
            r#""2025-09-17T06:34""#,
            r#""2025-09-17T06:34:00Z""#,
            "the same instant; sqlite writes no offset, postgres writes Z; sqlite writes no seconds, postgres seconds",
        ),
        (
            "1758090840",
            r#""2025-09-17T06:34:00Z""#,
            "the same instant; sqlite writes seconds since 1970, postgres a date and time",
        ),
        (
            r#""2025-09-17T06:34:00Z""#,
            "1758090840000",
            "the same instant; sqlite writes a date and time, postgres milliseconds since 1970",
        ),
        (r#""2025-09-17T06:34"#, r#""2025-09-17T06:34:00Z""#, ""),
    ] {
        check(Class::TimestampFormat, Kind::Changed, from, to, expected);
    }
}

#[test]
fn spellings_of_one_value_name_both() {
    use Class::*;
    use Kind::{Added, Changed, Removed, TypeChanged};
    for (class, kind, from, to, expected) in [
        (NumberFormat, Changed, "10", "10.0", "sqlite writes 10, postgres 10.0"),
        (
            NumberAsString,
            TypeChanged,
            "10",
            "\"10\"",
            "sqlite writes the number 10, postgres the string \"10\"",
        ),
        (
            BooleanEncoding,
            TypeChanged,
            "1",
            "true",
            "sqlite writes 1, postgres true: a store without booleans keeps 0 and 1",
        ),
        (
            JsonInString,
            TypeChanged,
            "\"{\\\"a\\\"",
            "{\"a\":1}",
            "postgres decodes the JSON that sqlite keeps as text",
        ),
        (JsonInString, TypeChanged, "[1]", "\"[1]\"", "sqlite decodes the JSON that postgres keeps as text"),
        (
            JsonInString,
            Changed,
            "\"[1]\"",
            "\"[ 1]\"",
            "both keep the same JSON as text, written with other spaces or in another order",
        ),
        (NullVsAbsent, Removed, "null", "", "sqlite writes null, postgres leaves the member out"),
        (NullVsAbsent, Added, "", "null", "postgres writes null, sqlite leaves the member out"),
        (EmptyVsNull, TypeChanged, "\"\"", "null", "sqlite writes an empty string, postgres null"),
        (EmptyVsNull, TypeChanged, "null", "[]", "sqlite writes null, postgres an empty array"),
        (
            UnicodeForm,
            Changed,
            "\"caf\u{e9}\"",
            "\"cafe\u{301}\"",
            "sqlite writes composed characters (NFC), postgres decomposed ones (NFD)",
        ),
        (UnicodeForm, Changed, "\"caf\u{e9}\u{301}e\u{301}\"", "\"cafe\u{301}\"", ""),
        (Whitespace, Changed, "\"a \"", "\"a\"", "sqlite has white space at the end, postgres has none"),
        (Whitespace, Changed, "a", " a", "postgres has white space at the beginning, sqlite has none"),
        (Whitespace, Changed, "\" a\"", "\"a \"", "white space around the text differs"),
        (Whitespace, Changed, "\"a  b\"", "\"a b\"", "white space between words differs"),
        (Whitespace, Changed, "\"a\\r\\nb\"", "\"a\\nb\"", "sqlite ends lines with CR LF, postgres LF"),
        (Case, Changed, "\"abc\"", "\"ABC\"", "sqlite writes lower case, postgres upper case"),
        (Case, Changed, "\"aBc\"", "\"AbC\"", ""),
        (
            HtmlEntity,
            Changed,
            "\"a &amp; b\"",
            "\"a & b\"",
            "sqlite writes HTML entities, postgres the characters themselves",
        ),
        (
            HtmlEntity,
            Changed,
            "a & b",
            "a &amp; b",
            "postgres writes HTML entities, sqlite the characters themselves",
        ),
        (Order, Kind::Moved, "[1,2,3]", "[3,2,1]", "postgres has the opposite order"),
        (Order, Kind::Moved, "[1,2,3]", "[3,1,2]", ""),
    ] {
        check(class, kind, from, to, expected);
    }
    for class in [TieOrder, NullOrder, Collation] {
        assert!(told(class, Kind::Moved, "[1]", "[2]").is_some(), "{class}");
    }
}

#[test]
fn other_values_are_related_where_that_is_plain() {
    use Kind::{Changed, Renamed, TypeChanged};
    for (kind, from, to, expected) in [
        (Changed, "10", "9", "1 less in postgres"),
        (Changed, "-3", "4", "7 more in postgres"),
        (Changed, "9223372036854775807", "-9223372036854775808", "18446744073709551615 less in postgres"),
        (Changed, "0.123456", "0.12", "rounded in postgres to 2 decimals"),
        (Changed, "2", "1.6", "rounded in sqlite to a whole number"),
        (Changed, "0.5", "0.25", ""),
        (Changed, "\"The whole title\"", "\"The who\"", "cut off in postgres after 7 characters"),
        (Changed, "\"\"", "\"é\"", "empty in sqlite"),
        (Changed, "The who", "The whole", "cut off in sqlite after 7 characters"),
        (Changed, "\"one\"", "\"other\"", ""),
        (Changed, "true", "false", ""),
        (TypeChanged, "1", "[1]", ""),
        (
            Changed,
            "\"2025-09-17T06:34:00Z\"",
            "\"2025-09-17T07:34:00Z\"",
            "postgres is 1 h later: a time zone applied twice or not at all?",
        ),
        (
            Changed,
            "\"2025-09-17T06:34:00\"",
            "\"2025-09-17T01:04:00\"",
            "postgres is 5 h 30 min earlier: a time zone applied twice or not at all?",
        ),
        (Changed, "\"2025-09-17T06:34:00\"", "\"2025-09-17T06:35:00\"", "postgres is 1 min later"),
        (Changed, "\"2025-09-17T06:34:00\"", "\"2025-09-17T06:34:01\"", ""),
        (Changed, "\"2025-09-17T06:34:00\"", "\"2025-09-17 07:34:00\"", ""),
        (Renamed, "channel", "channels", "`channels` is the plural of `channel`"),
        (Renamed, "categories", "category", "`categories` is the plural of `category`"),
        (Renamed, "videoId", "video_id", "one name, spelled `videoId` and `video_id`"),
        (Renamed, "source", "variants", "under another name, as its values show"),
        (
            Renamed,
            "category",
            "categories (empty)",
            "`categories` is the plural of `category`, and is empty in postgres",
        ),
    ] {
        check(Class::Value, kind, from, to, expected);
    }
}

#[test]
fn what_was_cut_or_blanked_is_not_guessed_from() {
    let long = format!("\"{}", "a".repeat(CUT + 3));
    for class in Class::ALL {
        for (from, to) in [("\"***\"", "\"a\""), ("\"a\"", long.as_str()), ("\"***\"", "\"***\"")] {
            let generic =
                matches!(class, Class::TieOrder | Class::NullOrder | Class::Collation | Class::JsonInString);
            assert_eq!(told(*class, Kind::Changed, from, to).is_some(), generic, "{class} {from}");
        }
    }
}

proptest::proptest! {
    #[test]
    fn any_values_have_a_hint_or_none(from in "\\PC{0,20}|[0-9T:+Z. -]{0,30}|\"[a-z ]{0,9}\"?", to in "\\PC{0,20}|-?[0-9.]{0,30}") {
        for class in Class::ALL {
            for kind in Kind::ALL {
                told(*class, *kind, &from, &to);
                told(*class, *kind, &to, &from);
            }
        }
    }
}
