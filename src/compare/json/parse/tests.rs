use proptest::prelude::*;

use super::*;

const DEPTH: usize = 128;

#[test]
fn spellings_of_one_document_are_the_same() {
    for (from, to) in [
        (r#"{"a":1,"b":[true,null]}"#, " { \"b\" : [ true , null ] ,\n\"a\":1 } "),
        (r#""\u00e9\/\ud83d\ude00""#, r#""é/😀""#),
        ("1.50", "1.5"),
        (r#"{"a":1,"a":2}"#, r#"{"a":1, "a":2}"#),
    ] {
        assert!(
            parse(from, DEPTH, &Bump::new()).unwrap().same(&parse(to, DEPTH, &Bump::new()).unwrap()),
            "{from} {to}"
        );
    }
    for (from, to) in [
        (r#"{"a":1,"a":2}"#, r#"{"a":2,"a":1}"#),
        (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
        (r#"{"$serde_json::private::Number":"1"}"#, "1"),
        (r#""\ud800""#, r#""\ud801""#),
        ("10", "10.0"),
    ] {
        assert!(
            !parse(from, DEPTH, &Bump::new()).unwrap().same(&parse(to, DEPTH, &Bump::new()).unwrap()),
            "{from} {to}"
        );
    }
}

#[test]
fn depth_is_a_limit_of_its_own() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&nested(DEPTH), DEPTH, &Bump::new()).is_ok());
    assert_eq!(parse(&nested(DEPTH + 1), DEPTH, &Bump::new()).unwrap_err(), ParseError::Depth);
    assert_eq!(parse(&"[".repeat(1_000_000), DEPTH, &Bump::new()).unwrap_err(), ParseError::Depth);
}

#[test]
fn a_prefix_ends_where_its_value_ends() {
    let arena = Bump::new();
    let (node, end) = parse_prefix("[1, 2]; const y = 3", DEPTH, &arena).unwrap();
    assert_eq!((node.render().as_str(), end), ("[1,2]", 6));
}

proptest! {
    #[test]
    fn accepts_exactly_what_serde_json_accepts(text in r#"[\[\]{}:,"0-9eE+\-. \\truefalsn]{0,14}"#) {
        let ours = parse(&text, DEPTH, &Bump::new()).is_ok();
        let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        // Lone surrogates and out-of-range exponents aside, which this alphabet cannot write.
        prop_assert_eq!(ours, theirs, "{}", text);
    }
}
