//! How numbers, times and names are written on the page.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::journal::Counts;

/// How long ago it was, as one says it.
pub(super) fn ago(time: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = now.signed_duration_since(time).num_seconds().max(0);
    match seconds {
        0..60 => "less than a minute ago".to_owned(),
        60..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// A time to the second, in UTC.
pub(super) fn time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A share in percent, with as many digits as tell it from 0 and 100.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    // 99.996 must not read as all.
    if percent > 0.0 && percent < 0.01 {
        "< 0.01 %".to_owned()
    } else if percent < 100.0 && percent > 99.99 {
        "> 99.99 %".to_owned()
    } else {
        let text = format!("{percent:.2}");
        format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// Seconds in the unit that suits them.
pub(super) fn seconds(seconds: f64) -> String {
    if seconds < 0.001 {
        format!("{:.0} µs", seconds * 1e6)
    } else if seconds < 0.1 {
        format!("{:.1} ms", seconds * 1e3)
    } else if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1e3)
    } else {
        format!("{seconds:.2} s")
    }
}

/// A stretch of time, as one says it.
pub(super) fn stretch(stretch: Duration) -> String {
    let seconds = stretch.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} minutes", seconds / 60),
        _ => format!("{} hours", seconds / 3600),
    }
}

/// Text in which nothing hides and nothing turns the rest of its line around: such characters as `\u202e`.
pub(super) fn visible(text: &str) -> String {
    let hides = |c: char| {
        matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'
            | '\u{2066}'..='\u{2069}' | '\u{feff}')
            || (c.is_control() && !matches!(c, '\n' | '\t' | '\r'))
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if hides(c) {
            shown.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// `1 request`, `2 requests`.
pub(super) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// `2 pending, 1 parked`; none where nothing is lacking.
pub(super) fn lacking(counts: &Counts) -> Option<String> {
    let Counts { pending, parked, in_doubt, oldest: _ } = *counts;
    let told = [(pending, "pending"), (parked, "parked"), (in_doubt, "in doubt")];
    let told: Vec<String> = told
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    (!told.is_empty()).then(|| told.join(", "))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn shares_that_are_almost_all_or_nothing_do_not_read_so() {
        let written = [0.0, 0.000_04, 0.0256, 0.5, 0.999_96, 1.0].map(percent);
        assert_eq!(written, ["0 %", "< 0.01 %", "2.56 %", "50 %", "> 99.99 %", "100 %"]);
    }

    #[test]
    fn only_what_is_lacking_is_told() {
        assert_eq!(lacking(&Counts::default()), None);
        let counts = Counts { pending: 2, in_doubt: 1, ..Counts::default() };
        assert_eq!(lacking(&counts).as_deref(), Some("2 pending, 1 in doubt"));
    }

    #[test]
    fn what_hides_in_a_text_is_shown() {
        let shown = visible("a\u{202e}b\u{feff}c\u{7}\n\u{e4} \u{5d0} \u{1f468}\u{200d}\u{1f469}");
        assert_eq!(shown, "a\\u202eb\\ufeffc\\u0007\n\u{e4} \u{5d0} \u{1f468}\u{200d}\u{1f469}");
    }

    #[test]
    fn times_are_written_in_the_unit_that_suits_them() {
        assert_eq!([0.000_25, 0.0123, 0.25, 12.0].map(seconds), ["250 µs", "12.3 ms", "250 ms", "12.00 s"]);
        let now = Utc::now();
        let written = [5, 90, 7200, 200_000, -5].map(|s| ago(now - TimeDelta::seconds(s), now));
        assert_eq!(
            written,
            ["less than a minute ago", "1 min ago", "2 h ago", "2 days ago", "less than a minute ago"]
        );
    }
}
