//! Two JSON texts, divided at the first zero byte: no panic, a document matches itself, swapped sides count alike.
#![no_main]

#[path = "../legs.rs"]
mod legs;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (from, to) = legs::halves(data);
    let there = legs::compared("application/json", from, to);
    let back = legs::compared("application/json", to, from);
    assert_eq!((there.total, there.limited), (back.total, back.limited));
    // Unframed, so that it is read though both sides are the same; not JSON, it is one difference.
    let same = legs::unframed("application/json", from, from);
    assert!(same.total <= 1 && same.differences.iter().all(|difference| difference.kind.as_str() == "body"));
    if let Some(patch) = flipgate::compare::patch(from, to) {
        assert!(patch.is_array());
    }
});
