//! Header, opcodes, classes and malformed messages.

use super::server;
use crate::dns::{
    A, AAAA, ANY, DO, Edns, MX, Query, SOA, TXT, assert_silence, header, name, tcp_raw, udp,
    udp_raw,
};

const NOERROR: u16 = 0;
const FORMERR: u16 = 1;
const NOTIMP: u16 = 4;
const REFUSED: u16 = 5;

/// A SOA question for the zone's apex, without a header.
fn soa_question() -> Vec<u8> {
    [name("conf.test"), vec![0, SOA as u8, 0, 1]].concat()
}

#[test]
fn rfc8906_3_1_1_everything_that_is_a_query_is_answered() {
    for qtype in [A, MX, TXT, AAAA, ANY, 1000, 65_534] {
        let reply = udp(server(), &Query::new("conf.test", qtype));

        assert!(reply.qr(), "type {qtype}");
        assert_eq!(reply.rcode(), NOERROR, "type {qtype}");
    }
}

#[test]
fn rfc1035_4_1_1_responses_and_cut_off_headers_are_dropped() {
    let query = Query::new("conf.test", SOA).octets();
    for length in 0..12 {
        assert_silence(server(), &query[..length]);
    }
    assert_silence(
        server(),
        &Query::new("conf.test", SOA).flags(0x8000).octets(),
    );
    assert_silence(server(), &header(7, 0xf800, [0; 4]));
}

#[test]
fn rfc1035_4_1_1_messages_cut_off_behind_the_header_are_format_errors() {
    let query = Query::new("conf.test", SOA).edns(Edns::default()).octets();
    for length in 12..query.len() {
        let reply = udp_raw(server(), &query[..length]);

        assert_eq!(reply.rcode() & 0xf, FORMERR, "{length} octets");
        assert_eq!(reply.id, 0x4d58);
        assert!(reply.answer.is_empty() && !reply.aa());
    }
}

#[test]
fn rfc1035_4_1_1_id_and_rd_come_back_and_reserved_bits_do_not() {
    // RD, RA, Z, AD and CD set; opcode QUERY.
    let mut query = Query::new("conf.test", SOA).flags(0x0100 | 0x0080 | 0x0040 | 0x0020);
    query.id = 0xbeef;
    let reply = udp(server(), &query);

    assert_eq!(reply.id, 0xbeef);
    assert!(reply.qr() && reply.aa() && reply.rd());
    assert!(!reply.ra() && !reply.z() && !reply.tc());
    assert!(!udp(server(), &Query::new("conf.test", SOA)).rd());
}

#[test]
fn rfc4035_3_1_6_ad_is_never_set() {
    let reply = udp(
        server(),
        &Query::new("conf.test", SOA).dnssec().flags(0x0020),
    );

    assert!(!reply.ad());
}

#[test]
fn rfc8906_8_1_3_1_cd_is_copied() {
    assert!(udp(server(), &Query::new("conf.test", SOA).flags(0x0010)).cd());
    assert!(!udp(server(), &Query::new("conf.test", SOA)).cd());
}

#[test]
fn rfc1035_4_1_1_aa_is_set_for_data_and_denials_only() {
    let aa = |qname: &str, qtype| udp(server(), &Query::new(qname, qtype)).aa();

    assert!(aa("conf.test", MX));
    assert!(aa("conf.test", AAAA));
    assert!(aa("nothere.conf.test", A));
    assert!(!aa("host.secure.conf.test", A), "a referral");
    assert!(!aa("elsewhere.test", A), "not ours");
}

#[test]
fn rfc8906_3_1_4_unknown_opcodes_get_a_bare_not_implemented() {
    for opcode in (1..16_u16).filter(|opcode| *opcode != 0) {
        // All flag bits but QR, and a body that may be anything.
        let flags = opcode << 11 | 0x07f0;
        let mut octets = header(0x0102, flags, [1, 0, 0, 0]);
        octets.extend(soa_question());
        octets.extend(b"whatever follows");
        let reply = udp_raw(server(), &octets);

        assert_eq!(reply.octets.len(), 12, "opcode {opcode}: a header alone");
        assert_eq!(reply.id, 0x0102);
        assert_eq!(
            reply.flags,
            0x8000 | opcode << 11 | NOTIMP,
            "opcode {opcode}"
        );
        assert_eq!(reply.octets[4..12], [0; 8]);
    }
}

#[test]
fn rfc2136_rfc1996_rfc8490_update_notify_and_dso_are_not_implemented() {
    for opcode in [4_u16, 5, 6] {
        let reply = udp_raw(server(), &header(1, opcode << 11, [0; 4]));

        assert_eq!(reply.rcode(), NOTIMP);
        assert_eq!(reply.opcode(), opcode);
    }
}

#[test]
fn rfc9619_4_a_query_has_one_question() {
    for (count, questions) in [(0, 0), (2, 2), (3, 1), (0, 1), (u16::MAX, 1), (u16::MAX, 0)] {
        let mut octets = header(9, 0, [count, 0, 0, 0]);
        for _ in 0..questions {
            octets.extend(soa_question());
        }
        let reply = udp_raw(server(), &octets);

        assert_eq!(
            reply.rcode(),
            FORMERR,
            "QDCOUNT {count}, {questions} present"
        );
    }
}

#[test]
fn rfc1035_4_1_a_query_has_no_answer_and_nothing_behind_its_end() {
    let question = soa_question();
    let record = [
        &name("conf.test")[..],
        &[0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 192, 0, 2, 1],
    ]
    .concat();
    let with_answer = [header(9, 0, [1, 1, 0, 0]), question.clone(), record.clone()].concat();
    let with_authority = [header(9, 0, [1, 0, 1, 0]), question.clone(), record].concat();
    let with_garbage = [header(9, 0, [1, 0, 0, 0]), question, vec![0]].concat();
    for octets in [with_answer, with_authority, with_garbage] {
        assert_eq!(udp_raw(server(), &octets).rcode(), FORMERR);
        assert_eq!(tcp_raw(server(), &octets).rcode(), FORMERR);
    }
}

#[test]
fn rfc1995_3_an_ixfr_query_may_carry_its_soa() {
    let mut octets = header(9, 0, [1, 0, 1, 0]);
    octets.extend(name("conf.test"));
    octets.extend([0, 251, 0, 1]);
    octets.extend(name("conf.test"));
    octets.extend([0, SOA as u8, 0, 1, 0, 0, 0, 0, 0, 22, 0, 0]);
    octets.extend([0; 20]);
    let reply = udp_raw(server(), &octets);

    // Transfers are not offered, but the message is well formed.
    assert_eq!(reply.rcode(), REFUSED);
}

#[test]
fn rfc1035_4_1_4_pointers_in_a_question_are_format_errors() {
    let header = || header(9, 0, [1, 0, 0, 0]);
    let tail = [0, 1, 0, 1];
    // To itself, forward, into the header, and behind a label.
    for qname in [
        &[0xc0, 12][..],
        &[0xc0, 40],
        &[0xc0, 0],
        &[1, b'a', 0xc0, 12],
        &[0x40, 1],
        &[0x80, 1],
    ] {
        let octets = [&header()[..], qname, &tail].concat();

        assert_eq!(udp_raw(server(), &octets).rcode(), FORMERR, "{qname:02x?}");
    }
}

#[test]
fn rfc1035_2_3_4_a_question_of_more_than_255_octets_is_a_format_error() {
    let label = [&[63][..], &[b'a'; 63]].concat();
    let longest = [&label[..], &label, &label, &[61], &[b'a'; 61], &[0]].concat();
    let too_long = [&label[..], &label, &label, &[62], &[b'a'; 62], &[0]].concat();
    let ask = |qname: Vec<u8>| {
        let octets = [header(9, 0, [1, 0, 0, 0]), qname, vec![0, 1, 0, 1]].concat();
        udp_raw(server(), &octets).rcode()
    };

    assert_eq!(longest.len(), 255);
    assert_eq!(ask(longest), REFUSED);
    assert_eq!(ask(too_long), FORMERR);
}

#[test]
fn rfc4892_2_other_classes_are_refused_and_tell_no_version() {
    for class in [3, 4, 255, 254, 2, 0] {
        for qname in [
            "version.bind",
            "id.server",
            "hostname.bind",
            "version.server",
            "conf.test",
        ] {
            let reply = udp(server(), &Query::new(qname, TXT).class(class));

            assert_eq!(reply.rcode(), REFUSED, "{qname} class {class}");
            assert!(reply.answer.is_empty() && !reply.aa());
        }
    }
}

#[test]
fn rfc8906_3_1_2_names_that_are_not_ours_are_refused_without_a_referral() {
    for qname in [
        "elsewhere.test",
        "test",
        ".",
        "xconf.test",
        "conf.test.example",
    ] {
        for qtype in [A, 2, SOA, 43] {
            let reply = udp(server(), &Query::new(qname, qtype).dnssec());

            assert_eq!(reply.rcode(), REFUSED, "{qname} {qtype}");
            assert!(!reply.aa() && !reply.ra());
            assert!(reply.answer.is_empty() && reply.authority.is_empty());
            assert!(reply.additional.is_empty());
            assert!(reply.opt.is_some());
        }
    }
}

#[test]
fn rfc5358_4_no_recursion_is_offered() {
    let reply = udp(server(), &Query::new("www.elsewhere.test", A).flags(0x0100));

    assert_eq!(reply.rcode(), REFUSED);
    assert!(!reply.ra() && reply.answer.is_empty());
}

#[test]
fn rfc8906_3_1_4_random_octets_are_dropped_or_answered_and_never_harm() {
    // A small generator of our own: the same octets in every run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a loopback port is free");
    socket.connect(server()).expect("loopback can be reached");
    for round in 0..4_000 {
        let length = (next() % 120) as usize;
        let mut octets: Vec<u8> = (0..length).map(|_| next() as u8).collect();
        if round % 2 == 0 && length > 12 {
            // Half of them look like queries.
            octets[2..12].copy_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, (round % 3) as u8]);
        }
        socket.send(&octets).expect("loopback takes a datagram");
    }

    let reply = udp(
        server(),
        &Query::new("conf.test", SOA).edns(Edns {
            flags: DO,
            ..Edns::default()
        }),
    );
    assert_eq!(reply.rcode(), NOERROR);
}
