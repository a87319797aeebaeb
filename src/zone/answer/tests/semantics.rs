//! What is said of names and types, one rule each.

use super::fixture::{Ask, NOW, Part, Served, TestZone, asker};
use crate::clock::Timestamp;
use crate::wire::decoded::{Decoded, DecodedRecord};
use crate::wire::{Apex, Name, NoIncludes, Rcode, Rtype, Section, Ttl, parse_master};
use crate::zone::{Answered, Layouts, QueryCounter, Transport, Verdict, answer, zone_set};

/// Returns owner and type of each record of a section, with the text of the data of the types that
/// say where one goes.
fn seen(reply: &Decoded, section: Section) -> Vec<String> {
    let text = |record: &DecodedRecord| {
        let (owner, rtype) = (record.owner.to_api_text(), record.rtype);
        match rtype {
            Rtype::RRSIG => {
                let covered = u16::from_be_bytes([record.data[0], record.data[1]]);
                format!("{owner} RRSIG {}", Rtype::new(covered))
            }
            Rtype::CNAME | Rtype::DNAME | Rtype::NS => {
                let target = Name::from_wire(&record.data).unwrap();
                format!("{owner} {rtype} {}", target.to_api_text())
            }
            _ => format!("{owner} {rtype}"),
        }
    };
    reply.section(section).iter().map(text).collect()
}

/// Returns the answer section of a question with DO.
fn answers(served: &Served, qname: &str, qtype: Rtype) -> Vec<String> {
    seen(&served.ask(&Ask::with_do(qname, qtype)), Section::Answer)
}

/// Returns the authority section of a question with DO.
fn authorities(served: &Served, qname: &str, qtype: Rtype) -> Vec<String> {
    seen(&served.ask(&Ask::with_do(qname, qtype)), Section::Authority)
}

#[test]
fn rfc4343_4_1_the_case_of_the_question_comes_back_and_matches() {
    let served = Served::parse("z.example", "a TXT text");
    let mut ask = Ask::plain("a.z.example", Rtype::TXT);
    ask.qname = b"\x01A\x01z\x07ExAmPlE\x00".to_vec();

    let (answered, octets) = served.octets(&ask.to_wire(), Transport::Udp);

    assert_eq!(answered.rcode, Rcode::NOERROR);
    assert_eq!(octets[12..25], ask.qname[..]);
    // The owner is a pointer to the question.
    assert_eq!(octets[29..31], [0xc0, 12]);
}

#[test]
fn names_of_no_zone_are_refused_without_a_word_of_who_has_them() {
    let served = Served::parse("z.example", "");
    for qname in [".", "example", "xz.example", "other.test"] {
        let reply = served.ask(&Ask::with_do(qname, Rtype::NS));

        assert_eq!((reply.rcode, reply.flags.as_str()), (Rcode::REFUSED, "QR"));
        assert!(reply.has_no_records());
        assert_eq!(reply.questions, [(Name::parse(qname).unwrap(), Rtype::NS)]);
    }
}

#[test]
fn expired_signatures_are_not_served() {
    let served = Served::parse("z.example", "a TXT text");
    let query = Ask::with_do("a.z.example", Rtype::TXT).to_wire();
    let rcode = |now: u64| {
        let mut reply = Vec::new();
        let now = Timestamp::from_secs(NOW.as_secs() + now);
        let verdict = answer(
            &served.reader.view(),
            &query,
            &asker(Transport::Udp),
            now,
            &mut reply,
        );
        let Verdict::Reply(Answered { rcode, .. }) = verdict else {
            panic!("dropped");
        };
        let records = Decoded::read(&reply).has_no_records();
        (rcode, records)
    };

    assert_eq!(rcode(100_000), (Rcode::NOERROR, false));
    assert_eq!(rcode(100_001), (Rcode::SERVFAIL, true));
}

#[test]
fn rfc4592_2_2_1_wildcards_by_closest_encloser() {
    // The zone of the RFC's examples.
    let served = Served::parse(
        "example",
        "* TXT wild\n* MX 10 host1\nsub.* TXT sub\nhost1 A 192.0.2.1\n\
         _ssh._tcp.host1 SRV 0 0 0 host1\nsubdel NS ns.example.com.\n",
    );
    let wild = ["host3.example MX", "host3.example RRSIG MX"];
    assert_eq!(answers(&served, "host3.example", Rtype::MX), wild);
    assert_eq!(
        answers(&served, "foo.bar.example", Rtype::TXT),
        ["foo.bar.example TXT", "foo.bar.example RRSIG TXT"]
    );
    for (qname, qtype, rcode) in [
        ("host3.example", Rtype::A, Rcode::NOERROR),
        ("host1.example", Rtype::MX, Rcode::NOERROR),
        ("sub.*.example", Rtype::MX, Rcode::NOERROR),
        ("_telnet._tcp.host1.example", Rtype::SRV, Rcode::NXDOMAIN),
        ("ghost.*.example", Rtype::MX, Rcode::NXDOMAIN),
    ] {
        let reply = served.ask(&Ask::with_do(qname, qtype));
        assert_eq!(reply.rcode, rcode, "{qname}");
        assert_eq!(seen(&reply, Section::Answer), Vec::<String>::new());
    }
    let refers = served.ask(&Ask::with_do("host.subdel.example", Rtype::A));
    assert_eq!(refers.flags, "QR");
}

#[test]
fn rfc4035_3_1_4_a_signature_says_of_how_many_labels_the_wildcard_is() {
    let served = Served::parse("z.example", "*.w TXT wild");

    let reply = served.ask(&Ask::with_do("a.b.w.z.example", Rtype::TXT));

    let rrsig = &reply.section(Section::Answer)[1];
    assert_eq!(rrsig.data[3], 3);
    assert_eq!(
        seen(&reply, Section::Authority),
        ["*.w.z.example NSEC", "*.w.z.example RRSIG NSEC"]
    );
}

#[test]
fn rfc4592_2_2_2_a_wildcard_that_is_an_empty_non_terminal_denies_with_two_records() {
    let served = Served::parse("z.example", "host.*.sub TXT below\nv.sub TXT side");

    let reply = served.ask(&Ask::with_do("x.sub.z.example", Rtype::TXT));

    assert_eq!(reply.rcode, Rcode::NOERROR);
    let owners = seen(&reply, Section::Authority);
    let nsec: Vec<&String> = owners
        .iter()
        .filter(|text| text.ends_with(" NSEC"))
        .collect();
    // The apex's, whose next name is below "*.sub"; and that of "v.sub", behind which "x.sub"
    // would stand.
    assert!(nsec.contains(&&"z.example NSEC".to_owned()), "{nsec:?}");
    assert!(
        nsec.contains(&&"v.sub.z.example NSEC".to_owned()),
        "{nsec:?}"
    );
}

#[test]
fn rfc8020_2_an_empty_non_terminal_exists() {
    let served = Served::parse("z.example", "_smtp._tls TXT v=TLSRPTv1");

    let reply = served.ask(&Ask::plain("_tls.z.example", Rtype::TXT));

    assert_eq!(
        (reply.rcode, reply.flags.as_str()),
        (Rcode::NOERROR, "QR AA")
    );
    assert_eq!(seen(&reply, Section::Authority), ["z.example SOA"]);
}

#[test]
fn rfc2308_3_negative_answers_have_the_smaller_ttl_throughout() {
    let served = Served::parse("z.example", "a TXT text");

    let reply = served.ask(&Ask::with_do("nothere.z.example", Rtype::TXT));

    let negative = Ttl::from_secs(900);
    let records = reply.section(Section::Authority);
    assert_eq!(records.len(), 6);
    assert!(records.iter().all(|record| record.ttl == negative));
    // What was signed is the SOA's own TTL.
    assert_eq!(records[1].data[4..8], 1800_u32.to_be_bytes());
}

#[test]
fn aliases_are_followed_inside_the_zone() {
    let served = Served::parse(
        "z.example",
        "a CNAME b\nb CNAME c.w\n*.w CNAME d\nd A 192.0.2.1\nout CNAME www.test.\n\
         gone CNAME nothere\nsub NS ns.sub\nns.sub A 192.0.2.2\ncut CNAME x.sub\n",
    );
    let all = answers(&served, "a.z.example", Rtype::A);
    let without: Vec<&String> = all.iter().filter(|text| !text.contains("RRSIG")).collect();
    assert_eq!(
        without,
        [
            "a.z.example CNAME b.z.example",
            "b.z.example CNAME c.w.z.example",
            "c.w.z.example CNAME d.z.example",
            "d.z.example A",
        ]
    );
    assert_eq!(
        authorities(&served, "a.z.example", Rtype::A),
        ["*.w.z.example NSEC", "*.w.z.example RRSIG NSEC"]
    );
    let out = served.ask(&Ask::plain("out.z.example", Rtype::A));
    assert_eq!((out.rcode, out.flags.as_str()), (Rcode::NOERROR, "QR AA"));
    assert_eq!(
        seen(&out, Section::Answer),
        ["out.z.example CNAME www.test"]
    );
    // The code speaks of the last name (RFC 6604, section 3).
    let gone = served.ask(&Ask::plain("gone.z.example", Rtype::A));
    assert_eq!(gone.rcode, Rcode::NXDOMAIN);
    assert_eq!(seen(&gone, Section::Answer).len(), 1);
    let cut = served.ask(&Ask::plain("cut.z.example", Rtype::A));
    assert_eq!(cut.flags, "QR AA");
    assert_eq!(
        seen(&cut, Section::Authority),
        ["sub.z.example NS ns.sub.z.example"]
    );
    assert_eq!(seen(&cut, Section::Additional), ["ns.sub.z.example A"]);
    // The alias itself is data.
    let itself = served.ask(&Ask::plain("a.z.example", Rtype::CNAME));
    assert_eq!(seen(&itself, Section::Answer).len(), 1);
}

#[test]
fn a_loop_of_aliases_ends_where_a_name_comes_back() {
    let served = Served::parse(
        "z.example",
        "a CNAME b\nb CNAME c\nc CNAME b\n*.w CNAME x.w\nself CNAME self\n",
    );
    for (qname, links) in [
        ("a.z.example", 3),
        ("self.z.example", 1),
        ("q.w.z.example", 2),
        ("x.w.z.example", 1),
    ] {
        let reply = served.ask(&Ask::plain(qname, Rtype::A));

        assert_eq!(reply.rcode, Rcode::NOERROR);
        assert_eq!(seen(&reply, Section::Answer).len(), links, "{qname}");
        assert!(reply.section(Section::Authority).is_empty());
    }
}

#[test]
fn a_chain_of_aliases_has_an_end() {
    let text: String = (0..40)
        .map(|n| format!("a{n} CNAME a{}\n", n + 1))
        .collect();
    let served = Served::parse("z.example", &text);

    let reply = served.ask_over(&Ask::plain("a0.z.example", Rtype::A), Transport::Tcp);

    assert_eq!(reply.rcode, Rcode::NOERROR);
    assert_eq!(seen(&reply, Section::Answer).len(), 16);
}

#[test]
fn rfc6672_3_1_a_dname_renames_what_is_below_it() {
    let served = Served::parse(
        "z.example",
        "old 60 DNAME new\nold TXT here\nhost.new A 192.0.2.1\nhidden.old A 192.0.2.2\n",
    );
    let reply = served.ask(&Ask::with_do("host.old.z.example", Rtype::A));
    assert_eq!(
        seen(&reply, Section::Answer),
        [
            "old.z.example DNAME new.z.example",
            "old.z.example RRSIG DNAME",
            "host.old.z.example CNAME host.new.z.example",
            "host.new.z.example A",
            "host.new.z.example RRSIG A",
        ]
    );
    assert_eq!(reply.section(Section::Answer)[2].ttl, Ttl::from_secs(60));
    // What stands below it is not served.
    let hidden = served.ask(&Ask::plain("hidden.old.z.example", Rtype::A));
    assert_eq!(hidden.rcode, Rcode::NXDOMAIN);
    // At the DNAME itself there is data.
    let here = served.ask(&Ask::plain("old.z.example", Rtype::TXT));
    assert_eq!(seen(&here, Section::Answer), ["old.z.example TXT"]);
    let alias = served.ask(&Ask::plain("host.old.z.example", Rtype::CNAME));
    assert_eq!(seen(&alias, Section::Answer).len(), 2);
    let any = served.ask(&Ask::plain("host.old.z.example", Rtype::ANY));
    assert_eq!(seen(&any, Section::Answer).len(), 3);
}

#[test]
fn a_dname_that_leads_back_to_itself_is_there_once() {
    let served = Served::parse("z.example", "old DNAME @\n");

    for qtype in [Rtype::DNAME, Rtype::ANY, Rtype::RRSIG] {
        let reply = served.ask(&Ask::with_do("old.old.z.example", qtype));

        assert_eq!(
            seen(&reply, Section::Answer),
            [
                "old.z.example DNAME z.example",
                "old.z.example RRSIG DNAME",
                "old.old.z.example CNAME old.z.example",
            ],
            "{qtype}"
        );
    }
}

#[test]
fn rfc6672_2_2_a_name_that_becomes_too_long_is_yxdomain() {
    let long = ["a".repeat(60).as_str(); 3].join(".");
    let served = Served::parse("z.example", &format!("d DNAME {long}.test.\n"));
    let qname = format!("{0}.{0}.d.z.example", "b".repeat(50));

    let reply = served.ask(&Ask::plain(&qname, Rtype::A));

    assert_eq!(
        (reply.rcode, reply.flags.as_str()),
        (Rcode::YXDOMAIN, "QR AA")
    );
    assert_eq!(reply.section(Section::Answer).len(), 1);
}

/// A zone with two delegations.
const DELEGATIONS: &str = "secure NS ns1.secure\nsecure NS ns2.insecure\nsecure NS ns.test.\n\
     secure DS 1 13 2 0707070707070707070707070707070707070707070707070707070707070707\n\
     ns1.secure A 192.0.2.1\nns1.secure AAAA 2001:db8::1\nwww.secure A 192.0.2.9\n\
     insecure NS ns2.insecure\nns2.insecure A 192.0.2.2\n";

#[test]
fn rfc9471_3_1_a_referral_has_all_glue_and_is_not_authoritative() {
    let served = Served::parse("z.example", DELEGATIONS);

    let secure = served.ask(&Ask::with_do("www.secure.z.example", Rtype::A));
    assert_eq!(secure.flags, "QR");
    assert!(secure.section(Section::Answer).is_empty());
    assert_eq!(
        seen(&secure, Section::Authority)[3..],
        ["secure.z.example DS", "secure.z.example RRSIG DS"]
    );
    assert_eq!(
        seen(&secure, Section::Additional),
        [
            "ns1.secure.z.example A",
            "ns1.secure.z.example AAAA",
            "ns2.insecure.z.example A"
        ]
    );
    // RFC 4035, section 3.1.4: an insecure one proves that there is no DS.
    assert_eq!(
        authorities(&served, "insecure.z.example", Rtype::NS),
        [
            "insecure.z.example NS ns2.insecure.z.example",
            "insecure.z.example NSEC",
            "insecure.z.example RRSIG NSEC",
        ]
    );
    // Without DO there are neither.
    let plain = served.ask(&Ask::plain("secure.z.example", Rtype::TXT));
    assert_eq!(plain.section(Section::Authority).len(), 3);
}

#[test]
fn glue_that_does_not_fit_truncates_and_other_addresses_do_not() {
    let many: String = (0..40)
        .map(|n| {
            format!("sub NS n{n}.sub\nn{n}.sub A 192.0.2.{n}\n@ MX 10 m{n}\nm{n} A 192.0.2.{n}\n")
        })
        .collect();
    let served = Served::parse("z.example", &many);

    let glue = served.ask(&Ask::plain("x.sub.z.example", Rtype::A));
    assert_eq!(glue.flags, "QR TC");
    assert!(glue.has_no_records());
    let over_tcp = Ask::plain("x.sub.z.example", Rtype::A);
    let over_tcp = served.ask_over(&over_tcp, Transport::Tcp);
    assert_eq!(over_tcp.section(Section::Additional).len(), 40);

    let mut ask = Ask::with_do("z.example", Rtype::MX);
    let mail = served.ask(&ask);
    assert_eq!(mail.flags, "QR AA");
    assert_eq!(mail.section(Section::Answer).len(), 41);
    assert!(mail.section(Section::Additional).len() < 80);
    // Not even the MX records fit here: the question and OPT are left (RFC 2181, section 9).
    ask.udp_size = Some(512);
    let short = served.ask(&ask);
    assert_eq!(short.flags, "QR AA TC");
    assert!(short.has_no_records() && short.edns.is_some());
}

#[test]
fn addresses_of_hosts_in_the_zone_go_along_with_their_signatures() {
    let served = Served::parse(
        "z.example",
        "@ MX 10 mx\n@ MX 20 mx\n@ MX 30 mx.test.\nmx A 192.0.2.1\nmx AAAA 2001:db8::1\n",
    );
    let plain = served.ask(&Ask::plain("z.example", Rtype::MX));
    assert_eq!(
        seen(&plain, Section::Additional),
        ["mx.z.example A", "mx.z.example AAAA"]
    );
    assert!(plain.section(Section::Authority).is_empty());
    let signed = served.ask(&Ask::with_do("z.example", Rtype::MX));
    assert_eq!(signed.section(Section::Additional).len(), 4);
}

#[test]
fn rfc4035_3_1_4_1_the_ds_of_a_zone_is_its_parents_to_tell() {
    let child = TestZone::parse("secure.z.example", "www A 192.0.2.7");
    let alone = Served::new(&[child]);
    let reply = alone.ask(&Ask::with_do("secure.z.example", Rtype::DS));
    assert_eq!(
        (reply.rcode, reply.flags.as_str()),
        (Rcode::NOERROR, "QR AA")
    );
    assert_eq!(
        seen(&reply, Section::Authority),
        [
            "secure.z.example SOA",
            "secure.z.example RRSIG SOA",
            "secure.z.example NSEC",
            "secure.z.example RRSIG NSEC",
        ]
    );

    let child = TestZone::parse("secure.z.example", "www A 192.0.2.7");
    let both = Served::new(&[child, TestZone::parse("z.example", DELEGATIONS)]);
    assert_eq!(
        answers(&both, "secure.z.example", Rtype::DS),
        ["secure.z.example DS", "secure.z.example RRSIG DS"]
    );
    // All else below is the child's.
    let www = both.ask(&Ask::plain("www.secure.z.example", Rtype::A));
    assert_eq!(www.section(Section::Answer)[0].data, [192, 0, 2, 7]);
    let none = both.ask(&Ask::with_do("insecure.z.example", Rtype::DS));
    assert_eq!(
        seen(&none, Section::Authority)[2],
        "insecure.z.example NSEC"
    );
}

#[test]
fn rfc8482_4_1_any_is_one_rrset_over_every_transport() {
    let served = Served::parse(
        "z.example",
        "a TXT long-long-long-text\na A 192.0.2.1\na A 192.0.2.2\na AAAA ::1\n",
    );
    for transport in [Transport::Udp, Transport::Tcp] {
        let signed = served.ask_over(&Ask::with_do("a.z.example", Rtype::ANY), transport);
        let expected = ["a.z.example AAAA", "a.z.example RRSIG AAAA"];
        assert_eq!(seen(&signed, Section::Answer), expected);
        let plain = served.ask_over(&Ask::plain("a.z.example", Rtype::ANY), transport);
        assert_eq!(seen(&plain, Section::Answer), expected[..1]);
        // RFC 8482, section 7.
        let rrsig = served.ask_over(&Ask::plain("a.z.example", Rtype::RRSIG), transport);
        assert_eq!(seen(&rrsig, Section::Answer), expected[1..]);
    }
}

#[test]
fn rfc4035_3_1_dnssec_types_without_do_are_ordinary_data() {
    let served = Served::parse(
        "z.example",
        "@ DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==",
    );
    for qtype in [Rtype::NSEC, Rtype::DNSKEY] {
        let reply = served.ask(&Ask::plain("z.example", qtype));
        assert_eq!(
            seen(&reply, Section::Answer),
            [format!("z.example {qtype}")]
        );
    }
    let absent = served.ask(&Ask::plain("z.example", Rtype::TXT));
    assert_eq!(seen(&absent, Section::Authority), ["z.example SOA"]);
}

#[test]
fn rfc3597_4_names_are_compressed_in_the_data_of_the_first_types_only() {
    let apex = "a-rather-long-name-for-a-zone.example";
    let served = Served::parse(
        apex,
        "@ MX 10 mx\n@ SRV 0 0 25 mx\n@ NS ns1.infra.example.\n",
    );
    let (_, mx) = served.octets(&Ask::plain(apex, Rtype::MX).to_wire(), Transport::Udp);
    let (_, srv) = served.octets(&Ask::plain(apex, Rtype::SRV).to_wire(), Transport::Udp);

    assert!(mx.ends_with(b"\x00\x0a\x02mx\xc0\x0c"));
    assert!(srv.ends_with(b"\x02mx\x1da-rather-long-name-for-a-zone\x07example\x00"));
}

#[test]
fn every_key_signs_and_unsigned_zones_say_nothing_of_dnssec() {
    let apex = Apex::parse("z.example").unwrap();
    let zone = |keys| {
        let text = "a TXT text";
        let records = parse_master(text, None, &apex, Ttl::from_secs(60), &NoIncludes).unwrap();
        TestZone::new(apex.clone(), records, |_| Part::Template, keys)
    };
    let two = Served::new(&[zone(2)]);
    let none = Served::new(&[zone(0)]);

    assert_eq!(answers(&two, "a.z.example", Rtype::TXT).len(), 3);
    assert_eq!(answers(&none, "a.z.example", Rtype::TXT).len(), 1);
    assert_eq!(
        authorities(&none, "b.z.example", Rtype::TXT),
        ["z.example SOA"]
    );
    let reply = none.ask(&Ask::with_do("z.example", Rtype::NSEC));
    assert!(reply.section(Section::Answer).is_empty());
}

#[test]
fn long_answers_over_tcp_are_whole() {
    let text: String = (0..3000)
        .map(|n| format!("a TXT text-number-{n}\n"))
        .collect();
    let served = Served::parse("z.example", &text);

    let reply = served.ask_over(&Ask::with_do("a.z.example", Rtype::TXT), Transport::Tcp);
    assert_eq!(seen(&reply, Section::Answer).len(), 0);
    assert!(reply.flags.contains("TC"), "more than a stream can carry");

    let text: String = (0..1500)
        .map(|n| format!("a TXT text-number-{n}\n"))
        .collect();
    let served = Served::parse("z.example", &text);
    let reply = served.ask_over(&Ask::with_do("a.z.example", Rtype::TXT), Transport::Tcp);
    assert_eq!(seen(&reply, Section::Answer).len(), 1501);
}

#[test]
fn an_alias_behind_what_pointers_reach_is_still_followed() {
    // The second link's target stands more than 16383 octets into the message.
    let mut text = String::from("x CNAME y\n");
    for n in 0..8 {
        text.push_str(&format!(
            "{n}.{} CNAME {}.{}\n",
            "l".repeat(60),
            n + 1,
            "l".repeat(60)
        ));
    }
    let apex = Apex::parse("z.example").unwrap();
    let records = parse_master(&text, None, &apex, Ttl::from_secs(60), &NoIncludes).unwrap();
    // With enough keys each link takes 30 signatures.
    let served = Served::new(&[TestZone::new(apex, records, |_| Part::Own, 30)]);
    let qname = format!("0.{}.z.example", "l".repeat(60));

    let reply = served.ask_over(&Ask::with_do(&qname, Rtype::A), Transport::Tcp);

    assert_eq!(reply.rcode, Rcode::NXDOMAIN);
    assert_eq!(reply.section(Section::Answer).len(), 8 * 31);
    let owners = reply.section(Section::Answer).iter();
    let last = owners.last().map(|record| record.owner.to_api_text());
    assert_eq!(last, Some(format!("7.{}.z.example", "l".repeat(60))));
}

#[test]
fn x5_questions_for_an_mx_at_and_below_the_apex_are_counted_over_every_transport() {
    let counter = std::sync::Arc::new(QueryCounter::default());
    let (mut publisher, reader) = zone_set();
    let layouts = Layouts::new();
    let image = |apex| TestZone::parse(apex, "@ MX 0 .").image(&layouts);
    let counted = image("z.example").counted_by(std::sync::Arc::clone(&counter));
    publisher.publish([counted, image("other.example")]);
    let ask = |qname, qtype, transport| {
        let query = Ask::plain(qname, qtype).to_wire();
        answer(
            &reader.view(),
            &query,
            &asker(transport),
            NOW,
            &mut Vec::new(),
        );
    };

    ask("z.example", Rtype::MX, Transport::Udp);
    ask("a.b.z.example", Rtype::MX, Transport::Tcp);
    for qtype in [Rtype::A, Rtype::TXT, Rtype::ANY] {
        ask("z.example", qtype, Transport::Udp);
    }
    ask("other.example", Rtype::MX, Transport::Udp);

    assert_eq!(counter.total(), 2);
}
