//! Names, types and what an answer is made of.

use super::server;
use crate::dns::{
    A, AAAA, ANY, CNAME, DNAME, DO, DS, Edns, MX, NS, NSEC, Query, RRSIG, Record, Reply, SOA, TLSA,
    TXT, name, tcp, udp,
};

const NOERROR: u16 = 0;
const FORMERR: u16 = 1;
const NXDOMAIN: u16 = 3;
const NOTIMP: u16 = 4;
const REFUSED: u16 = 5;
const YXDOMAIN: u16 = 6;

/// Asks without EDNS.
fn plain(qname: &str, qtype: u16) -> Reply {
    udp(server(), &Query::new(qname, qtype))
}

/// Asks with DO.
fn signed(qname: &str, qtype: u16) -> Reply {
    udp(server(), &Query::new(qname, qtype).dnssec())
}

/// Returns owner and type of each record.
fn shape(records: &[Record]) -> Vec<(String, u16)> {
    records
        .iter()
        .map(|record| (record.owner.clone(), record.rtype))
        .collect()
}

/// Asserts that a reply is NODATA with the zone's SOA.
fn assert_nodata(reply: &Reply, context: &str) {
    assert_eq!(reply.rcode(), NOERROR, "{context}");
    assert!(reply.answer.is_empty() && reply.aa(), "{context}");
    assert_eq!(reply.authorities(SOA).len(), 1, "{context}");
}

#[test]
fn rfc4343_4_1_the_case_of_a_question_is_kept_and_does_not_matter() {
    for qname in ["MX1.conf.test", "mX1.CoNf.TeSt", "mx1.conf.TEST"] {
        let reply = plain(qname, A);

        assert_eq!(reply.question, [name(qname), vec![0, 1, 0, 1]].concat());
        assert_eq!(reply.answer.len(), 1);
        assert!(reply.answer[0].owner.eq_ignore_ascii_case("mx1.conf.test."));
        assert_eq!(reply.answer[0].rdata, [192, 0, 2, 25]);
    }
    let reply = plain("NoThErE.conf.test", A);
    assert_eq!(
        reply.question,
        [name("NoThErE.conf.test"), vec![0, 1, 0, 1]].concat()
    );
    assert_eq!(reply.rcode(), NXDOMAIN);
}

#[test]
fn rfc3597_5_unknown_types_are_served_as_they_are() {
    let reply = plain("unknown.conf.test", 65_400);

    assert_eq!(reply.answers(65_400)[0].rdata, [1, 2, 3, 4]);
    assert_nodata(&plain("unknown.conf.test", 65_401), "another unknown type");
    assert_eq!(plain("nothere.conf.test", 65_400).rcode(), NXDOMAIN);
}

#[test]
fn rfc6895_3_1_question_types_that_are_no_data_are_not_looked_up() {
    for (qtype, rcode) in [(252, REFUSED), (251, REFUSED), (253, NOTIMP), (254, NOTIMP)] {
        assert_eq!(plain("conf.test", qtype).rcode(), rcode, "type {qtype}");
        assert_eq!(
            tcp(server(), &Query::new("conf.test", qtype)).rcode(),
            rcode,
            "type {qtype}"
        );
    }
    for qtype in [41, 249, 250, 128] {
        assert_eq!(plain("conf.test", qtype).rcode(), FORMERR, "type {qtype}");
    }
}

#[test]
fn rfc8482_4_1_any_gets_one_rrset() {
    for reply in [
        signed("conf.test", ANY),
        tcp(server(), &Query::new("conf.test", ANY).dnssec()),
    ] {
        let mut data: Vec<u16> = reply
            .answer
            .iter()
            .filter(|r| r.rtype != RRSIG)
            .map(|r| r.rtype)
            .collect();
        data.dedup();

        assert_eq!(reply.rcode(), NOERROR);
        assert_eq!(data.len(), 1, "{:?}", shape(&reply.answer));
        assert_eq!(reply.answers(RRSIG).len(), 1);
        assert_eq!(reply.answers(RRSIG)[0].covers(), data[0]);
        assert!(!reply.tc());
    }
    assert!(plain("conf.test", ANY).answers(RRSIG).is_empty());
    assert_eq!(plain("www.conf.test", ANY).answers(CNAME).len(), 1);
    assert_eq!(plain("nothere.conf.test", ANY).rcode(), NXDOMAIN);
    assert_nodata(
        &plain("_tcp.mx1.conf.test", ANY),
        "ANY at an empty non-terminal",
    );
    assert!(!plain("x.wild.conf.test", ANY).answer.is_empty());
}

#[test]
fn rfc8482_7_rrsig_as_a_question_gets_a_small_answer() {
    let reply = plain("conf.test", RRSIG);

    assert_eq!(reply.rcode(), NOERROR);
    assert!(reply.answers(RRSIG).len() <= 1);
    assert!(reply.octets.len() <= 512);
}

#[test]
fn rfc2308_3_negative_answers_carry_the_soa_with_the_smaller_ttl() {
    for reply in [plain("conf.test", AAAA), plain("nothere.conf.test", A)] {
        assert_eq!(shape(&reply.authority), [("conf.test.".to_owned(), SOA)]);
        assert_eq!(
            reply.authority[0].ttl, 600,
            "MINIMUM is below the SOA's TTL"
        );
    }
    let reply = signed("nothere.conf.test", A);
    for rrsig in reply
        .authorities(RRSIG)
        .iter()
        .filter(|r| r.covers() == SOA)
    {
        assert_eq!(rrsig.ttl, 600, "trimmed likewise");
        assert_eq!(rrsig.rrsig_ttl(), 900, "the original TTL stays");
    }
    assert_eq!(plain("conf.test", SOA).answer[0].ttl, 900);
}

#[test]
fn rfc9715_4_positive_answers_are_minimal() {
    for (qname, qtype) in [("conf.test", TXT), ("conf.test", SOA), ("web.conf.test", A)] {
        let reply = signed(qname, qtype);

        assert!(reply.authority.is_empty(), "{qname}");
    }
}

#[test]
fn rfc2181_5_2_the_records_of_an_rrset_share_a_ttl_and_come_whole() {
    let reply = plain("conf.test", MX);

    assert_eq!(reply.answers(MX).len(), 2);
    assert!(reply.answer.iter().all(|record| record.ttl == 3600));
}

#[test]
fn rfc2181_9_additional_data_never_truncates() {
    let reply = udp(
        server(),
        &Query::new("conf.test", MX).edns(Edns {
            size: 512,
            flags: DO,
            ..Edns::default()
        }),
    );

    assert!(!reply.tc());
    assert_eq!(reply.answers(MX).len(), 2);
    for record in &reply.additional {
        assert!(record.owner == "mx1.conf.test.", "{record:?}");
    }
}

#[test]
fn rfc1034_4_3_2_a_cname_is_followed_within_the_zone() {
    let reply = plain("chain1.conf.test", A);

    assert_eq!(
        shape(&reply.answer),
        [
            ("chain1.conf.test.".to_owned(), CNAME),
            ("chain2.conf.test.".to_owned(), CNAME),
            ("chain3.conf.test.".to_owned(), A),
        ]
    );
    assert_eq!(
        shape(&plain("www.conf.test", CNAME).answer),
        [("www.conf.test.".to_owned(), CNAME)]
    );
    let out = plain("out.conf.test", A);
    assert_eq!(out.rcode(), NOERROR);
    assert_eq!(shape(&out.answer), [("out.conf.test.".to_owned(), CNAME)]);
    let signed = signed("chain1.conf.test", A);
    assert_eq!(signed.answers(RRSIG).len(), 3);
}

#[test]
fn rfc6604_3_the_response_code_is_that_of_the_last_name() {
    let dangling = plain("dangling.conf.test", A);
    assert_eq!(dangling.rcode(), NXDOMAIN);
    assert_eq!(dangling.answers(CNAME).len(), 1);
    assert_eq!(dangling.authorities(SOA).len(), 1);

    let nodata = plain("www.conf.test", MX);
    assert_eq!(nodata.rcode(), NOERROR);
    assert_eq!(nodata.answers(CNAME).len(), 1);
    assert_eq!(nodata.authorities(SOA).len(), 1);
}

#[test]
fn rfc1034_5_2_2_a_cname_loop_ends_at_its_repetition() {
    let reply = plain("loop1.conf.test", A);

    assert_eq!(reply.rcode(), NOERROR);
    assert_eq!(
        shape(&reply.answer),
        [
            ("loop1.conf.test.".to_owned(), CNAME),
            ("loop2.conf.test.".to_owned(), CNAME)
        ]
    );
}

#[test]
fn rfc1034_4_3_2_a_cname_into_a_delegation_ends_in_a_referral() {
    let reply = plain("tocut.conf.test", A);

    assert_eq!(reply.rcode(), NOERROR);
    assert_eq!(reply.answers(CNAME).len(), 1);
    assert_eq!(reply.authorities(NS).len(), 2);
}

#[test]
fn rfc6672_3_1_a_dname_comes_with_a_synthesised_unsigned_cname() {
    let reply = signed("x.dname.conf.test", A);

    assert_eq!(
        shape(&reply.answer)
            .into_iter()
            .filter(|(_, t)| *t != RRSIG)
            .collect::<Vec<_>>(),
        [
            ("dname.conf.test.".to_owned(), DNAME),
            ("x.dname.conf.test.".to_owned(), CNAME),
            ("x.target.conf.test.".to_owned(), A),
        ]
    );
    let covered: Vec<u16> = reply.answers(RRSIG).iter().map(|r| r.covers()).collect();
    assert_eq!(covered, [DNAME, A]);
    assert_eq!(reply.answers(CNAME)[0].ttl, reply.answers(DNAME)[0].ttl);
    assert_eq!(reply.answers(CNAME)[0].target(), "x.target.conf.test.");
    // The DNAME's own name is not rewritten, and nothing below it is served.
    assert_nodata(&plain("dname.conf.test", A), "the owner itself");
    assert_eq!(plain("hidden.dname.conf.test", TXT).rcode(), NXDOMAIN);
    assert_eq!(plain("todname.conf.test", A).answers(A).len(), 1);
}

#[test]
fn rfc6672_3_2_a_name_that_would_be_too_long_gets_yxdomain() {
    let label = "a".repeat(63);
    // 255 octets with "dname", 256 with "target".
    let prefix = format!(
        "{label}.{label}.{label}.{}",
        "a".repeat(255 - 3 * 64 - 17 - 1)
    );
    let qname = format!("{prefix}.dname.conf.test");
    assert_eq!(name(&qname).len(), 255);
    let reply = plain(&qname, A);

    assert_eq!(reply.rcode(), YXDOMAIN);
    assert_eq!(
        shape(&reply.answer),
        [("dname.conf.test.".to_owned(), DNAME)]
    );
}

#[test]
fn rfc4592_3_3_1_a_wildcard_stands_for_names_that_do_not_exist() {
    let reply = signed("x.wild.conf.test", TXT);

    assert_eq!(reply.rcode(), NOERROR);
    assert_eq!(reply.answers(TXT)[0].owner, "x.wild.conf.test.");
    assert_eq!(reply.answers(RRSIG)[0].rrsig_labels(), 3);
    let deeper = plain("a.b.c.wild.conf.test", TXT);
    assert_eq!(deeper.answers(TXT)[0].owner, "a.b.c.wild.conf.test.");
    assert_nodata(&plain("x.wild.conf.test", A), "wildcard without the type");
    let alias = plain("x.cnamewild.conf.test", A);
    assert_eq!(alias.answers(CNAME)[0].owner, "x.cnamewild.conf.test.");
    assert_eq!(alias.answers(A).len(), 1);
}

#[test]
fn rfc4592_2_2_2_names_that_exist_block_a_wildcard() {
    assert_nodata(
        &plain("exists.wild.conf.test", TXT),
        "a name with other data",
    );
    assert_nodata(&plain("ent.wild.conf.test", TXT), "an empty non-terminal");
    assert_eq!(plain("x.exists.wild.conf.test", TXT).rcode(), NXDOMAIN);
    assert_eq!(plain("x.ent.wild.conf.test", TXT).rcode(), NXDOMAIN);
}

#[test]
fn rfc4592_2_3_a_wildcard_asked_by_name_is_an_ordinary_name() {
    let reply = signed("*.wild.conf.test", TXT);

    assert_eq!(reply.answers(TXT)[0].owner, "*.wild.conf.test.");
    assert!(reply.authorities(NSEC).is_empty());
}

#[test]
fn rfc4592_2_1_1_a_star_in_the_middle_is_a_label_like_others() {
    assert_eq!(plain("sub.*.literal.conf.test", TXT).answers(TXT).len(), 1);
    assert_nodata(&plain("*.literal.conf.test", TXT), "an empty non-terminal");
    // The wildcard `*.literal` exists as an empty non-terminal, and so nothing comes of it.
    assert_nodata(
        &plain("x.literal.conf.test", TXT),
        "from a wildcard without data",
    );
    assert_nodata(
        &plain("sub.x.literal.conf.test", TXT),
        "below what the wildcard stands for",
    );
}

#[test]
fn rfc4592_2_2_3_empty_non_terminals_exist() {
    for qname in [
        "_tcp.mx1.conf.test",
        "c.deep.conf.test",
        "b.c.deep.conf.test",
        "deep.conf.test",
    ] {
        assert_nodata(&plain(qname, A), qname);
        assert_nodata(&signed(qname, A), qname);
    }
    assert_eq!(plain("_25._tcp.mx1.conf.test", TLSA).answers(TLSA).len(), 1);
    assert_eq!(plain("_26._tcp.mx1.conf.test", TLSA).rcode(), NXDOMAIN);
}

#[test]
fn rfc9471_3_1_referrals_carry_all_in_domain_glue_and_no_aa() {
    for (qname, qtype) in [
        ("host.secure.conf.test", A),
        ("secure.conf.test", A),
        ("secure.conf.test", NS),
    ] {
        let reply = plain(qname, qtype);

        assert_eq!(reply.rcode(), NOERROR);
        assert!(!reply.aa() && reply.answer.is_empty());
        assert_eq!(reply.authorities(NS).len(), 2);
        assert!(reply.authorities(SOA).is_empty());
        let glue: Vec<(String, u16)> = shape(&reply.additional);
        assert!(
            glue.contains(&("ns1.secure.conf.test.".to_owned(), A)),
            "{glue:?}"
        );
        assert!(
            glue.contains(&("ns1.secure.conf.test.".to_owned(), AAAA)),
            "{glue:?}"
        );
    }
}

#[test]
fn rfc9471_3_1_glue_that_does_not_fit_truncates() {
    let query = Query::new("x.manyglue.conf.test", A);
    let reply = udp(server(), &query);
    let whole = tcp(server(), &query);

    assert!(reply.tc());
    assert_eq!(whole.authorities(NS).len(), 5);
    assert_eq!(whole.additional.len(), 10);
    assert!(whole.octets.len() > 512);
}

#[test]
fn rfc5936_3_5_data_below_a_cut_is_never_served() {
    for (qname, qtype) in [
        ("txt.insecure.conf.test", TXT),
        ("ns1.insecure.conf.test", A),
        ("ns1.secure.conf.test", A),
    ] {
        let reply = plain(qname, qtype);

        assert!(!reply.aa() && reply.answer.is_empty(), "{qname}");
        assert!(!reply.authorities(NS).is_empty(), "{qname}");
    }
}

#[test]
fn rfc4035_3_1_4_1_ds_is_answered_by_the_parent_side() {
    let at_cut = signed("secure.conf.test", DS);
    assert!(at_cut.aa());
    assert_eq!(at_cut.answers(DS).len(), 1);
    assert_eq!(at_cut.answers(RRSIG).len(), 1);

    assert_nodata(&plain("insecure.conf.test", DS), "a delegation without DS");
    // The child is hosted here, too: its parent still speaks for the DS.
    let hosted = signed("child.conf.test", DS);
    assert!(hosted.aa());
    assert_eq!(hosted.answers(DS).len(), 1);
    assert_eq!(
        plain("www.child.conf.test", A).answers(A)[0].rdata,
        [192, 0, 2, 90]
    );
    assert_eq!(plain("child.conf.test", SOA).answers(SOA).len(), 1);
}

#[test]
fn rfc4035_3_1_4_1_without_the_parent_ds_is_nodata_from_the_child() {
    let reply = signed("orphan.test", DS);

    assert_nodata(&reply, "no parent hosted");
    assert_eq!(reply.authorities(SOA)[0].owner, "orphan.test.");
    assert_eq!(reply.authorities(NSEC)[0].owner, "orphan.test.");
}

#[test]
fn rfc4035_3_1_4_1_the_closest_hosted_ancestor_answers_for_ds() {
    let reply = signed("deep.below.orphan.test", DS);

    // `orphan.test` does not delegate it: for all it knows, the name does not exist.
    assert_eq!(reply.rcode(), NXDOMAIN);
    assert_eq!(reply.authorities(SOA)[0].owner, "orphan.test.");
    assert_eq!(plain("www.deep.below.orphan.test", A).answers(A).len(), 1);
}

#[test]
fn rfc1034_4_3_2_the_longest_hosted_zone_answers() {
    assert_eq!(
        plain("nothere.child.conf.test", A).authorities(SOA)[0].owner,
        "child.conf.test."
    );
    assert_eq!(
        plain("nothere.conf.test", A).authorities(SOA)[0].owner,
        "conf.test."
    );
}
