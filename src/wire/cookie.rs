//! Server cookies that any server of the same address accepts (RFC 9018).

use std::fmt;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;
use zeroize::Zeroizing;

use super::edns::COOKIE_LENGTH;

/// A secret that server cookies are made with; shared by all servers of an address.
pub struct CookieSecret(Zeroizing<[u8; Self::LENGTH]>);

/// The secrets of a server: cookies are made with the first, those of all are accepted.
#[derive(Debug)]
pub struct CookieSecrets {
    /// The secret that cookies are made with.
    first: CookieSecret,
    /// Secrets that were, or will be, the first one, here or elsewhere (RFC 9018, section 5).
    others: Vec<CookieSecret>,
}

/// What a query's cookie is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CookieCheck {
    /// The client has none of the server's yet.
    ClientOnly,
    /// It is the server's: the client gets it back, or a fresh one made with the secret in use.
    Valid,
    /// It is the server's, and so old, or made with another secret, that there is a fresh one.
    Renewed,
    /// It was, or will be, the server's, by its time alone.
    Expired,
    /// It is not the server's.
    Bad,
}

/// The version of the cookies we know (RFC 9018, section 4.1).
const VERSION: u8 = 1;
/// The client's cookie, and the place where the server's begins.
const CLIENT: usize = 8;
/// The place where the time stands; in front of it are version and reserved octets.
const TIME: usize = CLIENT + 4;
/// The place where the hash stands.
const HASH: usize = TIME + 4;
/// How old a cookie may be, in seconds (RFC 9018, section 4.3).
const OLDEST: i32 = 3600;
/// How far ahead a cookie's time may be, for clocks that differ.
const AHEAD: i32 = 300;
/// From which age on a fresh one is given.
const RENEWED_AFTER: i32 = 1800;

impl CookieSecret {
    /// The octets of a secret: a SipHash key.
    pub const LENGTH: usize = 16;

    /// Takes the octets of a secret.
    pub fn new(octets: [u8; Self::LENGTH]) -> Self {
        Self(Zeroizing::new(octets))
    }

    /// Returns the hash over what stands in front of it in `cookie`, and the client's address
    /// (RFC 9018, section 4.4).
    fn hash(&self, cookie: &[u8; COOKIE_LENGTH], client: IpAddr) -> [u8; 8] {
        let mut input = [0; HASH + 16];
        input[..HASH].copy_from_slice(&cookie[..HASH]);
        let end = match client {
            IpAddr::V4(address) => {
                input[HASH..HASH + 4].copy_from_slice(&address.octets());
                HASH + 4
            }
            IpAddr::V6(address) => {
                input[HASH..].copy_from_slice(&address.octets());
                HASH + 16
            }
        };
        let hash = SipHasher24::new_with_key(&self.0).hash(&input[..end]);
        hash.to_le_bytes()
    }

    /// Returns a cookie of the server's behind the client's.
    fn make(&self, client_cookie: [u8; CLIENT], client: IpAddr, now: u32) -> [u8; COOKIE_LENGTH] {
        let mut cookie = [0; COOKIE_LENGTH];
        cookie[..CLIENT].copy_from_slice(&client_cookie);
        cookie[CLIENT] = VERSION;
        cookie[TIME..HASH].copy_from_slice(&now.to_be_bytes());
        let hash = self.hash(&cookie, client);
        cookie[HASH..].copy_from_slice(&hash);
        cookie
    }

    /// Returns whether a cookie was made with this secret for `client`.
    ///
    /// The reserved octets are hashed as they came: a later version of the method may use them
    /// (RFC 9018, section 4.2).
    fn has_made(&self, cookie: &[u8; COOKIE_LENGTH], client: IpAddr) -> bool {
        // Compared as one number, so that the time it takes tells nothing.
        let hash = u64::from_ne_bytes(self.hash(cookie, client));
        let said = cookie.last_chunk::<8>().copied();
        said.map(u64::from_ne_bytes) == Some(hash)
    }
}

impl fmt::Debug for CookieSecret {
    /// Writes no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieSecret(..)")
    }
}

impl CookieSecrets {
    /// Takes the secret in use and those that are accepted beside it.
    pub fn new(first: CookieSecret, others: Vec<CookieSecret>) -> Self {
        Self { first, others }
    }

    /// Checks the cookie of a query that came from `client` at `now`, in seconds modulo 2^32;
    /// returns what the reply has. `None` if `cookie` has no client's cookie in it.
    pub fn check(
        &self,
        cookie: &[u8],
        client: IpAddr,
        now: u32,
    ) -> Option<(CookieCheck, [u8; COOKIE_LENGTH])> {
        // A datagram to an IPv6 socket may come from an IPv4 address.
        let client = client.to_canonical();
        let client_cookie = *cookie.first_chunk::<CLIENT>()?;
        let fresh = || self.first.make(client_cookie, client, now);
        let check = match <&[u8; COOKIE_LENGTH]>::try_from(cookie) {
            Err(_) if cookie.len() == CLIENT => CookieCheck::ClientOnly,
            Err(_) => CookieCheck::Bad,
            Ok(cookie) => self.check_whole(cookie, client, now),
        };
        let answer = match (check, cookie.try_into()) {
            (CookieCheck::Valid, Ok(same)) => same,
            _ => fresh(),
        };
        Some((check, answer))
    }

    /// Checks a cookie that has the length of ours.
    fn check_whole(&self, cookie: &[u8; COOKIE_LENGTH], client: IpAddr, now: u32) -> CookieCheck {
        if cookie[CLIENT] != VERSION {
            return CookieCheck::Bad;
        }
        let time = u32::from_be_bytes([
            cookie[TIME],
            cookie[TIME + 1],
            cookie[TIME + 2],
            cookie[TIME + 3],
        ]);
        // Serial number arithmetic (RFC 1982), as the time has 32 bits.
        let age = now.wrapping_sub(time) as i32;
        if !(-AHEAD..=OLDEST).contains(&age) {
            return CookieCheck::Expired;
        }
        if self.first.has_made(cookie, client) {
            return if age > RENEWED_AFTER {
                CookieCheck::Renewed
            } else {
                CookieCheck::Valid
            };
        }
        let mut others = self.others.iter();
        if others.any(|secret| secret.has_made(cookie, client)) {
            return CookieCheck::Renewed;
        }
        CookieCheck::Bad
    }
}

impl CookieCheck {
    /// Returns whether the client is where it says: it has had an answer of ours before.
    pub const fn is_valid(self) -> bool {
        match self {
            Self::Valid | Self::Renewed => true,
            Self::ClientOnly | Self::Expired | Self::Bad => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of most of the vectors.
    const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
    /// A moment.
    const NOW: u32 = 1_800_000_000;

    /// Returns octets of so many as hexadecimal digits say.
    fn octets(hex: &str) -> Vec<u8> {
        (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap())
            .collect()
    }

    /// Returns a secret.
    fn secret(hex: &str) -> CookieSecret {
        CookieSecret::new(octets(hex).try_into().unwrap())
    }

    /// Returns secrets, the first of which is in use.
    fn secrets(hex: &[&str]) -> CookieSecrets {
        let mut secrets = hex.iter().map(|hex| secret(hex));
        CookieSecrets::new(secrets.next().unwrap(), secrets.collect())
    }

    /// Checks a cookie and returns the answer's in hexadecimal digits.
    fn check(with: &[&str], cookie: &str, client: &str, now: u32) -> (CookieCheck, String) {
        let client = client.parse().unwrap();
        let checked = secrets(with).check(&octets(cookie), client, now);
        let (check, answer) = checked.unwrap();
        let answer = answer.iter().map(|octet| format!("{octet:02x}"));
        (check, answer.collect())
    }

    #[test]
    fn rfc9018_a_1_a_client_learns_a_server_cookie() {
        assert_eq!(
            check(
                &[SECRET],
                "2464c4abcf10c957",
                "198.51.100.100",
                1_559_731_985
            ),
            (
                CookieCheck::ClientOnly,
                "2464c4abcf10c957010000005cf79f111f8130c3eee29480".to_owned()
            )
        );
    }

    #[test]
    fn rfc9018_a_2_a_cookie_of_forty_minutes_is_renewed() {
        assert_eq!(
            check(
                &[SECRET],
                "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
                "198.51.100.100",
                1_559_734_385
            ),
            (
                CookieCheck::Renewed,
                "2464c4abcf10c957010000005cf7a871d4a564a1442aca77".to_owned()
            )
        );
    }

    #[test]
    fn rfc9018_a_3_reserved_octets_are_hashed_as_received() {
        let cookie = "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5";
        let renewed = "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e".to_owned();

        // The vector's reply comes almost two hours after the cookie was made: too late for it.
        assert_eq!(
            check(&[SECRET], cookie, "203.0.113.203", 1_559_734_700),
            (CookieCheck::Expired, renewed)
        );
        let made_at = 0x5cf7_8f71;
        let (check, same) = check(&[SECRET], cookie, "203.0.113.203", made_at);
        assert_eq!((check, same.as_str()), (CookieCheck::Valid, cookie));
    }

    #[test]
    fn rfc9018_a_4_an_ipv6_clients_cookie_of_the_secret_before_is_renewed() {
        let client = "2001:db8:220:1:59de:d0f4:8769:82b8";
        let new = "445536bcd2513298075a5d379663c962";
        let old = "dd3bdf9344b678b185a6f5cb60fca715";
        let cookie = "22681ab97d52c298010000005cf7c57926556bd0934c72f8";
        let renewed = "22681ab97d52c298010000005cf7c609a6bb79d16625507a".to_owned();

        assert_eq!(
            check(&[new, old], cookie, client, 1_559_741_961),
            (CookieCheck::Renewed, renewed.clone())
        );
        assert_eq!(
            check(&[new], cookie, client, 1_559_741_961),
            (CookieCheck::Bad, renewed)
        );
    }

    #[test]
    fn rfc9018_4_3_a_cookie_lives_an_hour_and_is_fresh_for_half_of_it() {
        let client = "192.0.2.1";
        let at = |made: u32, now: u32| {
            let (_, cookie) = check(&[SECRET], "0102030405060708", client, made);
            check(&[SECRET], &cookie, client, now).0
        };

        for (age, expected) in [
            (-301, CookieCheck::Expired),
            (-300, CookieCheck::Valid),
            (0, CookieCheck::Valid),
            (1800, CookieCheck::Valid),
            (1801, CookieCheck::Renewed),
            (3600, CookieCheck::Renewed),
            (3601, CookieCheck::Expired),
            (i32::MAX, CookieCheck::Expired),
            (i32::MIN, CookieCheck::Expired),
        ] {
            assert_eq!(at(NOW, NOW.wrapping_add_signed(age)), expected, "{age}");
            // Beyond 2106 the 32 bits begin again (RFC 1982).
            let made = u32::MAX - 100;
            assert_eq!(at(made, made.wrapping_add_signed(age)), expected, "{age}");
        }
    }

    #[test]
    fn rfc9018_4_4_a_cookie_is_worth_nothing_from_another_address_or_changed() {
        let (_, cookie) = check(&[SECRET], "0102030405060708", "192.0.2.1", NOW);
        let worth = |cookie: &str, client| check(&[SECRET], cookie, client, NOW).0;

        assert_eq!(worth(&cookie, "192.0.2.1"), CookieCheck::Valid);
        assert_eq!(worth(&cookie, "::ffff:192.0.2.1"), CookieCheck::Valid);
        assert_eq!(worth(&cookie, "192.0.2.2"), CookieCheck::Bad);
        assert_eq!(worth(&cookie, "2001:db8::1"), CookieCheck::Bad);
        assert_eq!(worth(&format!("{cookie}00"), "192.0.2.1"), CookieCheck::Bad);
        assert_eq!(worth(&cookie[..46], "192.0.2.1"), CookieCheck::Bad);
        let whole = octets(&cookie);
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            let changed: String = changed.iter().map(|octet| format!("{octet:02x}")).collect();
            assert!(!worth(&changed, "192.0.2.1").is_valid(), "octet {at}");
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        assert_eq!(
            format!("{:?}", secrets(&[SECRET])),
            "CookieSecrets { first: CookieSecret(..), others: [] }"
        );
    }
}
