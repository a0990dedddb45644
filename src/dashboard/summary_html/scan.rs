//! HTML as a row of tags and text, as far as it takes to tidy it.
//!
//! Not a tokeniser of the standard: what it reads otherwise than a browser would is text or a tag all the same, and
//! written anew. It looks at every byte a bounded number of times, however broken the markup.

/// White space of HTML.
const SPACE: [char; 5] = [' ', '\t', '\n', '\r', '\u{c}'];

/// Elements whose content is no text for readers. It goes with them.
const HIDDEN: [&str; 10] =
    ["script", "style", "iframe", "noembed", "noframes", "noscript", "plaintext", "textarea", "title", "xmp"];

#[derive(Debug, PartialEq)]
pub(super) enum Token<'t> {
    /// Text with its entities, without tags.
    Text(&'t str),
    /// A `<` that begins no tag.
    LessThan,
    /// A start tag; its attributes are read when wanted.
    Start {
        name: &'t str,
        attributes: Attributes<'t>,
    },
    End {
        name: &'t str,
    },
}

/// The tags and texts of a piece of HTML. Comments, declarations and a tag that never ends are left out.
#[derive(Debug)]
pub(super) struct Tokens<'t> {
    rest: &'t str,
}

/// Names and raw values of a tag's attributes, up to the end of the tag.
#[derive(Debug, PartialEq, Clone)]
pub(super) struct Attributes<'t> {
    rest: &'t str,
    is_at_end: bool,
}

// === impl Tokens ===

impl<'t> Tokens<'t> {
    pub(super) fn of(markup: &'t str) -> Self {
        Self { rest: markup }
    }

    /// Reads what is next, if it is not left out.
    fn step(&mut self) -> Option<Token<'t>> {
        let Some(after) = self.rest.strip_prefix('<') else { return Some(self.text()) };
        match after.as_bytes() {
            [b'!', b'-', b'-', ..] => self.skip("-->"),
            [b'/', letter, ..] if letter.is_ascii_alphabetic() => self.end(after.strip_prefix('/')?),
            [b'!' | b'?' | b'/', ..] => self.skip(">"),
            [letter, ..] if letter.is_ascii_alphabetic() => self.start(after),
            _ => {
                self.rest = after;
                Some(Token::LessThan)
            }
        }
    }

    fn text(&mut self) -> Token<'t> {
        let end = self.rest.find('<').unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        Token::Text(text)
    }

    fn skip(&mut self, end: &str) -> Option<Token<'t>> {
        self.rest = self.rest.split_once(end).map_or("", |(_, after)| after);
        None
    }

    fn start(&mut self, tag: &'t str) -> Option<Token<'t>> {
        let (name, attributes) = self.tag(tag)?;
        if HIDDEN.iter().any(|hidden| hidden.eq_ignore_ascii_case(name)) {
            self.rest = after_hidden(self.rest, name);
            return None;
        }
        Some(Token::Start { name, attributes })
    }

    fn end(&mut self, tag: &'t str) -> Option<Token<'t>> {
        let (name, _) = self.tag(tag)?;
        Some(Token::End { name })
    }

    /// Reads a tag to its end.
    fn tag(&mut self, tag: &'t str) -> Option<(&'t str, Attributes<'t>)> {
        let (name, rest) =
            split_at_any(tag, |character| SPACE.contains(&character) || "/>".contains(character));
        let attributes = Attributes { rest, is_at_end: false };
        let mut all = attributes.clone();
        all.by_ref().for_each(drop);
        self.rest = all.rest;
        all.is_at_end.then_some((name, attributes))
    }
}

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        while !self.rest.is_empty() {
            if let Some(token) = self.step() {
                return Some(token);
            }
        }
        None
    }
}

/// What follows the content that is left out: its end tag.
fn after_hidden<'t>(text: &'t str, name: &str) -> &'t str {
    let is_end = |(at, _): &(usize, &str)| {
        let tag = text.as_bytes().get(at + 2..at + 2 + name.len());
        tag.is_some_and(|tag| tag.eq_ignore_ascii_case(name.as_bytes()))
    };
    let end = text.match_indices("</").find(is_end);
    end.and_then(|(at, _)| text.get(at..)).unwrap_or_default()
}

fn split_at_any(text: &str, is_end: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(is_end).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

// === impl Attributes ===

impl<'t> Attributes<'t> {
    /// The value that follows a name, or what stands for it if there is none. Moves behind it.
    fn value(&mut self) -> &'t str {
        let Some(value) = self.rest.trim_start_matches(SPACE).strip_prefix('=') else { return "" };
        let value = value.trim_start_matches(SPACE);
        let quoted = value.strip_prefix('"').map(|value| (value, '"'));
        let quoted = quoted.or_else(|| value.strip_prefix('\'').map(|value| (value, '\'')));
        let (value, rest) = match quoted {
            // Without the other quote the tag never ends.
            Some((value, quote)) => value.split_once(quote).unwrap_or((value, "")),
            None => split_at_any(value, |character| SPACE.contains(&character) || character == '>'),
        };
        self.rest = rest;
        value
    }
}

impl<'t> Iterator for Attributes<'t> {
    type Item = (&'t str, &'t str);

    fn next(&mut self) -> Option<(&'t str, &'t str)> {
        if self.is_at_end {
            return None;
        }
        let text = self.rest.trim_start_matches(|character| character == '/' || SPACE.contains(&character));
        if let Some(after) = text.strip_prefix('>') {
            (self.rest, self.is_at_end) = (after, true);
            return None;
        }
        let first = text.chars().next()?;
        // A name may begin with `=`, but not go on with it.
        let (name, rest) = name(text, first);
        self.rest = rest;
        Some((name, self.value()))
    }
}

fn name(text: &str, first: char) -> (&str, &str) {
    let is_end = |(_, character): &(usize, char)| SPACE.contains(character) || "/>=".contains(*character);
    let end = text.char_indices().skip(1).find(is_end).map_or(text.len(), |(at, _)| at);
    text.split_at_checked(end.max(first.len_utf8())).unwrap_or((text, ""))
}
