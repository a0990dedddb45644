use super::*;
use crate::migrate::content;

#[test]
fn every_known_column_is_read_back() {
    for table in Table::ALL {
        let mut read: Vec<&str> = Reading::of(table).forms.iter().map(|(name, _)| *name).collect();
        let mut known = match table {
            Table::Content => content::KNOWN.to_vec(),
            Table::Legacy => summaries::KNOWN_LEGACY.to_vec(),
            Table::Variants => summaries::KNOWN_VARIANT.to_vec(),
        };
        read.sort_unstable();
        known.sort_unstable();
        assert_eq!(read, known, "{table:?}");
    }
}

#[test]
fn an_analysis_comes_back_without_what_was_merged_into_it() {
    let text = |text: &str| Some(text.to_owned());
    let merged = r#"{"a":1,"categories":[]}"#;
    assert_eq!(analysis(text(r#"{ "a" : 1 }"#), text(merged)), text(r#"{ "a" : 1 }"#));
    assert_eq!(analysis(text(r#"{"a":2}"#), text(merged)), text(r#"{"a":1}"#));
    assert_eq!(analysis(None, text(r#"{"categories":[]}"#)), None);
    assert_eq!(analysis(None, text(merged)), text(r#"{"a":1}"#));
    assert_eq!(analysis(text(r#"{"categories":[1]}"#), text(merged)), text(merged));
    assert_eq!(analysis(text("{broken"), text("[1]")), text("[1]"));
    assert_eq!(analysis(text("{}"), None), None);
}
