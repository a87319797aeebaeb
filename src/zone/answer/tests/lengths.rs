//! How few octets replies take: names are written once.

use super::fixture::{Ask, Part, Served, TestZone};
use crate::wire::decoded::Decoded;
use crate::wire::{Apex, NoIncludes, Rcode, Rtype, Section, Ttl, parse_master};
use crate::zone::Transport;

/// Asks with DO and 512 octets.
fn short(qname: &str, qtype: Rtype) -> Ask {
    Ask {
        udp_size: Some(512),
        ..Ask::with_do(qname, qtype)
    }
}

/// Returns the octets of a reply that is complete.
fn length(served: &Served, ask: &Ask) -> usize {
    let (answered, octets) = served.octets(&ask.to_wire(), Transport::Udp);
    assert!(!answered.truncated, "{ask:?} is truncated");
    octets.len()
}

/// A mail domain with its name servers elsewhere.
const MAIL_DOMAIN: &str = "@ SOA ns1.infra.example. hostmaster.infra.example. 7 1 1 1 900\n\
     @ NS ns1.infra.example.\n@ NS ns2.infra.example.\n@ MX 10 mx1\n@ MX 20 mx2\n\
     mx1 A 192.0.2.1\nmx2 A 192.0.2.2\n_25._tcp.mx1 TLSA 3 1 1 00\n_25._tcp.mx2 TLSA 3 1 1 00\n";

#[test]
fn a_referral_has_room_for_five_long_glue_names() {
    let records: String = (0..5)
        .map(|n| {
            let host = format!("{}{n}.sub", "n".repeat(39));
            format!("sub NS {host}\n{host} A 192.0.2.{n}\n")
        })
        .collect();
    let served = Served::parse("z.example", &records);

    let ask = Ask::plain("x.sub.z.example", Rtype::A);

    // Header and question; five times NS with one new label; five times an address, whose owner
    // is a pointer.
    let expected = 12 + 21 + 5 * (2 + 10 + 41 + 2) + 5 * (2 + 10 + 4);
    assert_eq!(length(&served, &ask), expected);
    let reply = served.ask(&ask);
    assert_eq!(reply.section(Section::Additional).len(), 5);
}

#[test]
fn a_referral_points_at_the_name_server_that_was_asked_for() {
    let served = Served::parse("z.example", "sub NS ns1.sub\nns1.sub A 192.0.2.1\n");

    let ask = Ask::plain("ns1.sub.z.example", Rtype::A);

    // Owner, target and the glue's owner are pointers to the question.
    let expected = 12 + 23 + (2 + 10 + 2) + (2 + 10 + 4);
    assert_eq!(length(&served, &ask), expected);
}

#[test]
fn a_signed_denial_below_a_host_fits_the_smallest_datagram() {
    let served = Served::parse("1b.example", MAIL_DOMAIN);

    let ask = short("x.mx2.1b.example", Rtype::A);

    let signature = 2 + 10 + 18 + 12 + 64;
    // `ns1.infra` and `hostmaster`, each with a pointer, and five numbers.
    let soa = 2 + 10 + (4 + 6 + 2) + (11 + 2) + 20;
    // `mx2` to `_25._tcp.mx2`, and `_25._tcp` and a pointer to the apex; bitmaps of 8 and 9.
    let denial = (2 + 10 + 25 + 8) + (9 + 2 + 10 + 12 + 9);
    assert_eq!(
        length(&served, &ask),
        12 + 22 + soa + denial + 3 * signature + 11
    );
    assert_eq!(served.ask(&ask).rcode, Rcode::NXDOMAIN);
}

#[test]
fn names_elsewhere_are_shared_within_the_reply_and_with_the_apex() {
    let served = Served::parse("1b.example", MAIL_DOMAIN);

    let octets = |qtype| length(&served, &Ask::plain("1b.example", qtype));

    // `ns1.infra` and a pointer, `ns2` and a pointer.
    assert_eq!(octets(Rtype::NS), 12 + 16 + 2 * 12 + (10 + 2) + (4 + 2));
    // The hosts' addresses point into the MX records.
    assert_eq!(octets(Rtype::MX), 12 + 16 + 2 * (12 + 2 + 6) + 2 * 16);
}

#[test]
fn zones_that_differ_in_the_names_elsewhere_are_told_apart() {
    let parse = |apex: &str, text: &str| {
        let apex = Apex::parse(apex).unwrap();
        let ttl = Ttl::from_secs(60);
        let records = parse_master(text, None, &apex, ttl, &NoIncludes).unwrap();
        TestZone::new(apex, records, |_| Part::Own, 1)
    };
    // As many octets, cut into other labels.
    let texts = [
        ("a.example", "@ NS ns1.infra.test.\n@ NS ns2.infra.test.\n"),
        ("b.example", "@ NS ns1.infra.test.\n@ NS ns2xinfra.test.\n"),
        ("c.example", "@ NS ns1.infra.test.\n@ NS ns2.infrb.test.\n"),
        ("d.test", "@ NS ns1.infra.test.\n@ NS ns2.infra.test.\n"),
        ("a.test", "x CNAME www.elsewhere.test.\n"),
        ("b.test", "x CNAME wwwwelsewhere.test.\n"),
    ];
    let zones: Vec<TestZone> = texts.iter().map(|(apex, text)| parse(apex, text)).collect();
    let served = Served::new(&zones);

    for (zone, (apex, _)) in zones.iter().zip(texts) {
        for (owner, qtype) in [("", Rtype::NS), ("", Rtype::SOA), ("x.", Rtype::CNAME)] {
            let ask = Ask::with_do(&format!("{owner}{apex}"), qtype);
            let reply: Decoded = served.ask(&ask);
            super::agreement::check(zone, &ask, &reply).unwrap();
        }
    }
}
