//! What holds for every text, however hostile.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use scraper::{Html, Node};

use super::tag;
use super::{render, sanitise};

/// Pieces of plain text that mean something to its reader, or to a reader of HTML.
const PIECES: [&str; 34] = [
    "a", "é", "😀", "שלום", "\u{202e}", "\u{feff}", "\0", "\u{a0}", "\u{b}", "\u{c}", "\u{85}", "\u{fffe}",
    " ", "  ", "\t", "\n", "\n\n", "\r", "\r\n", "*", "**", "- ", "• ", "* ", "1. ", "2) ", "9. ", "# ",
    "### ", "<", ">", "&", "&lt;", "\"'",
];

/// Tags and their like, allowed or not, open or not.
const MARKUP: [&str; 60] = [
    "<p>",
    "</p>",
    "<div>",
    "</div>",
    "<b>",
    "</b>",
    "<i x=1>",
    "</i>",
    "<ul>",
    "</ul>",
    "<ol start=3>",
    "</ol>",
    "<li>",
    "</li>",
    "<h1>",
    "</h1>",
    "<h2>",
    "</h2>",
    "<a href=http://x/>",
    "<a href='javascript:x'>",
    "</a>",
    "<table>",
    "</table>",
    "<caption>",
    "</caption>",
    "<thead>",
    "<tbody>",
    "</tbody>",
    "<tr>",
    "</tr>",
    "<td>",
    "</td>",
    "<th>",
    "<hr>",
    "<br/>",
    "<pre>",
    "</pre>",
    "<blockquote>",
    "</blockquote>",
    "<svg>",
    "</svg>",
    "<math>",
    "<mtext>",
    "<foreignObject>",
    "<style>",
    "</style>",
    "<script>",
    "</script>",
    "<title>",
    "<template>",
    "<select>",
    "<img src=x>",
    "<img onerror=x ",
    "<!--",
    "-->",
    "<![CDATA[",
    "\"",
    "'",
    "=",
    "/",
];

fn plain() -> impl Strategy<Value = String> {
    let text = vec(select(&PIECES[..]), 0..40).prop_map(|pieces| pieces.concat());
    text.prop_filter("is HTML", |text| !sanitise::is_markup(text.trim_start()))
}

fn markup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![3 => select(&MARKUP[..]), 1 => select(&PIECES[..])];
    vec(piece, 0..60).prop_map(|pieces| format!("<div>{}", pieces.concat()))
}

/// The most HTML a byte of text becomes: `<a>` gets a `rel` and an end.
const GROWTH: usize = 14;

/// Asserts that a browser finds nothing but the allow-list.
fn assert_allowed(html: &str) {
    for node in Html::parse_fragment(html).root_element().descendants().skip(1) {
        match node.value() {
            Node::Document | Node::Fragment | Node::Text(_) => {}
            Node::Element(element) => {
                let tag = tag::named(element.name()).unwrap_or_else(|| panic!("{html}"));
                let is_allowed = |(name, value): (&str, &str)| match name {
                    "rel" => tag.name == "a",
                    "href" => tag.name == "a" && value.starts_with("http:"),
                    other => tag.attributes.contains(&other),
                };
                assert!(element.attrs().all(is_allowed), "{element:?}");
            }
            Node::Doctype(_) | Node::Comment(_) | Node::ProcessingInstruction(_) => panic!("{node:?}"),
        }
    }
}

proptest! {
    #[test]
    fn what_plain_text_becomes_is_html_and_passes_unchanged(text in plain()) {
        let html = render(&text);
        prop_assert_eq!(render(&html), html);
    }

    #[test]
    fn what_html_becomes_passes_unchanged(text in markup()) {
        // Each parser drops one line end at the start of `pre`, and no serialiser writes it.
        let html = render(&text.replace("<pre>", "<div>"));
        prop_assert_eq!(render(&html), html);
    }

    #[test]
    fn a_browser_finds_nothing_but_the_allow_list(text in prop_oneof![plain(), markup(), any::<String>()]) {
        assert_allowed(&render(&text));
    }

    #[test]
    fn all_text_without_marks_survives(text in "[a-zé漢😀,.;:!?()'\" \t\r\n]{0,200}") {
        let html = Html::parse_fragment(&render(&text));
        let shown: String = html.root_element().text().collect();
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        prop_assert_eq!(words(&shown), words(&text));
    }
}

/// Texts that take quadratic time, or more stack than a thread has, of those who do not mind.
fn hostile(bytes: usize) -> Vec<(&'static str, String)> {
    let fill = |start: &str, piece: &str| format!("{start}{}", piece.repeat(bytes / piece.len()));
    let numbered = |start: &str, end: &str| {
        (0..bytes / 12).map(|number| format!("{start}{number}{end}")).collect::<String>()
    };
    let bold = numbered("<b x", ">");
    vec![
        ("asterisks", fill("", "*")),
        ("bold without a partner", fill("", "**a ")),
        ("bullets", fill("", "•")),
        ("steps", fill("", "- a\n 1. b\n  * c\n   2) d\n    - e\n")),
        ("numbers", fill("", "1) ")),
        ("one indent", fill("", " ") + "- a"),
        ("line ends", fill("a", "\r")),
        ("less-than signs", fill("", "<")),
        ("tags in prose", fill("a ", "<div>")),
        ("less-than signs in HTML", fill("<p>", "<")),
        ("open elements", fill("", "<div>")),
        ("open elements that close", fill("", "<div>") + &fill("", "</div>")),
        ("closed elements", fill("<p>", "</p></b></td></table>")),
        ("open bold before paragraphs", format!("<p>{bold}{}", "<p>x".repeat(bytes / 8))),
        ("crossed bold", fill("<p>", "<b><i></b></i>")),
        ("links", fill("<p>", "<a>")),
        ("open tables", fill("", "<table>")),
        ("open cells", fill("", "<table><tr><td>")),
        ("text astray in a table", fill("<table>", "<hr>x")),
        ("rows astray in a table", fill("<table>", "x<tr>")),
        ("attributes", format!("<p {}>", numbered("a", " "))),
        ("attributes that are allowed", fill("<p><a ", "href=x ") + ">"),
        ("an attribute without end", fill("<p>a<b x=\"", ">")),
        ("tags without end", fill("<p>", "<b ")),
        ("comments without end", fill("<p>", "<!--")),
        ("scripts without end", fill("<p>", "<script></")),
        ("foreign elements", fill("<p>", "<svg><math>")),
        ("entities", fill("<p>", "&amp")),
        ("NUL", fill("<p>", "\0")),
        ("emoji", fill("<p>", "😀")),
    ]
}

/// Time is bounded by the room that is asked for here and by structure: each byte is looked at a bounded number of times,
/// and what a parser gets is well-formed and shallow. A quadratic step would not finish.
#[test]
fn half_a_megabyte_of_anything_ends_in_little_room_and_stack() {
    let small = std::thread::Builder::new().stack_size(512 * 1024);
    let all = small.spawn(|| {
        for (name, text) in hostile(500_000) {
            let html = render(&text);
            assert!(html.len() <= text.len() * GROWTH, "{name}: {} bytes", html.len());
        }
    });
    all.unwrap().join().unwrap();
}

#[test]
fn hostile_html_becomes_what_is_allowed() {
    for (_, text) in hostile(3_000) {
        assert_allowed(&render(&text));
    }
}
