//! A summary's text as the piece of HTML that stands below "Summary" on its report's page.
//!
//! Summaries come from language models and strangers: anything may be in them, and what comes out is safe to put in a
//! page as it is. Every text takes time and room in proportion to its length.
//!
//! Not for: whole pages (`render`), and full Markdown. Headings, points, paragraphs and bold are what summaries use.

mod inline;
#[cfg(test)]
mod laws;
mod sanitise;
mod scan;
mod tag;
#[cfg(test)]
mod tests;
mod text;
mod tidy;

/// Renders a summary. The same text gives the same bytes, in whichever store it is.
pub(crate) fn render(text: &str) -> String {
    let trimmed = text.trim_start();
    if sanitise::is_markup(trimmed) { sanitise::sanitise(trimmed) } else { text::render(text) }
}
