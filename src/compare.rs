//! Compares two legs of one request: `(leg, leg, rules) → comparison`.
//!
//! Pure: no I/O, no clock, no panics; work, depth and memory are bounded by [`Limits`]. Everything is oriented from
//! *from* to *to*, whoever served. Not for: deciding what a difference means for a flip (that is the ledger's).

use http::HeaderMap;

/// One backend's complete answer, borrowed for the comparison.
#[derive(Debug, Clone, Copy)]
pub struct Leg<'a> {
    /// HTTP status code, 100 to 999.
    pub status: u16,
    /// The answer's headers as they came (hop-by-hop ones included; only configured ones are compared).
    pub headers: &'a HeaderMap,
    /// The body, whole or only measured.
    pub body: Body<'a>,
}

/// A leg's body as far as it was kept.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// Every byte, still content-encoded.
    Whole {
        /// The encoded bytes.
        bytes: &'a [u8],
        /// False if only the end of the connection ended it: then it may have been cut without a sign.
        framed: bool,
    },
    /// Longer than the cap: only measured.
    Over {
        /// Length in bytes, as measured after decoding where the encoding was understood.
        length: u64,
        /// SHA-256 of the same bytes.
        digest: [u8; 32],
    },
}
