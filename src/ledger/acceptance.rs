//! What an operator accepted: how far, and until when. It judges the stored evidence again and rewrites no counter.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize, Serializer};

use super::finding::{Finding, OVERFLOW, State, rfc3339};
use super::redact::BLANK;
use crate::compare::Severity;

/// Pairs of values that one acceptance may name.
const VALUES: usize = 100;
/// Values of this length may have been cut, at a character's border at or below 512 bytes.
const EXACT: usize = 512 - 3;
/// Longest note, in characters.
const NOTE: usize = 1000;

/// What an operator asks for, as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judgement {
    /// `accepted` or `open`.
    pub state: State,
    /// Why, in the operator's words.
    #[serde(default)]
    pub note: String,
    /// How long an acceptance holds, as in `7d`: a whole number of s, m, h, d or w. For ever, if left out.
    pub expires_in: Option<String>,
    /// The share of the route's comparisons in which the finding may occur, above 0 and below 1.
    pub max_share: Option<f64>,
    /// The values accepted; any others reopen the finding.
    pub values: Option<Vec<Values>>,
}

/// Both values of a difference, as a finding's samples show them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Values {
    /// In *from*; null where it has none.
    pub from: Option<String>,
    /// In *to*; null where it has none.
    pub to: Option<String>,
}

/// An acceptance in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Acceptance {
    /// Why, in the operator's words.
    pub note: String,
    /// Since when.
    #[serde(serialize_with = "rfc3339")]
    pub at: DateTime<Utc>,
    /// Until when; null is for ever.
    #[serde(serialize_with = "rfc3339_or_null")]
    pub expires_at: Option<DateTime<Utc>>,
    /// The share of the route's comparisons in which the finding may occur.
    pub max_share: Option<f64>,
    /// The values accepted; null is any.
    pub values: Option<Vec<Values>>,
    /// Comparisons of the route that count for the share.
    pub compared: u64,
    /// Those of them in which the finding occurred.
    pub occurred: u64,
}

/// Why a finding cannot be judged so, in one sentence.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// No finding has this id.
    #[error("no finding has this id")]
    Unknown,
    /// What was asked for makes no sense.
    #[error("{0}")]
    Unusable(String),
    /// It occurs too often already.
    #[error(
        "it occurred in {occurred} of {compared} comparisons already, which is more than max_share {max_share}"
    )]
    Beyond {
        /// Comparisons in which it occurred.
        occurred: u64,
        /// Comparisons of the route.
        compared: u64,
        /// What was asked for.
        max_share: f64,
    },
}

/// One finding in which a stored comparison differed, with the values, hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The finding's id as a number.
    #[serde(rename = "f")]
    pub finding: u64,
    /// Both values; none if not all values of the comparison are known.
    #[serde(rename = "v")]
    pub values: Option<u64>,
    /// Whether it is noise where the primary differs from itself.
    #[serde(rename = "a")]
    pub alike: bool,
}

/// What counts against nothing now: accepted findings, with the values if only some are, and noise.
#[derive(Debug, Clone, Default)]
pub struct Accepted {
    findings: HashMap<u64, Option<HashSet<u64>>>,
    /// Findings at paths where the primary differs from itself.
    noisy: HashSet<u64>,
}

// === impl Judgement ===

impl Judgement {
    /// The acceptance that this asks for, if the finding may be accepted so.
    ///
    /// # Errors
    /// [`JudgeError`] says what to write instead.
    pub fn acceptance(&self, finding: &Finding, now: DateTime<Utc>) -> Result<Acceptance, JudgeError> {
        self.check(finding).map_err(|why| JudgeError::Unusable(why.to_owned()))?;
        let expires_at = self.expires_in.as_deref().map(|text| Ok(now + duration(text)?)).transpose();
        Ok(Acceptance {
            note: self.note.clone(),
            at: now,
            expires_at: expires_at.map_err(JudgeError::Unusable)?,
            max_share: self.max_share,
            values: self.values.clone(),
            compared: 0,
            occurred: 0,
        })
    }

    fn check(&self, finding: &Finding) -> Result<(), &'static str> {
        let scoped = self.max_share.is_some() || self.values.is_some();
        if finding.path == OVERFLOW {
            Err("the finding for what is beyond the limit cannot be accepted; accept or remove others first")
        } else if finding.severity == Severity::Value && !scoped {
            Err(
                "a finding of severity value is accepted within a scope only; give max_share (0.01) or values",
            )
        } else if self.max_share.is_some_and(|share| !(share > 0.0 && share < 1.0)) {
            Err("max_share must be above 0 and below 1")
        } else if self.values.as_ref().is_some_and(|values| values.is_empty() || values.len() > VALUES) {
            Err("values must name 1 to 100 pairs of from and to")
        } else if self.values.iter().flatten().any(|values| !values.are_exact()) {
            Err("values that are blanked or shortened do not say what is accepted; give max_share")
        } else if self.note.chars().count() > NOTE {
            Err("note has more than 1000 characters")
        } else {
            Ok(())
        }
    }
}

/// A duration as `7d` is one.
fn duration(text: &str) -> Result<TimeDelta, String> {
    let wrong = || format!("expires_in `{}` is no duration; write 30m, 12h, 7d or 2w", text.escape_default());
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds: u32 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        'w' => 7 * 24 * 3600,
        _ => return Err(wrong()),
    };
    let count: u32 = text.strip_suffix(unit).and_then(|count| count.parse().ok()).ok_or_else(wrong)?;
    let total = i64::from(count) * i64::from(seconds);
    if total == 0 || total > 10 * 365 * 24 * 3600 {
        return Err(format!("expires_in `{text}` must be above 0 and at most ten years"));
    }
    TimeDelta::try_seconds(total).ok_or_else(wrong)
}

// === impl Values ===

impl Values {
    /// Whether no other values look the same: those of secrets and very long ones do.
    fn are_exact(&self) -> bool {
        let is_exact = |value: &String| !value.contains(BLANK) && value.len() < EXACT;
        self.from.iter().chain(&self.to).all(is_exact)
    }

    fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.from, &self.to).hash(&mut hasher);
        hasher.finish()
    }
}

// === impl Acceptance ===

impl Acceptance {
    /// Why it no longer holds, once the finding occurred again with these values.
    #[must_use]
    pub fn exceeded(&self, values: &Values) -> Option<String> {
        if let Some(accepted) = &self.values
            && !accepted.contains(values)
        {
            return Some("it occurred with values beyond those accepted".to_owned());
        }
        self.is_beyond_its_share().then(|| {
            let Acceptance { occurred, compared, .. } = self;
            format!("it occurred in {occurred} of {compared} comparisons, more than was accepted")
        })
    }

    /// Whether the finding occurs in a larger share of comparisons than was accepted.
    #[must_use]
    pub fn is_beyond_its_share(&self) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        self.max_share.is_some_and(|share| self.occurred as f64 > share * self.compared as f64)
    }

    /// Whether its time is over.
    #[must_use]
    pub fn has_expired(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }
}

// === impl Place ===

impl Place {
    /// Where a comparison differed: the finding's id, the values if all are known, and whether it could be noise.
    #[must_use]
    pub fn new(finding: &str, values: Option<&Values>, alike: bool) -> Self {
        Place { finding: number(finding), values: values.map(Values::hash), alike }
    }

    /// Whether it is this finding's.
    #[must_use]
    pub fn is_of(&self, finding: &Finding) -> bool {
        self.finding == number(&finding.id)
    }
}

fn number(id: &str) -> u64 {
    u64::from_str_radix(id, 16).unwrap_or(u64::MAX)
}

// === impl Accepted ===

impl Accepted {
    /// What of these findings is accepted.
    #[must_use]
    pub fn of<'a>(findings: impl Iterator<Item = &'a Finding>) -> Self {
        let accepted = findings.filter(|finding| finding.state == State::Accepted).map(|finding| {
            let values = finding.accepted.as_ref().and_then(|accepted| accepted.values.as_ref());
            let values = values.map(|values| values.iter().map(Values::hash).collect());
            (number(&finding.id), values)
        });
        Accepted { findings: accepted.collect(), noisy: HashSet::new() }
    }

    /// Adds the findings of these ids, which lie where the primary differs from itself.
    #[must_use]
    pub fn with_noise<'a>(mut self, findings: impl Iterator<Item = &'a str>) -> Self {
        self.noisy.extend(findings.map(number));
        self
    }

    /// Whether a comparison that differed just there is no mismatch.
    #[must_use]
    pub fn covers(&self, places: &[Place]) -> bool {
        !places.is_empty() && places.iter().all(|place| self.is_noise(place) || self.accepts(place))
    }

    /// Whether a difference is noise.
    #[must_use]
    pub fn is_noise(&self, place: &Place) -> bool {
        place.alike && self.noisy.contains(&place.finding)
    }

    fn accepts(&self, place: &Place) -> bool {
        match self.findings.get(&place.finding) {
            Some(Some(accepted)) => place.values.is_some_and(|values| accepted.contains(&values)),
            Some(None) => true,
            None => false,
        }
    }
}

fn rfc3339_or_null<S: Serializer>(time: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => rfc3339(time, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(path: &str, severity: Severity) -> Finding {
        serde_json::from_value(serde_json::json!({
            "id": "0a1b2c3d4e5f", "route": "/a", "path": path, "kind": "changed", "class": "value",
            "severity": severity, "state": "open", "count": 1, "first_seen": "2026-01-02T03:04:05.678Z",
            "last_seen": "2026-01-02T03:04:05.678Z", "sentence": "", "samples": []
        }))
        .unwrap()
    }

    #[test]
    fn what_may_be_accepted_and_how() {
        let accept = |finding: &Finding, more: serde_json::Value| {
            let mut judgement = serde_json::json!({"state": "accepted"});
            judgement.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let judgement: Judgement = serde_json::from_value(judgement).unwrap();
            judgement.acceptance(finding, Utc::now()).map_err(|e| e.to_string())
        };
        let (value, breaking) = (finding("/n", Severity::Value), finding("/n", Severity::Breaking));
        assert!(accept(&breaking, serde_json::json!({"note": "known"})).is_ok());
        assert!(accept(&value, serde_json::json!({"max_share": 0.01, "expires_in": "7d"})).is_ok());
        assert!(accept(&value, serde_json::json!({"values": [{"from": "1", "to": null}]})).is_ok());
        for (finding, more, said) in [
            (&value, serde_json::json!({}), "give max_share (0.01) or values"),
            (&value, serde_json::json!({"max_share": 1.0}), "below 1"),
            (&value, serde_json::json!({"max_share": 0}), "above 0"),
            (&value, serde_json::json!({"values": []}), "1 to 100 pairs"),
            (&value, serde_json::json!({"values": [{"from": "***", "to": "1"}]}), "blanked or shortened"),
            (&value, serde_json::json!({"values": [{"from": "1", "to": "x".repeat(512)}]}), "give max_share"),
            (&breaking, serde_json::json!({"expires_in": "soon"}), "write 30m, 12h, 7d or 2w"),
            (&breaking, serde_json::json!({"note": "é".repeat(1001)}), "1000 characters"),
            (&finding(OVERFLOW, Severity::Breaking), serde_json::json!({}), "beyond the limit"),
        ] {
            let refused = accept(finding, more).unwrap_err();
            assert!(refused.contains(said), "{refused}");
        }
    }

    #[test]
    fn a_comparison_is_accepted_if_all_its_places_are() {
        let values = |from: &str| Values { from: Some(from.to_owned()), to: None };
        let mut one = finding("/n", Severity::Value);
        one.state = State::Accepted;
        let other = Finding { id: "ffff".to_owned(), ..one.clone() };
        let place =
            |finding: &Finding, from: Option<&str>| Place::new(&finding.id, from.map(values).as_ref(), false);
        let covers =
            |accepted: &[&Finding], places: &[Place]| Accepted::of(accepted.iter().copied()).covers(places);
        assert!(covers(&[&one], &[place(&one, Some("1")), place(&one, None)]));
        assert!(!covers(&[&one], &[place(&one, Some("1")), place(&other, Some("1"))]));
        assert!(!covers(&[&one], &[]));
        one.accepted = serde_json::from_value(serde_json::json!({
            "note": "", "at": "2026-01-02T03:04:05.678Z", "expires_at": null, "max_share": null,
            "values": [{"from": "1", "to": null}], "compared": 1, "occurred": 1
        }))
        .unwrap();
        assert!(covers(&[&one, &other], &[place(&one, Some("1")), place(&other, None)]));
        assert!(!covers(&[&one], &[place(&one, Some("2"))]));
        assert!(!covers(&[&one], &[place(&one, None)]), "values that are not known are not accepted");
    }

    #[test]
    fn noise_covers_what_is_alike_only() {
        let noisy = Accepted::default().with_noise(["0a1b2c3d4e5f"].into_iter());
        let place = |alike| Place::new("0a1b2c3d4e5f", None, alike);
        assert!(noisy.covers(&[place(true)]));
        assert!(!noisy.covers(&[place(false)]));
        assert!(!noisy.covers(&[place(true), Place::new("ffff", None, true)]));
    }

    #[test]
    fn durations_are_a_whole_number_and_a_unit() {
        assert_eq!(duration("7d").unwrap(), TimeDelta::days(7));
        assert_eq!(duration("90s").unwrap(), TimeDelta::seconds(90));
        for wrong in ["", "7", "d", "-1d", "1.5h", "7 d", "0s", "4000w", "1é", "99999999999d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
