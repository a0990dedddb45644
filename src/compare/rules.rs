//! How one route's answers are compared: written once, compiled once, then only read.

use std::fmt;
use std::str::FromStr;

use http::HeaderName;
use serde::{Serialize, Serializer};

use super::difference::{Class, Kind, UnknownName, named};
use scraper::Selector;

use super::html::Mask;
use super::path::{Path, PathError, Pattern, States};

/// Deepest nesting a comparison may be allowed: the walk is recursive, on a comparator's stack.
const MAX_DEPTH: usize = 256;

named! {
    /// How bodies are compared.
    Mode, "way to compare" {
        /// By content type.
        Auto => "auto",
        /// As JSON.
        Json => "json",
        /// As an HTML tree.
        Html => "html",
        /// Line by line.
        Text => "text",
        /// By length and digest.
        Bytes => "bytes",
    }
}

/// The rules of one route as written; [`Rules::new`] compiles them. Paths are index-free JSON Pointers in which `*` is
/// one segment and `**` any number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesSpec {
    /// How bodies are compared.
    pub mode: Mode,
    /// Array → the member by which its items are aligned (`id` or `/id`).
    pub keys: Vec<(String, String)>,
    /// Array → the members it is sorted by, first one first, to explain a reordering.
    pub order: Vec<(String, Vec<String>)>,
    /// Arrays compared as multisets.
    pub unordered: Vec<String>,
    /// What is not compared.
    pub ignore: Vec<String>,
    /// Classes that count as equal, on the whole route.
    pub treat_as_equal: Vec<Class>,
    /// Classes that count as equal at a path and below it.
    pub treat_as_equal_at: Vec<(String, Vec<Class>)>,
    /// Members whose strings are pieces of HTML, compared as such.
    pub html: Vec<String>,
    /// Volatile tokens of a page that are not compared.
    pub mask: Vec<Mask>,
    /// CSS selectors of elements that are not compared.
    pub ignore_selectors: Vec<String>,
    /// CSS selectors of the only elements that are compared; none for the whole page.
    pub only_selectors: Vec<String>,
    /// Headers compared besides the status.
    pub headers: Vec<String>,
    /// The bounds of one comparison.
    pub limits: Limits,
}

/// The bounds of one comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Nesting of a document, at most 256 levels.
    pub depth: usize,
    /// Length of a body once decoded, in bytes.
    pub decoded: usize,
    /// Decoded bytes for each encoded one, for bodies that decode to more than 1 MiB.
    pub ratio: usize,
    /// Differences kept.
    pub differences: usize,
    /// Steps: about one for each value compared and each cell of an alignment.
    pub work: u64,
}

/// The compiled rules of one route.
#[derive(Debug, Clone)]
pub struct Rules {
    mode: Mode,
    keys: Vec<(Pattern, String)>,
    order: Vec<(Pattern, Vec<String>)>,
    unordered: Vec<Pattern>,
    ignore: Vec<Pattern>,
    equal: Vec<Class>,
    equal_at: Vec<(Pattern, Vec<Class>)>,
    html: Vec<Pattern>,
    mask: Vec<Mask>,
    ignore_selectors: Vec<Selector>,
    only_selectors: Vec<Selector>,
    headers: Vec<HeaderName>,
    limits: Limits,
}

/// Rules that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// A path is no index-free JSON Pointer.
    #[error("in `{rule}`: {source}")]
    Path {
        /// The rule's name as configured.
        rule: &'static str,
        /// Which path, and why not.
        source: PathError,
    },
    /// A sort key or alignment key is not one member.
    #[error("in `{rule}`: `{member}` does not name one member of the array's items; write `id` or `/id`")]
    Member {
        /// The rule's name as configured.
        rule: &'static str,
        /// What was written.
        member: String,
    },
    /// A CSS selector cannot be read.
    #[error(
        "in `{rule}`: `{selector}` is not a CSS selector; write it as in a style sheet, as in `#ads, .clock`"
    )]
    Selector {
        /// The rule's name as configured.
        rule: &'static str,
        /// What was written.
        selector: String,
    },
    /// A header name is none.
    #[error("in `headers`: `{0}` is not a header name")]
    Header(String),
    /// `value` would accept any difference at all.
    #[error("in `treat_as_equal`: `value` would accept every difference; name the path in `ignore` instead")]
    Value,
}

// === impl RulesSpec ===

impl Default for RulesSpec {
    fn default() -> Self {
        Self {
            mode: Mode::Auto,
            keys: Vec::new(),
            order: Vec::new(),
            unordered: Vec::new(),
            ignore: Vec::new(),
            treat_as_equal: Vec::new(),
            treat_as_equal_at: Vec::new(),
            html: Vec::new(),
            mask: Mask::ALL.to_vec(),
            ignore_selectors: Vec::new(),
            only_selectors: Vec::new(),
            headers: vec!["content-type".to_owned(), "location".to_owned()],
            limits: Limits::default(),
        }
    }
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 128, decoded: 16 << 20, ratio: 200, differences: 1_000, work: 50_000_000 }
    }
}

// === impl Rules ===

impl Rules {
    /// Compiles rules.
    ///
    /// # Errors
    /// The first path, member, header or class that cannot be used, with its reason.
    pub fn new(spec: &RulesSpec) -> Result<Self, RulesError> {
        let equal_classes = spec.treat_as_equal_at.iter().flat_map(|(_, classes)| classes);
        if spec.treat_as_equal.iter().chain(equal_classes).any(|class| *class == Class::Value) {
            return Err(RulesError::Value);
        }
        let header = |name: &String| {
            HeaderName::from_str(name).map_err(|_| RulesError::Header(name.chars().take(64).collect()))
        };
        Ok(Self {
            mode: spec.mode,
            keys: pairs("keys", &spec.keys, |key| member("keys", key))?,
            order: pairs("order", &spec.order, |keys| keys.iter().map(|key| member("order", key)).collect())?,
            unordered: patterns("unordered", &spec.unordered)?,
            ignore: patterns("ignore", &spec.ignore)?,
            equal: spec.treat_as_equal.clone(),
            equal_at: pairs("treat_as_equal", &spec.treat_as_equal_at, |classes| Ok(classes.clone()))?,
            html: patterns("html", &spec.html)?,
            mask: spec.mask.clone(),
            ignore_selectors: selectors("ignore_selectors", &spec.ignore_selectors)?,
            only_selectors: selectors("only_selectors", &spec.only_selectors)?,
            headers: spec.headers.iter().map(header).collect::<Result<_, _>>()?,
            limits: Limits { depth: spec.limits.depth.min(MAX_DEPTH), ..spec.limits },
        })
    }

    /// The bounds in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How bodies are compared.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The headers compared besides the status.
    #[must_use]
    pub fn headers(&self) -> &[HeaderName] {
        &self.headers
    }

    pub(super) fn key(&self, array: &Path) -> Option<&str> {
        self.keys.iter().find(|(pattern, _)| pattern.matches(array)).map(|(_, key)| key.as_str())
    }

    pub(super) fn sort_keys(&self, array: &Path) -> Option<&[String]> {
        self.order.iter().find(|(pattern, _)| pattern.matches(array)).map(|(_, keys)| keys.as_slice())
    }

    pub(super) fn is_unordered(&self, array: &Path) -> bool {
        self.unordered.iter().any(|pattern| pattern.matches(array))
    }

    /// True if the member at the path holds HTML.
    pub(super) fn is_html(&self, path: &Path) -> bool {
        self.html.iter().any(|pattern| pattern.matches(path))
    }

    pub(super) fn masks(&self) -> &[Mask] {
        &self.mask
    }

    pub(super) fn ignored_selectors(&self) -> &[Selector] {
        &self.ignore_selectors
    }

    pub(super) fn only_selectors(&self) -> &[Selector] {
        &self.only_selectors
    }

    pub(super) fn ignored(&self) -> &[Pattern] {
        &self.ignore
    }

    /// True if `treat_as_equal` covers a difference. Never one of status, header or body.
    pub(super) fn accepts(&self, path: &str, kind: Kind, class: Class) -> bool {
        match kind {
            Kind::Status | Kind::Header | Kind::Body => return false,
            Kind::Added | Kind::Removed | Kind::Changed | Kind::TypeChanged | Kind::Renamed | Kind::Moved => {
            }
        }
        self.equal.contains(&class)
            || self.equal_at.iter().any(|(pattern, classes)| classes.contains(&class) && pattern.covers(path))
    }
}

impl Default for Rules {
    fn default() -> Self {
        let spec = RulesSpec::default();
        Self {
            mode: spec.mode,
            keys: Vec::new(),
            order: Vec::new(),
            unordered: Vec::new(),
            ignore: Vec::new(),
            equal: Vec::new(),
            equal_at: Vec::new(),
            html: Vec::new(),
            mask: spec.mask,
            ignore_selectors: Vec::new(),
            only_selectors: Vec::new(),
            headers: vec![http::header::CONTENT_TYPE, http::header::LOCATION],
            limits: spec.limits,
        }
    }
}

/// The start states of a list of patterns.
pub(super) fn starts(patterns: &[Pattern]) -> Vec<States> {
    patterns.iter().map(Pattern::start).collect()
}

fn patterns(rule: &'static str, paths: &[String]) -> Result<Vec<Pattern>, RulesError> {
    paths.iter().map(|path| pattern(rule, path)).collect()
}

fn selectors(rule: &'static str, written: &[String]) -> Result<Vec<Selector>, RulesError> {
    let selector = |text: &String| {
        Selector::parse(text)
            .map_err(|_| RulesError::Selector { rule, selector: text.chars().take(128).collect() })
    };
    written.iter().map(selector).collect()
}

fn pairs<T, U>(
    rule: &'static str,
    written: &[(String, T)],
    mut meant: impl FnMut(&T) -> Result<U, RulesError>,
) -> Result<Vec<(Pattern, U)>, RulesError> {
    written.iter().map(|(path, value)| Ok((pattern(rule, path)?, meant(value)?))).collect()
}

fn pattern(rule: &'static str, path: &str) -> Result<Pattern, RulesError> {
    Pattern::parse(path).map_err(|source| RulesError::Path { rule, source })
}

fn member(rule: &'static str, written: &str) -> Result<String, RulesError> {
    let name = written.strip_prefix('/').unwrap_or(written);
    if name.is_empty() || name.contains(['/', '*']) {
        return Err(RulesError::Member { rule, member: written.chars().take(64).collect() });
    }
    Ok(name.replace("~1", "/").replace("~0", "~"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> RulesSpec {
        RulesSpec::default()
    }

    #[test]
    fn what_cannot_be_compiled_says_which_and_why() {
        for (spec, said) in [
            (RulesSpec { ignore: vec!["version".into()], ..spec() }, "in `ignore`: `version`"),
            (RulesSpec { keys: vec![("/a".into(), "/x/y".into())], ..spec() }, "in `keys`: `/x/y`"),
            (RulesSpec { order: vec![("/a".into(), vec![String::new()])], ..spec() }, "in `order`"),
            (RulesSpec { headers: vec!["a b".into()], ..spec() }, "`a b` is not a header name"),
            (RulesSpec { html: vec!["x".into()], ..spec() }, "in `html`: `x`"),
            (RulesSpec { ignore_selectors: vec!["p[".into()], ..spec() }, "in `ignore_selectors`: `p[`"),
            (RulesSpec { only_selectors: vec![String::new()], ..spec() }, "in `only_selectors`"),
            (RulesSpec { treat_as_equal: vec![Class::Value], ..spec() }, "ignore"),
            (RulesSpec { treat_as_equal_at: vec![("/a".into(), vec![Class::Value])], ..spec() }, "ignore"),
        ] {
            let error = Rules::new(&spec).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn the_depth_is_bounded_by_the_stack() {
        let limits = Limits { depth: 1_000_000, ..Limits::default() };
        assert_eq!(Rules::new(&RulesSpec { limits, ..spec() }).unwrap().limits().depth, MAX_DEPTH);
    }

    #[test]
    fn the_default_is_the_compiled_default_spec() {
        assert_eq!(format!("{:?}", Rules::default()), format!("{:?}", Rules::new(&spec()).unwrap()));
    }

    #[test]
    fn classes_are_accepted_by_route_and_by_path_but_never_a_status() {
        let rules = Rules::new(&RulesSpec {
            treat_as_equal: vec![Class::Case],
            treat_as_equal_at: vec![("/a".into(), vec![Class::TimestampFormat])],
            ..spec()
        })
        .unwrap();
        assert!(rules.accepts("/x", Kind::Changed, Class::Case));
        assert!(rules.accepts("/a/b", Kind::Changed, Class::TimestampFormat));
        assert!(!rules.accepts("/b", Kind::Changed, Class::TimestampFormat));
        assert!(!rules.accepts("", Kind::Status, Class::Case));
    }
}
