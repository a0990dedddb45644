//! The records of a generated library, one after the other.

use std::collections::HashSet;

use fastrand::Rng;

use super::words;

/// One record with what belongs to it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) video_id: String,
    pub(super) title: String,
    pub(super) channel: &'static str,
    pub(super) published_at: Option<String>,
    pub(super) indexed_at: String,
    pub(super) updated_at: String,
    pub(super) duration_seconds: u32,
    pub(super) word_count: u32,
    /// 0 where there is no audio.
    pub(super) audio_seconds: u32,
    /// 0 where there is no transcript.
    pub(super) transcript_chars: u32,
    pub(super) views: u32,
    /// JSON array of names.
    pub(super) category: String,
    pub(super) subcategory: Option<&'static str>,
    pub(super) subcategories_json: Option<String>,
    pub(super) content_type: &'static str,
    pub(super) complexity: &'static str,
    pub(super) language: &'static str,
    /// JSON array of slugs.
    pub(super) key_topics: String,
    pub(super) analysis: Option<String>,
    pub(super) origin: Origin,
    pub(super) summary: Option<Summary>,
    pub(super) variants: Vec<Variant>,
}

/// How a record came into the library; it decides how its times and its id are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// By the dashboard's own API: id as the video's, times of Python's `isoformat`.
    Api,
    /// By an import in one go: id lower-cased, many equal times.
    Imported,
    /// By hand with SQLite's `datetime()`.
    ByHand,
}

/// The row of `content_summaries`.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) kind: &'static str,
    pub(super) text: String,
    pub(super) created_at: String,
}

/// A row of `summary_variants`.
#[derive(Debug)]
pub(super) struct Variant {
    pub(super) kind: &'static str,
    pub(super) revision: u32,
    pub(super) is_latest: bool,
    pub(super) text: String,
    pub(super) created_at: String,
}

/// The records of one library.
#[derive(Debug)]
pub(super) struct Rows {
    rng: Rng,
    next: u32,
    end: u32,
    /// Lower-cased: ids are, and must stay unique.
    taken: HashSet<String>,
}

// === impl Origin ===

impl Origin {
    fn of(position: u32) -> Self {
        // 63 of 81 came by import, as the lower-cased ids of the real library show.
        match (share(position, 63, 0), position % 9) {
            (true, _) => Self::Imported,
            (false, 0..=2) => Self::ByHand,
            (false, _) => Self::Api,
        }
    }

    pub(super) fn format_source(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Imported => "complete",
            Self::ByHand => "empty",
        }
    }

    pub(super) fn processing_status(self) -> &'static str {
        match self {
            Self::Api | Self::ByHand => "complete",
            Self::Imported => "imported",
        }
    }
}

// === impl Rows ===

impl Rows {
    pub(super) fn new(rows: u32, seed: u64) -> Self {
        Self { rng: Rng::with_seed(seed), next: 0, end: rows, taken: HashSet::new() }
    }

    fn row(&mut self, position: u32) -> Row {
        let origin = Origin::of(position);
        let video_id = self.video_id();
        let indexed_at = self.indexed_at(origin);
        let (primary, subject) = self.subject();
        let categories = self.categories(primary, subject);
        let rich = origin != Origin::Imported || position.is_multiple_of(3);
        let duration_seconds = if rich { self.rng.u32(45..5400) } else { 0 };
        let title = self.title(subject);
        let has_summary = share(position, 80, 40);
        // The record without a summary is among these, so that its answer comes from a variant.
        let has_variants = share(position, 19, 5);
        Row {
            id: match origin {
                Origin::Imported => format!("yt:{}", video_id.to_lowercase()),
                Origin::Api | Origin::ByHand => format!("yt:{video_id}"),
            },
            title,
            channel: self.pick(&words::CHANNELS),
            published_at: (!share(position, 4, 11)).then(|| self.published_at()),
            updated_at: if share(position, 16, 2) { String::new() } else { indexed_at.clone() },
            duration_seconds,
            word_count: if rich { self.rng.u32(80..6000) } else { 0 },
            audio_seconds: if share(position, 74, 3) { self.rng.u32(60..1200) } else { 0 },
            transcript_chars: if rich { duration_seconds * 15 } else { 0 },
            views: self.rng.u32(0..3_000_000),
            category: array(categories.iter().map(|(category, _)| quote(category))),
            subcategory: share(position, 69, 1).then_some(subject),
            subcategories_json: share(position, 70, 17)
                .then(|| format!("{{{}}}", categories_member(&categories))),
            content_type: self.pick(&words::CONTENT_TYPES),
            complexity: self.pick(&words::COMPLEXITIES),
            language: self.pick(&words::LANGUAGES),
            key_topics: self.topics(),
            analysis: share(position, 1, 30)
                .then(|| format!("{{\"schema_version\": 2, {}}}", categories_member(&categories))),
            origin,
            summary: has_summary.then(|| self.summary(&indexed_at)),
            variants: if has_variants { self.variants(&indexed_at) } else { Vec::new() },
            indexed_at,
            video_id,
        }
    }

    /// 11 characters as YouTube's ids have, unique also in lower case.
    fn video_id(&mut self) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        loop {
            let mut id: String = (0..10).map(|_| char::from(self.pick(ALPHABET))).collect();
            // At least one capital, so that the lower-cased id is another text than the id.
            id.insert(self.rng.usize(0..=10), char::from(self.rng.u8(b'A'..=b'Z')));
            if self.taken.insert(id.to_lowercase()) {
                return id;
            }
        }
    }

    fn indexed_at(&mut self, origin: Origin) -> String {
        match origin {
            Origin::Api => format!("{}.{:06}", self.second("2026-03", 'T'), self.rng.u32(1..1_000_000)),
            Origin::ByHand => self.second("2026-04", ' '),
            Origin::Imported if self.rng.u8(..) < 20 => format!("{}Z", self.second("2026-04", 'T')),
            // The import took four seconds.
            Origin::Imported => format!("2026-05-09T11:42:{:02}+00:00", 7 + self.rng.u8(0..4)),
        }
    }

    fn second(&mut self, month: &str, separator: char) -> String {
        let (day, hour) = (self.rng.u8(1..=28), self.rng.u8(0..24));
        let (minute, second) = (self.rng.u8(0..60), self.rng.u8(0..60));
        format!("{month}-{day:02}{separator}{hour:02}:{minute:02}:{second:02}")
    }

    fn published_at(&mut self) -> String {
        let year = self.rng.u16(2016..=2025);
        let (month, day) = (self.rng.u8(1..=12), self.rng.u8(1..=28));
        let time = match self.rng.u8(0..4) {
            0 | 1 => "00:00:00Z".to_owned(),
            2 => "00:00:00+00:00".to_owned(),
            _ => format!(
                "08:{:02}:{:02}.{:06}+00:00",
                self.rng.u8(0..60),
                self.rng.u8(0..60),
                self.rng.u32(1..1_000_000)
            ),
        };
        format!("{year}-{month:02}-{day:02}T{time}")
    }

    fn subject(&mut self) -> (&'static words::Category, &'static str) {
        let category = self.pick_ref(&words::CATEGORIES);
        (category, self.pick(&category.1))
    }

    /// One to three categories, the first with `subject` first.
    fn categories(
        &mut self,
        primary: &'static words::Category,
        subject: &'static str,
    ) -> Vec<(&'static str, Vec<&'static str>)> {
        let mut first = vec![subject];
        first.extend(primary.1.iter().filter(|other| **other != subject).take(self.rng.usize(0..3)));
        let mut categories = vec![(primary.0, first)];
        for _ in 0..self.rng.usize(0..6).saturating_sub(3) {
            let (category, subject) = self.subject();
            if categories.iter().all(|(known, _)| *known != category.0) {
                categories.push((category.0, vec![subject]));
            }
        }
        categories
    }

    fn title(&mut self, subject: &str) -> String {
        let (opening, ending) = (self.pick(&words::OPENINGS), self.pick(&words::ENDINGS));
        format!("{opening} {subject}{ending}")
    }

    fn topics(&mut self) -> String {
        let count = self.rng.usize(0..6);
        array((0..count).map(|_| quote(self.pick(&words::TOPICS))).collect::<Vec<_>>().into_iter())
    }

    fn summary(&mut self, indexed_at: &str) -> Summary {
        let kind = self.pick(&words::SUMMARY_KINDS);
        let sentences = self.rng.usize(3..20);
        let text = self.prose(sentences);
        // The dashboard stored some summaries as the text of a Python dict.
        let text = if self.rng.u8(0..12) == 0 { format!("{{'{kind}': \"{text}\"}}") } else { text };
        Summary { kind, text, created_at: indexed_at.to_owned() }
    }

    /// Two of different kinds, or two revisions of one.
    fn variants(&mut self, indexed_at: &str) -> Vec<Variant> {
        let first = self.pick(&words::VARIANT_KINDS);
        let second = self.pick(&words::VARIANT_KINDS);
        let revised = first == second;
        let mut variant = |kind, revision, is_latest| {
            let sentences = self.rng.usize(2..8);
            Variant {
                kind,
                revision,
                is_latest,
                text: self.prose(sentences),
                created_at: indexed_at.to_owned(),
            }
        };
        vec![variant(first, 1, !revised), variant(second, if revised { 2 } else { 1 }, true)]
    }

    fn prose(&mut self, sentences: usize) -> String {
        let mut text = String::from("1) Core message: ");
        for number in 0..sentences {
            text.push_str(self.pick(&words::SENTENCES));
            text.push_str(if number % 4 == 3 { "\n\n- " } else { " " });
        }
        text.trim_end_matches(['\n', '-', ' ']).to_owned()
    }

    fn pick<T: Copy>(&mut self, words: &'static [T]) -> T {
        *self.pick_ref(words)
    }

    fn pick_ref<T>(&mut self, words: &'static [T]) -> &'static T {
        let chosen = self.rng.usize(..words.len());
        #[expect(clippy::indexing_slicing, reason = "chosen is below the length, and no vocabulary is empty")]
        &words[chosen]
    }
}

impl Iterator for Rows {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        if self.next == self.end {
            return None;
        }
        let position = self.next;
        self.next += 1;
        Some(self.row(position))
    }
}

/// Whether record `position` is one of `of_81` in each 81, evenly spread; `phase` keeps the shares apart.
fn share(position: u32, of_81: u32, phase: u32) -> bool {
    let place = u64::from(position) + u64::from(phase);
    let upto = |n: u64| n * u64::from(of_81) / 81;
    upto(place + 1) > upto(place)
}

/// `"categories": [...]`, spelled as Python's `json.dumps` does.
fn categories_member(categories: &[(&str, Vec<&str>)]) -> String {
    let entries = categories.iter().map(|(category, subcategories)| {
        let subcategories = array(subcategories.iter().map(|name| quote(name)));
        format!("{{\"category\": {}, \"subcategories\": {subcategories}}}", quote(category))
    });
    format!("\"categories\": {}", array(entries))
}

fn array(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
