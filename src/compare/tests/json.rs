use super::*;

#[test]
fn members_by_name() {
    assert_eq!(json(r#"{"a":1,"b":2}"#, r#"{ "b": 2, "a": 1 }"#), [""; 0]);
    assert_eq!(json(r#"{"a":1}"#, r#"{"a":2}"#), ["/a changed value"]);
    assert_eq!(json(r#"{"a":1}"#, r#"{"a":"x"}"#), ["/a type_changed value"]);
    assert_eq!(json(r#"{"a":1,"b":2}"#, r#"{"a":1}"#), ["/b removed value"]);
    assert_eq!(json(r#"{"a":1}"#, r#"{"a":1,"b":2}"#), ["/b added value"]);
    assert_eq!(json(r#"{"a":1,"b":null}"#, r#"{"a":1}"#), ["/b removed null_vs_absent"]);
    assert_eq!(json(r#"{"a/b":{"~":1}}"#, r#"{"a/b":{"~":2}}"#), ["/a~1b/~0 changed value"]);
    assert_eq!(json(r#"{"a":1,"a":2}"#, r#"{"a":2}"#), ["/a removed value"]);
    assert_eq!(json("[1]", "{}"), [" type_changed value"]);
}

#[test]
fn rows_by_a_key_of_theirs() {
    let from = r#"{"rows":[{"id":1,"v":"a"},{"id":2,"v":"b"},{"id":3,"v":"c"}]}"#;
    for (to, expected) in [
        (r#"{"rows":[{"id":1,"v":"a"},{"id":3,"v":"c"}]}"#, vec!["/rows/* removed value"]),
        (
            r#"{"rows":[{"id":0,"v":"z"},{"id":1,"v":"a"},{"id":2,"v":"b"},{"id":3,"v":"c"}]}"#,
            vec!["/rows/* added value"],
        ),
        (r#"{"rows":[{"id":3,"v":"c"},{"id":1,"v":"a"},{"id":2,"v":"b"}]}"#, vec!["/rows moved order"]),
        (
            r#"{"rows":[{"id":3,"v":"x"},{"id":1,"v":"a"},{"id":2,"v":"b"}]}"#,
            vec!["/rows moved order", "/rows/*/v changed value"],
        ),
    ] {
        assert_eq!(json(from, to), expected, "{to}");
    }
    let comparison = compared(JSON, from, from.replace("\"c\"", "\"d\""), &Rules::default());
    assert_eq!(comparison.differences[0].at, "/rows/2/v");
    assert_eq!(comparison.differences[0].from.as_deref(), Some("\"c\""));
}

#[test]
fn rows_by_a_configured_key() {
    let rules = rules(|spec| spec.keys = vec![("/rows".into(), "n".into())]);
    let from = r#"{"rows":[{"n":"a","id":1},{"n":"b","id":2}]}"#;
    let to = r#"{"rows":[{"n":"b","id":1},{"n":"a","id":2}]}"#;
    assert_eq!(
        json_by(&rules, from, to),
        ["/rows moved order", "/rows/*/id changed value", "/rows/*/id changed value"]
    );
    assert_eq!(json(from, to), ["/rows/*/n changed value", "/rows/*/n changed value"]);
}

#[test]
fn rows_without_a_key_by_content() {
    assert_eq!(json("[[1,2],[3],[4]]", "[[1,2],[4]]"), ["/* removed value"]);
    assert_eq!(json(r#"["a","b","c"]"#, r#"["c","a","b"]"#), [" moved order"]);
    assert_eq!(json(r#"["a","b","c"]"#, r#"["a","x","c"]"#), ["/* changed value"]);
    let rows = |second: &str| {
        format!(r#"[{{"a":1,"b":[1],"c":7}},{{"a":2,"b":[2],"c":{second}}},{{"a":3,"b":[3],"c":9}}]"#)
    };
    assert_eq!(json(&rows("8"), &rows("0")), ["/*/c changed value"]);
    assert_eq!(
        json(r#"[{"a":1,"b":2}]"#, r#"[{"a":5,"b":6}]"#),
        ["/*/a changed value", "/*/b changed value"]
    );
}

#[test]
fn a_page_that_starts_elsewhere_is_rows_that_left_and_entered() {
    let page = |first: u32| {
        let rows: Vec<String> =
            (first..first + 5).map(|id| format!(r#"{{"id":{id},"t":"row {id}"}}"#)).collect();
        format!("[{}]", rows.join(","))
    };
    assert_eq!(
        json(&page(0), &page(2)),
        ["/* added value"; 2].into_iter().chain(["/* removed value"; 2]).collect::<Vec<_>>()
    );
}

#[test]
fn where_no_rows_align_their_shapes_are_compared() {
    let from = r#"[{"id":1,"meta":"{\"a\":1}","old":true,"n":null}]"#;
    let to = r#"[{"id":2,"meta":{"a":2},"new":1,"n":3}]"#;
    assert_eq!(
        json(from, to),
        [
            "/* added value",
            "/* removed value",
            "/*/meta type_changed json_in_string",
            "/*/new added value",
            "/*/old removed value"
        ]
    );
    assert_eq!(json("[]", r#"[{"id":1}]"#), ["/* added value"]);
}

#[test]
fn renames_are_named_once() {
    for (from, to, expected) in [
        (r#"{"category":[1]}"#, r#"{"categories":[1]}"#, vec!["/category renamed value"]),
        (r#"{"language":["en"]}"#, r#"{"languages":[]}"#, vec!["/language renamed value"]),
        (
            r#"{"channel":"Weird History"}"#,
            r#"{"channel_name":"Weird History"}"#,
            vec!["/channel renamed value"],
        ),
        (
            r#"{"channel":"Weird"}"#,
            r#"{"author":"Strange"}"#,
            vec!["/author added value", "/channel removed value"],
        ),
        (
            r#"{"has_audio":true}"#,
            r#"{"hidden":true}"#,
            vec!["/has_audio removed value", "/hidden added value"],
        ),
        (
            r#"{"a":[{"value":"u"},{"value":"v"},{"value":"w"},{"value":"x"},{"value":"y"}]}"#,
            r#"{"b":[{"value":"u"},{"value":"v"},{"value":"w"},{"value":"x"}]}"#,
            vec!["/a renamed value", "/a/* removed value"],
        ),
        // Equal in one row by chance only.
        (
            r#"[{"id":1,"a":"same"},{"id":2,"a":"this"}]"#,
            r#"[{"id":1,"b":"same"},{"id":2,"b":"that"}]"#,
            vec!["/*/a removed value", "/*/a removed value", "/*/b added value", "/*/b added value"],
        ),
        (
            r#"[{"id":1,"a":"same"},{"id":2,"a":"this"}]"#,
            r#"[{"id":1,"b":"same"},{"id":2,"b":"this"}]"#,
            vec!["/*/a renamed value"],
        ),
    ] {
        assert_eq!(json(from, to), expected, "{from} {to}");
    }
    let comparison = compared(JSON, r#"{"category":1}"#, r#"{"categories":1}"#, &Rules::default());
    let difference = &comparison.differences[0];
    assert_eq!(
        (difference.from.as_deref(), difference.to.as_deref()),
        (Some("category"), Some("categories"))
    );
}

#[test]
fn one_is_true_where_the_other_rows_are_boolean() {
    let from = r#"[{"id":1,"v":1},{"id":2,"v":0}]"#;
    assert_eq!(
        json(from, r#"[{"id":1,"v":true},{"id":2,"v":false}]"#),
        ["/*/v type_changed boolean_encoding"; 2]
    );
    let counts = r#"[{"id":1,"v":1},{"id":2,"v":7}]"#;
    assert_eq!(json(counts, r#"[{"id":1,"v":true},{"id":2,"v":7}]"#), ["/*/v type_changed value"]);
}

#[test]
fn json_in_a_string_is_named_and_opened() {
    assert_eq!(json(r#"{"a":"{\"b\": [1]}"}"#, r#"{"a":{"b":[1]}}"#), ["/a type_changed json_in_string"]);
    assert_eq!(
        json(r#"{"a":"{\"b\": [1]}"}"#, r#"{"a":{"b":[2]}}"#),
        ["/a type_changed json_in_string", "/a/b/* changed value"]
    );
}

#[test]
fn reorderings_are_explained_by_the_sort_keys() {
    let by = |key: &str| {
        let keys = vec![format!("/{key}"), "/id".to_owned()];
        rules(|spec| spec.order = vec![(String::new(), keys)])
    };
    let tie = [
        r#"[{"id":1,"t":5},{"id":2,"t":5},{"id":3,"t":4}]"#,
        r#"[{"id":2,"t":5},{"id":1,"t":5},{"id":3,"t":4}]"#,
    ];
    let null = [
        r#"[{"id":1,"t":null},{"id":2,"t":5},{"id":3,"t":4}]"#,
        r#"[{"id":2,"t":5},{"id":3,"t":4},{"id":1,"t":null}]"#,
    ];
    let word = [
        r#"[{"id":1,"t":"B"},{"id":2,"t":"C"},{"id":3,"t":"a"}]"#,
        r#"[{"id":3,"t":"a"},{"id":1,"t":"B"},{"id":2,"t":"C"}]"#,
    ];
    let other = [
        r#"[{"id":1,"t":3},{"id":2,"t":2},{"id":3,"t":1}]"#,
        r#"[{"id":3,"t":1},{"id":1,"t":3},{"id":2,"t":2}]"#,
    ];
    for ([from, to], class) in
        [(tie, "tie_order"), (null, "null_order"), (word, "collation"), (other, "order")]
    {
        assert_eq!(json_by(&by("t"), from, to), [format!(" moved {class}")]);
        assert_eq!(json_by(&by("t"), to, from), [format!(" moved {class}")]);
        assert_eq!(json(from, to), [format!(" moved {class}")], "seen, not configured");
        assert_eq!(json(to, from), [format!(" moved {class}")]);
    }
}

#[test]
fn ignored_paths_count_nowhere() {
    let rules = rules(|spec| spec.ignore = vec!["/version".into(), "/rows/*/seen".into(), "/**/etag".into()]);
    let from =
        r#"{"version":"a","rows":[{"a":1,"b":1,"seen":1},{"a":2,"b":1,"seen":2}],"x":{"y":{"etag":1}}}"#;
    let to = r#"{"rows":[{"a":1,"b":1,"seen":7},{"a":2,"b":1}],"x":{"y":{"etag":2}}}"#;
    assert_eq!(json_by(&rules, from, to), [""; 0]);
    assert_eq!(json_by(&rules, from, &to.replace("\"a\":2", "\"a\":3")), ["/rows/*/a changed value"]);
}

#[test]
fn unordered_arrays_are_multisets() {
    let rules = rules(|spec| spec.unordered = vec!["/tags".into()]);
    assert_eq!(json_by(&rules, r#"{"tags":["a","b","a"]}"#, r#"{"tags":["b","a","a"]}"#), [""; 0]);
    assert_eq!(
        json_by(&rules, r#"{"tags":["a","b","a"]}"#, r#"{"tags":["b","a"]}"#),
        ["/tags/* removed value"]
    );
}

#[test]
fn classes_treated_as_equal_are_accepted_but_not_hidden() {
    let rules = rules(|spec| spec.treat_as_equal = vec![Class::TimestampFormat]);
    let (from, to) = (r#"{"t":"2025-01-01T00:00:00Z","v":1}"#, r#"{"t":"2025-01-01 00:00:00","v":1}"#);
    let accepted = compared(JSON, from, to, &rules);
    assert!(accepted.is_accepted() && !accepted.is_match());
    assert!(accepted.differences[0].accepted_by_rule);
    let mixed = compared(JSON, from, to.replace("\"v\":1", "\"v\":2"), &rules);
    assert!(!mixed.is_accepted());
    assert_eq!((mixed.total, mixed.unaccepted), (2, 1));
}

#[test]
fn hostile_documents_end_at_a_limit() {
    let rules = rules(|spec| spec.limits.depth = usize::MAX);
    let deep =
        |open: &str, close: &str, depth: usize| format!("{}{}", open.repeat(depth), close.repeat(depth));
    for depth in [10_000, 300] {
        let bomb = compared(JSON, deep("[", "]", depth), "[]", &rules);
        assert_eq!(bomb.limited, Some(Limit::Depth));
        assert!(!bomb.is_match());
    }
    // As deep as may be, on a thread with the usual stack.
    let nested = |value: &str| format!("{}{value}{}", r#"{"a":["#.repeat(127), "]}".repeat(127));
    let deepest = std::thread::Builder::new().stack_size(2 << 20);
    let compared =
        deepest.spawn(move || compared(JSON, nested("1"), nested("2"), &rules)).unwrap().join().unwrap();
    assert_eq!(compared.total, 1);
}

#[test]
fn rows_that_only_a_tie_keeps_on_a_page_are_a_tie() {
    let by = rules(|spec| spec.order = vec![(String::new(), vec!["/t".into()])]);
    let from = r#"[{"id":1,"t":9},{"id":2,"t":5},{"id":3,"t":5}]"#;
    let to = r#"[{"id":1,"t":9},{"id":2,"t":5},{"id":4,"t":5}]"#;
    for rules in [&by, &Rules::default()] {
        assert_eq!(json_by(rules, from, to), ["/* added tie_order", "/* removed tie_order"]);
        assert_eq!(json_by(rules, to, from), ["/* added tie_order", "/* removed tie_order"]);
    }
    // At the other edge.
    let first = [r#"[{"id":1,"t":5},{"id":2,"t":4}]"#, r#"[{"id":3,"t":5},{"id":2,"t":4}]"#];
    assert_eq!(json_by(&by, first[0], first[1]), ["/* added tie_order", "/* removed tie_order"]);
    // Near misses: another sort key, a row in the middle, more that left than entered.
    for (from, to) in [
        (from, r#"[{"id":1,"t":9},{"id":2,"t":5},{"id":4,"t":4}]"#),
        (
            r#"[{"id":1,"t":9},{"id":2,"t":6},{"id":3,"t":5}]"#,
            r#"[{"id":1,"t":9},{"id":4,"t":6},{"id":3,"t":5}]"#,
        ),
        (r#"[{"id":1,"t":9},{"id":2,"t":5},{"id":3,"t":5}]"#, r#"[{"id":1,"t":9},{"id":4,"t":5}]"#),
    ] {
        let found = json_by(&by, from, to);
        assert!(found.iter().all(|line| line.ends_with(" value")), "{found:?}");
    }
}

#[test]
fn a_finding_is_the_same_whoever_served() {
    // From and to are sides, not roles: the legs are handed over in that order before and after a flip.
    let (from, to) =
        (r#"{"category":[1],"t":"2025-01-01T00:00:00Z"}"#, r#"{"categories":[2],"t":"2025-01-01 00:00:00"}"#);
    assert_eq!(
        json(from, to),
        ["/category renamed value", "/category/* changed value", "/t changed timestamp_format"]
    );
}

#[test]
fn representation_classes_at_members_in_both_directions() {
    for (from, to, expected) in [
        (r#"[{"id":1,"v":null}]"#, r#"[{"id":1}]"#, Some("null_vs_absent")),
        (r#"[{"id":1,"v":""}]"#, r#"[{"id":1}]"#, None),
        (r#"[{"id":1,"v":0}]"#, r#"[{"id":1}]"#, None),
        (r#"[{"id":1,"v":""}]"#, r#"[{"id":1,"v":null}]"#, Some("empty_vs_null")),
        (r#"[{"id":1,"v":[]}]"#, r#"[{"id":1,"v":null}]"#, Some("empty_vs_null")),
        (r#"[{"id":1,"v":[]}]"#, r#"[{"id":1,"v":""}]"#, None),
        (r#"[{"id":1,"v":"caf\u00e9"}]"#, r#"[{"id":1,"v":"cafe\u0301"}]"#, Some("unicode_form")),
        (r#"[{"id":1,"v":"caf\u00e9"}]"#, r#"[{"id":1,"v":"cafe"}]"#, None),
        (
            r#"[{"id":1,"v":true},{"id":2,"v":false}]"#,
            r#"[{"id":1,"v":1},{"id":2,"v":0}]"#,
            Some("boolean_encoding"),
        ),
        (r#"[{"id":1,"v":true},{"id":2,"v":7}]"#, r#"[{"id":1,"v":1},{"id":2,"v":7}]"#, None),
        (r#"[{"id":1,"v":"1"}]"#, r#"[{"id":1,"v":true}]"#, None),
        (r#"[{"id":1,"v":"1.5"}]"#, r#"[{"id":1,"v":1.5}]"#, Some("number_as_string")),
        (r#"[{"id":1,"v":"0x10"}]"#, r#"[{"id":1,"v":16}]"#, None),
        (r#"[{"id":1,"v":"2025-13-45"}]"#, r#"[{"id":1,"v":"2025-13-45T00:00:00Z"}]"#, None),
        (r#"[{"id":1,"v":"[1,2]"}]"#, r#"[{"id":1,"v":[1,2]}]"#, Some("json_in_string")),
        (r#"[{"id":1,"v":"1,2"}]"#, r#"[{"id":1,"v":[1,2]}]"#, None),
    ] {
        for (from, to) in [(from, to), (to, from)] {
            let found = json(from, to);
            assert!(!found.is_empty(), "{from} {to}");
            let class = expected.unwrap_or("value");
            assert!(found.iter().all(|line| line.ends_with(&format!(" {class}"))), "{from} {to} {found:?}");
        }
    }
}

#[test]
fn one_changed_row_among_equal_ones_is_judged_by_the_others_too() {
    // Most rows are the same, and still say that 1 is a count here, and that `b` was not renamed everywhere.
    let rows = |first: &str| {
        let others: Vec<String> =
            (2..20).map(|id| format!(r#"{{"id":{id},"n":{id},"b":"text {id}"}}"#)).collect();
        format!("[{first},{}]", others.join(","))
    };
    let from = rows(r#"{"id":1,"n":1,"b":"some text"}"#);
    assert_eq!(json(&from, &rows(r#"{"id":1,"n":true,"b":"some text"}"#)), ["/*/n type_changed value"]);
    assert_eq!(
        json(&from, &rows(r#"{"id":1,"n":1,"c":"some text"}"#)),
        ["/*/b removed value", "/*/c added value"]
    );
    assert_eq!(json(&from, &rows(r#"{"id":1,"n":1,"b":"other text"}"#)), ["/*/b changed value"]);
}

#[test]
fn large_arrays_are_bounded() {
    let array = |numbers: &mut dyn Iterator<Item = u32>| {
        format!("[{}]", numbers.map(|n| n.to_string()).collect::<Vec<_>>().join(","))
    };
    let from = array(&mut (0..50_000));
    let to = array(&mut (0..50_000).map(|n| (n * 7919) % 50_000));
    assert_eq!(json(&from, &to), [" moved order"]);
    let rows = |turn: u32| {
        let rows = (0..50_000_u32).map(|n| format!(r#"{{"id":{},"v":"x"}}"#, (n * turn) % 50_000));
        format!("[{}]", rows.collect::<Vec<_>>().join(","))
    };
    assert_eq!(json(&rows(1), &rows(7919)), [" moved order"]);
    let other = array(&mut (50_000..100_000));
    let comparison = compared(JSON, &from, &other, &Rules::default());
    assert!(comparison.total >= 50_000 && comparison.differences.len() <= 1_000);
    let tight = rules(|spec| spec.limits.work = 1_000);
    assert_eq!(compared(JSON, &from, &other, &tight).limited, Some(Limit::Work));
}

#[test]
fn two_mebibytes_of_anything_come_to_an_end() {
    const LENGTH: usize = 2 << 20;
    let filled = |open: &str, piece: &dyn Fn(usize) -> String, close: &str| {
        let mut text = open.to_owned();
        for n in 0.. {
            let piece = piece(n);
            if text.len() + piece.len() + close.len() > LENGTH {
                break;
            }
            text.push_str(if n == 0 { "" } else { "," });
            text.push_str(&piece);
        }
        text + close
    };
    for (from, to) in [
        // Repeated members, thousands of names on either side, rows without names, rows of rows.
        (filled("{", &|_| "\"a\":1".into(), "}"), filled("{", &|_| "\"a\":2".into(), "}")),
        (filled("{", &|n| format!("\"a{n}\":{n}"), "}"), filled("{", &|n| format!("\"b{n}\":{n}"), "}")),
        (filled("[", &|_| "{}".into(), "]"), filled("[", &|_| "[]".into(), "]")),
        (filled("[", &|n| format!("[{n}]"), "]"), filled("[", &|n| format!("[{}]", n + 1), "]")),
        (
            filled("[", &|n| format!("{{\"t\":{n}}}"), "]"),
            filled("[", &|n| format!("{{\"t\":{}}}", n * 7), "]"),
        ),
        (filled("[", &|n| format!("\"{}\"", n % 3), "]"), filled("[", &|n| format!("\"{}\"", n % 5), "]")),
        (filled("[", &|n| format!("1e{n}"), "]"), filled("[", &|n| format!("10e{n}"), "]")),
        (format!("\"{}\"", "\\n".repeat(LENGTH / 2 - 1)), format!("\"{}\"", "&amp;".repeat(LENGTH / 5 - 1))),
    ] {
        let comparison = compared(JSON, &from, &to, &Rules::default());
        assert!(!comparison.is_match());
        assert!(comparison.differences.len() <= 1_000);
        assert!(compared(JSON, &from, format!(" {from}"), &Rules::default()).is_match());
    }
}
