//! DNS cookies (RFC 7873) in the form that all servers of one address must share (RFC 9018).
//!
//! A server cookie is `version 1 | reserved | timestamp | SipHash-2-4(client cookie, the former, client address)`, so a server
//! keeps nothing per client, and a cookie made by one node is good at every node that has the secret.
//!
//! | cookie of the query | reply | is the client's address proven? |
//! | --- | --- | --- |
//! | client part only, or a server part that is not ours, or older than an hour, or from the future | a new one | no |
//! | ours, of the first secret, at most half an hour old | the same again | yes |
//! | ours otherwise, at most an hour old | a new one | yes |
//!
//! Secrets roll by adding the new one behind the first on every node, then moving it to the front, then removing the old
//! one (RFC 9018 5): the first makes cookies, all are accepted.

use std::fmt;
use std::hash::Hasher as _;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;

use crate::wire::{CLIENT_COOKIE_LEN, Cookie, SERVER_COOKIE_LEN};

/// A server cookie.
pub(super) type ServerCookie = [u8; SERVER_COOKIE_LEN];

/// Version 1 and three reserved octets (RFC 9018 4.1, 4.2).
const VERSION: [u8; 4] = [1, 0, 0, 0];
/// Seconds after which a good cookie is replaced (RFC 9018 4.3).
const RENEW_AFTER: i32 = 30 * 60;
/// Seconds after which a cookie is no longer good (RFC 9018 4.3).
const EXPIRE_AFTER: i32 = 60 * 60;
/// Seconds by which the clocks of two nodes may differ (RFC 9018 4.3).
const FUTURE_MAX: i32 = 5 * 60;

/// How cookies are made and accepted. Without a secret none is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cookies {
    /// The first makes cookies, all are accepted.
    pub secrets: Vec<Secret>,
    /// Whether a UDP client that speaks cookies must prove its address before it is answered (RFC 7873 5.2.3).
    pub required: bool,
}

/// A server secret (RFC 9018 4.4): 128 bits.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 16]);

impl Secret {
    /// The secret of these octets.
    #[must_use]
    pub const fn new(octets: [u8; 16]) -> Self {
        Self(octets)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What a cookie is worth, and what the reply says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Judged {
    /// Whether the client has shown that it gets what is sent to its address.
    pub(super) proven: bool,
    /// The server cookie to send.
    pub(super) server: ServerCookie,
}

impl Cookies {
    /// Judges the cookie of a query from `client` at `now`, seconds since 1970. `None` without a secret.
    pub(super) fn judge(&self, cookie: &Cookie<'_>, client: IpAddr, now: u32) -> Option<Judged> {
        let first = self.secrets.first()?;
        let (maker, server) = self.maker(cookie, client).unzip();
        let age = server.map(|server| now.wrapping_sub(timestamp(server)).cast_signed());
        let proven = age.is_some_and(|age| (-FUTURE_MAX..=EXPIRE_AFTER).contains(&age));
        let newest = |server: &ServerCookie| maker == Some(0) && server[..4] == VERSION;
        let again = server.filter(|server| proven && newest(server) && age <= Some(RENEW_AFTER));
        Some(Judged { proven, server: again.unwrap_or_else(|| first.make(cookie.client, VERSION, now, client)) })
    }

    /// Which of our secrets made the server cookie, and the cookie.
    fn maker(&self, cookie: &Cookie<'_>, client: IpAddr) -> Option<(usize, ServerCookie)> {
        let server = <ServerCookie>::try_from(cookie.server).ok().filter(|server| server[0] == VERSION[0])?;
        // Whatever the reserved octets hold is hashed as it is (RFC 9018 4.2).
        let head = [server[0], server[1], server[2], server[3]];
        let made = |secret: &Secret| secret.make(cookie.client, head, timestamp(server), client);
        self.secrets.iter().position(|secret| same(&made(secret), &server)).map(|at| (at, server))
    }
}

fn timestamp(server: ServerCookie) -> u32 {
    u32::from_be_bytes([server[4], server[5], server[6], server[7]])
}

impl Secret {
    /// A server cookie; `head` is its version and the reserved octets.
    fn make(&self, client_cookie: [u8; CLIENT_COOKIE_LEN], head: [u8; 4], timestamp: u32, client: IpAddr) -> ServerCookie {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(&client_cookie);
        hasher.write(&head);
        hasher.write(&timestamp.to_be_bytes());
        match client {
            IpAddr::V4(address) => hasher.write(&address.octets()),
            IpAddr::V6(address) => hasher.write(&address.octets()),
        }
        let mut server = [0; SERVER_COOKIE_LEN];
        server[..4].copy_from_slice(&head);
        server[4..8].copy_from_slice(&timestamp.to_be_bytes());
        server[8..].copy_from_slice(&hasher.finish().to_le_bytes());
        server
    }
}

/// Equality in a time that does not tell where two cookies differ.
fn same(one: &ServerCookie, other: &ServerCookie) -> bool {
    u128::from_ne_bytes(*one) ^ u128::from_ne_bytes(*other) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets<const N: usize>(hex: &str) -> [u8; N] {
        std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hexadecimal"))
    }

    fn cookies(secrets: &[&str]) -> Cookies {
        Cookies { secrets: secrets.iter().map(|secret| Secret::new(octets(secret))).collect(), required: false }
    }

    fn judge(cookies: &Cookies, client: &str, server: &str, address: &str, now: u32) -> (bool, String) {
        let server: Vec<u8> = if server.is_empty() { Vec::new() } else { octets::<16>(server).to_vec() };
        let cookie = Cookie { client: octets(client), server: &server };
        let judged = cookies.judge(&cookie, address.parse().expect("an address"), now).expect("there is a secret");
        (judged.proven, judged.server.iter().map(|octet| format!("{octet:02x}")).collect())
    }

    const ONE: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";

    #[test]
    fn rfc9018_a_1_a_new_cookie() {
        let made = judge(&cookies(&[ONE]), "2464c4abcf10c957", "", "198.51.100.100", 1_559_731_985);
        assert_eq!(made, (false, "010000005cf79f111f8130c3eee29480".into()));
    }

    #[test]
    fn rfc9018_a_2_a_good_cookie_is_renewed_after_half_an_hour() {
        let (client, old, address) = ("2464c4abcf10c957", "010000005cf79f111f8130c3eee29480", "198.51.100.100");
        let at = |now| judge(&cookies(&[ONE]), client, old, address, now);
        assert_eq!(at(1_559_731_985 + 1800), (true, old.into()));
        assert_eq!(at(1_559_734_385), (true, "010000005cf7a871d4a564a1442aca77".into()));
        assert!(at(1_559_731_985 + 3600).0 && !at(1_559_731_985 + 3601).0);
        assert!(at(1_559_731_985 - 300).0 && !at(1_559_731_985 - 301).0);
    }

    #[test]
    fn rfc9018_a_3_reserved_octets_are_hashed_as_they_are() {
        let (client, old) = ("fc93fc62807ddb86", "01abcdef5cf78f71a314227b6679ebf5");
        let at = |now| judge(&cookies(&[ONE]), client, old, "203.0.113.203", now);
        assert_eq!(at(1_559_734_700), (false, "010000005cf7a9acf73a7810aca2381e".into()), "it is ours, and old");
        let fresh = at(1_559_727_985 + 60);
        assert!(fresh.0 && fresh.1.starts_with("01000000"), "it is good, and replaced: {fresh:?}");
    }

    #[test]
    fn rfc9018_a_4_a_secret_is_rolled() {
        let (new, old) = ("445536bcd2513298075a5d379663c962", "dd3bdf9344b678b185a6f5cb60fca715");
        let cookie = ("22681ab97d52c298", "010000005cf7c57926556bd0934c72f8", "2001:db8:220:1:59de:d0f4:8769:82b8");
        let at = |secrets: &[&str]| judge(&cookies(secrets), cookie.0, cookie.1, cookie.2, 1_559_741_961);
        assert_eq!(at(&[new, old]), (true, "010000005cf7c609a6bb79d16625507a".into()));
        assert!(!at(&[new]).0);
    }

    #[test]
    fn a_cookie_is_good_for_its_client_only() {
        let (client, server) = ("2464c4abcf10c957", "010000005cf79f111f8130c3eee29480");
        for (client, server, address) in [
            ("2464c4abcf10c958", server, "198.51.100.100"),
            (client, server, "198.51.100.101"),
            (client, "010000005cf79f111f8130c3eee29481", "198.51.100.100"),
            (client, "010000015cf79f111f8130c3eee29480", "198.51.100.100"),
        ] {
            assert!(!judge(&cookies(&[ONE]), client, server, address, 1_559_731_985).0, "{client} {server} {address}");
        }
    }
}
