use super::*;

fn html(from: &str, to: &str) -> Vec<String> {
    let comparison = compared(HTML, from, to, &Rules::default());
    assert_eq!(comparison.limited, None);
    lines(&comparison)
}

fn page(body: &str) -> String {
    format!("<!doctype html><html><head><title>t</title></head><body><main>{body}</main></body></html>")
}

fn card(name: &str, price: u32) -> String {
    format!(r#"<article class="card big"><h2>{name}</h2><p>costs <b>{price}</b> now</p></article>"#)
}

#[test]
fn what_a_browser_shows_alike_is_a_match() {
    for (from, to) in [
        ("<p>a  b</p>\n<p>c</p>", "<p> a\nb </p><p>c</p>"),
        (r#"<a href="x" class="b a">l</a>"#, r#"<a class="a  b" href='x'>l</a>"#),
        ("<p>&eacute; &amp; &#39;</p>", "<p>é &amp; '</p>"),
        ("<ul><li>a<li>b</ul>", "<ul><li>a</li><li>b</li></ul>"),
        ("<p>a<!-- one --></p>", "<p>a</p>"),
        ("<BR><Input DISABLED>", "<br/><input disabled=\"\">"),
    ] {
        assert_eq!(html(&page(from), &page(to)), [""; 0], "{from} {to}");
    }
    assert_eq!(html("<p>a</p>", "<html><head></head><body><p>a</p></body></html>"), [""; 0]);
    assert_eq!(html("<p>a</p>", "<!doctype html><p>a</p>"), ["!doctype changed value"]);
}

#[test]
fn white_space_counts_where_it_shows() {
    assert_eq!(html(&page("a <b>b</b>"), &page("a<b>b</b>")), ["html/body/main/text() changed whitespace"]);
    assert_eq!(
        html(&page("<pre>a  b</pre>"), &page("<pre>a b</pre>")),
        ["html/body/main/pre/text() changed whitespace"]
    );
    assert_eq!(html(&page("<textarea>a\nb</textarea>"), &page("<textarea>a b</textarea>")).len(), 1);
}

#[test]
fn one_change_is_one_difference() {
    let cards = |names: &[&str]| page(&names.iter().map(|name| card(name, 5)).collect::<String>());
    let from = cards(&["a", "b", "c"]);
    let article = "html/body/main/article[*]";
    assert_eq!(html(&from, &cards(&["a", "new", "b", "c"])), [format!("{article} added value")]);
    assert_eq!(html(&from, &cards(&["b", "c"])), [format!("{article} removed value")]);
    assert_eq!(html(&from, &cards(&["c", "a", "b"])), ["html/body/main moved order"]);
    assert_eq!(html(&from, &cards(&["a", "x", "c"])), [format!("{article}/h2/text() changed value")]);
    let dearer = page(&[card("a", 5), card("b", 6), card("c", 5)].concat());
    assert_eq!(html(&from, &dearer), [format!("{article}/p/b/text() changed value")]);
    let linked = |target: &str| page(&format!("<p><a href=\"{target}\">x</a></p>"));
    assert_eq!(html(&linked("/a"), &linked("/b")), ["html/body/main/p/a/@href changed value"]);
    let comparison = compared(HTML, &from, &dearer, &Rules::default());
    assert_eq!(comparison.differences[0].at, "html/body/main/article[2]/p/b/text()");
}

#[test]
fn elements_with_an_id_stay_themselves() {
    let row = |id: &str, text: &str| format!("<div id=\"{id}\">{text}</div>");
    let from = page(&[row("a", "one"), row("b", "two"), row("c", "three")].concat());
    let to = page(&[row("c", "three"), row("a", "changed"), row("b", "two")].concat());
    assert_eq!(
        html(&from, &to),
        ["html/body/main moved order", "html/body/main/div[*]/text() changed value"]
    );
}

#[test]
fn json_in_scripts_is_compared_as_json() {
    let data =
        |json: &str| page(&format!("<script type=\"application/json\" id=\"reports-data\">{json}</script>"));
    let reports = r#"{"reports":[{"id":1,"title":"a"},{"id":2,"title":"b"}]}"#;
    assert_eq!(html(&data(reports), &data(&reports.replace(':', " : "))), [""; 0]);
    assert_eq!(
        html(&data(reports), &data(&reports.replace("\"b\"", "\"c\""))),
        ["script#reports-data!/reports/*/title changed value"]
    );
    let code = |json: &str, call: &str| page(&format!("<script>\nconst x = {json};\n  {call}(x);</script>"));
    assert_eq!(html(&code("[{\"a\": 1, \"b\": 2}]", "show"), &code("[{\"b\":2,\"a\":1}]", "show")), [""; 0]);
    assert_eq!(
        html(&code("[{\"id\":1,\"price\":1}]", "f"), &code("[{\"id\":1,\"price\":2}]", "f")),
        ["html/body/main/script!x/*/price changed value"]
    );
    assert_eq!(
        html(&code("[1]", "show"), &code("[1]", "hide")),
        ["html/body/main/script/text() changed value"]
    );
    let ignoring = rules(|spec| spec.ignore = vec!["/reports/*/title".into()]);
    assert!(compared(HTML, data(reports), data(&reports.replace("\"b\"", "\"c\"")), &ignoring).is_match());
}

#[test]
fn hostile_pages_end_at_a_limit() {
    for page in [
        "<div>".repeat(100_000),
        "<b>".repeat(100_000),
        format!("<svg>{}{}", "<td>".repeat(100_000), "</y>".repeat(100_000)),
        "<p><b class=1>".repeat(50_000),
    ] {
        assert_eq!(compared(HTML, &page, "<p>", &Rules::default()).limited, Some(Limit::Depth));
    }
    let flat = "<li>a<p>".repeat(100_000);
    let comparison = compared(HTML, &flat, "<li>b", &Rules::default());
    assert!(!comparison.is_match());
    let scripts = format!("<script>{}</script>", "<div>".repeat(10_000));
    assert_eq!(html(&page(&scripts), &page(&scripts.replace("div", "p"))).len(), 1);
}
