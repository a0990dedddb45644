//! What records are called: ids and video ids, usual and not.

use fastrand::Rng;

use super::Tables;
use super::pools::Cell;

/// In 81 real records 63 ids are their video id in lower case.
const LOWER_CASED: (u32, u32) = (63, 81);

/// Ids and video ids of `rows` records in random order; in loose tables some ids are there twice.
pub(super) fn records(rng: &mut Rng, rows: u32, tables: Tables) -> Vec<(Cell, Cell)> {
    let odd_ids = ids().into_iter().map(|id| (id, None));
    let odd_videos = video_ids().into_iter().map(|video| (Cell::Null, Some(video)));
    let rows = rows as usize;
    let mut records = Vec::new();
    for (place, (id, video)) in odd_ids.chain(odd_videos).take(rows).enumerate() {
        let id = if video.is_some() { Cell::text(format!("yt:odd-video-{place}")) } else { id };
        records.push((id, video.unwrap_or_else(|| Cell::text(usual(rng)))));
    }
    while records.len() < rows {
        let video_id = usual(rng);
        let lower = rng.u32(0..LOWER_CASED.1) < LOWER_CASED.0;
        let id = if lower { video_id.to_lowercase() } else { video_id.clone() };
        let again = tables == Tables::Loose && records.len().is_multiple_of(4);
        let id = if again {
            records[rng.usize(0..records.len())].0.clone()
        } else {
            Cell::text(format!("yt:{id}"))
        };
        records.push((id, Cell::text(video_id)));
    }
    rng.shuffle(&mut records);
    records
}

fn usual(rng: &mut Rng) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..11).map(|_| char::from(LETTERS[rng.usize(0..LETTERS.len())])).collect()
}

/// Each is unique, as production wants it; NULL may be there any number of times even so.
fn ids() -> Vec<Cell> {
    let mut ids: Vec<Cell> = IDS.iter().map(|id| Cell::text(*id)).collect();
    ids.extend([Cell::Null, Cell::Null, Cell::blob([0]), Cell::blob(*b"blob id"), Cell::blob([])]);
    ids.extend([b"\xc3\x28 id".as_slice(), b"nul\0id", b"\xff"].map(Cell::bytes));
    ids
}

const IDS: [&str; 41] = [
    "",
    " ",
    "bare",
    "12345",
    "0",
    "-1",
    "AbCdEfGhIj_",
    "abcdefghij_",
    "yt:PaIrPaIrPaI",
    "yt:pairpairpai",
    "YT:PAIRPAIRPAI",
    "yt:",
    "reddit:t3_x",
    "web:https://example.org/a?b=c#d",
    "with space",
    " padded ",
    "slash/and/more",
    "../up",
    "100%",
    "%25",
    "_",
    "it's",
    "dou\"ble",
    "back\\slash",
    "\\N",
    "\\.",
    "née",
    "e\u{301}gal",
    "égal",
    "😀",
    "مرحبا",
    "資料",
    "<script>",
    "semi;colon",
    "tab\tand\nnewline",
    "a.json",
    "?q=1&r=2",
    "NULL",
    // Names that a copy might make up by itself.
    "missing:bare",
    "rowid:1",
    "rowid:2",
];

fn video_ids() -> Vec<Cell> {
    let mut ids: Vec<Cell> = VIDEO_IDS.iter().map(|id| Cell::text(*id)).collect();
    ids.extend([Cell::Null, Cell::Null, Cell::blob(*b"bbbbbbbbbbb"), Cell::blob([0])]);
    ids.extend([b"\xc3\x28valid_utf".as_slice(), b"nul\0inside_", b"\0"].map(Cell::bytes));
    ids
}

const VIDEO_IDS: [&str; 21] = [
    "",
    "",
    " ",
    "twicetwice1",
    "twicetwice1",
    "twicetwice1",
    "TWICEtwice1",
    "ten_chars_x",
    "tenchars_x",
    "twelvechars_",
    "12345678901",
    "12345",
    "has spaces!",
    "a/b?c#d&e%f",
    "it's\"quoted",
    "ünïcödé_ids",
    "😀😀😀😀😀😀😀😀😀😀😀",
    "missing:bare",
    "missing:yt:odd-video-60",
    "aaaaaaaaaa\n",
    "yt:AbCdEfGh",
];
