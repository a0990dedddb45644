use super::*;

#[test]
fn names_round_trip_and_unknown_ones_name_the_known() {
    for class in Class::ALL {
        assert_eq!(class.to_string().parse::<Class>().as_ref(), Ok(class));
    }
    for kind in Kind::ALL {
        assert_eq!(kind.to_string().parse::<Kind>().as_ref(), Ok(kind));
    }
    let error = "TimestampFormat".parse::<Class>().unwrap_err().to_string();
    assert!(error.contains("`TimestampFormat`") && error.contains("timestamp_format"), "{error}");
    assert_eq!(serde_json::to_string(&Kind::TypeChanged).unwrap(), "\"type_changed\"");
}

#[test]
fn severity_follows_kind_and_class() {
    let severity = |kind: Kind, class| kind.severity(class, "x");
    assert_eq!(severity(Kind::Status, Class::Value), Severity::Breaking);
    assert_eq!(severity(Kind::TypeChanged, Class::NumberAsString), Severity::Breaking);
    assert_eq!(severity(Kind::Changed, Class::TimestampFormat), Severity::Representation);
    assert_eq!(severity(Kind::Changed, Class::Value), Severity::Value);
    assert_eq!(severity(Kind::Moved, Class::TieOrder), Severity::Order);
    assert_eq!(severity(Kind::Added, Class::Value), Severity::Addition);
    assert_eq!(severity(Kind::Header, Class::Value), Severity::Value);
    assert_eq!(Kind::Header.severity(Class::Value, "Content-Type"), Severity::Breaking);
}

#[test]
fn values_are_cut_on_a_character_boundary() {
    let long = format!("{}é", "a".repeat(VALUE_BYTES - 1));
    assert_eq!(cut(long), "a".repeat(VALUE_BYTES - 1));
}

#[test]
fn a_frequent_cause_does_not_crowd_out_a_rare_one() {
    let rules = Rules::default();
    let mut collector = Collector::new(&rules);
    for _ in 0..5_000 {
        collector.push("/a".into(), "/a".into(), Kind::Changed, Class::Value, Sides::both("1", "2"));
    }
    collector.push("/b".into(), "/b".into(), Kind::Removed, Class::Value, Sides::from_only("1"));
    let comparison = collector.finish();
    assert_eq!(comparison.total, 5_001);
    assert_eq!(comparison.differences.len(), KEPT_PER_SIGNATURE as usize + 1);
    assert!(comparison.differences.iter().any(|difference| difference.path == "/b"));
}
