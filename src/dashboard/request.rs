//! Requests of the read API: which endpoint, and what is asked of it. Parsing never fails; what cannot be meant is the
//! default, as in production.

use percent_encoding::percent_decode;
use serde_json::{Map, Value};

use super::subjects::{Wanted, folded};

/// Rows a page may have.
pub(crate) const MAX_SIZE: u32 = 50;
const DEFAULT_SIZE: u32 = 20;
/// Pages beyond any library; keeps `page * size` within 64 bits.
const MAX_PAGE: u64 = 1_000_000_000_000;
const MAX_VALUES: usize = 10;
const MIN_SEARCH_CHARS: usize = 2;
const MAX_SEARCH_CHARS: usize = 200;

/// An endpoint of the read API with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// `/`: the page of cards.
    Cards,
    /// `/api/reports`.
    List(Box<ListQuery>),
    /// `/api/filters`.
    Filters,
    /// `/api/reports/{id}`.
    Report(String),
    /// `/{stem}.json`.
    StemJson(String),
    /// `/{stem}.html`, or `/{stem}.json?v=2`.
    StemHtml(String),
}

/// Which rows of the list, in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListQuery {
    /// Page, counted from 1.
    pub(crate) page: u64,
    /// Rows a page.
    pub(crate) size: u32,
    /// Order.
    pub(crate) sort: Sort,
    /// The order's name as it was asked for.
    pub(crate) sort_name: &'static str,
    /// LIKE pattern, or no search.
    pub(crate) search: Option<String>,
    /// What the rows must have.
    pub(crate) filters: Filters,
}

/// The orders of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// By indexed_at.
    Added(Direction),
    /// By published_at.
    Published(Direction),
    /// By title.
    Title(Direction),
    /// By duration.
    Duration(Direction),
}

/// Which end comes first. NULLs are the lowest values, ties go by id ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Lowest first.
    Ascending,
    /// Highest first.
    Descending,
}

/// Conditions, AND-ed; the values of one are OR-ed, none means no condition. Values are folded (see [`folded`]).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filters {
    /// Categories, in either column.
    pub(crate) category: Vec<Wanted>,
    /// Subcategories, with a parent or without.
    pub(crate) subcategory: Vec<Wanted>,
    /// Channel names.
    pub(crate) channel: Vec<String>,
    /// Content types.
    pub(crate) content_type: Vec<String>,
    /// Complexity levels.
    pub(crate) complexity: Vec<String>,
    /// Languages.
    pub(crate) language: Vec<String>,
    /// Sources.
    pub(crate) source: Vec<String>,
    /// With or without audio.
    pub(crate) has_audio: Option<bool>,
    /// The conditions as the answer repeats them.
    pub(crate) echo: Map<String, Value>,
}

// === impl Request ===

impl Request {
    /// Reads a raw path and query; `None` if the path is not one of the API.
    pub(crate) fn parse(target: &str) -> Option<Self> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let parameters = Parameters::parse(query);
        match path {
            "/" => return Some(Self::Cards),
            "/api/reports" => return Some(Self::List(Box::new(ListQuery::parse(&parameters)))),
            "/api/filters" => return Some(Self::Filters),
            _ => {}
        }
        if let Some(id) = path.strip_prefix("/api/reports/") {
            return segment(id).map(Self::Report);
        }
        let name = path.strip_prefix('/')?;
        if let Some(stem) = name.strip_suffix(".json") {
            let page = parameters.first("v") == Some("2");
            return segment(stem).map(if page { Self::StemHtml } else { Self::StemJson });
        }
        segment(name.strip_suffix(".html")?).map(Self::StemHtml)
    }
}

/// One decoded path segment; `None` if it is empty or more than one.
pub(super) fn segment(raw: &str) -> Option<String> {
    (!raw.is_empty() && !raw.contains('/')).then(|| decoded(raw.as_bytes()))
}

/// Percent-decoded as Python does: broken escapes stay, broken UTF-8 is replaced. No store holds a NUL.
fn decoded(raw: &[u8]) -> String {
    let text = percent_decode(raw).decode_utf8_lossy();
    super::cells::without_nul(&text)
}

// === impl ListQuery ===

impl ListQuery {
    /// The newest `size` rows.
    pub(crate) fn newest(size: u32) -> Self {
        let mut query = Self::parse(&Parameters::default());
        query.size = size;
        query
    }

    /// Rows before this page.
    pub(crate) fn offset(&self) -> i64 {
        let rows = (self.page - 1).saturating_mul(u64::from(self.size));
        i64::try_from(rows).unwrap_or(i64::MAX)
    }

    fn parse(parameters: &Parameters) -> Self {
        let (sort_name, sort) = Sort::parse(parameters.first("sort").unwrap_or_default());
        let search = parameters.first("q").and_then(search_pattern);
        let size = parameters.number("size", u64::from(DEFAULT_SIZE)).clamp(1, u64::from(MAX_SIZE));
        Self {
            // A search is one page.
            page: if search.is_some() { 1 } else { parameters.number("page", 1).clamp(1, MAX_PAGE) },
            size: u32::try_from(size).unwrap_or(MAX_SIZE),
            sort,
            sort_name,
            search,
            filters: Filters::parse(parameters),
        }
    }
}

/// The LIKE pattern of a search; too short a search is none.
fn search_pattern(raw: &str) -> Option<String> {
    let words: String = raw.trim().chars().take(MAX_SEARCH_CHARS).collect();
    // Lower case here, so that a store only has to fold what it compares with.
    (words.chars().count() >= MIN_SEARCH_CHARS).then(|| format!("%{}%", words.to_ascii_lowercase()))
}

// === impl Sort ===

impl Sort {
    fn parse(name: &str) -> (&'static str, Self) {
        use Direction::{Ascending, Descending};
        match name {
            "added_desc" => ("added_desc", Self::Added(Descending)),
            "added_asc" => ("added_asc", Self::Added(Ascending)),
            "video_newest" => ("video_newest", Self::Published(Descending)),
            "video_oldest" => ("video_oldest", Self::Published(Ascending)),
            "oldest" => ("oldest", Self::Published(Ascending)),
            "title" => ("title", Self::Title(Ascending)),
            "title_az" => ("title_az", Self::Title(Ascending)),
            "title_asc" => ("title_asc", Self::Title(Ascending)),
            "title_za" => ("title_za", Self::Title(Descending)),
            "title_desc" => ("title_desc", Self::Title(Descending)),
            "duration" => ("duration", Self::Duration(Descending)),
            "duration_desc" => ("duration_desc", Self::Duration(Descending)),
            "duration_asc" => ("duration_asc", Self::Duration(Ascending)),
            _ => ("newest", Self::Published(Descending)),
        }
    }
}

// === impl Filters ===

impl Filters {
    fn parse(parameters: &Parameters) -> Self {
        let mut echo = Map::new();
        let mut values = |name: &str| -> Vec<String> {
            let values = parameters.values(name);
            if !values.is_empty() {
                echo.insert(name.to_owned(), values.iter().cloned().map(Value::String).collect());
            }
            values
        };
        let mut filters = Self {
            category: values("category").into_iter().map(Wanted::category).collect(),
            subcategory: pairs(values("subcategory"), &values("parentCategory")),
            channel: values("channel"),
            content_type: values("content_type"),
            complexity: values("complexity"),
            language: values("language"),
            source: values("source"),
            has_audio: parameters.first("has_audio").and_then(truth),
            echo: Map::new(),
        };
        if let Some(has_audio) = filters.has_audio {
            echo.insert("has_audio".to_owned(), Value::Bool(has_audio));
        }
        filters.echo = echo;
        filters
    }
}

/// Subcategories with the parent at the same position; a single parent is that of all, one without a parent has any.
fn pairs(subcategories: Vec<String>, parents: &[String]) -> Vec<Wanted> {
    let common = match parents {
        [only] => Some(only),
        [] | [_, ..] => None,
    };
    let with_parent =
        |(index, name)| Wanted { category: parents.get(index).or(common).cloned(), subcategory: Some(name) };
    subcategories.into_iter().enumerate().map(with_parent).collect()
}

fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Some(true),
        "false" | "0" | "no" => Some(false),
        _ => None,
    }
}

impl Wanted {
    fn category(name: String) -> Self {
        Self { category: Some(name), subcategory: None }
    }
}

// === Parameters ===

/// Query parameters in the order written, decoded; blank values are dropped.
#[derive(Debug, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn parse(query: &str) -> Self {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let decode = |text: &str| decoded(text.replace('+', " ").as_bytes());
        Self(
            pairs
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| (decode(name), decode(value)))
                .collect(),
        )
    }

    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn values(&self, name: &str) -> Vec<String> {
        let named = self.0.iter().filter(|(key, _)| key == name);
        named.map(|(_, value)| folded(value)).take(MAX_VALUES).collect()
    }

    /// A whole number; negative counts as 0, too large as the largest, anything else as `default`.
    fn number(&self, name: &str, default: u64) -> u64 {
        let Some(text) = self.first(name).map(str::trim) else { return default };
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return default;
        }
        if negative { 0 } else { digits.parse().unwrap_or(u64::MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(query: &str) -> ListQuery {
        match Request::parse(&format!("/api/reports?{query}")) {
            Some(Request::List(list)) => *list,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn paths_of_the_api_are_recognised() {
        assert_eq!(Request::parse("/"), Some(Request::Cards));
        assert_eq!(Request::parse("/?x=1"), Some(Request::Cards));
        assert_eq!(Request::parse("/api/reports/yt%3Aa"), Some(Request::Report("yt:a".into())));
        assert_eq!(Request::parse("/a.b.json"), Some(Request::StemJson("a.b".into())));
        assert_eq!(Request::parse("/a.json?v=2"), Some(Request::StemHtml("a".into())));
        assert_eq!(Request::parse("/a.html"), Some(Request::StemHtml("a".into())));
        assert_eq!(Request::parse("/%ff%zz.html"), Some(Request::StemHtml("\u{fffd}%zz".into())));
        for other in [
            "",
            "/x",
            "/.json",
            "/a/b.json",
            "/api/reports/",
            "/api/reports/a/b",
            "*",
            "/api",
            "/static/a.html",
        ] {
            assert_eq!(Request::parse(other), None, "{other}");
        }
    }

    #[test]
    fn numbers_are_clamped_or_default() {
        for (query, page, size) in [
            ("", 1, 20),
            ("page=0&size=0", 1, 1),
            ("page=-5&size=51", 1, 50),
            ("page=x&size=1e1", 1, 20),
            ("page=99999999999999999999999&size=+7", 1_000_000_000_000, 50),
            ("page=+3&size=%207%20", 3, 7),
        ] {
            let query_list = list(query);
            let expected = if query.contains("size=+7") { 7 } else { size };
            assert_eq!((query_list.page, query_list.size), (page, expected), "{query}");
        }
    }

    #[test]
    fn searches_have_two_to_two_hundred_characters() {
        assert_eq!(list("q=+a+").search, None);
        assert_eq!(list("q=+aB+&page=9").search.as_deref(), Some("%ab%"));
        assert_eq!(list("q=aB&page=9").page, 1);
        assert_eq!(list(&format!("q={}", "é".repeat(300))).search.unwrap().chars().count(), 202);
    }

    #[test]
    fn filters_are_folded_paired_bounded_and_echoed() {
        let query =
            list("category=A%E2%80%93B&subcategory=x&parentCategory=P&subcategory=y&has_audio=YES&channel=");
        assert_eq!(query.filters.category, vec![Wanted::category("A-B".into())]);
        assert!(query.filters.subcategory.iter().all(|pair| pair.category.as_deref() == Some("P")));
        assert_eq!(query.filters.has_audio, Some(true));
        assert!(query.filters.channel.is_empty());
        assert_eq!(
            serde_json::to_string(&query.filters.echo).unwrap(),
            r#"{"category":["A-B"],"subcategory":["x","y"],"parentCategory":["P"],"has_audio":true}"#
        );
        assert_eq!(list(&"source=a&".repeat(20)).filters.source.len(), 10);
    }

    #[test]
    fn unknown_sorts_are_the_newest_first() {
        assert_eq!(list("sort=;drop").sort_name, "newest");
        assert_eq!(list("sort=title_za").sort, Sort::Title(Direction::Descending));
    }
}
