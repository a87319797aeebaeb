//! What is limited, for whom, and what they get instead.

use crate::wire::{CookieCheck, Rcode, Rtype};
use crate::zone::Subject;

use super::*;

/// Some moment.
const NOW: Duration = Duration::from_secs(1_000);

/// A question for `mx.example`, without a header's meaning.
fn query(name: &[u8], qtype: u8) -> Vec<u8> {
    [&[0; 12], name, &[0, 0, qtype, 0, 1]].concat()
}

/// An answer of a kind.
fn answered(class: ResponseClass, cookie: Option<CookieCheck>) -> Answered {
    Answered {
        rcode: Rcode::NOERROR,
        qtype: Some(Rtype::MX),
        truncated: false,
        class,
        subject: Subject::default(),
        cookie,
    }
}

/// Returns a limiter of ten answers a second.
fn limiter(slip: u32) -> RateLimiter {
    let config = RrlConfig {
        rate: 10,
        slip,
        ..RrlConfig::default()
    };
    RateLimiter::new(config).unwrap()
}

/// Returns what becomes of so many answers at once.
fn decisions(
    limiter: &RateLimiter,
    client: &str,
    class: ResponseClass,
    count: usize,
) -> Vec<Decision> {
    let client = client.parse().unwrap();
    let query = query(b"\x02mx\x07example", 15);
    (0..count)
        .map(|_| limiter.decide(client, &query, &answered(class, None), NOW))
        .collect()
}

/// Counts the decisions of a kind.
fn count(decisions: &[Decision], wanted: Decision) -> usize {
    decisions.iter().filter(|found| **found == wanted).count()
}

#[test]
fn rrl_a_prefix_has_its_rate_and_others_are_left_alone() {
    let limiter = limiter(2);
    let send = |client| {
        let decisions = decisions(&limiter, client, ResponseClass::Positive, 100);
        count(&decisions, Decision::Send)
    };

    assert_eq!(send("192.0.2.1"), 10);
    assert_eq!(send("192.0.2.99"), 0, "of the same /24");
    assert_eq!(send("192.0.3.1"), 10);
    assert_eq!(send("2001:db8:0:100::1"), 10);
    assert_eq!(send("2001:db8:0:1ff::1"), 0, "of the same /56");
    assert_eq!(send("2001:db8:0:200::1"), 10);
}

#[test]
fn rrl_kinds_of_answers_are_counted_apart() {
    let limiter = limiter(2);
    for class in ResponseClass::ALL {
        let decisions = decisions(&limiter, "192.0.2.1", class, 20);

        assert_eq!(count(&decisions, Decision::Send), 10, "{class:?}");
    }
}

#[test]
fn rrl_of_those_beyond_the_rate_every_slipth_slips() {
    for (slip, share) in [(1, 1.0), (2, 0.5), (5, 0.2), (0, 0.0)] {
        let decisions = decisions(&limiter(slip), "192.0.2.1", ResponseClass::Positive, 10_010);
        let slipped = count(&decisions, Decision::Slip) as f64 / 10_000.0;

        assert!((slipped - share).abs() < 0.03, "{slipped} for {slip}");
        assert_eq!(count(&decisions, Decision::Leak), 0);
    }
}

#[test]
fn rrl_errors_cannot_be_made_brief_and_leak() {
    let decisions = decisions(&limiter(2), "192.0.2.1", ResponseClass::Error, 10_010);

    let leaked = count(&decisions, Decision::Leak) as f64 / 10_000.0;
    assert!((leaked - 0.5).abs() < 0.03, "{leaked}");
    assert_eq!(count(&decisions, Decision::Slip), 0);
}

#[test]
fn rfc7873_5_2_5_a_right_cookie_is_never_limited() {
    let limiter = limiter(2);
    decisions(&limiter, "192.0.2.1", ResponseClass::Positive, 100);
    let query = query(b"\x02mx\x07example", 15);
    let client = "192.0.2.1".parse().unwrap();
    let decide = |cookie| {
        let answered = answered(ResponseClass::Positive, Some(cookie));
        limiter.decide(client, &query, &answered, NOW)
    };

    for _ in 0..100 {
        assert_eq!(decide(CookieCheck::Valid), Decision::Send);
        assert_eq!(decide(CookieCheck::Renewed), Decision::Send);
        assert_ne!(decide(CookieCheck::ClientOnly), Decision::Send);
        assert_ne!(decide(CookieCheck::Expired), Decision::Send);
        assert_ne!(decide(CookieCheck::Bad), Decision::Send);
    }
}

#[test]
fn rrl_who_is_on_the_list_is_never_limited() {
    let config = RrlConfig {
        rate: 10,
        allow: vec![
            "192.0.2.128/25".parse().unwrap(),
            "2001:db8::53".parse().unwrap(),
        ],
        ..RrlConfig::default()
    };
    let limiter = RateLimiter::new(config).unwrap();
    let send = |client| {
        let decisions = decisions(&limiter, client, ResponseClass::Positive, 100);
        count(&decisions, Decision::Send)
    };

    assert_eq!(send("192.0.2.200"), 100);
    assert_eq!(send("192.0.2.1"), 0, "its neighbour has used up their rate");
    assert_eq!(send("2001:db8::53"), 100);
    assert_eq!(send("2001:db8:1::53"), 10);
    let told = limiter.report().prefixes;
    assert_eq!(told.len(), 2, "who is on the list is not told: {told:?}");
}

#[test]
fn rrl_all_workers_share_what_they_know() {
    let first = limiter(2);
    let second = first.another();

    decisions(&first, "192.0.2.1", ResponseClass::Positive, 6);
    let decisions = decisions(&second, "192.0.2.1", ResponseClass::Positive, 100);

    assert_eq!(count(&decisions, Decision::Send), 4);
}

#[test]
fn rrl_each_prefix_is_told_once_and_not_without_bound() {
    let first = limiter(0);
    let second = first.another();
    for number in 0..40 {
        let client = format!("198.51.{number}.1");
        decisions(&first, &client, ResponseClass::Positive, 12);
    }
    decisions(&first, "192.0.2.1", ResponseClass::Positive, 1_010);
    decisions(&second, "192.0.2.1", ResponseClass::Positive, 500);

    let report = first.report();

    assert_eq!(report.prefixes.len(), MOST_TOLD);
    let (prefix, answers) = report.prefixes[0];
    assert_eq!(prefix.to_string(), "192.0.2.0/24");
    assert!((1_400..=1_500).contains(&answers), "{answers}");
    assert!(report.others > 10, "{report:?}");
    assert_eq!(first.report().prefixes, [], "all was told");
}

#[test]
fn a_flood_from_all_prefixes_forgets_none_that_is_beyond_its_rate() {
    let limiter = limiter(2);
    let query = query(b"\x02mx\x07example", 15);
    let answered = answered(ResponseClass::Positive, None);
    decisions(&limiter, "192.0.2.1", ResponseClass::Positive, 10);

    // A flood of as many prefixes as there are, far more than there are places.
    for number in 0..500_000_u32 {
        let client = std::net::Ipv4Addr::from_bits(number.wrapping_mul(0x9e37_79b1)).into();
        limiter.decide(client, &query, &answered, NOW);
    }

    let decisions = decisions(&limiter, "192.0.2.1", ResponseClass::Positive, 10);
    assert_eq!(count(&decisions, Decision::Send), 0, "it is still known");
}
