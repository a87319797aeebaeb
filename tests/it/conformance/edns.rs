//! EDNS: versions, sizes, options, flags.

use super::server;
use crate::dns::{DNSKEY, DO, Edns, Query, SOA, TXT, header, name, tcp, udp, udp_raw};

const FORMERR: u16 = 1;
const BADVERS: u16 = 16;

/// An apex SOA query with the given OPT record.
fn soa(edns: Edns) -> Query {
    Query::new("conf.test", SOA).edns(edns)
}

#[test]
fn rfc6891_6_1_1_opt_comes_back_if_and_only_if_it_was_sent() {
    for (qname, qtype) in [
        ("conf.test", SOA),
        ("nothere.conf.test", 1),
        ("elsewhere.test", 1),
        ("big.conf.test", TXT),
    ] {
        assert!(
            udp(server(), &Query::new(qname, qtype)).opt.is_none(),
            "{qname}"
        );
        let reply = udp(server(), &Query::new(qname, qtype).edns(Edns::default()));
        let opt = reply.opt.unwrap_or_else(|| panic!("{qname}: no OPT"));
        assert_eq!(opt.owner, ".");
        assert_eq!(opt.class, 1232, "our size");
        assert_eq!(opt.ttl & 0x00ff_ffff, 0, "version 0, no flags");
        let ede: &[u8] = &[0, 15, 0, 2, 0, 20];
        let options = if qname == "elsewhere.test" { ede } else { &[] };
        assert_eq!(opt.rdata, options, "nothing but why there is no answer");
    }
}

#[test]
fn rfc6891_6_1_1_opt_may_stand_anywhere_in_additional() {
    let stranger = [
        &name("a.test")[..],
        &[0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4],
    ]
    .concat();
    let question = [name("conf.test"), vec![0, SOA as u8, 0, 1]].concat();
    let opt = Edns::default().octets();
    for order in [[&stranger, &opt], [&opt, &stranger]] {
        let octets = [
            &header(1, 0, [1, 0, 0, 2])[..],
            &question,
            order[0],
            order[1],
        ]
        .concat();
        let reply = udp_raw(server(), &octets);

        assert_eq!(reply.rcode(), 0);
        assert!(reply.opt.is_some());
    }
}

#[test]
fn rfc6891_6_1_1_malformed_opts_are_format_errors_with_opt() {
    let question = [name("conf.test"), vec![0, SOA as u8, 0, 1]].concat();
    let opt = Edns::default().octets();
    let mut named = name("a");
    named.extend(&opt[1..]);
    // An option that claims more octets than there are, and half an option header.
    let mut overlong = opt.clone();
    overlong[10] = 4;
    overlong.extend([0, 3, 0, 9]);
    let mut half = opt.clone();
    half[10] = 2;
    half.extend([0, 3]);
    for (count, opts) in [
        (2, [opt.clone(), opt].concat()),
        (1, named),
        (1, overlong),
        (1, half),
    ] {
        let octets = [&header(1, 0, [1, 0, 0, count])[..], &question, &opts].concat();
        let reply = udp_raw(server(), &octets);

        assert_eq!(reply.rcode(), FORMERR, "{opts:02x?}");
        assert!(reply.opt.is_some(), "{opts:02x?}");
        assert!(reply.answer.is_empty());
    }
}

#[test]
fn rfc6891_6_1_3_other_versions_get_badvers_and_nothing_else() {
    for version in [1, 2, 255] {
        for options in [
            vec![],
            vec![(100, vec![1, 2])],
            vec![(3, vec![])],
            vec![(10, vec![1; 8])],
        ] {
            let reply = udp(
                server(),
                &soa(Edns {
                    version,
                    flags: DO,
                    options,
                    ..Edns::default()
                }),
            );

            assert_eq!(reply.rcode(), BADVERS);
            let opt = reply.opt.as_ref().expect("BADVERS needs OPT");
            assert_eq!(opt.ttl >> 16 & 0xff, 0, "our version is 0");
            assert!(opt.rdata.is_empty(), "options are not echoed");
            assert!(reply.answer.is_empty() && !reply.aa());
        }
    }
}

#[test]
fn rfc6891_6_1_1_unknown_options_are_ignored_and_not_echoed() {
    for code in [100, 65_001, 8, 9, 3, 11, 12] {
        let options = vec![(code, vec![0; if code == 11 { 0 } else { 8 }])];
        let reply = udp(
            server(),
            &soa(Edns {
                options,
                ..Edns::default()
            }),
        );

        assert_eq!(reply.rcode(), 0, "option {code}");
        assert_eq!(reply.answers(SOA).len(), 1);
        assert!(reply.opt.expect("OPT").rdata.is_empty(), "option {code}");
    }
}

#[test]
fn rfc6891_6_1_4_do_is_copied_and_other_flags_are_not() {
    let flags = |flags: u16| {
        let reply = udp(
            server(),
            &soa(Edns {
                flags,
                ..Edns::default()
            }),
        );
        reply.opt.expect("OPT").ttl as u16
    };

    assert_eq!(flags(DO), DO);
    assert_eq!(flags(0x0080), 0);
    assert_eq!(flags(0x7fff), 0);
    assert_eq!(flags(0xffff), DO);
}

#[test]
fn rfc6891_6_2_3_sizes_below_512_count_as_512() {
    // "mid" takes just above 512 octets with an OPT record and below without it being counted.
    for size in [0, 1, 511, 512] {
        let reply = udp(
            server(),
            &Query::new("mid.conf.test", TXT).edns(Edns {
                size,
                ..Edns::default()
            }),
        );
        let whole = udp(
            server(),
            &Query::new("mid.conf.test", TXT).edns(Edns::default()),
        );

        assert!(!whole.tc());
        assert!(reply.octets.len() <= 512);
        assert_eq!(reply.tc(), whole.octets.len() > 512, "size {size}");
        let small = udp(
            server(),
            &soa(Edns {
                size,
                ..Edns::default()
            }),
        );
        assert!(!small.tc() && small.answers(SOA).len() == 1, "size {size}");
    }
}

#[test]
fn rfc9715_3_1_no_udp_reply_exceeds_1232_octets_or_what_the_client_takes() {
    for size in [512, 800, 1232, 4096, 65_535] {
        for (qname, qtype) in [
            ("big.conf.test", TXT),
            ("mid.conf.test", TXT),
            ("conf.test", DNSKEY),
            ("manyglue.conf.test", 1),
            ("nothere.conf.test", 1),
        ] {
            let edns = Edns {
                size,
                flags: DO,
                ..Edns::default()
            };
            let reply = udp(server(), &Query::new(qname, qtype).edns(edns));

            assert!(
                reply.octets.len() <= usize::from(size.min(1232)),
                "{qname} at {size}"
            );
        }
    }
    assert!(
        udp(server(), &Query::new("big.conf.test", TXT))
            .octets
            .len()
            <= 512
    );
}

#[test]
fn rfc2181_9_a_truncated_reply_is_question_and_opt_alone() {
    let reply = udp(server(), &Query::new("big.conf.test", TXT).dnssec());

    assert!(reply.tc());
    assert_eq!(reply.rcode(), 0);
    assert!(reply.answer.is_empty() && reply.authority.is_empty() && reply.additional.is_empty());
    assert_eq!(
        reply.question,
        [name("big.conf.test"), vec![0, 16, 0, 1]].concat()
    );
    assert_eq!(reply.opt.expect("OPT").ttl as u16, DO);
}

#[test]
fn rfc8906_3_2_7_the_udp_limit_does_not_bind_tcp() {
    let reply = tcp(
        server(),
        &Query::new("big.conf.test", TXT).edns(Edns {
            size: 512,
            ..Edns::default()
        }),
    );

    assert!(!reply.tc());
    assert_eq!(reply.answers(TXT).len(), 12);
}
