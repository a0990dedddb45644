//! The cells a column may hold, kind by kind.

use fastrand::Rng;
use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

/// A cell to be stored; unlike rusqlite's own, its text need not be UTF-8.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into().into_bytes())
    }

    /// Bytes said to be text.
    pub(super) fn bytes(bytes: &[u8]) -> Self {
        Self::Text(bytes.to_owned())
    }

    pub(super) fn blob(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Blob(bytes.into())
    }
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(bytes) => ValueRef::Text(bytes),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

pub(super) const JSON_COLUMNS: [&str; 7] =
    ["category", "key_topics", "named_entities", "subcategories_json", "analysis", "raw_payload", "metadata"];

/// All cells for a column, each a kind of its own.
pub(super) fn of(column: &str) -> Vec<Cell> {
    match column {
        "published_at" | "indexed_at" | "created_at" | "updated_at" => timestamps(),
        "category" | "key_topics" | "named_entities" => json(&LISTS),
        "subcategories_json" | "analysis" | "raw_payload" | "metadata" => json(&DOCUMENTS),
        "has_audio" | "has_transcript" | "is_latest" => flags(),
        "language" => texts_of(&LANGUAGES),
        "summary_type" | "variant_type" => kinds(),
        "revision" => revisions(),
        "id" => numbers_of_summaries(),
        "artwork" | "untyped" => [texts(), numbers()].concat(),
        "title" => [texts(), vec![Cell::text(pseudo_random(10_000))]].concat(),
        "channel_name" => {
            [texts(), vec![Cell::text("x".repeat(4096)), Cell::text(pseudo_random(4096))]].concat()
        }
        number if is_number(number) => numbers(),
        _ => texts(),
    }
}

fn is_number(column: &str) -> bool {
    let known = [
        "word_count",
        "transcript_chars",
        "view_count",
        "like_count",
        "comment_count",
        "file_size",
        "MixedCase",
    ];
    known.contains(&column) || column.ends_with("duration_seconds")
}

/// What could be in any column, whatever its type.
fn anything() -> Vec<Cell> {
    vec![
        Cell::Null,
        Cell::Integer(1_694_930_040),
        Cell::Real(12.5),
        Cell::bytes(b"\xc3\x28"),
        Cell::bytes(b"a\0b"),
        Cell::blob([]),
        Cell::blob([0]),
        Cell::blob([0xff, 0, 0xfe]),
        Cell::blob(*b"blob"),
        Cell::blob("bl\u{f6}b".as_bytes()),
    ]
}

fn texts_of(texts: &[&str]) -> Vec<Cell> {
    [anything(), texts.iter().map(|text| Cell::text(*text)).collect()].concat()
}

fn texts() -> Vec<Cell> {
    let mut cells = texts_of(&TEXTS);
    // Not UTF-8: cut short, overlong, a surrogate, beyond the last code point; and NULs at the ends.
    let broken: [&[u8]; 8] = [
        b"cut \xf0\x9f\x98",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xff\xfe",
        b"\0",
        b"end\0",
        b"\0\xc3\x28\0",
    ];
    cells.extend(broken.map(Cell::bytes));
    cells
}

const TEXTS: [&str; 33] = [
    "",
    " ",
    "  padded  ",
    "plain",
    "Plain",
    "ÉTÉ été İstanbul ß ŉ ﬁ",
    "e\u{301}\u{323} combining",
    "q\u{307}\u{323}",
    "مرحبا بالعالم",
    "\u{202e}right to left\u{202c}",
    "😀😀 emoji 👩\u{200d}👩\u{200d}👧",
    "𝒳𠜎 4 bytes",
    "資料 データ",
    "A–B en dash",
    "A-B en dash",
    "<script>alert(1)</script>",
    "</script><!--",
    "&amp; &lt;b&gt; & <b>",
    "'single' \"double\" `back` \\ slash",
    "100% _ like",
    "tab\tnewline\nreturn\r\nend",
    // What COPY, arrays and parameters are made of.
    "\\N",
    "\\.",
    "\n\\.\n",
    "{a,\"b\",NULL}",
    "$1 :x ? $$ ; -- /* */",
    "NULL",
    "null",
    "\u{feff}byte order mark",
    "\u{2028}\u{2029}\u{85}",
    "\u{1}\u{7f}\u{1b}[31m control",
    "\u{fffd} \u{ffff} \u{10ffff}",
    "12345678901234567890",
];

fn timestamps() -> Vec<Cell> {
    texts_of(&TIMESTAMPS)
}

/// The spellings of a library, several of one instant, and what is none.
const TIMESTAMPS: [&str; 34] = [
    "2025-09-17T06:34:00.302974",
    "2025-09-17 06:34:00",
    "2025-09-17T06:34:00Z",
    "2025-09-17T06:34:00+00:00",
    "2025-09-17T06:34:00.000000+00:00",
    "2025-09-17T08:34:00+02:00",
    "2025-09-17T08:34:00+0200",
    "2025-09-17 06:34:00.5z",
    "2025-09-17T06:34:00.1234567Z",
    "2025-09-17T06:34:00.123456789",
    "2025-09-17T06:34",
    "2025-09-17",
    " 2025-09-17 ",
    "20250917T063400Z",
    "2025-W38-3",
    "2025-260",
    "9999-12-31T23:59:59.999999",
    "0001-01-01T00:00:00",
    "0000-00-00",
    "-0044-03-15T00:00:00",
    "10000-01-01T00:00:00",
    "2025-13-45",
    "2025-02-30T00:00:00",
    "2025-06-30T23:59:60Z",
    "2025-09-17T24:00:00",
    "1694930040",
    "infinity",
    "-infinity",
    "now",
    "epoch",
    "yesterday",
    "Wed, 17 Sep 2025 06:34:00 GMT",
    "2025-09-17T06:34:00[Europe/Paris]",
    "",
];

const LANGUAGES: [&str; 14] =
    ["en", "EN", "En", "en-US", "en_us", "", " ", "klingon", " de ", "de\n", "fr", "zh-Hant-TW", "e", "éé"];

/// Types of summaries; a legacy one and a variant draw from the same.
fn kinds() -> Vec<Cell> {
    let mut cells = texts_of(&[
        "comprehensive",
        "key-points",
        "bullet-points",
        "executive",
        "key-insights",
        "audio",
        "audio-fr",
        "audio-es",
        "Audio",
        " audio ",
        "zeta",
        "",
        "a/b?c",
        "été 😀",
    ]);
    // Usual ones are usual.
    for _ in 0..4 {
        cells.extend(["audio", "comprehensive", "key-points"].map(Cell::text));
    }
    cells
}

fn numbers() -> Vec<Cell> {
    let mut cells = anything();
    cells.extend(
        [0, 1, -1, 5, 0x7fff_ffff, 0x8000_0000, -0x8000_0001, 5_000_000_000, i64::MAX, i64::MIN]
            .map(Cell::Integer),
    );
    cells.extend(
        [-0.0, 0.1, 0.1 + 0.2, -12.5, 1e19, -1e19, 1e300, -1e300, 5e-324, f64::INFINITY, f64::NEG_INFINITY]
            .map(Cell::Real),
    );
    let texts = [
        "abc",
        "12 monkeys",
        "",
        " 7 ",
        "007",
        "1e5",
        "0x10",
        "12abc",
        "-",
        "true",
        "٣",
        "9223372036854775808",
    ];
    cells.extend(texts.map(Cell::text));
    cells
}

fn flags() -> Vec<Cell> {
    let mut cells = anything();
    cells.extend([0, 1, 0, 1, 0, 1, 1, 1, 2, -1, i64::MAX].map(Cell::Integer));
    cells.extend(["true", "false", "yes", "1 ", ""].map(Cell::text));
    cells.push(Cell::Real(0.5));
    cells
}

/// Revisions that are not 1, 2, 3.
fn revisions() -> Vec<Cell> {
    let mut cells = vec![Cell::Null, Cell::Real(1.5), Cell::Real(1e300), Cell::blob([1])];
    cells.extend([0, -1, -5, i64::MIN, 0x7fff_ffff, 0x8000_0000, 5_000_000_000, i64::MAX].map(Cell::Integer));
    cells.extend(["abc", "2 monkeys", "first"].map(Cell::text));
    cells
}

/// The `id` of a summary in a table without a key; some are there twice.
fn numbers_of_summaries() -> Vec<Cell> {
    let mut cells: Vec<Cell> = (1..60).map(Cell::Integer).collect();
    cells.extend([0, -1, 1, 2, 3, 5_000_000_000, i64::MAX].map(Cell::Integer));
    cells.extend([Cell::Null, Cell::Null, Cell::Real(1.5), Cell::text("abc"), Cell::blob([1])]);
    cells
}

fn json(shaped: &[&str]) -> Vec<Cell> {
    let mut cells = texts_of(&JSON);
    cells.extend(shaped.iter().map(|text| Cell::text(*text)));
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}"), (r#"[{"categories":"#, "}]")] {
        cells.push(Cell::text(format!("{}1{}", open.repeat(200), close.repeat(200))));
    }
    cells
}

/// JSON as it should not be, and JSON that is not what it seems.
const JSON: [&str; 30] = [
    "",
    " ",
    "{",
    "[broken",
    "{'single': 'quotes'}",
    "[1,]",
    "[1] trailing",
    "NaN",
    "[Infinity]",
    "plain words, and more",
    "\u{feff}[]",
    "null",
    "true",
    "7",
    "\"text\"",
    r#"["\ud800"]"#,
    r#"["\udc00\ud800", "x"]"#,
    r#"["\ud83d\ude00"]"#,
    r#"["a\u0000b", "\u0000"]"#,
    r#"{"a\u0000": 1}"#,
    r#"{"a": 1, "a": 2, "b": {"c": 1, "c": 1}}"#,
    r#"{"": 0}"#,
    "[1e999999, -1e999999, 1e-999999]",
    "[12345678901234567890123, -0, -0.0, 0.1000000000000000055]",
    "[1.50, 1E2, 1e+02, 1.0, 1]",
    "[ 1 ,\t2\n,\r\n3 ]",
    r#"  ["padded"]  "#,
    r#"["\/", "\u002f", "é", "\u00e9", "\u00E9"]"#,
    "[\"raw\u{7f}\u{2028}\"]",
    "[\"raw\ttab\"]",
];

const LISTS: [&str; 10] = [
    "[]",
    r#"["History"]"#,
    r#"["History", "Technology"]"#,
    r#"["A–B", "A-B"]"#,
    r#"["C", "C", "", null, 7, ["nested"], {"no": "name"}]"#,
    r#"["<script>", "&amp;", "'\""]"#,
    r#"["資料", "😀"]"#,
    r#"{"not": "a list"}"#,
    r#"[{"name": "an entity", "type": "PERSON"}]"#,
    r#"["a"  ,"b"]"#,
];

const DOCUMENTS: [&str; 13] = [
    "{}",
    r#"{"categories":[{"category":"History","subcategories":["Modern History"]}]}"#,
    r#"{ "categories" : [ {"category":"A–B","subcategories":["X–Y", 5]}, {"no":1}, 3 ] , "z":1.50}"#,
    r#"{"categories":[{"subcategories":["other order"],"category":"History"}]}"#,
    r#"{"categories":[]}"#,
    r#"{"categories":null}"#,
    r#"{"categories":"x"}"#,
    r#"{"categories":[{"category":"D","subcategories":null},{"category":"D","subcategories":["d","d"]}]}"#,
    r#"{"categories":[{"category":"a\u0000b","subcategories":["\u0000"]}]}"#,
    r#"{"categories":[{"category":"N"}],"categories":[{"category":"M"}]}"#,
    r#"{"b":1,"a":2,"schema_version":1.0}"#,
    r#"{"categories":[{"category":"big","n":1e999999}]}"#,
    r#"[{"categories":[]}]"#,
];

/// Text of many words with characters of up to four bytes, about `bytes` long.
pub(super) fn long_text(rng: &mut Rng, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 16);
    while text.len() < bytes {
        for _ in 0..rng.usize(1..9) {
            text.push(rng.char('a'..='z'));
        }
        text.push_str([" ", ", ", "\n\n- ", " é", " 😀 ", " <b>", "\\"][rng.usize(0..7)]);
    }
    text
}

/// Text that compression makes little of: what an index cannot hold uncompressed it cannot hold at all.
fn pseudo_random(bytes: usize) -> String {
    let mut rng = Rng::with_seed(bytes as u64);
    (0..bytes).map(|_| rng.alphanumeric()).collect()
}
