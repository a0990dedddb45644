//! A body behind every content encoding and charset, chosen by the first byte: no panic, and never more memory than the
//! limits allow.
#![no_main]

#[path = "../legs.rs"]
mod legs;

use libfuzzer_sys::fuzz_target;

const ENCODINGS: [&str; 6] = ["gzip", "deflate", "br", "zstd", "gzip, br", "identity"];
const TYPES: [&str; 4] = [
    "text/plain; charset=utf-16le",
    "text/plain; charset=shift_jis",
    "application/json; charset=latin1",
    "text/html; charset=nonsense",
];

fuzz_target!(|data: &[u8]| {
    let Some((first, body)) = data.split_first() else { return };
    let encoding = ENCODINGS[usize::from(*first) % ENCODINGS.len()];
    let content_type = TYPES[usize::from(*first) / ENCODINGS.len() % TYPES.len()];
    legs::encoded(content_type, encoding, body);
});
