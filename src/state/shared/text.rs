//! What PostgreSQL takes as text.

use std::borrow::Cow;

/// The text with U+FFFD in place of NUL, which PostgreSQL refuses and a client may send.
pub(super) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{FFFD}")) } else { Cow::Borrowed(text) }
}
