//! `/api/filters`: how often each value occurs, counted row by row so that both stores count alike.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::subjects::{Spelled, array, subjects};

/// The columns of one record that are counted. Empty text counts as missing.
#[derive(Debug, Clone, Default)]
pub(crate) struct FacetRow {
    pub(crate) source: Option<String>,
    pub(crate) language: Option<String>,
    pub(crate) category: Option<String>,
    pub(crate) subcategory: Option<String>,
    pub(crate) subcategories: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) complexity_level: Option<String>,
    pub(crate) channel: Option<String>,
    pub(crate) has_audio: bool,
}

/// Counts so far; grows with the number of distinct values, not of rows.
#[derive(Debug, Default)]
pub(crate) struct FacetCounter {
    source: Counts,
    language: Counts,
    category: BTreeMap<String, CategoryCount>,
    content_type: Counts,
    complexity_level: Counts,
    channel: Counts,
    has_audio: BTreeMap<bool, u64>,
}

type Counts = BTreeMap<String, u64>;

#[derive(Debug, Default)]
struct CategoryCount {
    count: u64,
    subcategories: Counts,
}

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct Facets {
    source: Vec<Count<String>>,
    language: Vec<Count<String>>,
    category: Vec<Category>,
    content_type: Vec<Count<String>>,
    complexity_level: Vec<Count<String>>,
    channel: Vec<Count<String>>,
    has_audio: Vec<Count<bool>>,
}

#[derive(Debug, Serialize)]
struct Count<T> {
    value: T,
    count: u64,
}

#[derive(Debug, Serialize)]
struct Category {
    value: String,
    count: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subcategories: Vec<Count<String>>,
}

// === impl FacetCounter ===

impl FacetCounter {
    /// Counts one record.
    pub(crate) fn add(&mut self, row: FacetRow) {
        self.add_subjects(&row);
        // A record without a language is shown, and so counted, as English.
        let language = row.language.filter(|text| !text.is_empty()).or_else(|| Some("en".to_owned()));
        for (counts, value) in [
            (&mut self.source, row.source),
            (&mut self.language, language),
            (&mut self.content_type, row.content_type),
            (&mut self.complexity_level, row.complexity_level),
            (&mut self.channel, row.channel),
        ] {
            if let Some(value) = value.filter(|text| !text.is_empty()) {
                *counts.entry(value).or_default() += 1;
            }
        }
        *self.has_audio.entry(row.has_audio).or_default() += 1;
    }

    /// A record counts once for each category and each pair, wherever they are written.
    fn add_subjects(&mut self, row: &FacetRow) {
        for (category, below) in row.subjects() {
            let entry = self.category.entry(category).or_default();
            entry.count += 1;
            for name in below {
                *entry.subcategories.entry(name).or_default() += 1;
            }
        }
    }

    /// Most frequent first, then by value.
    pub(crate) fn finish(self) -> Facets {
        let mut categories: Vec<Category> = self
            .category
            .into_iter()
            .map(|(value, CategoryCount { count, subcategories })| Category {
                value,
                count,
                subcategories: ranked(subcategories),
            })
            .collect();
        categories.sort_by_key(|category| Reverse(category.count));
        Facets {
            source: ranked(self.source),
            language: ranked(self.language),
            category: categories,
            content_type: ranked(self.content_type),
            complexity_level: ranked(self.complexity_level),
            channel: ranked(self.channel),
            has_audio: self.has_audio.into_iter().map(|(value, count)| Count { value, count }).collect(),
        }
    }
}

/// The map is ordered by value and the sort is stable, so equal counts stay in the order of values.
fn ranked(counts: Counts) -> Vec<Count<String>> {
    let mut ranked: Vec<_> = counts.into_iter().map(|(value, count)| Count { value, count }).collect();
    ranked.sort_by_key(|count| Reverse(count.count));
    ranked
}

// === impl FacetRow ===

impl FacetRow {
    fn subjects(&self) -> BTreeMap<String, BTreeSet<String>> {
        let Spelled { category, subcategory, structured } = Spelled {
            category: self.category.as_deref(),
            subcategory: self.subcategory.as_deref().filter(|text| !text.is_empty()),
            structured: self.subcategories.as_deref(),
        };
        let curated = subjects(structured);
        // The old column says what is below only where nothing was curated: with two categories it may be either's.
        let legacy = if curated.is_empty() { subcategory } else { None };
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for name in array(category).iter().filter_map(Value::as_str).filter(|name| !name.is_empty()) {
            found.entry(name.to_owned()).or_default().extend(legacy.map(str::to_owned));
        }
        for subject in curated.into_iter().filter(|subject| !subject.category.is_empty()) {
            found.entry(subject.category).or_default().extend(subject.subcategories);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_counts_go_by_value_and_pairs_count_once_a_record() {
        let mut counter = FacetCounter::default();
        counter.add(FacetRow {
            category: Some(r#"["B","A","A"]"#.into()),
            subcategory: Some("old".into()),
            subcategories: Some(r#"{"categories":[{"category":"B","subcategories":["x","x","w"]}]}"#.into()),
            channel: Some(String::new()),
            has_audio: true,
            ..FacetRow::default()
        });
        counter.add(FacetRow {
            category: Some(r#"["C"]"#.into()),
            subcategory: Some("old".into()),
            ..FacetRow::default()
        });
        insta::assert_json_snapshot!(counter.finish(), @r#"
        {
          "source": [],
          "language": [
            {
              "value": "en",
              "count": 2
            }
          ],
          "category": [
            {
              "value": "A",
              "count": 1
            },
            {
              "value": "B",
              "count": 1,
              "subcategories": [
                {
                  "value": "w",
                  "count": 1
                },
                {
                  "value": "x",
                  "count": 1
                }
              ]
            },
            {
              "value": "C",
              "count": 1,
              "subcategories": [
                {
                  "value": "old",
                  "count": 1
                }
              ]
            }
          ],
          "content_type": [],
          "complexity_level": [],
          "channel": [],
          "has_audio": [
            {
              "value": false,
              "count": 1
            },
            {
              "value": true,
              "count": 1
            }
          ]
        }
        "#);
    }
}
