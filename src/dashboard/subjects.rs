//! What a record is about: its categories and subcategories, as two columns and one JSON document spell them.

use serde::Serialize;
use serde_json::Value;

use super::cells::without_nul;

/// One category with the subcategories curated under it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Subject {
    /// Name of the category.
    pub(crate) category: String,
    /// Names below it, in the order written.
    pub(crate) subcategories: Vec<String>,
}

/// The three places a record's subjects are written, as stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spelled<'a> {
    /// JSON array of category names.
    pub(crate) category: Option<&'a str>,
    /// The one subcategory of older records.
    pub(crate) subcategory: Option<&'a str>,
    /// `{"categories":[{"category","subcategories":[]}]}`.
    pub(crate) structured: Option<&'a str>,
}

/// What a filter asks for; an en dash counts as a hyphen.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Deserialize, Serialize)]
pub(crate) struct Wanted {
    /// Category, or any.
    pub(crate) category: Option<String>,
    /// Subcategory, or any.
    pub(crate) subcategory: Option<String>,
}

/// A JSON array as written, `[]` where the text is missing, broken or something else.
pub(crate) fn array(text: Option<&str>) -> Vec<Value> {
    match text.map(serde_json::from_str) {
        Some(Ok(Value::Array(items))) => items,
        Some(Ok(_) | Err(_)) | None => Vec::new(),
    }
}

/// The structured categories; what does not have their shape is left out.
pub(crate) fn subjects(text: Option<&str>) -> Vec<Subject> {
    let Some(Ok(Value::Object(document))) = text.map(serde_json::from_str) else { return Vec::new() };
    let Some(Value::Array(items)) = document.get("categories") else { return Vec::new() };
    items.iter().filter_map(subject).collect()
}

fn subject(item: &Value) -> Option<Subject> {
    let category = item.get("category")?.as_str()?.to_owned();
    let subcategories = match item.get("subcategories") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(_) | None => Vec::new(),
    };
    Some(Subject { category, subcategories })
}

/// Text as filters compare it.
pub(crate) fn folded(text: &str) -> String {
    without_nul(text).replace('\u{2013}', "-")
}

impl Spelled<'_> {
    /// Whether the record is about any of `wanted`.
    pub(crate) fn matches(self, wanted: &[Wanted]) -> bool {
        let pairs = self.pairs();
        wanted.iter().any(|want| {
            pairs.iter().any(|(category, subcategory)| {
                let same = |want: &Option<String>, have: &Option<String>| want.is_none() || want == have;
                same(&want.category, category) && same(&want.subcategory, subcategory)
            })
        })
    }

    /// Every (category, subcategory) of the record, folded, either possibly alone.
    fn pairs(self) -> Vec<(Option<String>, Option<String>)> {
        let legacy = self.subcategory.map(folded);
        let mut pairs = vec![(None, legacy.clone())];
        for name in array(self.category).iter().filter_map(Value::as_str) {
            pairs.push((Some(folded(name)), legacy.clone()));
        }
        for subject in subjects(self.structured) {
            let category = Some(folded(&subject.category));
            pairs.push((category.clone(), None));
            pairs.extend(subject.subcategories.iter().map(|name| (category.clone(), Some(folded(name)))));
        }
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn want(category: &str, subcategory: &str) -> Vec<Wanted> {
        let name = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        vec![Wanted { category: name(category), subcategory: name(subcategory) }]
    }

    #[test]
    fn a_record_is_found_by_each_spelling() {
        let record = Spelled {
            category: Some(r#"["Tech", 7]"#),
            subcategory: Some("Old"),
            structured: Some(r#"{"categories":[{"category":"A–B","subcategories":["x",1]},{"x":1}]}"#),
        };
        for (category, subcategory) in
            [("Tech", ""), ("Tech", "Old"), ("", "Old"), ("A-B", ""), ("A-B", "x"), ("", "x")]
        {
            assert!(record.matches(&want(category, subcategory)), "{category}/{subcategory}");
        }
        for (category, subcategory) in [("A-B", "Old"), ("Tech", "x"), ("tech", ""), ("", "y")] {
            assert!(!record.matches(&want(category, subcategory)), "{category}/{subcategory}");
        }
    }

    #[test]
    fn broken_json_reads_as_nothing() {
        assert!(array(Some("[1")).is_empty());
        assert!(array(Some("{}")).is_empty());
        assert!(subjects(Some("[]")).is_empty());
        assert!(subjects(Some(r#"{"categories":"x"}"#)).is_empty());
        assert!(subjects(None).is_empty());
    }
}
