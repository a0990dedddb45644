//! What a comparison reports, and the bounded list it is collected in.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::rules::Rules;

/// Longest rendered value of a difference, in bytes.
const VALUE_BYTES: usize = 512;
/// Differences kept for one (path, kind, class), so that one frequent cause cannot crowd the others out of the list.
const KEPT_PER_SIGNATURE: u32 = 20;

/// Declares an enum whose variants have one snake_case name each: for display, parsing and serialisation.
macro_rules! named {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($(#[$doc:meta])* $variant:ident => $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every variant, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name used in the API, metrics and configuration.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownName;

            fn from_str(text: &str) -> Result<Self, UnknownName> {
                Self::ALL.iter().copied().find(|name| name.as_str() == text).ok_or_else(|| UnknownName {
                    what: $what,
                    text: text.chars().take(64).collect(),
                    known: Self::ALL.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", "),
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}
pub(super) use named;

/// A name that is none of a closed list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}: use one of {known}")]
pub struct UnknownName {
    pub(super) what: &'static str,
    pub(super) text: String,
    pub(super) known: String,
}

named! {
    /// What happened at a path, from *from* to *to*.
    Kind, "kind of difference" {
        /// The status codes differ.
        Status => "status",
        /// A compared header differs.
        Header => "header",
        /// In *to* only.
        Added => "added",
        /// In *from* only.
        Removed => "removed",
        /// Another value of the same type.
        Changed => "changed",
        /// Another JSON type.
        TypeChanged => "type_changed",
        /// The same member under another name.
        Renamed => "renamed",
        /// The same items in another order, once per array.
        Moved => "moved",
        /// Not comparable by structure.
        Body => "body",
    }
}

named! {
    /// Why it differs: the hint to the cause.
    Class, "class" {
        /// Another value: no other class fits.
        Value => "value",
        /// The same instant, written differently.
        TimestampFormat => "timestamp_format",
        /// Equal numbers, only one spelled with a fraction or an exponent.
        NumberFormat => "number_format",
        /// A number, and a string that spells it.
        NumberAsString => "number_as_string",
        /// 0/1 and false/true.
        BooleanEncoding => "boolean_encoding",
        /// An object or array, and a string that holds its JSON.
        JsonInString => "json_in_string",
        /// A member that is null, and one that is not there.
        NullVsAbsent => "null_vs_absent",
        /// An empty string, array or object, and null.
        EmptyVsNull => "empty_vs_null",
        /// The same text in another Unicode normalisation form.
        UnicodeForm => "unicode_form",
        /// Text that differs in white space only.
        Whitespace => "whitespace",
        /// Text that differs in upper and lower case only.
        Case => "case",
        /// The same text, one side with HTML entities.
        HtmlEntity => "html_entity",
        /// Reordered among items with equal sort keys.
        TieOrder => "tie_order",
        /// Reordered only in where the items without a sort key stand.
        NullOrder => "null_order",
        /// Each side sorted, by another collation.
        Collation => "collation",
        /// Reordered in no way that has a name.
        Order => "order",
    }
}

named! {
    /// How much a difference matters to a client, worst first.
    Severity, "severity" {
        /// A client that reads the answer may fail.
        Breaking => "breaking",
        /// Another value.
        Value => "value",
        /// Another order.
        Order => "order",
        /// The same meaning, written differently.
        Representation => "representation",
        /// More than before.
        Addition => "addition",
    }
}

named! {
    /// A bound that the comparison reached: what came beyond it was not compared.
    Limit, "limit" {
        /// The document is nested too deeply.
        Depth => "depth",
        /// The body is too long once decoded.
        Decoded => "decoded",
        /// The body expands too much when decoded.
        Ratio => "ratio",
        /// The comparison would take too many steps.
        Work => "work",
    }
}

/// One place where the legs differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Where, without positions: a JSON Pointer whose array positions are `*`, an element path, or a header name.
    pub path: String,
    /// The same place with its positions, in *from*'s document (in *to*'s where only that one has it).
    pub at: String,
    /// What happened.
    pub kind: Kind,
    /// Why.
    pub class: Class,
    /// *from*'s value as text, cut at 512 bytes; for `renamed` the old name. None where it has none.
    pub from: Option<String>,
    /// *to*'s value as text, cut at 512 bytes; for `renamed` the new name. None where it has none.
    pub to: Option<String>,
    /// True if a `treat_as_equal` rule covers it.
    pub accepted_by_rule: bool,
}

/// The result of comparing two legs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The differences kept: at most [`Limits::differences`](super::Limits), and a few of each (path, kind, class).
    pub differences: Vec<Difference>,
    /// How many differences were seen, kept or not.
    pub total: u64,
    /// How many of those no `treat_as_equal` rule covers.
    pub unaccepted: u64,
    /// The limit that was reached, if any: then it is never a match.
    pub limited: Option<Limit>,
}

/// Collects differences within the limits of the rules.
#[derive(Debug)]
pub(super) struct Collector<'r> {
    pub(super) rules: &'r Rules,
    result: Comparison,
    signatures: HashMap<(String, Kind, Class), u32>,
    work: u64,
}

/// Both sides of a difference as text; None where a side has nothing there.
#[derive(Debug, Default)]
pub(super) struct Sides {
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
}

// === impl Kind ===

impl Kind {
    /// The severity of a difference of this kind and class at `path` (which matters for headers only).
    #[must_use]
    pub fn severity(self, class: Class, path: &str) -> Severity {
        match self {
            Self::Status | Self::Body | Self::Removed | Self::Renamed | Self::TypeChanged => {
                Severity::Breaking
            }
            Self::Header if path.eq_ignore_ascii_case("content-type") => Severity::Breaking,
            Self::Header => Severity::Value,
            Self::Added => Severity::Addition,
            Self::Moved => Severity::Order,
            Self::Changed if class.is_representation() => Severity::Representation,
            Self::Changed => Severity::Value,
        }
    }
}

// === impl Class ===

impl Class {
    /// True if both sides mean the same and only write it differently.
    #[must_use]
    pub fn is_representation(self) -> bool {
        match self {
            Self::Value | Self::TieOrder | Self::NullOrder | Self::Collation | Self::Order => false,
            Self::TimestampFormat
            | Self::NumberFormat
            | Self::NumberAsString
            | Self::BooleanEncoding
            | Self::JsonInString
            | Self::NullVsAbsent
            | Self::EmptyVsNull
            | Self::UnicodeForm
            | Self::Whitespace
            | Self::Case
            | Self::HtmlEntity => true,
        }
    }
}

// === impl Difference ===

impl Difference {
    /// How much it matters to a client.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.kind.severity(self.class, &self.path)
    }
}

// === impl Comparison ===

impl Comparison {
    /// True if the legs are structurally equal, and were compared in full.
    #[must_use]
    pub fn is_match(&self) -> bool {
        self.total == 0 && self.limited.is_none()
    }

    /// True if they differ, and `treat_as_equal` rules cover every difference.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.total > 0 && self.unaccepted == 0 && self.limited.is_none()
    }

    /// What of this comparison was there again in another one of the same request; none if nothing was.
    #[must_use]
    pub fn persisting(&self, again: &Comparison) -> Option<Comparison> {
        let seen: HashSet<(&str, Kind, Class)> =
            again.differences.iter().map(|d| (d.path.as_str(), d.kind, d.class)).collect();
        let persists = |d: &Difference| seen.contains(&(d.path.as_str(), d.kind, d.class));
        let mut persisting = self.clone();
        persisting.differences.retain(persists);
        if persisting.differences.is_empty() {
            return None;
        }
        // Of those that were counted and not kept it is not known: they stay.
        persisting.total -= (self.differences.len() - persisting.differences.len()) as u64;
        persisting.unaccepted = persisting.unaccepted.min(persisting.total);
        Some(persisting)
    }
}

// === impl Sides ===

impl Sides {
    pub(super) fn both(from: impl Into<String>, to: impl Into<String>) -> Self {
        Self { from: Some(from.into()), to: Some(to.into()) }
    }

    pub(super) fn from_only(from: impl Into<String>) -> Self {
        Self { from: Some(from.into()), to: None }
    }

    pub(super) fn to_only(to: impl Into<String>) -> Self {
        Self { from: None, to: Some(to.into()) }
    }
}

// === impl Collector ===

impl<'r> Collector<'r> {
    pub(super) fn new(rules: &'r Rules) -> Self {
        Self { rules, result: Comparison::default(), signatures: HashMap::new(), work: rules.limits().work }
    }

    pub(super) fn push(&mut self, path: String, at: String, kind: Kind, class: Class, sides: Sides) {
        if self.count(&path, kind, class) {
            self.keep(path, at, kind, class, sides);
        }
    }

    /// Counts a difference; true if it is to be kept, too.
    pub(super) fn count(&mut self, path: &str, kind: Kind, class: Class) -> bool {
        self.result.total += 1;
        self.result.unaccepted += u64::from(!self.rules.accepts(path, kind, class));
        if self.result.differences.len() >= self.rules.limits().differences {
            return false;
        }
        let kept = self.signatures.entry((path.to_owned(), kind, class)).or_default();
        *kept += 1;
        *kept <= KEPT_PER_SIGNATURE
    }

    /// Keeps a difference that was counted.
    pub(super) fn keep(&mut self, path: String, at: String, kind: Kind, class: Class, sides: Sides) {
        let accepted = self.rules.accepts(&path, kind, class);
        self.result.differences.push(Difference {
            path,
            at,
            kind,
            class,
            from: sides.from.map(cut),
            to: sides.to.map(cut),
            accepted_by_rule: accepted,
        });
    }

    /// A difference of the body as a whole.
    pub(super) fn push_body(&mut self, sides: Sides) {
        self.push(String::new(), String::new(), Kind::Body, Class::Value, sides);
    }

    /// Takes `steps` from the work budget; false once it is used up.
    pub(super) fn spend(&mut self, steps: usize) -> bool {
        match self.work.checked_sub(steps as u64) {
            Some(left) => {
                self.work = left;
                true
            }
            None => {
                self.work = 0;
                self.limit(Limit::Work);
                false
            }
        }
    }

    /// Steps left in the work budget.
    pub(super) fn work_left(&self) -> usize {
        usize::try_from(self.work).unwrap_or(usize::MAX)
    }

    /// Notes that a limit was reached; the first one is told.
    pub(super) fn limit(&mut self, limit: Limit) {
        self.result.limited.get_or_insert(limit);
    }

    pub(super) fn differs(&self) -> bool {
        self.result.total > 0
    }

    pub(super) fn finish(self) -> Comparison {
        self.result
    }
}

/// Cuts a rendered value to its longest length, on a character boundary.
pub(super) fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(VALUE_BYTES));
    text
}

#[cfg(test)]
mod tests;
