//! Timestamps in every spelling the library has, as PostgreSQL takes them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

const ZONED: [&str; 4] = [
    "%Y-%m-%dT%H:%M:%S%.f%:z",
    "%Y-%m-%d %H:%M:%S%.f%:z",
    "%Y-%m-%dT%H:%M:%S%.f%z",
    "%Y-%m-%d %H:%M:%S%.f%z",
];
const LOCAL: [&str; 4] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];

/// The instant a text denotes, to the microsecond, in ISO 8601; one without a zone is UTC. `None` if it denotes none.
pub(crate) fn typed(text: &str) -> Option<String> {
    let text = text.trim();
    if let Some(usual) = usual(text) {
        return Some(usual);
    }
    let instant = parse(text)?;
    // Years PostgreSQL reads as they are written.
    let year = instant.format("%Y").to_string().parse::<i32>().ok()?;
    (1..=9999).contains(&year).then(|| instant.format("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string())
}

/// The instant in microseconds since 1970, of a text that denotes one.
pub(super) fn instant(text: &str) -> Option<i64> {
    typed(text)?.parse::<DateTime<Utc>>().ok().map(|instant| instant.timestamp_micros())
}

/// The spellings nearly every row has (`2025-09-17T06:34:00.302974`, a space for the T, `Z` or `+00:00` after it), read
/// without trying format after format: a copy reads millions.
fn usual(text: &str) -> Option<String> {
    let local = text.strip_suffix('Z').or_else(|| text.strip_suffix("+00:00")).unwrap_or(text);
    let (whole, fraction) = local.split_at_checked(19)?;
    let shape = whole.bytes().enumerate().all(|(position, byte)| match position {
        4 | 7 => byte == b'-',
        10 => byte == b'T' || byte == b' ',
        13 | 16 => byte == b':',
        _ => byte.is_ascii_digit(),
    });
    let digits = match fraction.strip_prefix('.') {
        Some(digits) if (1..=6).contains(&digits.len()) => digits,
        None if fraction.is_empty() => "0",
        Some(_) | None => return None,
    };
    if !shape || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |from, to| whole.get(from..to)?.parse::<u32>().ok();
    let (year, hour, minute, second) = (part(0, 4)?, part(11, 13)?, part(14, 16)?, part(17, 19)?);
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, part(5, 7)?, part(8, 10)?)?;
    if year == 0 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(format!("{}T{}.{digits:0<6}+00:00", whole.get(..10)?, whole.get(11..)?))
}

fn parse(text: &str) -> Option<DateTime<Utc>> {
    // 23:59:60 is a second chrono knows and PostgreSQL moves: the spelling alone is kept.
    if text.contains(":60") {
        return None;
    }
    let zulu = text.strip_suffix(['Z', 'z']).map(str::to_owned);
    if let Some(local) = zulu {
        return local_time(&local);
    }
    let zoned = ZONED.iter().find_map(|format| DateTime::parse_from_str(text, format).ok());
    zoned.map(|instant| instant.to_utc()).or_else(|| local_time(text))
}

fn local_time(text: &str) -> Option<DateTime<Utc>> {
    let time = LOCAL.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let time = time.or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0));
    time.map(|time| time.and_utc())
}

#[cfg(test)]
mod tests {
    use super::typed;

    #[test]
    fn every_spelling_of_the_library_denotes_its_instant() {
        for (text, instant) in [
            ("2025-09-17T06:34:00.302974", "2025-09-17T06:34:00.302974+00:00"),
            ("2025-09-17 06:34:00", "2025-09-17T06:34:00.000000+00:00"),
            ("2025-09-17T06:34:00Z", "2025-09-17T06:34:00.000000+00:00"),
            ("2025-09-17T06:34:00.5z", "2025-09-17T06:34:00.500000+00:00"),
            ("2025-09-17T06:34:00+00:00", "2025-09-17T06:34:00.000000+00:00"),
            ("2025-09-17T06:34:00+0230", "2025-09-17T04:04:00.000000+00:00"),
            ("2025-09-17 06:34:00.1234567-01:00", "2025-09-17T07:34:00.123456+00:00"),
            ("2025-09-17", "2025-09-17T00:00:00.000000+00:00"),
            ("2025-09-17T06:34", "2025-09-17T06:34:00.000000+00:00"),
        ] {
            assert_eq!(typed(text).as_deref(), Some(instant), "{text}");
        }
    }

    #[test]
    fn an_instant_is_a_number() {
        assert_eq!(super::instant("1970-01-01T00:00:01.5Z"), Some(1_500_000));
        assert_eq!(super::instant("1970-01-01 00:00:01"), Some(1_000_000));
        assert_eq!(super::instant(""), None);
    }

    proptest::proptest! {
        /// The short cut says what the long way says, and nothing where that says nothing.
        #[test]
        fn the_usual_spellings_are_read_alike(
            text in "[0-9]{3}[0-9]-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,7})?(Z|\\+00:00)?"
        ) {
            let long = super::parse(&text).map(|instant| instant.format("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string());
            match super::usual(&text) {
                Some(short) => proptest::prop_assert_eq!(Some(short), long),
                None => proptest::prop_assert!(long.is_none() || text.contains("0000-") || text.len() > 26),
            }
        }
    }

    #[test]
    fn what_denotes_no_instant_is_none() {
        for text in [
            "",
            "yesterday",
            "2025-13-01",
            "2025-02-30T00:00:00",
            "1694930040",
            "2025-06-30T23:59:60",
            "0000-01-01",
        ] {
            assert_eq!(typed(text), None, "{text}");
        }
    }
}
