//! Timestamps as stores spell them: `2025-09-17T06:34:00.302974`, `2025-09-17 06:34:00+00`, `…Z`.

use chrono::{NaiveDate, NaiveTime};

const NANOS: i128 = 1_000_000_000;

/// True if both texts are timestamps of the same instant. One without an offset is taken as UTC.
pub(super) fn are_one_instant(from: &str, to: &str) -> bool {
    instant(from).is_some_and(|from| Some(from) == instant(to))
}

/// True if an integer counts the seconds, milliseconds or microseconds of the text's instant since 1970.
pub(super) fn is_epoch_of(number: &str, text: &str) -> bool {
    let (Ok(number), Some(instant)) = (number.parse::<i64>(), instant(text)) else { return false };
    [1, 1_000, 1_000_000].iter().any(|per_second| i128::from(number) * (NANOS / per_second) == instant)
}

/// Nanoseconds since 1970 of a date with a time; None for anything else, also a date alone.
pub(super) fn instant(text: &str) -> Option<i128> {
    if !text.is_ascii() || !(16..=40).contains(&text.len()) {
        return None;
    }
    let date = date(text.get(..10)?)?;
    let rest = text.get(10..)?.strip_prefix(['T', 't', ' '])?;
    let (clock, offset) = match rest.find(['Z', 'z', '+', '-', ' ']) {
        Some(at) => (rest.get(..at)?, offset(rest.get(at..)?.trim_start())?),
        None => (rest, 0),
    };
    let (clock, fraction) = clock.split_once('.').map_or(Some((clock, 0)), |(clock, digits)| {
        // A fraction belongs to seconds.
        (clock.len() == 8).then_some((clock, nanos(digits)?))
    })?;
    let time = time(clock)?;
    let seconds = date.and_time(time).and_utc().timestamp() - offset;
    Some(i128::from(seconds) * NANOS + i128::from(fraction))
}

fn date(text: &str) -> Option<NaiveDate> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let shape = (year.len(), month.len(), day.len()) == (4, 2, 2);
    NaiveDate::from_ymd_opt(digits(year)?.try_into().ok()?, digits(month)?, digits(day)?).filter(|_| shape)
}

/// `06:34` or `06:34:00`.
fn time(text: &str) -> Option<NaiveTime> {
    let mut parts = text.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next().unwrap_or("00"));
    let shape = parts.next().is_none() && [hour, minute, second].iter().all(|part| part.len() == 2);
    NaiveTime::from_hms_opt(digits(hour)?, digits(minute)?, digits(second)?).filter(|_| shape)
}

/// Seconds east of UTC: `Z`, `+00`, `+0000`, `+00:00`.
fn offset(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") || text == "UTC" {
        return Some(0);
    }
    let (sign, rest) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(rest), _) => (1, rest),
        (None, Some(rest)) => (-1, rest),
        (None, None) => return None,
    };
    let (hours, minutes) = match rest.len() {
        2 => (rest, "00"),
        4 => rest.split_at_checked(2)?,
        5 => rest.split_once(':').filter(|(hours, _)| hours.len() == 2)?,
        _ => return None,
    };
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * i64::from(hours * 3600 + minutes * 60))
}

/// Digits after the point as nanoseconds; None if they are finer.
fn nanos(fraction: &str) -> Option<u32> {
    let fine = fraction.trim_end_matches('0');
    if fraction.is_empty() || fine.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if fine.is_empty() { Some(0) } else { digits(&format!("{fine:0<9}")) }
}

fn digits(text: &str) -> Option<u32> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_instant_has_many_spellings() {
        let first = "2025-09-17T06:34:00.500000";
        for other in [
            "2025-09-17 06:34:00.5",
            "2025-09-17T06:34:00.5Z",
            "2025-09-17T06:34:00.500+00:00",
            "2025-09-17 06:34:00.5+00",
            "2025-09-17T08:34:00.5+0200",
            "2025-09-16T23:34:00.500000000-07:00",
            "2025-09-17 06:34:00.5 UTC",
        ] {
            assert!(are_one_instant(first, other), "{other}");
        }
        assert!(are_one_instant("2025-09-17T06:34", "2025-09-17 06:34:00"));
    }

    #[test]
    fn near_misses_are_no_timestamps() {
        for text in [
            "2025-13-45",
            "2025-13-45T00:00:00",
            "2025-02-29T00:00:00",
            "2025-09-17",
            "2025-09-17T24:00:00",
            "2025-09-17T06:34:60",
            "2025-09-17T06:34:00+25:00",
            "2025-09-17T06:34.5",
            "2025-9-17T06:34:00",
            "2025-09-17T6:34:00",
            "2025-09-17T06:34:00.0000000001",
            "2025-09-17T06:34:00 more",
            "not a timestamp at all",
            "20250917T063400Z",
        ] {
            assert_eq!(instant(text), None, "{text}");
        }
        assert!(!are_one_instant("2025-09-17T06:34:00Z", "2025-09-17T06:34:01Z"));
        assert!(!are_one_instant("2025-09-17T06:34:00Z", "2025-09-17T06:34:00+01:00"));
    }
}
