//! A strict JSON parser (RFC 8259).
//!
//! Our own, because the comparison needs what a general parser hides: numbers as written, repeated members, depth as a
//! configured limit, and where a value ends inside other text. (`serde_json`'s `arbitrary_precision` hands numbers over
//! as a map that a document can imitate.)

use bumpalo::Bump;

use super::node::{Member, Node, Value};

/// Why text is no JSON document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseError {
    /// Not JSON.
    #[error("{reason} at byte {at}")]
    Syntax {
        /// What is wrong.
        reason: &'static str,
        /// Offset in bytes.
        at: usize,
    },
    /// JSON so far, but nested more deeply than allowed.
    #[error("nested too deeply")]
    Depth,
}

/// Values on the stacks of open containers that there is room for at once.
const STACKED: usize = 32;

struct Parser<'a> {
    /// Where containers and strings with escapes are kept.
    arena: &'a Bump,
    text: &'a str,
    at: usize,
    depth: usize,
    /// Items and members of the containers that are still open, innermost last, so that each container is allocated
    /// once, in its final length.
    items: Vec<Node<'a>>,
    members: Vec<Member<'a>>,
}

/// Parses a document and nothing after it.
pub(crate) fn parse<'a>(text: &'a str, depth: usize, arena: &'a Bump) -> Result<Node<'a>, ParseError> {
    let mut parser = Parser::new(text, depth, arena);
    let node = parser.root()?;
    parser.space();
    match parser.peek() {
        None => Ok(node),
        Some(_) => Err(parser.error("text after the end of the document")),
    }
}

/// Parses the value that the text begins with, and says where it ends.
pub(in crate::compare) fn parse_prefix<'a>(
    text: &'a str,
    depth: usize,
    arena: &'a Bump,
) -> Result<(Node<'a>, usize), ParseError> {
    let mut parser = Parser::new(text, depth, arena);
    let node = parser.root()?;
    Ok((node, parser.at))
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, depth: usize, arena: &'a Bump) -> Self {
        let (items, members) = (Vec::with_capacity(STACKED), Vec::with_capacity(STACKED));
        Self { arena, text, at: 0, depth, items, members }
    }

    /// The document's root.
    fn root(&mut self) -> Result<Node<'a>, ParseError> {
        self.value(None)?;
        self.items.pop().ok_or_else(|| self.error("no JSON value"))
    }

    /// Parses a value and puts it where it belongs: with a name to the members, without to the items. Each is built in
    /// its place, since moving it there through results costs as much as parsing it.
    fn value(&mut self, name: Option<&'a str>) -> Result<(), ParseError> {
        self.space();
        match self.peek() {
            Some(b'"') => match self.plain() {
                Some(plain) => self.put(name, Value::String(plain)),
                None => {
                    let string = self.string()?;
                    self.put(name, Value::String(string));
                }
            },
            Some(b'{') => {
                let object = self.nested(Self::object)?;
                self.put(name, object);
            }
            Some(b'[') => {
                let array = self.nested(Self::array)?;
                self.put(name, array);
            }
            Some(b'-' | b'0'..=b'9') => {
                let number = self.number()?;
                self.put(name, Value::Number(number));
            }
            Some(b't') => {
                self.word("true")?;
                self.put(name, Value::Bool(true));
            }
            Some(b'f') => {
                self.word("false")?;
                self.put(name, Value::Bool(false));
            }
            Some(b'n') => {
                self.word("null")?;
                self.put(name, Value::Null);
            }
            Some(_) => return Err(self.error("no JSON value")),
            None => return Err(self.error("the document ends")),
        }
        Ok(())
    }

    #[inline]
    fn put(&mut self, name: Option<&'a str>, value: Value<'a>) {
        match name {
            Some(name) => self.members.push(Member::new(name, Node::new(value))),
            None => self.items.push(Node::new(value)),
        }
    }

    fn nested(
        &mut self,
        parse: fn(&mut Self) -> Result<Value<'a>, ParseError>,
    ) -> Result<Value<'a>, ParseError> {
        self.depth = self.depth.checked_sub(1).ok_or(ParseError::Depth)?;
        self.at += 1;
        let value = parse(self)?;
        self.depth += 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Value<'a>, ParseError> {
        let first = self.members.len();
        self.space();
        if self.take(b'}') {
            return Ok(Value::Object(&[]));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.error("no member name"));
            }
            let name = match self.plain() {
                Some(plain) => plain,
                None => self.string()?,
            };
            self.space();
            if !self.take(b':') {
                return Err(self.error("no `:` after a member name"));
            }
            self.value(Some(name))?;
            self.space();
            if self.take(b'}') {
                return Ok(Value::Object(above(&mut self.members, first, self.arena)));
            }
            if !self.take(b',') {
                return Err(self.error("no `,` or `}` after a member"));
            }
        }
    }

    fn array(&mut self) -> Result<Value<'a>, ParseError> {
        let first = self.items.len();
        self.space();
        if self.take(b']') {
            return Ok(Value::Array(&[]));
        }
        loop {
            self.value(None)?;
            self.space();
            if self.take(b']') {
                return Ok(Value::Array(above(&mut self.items, first, self.arena)));
            }
            if !self.take(b',') {
                return Err(self.error("no `,` or `]` after an item"));
            }
        }
    }

    fn word(&mut self, word: &str) -> Result<(), ParseError> {
        if !self.rest().starts_with(word) {
            return Err(self.error("no JSON value"));
        }
        self.at += word.len();
        Ok(())
    }

    /// The string that begins here, if it is written without escapes; else nothing is taken.
    #[inline]
    fn plain(&mut self) -> Option<&'a str> {
        let begin = self.at + 1;
        let bytes = self.text.as_bytes().get(begin..)?;
        let length = special(bytes)?;
        if bytes.get(length) != Some(&b'"') {
            return None;
        }
        self.at = begin + length + 1;
        self.text.get(begin..begin + length)
    }

    fn number(&mut self) -> Result<&'a str, ParseError> {
        let rest = self.rest();
        let end = rest
            .bytes()
            .position(|byte| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
            .unwrap_or(rest.len());
        let text = rest.get(..end).unwrap_or_default();
        if !crate::compare::number::is_number(text) {
            return Err(self.error("no JSON number"));
        }
        self.at += end;
        Ok(text)
    }

    /// The string that begins here, whatever it is written with.
    fn string(&mut self) -> Result<&'a str, ParseError> {
        self.at += 1;
        let mut string = String::new();
        loop {
            let rest = self.rest();
            let Some(end) = special(rest.as_bytes()) else {
                self.at = self.text.len();
                return Err(self.error("the document ends in a string"));
            };
            let (plain, stop) = rest.split_at(end);
            self.at += end + 1;
            match stop.as_bytes().first() {
                Some(b'"') if string.is_empty() => return Ok(plain),
                Some(b'"') => {
                    string.push_str(plain);
                    return Ok(self.arena.alloc_str(&string));
                }
                Some(b'\\') => {
                    if string.is_empty() {
                        string.reserve(2 * plain.len() + 32);
                    }
                    string.push_str(plain);
                    string.push(self.escape()?);
                }
                _ => return Err(self.error("a control character in a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, ParseError> {
        let escaped = self.peek();
        self.at += 1;
        Ok(match escaped {
            Some(plain @ (b'"' | b'\\' | b'/')) => char::from(plain),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.code_point(),
            _ => return Err(self.error("an unknown escape in a string")),
        })
    }

    fn code_point(&mut self) -> Result<char, ParseError> {
        let first = self.code_unit()?;
        if (0xD800..0xDC00).contains(&first) && self.rest().starts_with("\\u") {
            let back = self.at;
            self.at += 2;
            let second = self.code_unit()?;
            if (0xDC00..0xE000).contains(&second) {
                let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return char::from_u32(code).ok_or_else(|| self.error("no Unicode character"));
            }
            self.at = back;
        }
        // Lone surrogates, which some writers emit, have no char: each gets one of the last private-use ones, so that
        // they stay distinct.
        char::from_u32(first)
            .or_else(|| char::from_u32(0x0010_F000 + (first - 0xD800)))
            .ok_or_else(|| self.error("no Unicode character"))
    }

    fn code_unit(&mut self) -> Result<u32, ParseError> {
        let digits =
            self.rest().get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at += 4;
        unit.ok_or_else(|| self.error("no four hexadecimal digits after \\u"))
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let taken = self.peek() == Some(byte);
        self.at += usize::from(taken);
        taken
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn error(&self, reason: &'static str) -> ParseError {
        ParseError::Syntax { reason, at: self.at.min(self.text.len()) }
    }
}

/// Takes what lies above `first` off a stack, into the arena.
fn above<'a, T: Copy>(stack: &mut Vec<T>, first: usize, arena: &'a Bump) -> &'a [T] {
    let taken = arena.alloc_slice_copy(stack.get(first..).unwrap_or_default());
    stack.truncate(first);
    taken
}

/// The first quote, backslash or control character: eight bytes at a time, by the arithmetic that finds a zero byte.
fn special(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let (words, rest) = bytes.as_chunks::<8>();
    for (position, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = zero(word ^ (ONES * u64::from(b'"')));
        let backslash = zero(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        // A borrow can mark bytes behind the first hit, never one before it.
        let found = quote | backslash | control;
        if found != 0 {
            return Some(position * 8 + (found.trailing_zeros() / 8) as usize);
        }
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    rest.iter().position(special).map(|position| words.len() * 8 + position)
}

#[cfg(test)]
mod tests;
