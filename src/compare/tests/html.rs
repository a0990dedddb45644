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

/// A dashboard's page as a template engine writes it: indented, with tokens, assets and data.
fn dashboard(token: &str, nonce: &str, build: &str, cards: &[(u32, &str, u32)]) -> String {
    let articles: String = cards
        .iter()
        .map(|(id, title, minutes)| {
            format!(
                "      <article class=\"card shadow\" data-id=\"{id}\">\n        <a href=\"/reports/{id}\">\
                 <img src=\"/static/thumb-{id}.jpg\" alt=\"\" loading=lazy></a>\n        <h2>{title}</h2>\n        \
                 <p><span class=\"badge\">{minutes} min</span> &middot; <em>new</em></p>\n      </article>\n"
            )
        })
        .collect();
    let data: Vec<String> = cards
        .iter()
        .map(|(id, title, minutes)| format!(r#"{{"id":{id},"title":"{title}","minutes":{minutes}}}"#))
        .collect();
    format!(
        r#"<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="csrf-token" content="{token}">
    <meta http-equiv="Content-Security-Policy" content="script-src 'self' 'nonce-{nonce}'">
    <title>Reports</title>
    <link rel="stylesheet" href="/static/site.{build}.css" integrity="sha256-{build}">
    <script nonce="{nonce}" src="/static/app.js?v={build}"></script>
  </head>
  <body>
    <nav><ul><li><a href="/">Home</a><li><a href="/about">About</a></ul></nav>
    <main id="reports">
{articles}    </main>
    <form method="post"><input type="hidden" name="csrf_token" value="{token}"><button>Go</button></form>
    <script nonce="{nonce}">
      const reports = [{}];
      render(reports);
    </script>
    <script type="application/json" id="settings">{{"theme": "dark", "build": 7}}</script>
    <footer>made in <time datetime="2025-09-17T06:34:00Z">0.0{} s</time></footer>
  </body>
</html>
"#,
        data.join(", "),
        token.len(),
    )
}

const CARDS: [(u32, &str, u32); 3] = [(1, "One", 5), (2, "Two", 6), (3, "Three", 7)];

#[test]
fn another_token_nonce_and_build_are_no_difference() {
    let one = dashboard("aaaa", "n1", "3f9a2b1c", &CARDS);
    let other = dashboard("bbbb", "n2", "77c0ffee1", &CARDS);
    assert_eq!(html(&one, &other), [""; 0]);
    let by = rules(|spec| spec.mask = Vec::new());
    let unmasked = lines(&compared(HTML, &one, &other, &by));
    assert!(unmasked.len() > 6, "{unmasked:?}");
    let by = rules(|spec| spec.mask = vec![Mask::Csrf, Mask::Nonce]);
    assert_eq!(
        lines(&compared(HTML, &one, &other, &by)),
        [
            "html/head/link/@href changed value",
            "html/head/link/@integrity changed value",
            "html/head/script/@src changed value"
        ]
    );
}

#[test]
fn a_page_of_cards_names_each_change_once() {
    let page = |cards: &[(u32, &str, u32)]| dashboard("t", "n", "b", cards);
    let from = page(&CARDS);
    let card = "html/body/main/article[*]";
    let script = "html/body/script[*]!reports";
    for (cards, expected) in [
        (
            vec![CARDS[1], CARDS[2], CARDS[0]],
            vec!["html/body/main moved order".to_owned(), format!("{script} moved order")],
        ),
        (
            vec![CARDS[0], CARDS[1], (9, "Nine", 1), CARDS[2]],
            vec![format!("{card} added value"), format!("{script}/* added value")],
        ),
        (
            vec![CARDS[0], CARDS[2]],
            vec![format!("{card} removed value"), format!("{script}/* removed value")],
        ),
    ] {
        assert_eq!(html(&from, &page(&cards)), expected);
    }
    for (old, new, expected) in [
        ("\"minutes\":6", "\"minutes\":8", format!("{script}/*/minutes changed value")),
        ("\"theme\": \"dark\"", "\"theme\": \"light\"", "script#settings!/theme changed value".to_owned()),
        ("href=\"/reports/2\"", "href=\"/report/2\"", format!("{card}/a/@href changed value")),
        ("data-id=\"3\"", "data-id=\"4\"", format!("{card}/@data-id changed value")),
        ("<h2>Two</h2>", "<h2>2</h2>", format!("{card}/h2/text() changed value")),
        (
            " loading=lazy></a>\n        <h2>One",
            "></a>\n        <h2>One",
            format!("{card}/a/img/@loading removed value"),
        ),
    ] {
        assert!(from.contains(old), "{old}");
        assert_eq!(html(&from, &from.replacen(old, new, 1)), [expected], "{old}");
        assert_eq!(html(&from.replacen(old, new, 1), &from).len(), 1, "{old}");
    }
}

#[test]
fn selectors_leave_out_or_choose() {
    let page = |clock: &str, price: &str| {
        page(&format!(
            "<p class=clock>{clock}</p><section id=a><b>{price}</b></section><aside>{clock}</aside>"
        ))
    };
    let (one, other) = (page("10:00", "5"), page("10:01", "5"));
    assert_eq!(html(&one, &other).len(), 2);
    let ignoring = rules(|spec| spec.ignore_selectors = vec![".clock, aside".into()]);
    assert!(compared(HTML, &one, &other, &ignoring).is_match());
    let only = rules(|spec| spec.only_selectors = vec!["#a".into()]);
    assert!(compared(HTML, &one, &other, &only).is_match());
    let dearer = compared(HTML, &one, page("10:01", "6"), &only);
    assert_eq!(lines(&dearer), ["html/section/b/text() changed value"]);
    assert_eq!(lines(&compared(HTML, &one, page("10:01", "6"), &ignoring)).len(), 1);
}

#[test]
fn html_in_a_json_member_is_compared_as_html_by_rule() {
    let from = r#"{"reports":[{"id":1,"summary_html":"<p class='a b'>x &amp; y</p>\n<p>z</p>"}]}"#;
    let to = r#"{"reports":[{"id":1,"summary_html":"<p class=\"b a\">x &#38; y</p><p>z</p>"}]}"#;
    let by = rules(|spec| spec.html = vec!["/reports/*/summary_html".into()]);
    assert_eq!(lines(&compared(JSON, from, to, &by)), [""; 0]);
    assert_eq!(lines(&compared(JSON, from, to, &Rules::default())).len(), 1);
    let changed = compared(JSON, from, to.replace("<p>z", "<p>Z"), &by);
    assert_eq!(lines(&changed), ["/reports/*/summary_html!p[*]/text() changed case"]);
    assert_eq!(changed.differences[0].at, "/reports/0/summary_html!p[2]/text()");
    let accepting = rules(|spec| {
        spec.html = vec!["/reports/*/summary_html".into()];
        spec.treat_as_equal_at = vec![("/reports/*/summary_html".into(), vec![Class::Case])];
    });
    assert!(compared(JSON, from, to.replace("<p>z", "<p>Z"), &accepting).is_accepted());
}
