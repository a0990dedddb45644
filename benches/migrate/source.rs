//! The library that is copied: records of about 1 KB with a summary of about 4 KB, as compressible as prose is.
//!
//! Many more words than `flipgate::library` has, so that indexes and compression meet what they would meet in a large
//! library, and no untidiness: what cannot be stored is the tests' matter.

use std::path::Path;

use fastrand::Rng;
use rusqlite::{Connection, Transaction, params};

const TABLES: &str = include_str!("../../src/library/tables.sql");

const SEED: u64 = 1;
/// Words of the invented language; common ones come first.
const WORDS: usize = 6000;
const SUMMARY_BYTES: usize = 4000;
const CATEGORIES: usize = 40;

/// Writes a library of `rows` records, each with one legacy summary.
pub(crate) fn generate(path: &Path, rows: u32) {
    let mut connection = Connection::open(path).unwrap();
    let transaction = connection.transaction().unwrap();
    transaction.execute_batch(TABLES).unwrap();
    let mut writer = Writer::new();
    for number in 0..rows {
        let id = writer.content(&transaction, number);
        writer.summary(&transaction, &id, number);
    }
    transaction.commit().unwrap();
}

struct Writer {
    rng: Rng,
    words: Vec<String>,
}

// === impl Writer ===

impl Writer {
    fn new() -> Self {
        let mut rng = Rng::with_seed(SEED);
        let words = (0..WORDS).map(|_| word(&mut rng)).collect();
        Self { rng, words }
    }

    fn content(&mut self, transaction: &Transaction<'_>, number: u32) -> String {
        let video_id = self.video_id(number);
        let id = format!(
            "yt:{}",
            if number.is_multiple_of(4) { video_id.clone() } else { video_id.to_lowercase() }
        );
        let (category, subcategory, structured) = self.categories();
        let channel = self.rng.usize(0..900);
        let indexed_at = self.time(number);
        let mut statement = transaction.prepare_cached(INSERT_CONTENT).unwrap();
        let values = params![
            id,
            self.sentence(),
            format!("https://www.youtube.com/watch?v={video_id}"),
            format!("https://i.ytimg.com/vi/{video_id}/maxresdefault.jpg"),
            self.time(number / 7),
            indexed_at,
            self.rng.u32(30..9000),
            self.rng.u32(100..9000),
            self.rng.bool(),
            self.rng.u32(30..1500),
            self.rng.bool(),
            self.rng.u32(1000..90_000),
            video_id,
            format!("{} {}", self.words[channel], self.words[channel * 5]),
            format!("UC{video_id}{video_id}"),
            self.rng.u32(0..3_000_000),
            self.rng.u32(0..90_000),
            self.rng.u32(0..9000),
            category,
            ["Discussion", "Tutorial", "Review", "News"][self.rng.usize(0..4)],
            ["Beginner", "Intermediate", "Advanced"][self.rng.usize(0..3)],
            ["en", "en", "en", "fr", "de", "EN", "en-US"][self.rng.usize(0..7)],
            self.list(3..9),
            self.list(2..7),
            indexed_at,
            self.time(number / 3),
            subcategory,
            structured,
        ];
        statement.execute(values).unwrap();
        id
    }

    fn summary(&mut self, transaction: &Transaction<'_>, id: &str, number: u32) {
        let sql = "INSERT INTO content_summaries (content_id, summary_text, summary_type, created_at)
                   VALUES (?1, ?2, ?3, ?4)";
        let kind = ["comprehensive", "key-points", "audio", "bullet-points"][self.rng.usize(0..4)];
        let mut statement = transaction.prepare_cached(sql).unwrap();
        statement.execute(params![id, self.prose(), kind, self.time(number)]).unwrap();
    }

    /// Unique also in lower case: its last five places count.
    fn video_id(&mut self, number: u32) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut id: String = (0..6).map(|_| char::from(LETTERS[self.rng.usize(0..LETTERS.len())])).collect();
        let mut rest = number;
        for _ in 0..5 {
            id.push(char::from_digit(rest % 36, 36).unwrap());
            rest /= 36;
        }
        id
    }

    /// The legacy list, the legacy subcategory and the structured document, as the dashboard writes them.
    fn categories(&mut self) -> (String, String, String) {
        let (mut names, mut entries, mut first) = (Vec::new(), Vec::new(), String::new());
        for _ in 0..self.rng.usize(1..4) {
            let category = self.rng.usize(0..CATEGORIES);
            let name = self.label(category);
            let below: Vec<usize> = (0..self.rng.usize(1..4)).map(|_| self.rng.usize(0..12)).collect();
            let below: Vec<String> =
                below.iter().map(|below| self.label(CATEGORIES + category * 12 + below)).collect();
            first.clone_from(&below[0]);
            entries
                .push(format!(r#"{{"category": "{name}", "subcategories": ["{}"]}}"#, below.join(r#"", ""#)));
            names.push(name);
        }
        let structured = format!(r#"{{"categories": [{}]}}"#, entries.join(", "));
        (format!(r#"["{}"]"#, names.join(r#"", ""#)), first, structured)
    }

    fn label(&self, number: usize) -> String {
        format!("{} & {}", self.words[number], self.words[WORDS - 1 - number])
    }

    fn list(&mut self, range: std::ops::Range<usize>) -> String {
        let mut items = Vec::new();
        for _ in 0..self.rng.usize(range) {
            let first = self.word().to_owned();
            items.push(format!(r#""{first}-{}""#, self.word()));
        }
        format!("[{}]", items.join(", "))
    }

    /// Spelt in one of the ways a library has.
    fn time(&mut self, number: u32) -> String {
        let (day, hour) = (1 + number / 24 % 28, number % 24);
        let (year, minute, second) = (2016 + number / 700 % 10, self.rng.u32(0..60), self.rng.u32(0..60));
        let time = format!("{hour:02}:{minute:02}:{second:02}");
        match self.rng.u8(0..4) {
            0 => format!("{year}-03-{day:02}T{time}.{:06}", self.rng.u32(0..1_000_000)),
            1 => format!("{year}-04-{day:02} {time}"),
            2 => format!("{year}-05-{day:02}T{time}Z"),
            _ => format!("{year}-06-{day:02}T{time}+00:00"),
        }
    }

    fn prose(&mut self) -> String {
        let mut text = String::with_capacity(SUMMARY_BYTES + 200);
        while text.len() < SUMMARY_BYTES {
            match self.rng.u8(0..6) {
                0 => text.push_str("\n\n## "),
                1 | 2 => text.push_str("\n- "),
                _ => text.push(' '),
            }
            text.push_str(&self.sentence());
            text.push('.');
        }
        text.trim_start().to_owned()
    }

    fn sentence(&mut self) -> String {
        let count = self.rng.usize(6..14);
        let mut text = self.word().to_owned();
        text[..1].make_ascii_uppercase();
        for _ in 1..count {
            text.push(' ');
            text.push_str(self.word());
        }
        text
    }

    /// Common words are common, as in any language.
    fn word(&mut self) -> &str {
        let rank = self.rng.f64().powi(3) * WORDS as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and WORDS")]
        let rank = rank as usize;
        &self.words[rank]
    }
}

fn word(rng: &mut Rng) -> String {
    const ONSETS: [&str; 18] =
        ["b", "c", "d", "f", "g", "h", "l", "m", "n", "p", "qu", "r", "s", "st", "t", "tr", "v", "w"];
    const NUCLEI: [&str; 10] = ["a", "e", "i", "o", "u", "ea", "ou", "é", "ai", "y"];
    const CODAS: [&str; 8] = ["", "", "n", "r", "s", "t", "ck", "ll"];
    let syllables = 1 + rng.usize(0..3);
    let part =
        |rng: &mut Rng| [ONSETS[rng.usize(0..18)], NUCLEI[rng.usize(0..10)], CODAS[rng.usize(0..8)]].concat();
    (0..syllables).map(|_| part(rng)).collect()
}

const INSERT_CONTENT: &str = "
    INSERT INTO content (id, title, canonical_url, thumbnail_url, published_at, indexed_at, duration_seconds,
        word_count, has_audio, audio_duration_seconds, has_transcript, transcript_chars, video_id, channel_name,
        channel_id, view_count, like_count, comment_count, category, content_type, complexity_level, language,
        key_topics, named_entities, created_at, updated_at, subcategory, subcategories_json)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23,
        ?24, ?25, ?26, ?27, ?28)";
