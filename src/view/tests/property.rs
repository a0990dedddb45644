use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0_i64..20).prop_map(Value::from),
        "[a-c é\"\\\\]{0,5}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec(("(id|name|tag|tags|[a-c])", inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,40}",
        "[ab\r\n]{0,40}",
        "(<[/]?(p|b|ul|li|script|pre|svg)>|[ab\n]|<p class=[ab]>|x=\\[1\\]){0,20}",
        document().prop_map(|value| value.to_string()),
    ]
}

/// The line numbers that rows show of one side, and how many they fold.
fn lines(view: &SideBySide, side: fn(&Row) -> Option<&Cell>, alone: Mark) -> (Vec<usize>, usize) {
    let numbers = view.rows.iter().filter_map(side).map(|cell| cell.line).collect();
    let folds = |row: &Row| match row {
        Row::Folded { lines, mark, .. } if *mark == Mark::Equal || *mark == alone => *lines,
        Row::Folded { .. } | Row::Line { .. } => 0,
    };
    (numbers, view.rows.iter().map(folds).sum())
}

fn from(row: &Row) -> Option<&Cell> {
    match row {
        Row::Line { from, .. } => from.as_ref(),
        Row::Folded { .. } => None,
    }
}

fn to(row: &Row) -> Option<&Cell> {
    match row {
        Row::Line { to, .. } => to.as_ref(),
        Row::Folded { .. } => None,
    }
}

fn written(cell: &Cell) -> String {
    cell.parts.iter().map(|part| part.text.as_str()).collect()
}

proptest! {
    #[test]
    fn every_line_of_both_documents_is_shown_or_folded(left in document(), right in document()) {
        let view = side_by_side(&left.to_string(), &right.to_string(), &[]);
        prop_assert!(!view.cut && view.form == Form::Json);
        let (numbers, folded) = lines(&view, from, Mark::Removed);
        prop_assert!(numbers.is_sorted_by(|one, next| one < next), "in order, none twice: {:?}", view);
        let (mut others, others_folded) = lines(&view, to, Mark::Added);
        others.sort_unstable();
        prop_assert!(others.is_sorted_by(|one, next| one < next), "none twice: {:?}", view);
        for (document, numbers, folded, side) in
            [(left, numbers, folded, from as fn(&Row) -> Option<&Cell>), (right, others, others_folded, to)]
        {
            let pretty = serde_json::to_string_pretty(&document).unwrap();
            let pretty: Vec<&str> = pretty.lines().map(str::trim_start).collect();
            prop_assert_eq!(numbers.len() + folded, pretty.len(), "{:?}", view);
            for cell in view.rows.iter().filter_map(side) {
                prop_assert_eq!(written(cell), pretty[cell.line - 1]);
            }
        }
    }

    #[test]
    fn equal_bodies_are_one_fold(body in text()) {
        let view = side_by_side(&body, &body, &[]);
        prop_assert!(matches!(&*view.rows, [] | [Row::Folded { mark: Mark::Equal, .. }]), "{view:?}");
        prop_assert_eq!(view.rows.is_empty(), body.is_empty());
    }

    #[test]
    fn swapped_bodies_have_mirrored_marks(left in text(), right in text()) {
        let there = marks(&side_by_side(&left, &right, &[]));
        let [equal, changed, moved, renamed, added, removed] = marks(&side_by_side(&right, &left, &[]));
        prop_assert_eq!(there, [equal, changed, moved, renamed, removed, added]);
    }

    #[test]
    fn any_texts_can_be_laid_out(left in text(), right in text(), at in "\\PC{0,9}", kind in "(added|moved|changed|renamed)") {
        let told = SampleDifference {
            finding: String::new(),
            at,
            kind,
            class: String::new(),
            from: Some("tag".to_owned()),
            to: Some("tags".to_owned()),
        };
        let view = side_by_side(&left, &right, &[told]);
        let one_differs = view.rows.iter().any(|row| matches!(row, Row::Line { mark, .. } if *mark != Mark::Equal));
        prop_assert!(left != right || !one_differs);
        let (numbers, _) = lines(&view, from, Mark::Removed);
        prop_assert!(numbers.is_sorted_by(|one, next| one < next));
    }
}
