//! Which side a client is on while the dial is between 0 and 100: always the same one, and raising the dial moves
//! clients one way only.

use std::net::IpAddr;
use std::str::FromStr;

use http::{HeaderMap, HeaderName, header};
use sha2::{Digest, Sha256};

use crate::side::Side;

/// Steps into which the hash is cut: a hundredth of a percent.
const STEPS: u64 = 10_000;
/// Addresses of a forwarding chain that are looked at, from the nearest.
const CHAIN: usize = 32;
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What tells clients apart.
#[derive(Debug, Clone, Default)]
pub struct Sticky {
    /// The cookie that names a client; without it, or where it is none of the client's, its address does.
    pub cookie: Option<String>,
    /// Whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<Network>,
}

/// Addresses that share a prefix, as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

// === impl Sticky ===

impl Sticky {
    /// A hash of what tells the client apart: the same on every replica, of any version, and after every start.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> u64 {
        match self.cookie.as_deref().and_then(|name| cookie(headers, name)) {
            Some(value) => hash(value),
            None => self.origin(peer, headers),
        }
    }

    /// A hash of where the client is: no cookie that it makes up makes it several.
    #[must_use]
    pub fn origin(&self, peer: IpAddr, headers: &HeaderMap) -> u64 {
        match self.address(peer, headers) {
            IpAddr::V4(address) => hash(&address.octets()),
            // One network of 64 bits is one household or one server, whatever addresses it uses.
            IpAddr::V6(address) => hash(&(address.to_bits() >> 64).to_be_bytes()),
        }
    }

    /// The address the request came from: the nearest in the chain that is no trusted proxy's.
    fn address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let trusts = |address: IpAddr| self.trusted_proxies.iter().any(|network| network.has(address));
        let mut nearest = peer.to_canonical();
        if !trusts(nearest) {
            return nearest;
        }
        let values = headers.get_all(FORWARDED_FOR).iter().rev();
        let chain = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.rsplit(','));
        for text in chain.take(CHAIN) {
            // What cannot be read may be anybody's: the last proxy that is known stands for it.
            let Some(address) = address(text.trim()) else { return nearest };
            nearest = address;
            if !trusts(nearest) {
                return nearest;
            }
        }
        nearest
    }

    /// What clients are told apart by, in words.
    #[must_use]
    pub fn by(&self) -> String {
        let address = if self.trusted_proxies.is_empty() {
            "address of the connection".to_owned()
        } else {
            "address, as trusted proxies forward it".to_owned()
        };
        match &self.cookie {
            Some(name) => format!("cookie `{name}`, else {address}"),
            None => address,
        }
    }

    /// What an operator should know before trusting a split.
    #[must_use]
    pub fn note(&self) -> Option<&'static str> {
        (self.trusted_proxies.is_empty()).then_some(
            "X-Forwarded-For of nobody counts: all clients behind one load balancer are one client; name it in \
             dial.trusted_proxies",
        )
    }
}

fn hash(of: &[u8]) -> u64 {
    Sha256::digest(of).iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// The side of a client where *to* serves `dial` percent.
#[must_use]
pub fn side(dial: u8, client: u64) -> Side {
    // The hash's upper bits, so that every step has the same share.
    let step = (u128::from(client) * u128::from(STEPS)) >> 64;
    if step < u128::from(dial) * u128::from(STEPS / 100) { Side::To } else { Side::From }
}

fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    let values = headers.get_all(header::COOKIE).iter();
    let mut pairs = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    pairs.find_map(|pair| {
        let value = pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        (!value.is_empty()).then_some(value)
    })
}

/// An address as forwarding headers write it, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.split_once(']')).map_or(text, |(bare, _)| bare);
    let without_port = || text.rsplit_once(':').map_or(text, |(address, _)| address);
    bare.parse::<IpAddr>().or_else(|_| without_port().parse()).ok().map(|address| address.to_canonical())
}

// === impl Network ===

impl Network {
    fn has(self, address: IpAddr) -> bool {
        let (network, address, bits) = match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                (u128::from(network.to_bits()), u128::from(address.to_bits()), 32)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits(), address.to_bits(), 128),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
        };
        let shift = bits - u32::from(self.prefix);
        network.checked_shr(shift) == address.checked_shr(shift)
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no network; write 10.0.0.0/8 or 10.1.2.3");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let address = address.parse::<IpAddr>().map_err(|_| wrong())?.to_canonical();
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(most);
        if prefix > most { Err(wrong()) } else { Ok(Network { address, prefix }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (HeaderName::from_static(n), v.parse().unwrap())).collect()
    }

    fn sticky(cookie: Option<&str>, trusted: &[&str]) -> Sticky {
        Sticky {
            cookie: cookie.map(str::to_owned),
            trusted_proxies: trusted.iter().map(|network| network.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn each_client_keeps_its_side_and_raising_the_dial_moves_one_way() {
        let by_cookie = sticky(Some("s"), &[]);
        let peer = "10.0.0.1".parse().unwrap();
        let clients: Vec<u64> = (0..10_000)
            .map(|n| by_cookie.client(peer, &headers(&[("cookie", &format!("a=1; s={n}; sx=2"))])))
            .collect();
        for dial in 0..=100 {
            let on_to = clients.iter().filter(|client| side(dial, **client) == Side::To).count();
            let share = on_to as f64 / 100.0;
            assert!((share - f64::from(dial)).abs() <= 1.5, "{dial}: {share} %");
        }
        for client in clients {
            let sides: Vec<bool> = (0..=100).map(|dial| side(dial, client) == Side::To).collect();
            assert!(sides.is_sorted() && !sides[0] && sides[100]);
        }
    }

    #[test]
    fn only_trusted_proxies_say_for_whom_they_ask() {
        let peer: IpAddr = "10.0.0.1".parse().unwrap();
        let forwarded = headers(&[("x-forwarded-for", "1.1.1.1, 2.2.2.2, 10.0.0.9")]);
        let address = |sticky: Sticky, headers: &HeaderMap| sticky.address(peer, headers).to_string();
        assert_eq!(address(sticky(None, &[]), &forwarded), "10.0.0.1");
        assert_eq!(address(sticky(None, &["10.0.0.0/8"]), &forwarded), "2.2.2.2");
        assert_eq!(address(sticky(None, &["10.0.0.1", "10.0.0.9", "2.2.2.2"]), &forwarded), "1.1.1.1");
        assert_eq!(address(sticky(None, &["0.0.0.0/0"]), &forwarded), "1.1.1.1");
        assert_eq!(address(sticky(None, &["10.0.0.0/8"]), &headers(&[])), "10.0.0.1");
        let odd = headers(&[("x-forwarded-for", "3.3.3.3, nonsense, 10.0.0.9")]);
        assert_eq!(address(sticky(None, &["10.0.0.0/8"]), &odd), "10.0.0.9");
        let ports = headers(&[("x-forwarded-for", "[2001:db8::1]:99, 10.0.0.9:1234")]);
        assert_eq!(address(sticky(None, &["10.0.0.0/8"]), &ports), "2001:db8::1");
    }

    #[test]
    fn a_cookie_wins_over_the_address_where_it_is_there() {
        let by_cookie = sticky(Some("s"), &[]);
        let client = |peer: &str, pairs: &[(&'static str, &str)]| {
            by_cookie.client(peer.parse().unwrap(), &headers(pairs))
        };
        assert_eq!(client("10.0.0.1", &[("cookie", "s=1")]), client("10.0.0.2", &[("cookie", "b=2; s=1")]));
        assert_ne!(client("10.0.0.1", &[("cookie", "s=1")]), client("10.0.0.1", &[("cookie", "s=2")]));
        assert_eq!(client("10.0.0.1", &[("cookie", "xs=1; s=")]), client("10.0.0.1", &[]));
        assert_ne!(client("10.0.0.1", &[]), client("10.0.0.2", &[]));
        assert_eq!(client("2001:db8::1", &[]), client("2001:db8::ffff:1", &[]));
        assert_ne!(client("2001:db8::1", &[]), client("2001:db8:1::1", &[]));
        let origin =
            |value: &str| by_cookie.origin("10.0.0.1".parse().unwrap(), &headers(&[("cookie", value)]));
        assert_eq!(origin("s=1"), origin("s=2"), "made-up cookies make no further clients for the watch");
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_sent_gives_a_client(
            cookie in proptest::collection::vec(0x20_u8..=0xff, 0..60),
            chain in proptest::collection::vec("[0-9a-f.:,\\[\\] ]{0,40}|\\PC{0,20}", 0..4),
        ) {
            let mut map = HeaderMap::new();
            if let Ok(cookie) = http::HeaderValue::from_bytes(&cookie) {
                map.insert(header::COOKIE, cookie);
            }
            for value in chain.iter().filter_map(|value| http::HeaderValue::from_bytes(value.as_bytes()).ok()) {
                map.append(FORWARDED_FOR, value);
            }
            let sticky = sticky(Some("s"), &["0.0.0.0/0", "::/0"]);
            let peer = "10.0.0.1".parse().unwrap();
            proptest::prop_assert_eq!(sticky.client(peer, &map), sticky.client(peer, &map));
        }

        #[test]
        fn networks_are_read_or_refused(text in "[0-9a-f.:/]{0,50}|\\PC{0,20}") {
            // Whatever it is: no panic, and what is read has its own address.
            if let Ok(network) = text.parse::<Network>() {
                proptest::prop_assert!(network.has(network.address));
            }
        }
    }

    #[test]
    fn networks_are_an_address_and_a_prefix() {
        for wrong in ["", "10.0.0.0/33", "10.0.0.0/x", "::/129", "host"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
        let has =
            |network: &str, address: &str| network.parse::<Network>().unwrap().has(address.parse().unwrap());
        assert!(has("0.0.0.0/0", "1.2.3.4") && has("::/0", "::1") && has("10.0.0.0/9", "10.127.0.1"));
        assert!(!has("10.0.0.0/9", "10.128.0.1") && !has("0.0.0.0/0", "::1"));
    }
}
