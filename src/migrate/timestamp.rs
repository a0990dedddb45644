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
    let instant = parse(text.trim())?;
    // Years PostgreSQL reads as they are written.
    let year = instant.format("%Y").to_string().parse::<i32>().ok()?;
    (1..=9999).contains(&year).then(|| instant.format("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string())
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
