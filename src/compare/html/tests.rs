//! Our own page against scraper's tree of the same text.

use std::fmt::Write;

use proptest::prelude::*;

use super::tree::Child;
use super::*;

const PAGES: &[&str] = &[
    "",
    "text",
    "<!doctype html><title>t</title><p>a<p>b <b>c</b>\n<ul><li>1<li>2</ul>",
    "<p>a &amp; b &notin; &#x41;&unknown; c &lt",
    "<div><p>unclosed<div><span>more",
    "<p><b>1<i>2</b>3</i>4<a href=x>5<a href=y>6</p>7</a>",
    "<b><p>a</b>b</p><font color=red><div><table><b>c",
    "<a>1<div>2<div>3<div>4</a>5<b><b><b><b><p>x",
    "<table>text<tr>more<td>cell<b>bold</tr>foster<i>ed</table>after",
    "x<table>a<tr>b<td>c</td>d</tr><!-- e -->f<div>g</div><caption>h</table>i",
    "<table><td><table>a<tr></table>b</table>",
    "<template><tr><td>a</td></tr><template>b</template></template><p>c",
    "<table><template>a</template><tr><template><td>b</template>",
    "<svg viewbox='0 0 1 1' xlink:href=a href=b><path d=1 /><foreignObject><p>x</p></foreignObject><script>a<b>c</b></script></svg>y",
    "<math><mi>a</mi><annotation-xml><p>x</annotation-xml><mtext><b>t</mtext></math>",
    "<!doctype html><frameset cols=1><frame src=a><noframes>x</noframes></frameset>",
    "<p id=a id=b CLASS='z a  z' class=b data-x=1>t</p>",
    "<html lang=a><body class=b><p>x<html lang=c id=d><body class=e title=f>",
    "<svg><script>a <!-- c --> b</script><script>c<path d=1 />d</script><style> e<!-- f --> g</style></svg>",
    "<select><option>a<optgroup><option>b<select><p>c<input>",
    "<pre>\n a  b\n</pre><textarea>\n<b>x</textarea><plaintext>a<b>",
    "<script>if (a < b) { '<b>' }</script><style>a > b{}</style><noscript><p>n</noscript>",
    "<form><form><button><button><input></form><h1><h2>a</h1>",
    "a<!-- c -->b<?pi x?>c<![CDATA[d]]>\0e\r\nf\rg",
    "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01 Transitional//EN\"><body></body>late<p>r</html>x<!-- y -->",
    "<head><p>x</head><meta><body></p></br><ruby>a<rt>b<rp>c</ruby><nobr>a<nobr>b",
];

/// Pieces of which nasty pages are made.
const PIECES: &[&str] = &[
    "<table>",
    "</table>",
    "<tr>",
    "<td>",
    "</td>",
    "<caption>",
    "<b>",
    "</b>",
    "<i class='b a'>",
    "</i>",
    "<a href=x>",
    "</a>",
    "<p>",
    "</p>",
    "<div>",
    "</div>",
    "<template>",
    "</template>",
    "<svg>",
    "</svg>",
    "<math>",
    "<mi>",
    "</math>",
    "<select>",
    "<option>",
    "</select>",
    "<li>",
    "<ul>",
    "</ul>",
    "<br>",
    " ",
    "text",
    "\n  ",
    "&amp;",
    "&lt",
    "é",
    "<!-- c -->",
    "<pre>",
    "</pre>",
    "<script>",
    "</script>",
    "<form>",
    "</form>",
    "<button>",
    "<h1>",
    "<frameset>",
    "<body id=a>",
    "<html id=b>",
    "</body>",
    "</html>",
    "<title>",
    "</title>",
    "<nobr>",
    "<foreignObject>",
    "<path/>",
    "<col>",
    "<tbody>",
    "</p>",
    "<input type=hidden>",
];

/// All of a tree, as text.
fn dump(element: &Element<'_>, text: &mut String) {
    write!(text, "<{} {:?} {}", element.tag, element.attributes, element.hash()).unwrap();
    if let Some(script) = element.script {
        write!(text, " {:?}", script.text).unwrap();
    }
    for child in element.children {
        match child {
            Child::Element(element) => dump(element, text),
            Child::Text(content) => write!(text, " {:?}", content.text).unwrap(),
        }
    }
    text.push('>');
}

fn dumped<'a>(page: page::Page<'a>, arena: &'a Bump) -> String {
    let (mode, mut text) = (mode(page.mode), String::new());
    dump(&tree::read(page, &Rules::default(), arena).unwrap(), &mut text);
    format!("{mode} {text}")
}

fn assert_same(text: &str) {
    let (arena, rules) = (Bump::new(), Rules::default());
    let other = chosen::page(&Html::parse_document(text), &rules, &arena);
    assert_eq!(dumped(sink::document(text, &arena), &arena), dumped(other, &arena), "{text}");
    let other = chosen::page(&Html::parse_fragment(text), &rules, &arena);
    assert_eq!(dumped(sink::fragment(text, &arena), &arena), dumped(other, &arena), "fragment {text}");
}

#[test]
fn pages_are_read_as_scraper_reads_them() {
    for page in PAGES {
        assert_same(page);
    }
    assert_same(&PAGES.concat());
}

#[test]
fn the_pieces_given_to_the_parser_do_not_show() {
    let pattern = "<p title='é &amp; x'>é &notin; b</p>\r\n<!-- c --><script>a</script><b class='b a'>x</b>";
    for offset in 0..pattern.len() {
        assert_same(&format!("{}{}", ".".repeat(offset), pattern.repeat(100)));
    }
}

#[test]
fn html_inside_mathml_is_html() {
    let (arena, text) =
        (Bump::new(), "<math><annotation-xml encoding='text/html'><p>x</annotation-xml></math>");
    let mut dumped = String::new();
    dump(&tree::read(sink::fragment(text, &arena), &Rules::default(), &arena).unwrap(), &mut dumped);
    let (before, _) = dumped.split_once("<p ").unwrap();
    assert!(before.contains("<annotation-xml"), "{dumped}");
    assert_eq!(before.matches('>').count(), 0, "{dumped}");
}

#[test]
fn all_of_a_script_in_an_image_counts() {
    let hash = |script: &str| {
        let (arena, text) = (Bump::new(), format!("<svg><script>{script}</script></svg>"));
        tree::read(sink::document(&text, &arena), &Rules::default(), &arena).unwrap().hash()
    };
    assert_ne!(hash("a<!-- c -->b"), hash("a<!-- c -->d"));
    assert_ne!(hash("a<path d=1 />b"), hash("a<path d=2 />b"));
    assert_eq!(hash("a<!-- c -->b"), hash("ab"));
}

#[test]
fn a_page_is_parsed_and_dropped_however_deep_it_is() {
    for open in ["<div>", "<b>", "<svg>", "<table><td>", "<template>"] {
        let arena = Bump::new();
        let page = sink::document(&open.repeat(10_000), &arena);
        assert!(tree::read(page, &Rules::default(), &arena).is_none(), "{open}");
    }
}

proptest! {
    #[test]
    fn whatever_is_written_is_read_as_scraper_reads_it(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)
    ) {
        assert_same(&pieces.concat());
    }
}
