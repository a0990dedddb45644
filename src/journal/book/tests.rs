use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Uri};

use super::*;

fn entry(space: &Arc<Space>, state: State, keys: &[&str]) -> Entry {
    let request = Request {
        method: http::Method::POST,
        uri: Uri::from_static("/x"),
        headers: HeaderMap::new(),
        body: Bytes::new(),
    };
    Entry {
        id: format!("{:x}", fastrand::u64(..)),
        state,
        leader: Side::From,
        route: "POST /x".into(),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        at: Utc::now(),
        by: String::new(),
        effect: None,
        tries: 0,
        last_error: String::new(),
        passed: false,
        settling: false,
        busy: false,
        maybe_there: false,
        next_try: None,
        request: Some(Arc::new(request)),
        on_its_way: None,
        room: space.enter().unwrap(),
    }
}

fn ready(book: &Book, most: usize) -> Vec<i64> {
    let ready = book.ready(Instant::now(), Pair { from: most, to: most });
    ready.into_iter().map(|delivery| delivery.seq).collect()
}

#[test]
fn of_one_key_the_first_goes_first_and_one_that_holds_several_waits_for_all() {
    let (book, space) = (Book::default(), Space::new(100, 1000));
    let pending = |keys: &[&str]| book.insert(entry(&space, State::Pending, keys)).unwrap();
    let (a, ab, b, c) = (pending(&["a"]), pending(&["a", "b"]), pending(&["b"]), pending(&["c"]));
    assert_eq!(ready(&book, 8), [a, c]);
    assert_eq!(ready(&book, 8), Vec::<i64>::new());
    book.remove(a, true);
    assert_eq!(ready(&book, 8), [ab]);
    book.remove(ab, true);
    assert_eq!(ready(&book, 8), [b]);
    assert_eq!(book.counts(Side::To).pending, 2);
    assert_eq!(book.counts(Side::From), Counts::default());
}

#[test]
fn what_is_with_the_leader_or_being_settled_is_waited_for_and_what_is_left_is_gone_by() {
    let (book, space) = (Book::default(), Space::new(100, 1000));
    let sending = book.insert(entry(&space, State::Sending, &["a"])).unwrap();
    let doubt = book.insert(Entry { settling: true, ..entry(&space, State::InDoubt, &["a"]) }).unwrap();
    let parked = book.insert(entry(&space, State::Parked, &["a"])).unwrap();
    let later = book.insert(entry(&space, State::Pending, &["a"])).unwrap();
    assert!(ready(&book, 8).is_empty());
    book.remove(sending, false);
    assert!(ready(&book, 8).is_empty());
    book.change(doubt, |entry| entry.settling = false);
    assert_eq!(ready(&book, 8), [later]);
    let (_, gone_by) = book.remove(later, true);
    assert_eq!(gone_by, [doubt, parked]);
    assert!(book.change(parked, |entry| entry.passed).unwrap());
}

#[test]
fn a_store_owes_what_its_keys_have_pending() {
    let (book, space) = (Book::default(), Space::new(100, 1000));
    let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    let seq = book.insert(entry(&space, State::Pending, &["a"])).unwrap();
    assert!(book.owes(Side::To, &keys(&["b", "a"])));
    assert!(!book.owes(Side::From, &keys(&["a"])) && !book.owes(Side::To, &keys(&["b"])));
    book.remove(seq, true);
    assert!(!book.owes(Side::To, &keys(&["a"])));
}

#[test]
fn what_waits_for_its_time_is_not_ready_and_slots_bound_each_side() {
    let (book, space) = (Book::default(), Space::new(100, 1000));
    let seqs: Vec<i64> = ["a", "b", "c"]
        .iter()
        .map(|key| book.insert(entry(&space, State::Pending, &[key])).unwrap())
        .collect();
    let soon = Instant::now() + Duration::from_secs(60);
    book.change(seqs[0], |entry| entry.next_try = Some(soon));
    assert_eq!(ready(&book, 1), seqs[1..2]);
    assert_eq!(book.next_try(Instant::now()), Some(soon));
    assert_eq!(ready(&book, 8), seqs[2..]);
}

#[test]
fn only_what_waits_for_its_time_is_waited_for() {
    let (book, space) = (Book::default(), Space::new(100, 1000));
    let now = Instant::now();
    let soon = now + Duration::from_secs(60);
    for (state, next_try) in [(State::Parked, now), (State::Pending, now), (State::Pending, soon)] {
        let next_try = Some(next_try);
        book.insert(Entry { next_try, ..entry(&space, state, &["a"]) }).unwrap();
    }
    assert_eq!(book.next_try(now), Some(soon));
}

#[test]
fn what_a_later_write_may_have_overtaken_is_told() {
    let (book, space) = (Book::default(), Space::new(100, 1000));
    let overtaken = |seq| book.decide(seq, |_, later| later.is_some()).unwrap();
    let parked = book.insert(entry(&space, State::Parked, &["a"])).unwrap();
    let later = book.insert(entry(&space, State::Pending, &["a"])).unwrap();
    assert!(!overtaken(parked));
    assert_eq!(ready(&book, 8), [later]);
    assert!(overtaken(parked), "it is with the follower");
    book.remove(later, false);
    assert!(!overtaken(parked));
    // Where it is to go leads now.
    let other = Entry { leader: Side::To, ..entry(&space, State::Sending, &["a"]) };
    book.insert(other).unwrap();
    assert!(overtaken(parked));
}

#[test]
fn nothing_is_taken_in_whose_leader_is_owed_an_earlier_write() {
    let (book, space) = (Book::default(), Space::new(100, 1000));
    book.insert(entry(&space, State::Pending, &["a"])).unwrap();
    let of = |key| Entry { leader: Side::To, ..entry(&space, State::Sending, &[key]) };
    assert!(book.insert(of("a")).is_none() && book.insert(of("b")).is_some());
}

#[test]
fn room_is_bounded_and_comes_back() {
    let space = Space::new(2, 100);
    let (mut first, second) = (space.enter().unwrap(), space.enter().unwrap());
    assert!(space.enter().is_none());
    assert!(first.grow(60) && !first.grow(60));
    drop(first);
    assert_eq!(space.bytes(), 0);
    assert!(space.enter().is_some());
    drop(second);
}
