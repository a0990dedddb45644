//! One hash for all structures: fast, and the same in every run, so that what depends on it can be reproduced.
//!
//! It finds equal parts and rules out others; that parts are equal is never concluded from it alone.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

const SEED: u64 = 0x666c_6970_6761_7465;

pub(super) fn hasher() -> impl Hasher {
    FixedState::with_seed(SEED).build_hasher()
}

pub(crate) fn text(text: &str) -> u64 {
    let mut state = hasher();
    state.write(text.as_bytes());
    state.finish()
}

/// One hash of two, in which their order counts: a multiplication to 128 bits, folded.
pub(crate) fn mixed(left: u64, right: u64) -> u64 {
    const LEFT: u64 = 0x9e37_79b9_7f4a_7c15;
    const RIGHT: u64 = 0xd1b5_4a32_d192_ed03;
    let wide = u128::from(left.rotate_left(23) ^ LEFT) * u128::from(right ^ RIGHT);
    #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
    let folded = (wide as u64) ^ ((wide >> 64) as u64);
    folded.wrapping_add(left)
}
