//! A summary's text as HTML: escaped, blank lines end paragraphs, other line ends are kept.

/// Renders plain text.
pub(crate) fn render(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let paragraphs = text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
    let mut html = String::with_capacity(text.len() + 64);
    for paragraph in paragraphs {
        html.push_str("<p>");
        for (number, line) in paragraph.lines().enumerate() {
            if number > 0 {
                html.push_str("<br>\n");
            }
            escape_into(line, &mut html);
        }
        html.push_str("</p>\n");
    }
    html
}

fn escape_into(text: &str, html: &mut String) {
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_escaped_paragraphs() {
        assert_eq!(
            render("a <b>\r\nc\n\n\n\n'd' & e"),
            "<p>a &lt;b&gt;<br>\nc</p>\n<p>&#39;d&#39; &amp; e</p>\n"
        );
        assert_eq!(render(" \n\n "), "");
    }
}
