//! Sessions of browsers: a random number in a cookie. Its SHA-256, and what it opens, are in this replica's memory only,
//! so a restart ends them all.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::access::{Access, By, Reach};
use crate::proxy::cookies::SESSION;

/// How long a session lasts.
const TIME: Duration = Duration::from_hours(12);
/// Sessions at once; the oldest ends for one more.
const MOST: usize = 256;
/// Cookies of our name that are tried: another application of this host may have set some.
const TRIED: usize = 8;

/// SHA-256 of a session's number.
type Key = [u8; 32];

/// All sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    /// Its name has the admin side's port: cookies know none, and one host may have several flipgates.
    cookie: String,
    open: Mutex<HashMap<Key, Session>>,
}

#[derive(Debug)]
struct Session {
    reach: Reach,
    csrf: String,
    expires: Instant,
    /// Dropped with the session, which those who wait for its end see.
    lives: watch::Sender<()>,
}

/// A session that begins.
pub(super) struct Begun {
    /// For the cookie, and kept nowhere else.
    pub(super) number: String,
    pub(super) csrf: String,
}

/// A session that a request came with.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    key: Key,
    expires: Instant,
    lives: watch::Receiver<()>,
}

// === impl Sessions ===

impl Sessions {
    pub(super) fn new(port: u16) -> Self {
        Sessions { cookie: format!("{SESSION}{port}"), open: Mutex::default() }
    }

    /// Begins a session; its number and its CSRF token are told here.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub(super) fn begin(&self, reach: Reach, now: Instant) -> Result<Begun, getrandom::Error> {
        let (number, csrf) = (random()?, random()?);
        let mut open = self.lock();
        open.retain(|_, session| session.expires > now);
        if open.len() >= MOST {
            // All last equally long.
            let oldest = open.iter().min_by_key(|(_, session)| session.expires).map(|(key, _)| *key);
            oldest.and_then(|oldest| open.remove(&oldest));
        }
        let (begun, lives) = (Begun { number, csrf }, watch::Sender::new(()));
        let session = Session { reach, csrf: begun.csrf.clone(), expires: now + TIME, lives };
        open.insert(key(&begun.number), session);
        Ok(begun)
    }

    /// The session whose cookie a request carries.
    pub(super) fn find(&self, headers: &HeaderMap, now: Instant) -> Option<(Access, Lease)> {
        let open = self.lock();
        self.numbers(headers).take(TRIED).find_map(|number| {
            let key = key(number);
            let session = open.get(&key).filter(|session| session.expires > now)?;
            let access = Access { reach: session.reach, csrf: session.csrf.clone(), by: By::Session };
            Some((access, Lease { key, expires: session.expires, lives: session.lives.subscribe() }))
        })
    }

    pub(super) fn end(&self, lease: &Lease) {
        self.lock().remove(&lease.key);
    }

    /// A Set-Cookie for a session's number; `secure` where the browser speaks TLS to whatever is before us.
    pub(super) fn cookie(&self, number: &str, secure: bool) -> String {
        self.set_cookie(number, TIME, secure)
    }

    /// A Set-Cookie that has the browser forget it.
    pub(super) fn no_cookie(&self, secure: bool) -> String {
        self.set_cookie("", Duration::ZERO, secure)
    }

    fn set_cookie(&self, value: &str, lasts: Duration, secure: bool) -> String {
        let (name, lasts) = (&self.cookie, lasts.as_secs());
        let secure = if secure { "; Secure" } else { "" };
        format!("{name}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={lasts}{secure}")
    }

    fn numbers<'h>(&'h self, headers: &'h HeaderMap) -> impl Iterator<Item = &'h str> {
        // Pair by pair: what others set may be anything.
        let values =
            headers.get_all(header::COOKIE).iter().flat_map(|value| value.as_bytes().split(|b| *b == b';'));
        let pairs = values.filter_map(|pair| std::str::from_utf8(pair).ok()?.trim().split_once('='));
        pairs.filter(|(name, _)| *name == self.cookie).map(|(_, number)| number)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Lease ===

impl Lease {
    /// Waits until the session ends: logged out, expired, or the oldest of too many.
    pub(super) async fn ended(&mut self) {
        let expired = tokio::time::sleep_until(self.expires.into());
        tokio::select! {
            () = expired => {}
            // Nothing is ever sent: this is the sender's end.
            _ = self.lives.changed() => {}
        }
    }
}

/// 256 random bits of the operating system, as text.
pub(super) fn random() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn key(number: &str) -> Key {
    Sha256::digest(number).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carrying(cookies: &[String]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, cookies.join("; ").parse().unwrap());
        headers
    }

    fn cookie(number: &str) -> String {
        format!("flipgate_session_9900={number}")
    }

    #[test]
    fn what_others_set_beside_it_does_not_hide_a_session() {
        let (sessions, now) = (Sessions::new(9900), Instant::now());
        let mine = cookie(&sessions.begin(Reach::Reading, now).unwrap().number);
        for other in ["name=\u{e9}", "flipgate_session_9900=stale", "=", ""] {
            let mut headers = HeaderMap::new();
            let value = header::HeaderValue::from_bytes(format!("{other}; {mine}").as_bytes()).unwrap();
            headers.insert(header::COOKIE, value);
            assert!(sessions.find(&headers, now).is_some(), "{other}");
        }
    }

    #[test]
    fn a_session_ends_after_its_time() {
        let (sessions, now) = (Sessions::new(9900), Instant::now());
        let headers = carrying(&[cookie(&sessions.begin(Reach::Reading, now).unwrap().number)]);
        let (access, _) = sessions.find(&headers, now + TIME - Duration::from_secs(1)).unwrap();
        assert_eq!((access.reach, access.by), (Reach::Reading, By::Session));
        assert!(sessions.find(&headers, now + TIME).is_none());
    }

    #[test]
    fn a_session_that_was_ended_opens_nothing() {
        let (sessions, now) = (Sessions::new(9900), Instant::now());
        let headers = carrying(&[cookie(&sessions.begin(Reach::Everything, now).unwrap().number)]);
        let (_, lease) = sessions.find(&headers, now).unwrap();
        sessions.end(&lease);
        assert!(sessions.find(&headers, now).is_none());
    }

    #[test]
    fn the_oldest_makes_room() {
        let (sessions, now) = (Sessions::new(9900), Instant::now());
        let begin = |i: u64| sessions.begin(Reach::Reading, now + Duration::from_millis(i)).unwrap().number;
        let numbers: Vec<String> = (0..=MOST as u64).map(begin).collect();
        let lives = |number: &String| sessions.find(&carrying(&[cookie(number)]), now).is_some();
        assert!(!lives(&numbers[0]));
        assert!(numbers[1..].iter().all(lives));
    }

    #[test]
    fn cookies_of_others_do_not_shut_a_session_out() {
        let (sessions, now) = (Sessions::new(9900), Instant::now());
        let number = sessions.begin(Reach::Everything, now).unwrap().number;
        let beside = |others: usize| {
            let mut cookies = vec![cookie("planted"); others];
            cookies.extend([format!("flipgate_session_9901={number}"), "a=b".into(), cookie(&number)]);
            sessions.find(&carrying(&cookies), now).is_some()
        };
        assert!(beside(0) && beside(TRIED - 1));
        assert!(!beside(TRIED), "this many are not tried");
        let of_another_port = carrying(&[format!("flipgate_session_9901={number}")]);
        assert!(sessions.find(&of_another_port, now).is_none());
    }

    #[test]
    fn numbers_are_neither_kept_nor_alike() {
        let (sessions, now) = (Sessions::new(9900), Instant::now());
        let numbers = [(); 2].map(|()| sessions.begin(Reach::Everything, now).unwrap().number);
        assert_ne!(numbers[0], numbers[1]);
        assert!(numbers.iter().all(|number| number.len() == 64 && !format!("{sessions:?}").contains(number)));
    }
}
