use super::*;
use crate::compare::{Class, Kind};

fn difference(path: &str, from: &str) -> Difference {
    Difference {
        path: path.to_owned(),
        at: path.to_owned(),
        kind: Kind::Changed,
        class: Class::Value,
        from: Some(from.to_owned()),
        to: Some("x".to_owned()),
        accepted_by_rule: false,
    }
}

fn count(findings: &mut Findings, path: &str, from: &str) -> String {
    let names = Pair { from: "sqlite".to_owned(), to: "postgres".to_owned() };
    let values = Values { from: Some(from.to_owned()), to: Some("x".to_owned()) };
    findings.begin(0);
    let difference = difference(path, from);
    findings.count(Signature::of(0, &difference), "/a", &names, &difference, &values, Utc::now()).id.clone()
}

#[test]
fn a_thousand_values_at_one_path_are_one_finding() {
    let mut findings = Findings::default();
    for value in 0..1000 {
        count(&mut findings, "/rows/*/n", &value.to_string());
    }
    let sorted = findings.sorted();
    assert_eq!((sorted.len(), sorted[0].count), (1, 1000));
}

#[test]
fn a_route_has_200_findings_and_one_for_the_rest() {
    let mut findings = Findings::default();
    for path in 0..1000 {
        count(&mut findings, &format!("/{path}"), "1");
    }
    let sorted = findings.sorted();
    assert_eq!(sorted.len(), PER_ROUTE + 1);
    let overflow = sorted.iter().find(|finding| finding.path == OVERFLOW).unwrap();
    assert_eq!((overflow.severity, overflow.count), (Severity::Breaking, 800));
    assert_eq!(
        count(&mut findings, "/7", "1"),
        count(&mut findings, "/7", "2"),
        "a known one keeps counting"
    );
    assert_eq!(findings.sorted().len(), PER_ROUTE + 1);
}

#[test]
fn a_restored_finding_goes_on_counting_under_its_id() {
    let mut before = Findings::default();
    for path in 0..=PER_ROUTE {
        count(&mut before, &format!("/{path}"), "1");
    }
    let written = before.take_changed();
    assert!(before.take_changed().is_empty());
    let read = written.iter().map(|f| serde_json::from_str(&serde_json::to_string(f).unwrap()).unwrap());
    let mut after = Findings::default();
    after.restore(read.collect(), &["/a".to_owned()], HashMap::new());
    assert_eq!(count(&mut after, "/7", "1"), count(&mut before, "/7", "1"));
    let overflow = count(&mut after, "/one-more", "1");
    assert_eq!(after.get(&overflow).unwrap().path, OVERFLOW);
    assert_eq!(after.sorted().len(), PER_ROUTE + 1);
    let mut elsewhere = Findings::default();
    elsewhere.restore(before.sorted().into_iter().cloned().collect(), &["/b".to_owned()], HashMap::new());
    assert!(elsewhere.sorted().is_empty());
}

/// A finding that occurred `times` times, accepted so.
fn accepted(findings: &mut Findings, judgement: serde_json::Value) -> String {
    let id = count(findings, "/n", "1");
    let judgement: crate::ledger::acceptance::Judgement = serde_json::from_value(judgement).unwrap();
    let acceptance = judgement.acceptance(findings.get(&id).unwrap(), Utc::now()).unwrap();
    findings.judge(&id, Some(acceptance));
    id
}

fn state(findings: &Findings, id: &str) -> State {
    findings.get(id).unwrap().state
}

#[test]
fn values_beyond_those_accepted_reopen() {
    let mut findings = Findings::default();
    let judgement = serde_json::json!({"state": "accepted", "values": [{"from": "1", "to": "x"}]});
    let id = accepted(&mut findings, judgement);
    count(&mut findings, "/n", "1");
    assert_eq!(state(&findings, &id), State::Accepted);
    count(&mut findings, "/n", "2");
    assert_eq!(state(&findings, &id), State::Open);
    let transitions = findings.take_transitions();
    assert_eq!(transitions.len(), 1);
    assert!(transitions[0].reason.contains("values beyond"), "{transitions:?}");
}

#[test]
fn a_share_is_of_comparisons_and_beyond_it_reopens() {
    let mut findings = Findings::default();
    let id = accepted(&mut findings, serde_json::json!({"state": "accepted", "max_share": 0.1}));
    (0..20).for_each(|_| findings.begin(0));
    // Two of 22 comparisons are within a tenth; the differences of one comparison count once.
    count(&mut findings, "/n", "1");
    let names = Pair { from: String::new(), to: String::new() };
    let values = Values { from: None, to: None };
    let difference = difference("/n", "1");
    findings.count(Signature::of(0, &difference), "/a", &names, &difference, &values, Utc::now());
    count(&mut findings, "/n", "1");
    assert_eq!(state(&findings, &id), State::Accepted);
    count(&mut findings, "/n", "1");
    assert_eq!(state(&findings, &id), State::Open);
}

#[test]
fn an_acceptance_expires() {
    let mut findings = Findings::default();
    let id = accepted(
        &mut findings,
        serde_json::json!({"state": "accepted", "max_share": 0.1, "expires_in": "7d"}),
    );
    findings.settle(Utc::now() + chrono::TimeDelta::days(6));
    assert_eq!(state(&findings, &id), State::Accepted);
    let accepted = findings.get(&id).unwrap().accepted.clone();
    let document = serde_json::json!(accepted);
    findings.settle(Utc::now() + chrono::TimeDelta::days(8));
    assert_eq!(state(&findings, &id), State::Open);
    assert_eq!(findings.take_transitions()[0].accepted.as_deref(), document["at"].as_str());
}

#[test]
fn a_cause_that_is_gone_is_resolved_and_its_return_reopens() {
    let mut findings = Findings::default();
    let id = count(&mut findings, "/n", "1");
    findings.add_sample(std::slice::from_ref(&id), 1);
    findings.add_sample(std::slice::from_ref(&id), 2);
    (0..30).for_each(|_| findings.begin(0));
    findings.recheck(0, 1, &Comparison::default());
    findings.settle(Utc::now());
    assert_eq!(state(&findings, &id), State::Open, "one sample was not asked again");
    findings.recheck(0, 2, &Comparison::default());
    findings.settle(Utc::now());
    assert_eq!(state(&findings, &id), State::Resolved);
    count(&mut findings, "/n", "1");
    assert_eq!(state(&findings, &id), State::Open);
    findings.recheck(0, 1, &Comparison::default());
    findings.recheck(0, 2, &Comparison::default());
    (0..29).for_each(|_| findings.begin(0));
    findings.settle(Utc::now());
    assert_eq!(state(&findings, &id), State::Open, "too few comparisons since");
}

#[test]
fn what_an_operator_judged_wins_over_what_was_written() {
    let mut findings = Findings::default();
    let judgement = serde_json::json!({"state": "accepted", "values": [{"from": "1", "to": "x"}]});
    let id = accepted(&mut findings, judgement);
    let judged = findings.get(&id).unwrap().accepted.clone().unwrap();
    count(&mut findings, "/n", "1");
    let written = findings.take_changed();
    assert_eq!(written[0].state, State::Accepted);
    let labels = ["/a".to_owned()];
    let mut reopened = Findings::default();
    reopened.restore(written.clone(), &labels, HashMap::new());
    assert_eq!((state(&reopened, &id), &reopened.get(&id).unwrap().accepted), (State::Open, &None));
    let mut restored = Findings::default();
    restored.restore(written.clone(), &labels, HashMap::from([(id.clone(), judged.clone())]));
    assert_eq!(
        restored.get(&id).unwrap().accepted.as_ref().unwrap().occurred,
        1,
        "counts are the newer ones"
    );
    let other = Acceptance { at: judged.at + chrono::TimeDelta::days(1), ..judged };
    let mut replaced = Findings::default();
    replaced.restore(written, &labels, HashMap::from([(id.clone(), other.clone())]));
    assert_eq!(replaced.get(&id).unwrap().accepted, Some(other));
}

#[test]
fn a_sample_of_another_replica_is_not_the_last_of_this_one() {
    let mut findings = Findings::default();
    let id = count(&mut findings, "/n", "1");
    for sample in [1_500, 2_500, 7_500] {
        findings.add_sample(std::slice::from_ref(&id), sample);
    }
    assert_eq!(findings.last_sample_within(&(1_000..2_000)), Some(1_500));
    assert_eq!(findings.last_sample_within(&(3_000..4_000)), None);
}

#[test]
fn what_another_replica_saw_resolves_only_after_later_comparisons() {
    let mut elsewhere = Findings::default();
    let id = count(&mut elsewhere, "/n", "1");
    elsewhere.add_sample(std::slice::from_ref(&id), 1);
    let mut findings = Findings::default();
    let agree = |findings: &mut Findings| {
        findings.recheck(0, 1, &Comparison::default());
        findings.settle(Utc::now());
        state(findings, &id)
    };
    (0..50).for_each(|_| findings.begin(0));
    findings.adopt(0, elsewhere.get(&id).unwrap().clone());
    assert_eq!(
        (findings.samples_to_ask(9).len(), agree(&mut findings)),
        (0, State::Open),
        "adopted just now"
    );
    (0..29).for_each(|_| findings.begin(0));
    count(&mut elsewhere, "/n", "1");
    findings.adopt(0, elsewhere.get(&id).unwrap().clone());
    (0..29).for_each(|_| findings.begin(0));
    assert_eq!(agree(&mut findings), State::Open, "it occurred there again");
    findings.adopt(0, elsewhere.get(&id).unwrap().clone());
    findings.begin(0);
    findings.settle(Utc::now());
    assert_eq!(state(&findings, &id), State::Resolved, "nothing new was told");
}
