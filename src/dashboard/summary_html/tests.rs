//! Examples of plain text; `laws` holds for every text.

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
