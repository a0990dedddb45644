use super::*;
use crate::compare::Difference;
use crate::ledger::finding::Signature;
use crate::side::Pair;

fn finding(route: &str, path: &str, kind: Kind, count: u64) -> Finding {
    let names = Pair { from: "sqlite".to_owned(), to: "postgres".to_owned() };
    let difference = Difference {
        path: path.to_owned(),
        at: path.to_owned(),
        kind,
        class: Class::Value,
        from: Some("1".to_owned()),
        to: Some("2".to_owned()),
        accepted_by_rule: false,
    };
    let signature = Signature::of(0, &difference);
    Finding { count, ..Finding::new(&signature, route, &names, &difference, chrono::Utc::now()) }
}

fn named(causes: &[Cause]) -> Vec<(&str, usize, u64)> {
    causes.iter().map(|cause| (cause.name.as_str(), cause.findings.len(), cause.count)).collect()
}

#[test]
fn one_member_on_several_routes_and_in_scripts_is_one_cause() {
    let causes = by_cause(vec![
        finding("/b", "/reports/*/has_audio", Kind::Changed, 3),
        finding("/a", "/data/*/has_audio", Kind::Changed, 5),
        finding("/page", "html/body/script!reports/*/has_audio", Kind::Changed, 1),
        finding("/page", "script#d!/*/has_audio", Kind::Changed, 1),
        finding("/b", "/reports/*/has_audio", Kind::Removed, 1),
        finding("/b", "/a~1b/*/*", Kind::Moved, 1),
    ]);
    assert_eq!(
        named(&causes),
        [
            ("`has_audio` is missing", 1, 1),
            ("`has_audio` changed", 4, 10),
            ("`a/b` comes in another order", 1, 1)
        ]
    );
    assert_eq!(causes[1].routes, ["/a", "/b", "/page"]);
    assert_eq!(causes[1].findings[0].route, "/a", "most frequent first");
}

#[test]
fn an_item_that_is_missing_is_not_the_list_that_is() {
    let causes = by_cause(vec![
        finding("/a", "/reports/*/tags", Kind::Removed, 1),
        finding("/a", "/reports/*/tags/*", Kind::Removed, 3),
        finding("/b", "/tags/*", Kind::Removed, 2),
    ]);
    assert_eq!(named(&causes), [("an item of `tags` is missing", 2, 5), ("`tags` is missing", 1, 1)]);
}

#[test]
fn what_is_not_plainly_alike_stands_alone() {
    let other = |route: &str| Finding {
        sentence: format!("`html/body/p` is 3 in sqlite and 4 in postgres, on {route}."),
        ..finding(route, "html/body/p", Kind::Changed, 1)
    };
    let transient = Finding { transient: true, ..finding("/c", "/x/title", Kind::Changed, 1) };
    let causes = by_cause(vec![
        finding("/a", "", Kind::Status, 1),
        finding("/b", "", Kind::Status, 1),
        finding("/a", "**", Kind::Body, 1),
        finding("/b", "**", Kind::Body, 1),
        finding("/a", "/*", Kind::Added, 1),
        finding("/b", "/*", Kind::Added, 1),
        finding("/a", "line[*]", Kind::Changed, 1),
        finding("/b", "line[*]", Kind::Changed, 1),
        finding("/a", "html/body/p", Kind::Changed, 1),
        other("/b"),
        finding("/c", "/title", Kind::Changed, 1),
        transient,
        finding("/c", "/title!p/text()", Kind::Changed, 1),
    ]);
    assert!(causes.iter().all(|cause| cause.findings.len() == 1), "{:?}", named(&causes));
    assert_eq!(causes.len(), 13);
}

#[test]
fn an_element_with_the_same_values_and_a_header_are_one_cause_on_all_routes() {
    let causes = by_cause(vec![
        finding("/a", "html/head/title/text()", Kind::Changed, 1),
        finding("/b", "html/head/title/text()", Kind::Changed, 1),
        finding("/a", "Location", Kind::Header, 1),
        finding("/b", "location", Kind::Header, 9),
    ]);
    assert_eq!(
        named(&causes),
        [("header `location` differs", 2, 10), ("`html/head/title/text()` changed", 2, 2)]
    );
}

#[test]
fn open_causes_come_first_then_the_worst_then_the_most_frequent() {
    let state = |state, finding: Finding| Finding { state, ..finding };
    let causes = by_cause(vec![
        state(State::Resolved, finding("/a", "/r", Kind::Removed, 99)),
        state(State::Accepted, finding("/a", "/s", Kind::Removed, 1)),
        finding("/a", "/t", Kind::Added, 50),
        finding("/a", "/u", Kind::Changed, 5),
        state(State::Accepted, finding("/b", "/u", Kind::Changed, 5)),
        finding("/a", "/v", Kind::Changed, 7),
        finding("/a", "/w", Kind::Removed, 1),
    ]);
    let order: Vec<_> = causes.iter().map(|cause| cause.findings[0].path.as_str()).collect();
    assert_eq!(order, ["/w", "/u", "/v", "/t", "/s", "/r"]);
    let Cause { open, accepted, resolved, .. } = causes[1];
    assert_eq!((open, accepted, resolved, causes[1].state()), (1, 1, 0, State::Open));
}
