//! Index-free JSON Pointers: patterns that rules are written in, and the path the comparison is at.

use std::fmt::Write as _;

/// Most segments of a pattern: its states are the bits of one word.
const MAX_SEGMENTS: usize = 60;

/// A compiled index-free JSON Pointer: `*` is one segment, `**` any number of them, also none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    segments: Vec<Match>,
}

/// Which positions of a [`Pattern`] a path has come to, one bit each.
pub(super) type States = u64;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Match {
    One,
    Any,
    Name(String),
}

/// A rule's path that is no index-free JSON Pointer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is not a JSON pointer: {reason}")]
pub struct PathError {
    path: String,
    reason: &'static str,
}

/// The path of the values under comparison, without positions.
#[derive(Debug, Default, Clone)]
pub(super) struct Path {
    /// What stands before the pointer: the element path of a script, with `!`.
    prefix: String,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone)]
enum Segment {
    Member(String),
    Item,
}

// === impl Pattern ===

impl Pattern {
    pub(super) fn parse(path: &str) -> Result<Self, PathError> {
        let refuse = |reason| PathError { path: path.chars().take(128).collect(), reason };
        if path.is_empty() {
            return Ok(Self { segments: Vec::new() });
        }
        let rest = path
            .strip_prefix('/')
            .ok_or_else(|| refuse("it must begin with `/`, as in `/reports/*/title`"))?;
        let segments = rest.split('/').map(segment).collect::<Result<Vec<_>, _>>().map_err(refuse)?;
        if segments.len() > MAX_SEGMENTS {
            return Err(refuse("it has more than 60 segments; use `**`"));
        }
        Ok(Self { segments })
    }

    /// The states before any segment.
    pub(super) fn start(&self) -> States {
        self.close(1)
    }

    /// The states after one more segment; `None` is an array position, which only `*` and `**` match.
    pub(super) fn step(&self, states: States, name: Option<&str>) -> States {
        let mut next = 0;
        for (position, expected) in self.segments.iter().enumerate() {
            if states & (1 << position) == 0 {
                continue;
            }
            next |= match expected {
                Match::Any => 1 << position,
                Match::One => 1 << (position + 1),
                Match::Name(expected) if Some(expected.as_str()) == name => 1 << (position + 1),
                Match::Name(_) => 0,
            };
        }
        self.close(next)
    }

    /// True if the path so far is one the pattern names.
    pub(super) fn accepts(&self, states: States) -> bool {
        states & (1 << self.segments.len()) != 0
    }

    /// True if it names the path.
    pub(super) fn matches(&self, path: &Path) -> bool {
        let end = path.segments.iter().fold(self.start(), |states, segment| match segment {
            Segment::Member(name) => self.step(states, Some(name)),
            Segment::Item => self.step(states, None),
        });
        self.accepts(end)
    }

    /// True if it names a difference's path or one above it. For JSON inside a script the path is that inside the JSON;
    /// for HTML inside a JSON member it is that of the member.
    pub(super) fn covers(&self, path: &str) -> bool {
        if path.starts_with('/') {
            let member = path.split_once('!').map(|(member, _)| member);
            return self.covers_pointer(path) || member.is_some_and(|member| self.covers_pointer(member));
        }
        self.covers_pointer(path.split_once('!').map_or(path, |(_, pointer)| pointer))
    }

    fn covers_pointer(&self, pointer: &str) -> bool {
        let mut states = self.start();
        if self.accepts(states) {
            return true;
        }
        for segment in pointer.trim_start_matches('/').split('/') {
            states = match segment {
                "*" => self.step(states, None),
                name => self.step(states, Some(&unescape(name))),
            };
            if self.accepts(states) {
                return true;
            }
        }
        false
    }

    /// `**` matches nothing, too: a state before it is also one behind it.
    fn close(&self, mut states: States) -> States {
        for (position, expected) in self.segments.iter().enumerate() {
            if states & (1 << position) != 0 && *expected == Match::Any {
                states |= 1 << (position + 1);
            }
        }
        states
    }
}

// === impl Path ===

impl Path {
    pub(super) fn under(prefix: String) -> Self {
        Self { prefix, segments: Vec::new() }
    }

    pub(super) fn push_member(&mut self, name: &str) {
        self.segments.push(Segment::Member(name.to_owned()));
    }

    pub(super) fn push_item(&mut self) {
        self.segments.push(Segment::Item);
    }

    pub(super) fn pop(&mut self) {
        self.segments.pop();
    }

    /// The path with `*` for every position.
    pub(super) fn index_free(&self) -> String {
        self.render(std::iter::repeat(None))
    }

    /// The path with its positions, outermost first.
    pub(super) fn concrete(&self, positions: &[usize]) -> String {
        self.render(positions.iter().copied().map(Some).chain(std::iter::repeat(None)))
    }

    fn render(&self, mut positions: impl Iterator<Item = Option<usize>>) -> String {
        let mut text = self.prefix.clone();
        for segment in &self.segments {
            text.push('/');
            match segment {
                Segment::Member(name) => text.push_str(&escape(name)),
                Segment::Item => match positions.next().flatten() {
                    // Writing to a String cannot fail.
                    Some(position) => drop(write!(text, "{position}")),
                    None => text.push('*'),
                },
            }
        }
        text
    }
}

fn segment(text: &str) -> Result<Match, &'static str> {
    match text {
        "*" => return Ok(Match::One),
        "**" => return Ok(Match::Any),
        _ => {}
    }
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('~') {
        if !after.starts_with(['0', '1']) {
            return Err("`~` must be followed by 0 (for `~`) or 1 (for `/`)");
        }
        rest = after;
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() < 3 {
        return Err("positions are not part of it; write `*` for one item of an array");
    }
    Ok(Match::Name(unescape(text)))
}

fn escape(name: &str) -> String {
    if name.contains(['~', '/']) { name.replace('~', "~0").replace('/', "~1") } else { name.to_owned() }
}

fn unescape(name: &str) -> String {
    if name.contains('~') { name.replace("~1", "/").replace("~0", "~") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_index_free_paths() {
        for (pattern, path, covered) in [
            ("/a", "/a", true),
            ("/a", "/a/b", true),
            ("/a/b", "/a", false),
            ("/a", "/ab", false),
            ("/a/*/c", "/a/*/c", true),
            ("/a/*/c", "/a/b/c", true),
            ("/a/*/c", "/a/b/b/c", false),
            ("/**/c", "/c", true),
            ("/**/c", "/a/*/b/c", true),
            ("/**/c", "/a/*/b/d", false),
            ("/**/b/**/d", "/a/b/c/b/d", true),
            ("/a~1b/~0", "/a~1b/~0", true),
            ("/reports/*/title", "script#data!/reports/*/title", true),
            ("", "/anything", true),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().covers(path), covered, "{pattern} on {path}");
        }
    }

    #[test]
    fn a_bad_pointer_is_named_with_the_reason() {
        for (path, reason) in [
            ("reports", "begin with `/`"),
            ("/a~2", "followed by 0"),
            ("/a/0/b", "write `*`"),
            (&"/a".repeat(61), "60"),
        ] {
            let error = Pattern::parse(path).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_path_is_written_with_and_without_positions() {
        let mut path = Path::default();
        path.push_member("a/b");
        path.push_item();
        path.push_member("c");
        path.push_item();
        assert_eq!(path.index_free(), "/a~1b/*/c/*");
        assert_eq!(path.concrete(&[3, 0]), "/a~1b/3/c/0");
        assert!(Pattern::parse("/a~1b/*/c/*").unwrap().matches(&path));
        assert!(!Pattern::parse("/a~1b/*/c").unwrap().matches(&path));
    }
}
