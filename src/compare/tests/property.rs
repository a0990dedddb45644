use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-20_i64..2_000).prop_map(Value::from),
        (0_i32..400).prop_map(|n| Value::from(f64::from(n) / 8.0)),
        "[a-d é\"\\\\/<&]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec(("(id|name|value|[a-f])", inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// The document written another way: members reversed, white space, escapes, 1.50 for 1.5.
fn respelled(value: &Value, text: &mut String) {
    match value {
        Value::Null | Value::Bool(_) => text.push_str(&value.to_string()),
        Value::Number(number) if number.to_string().contains('.') => text.push_str(&format!("{number}0")),
        Value::Number(number) => text.push_str(&number.to_string()),
        Value::String(string) => text.push_str(&escaped(string)),
        Value::Array(items) => {
            text.push('[');
            for (position, item) in items.iter().enumerate() {
                text.push_str(if position == 0 { "\n" } else { " ,\t" });
                respelled(item, text);
            }
            text.push(']');
        }
        Value::Object(members) => {
            text.push_str("{ ");
            for (position, (name, member)) in members.iter().rev().enumerate() {
                text.push_str(if position == 0 { "" } else { ",\r\n" });
                text.push_str(&format!("{} : ", escaped(name)));
                respelled(member, text);
            }
            text.push('}');
        }
    }
}

fn escaped(text: &str) -> String {
    let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
    format!("\"{units}\"")
}

/// Changes the `n`-th leaf, counted from the front; gives the index-free path of what it changed.
fn mutate(value: &mut Value, n: &mut usize, path: &str) -> Option<String> {
    match value {
        Value::Array(items) if !items.is_empty() => {
            items.iter_mut().find_map(|item| mutate(item, n, &format!("{path}/*")))
        }
        Value::Object(members) if !members.is_empty() => {
            members.iter_mut().find_map(|(name, member)| mutate(member, n, &format!("{path}/{name}")))
        }
        leaf @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_)) => {
            if *n > 0 {
                *n -= 1;
                return None;
            }
            *leaf = match leaf {
                // A string becomes another one, anything else a string: so the kind is known.
                Value::String(_) => Value::from("the mutation"),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                    Value::from("mutated")
                }
            };
            Some(path.to_owned())
        }
    }
}

fn mirrored(comparison: &Comparison) -> Vec<String> {
    let mut lines: Vec<String> = comparison
        .differences
        .iter()
        .map(|difference| {
            let kind = if difference.kind == Kind::Added {
                Kind::Removed
            } else if difference.kind == Kind::Removed {
                Kind::Added
            } else {
                difference.kind
            };
            format!(
                "{} {kind} {} {:?} {:?}",
                difference.path, difference.class, difference.to, difference.from
            )
        })
        .collect();
    lines.sort();
    lines
}

fn full(comparison: &Comparison) -> Vec<String> {
    let mut lines: Vec<String> = comparison
        .differences
        .iter()
        .map(|difference| {
            let Difference { path, kind, class, from, to, .. } = difference;
            format!("{path} {kind} {class} {from:?} {to:?}")
        })
        .collect();
    lines.sort();
    lines
}

proptest! {
    #[test]
    fn a_document_matches_itself_however_it_is_written(document in document()) {
        let mut other = String::new();
        respelled(&document, &mut other);
        prop_assert_eq!(json(&document.to_string(), &other), [""; 0]);
    }

    #[test]
    fn a_mutation_shows_at_its_path_or_above(document in document(), n in 0_usize..40) {
        let mut changed = document.clone();
        let mut left = n;
        if let Some(path) = mutate(&mut changed, &mut left, "") {
            let comparison = compared(JSON, document.to_string(), changed.to_string(), &Rules::default());
            // A changed key or a lone row reads as a row that left and one that entered; a changed member otherwise.
            let right = |kind: Kind| {
                matches!(kind, Kind::Changed | Kind::TypeChanged | Kind::Removed | Kind::Added | Kind::Renamed)
            };
            prop_assert!(
                comparison
                    .differences
                    .iter()
                    .any(|difference| path.starts_with(&difference.path) && right(difference.kind)),
                "{} not above {}", lines(&comparison).join("; "), path,
            );
            prop_assert!(comparison.differences.iter().all(|difference| difference.kind != Kind::Moved));
        }
    }

    #[test]
    fn a_member_that_went_or_came_is_named(
        document in document(), name in "(new|other)", value in -9_i64..9,
    ) {
        let (from, to) = (serde_json::json!({ "it": document }), serde_json::json!({ "it": document, &name: value }));
        prop_assert_eq!(json(&from.to_string(), &to.to_string()), [format!("/{name} added value")]);
        prop_assert_eq!(json(&to.to_string(), &from.to_string()), [format!("/{name} removed value")]);
    }

    #[test]
    fn a_patch_turns_one_document_into_the_other(from in document(), to in document(), n in 0_usize..40) {
        let mut near = from.clone();
        mutate(&mut near, &mut { n }, "");
        let mut turned = near.clone();
        if let Value::Array(items) = &mut turned {
            let by = n % items.len().max(1);
            items.rotate_left(by);
        }
        for to in [to, near, turned] {
            let mut document = from.clone();
            let operations = patch::operations(&from, &to);
            json_patch::patch(&mut document, &operations).unwrap();
            prop_assert_eq!(&document, &to);
            prop_assert!(patch(from.to_string().as_bytes(), to.to_string().as_bytes()).is_some());
        }
    }

    #[test]
    fn swapped_sides_mirror(from in document(), to in document(), n in 0_usize..40) {
        let mut near = from.clone();
        let mut left = n;
        mutate(&mut near, &mut left, "");
        for to in [to, near] {
            let there = compared(JSON, from.to_string(), to.to_string(), &Rules::default());
            let back = compared(JSON, to.to_string(), from.to_string(), &Rules::default());
            // A rename is named by its old member, which is another one seen from the other side.
            if there.differences.iter().all(|difference| difference.kind != Kind::Renamed) {
                prop_assert_eq!(mirrored(&there), full(&back), "{} {}", from, to);
            }
            prop_assert_eq!(there.total, back.total);
        }
    }

    #[test]
    fn any_two_texts_are_compared_without_a_panic(from in ".{0,60}", to in "[<>/a-c &;=\"{}\\[\\]!-]{0,60}") {
        for content_type in [JSON, HTML, "text/plain", "image/png"] {
            let there = compared(content_type, &from, &to, &Rules::default());
            prop_assert!(compared(content_type, &to, &to, &Rules::default()).total == 0);
            prop_assert_eq!(there.is_match(), compared(content_type, &to, &from, &Rules::default()).is_match());
        }
    }

    #[test]
    fn any_bytes_are_decoded_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for encoding in ["gzip", "deflate", "br", "zstd"] {
            let headers = headers(&[("content-type", JSON), ("content-encoding", encoding)]);
            let leg = |framed| Leg { status: 200, headers: &headers, body: Body::Whole { bytes: &bytes, framed } };
            let comparison = compare(leg(true), leg(false), &Rules::default());
            prop_assert!(comparison.differences.len() <= 1);
        }
    }
}
