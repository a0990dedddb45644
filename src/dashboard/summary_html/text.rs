//! Plain text as HTML, in one pass over its lines.
//!
//! Nesting is bounded: a list written more deeply takes the place of the deepest one.

use super::inline;

/// How many lists may be open in each other.
const DEEPEST: usize = 4;

/// A bold line longer than this many bytes is a paragraph somebody stressed, not a heading.
const HEADING_BYTES: usize = 120;

/// Columns of a tab before a point.
const TAB: usize = 4;

/// Numbers with more digits are years and quantities that begin a sentence.
const NUMBER_DIGITS: usize = 3;

/// What a line is by itself.
#[derive(Debug, PartialEq)]
enum Line<'t> {
    Blank,
    Heading(Level, &'t str),
    Point(Point<'t>),
    Text(&'t str),
}

/// Headings stand below the page's `h2`.
#[derive(Debug, PartialEq, Clone, Copy)]
enum Level {
    Section,
    Subsection,
}

/// A line that begins with a bullet or a number.
#[derive(Debug, PartialEq)]
struct Point<'t> {
    indent: usize,
    marker: Marker,
    text: &'t str,
}

#[derive(Debug, PartialEq, Clone, Copy)]
enum Marker {
    Bullet,
    Number(u32),
}

/// A list whose last item is open.
struct List {
    indent: usize,
    last: Marker,
}

/// The HTML so far, and what is open at its end.
struct Writer {
    html: String,
    in_paragraph: bool,
    lists: Vec<List>,
    after_blank: bool,
}

/// Renders plain text; nothing but white space becomes nothing.
pub(super) fn render(text: &str) -> String {
    let mut writer = Writer::with_room_for(text);
    for line in lines(text) {
        writer.line(&Line::read(line));
    }
    writer.finish()
}

/// Lines as any system ends them: LF, CRLF, or CR alone.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

// === impl Line ===

impl<'t> Line<'t> {
    fn read(line: &'t str) -> Self {
        let text = line.trim();
        if text.is_empty() {
            return Self::Blank;
        }
        if let Some((level, heading)) = heading(text) {
            return Self::Heading(level, heading);
        }
        match marker(text) {
            Some((marker, text)) => Self::Point(Point { indent: indent(line), marker, text }),
            None => Self::Text(text),
        }
    }
}

fn heading(line: &str) -> Option<(Level, &str)> {
    if let Some(bold) = inline::all_bold(line) {
        return (bold.len() <= HEADING_BYTES).then_some((Level::Section, bold));
    }
    let text = line.trim_start_matches('#');
    let level = match line.len() - text.len() {
        1 | 2 => Level::Section,
        3..=6 => Level::Subsection,
        _ => return None,
    };
    text.starts_with(char::is_whitespace).then(|| (level, text.trim_start()))
}

/// What marks a point, and the point itself, which is not empty.
fn marker(line: &str) -> Option<(Marker, &str)> {
    let (marker, text) = bullet(line).map(|text| (Marker::Bullet, text)).or_else(|| number(line))?;
    (!text.is_empty()).then_some((marker, text))
}

fn bullet(line: &str) -> Option<&str> {
    let Some(text) = line.strip_prefix('•') else {
        return spaced(line.strip_prefix(['-', '*'])?);
    };
    let text = text.trim_start();
    // `• - x`: one list was pasted into another.
    Some(text.strip_prefix(['-', '*']).and_then(spaced).unwrap_or(text))
}

fn number(line: &str) -> Option<(Marker, &str)> {
    let digits = line.bytes().take(NUMBER_DIGITS + 1).take_while(u8::is_ascii_digit).count();
    if !(1..=NUMBER_DIGITS).contains(&digits) {
        return None;
    }
    let (number, after) = line.split_at_checked(digits)?;
    let text = spaced(after.strip_prefix(['.', ')'])?)?;
    Some((Marker::Number(number.parse().ok()?), text))
}

/// The text after white space that must be there.
fn spaced(text: &str) -> Option<&str> {
    text.starts_with(char::is_whitespace).then(|| text.trim_start())
}

fn indent(line: &str) -> usize {
    let columns = |byte| match byte {
        b' ' => Some(1),
        b'\t' => Some(TAB),
        _ => None,
    };
    line.bytes().map_while(columns).sum()
}

// === impl Level ===

impl Level {
    fn tags(self) -> (&'static str, &'static str) {
        match self {
            Self::Section => ("<h3>", "</h3>\n"),
            Self::Subsection => ("<h4>", "</h4>\n"),
        }
    }
}

// === impl List ===

impl List {
    fn is_ordered(&self) -> bool {
        matches!(self.last, Marker::Number(_))
    }

    /// True if the point is the next of this list.
    fn continues_with(&self, point: &Point<'_>) -> bool {
        self.indent == point.indent
            && match (self.last, point.marker) {
                (Marker::Bullet, Marker::Bullet) => true,
                (Marker::Number(last), Marker::Number(number)) => number == last + 1,
                (Marker::Bullet, Marker::Number(_)) | (Marker::Number(_), Marker::Bullet) => false,
            }
    }

    fn end(&self) -> &'static str {
        match self.last {
            Marker::Bullet => "</li>\n</ul>\n",
            Marker::Number(_) => "</li>\n</ol>\n",
        }
    }
}

// === impl Writer ===

impl Writer {
    fn with_room_for(text: &str) -> Self {
        let html = String::with_capacity(text.len() + text.len() / 8 + 64);
        Self { html, in_paragraph: false, lists: Vec::with_capacity(DEEPEST), after_blank: true }
    }

    fn line(&mut self, line: &Line<'_>) {
        match line {
            Line::Blank => self.end_paragraph(),
            Line::Heading(level, text) => self.heading(*level, text),
            Line::Point(point) => self.point(point),
            Line::Text(text) => self.text(text),
        }
        self.after_blank = matches!(line, Line::Blank);
    }

    fn finish(mut self) -> String {
        self.end_all();
        self.html
    }

    fn heading(&mut self, level: Level, text: &str) {
        self.end_all();
        let (start, end) = level.tags();
        self.html.push_str(start);
        inline::line(text, &mut self.html);
        self.html.push_str(end);
    }

    /// Text goes on with the paragraph, or the point, of the line before.
    fn text(&mut self, text: &str) {
        if self.in_paragraph || !(self.lists.is_empty() || self.after_blank) {
            self.html.push_str("<br>\n");
        } else {
            self.end_all();
            self.html.push_str("<p>");
            self.in_paragraph = true;
        }
        inline::line(text, &mut self.html);
    }

    /// A point goes on with a list that is open, even after blank lines, or begins one.
    fn point(&mut self, point: &Point<'_>) {
        self.end_paragraph();
        self.end_lists_while(|list| list.indent > point.indent);
        if self.lists.iter().any(|list| list.continues_with(point)) {
            self.end_lists_while(|list| !list.continues_with(point));
            self.html.push_str("</li>\n");
        } else {
            self.begin_list(point);
        }
        if let Some(list) = self.lists.last_mut() {
            list.last = point.marker;
        }
        self.html.push_str("<li>");
        inline::line(point.text, &mut self.html);
    }

    fn begin_list(&mut self, point: &Point<'_>) {
        if !self.belongs_to_last(point) {
            self.end_lists_while(|list| list.indent == point.indent);
        }
        if self.lists.len() == DEEPEST {
            self.end_lists_while_longer_than(DEEPEST - 1);
        }
        if !self.lists.is_empty() {
            self.html.push('\n');
        }
        match point.marker {
            Marker::Bullet => self.html.push_str("<ul>\n"),
            Marker::Number(1) => self.html.push_str("<ol>\n"),
            Marker::Number(number) => self.html.push_str(&format!("<ol start=\"{number}\">\n")),
        }
        self.lists.push(List { indent: point.indent, last: point.marker });
    }

    /// Bullets right below a number are about that number, though they are not indented.
    fn belongs_to_last(&self, point: &Point<'_>) -> bool {
        let is_below_number = self.lists.last().is_some_and(List::is_ordered);
        is_below_number && point.marker == Marker::Bullet && !self.after_blank
    }

    fn end_all(&mut self) {
        self.end_paragraph();
        self.end_lists_while(|_| true);
    }

    fn end_paragraph(&mut self) {
        if std::mem::take(&mut self.in_paragraph) {
            self.html.push_str("</p>\n");
        }
    }

    fn end_lists_while(&mut self, ends: impl Fn(&List) -> bool) {
        while let Some(list) = self.lists.pop_if(|list| ends(list)) {
            self.html.push_str(list.end());
        }
    }

    fn end_lists_while_longer_than(&mut self, lists: usize) {
        while self.lists.len() > lists
            && let Some(list) = self.lists.pop()
        {
            self.html.push_str(list.end());
        }
    }
}
