use insta::assert_snapshot;

use super::*;

const PAGE: &str = "<!doctype html><html><head><title>Reports</title></head><body>\
    <ul class='b a'><li>One</li><li><a href=/2>Two</a></li><li>Three</li><li>Four</li></ul>\
    <p>Some   <b>bold</b> text</p><p>a</p><p>b</p><p>c</p><p>d</p><p>e</p><p>f</p><p>g</p><p>h</p><p>i</p>\
    <script id=data type=application/json>{\"rows\":[{\"id\":1,\"n\":1},{\"id\":2,\"n\":2}]}</script>\
    <script>const reports = [1,2]; go();</script></body></html>";

fn html(replaced: &[(&str, &str)]) -> String {
    let to = replaced.iter().fold(PAGE.to_owned(), |page, (from, to)| {
        assert!(page.contains(from), "{from}");
        page.replace(from, to)
    });
    shown(PAGE, &to, "text/html")
}

#[test]
fn a_changed_text_is_marked_within_its_line() {
    assert_snapshot!(html(&[("Reports", "Report"), ("<p>e</p>", "<p>é</p>")]));
}

#[test]
fn a_removed_list_item_leaves_the_others_alone() {
    assert_snapshot!(html(&[("<li>One</li>", "")]));
}

#[test]
fn attributes_are_sorted_and_marked() {
    assert_snapshot!(html(&[("class='b a'", "id=x class='a b'"), ("href=/2", "href=/3 ")]));
}

#[test]
fn json_in_scripts_is_laid_out() {
    assert_snapshot!(html(&[("\"n\":2", "\"n\":3"), ("[1,2]", "[1,2,3]")]));
}

#[test]
fn text_is_compared_by_lines() {
    let from = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk same\nl\n";
    let to = "a\nb\nc\nd\ne\nf\ng\nh\ni\nnew\nj\nk some\r\nl";
    assert_snapshot!(shown(from, to, "text/plain"));
}

#[test]
fn a_page_opposite_json_is_a_page() {
    let view = side_by_side("{\"a\":1}", "<p>down", &[]);
    assert_eq!((view.form, marks(&view)), (Form::Html, [0, 0, 0, 0, 6, 3]));
    let over = side_by_side("(not text: 7 bytes, SHA-256 01)", "(not text: 8 bytes, SHA-256 02)", &[]);
    assert_eq!((over.form, marks(&over)), (Form::Text, [0, 1, 0, 0, 0, 0]));
}

#[test]
fn masked_tokens_show_only_where_an_attribute_was_told() {
    let page = |nonce: &str| format!("<p>x</p><script nonce={nonce}>a()</script>");
    let (from, to) = (page("abc"), page("def"));
    assert_eq!(side_by_side(&from, &to, &[]).rows.len(), 1);
    let told = SampleDifference {
        finding: String::new(),
        at: "html/body/script/@nonce".into(),
        kind: "changed".into(),
        class: "value".into(),
        from: None,
        to: None,
    };
    let view = side_by_side(&from, &to, &[told]);
    let shows = |row: &&Row| matches!(row, Row::Line { mark: Mark::Changed, difference: Some(0), .. });
    assert_eq!(view.rows.iter().filter(shows).count(), 1);
}

#[test]
fn hostile_pages_and_long_texts_are_bounded() {
    let deep = "<div>".repeat(5_000);
    let view = side_by_side(&deep, "<p>", &[]);
    assert_eq!(view.form, Form::Html);
    let long = |word: &str| format!("{word}\n").repeat(9_000);
    let view = side_by_side(&long("a"), &long("b"), &[]);
    assert!(view.cut && view.rows.len() == ROWS);
    let longer = "a\n".repeat(300_000);
    let view = side_by_side(&longer, &format!("{longer}b"), &[]);
    assert!(view.cut, "{:?}", view.rows.len());
    let list = |value: &str| format!("[{}]", vec![value; BODY_BYTES / 2].join(","));
    let view = side_by_side(&list("1"), &list("2"), &[]);
    assert_eq!((view.form, marks(&view)), (Form::Text, [0, 1, 0, 0, 0, 0]));
}
