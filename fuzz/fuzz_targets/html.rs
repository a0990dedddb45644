//! Two pages, divided at the first zero byte: no panic, a page matches itself, swapped sides match alike.
#![no_main]

#[path = "../legs.rs"]
mod legs;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (from, to) = legs::halves(data);
    let there = legs::compared("text/html", from, to);
    let back = legs::compared("text/html", to, from);
    assert_eq!((there.is_match(), there.limited), (back.is_match(), back.limited));
    let again: Vec<u8> = from.iter().copied().chain(*b"<!-- again -->").collect();
    let same = legs::compared("text/html", from, &again);
    assert!(same.total <= 1, "{:?}", same.differences);
});
