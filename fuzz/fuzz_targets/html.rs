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
    // Another charset parameter, which is one difference of the header, so that the same page is read on both sides.
    let same = legs::differently("text/html", "text/html; charset=utf-8", from);
    assert_eq!(same.total, 1, "{:?}", same.differences);
});
