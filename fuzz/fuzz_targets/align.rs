//! Two arrays of small rows made from the bytes: every row is paired or named, swapped sides mirror.
#![no_main]

#[path = "../legs.rs"]
mod legs;

use libfuzzer_sys::fuzz_target;

/// Two bits of a byte say what a row looks like, the others its values.
fn row(byte: u8) -> String {
    let (value, other) = (byte >> 2 & 7, byte >> 5);
    match byte & 3 {
        0 => format!("{{\"id\":{value},\"t\":{other}}}"),
        1 => format!("{{\"t\":{value},\"u\":[{other}]}}"),
        2 => value.to_string(),
        _ => format!("\"{value}{other}\""),
    }
}

fn array(bytes: &[u8]) -> String {
    format!("[{}]", bytes.iter().map(|byte| row(*byte)).collect::<Vec<_>>().join(","))
}

fuzz_target!(|data: &[u8]| {
    let (from, to) = legs::halves(data);
    let (from, to) = (array(from), array(to));
    let there = legs::compared("application/json", from.as_bytes(), to.as_bytes());
    let back = legs::compared("application/json", to.as_bytes(), from.as_bytes());
    assert_eq!((there.total, there.limited), (back.total, back.limited), "{from} {to}");
    assert_eq!(there.is_match(), from == to, "{from} {to}");
});
