//! Whether two values look alike, so that a path where a backend differs from itself hides nothing but such values.

/// By how many characters alike values may differ in length, and the share of the longer one that they may.
const LENGTH: (usize, usize) = (2, 4);

/// Whether two values of one type have the same shape: words and what stands between them in the same order, and about
/// the same length. A token looks like another token, not like nothing, an error message or a date.
#[must_use]
pub fn alike(from: &str, to: &str) -> bool {
    let (a, b) = (from.chars().count(), to.chars().count());
    let (least, part) = LENGTH;
    a.abs_diff(b) <= least.max(a.max(b) / part) && shape(from).eq(shape(to))
}

/// Each run of what tokens and dates are made of as one `w`; other characters as they are, white space once.
fn shape(value: &str) -> impl Iterator<Item = char> {
    let mut last = None;
    value.chars().map(class).filter(move |class| {
        let repeated = matches!(class, 'w' | ' ') && last == Some(*class);
        last = Some(*class);
        !repeated
    })
}

fn class(character: char) -> char {
    match character {
        '+' | '/' | '=' | '_' | '-' => 'w',
        _ if character.is_alphanumeric() => 'w',
        _ if character.is_whitespace() => ' ',
        _ => character,
    }
}

#[cfg(test)]
mod tests {
    use super::alike;

    #[test]
    fn tokens_times_and_counters_look_alike() {
        for (from, to) in [
            ("\"8f3a90cc\"", "\"01b2aa7e\""),
            ("\"aGk+/x==\"", "\"bG93ZXI_\""),
            ("\"2026-11-25T15:32:44Z\"", "\"2026-11-25T15:32:45Z\""),
            ("9", "10"),
            ("0.25", "1.5"),
        ] {
            assert!(alike(from, to) && alike(to, from), "{from} {to}");
        }
    }

    #[test]
    fn nothing_an_error_and_another_form_do_not() {
        for (from, to) in [
            ("\"8f3a90cc\"", "\"\""),
            ("\"8f3a90cc\"", "\"internal server error\""),
            ("\"8f3a90cc\"", "\"8f3a90cc8f3a90cc8f3a90cc\""),
            ("10", "10.5"),
            ("1", "100000"),
        ] {
            assert!(!alike(from, to) && !alike(to, from), "{from} {to}");
        }
    }
}
