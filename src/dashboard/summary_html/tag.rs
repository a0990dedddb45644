//! The elements a summary may have, and how they stand to each other.

/// An element of the allow-list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tag {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// The attributes it may have.
    pub(super) attributes: &'static [&'static str],
}

/// What an element is to its neighbours.
#[derive(Debug, PartialEq, Clone, Copy)]
pub(super) enum Kind {
    /// Stands between paragraphs.
    Block,
    Paragraph,
    Heading,
    List,
    Item,
    /// Stands in a line.
    Inline,
    Link,
    /// `br`: no content.
    Break,
    /// `hr`: no content, stands between paragraphs.
    Rule,
    Table,
    Caption,
    /// Head, body or foot of a table.
    Section,
    Row,
    Cell,
}

pub(super) const BODY: Tag = tag("tbody", Kind::Section);
pub(super) const ROW: Tag = tag("tr", Kind::Row);
pub(super) const CELL: Tag = tag("td", Kind::Cell).with(&["colspan", "rowspan"]);

/// The whole allow-list. None has `style`, `class` or `id`.
pub(super) static TAGS: [Tag; 31] = [
    tag("p", Kind::Paragraph),
    tag("br", Kind::Break),
    tag("hr", Kind::Rule),
    tag("h1", Kind::Heading),
    tag("h2", Kind::Heading),
    tag("h3", Kind::Heading),
    tag("h4", Kind::Heading),
    tag("h5", Kind::Heading),
    tag("h6", Kind::Heading),
    tag("ul", Kind::List),
    tag("ol", Kind::List).with(&["start"]),
    tag("li", Kind::Item),
    tag("strong", Kind::Inline),
    tag("b", Kind::Inline),
    tag("em", Kind::Inline),
    tag("i", Kind::Inline),
    tag("u", Kind::Inline),
    tag("code", Kind::Inline),
    tag("span", Kind::Inline),
    tag("a", Kind::Link).with(&["href"]),
    tag("div", Kind::Block),
    tag("pre", Kind::Block),
    tag("blockquote", Kind::Block),
    tag("table", Kind::Table),
    tag("caption", Kind::Caption),
    tag("thead", Kind::Section),
    BODY,
    tag("tfoot", Kind::Section),
    ROW,
    tag("th", Kind::Cell).with(&["colspan", "rowspan"]),
    CELL,
];

const fn tag(name: &'static str, kind: Kind) -> Tag {
    Tag { name, kind, attributes: &[] }
}

/// The element of this name, in any case, if it is allowed.
pub(super) fn named(name: &str) -> Option<Tag> {
    TAGS.iter().copied().find(|tag| tag.name.eq_ignore_ascii_case(name))
}

// === impl Tag ===

impl Tag {
    const fn with(self, attributes: &'static [&'static str]) -> Self {
        Self { attributes, ..self }
    }
}

// === impl Kind ===

impl Kind {
    /// True for what a text that is HTML begins with.
    pub(super) fn is_block(self) -> bool {
        match self {
            Self::Block | Self::Paragraph | Self::Heading | Self::List | Self::Rule | Self::Table => true,
            Self::Item | Self::Inline | Self::Link | Self::Break => false,
            Self::Caption | Self::Section | Self::Row | Self::Cell => false,
        }
    }

    pub(super) fn is_empty(self) -> bool {
        matches!(self, Self::Break | Self::Rule)
    }

    /// True for what stands in a table and holds no text itself.
    pub(super) fn is_frame(self) -> bool {
        matches!(self, Self::Table | Self::Section | Self::Row)
    }

    /// True for what is closed from the inside by tags of its table alone.
    pub(super) fn is_closed_in(self) -> bool {
        matches!(self, Self::Table | Self::Caption | Self::Cell)
    }

    /// True for what only a table has.
    pub(super) fn is_of_table(self) -> bool {
        matches!(self, Self::Caption | Self::Section | Self::Row | Self::Cell)
    }
}
