//! SQLite cells as the API reads them. Any cell may hold any type, whatever its column says; none may fail a page.

use rusqlite::types::ValueRef;

/// A cell as text: NULL is `None`, bytes that are not UTF-8 and NULs (no text of PostgreSQL can hold them) become U+FFFD.
pub(crate) fn plain(cell: ValueRef<'_>) -> Option<String> {
    match cell {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(without_nul(&String::from_utf8_lossy(bytes))),
    }
}

/// A cell as a whole number, as SQLite's CAST reads it: fractions cut off, text by its leading digits, saturating.
pub(crate) fn whole(cell: ValueRef<'_>) -> Option<i64> {
    match cell {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number),
        #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, which is what CAST does")]
        ValueRef::Real(number) => Some(number as i64),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(leading_number(bytes)),
    }
}

/// `text` with every NUL replaced by U+FFFD.
pub(crate) fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn leading_number(bytes: &[u8]) -> i64 {
    let text = bytes.trim_ascii_start();
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        Some(_) | None => (false, text),
    };
    let magnitude = digits.iter().take_while(|byte| byte.is_ascii_digit()).fold(0_i64, |sum, byte| {
        let digit = i64::from(byte - b'0');
        sum.saturating_mul(10).saturating_add(digit)
    });
    if negative { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cell_reads_as_text() {
        assert_eq!(plain(ValueRef::Null), None);
        assert_eq!(plain(ValueRef::Text(b"a\0b")).unwrap(), "a\u{fffd}b");
        assert_eq!(plain(ValueRef::Blob(b"\xff")).unwrap(), "\u{fffd}");
        assert_eq!(plain(ValueRef::Integer(7)).unwrap(), "7");
    }

    #[test]
    fn any_cell_reads_as_a_number() {
        assert_eq!(whole(ValueRef::Null), None);
        assert_eq!(whole(ValueRef::Real(-2.9)), Some(-2));
        assert_eq!(whole(ValueRef::Real(1e300)), Some(i64::MAX));
        assert_eq!(whole(ValueRef::Text(b" -12abc")), Some(-12));
        assert_eq!(whole(ValueRef::Text(b"abc")), Some(0));
        assert_eq!(whole(ValueRef::Text(b"99999999999999999999")), Some(i64::MAX));
    }
}
