use super::*;

fn entry(target: u64, outcome: Outcome) -> Entry {
    Entry {
        at_ms: 10,
        target,
        outcome,
        reason: Reason::None,
        success: true,
        times: None,
        differs: if outcome == Outcome::Mismatch { Differs::Yes } else { Differs::No },
        explained: false,
    }
}

fn tally(book: &Book, since: i64) -> Tally {
    Tally::of([book].into_iter(), since, &Accepted::default())
}

fn book(entries: impl IntoIterator<Item = Entry>) -> Book {
    let mut book = Book::default();
    entries.into_iter().for_each(|entry| book.add(entry));
    book
}

#[test]
fn one_target_counts_three_times_however_often_it_is_asked() {
    let counted = tally(&book((0..300).map(|_| entry(7, Outcome::Match))), 0);
    assert_eq!((counted.counted, counted.targets, counted.all, counted.compared), (3, 1, 300, 300));
}

#[test]
fn what_is_older_than_the_window_does_not_count() {
    let book = book([entry(1, Outcome::Match)]);
    assert_eq!(tally(&book, 11).counted, 0);
    assert_eq!(tally(&book, 10).counted, 1);
}

#[test]
fn the_latest_of_a_target_count() {
    let mut entries = vec![entry(1, Outcome::Mismatch)];
    entries.extend((0..2).map(|_| entry(1, Outcome::Match)));
    assert_eq!(tally(&book(entries.clone()), 0).mismatches, 1);
    entries.push(entry(1, Outcome::Match));
    let counted = tally(&book(entries), 0);
    assert_eq!((counted.mismatches, counted.last_mismatch), (0, Some(10)));
}

#[test]
fn equal_failures_are_at_most_a_twentieth_of_what_counts() {
    let failures = (0..300).map(|target| Entry { success: false, ..entry(target, Outcome::Match) });
    assert_eq!(tally(&book(failures.clone()), 0).counted, 0);
    let with_answers = failures.chain((1000..1095).map(|target| entry(target, Outcome::Match)));
    assert_eq!(tally(&book(with_answers), 0).counted, 100);
}

#[test]
fn what_was_not_compared_is_told_apart() {
    let reason = |outcome, reason| Entry { reason, ..entry(1, outcome) };
    let book = book([
        reason(Outcome::Mismatch, Reason::Unconfirmed),
        reason(Outcome::Shed, Reason::Breaker),
        reason(Outcome::Shed, Reason::Queue),
        reason(Outcome::ShadowFailed, Reason::Timeout),
        entry(1, Outcome::Transient),
        Entry { explained: true, ..entry(2, Outcome::Transient) },
        entry(3, Outcome::Noise),
    ]);
    let tally = tally(&book, 0);
    assert_eq!((tally.counted, tally.mismatches, tally.uncompared), (3, 0, 3));
    assert_eq!((tally.shadow_failures, tally.shadowed), (2, 5));
    assert_eq!((tally.transients, tally.unexplained, tally.noise), (2, 1, 1));
}

#[test]
fn a_book_written_and_read_back_is_the_same() {
    let places: Arc<[Place]> = Arc::from([Place { finding: 7, values: Some(u64::MAX), alike: true }]);
    let mut written = book([
        Entry { differs: Differs::At(places), ..entry(u64::MAX, Outcome::Mismatch) },
        Entry { times: Some(Pair32 { from: 5, to: 7 }), ..entry(2, Outcome::Match) },
        entry(3, Outcome::Mismatch),
    ]);
    let pages = written.take_changed();
    assert_eq!(pages.len(), 4, "three targets and a minute");
    assert!(written.take_changed().is_empty());
    let mut read = Book::default();
    pages.iter().for_each(|page| read.restore(&page.key, &page.document));
    read.restore("tnonsense", "{}");
    read.restore("m5", "nonsense");
    assert_eq!(format!("{:?}", tally(&read, 0)), format!("{:?}", tally(&written, 0)));
    let both = Tally::of([&read, &written].into_iter(), 0, &Accepted::default());
    assert_eq!((both.counted, both.mismatches, both.all, both.targets), (6, 4, 6, 3));
}

#[test]
fn all_is_bounded() {
    let mut book = Book::default();
    for target in 0..30_000 {
        let times = Some(Pair32 { from: 1, to: 2 });
        book.add(Entry { times, ..entry(target, Outcome::Mismatch) });
    }
    let counted = tally(&book, 0);
    assert_eq!((counted.targets, counted.pairs.len(), counted.all), (20_000, 256, 30_000));
    book.forget(10 * MINUTE, 10 * MINUTE);
    let nothing = tally(&book, 0);
    assert_eq!((nothing.targets, nothing.all), (0, 0));
}

proptest::proptest! {
    /// Whoever gathered it: split among replicas the evidence is the same.
    #[test]
    fn evidence_of_replicas_adds_up(
        requests in proptest::collection::vec((0_u64..20, 0_usize..7, proptest::bool::ANY), 0..200),
    ) {
        let outcomes = [
            Outcome::Match, Outcome::Mismatch, Outcome::Transient, Outcome::Noise, Outcome::ShadowFailed, Outcome::Shed,
            Outcome::PrimaryFailed,
        ];
        let (mut one, mut first, mut second) = (Book::default(), Book::default(), Book::default());
        for (number, (target, outcome, by_first)) in (0_i64..).zip(requests) {
            let entry = Entry { at_ms: number * 700, ..entry(target, outcomes[outcome]) };
            if by_first { first.add(entry.clone()) } else { second.add(entry.clone()) };
            one.add(entry);
        }
        let shown = |mut tally: Tally| {
            tally.reached.sort_unstable();
            format!("{tally:?}")
        };
        let split = Tally::of([&first, &second].into_iter(), 0, &Accepted::default());
        proptest::prop_assert_eq!(shown(split), shown(tally(&one, 0)));
    }

    #[test]
    fn a_page_that_is_nonsense_changes_nothing(key in "[tmn]?\\PC{0,20}", document in "\\PC{0,60}") {
        let mut book = book([entry(1, Outcome::Match)]);
        let before = format!("{:?}", tally(&book, 0));
        book.restore(&key, &document);
        proptest::prop_assert_eq!(format!("{:?}", tally(&book, 0)), before);
    }
}

#[test]
fn what_could_not_be_confirmed_says_nothing_of_the_agreement() {
    let mut book = Book::default();
    (0..20).for_each(|target| book.add(entry(target, Outcome::Match)));
    (20..24).for_each(|target| book.add(entry(target, Outcome::Transient)));
    book.add(entry(30, Outcome::Mismatch));
    for target in 40..90 {
        book.add(Entry { reason: Reason::Unconfirmed, ..entry(target, Outcome::Mismatch) });
    }
    let tally = tally(&book, 0);
    assert_eq!((tally.compared, tally.agreed()), (25, 24));
    let history = history::history([&book].into_iter(), 10);
    let last = history.last().unwrap();
    assert_eq!((last.compared, last.differed), (25, 1));
}

#[test]
fn what_may_be_lag_and_never_agreed_is_explained_but_no_evidence_that_its_target_agrees() {
    let pending =
        |target| Entry { reason: Reason::WritePending, explained: true, ..entry(target, Outcome::Transient) };
    let mut book = book([entry(1, Outcome::Mismatch)]);
    (0..3).for_each(|_| book.add(pending(1)));
    book.add(pending(2));
    let tally = tally(&book, 0);
    assert_eq!((tally.transients, tally.unexplained, tally.uncompared), (4, 0, 4));
    assert_eq!((tally.counted, tally.targets, tally.mismatches), (1, 1, 1));
}
