//! Cookies that clients send: only those that the server made are its own.

use std::net::{IpAddr, Ipv6Addr};

use mxpool::wire::{CookieCheck, CookieSecret, CookieSecrets};

/// Takes four octets of time, sixteen of an address, and a cookie.
pub(crate) fn run(octets: &[u8]) {
    let Some((time, rest)) = octets.split_first_chunk::<4>() else {
        return;
    };
    let Some((address, cookie)) = rest.split_first_chunk::<16>() else {
        return;
    };
    let now = u32::from_be_bytes(*time);
    let client = IpAddr::V6(Ipv6Addr::from(*address));
    let secrets = CookieSecrets::new(secret(1), vec![secret(2)]);

    let Some((check, made)) = secrets.check(cookie, client, now) else {
        assert!(cookie.len() < 8, "a client's cookie has an answer");
        return;
    };
    assert!(cookie.len() >= 8);
    assert_eq!(made[..8], cookie[..8], "the client's part comes back");
    // Nobody guesses eight octets of a hash.
    assert!(!check.is_valid() || is_known(&secrets, cookie, client, now));
    assert_eq!(
        secrets.check(&made, client, now),
        Some((CookieCheck::Valid, made)),
        "what was made is valid"
    );
    let foreign = CookieSecrets::new(secret(3), Vec::new());
    assert_eq!(
        foreign.check(&made, client, now).map(|(check, _)| check),
        Some(CookieCheck::Bad)
    );
    let other = IpAddr::V6(Ipv6Addr::from(u128::from_be_bytes(*address) ^ 1));
    assert!(
        !secrets
            .check(&made, other, now)
            .is_some_and(|(check, _)| check.is_valid())
    );
    for at in [0, 7, 8, 12, 16, 23] {
        let mut spoilt = made;
        spoilt[at] ^= 0x10;
        let check = secrets.check(&spoilt, client, now).map(|(check, _)| check);
        assert!(
            !check.is_some_and(CookieCheck::is_valid),
            "octet {at} counts"
        );
    }
    // A cookie outlives no day, whenever the day is.
    for (later, valid) in [
        (0, true),
        (1_800, true),
        (3_600, true),
        (3_601, false),
        (86_400, false),
    ] {
        let then = now.wrapping_add(later);
        let check = secrets.check(&made, client, then).map(|(check, _)| check);
        assert_eq!(
            check.is_some_and(CookieCheck::is_valid),
            valid,
            "{later} s later"
        );
    }
}

/// Returns whether a valid cookie stays one, which a lucky guess would, too; and is whole.
fn is_known(secrets: &CookieSecrets, cookie: &[u8], client: IpAddr, now: u32) -> bool {
    let again = secrets.check(cookie, client, now);
    cookie.len() == 24 && again.is_some_and(|(check, _)| check.is_valid())
}

fn secret(octet: u8) -> CookieSecret {
    CookieSecret::new([octet; CookieSecret::LENGTH])
}
