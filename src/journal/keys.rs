//! What a request is about: writes of one key keep their order, and reads of it wait to be judged.
//!
//! A key is a name of a record, folded: a prefix up to `:` and the case are left out, since ids of one record differ in
//! both. That two records share a key costs a wait; that one has two would cost the order.

use std::collections::BTreeSet;
use std::fmt;

use percent_encoding::percent_decode_str;
use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

/// Keys of one write. One that names more is not taken: it could not wait for all of them.
pub const MOST: usize = 1000;
/// Members and query parameters that name records.
const NAMES: [&str; 6] = ["id", "ids", "video_id", "video_ids", "report_id", "content_id"];

/// The members of a JSON object that name records. What they mean is read, the others are only passed: a server may take
/// what no reader here would, as half of a surrogate pair in a title.
struct Names<'k>(&'k mut BTreeSet<String>);

/// The keys of a write: of its path's parameters, its query and its body, as far as that is JSON; where none is told, the
/// route. None if there are too many.
#[must_use]
pub fn of_write(route: &str, parameters: &[String], query: Option<&str>, body: &[u8]) -> Option<Vec<String>> {
    let mut keys: BTreeSet<String> = parameters.iter().filter_map(|raw| decoded_and_folded(raw)).collect();
    for (name, value) in query.into_iter().flat_map(pairs) {
        if is_name(&name) {
            keys.extend(fold(&value));
        }
    }
    // Of what cannot be read to its end the names before that count.
    let _ = serde_json::Deserializer::from_slice(body).deserialize_map(Names(&mut keys));
    match keys.len() {
        // No folded name has a space.
        0 => Some(vec![route.to_owned()]),
        1..=MOST => Some(keys.into_iter().collect()),
        _ => None,
    }
}

/// What a read of one record may be known by: each segment of its path without a suffix, and its query's values.
pub(super) fn of_read(target: &str) -> Vec<String> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let segments = path.split('/').filter_map(decoded_and_folded);
    let whole_and_stem = |segment: String| {
        let stem = segment.rsplit_once('.').map(|(stem, _)| stem.to_owned());
        std::iter::once(segment).chain(stem)
    };
    let values = pairs(query).into_iter().filter_map(|(_, value)| fold(&value));
    segments.flat_map(whole_and_stem).chain(values).collect()
}

// === impl Names ===

impl<'de> Visitor<'de> for Names<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<String>()? {
            if is_name(&name) {
                note(&members.next_value::<Value>()?, self.0);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

fn is_name(name: &str) -> bool {
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

fn note(value: &Value, keys: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => keys.extend(fold(text)),
        Value::Number(number) => keys.extend(fold(&number.to_string())),
        Value::Array(items) => {
            for item in items.iter().take(MOST + 1).filter(|item| !item.is_array()) {
                note(item, keys);
            }
        }
        Value::Null | Value::Bool(_) | Value::Object(_) => {}
    }
}

fn decoded_and_folded(raw: &str) -> Option<String> {
    fold(&percent_decode_str(raw).decode_utf8_lossy())
}

fn fold(name: &str) -> Option<String> {
    let name = name.trim();
    let bare = name.rsplit_once(':').map_or(name, |(_, bare)| bare);
    let bare = if bare.is_empty() { name } else { bare };
    (!bare.is_empty())
        .then(|| bare.chars().take(256).filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase())
}

fn pairs(query: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.as_bytes())
        .take(MOST)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_record_are_one_key() {
        for (parameters, query, body) in [
            (vec!["yt%3AkfByOR0_Kuw".to_owned()], None, ""),
            (vec![], Some("id=yt:kfbyor0_kuw"), ""),
            (vec![], None, r#"{"video_id":" kfByOR0_Kuw ","title":"x"}"#),
            (vec![], None, r#"{"ids":["KFBYOR0_KUW","yt:kfByOR0_Kuw"]}"#),
        ] {
            assert_eq!(
                of_write("R", &parameters, query, body.as_bytes()).unwrap(),
                ["kfbyor0_kuw"],
                "{query:?} {body}"
            );
        }
        assert!(of_read("/kfByOR0_Kuw.json?v=2").contains(&"kfbyor0_kuw".to_owned()));
        assert!(of_read("/api/reports/yt%3AkfByOR0_Kuw").contains(&"kfbyor0_kuw".to_owned()));
    }

    #[test]
    fn a_write_that_names_several_holds_all_and_one_that_names_none_its_route() {
        let of = |query, body: &[u8]| of_write("POST /a", &[], query, body);
        assert_eq!(of(None, br#"{"ids":["b","a"],"id":3}"#).unwrap(), ["3", "a", "b"]);
        // Python's JSON takes all of these.
        for body in [r#"{"title":"\ud83d","id":"a"}"#, r#"{"id":"a","score":NaN}"#] {
            assert_eq!(of(None, body.as_bytes()).unwrap(), ["a"], "{body}");
        }
        for body in ["", "[1]", "not json", r#"{"title":"a"}"#, r#"{"id":null}"#] {
            assert_eq!(of(Some("x=1"), body.as_bytes()).unwrap(), ["POST /a"], "{body}");
        }
        let many: Vec<String> = (0..=MOST).map(|number| format!("\"{number}\"")).collect();
        let body = |names: &[String]| format!("{{\"ids\":[{}]}}", names.join(","));
        assert_eq!(of(None, body(&many[1..]).as_bytes()).unwrap().len(), MOST);
        assert_eq!(of(None, body(&many).as_bytes()), None);
    }
}
