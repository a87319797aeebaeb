//! Headers, malformed messages and EDNS: what is said before any zone is looked at.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::fixture::{Ask, NOW, Served, asker};
use crate::wire::decoded::Decoded;
use crate::wire::{Rcode, Rtype, Section};
use crate::zone::{DropReason, Transport, Verdict, answer};

/// Serves a small zone.
fn served() -> &'static Served {
    static SERVED: LazyLock<Served> =
        LazyLock::new(|| Served::parse("z.example", "@ MX 10 mx\nmx A 192.0.2.1\n*.w TXT text\n"));
    &SERVED
}

/// Returns the octets of a plain question for the zone's MX.
fn plain() -> Vec<u8> {
    Ask::plain("z.example", Rtype::MX).to_wire()
}

/// Returns the octets of the same question with an OPT record.
fn with_opt() -> Vec<u8> {
    Ask::with_do("z.example", Rtype::MX).to_wire()
}

/// Sends octets and reads the reply.
fn reply_to(query: &[u8]) -> Decoded {
    let (_, reply) = served().octets(query, Transport::Udp);
    Decoded::read(&reply)
}

/// Returns `query` with the octet at `at` set.
fn with_octet(mut query: Vec<u8>, at: usize, octet: u8) -> Vec<u8> {
    query[at] = octet;
    query
}

#[test]
fn rfc8906_3_1_1_only_fragments_of_headers_and_responses_get_no_reply() {
    let mut reply = Vec::new();
    let mut verdict = |octets: &[u8]| {
        let verdict = answer(
            &served().reader.view(),
            octets,
            &asker(Transport::Udp),
            NOW,
            &mut reply,
        );
        (verdict, reply.len())
    };

    let too_short = (Verdict::Drop(DropReason::TooShort), 0);
    let is_response = (Verdict::Drop(DropReason::IsResponse), 0);
    assert_eq!(verdict(&[]), too_short);
    assert_eq!(verdict(&plain()[..11]), too_short);
    assert_eq!(verdict(&with_octet(plain(), 2, 0x80)), is_response);
    for length in 12..with_opt().len() {
        assert_eq!(reply_to(&with_opt()[..length]).rcode, Rcode::FORMERR);
    }
}

#[test]
fn rfc8906_3_1_4_other_opcodes_get_a_bare_header() {
    for opcode in 1..16_u8 {
        let mut query = with_opt();
        // With every flag set, and a body that is not understood.
        query[2] = opcode << 3 | 0x07;
        query[3] = 0xff;
        query.truncate(20);

        let (_, reply) = served().octets(&query, Transport::Udp);

        let expected = [0x12, 0x34, 0x80 | opcode << 3, 4, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(reply, expected);
        assert_eq!(Decoded::read(&reply).opcode.number(), opcode);
    }
}

#[test]
fn rd_and_cd_come_back_and_no_other_flag() {
    // AA TC RD, then RA Z AD CD and a code.
    let mut query = with_octet(plain(), 2, 0x07);
    query[3] = 0xff;

    let reply = reply_to(&query);

    assert_eq!(reply.flags, "QR AA RD CD");
    assert_eq!(reply.rcode, Rcode::NOERROR);
    assert_eq!(reply_to(&plain()).flags, "QR AA");
}

#[test]
fn rfc9619_4_there_is_exactly_one_question() {
    let none = reply_to(&with_octet(plain()[..12].to_vec(), 5, 0));
    let two = [&with_opt()[..27], &plain()[12..], &with_opt()[27..]].concat();
    let two = reply_to(&with_octet(two, 5, 2));
    let many = reply_to(&with_octet(plain(), 4, 0xff));

    for reply in [&none, &two, &many] {
        assert_eq!((reply.rcode, reply.questions.len()), (Rcode::FORMERR, 0));
        assert_eq!(reply.flags, "QR");
    }
    assert!(two.edns.is_some());
}

#[test]
fn records_where_a_query_has_none_are_malformed() {
    // A record without data: the root, type A, class IN.
    let record = [0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0];
    for count in [7, 9] {
        let query = [&plain()[..], &record].concat();
        assert_eq!(reply_to(&with_octet(query, count, 1)).rcode, Rcode::FORMERR);
    }
    // Behind the question they are passed over.
    let query = [&plain()[..], &record].concat();
    assert_eq!(reply_to(&with_octet(query, 11, 1)).rcode, Rcode::NOERROR);
    // An IXFR says which version it has (RFC 1995, section 3): not malformed, but refused.
    let mut ixfr = Ask::plain("z.example", Rtype::IXFR).to_wire();
    ixfr.extend_from_slice(&[0, 0, 6, 0, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(reply_to(&with_octet(ixfr, 9, 1)).rcode, Rcode::REFUSED);
}

#[test]
fn garbage_and_compressed_questions_are_malformed() {
    let trailing = [&with_opt()[..], b"x"].concat();
    let trailing = reply_to(&trailing);
    assert_eq!(trailing.rcode, Rcode::FORMERR);
    assert!(trailing.edns.is_some());
    assert_eq!(trailing.questions.len(), 1);

    for question in [
        &b"\xc0\x0c\x00\x0f\x00\x01"[..],
        b"\x01a\xc0\x0c\x00\x0f\x00\x01",
    ] {
        let query = [&plain()[..12], question].concat();
        assert_eq!(reply_to(&query).rcode, Rcode::FORMERR);
    }
    // An OPT record whose owner is a loop.
    let looping = [&plain()[..], &[0xc0, 27, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]].concat();
    assert_eq!(reply_to(&with_octet(looping, 11, 1)).rcode, Rcode::FORMERR);
}

#[test]
fn other_classes_are_refused() {
    for class in [0, 3, 4, 254, 255] {
        let query = plain();
        let at = query.len() - 1;
        let reply = reply_to(&with_octet(query, at, class));

        assert_eq!(reply.rcode, Rcode::REFUSED);
        assert_eq!(reply.flags, "QR");
        assert!(reply.has_no_records());
    }
}

#[test]
fn types_that_are_no_data_are_refused_each_in_its_way() {
    for (qtype, rcode) in [
        (Rtype::AXFR, Rcode::REFUSED),
        (Rtype::IXFR, Rcode::REFUSED),
        (Rtype::MAILA, Rcode::NOTIMP),
        (Rtype::MAILB, Rcode::NOTIMP),
        (Rtype::OPT, Rcode::FORMERR),
        (Rtype::TSIG, Rcode::FORMERR),
        (Rtype::TKEY, Rcode::FORMERR),
        (Rtype::NXNAME, Rcode::FORMERR),
        (Rtype::new(200), Rcode::NOERROR),
        (Rtype::new(0), Rcode::NOERROR),
        (Rtype::new(65400), Rcode::NOERROR),
    ] {
        let reply = served().ask(&Ask::plain("z.example", qtype));

        assert_eq!(reply.rcode, rcode, "{qtype}");
        assert!(reply.section(Section::Answer).is_empty());
        assert_eq!(reply.flags.contains("AA"), rcode == Rcode::NOERROR);
    }
}

#[test]
fn rfc6891_6_1_1_opt_comes_back_if_and_only_if_it_came() {
    assert_eq!(reply_to(&plain()).edns, None);
    assert_eq!(reply_to(&with_opt()).edns, Some((0, 1232, true)));
    let mut plain_opt = Ask::with_do("z.example", Rtype::MX);
    plain_opt.dnssec_ok = false;
    assert_eq!(served().ask(&plain_opt).edns, Some((0, 1232, false)));
    // In errors, too.
    let other = Ask::with_do("other.example", Rtype::MX);
    let refused = served().ask(&other);
    assert_eq!(refused.rcode, Rcode::REFUSED);
    assert_eq!(refused.edns, Some((0, 1232, true)));
}

#[test]
fn rfc6891_6_1_1_a_wrong_opt_is_malformed() {
    let opt = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];
    let two = [&plain()[..], &opt, &opt].concat();
    let owned = [&plain()[..], b"\x01a", &opt].concat();
    // Options of one octet, and of one that says to be longer than it is.
    let cut = [&plain()[..], &opt[..10], &[1, 0]].concat();
    let long = [&plain()[..], &opt[..10], &[4, 0, 3, 0, 1]].concat();

    for (query, count) in [(two, 2), (owned, 1), (cut, 1), (long, 1)] {
        let reply = reply_to(&with_octet(query, 11, count));

        assert_eq!(reply.rcode, Rcode::FORMERR);
        assert!(reply.edns.is_some());
        assert_eq!(reply.flags, "QR");
    }
}

#[test]
fn rfc6891_6_1_3_later_versions_are_told_ours() {
    let mut query = with_opt();
    let version = query.len() - 5;
    query[version] = 1;
    // Flags that nobody knows, too.
    query[version + 1] = 0xff;
    query[version + 2] = 0xff;

    let (_, octets) = served().octets(&query, Transport::Udp);

    let reply = Decoded::read(&octets);
    assert_eq!(reply.rcode, Rcode::BADVERS);
    assert_eq!(reply.edns, Some((0, 1232, true)));
    assert_eq!(octets[octets.len() - 4..], [0x80, 0, 0, 0]);
    assert_eq!(reply.flags, "QR");
    assert!(reply.has_no_records());
}

#[test]
fn rfc6891_6_1_1_unknown_options_are_passed_over() {
    let mut query = with_opt();
    let length = query.len() - 1;
    query[length] = 9;
    // NSID without data, and a made-up option of one octet.
    query.extend_from_slice(&[0, 3, 0, 0, 0xfe, 0, 0, 1, 7]);

    let (_, octets) = served().octets(&query, Transport::Udp);

    assert_eq!(Decoded::read(&octets).rcode, Rcode::NOERROR);
    assert_eq!(octets[octets.len() - 2..], [0, 0]);
}

#[test]
fn rfc8945_5_2_1_a_signature_with_an_unknown_key_is_answered_with_badkey() {
    let mut query = with_opt();
    query.extend_from_slice(b"\x03Key\xc0\x0e\x00\xfa\x00\xff\x00\x00\x00\x00\x00\x31");
    query.extend_from_slice(b"\x0bhmac-sha256\x00\x00\x00\x00\x00\x00\x07\x01\x2c\x00\x10");
    query.extend_from_slice(&[0xab; 16]);
    query.extend_from_slice(b"\x12\x34\x00\x00\x00\x00");
    let length = query.len() - b"\x0bhmac-sha256\x00".len() - 16 - 16;
    query[length - 1] = (query.len() - length) as u8;
    let query = with_octet(query, 11, 2);

    let (_, octets) = served().octets(&query, Transport::Udp);

    let reply = Decoded::read(&octets);
    assert_eq!(reply.rcode, Rcode::NOTAUTH);
    assert!(reply.has_tsig && reply.edns.is_some() && reply.has_no_records());
    // No MAC, the id, BADKEY, nothing more.
    assert_eq!(octets[octets.len() - 8..], [0, 0, 0x12, 0x34, 0, 17, 0, 0]);
    // In front of other records it is malformed.
    let misplaced = [&query[..], &[0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    assert_eq!(
        reply_to(&with_octet(misplaced, 11, 3)).rcode,
        Rcode::FORMERR
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn arbitrary_octets_are_answered_or_dropped(
        mut octets in prop::collection::vec(any::<u8>(), 0..80),
        as_query in any::<bool>(),
    ) {
        if let (Some(flags), true) = (octets.get_mut(2), as_query) {
            *flags &= 0x07;
        }
        let mut reply = Vec::new();

        match answer(&served().reader.view(), &octets, &asker(Transport::Udp), NOW, &mut reply) {
            Verdict::Drop(_) => prop_assert!(reply.is_empty()),
            Verdict::Reply(answered) => {
                prop_assert_eq!(Decoded::read(&reply).rcode, answered.rcode);
                prop_assert!(reply.len() <= 1232);
            }
        }
    }

    #[test]
    fn damaged_queries_are_answered_or_dropped(
        at in prop::collection::vec((0_usize..60, any::<u8>()), 1..4),
        length in 0_usize..60,
    ) {
        let mut octets = with_opt();
        for (at, octet) in at {
            if let Some(damaged) = octets.get_mut(at) {
                *damaged = octet;
            }
        }
        octets.truncate(length.max(12));
        let mut reply = Vec::new();

        if let Verdict::Reply(answered) =
            answer(&served().reader.view(), &octets, &asker(Transport::Udp), NOW, &mut reply)
        {
            prop_assert_eq!(Decoded::read(&reply).rcode, answered.rcode);
            prop_assert!(reply.len() <= 1232);
        }
    }
}
