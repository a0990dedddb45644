//! Examples; `laws` is about every text.

use super::render;

/// What the dashboard's key-points summaries look like.
const KEY_POINTS: &str = "\
• **Main topic:** Methods to improve memory & study
• **Key points:**
  - Active recall < rereading.
  - Kaizen: small steps.
• **Best for:** students

## Next steps
1) **Core message:** Use MCPs.

2) Top 3 insights:
- Connect via CLI.
- Convert the PRD.

3) Why watch: it works.

**Takeaway:** Some people feel it right away,
others need “a few” nights.

**In short:**
• - Housed in Philadelphia.
";

#[test]
fn a_summary_as_the_dashboard_has_them() {
    insta::assert_snapshot!(render(KEY_POINTS), @"
    <ul>
    <li><strong>Main topic:</strong> Methods to improve memory &amp; study</li>
    <li><strong>Key points:</strong>
    <ul>
    <li>Active recall &lt; rereading.</li>
    <li>Kaizen: small steps.</li>
    </ul>
    </li>
    <li><strong>Best for:</strong> students</li>
    </ul>
    <h3>Next steps</h3>
    <ol>
    <li><strong>Core message:</strong> Use MCPs.</li>
    <li>Top 3 insights:
    <ul>
    <li>Connect via CLI.</li>
    <li>Convert the PRD.</li>
    </ul>
    </li>
    <li>Why watch: it works.</li>
    </ol>
    <p><strong>Takeaway:</strong> Some people feel it right away,<br>
    others need “a few” nights.</p>
    <h3>In short:</h3>
    <ul>
    <li>Housed in Philadelphia.</li>
    </ul>
    ");
}

#[test]
fn text_becomes_escaped_paragraphs() {
    assert_eq!(
        render("a <b>\r\nc\n\n\n\n'd' & \"e\""),
        "<p>a &lt;b&gt;<br>\nc</p>\n<p>'d' &amp; \"e\"</p>\n"
    );
    assert_eq!(render(" \n\n \r\r"), "");
    assert_eq!(render("a\rb\r\rc\0\u{a0}d"), "<p>a<br>\nb</p>\n<p>c\u{fffd}&nbsp;d</p>\n");
}

#[test]
fn headings_are_numbered_below_the_page_and_need_a_space() {
    assert_eq!(render("# A\n## B\n### C\n###### D"), "<h3>A</h3>\n<h3>B</h3>\n<h4>C</h4>\n<h4>D</h4>\n");
    assert_eq!(render("#1 of 3\n####### x\n#"), "<p>#1 of 3<br>\n####### x<br>\n#</p>\n");
}

#[test]
fn a_line_is_a_heading_if_all_of_it_is_bold_and_it_is_short() {
    assert_eq!(render("**Key points**:\na"), "<h3>Key points</h3>\n<p>a</p>\n");
    assert_eq!(render("**a** and **b**"), "<p><strong>a</strong> and <strong>b</strong></p>\n");
    let long = "x".repeat(121);
    assert_eq!(render(&format!("**{long}**")), format!("<p><strong>{long}</strong></p>\n"));
}

#[test]
fn bold_marks_without_a_partner_stay() {
    assert_eq!(
        render("2 ** 3 ** 4\na **b\n****\n** c**d**"),
        "<p>2 ** 3 ** 4<br>\na **b<br>\n****<br>\n** c<strong>d</strong></p>\n"
    );
}

#[test]
fn a_list_goes_on_after_blank_lines_and_ends_with_text() {
    assert_eq!(
        render("- a\n\n* b\nmore of b\n\nc"),
        "<ul>\n<li>a</li>\n<li>b<br>\nmore of b</li>\n</ul>\n<p>c</p>\n"
    );
}

#[test]
fn numbers_are_kept() {
    assert_eq!(
        render("3. a\n4. b\n9) c"),
        "<ol start=\"3\">\n<li>a</li>\n<li>b</li>\n</ol>\n<ol start=\"9\">\n<li>c</li>\n</ol>\n"
    );
    assert_eq!(render("2025. A year.\n1.5 times\n1."), "<p>2025. A year.<br>\n1.5 times<br>\n1.</p>\n");
}

#[test]
fn a_mark_without_a_point_is_text() {
    assert_eq!(render("-\n*\n•\n-a\n*b*"), "<p>-<br>\n*<br>\n•<br>\n-a<br>\n*b*</p>\n");
    assert_eq!(render("•a"), "<ul>\n<li>a</li>\n</ul>\n");
}

#[test]
fn lists_nest_by_their_indent() {
    assert_eq!(
        render("- a\n  1. b\n\t- c\n- d"),
        "<ul>\n<li>a\n<ol>\n<li>b\n<ul>\n<li>c</li>\n</ul>\n</li>\n</ol>\n</li>\n<li>d</li>\n</ul>\n"
    );
}

#[test]
fn lists_nest_four_deep_at_most() {
    let stairs: String = (0..1000).map(|step| format!("{}- x\n", " ".repeat(step))).collect();
    let html = render(&stairs);
    let (mut open, mut deepest) = (0_usize, 0);
    for tag in html.split('<') {
        open = if tag.starts_with("ul>") { open + 1 } else { open - usize::from(tag.starts_with("/ul>")) };
        deepest = deepest.max(open);
    }
    assert_eq!((open, deepest, html.matches("<li>").count()), (0, 4, 1000));
}

#[test]
fn html_is_what_begins_with_a_block() {
    assert_eq!(render(" \n<p>a &amp; b</p>\n"), "<p>a &amp; b</p>\n");
    assert_eq!(render("<H2 class=x>a</H2>"), "<h2>a</h2>");
    for text in ["a < b <p>", "<script>", "<b>a</b>", "<p", "<p a <b>", "<p1>", "<html><p>", "<!-- --><p>"] {
        let escaped = text.replace('<', "&lt;").replace('>', "&gt;");
        assert_eq!(render(text), format!("<p>{escaped}</p>\n"));
    }
}

#[test]
fn html_keeps_what_is_allowed_and_the_text_of_the_rest() {
    let hostile = "<div onclick=x() style=\"a:b\" id=c><img src=x onerror=y>a<svg><b>b</b></svg>\
        <script>alert('<p>')</script><style>*{}</style><iframe src=z>c</iframe><form action=q>d<button>e</form>\
        <template><i>f</template><!-- g --><?h?><![CDATA[i]]>";
    assert_eq!(render(hostile), "<div>a<b>b</b>de<i>f</i></div>");
}

#[test]
fn links_lead_to_the_web_or_to_mail_alone() {
    let link = |address: &str| render(&format!("<p><a {address}>x</a>"));
    let to = |href: &str| format!("<p><a {href}rel=\"noopener noreferrer nofollow\">x</a></p>");
    assert_eq!(
        link("HREF='https://x/?a=1&amp;b=\"' rel=opener target=_top"),
        to("href=\"https://x/?a=1&amp;b=&quot;\" ")
    );
    assert_eq!(link("href=mailto:a@b"), to("href=\"mailto:a@b\" "));
    for bad in
        ["javascript:x", " JaVa&#x53;cript:x", "java\tscript:x", "data:text/html,x", "/x", "//x", "#x", "x"]
    {
        assert_eq!(link(&format!("href=\"{bad}\"")), to(""), "{bad}");
    }
}

#[test]
fn html_that_is_not_well_formed_is_tidied() {
    assert_eq!(
        render("<p>a<p>b<ul><li>c<li>d<ul><li>e</ul>f</ul></p>g"),
        "<p>a</p><p>b</p><ul><li>c</li><li>d<ul><li>e</li></ul>f</li></ul>g"
    );
    assert_eq!(
        render("<div><b>a<i>b</b>c</div></div>d<br/>e<hr>f</br>"),
        "<div><b>a<i>b</i></b>c</div>d<br>e<hr>f"
    );
    assert_eq!(
        render("<h2>a<h3>b</h2>c<a href=http://x>d<a href=http://y>e"),
        "<h2>a</h2><h3>bc<a href=\"http://x\" rel=\"noopener noreferrer nofollow\">d</a>\
         <a href=\"http://y\" rel=\"noopener noreferrer nofollow\">e</a></h3>"
    );
}

#[test]
fn text_astray_in_a_table_gets_a_cell() {
    assert_eq!(
        render("<table>a<tr><th colspan=2 x=y>b<td>c</table>d<td>e"),
        "<table><tbody><tr><td>a</td></tr><tr><th colspan=\"2\">b</th><td>c</td></tr></tbody></table>de"
    );
}

#[test]
fn a_tag_that_never_ends_is_left_out() {
    for end in ["<b", "<b x", "<b x='>", "</p", "<!-- >", "<?x", "<script>x</scrip>", "<plaintext>x</p>"] {
        assert_eq!(render(&format!("<p>a{end}")), "<p>a</p>", "{end}");
    }
    assert_eq!(render("<p>a < b <3 <"), "<p>a &lt; b &lt;3 &lt;</p>");
}
