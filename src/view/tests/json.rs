use insta::assert_snapshot;

use super::*;

fn json(from: &str, to: &str) -> String {
    shown(from, to, "application/json")
}

#[test]
fn a_changed_value_stands_in_its_record() {
    let from = r#"{"total":2,"page":1,"reports":[{"id":7,"title":"A","tags":["x","y"],"seconds":10,"url":"u"},{"id":8,"title":"B"}]}"#;
    let to = r#"{"total":2,"page":1,"reports":[{"title":"A","id":7,"tags":["x","y"],"seconds":10.0,"url":"u"},{"id":8,"title":"B"}]}"#;
    assert_snapshot!(json(from, to));
}

#[test]
fn a_removed_row_leaves_the_others_alone() {
    let from = r#"[{"id":1,"a":1},{"id":2,"a":[1,{}]},{"id":3,"a":1}]"#;
    let to = r#"[{"id":1,"a":1},{"id":3,"a":2},{"id":4}]"#;
    assert_snapshot!(json(from, to));
}

#[test]
fn a_renamed_member_is_one_row() {
    let from = r#"{"rows":[{"id":1,"category":["a","b"],"n":0,"x":true},{"id":2,"category":[],"x":true}]}"#;
    let to =
        r#"{"rows":[{"id":1,"categories":["a","c"],"n":0,"y":false},{"id":2,"categories":[],"y":false}]}"#;
    assert_snapshot!(json(from, to));
}

#[test]
fn rows_that_moved_are_marked() {
    let from = r#"[{"id":1,"v":1,"w":1},{"id":2,"v":1},{"id":3,"v":1}]"#;
    let to = r#"[{"id":2,"v":1},{"id":3,"v":1},{"id":1,"v":2,"w":1}]"#;
    assert_snapshot!(json(from, to));
}

#[test]
fn what_was_added_stands_at_its_place() {
    let from = r#"{"a":1,"b":2,"c":[]}"#;
    let to = r#"{"a":1,"n":{"x":{"y":[1]}},"b":2,"c":[{"z":null}]}"#;
    assert_snapshot!(json(from, to));
}

#[test]
fn another_type_stands_opposite() {
    let from = r#"{"has_audio":1,"meta":"{\"a\":1}","x":[1],"y":null}"#;
    let to = r#"{"has_audio":true,"meta":{"a":1},"x":{"0":1},"y":[2]}"#;
    assert_snapshot!(json(from, to));
}

#[test]
fn equal_documents_are_one_fold_however_they_are_written() {
    let view =
        side_by_side(r#"{"a": [1, 2.50], "b": "é"}"#, "\u{feff}{\"b\":\"\\u00e9\",\"a\":[1,2.5]}", &[]);
    assert_eq!(view.form, Form::Json);
    let [Row::Folded { lines: 7, mark: Mark::Equal, what, content }] = &*view.rows else {
        panic!("{view:?}")
    };
    assert_eq!(what, "7 equal lines");
    assert_eq!(content.join("\n"), "{\n  \"a\": [\n    1,\n    2.50\n  ],\n  \"b\": \"é\"\n}");
}

#[test]
fn repeated_members_are_paired_from_the_end() {
    let view = side_by_side(r#"{"a":1,"a":2}"#, r#"{"a":2}"#, &[]);
    assert_eq!(marks(&view), [3, 0, 0, 0, 0, 1], "{view:?}");
}

#[test]
fn what_one_side_has_alone_is_shown_up_to_a_bound() {
    let long: Vec<usize> = (0..200).collect();
    let from = serde_json::json!([{"id": 1, "long": long, "after": 1}, {"id": 2}]).to_string();
    let view = side_by_side(&from, r#"[{"id":2}]"#, &[]);
    assert_eq!(marks(&view)[5], ALONE_LINES);
    let folded = view.rows.iter().find_map(|row| match row {
        Row::Folded { lines, mark: Mark::Removed, what, .. } => Some((*lines, what.as_str())),
        Row::Folded { .. } | Row::Line { .. } => None,
    });
    assert_eq!(folded, Some((206 - ALONE_LINES, "146 more lines")));
}

#[test]
fn rows_and_text_are_bounded() {
    let many = |value: &str| serde_json::json!((0..9_000).map(|n| format!("{n}{value}")).collect::<Vec<_>>());
    let view = side_by_side(&many("").to_string(), &many("x").to_string(), &[]);
    assert!(view.cut && view.rows.len() == ROWS);
    let deep = format!("{}1{}", "[".repeat(127), "]".repeat(127));
    assert_eq!(side_by_side(&deep, "2", &[]).form, Form::Json);
    assert_eq!(side_by_side(&format!("[{deep}]").repeat(2), "2", &[]).form, Form::Text);
    let wide = |end: &str| serde_json::json!(vec![format!("{}{end}", "x".repeat(9_000)); 900]).to_string();
    let view = side_by_side(&wide("1"), &wide("2"), &[]);
    assert!(view.cut && view.rows.len() < 600, "{}", view.rows.len());
}
