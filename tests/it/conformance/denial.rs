//! DNSSEC in answers: signatures, proofs of absence, bitmaps, TTLs.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use mxpool::clock::{Clock, ManualClock, SystemClock};

use super::{server, zones};
use crate::dns::{
    A, AAAA, CDS, DNSKEY, DS, MX, NS, NSEC, Query, RRSIG, Record, Reply, SOA, TLSA, TXT, tcp, udp,
};
use crate::lab::{Lab, Limits};

/// Asks with DO.
fn signed(qname: &str, qtype: u16) -> Reply {
    udp(server(), &Query::new(qname, qtype).dnssec())
}

/// Compares names in canonical order (RFC 4034, section 6.1).
fn canonical(left: &str, right: &str) -> Ordering {
    let labels = |name: &str| -> Vec<String> {
        name.trim_end_matches('.')
            .to_ascii_lowercase()
            .rsplit('.')
            .map(str::to_owned)
            .collect()
    };
    labels(left).cmp(&labels(right))
}

/// Returns whether an NSEC record proves that nothing is at `name`.
fn covers(nsec: &Record, name: &str) -> bool {
    let (owner, next) = (nsec.owner.as_str(), nsec.target());
    let after_owner = canonical(owner, name) == Ordering::Less;
    let before_next = canonical(name, &next) == Ordering::Less;
    if canonical(owner, &next) == Ordering::Less {
        after_owner && before_next
    } else {
        after_owner
    }
}

/// Asserts that every NSEC and SOA in the authority section has its signature.
fn assert_signed(reply: &Reply) {
    for record in reply.answer.iter().chain(&reply.authority) {
        if record.rtype == RRSIG || record.rtype == NS && !reply.aa() {
            continue;
        }
        let of_it =
            |r: &&Record| r.rtype == RRSIG && r.covers() == record.rtype && r.owner == record.owner;
        let section = reply.answer.iter().chain(&reply.authority);
        assert_eq!(section.filter(of_it).count(), 1, "{record:?}");
    }
}

#[test]
fn rfc4035_3_1_signatures_come_with_do_only() {
    for qname in [
        "conf.test",
        "nothere.conf.test",
        "x.wild.conf.test",
        "host.secure.conf.test",
    ] {
        let reply = udp(server(), &Query::new(qname, MX));

        let all = reply
            .answer
            .iter()
            .chain(&reply.authority)
            .chain(&reply.additional);
        assert!(
            all.clone()
                .all(|r| r.rtype != RRSIG && r.rtype != NSEC && r.rtype != DS),
            "{qname}"
        );
    }
    assert_eq!(signed("conf.test", MX).answers(RRSIG).len(), 1);
}

#[test]
fn rfc4035_3_1_dnssec_types_that_are_asked_for_are_ordinary_data() {
    for qtype in [DNSKEY, NSEC, CDS, 60] {
        let reply = udp(server(), &Query::new("conf.test", qtype));

        assert_eq!(reply.answers(qtype).len(), 1, "type {qtype}");
        assert!(reply.answers(RRSIG).is_empty());
    }
    assert_eq!(
        udp(server(), &Query::new("secure.conf.test", DS))
            .answers(DS)
            .len(),
        1
    );
}

#[test]
fn rfc4035_3_1_1_an_answer_whose_signature_does_not_fit_is_truncated() {
    let query = Query::new("big.conf.test", TXT).dnssec();

    assert!(udp(server(), &query).tc());
    assert_eq!(tcp(server(), &query).answers(RRSIG).len(), 1);
}

#[test]
fn rfc4035_3_1_3_1_no_data_is_proven_by_the_nsec_at_the_name() {
    for (qname, qtype) in [
        ("conf.test", AAAA),
        ("mx1.conf.test", TXT),
        ("www.conf.test", NSEC),
    ] {
        let reply = signed(qname, qtype);
        if qtype == NSEC {
            assert_eq!(reply.answers(NSEC).len(), 1);
            continue;
        }
        let nsecs = reply.authorities(NSEC);

        assert_eq!(nsecs.len(), 1, "{qname}");
        assert_eq!(nsecs[0].owner, format!("{qname}."));
        assert!(!nsecs[0].bitmap().contains(&qtype));
        assert_signed(&reply);
    }
}

#[test]
fn rfc4035_3_1_3_2_a_name_error_is_proven_for_the_name_and_its_wildcard() {
    for (qname, encloser) in [
        ("nothere.conf.test", "conf.test"),
        ("_26._tcp.mx1.conf.test", "_tcp.mx1.conf.test"),
        ("x.exists.wild.conf.test", "exists.wild.conf.test"),
        ("x.y.z.conf.test", "conf.test"),
        ("zzz.conf.test", "conf.test"),
        ("hidden.conf.test", "conf.test"),
    ] {
        let reply = signed(qname, A);
        let nsecs = reply.authorities(NSEC);

        assert_eq!(reply.rcode(), 3, "{qname}");
        assert!((1..=2).contains(&nsecs.len()), "{qname}: {nsecs:?}");
        assert!(
            nsecs.iter().any(|nsec| covers(nsec, qname)),
            "{qname}: {nsecs:?}"
        );
        assert!(
            nsecs
                .iter()
                .any(|nsec| covers(nsec, &format!("*.{encloser}"))),
            "{qname}: {nsecs:?}"
        );
        assert_signed(&reply);
    }
}

#[test]
fn rfc4035_3_1_3_2_an_empty_non_terminal_is_proven_by_the_nsec_over_it() {
    for qname in [
        "_tcp.mx1.conf.test",
        "c.deep.conf.test",
        "b.c.deep.conf.test",
        "ent.wild.conf.test",
    ] {
        let reply = signed(qname, A);
        let nsecs = reply.authorities(NSEC);

        assert_eq!(reply.rcode(), 0, "{qname}");
        assert_eq!(nsecs.len(), 1, "{qname}: {nsecs:?}");
        assert!(covers(nsecs[0], qname));
        assert!(
            nsecs[0].target().ends_with(&format!(".{qname}.")),
            "{nsecs:?}"
        );
        assert_signed(&reply);
    }
}

#[test]
fn rfc4035_3_1_3_3_a_wildcard_answer_proves_that_nothing_is_closer() {
    let reply = signed("x.wild.conf.test", TXT);
    let nsecs = reply.authorities(NSEC);

    assert_eq!(nsecs.len(), 1);
    assert!(covers(nsecs[0], "x.wild.conf.test"));
    assert_eq!(reply.answers(RRSIG)[0].rrsig_labels(), 3);
    assert_signed(&reply);
}

#[test]
fn rfc4035_3_1_3_4_wildcard_no_data_is_proven_twice() {
    let reply = signed("x.wild.conf.test", A);
    let nsecs = reply.authorities(NSEC);

    assert_eq!(reply.rcode(), 0);
    let at_wildcard = nsecs.iter().find(|nsec| nsec.owner == "*.wild.conf.test.");
    assert!(
        !at_wildcard
            .expect("the wildcard's NSEC")
            .bitmap()
            .contains(&A)
    );
    assert!(nsecs.iter().any(|nsec| covers(nsec, "x.wild.conf.test")));
    assert_signed(&reply);
}

#[test]
fn rfc4592_2_2_2_a_wildcard_without_data_is_proven_like_an_empty_non_terminal() {
    let reply = signed("x.sub.conf.test", TXT);
    let nsecs = reply.authorities(NSEC);

    assert_eq!(reply.rcode(), 0);
    assert!(reply.answer.is_empty());
    assert!(
        nsecs
            .iter()
            .any(|nsec| nsec.target() == "host.*.sub.conf.test."),
        "{nsecs:?}"
    );
    assert!(
        nsecs.iter().any(|nsec| covers(nsec, "x.sub.conf.test")),
        "{nsecs:?}"
    );
    assert_signed(&reply);
}

#[test]
fn rfc4035_3_1_4_referrals_carry_ds_or_the_proof_of_its_absence() {
    let secure = signed("host.secure.conf.test", A);
    assert_eq!(secure.authorities(DS).len(), 1);
    assert_eq!(secure.authorities(RRSIG).len(), 1, "over the DS alone");
    assert!(secure.authorities(NSEC).is_empty());

    let insecure = signed("host.insecure.conf.test", A);
    let nsecs = insecure.authorities(NSEC);
    assert!(insecure.authorities(DS).is_empty());
    assert_eq!(nsecs.len(), 1);
    assert_eq!(nsecs[0].owner, "insecure.conf.test.");
    assert_eq!(nsecs[0].bitmap(), [NS, RRSIG, NSEC]);
}

#[test]
fn rfc4034_4_1_2_bitmaps_list_what_is_there_and_no_more() {
    let bitmap = |qname: &str| signed(qname, NSEC).answers(NSEC)[0].bitmap();

    assert_eq!(
        bitmap("conf.test"),
        [NS, SOA, MX, TXT, RRSIG, NSEC, DNSKEY, CDS, 60]
    );
    assert_eq!(bitmap("_25._tcp.mx1.conf.test"), [RRSIG, NSEC, TLSA]);
    assert_eq!(bitmap("unknown.conf.test"), [RRSIG, NSEC, 65_400]);
    // At a cut: asked for itself, NSEC is the parent's (RFC 4035, section 2.3).
    let cut = signed("secure.conf.test", DS);
    assert!(cut.authorities(NSEC).is_empty());
}

#[test]
fn rfc4034_4_1_1_the_chain_goes_round_and_each_name_owns_one() {
    let mut seen = vec!["child.conf.test.".to_owned()];
    loop {
        let name = seen.last().expect("it begins with the apex").clone();
        let reply = signed(&name, NSEC);
        let nsecs = reply.answers(NSEC);
        assert_eq!(nsecs.len(), 1, "{name}");
        let next = nsecs[0].target();
        if next == seen[0] {
            break;
        }
        assert_eq!(canonical(&name, &next), Ordering::Less, "{seen:?}");
        seen.push(next);
    }

    assert_eq!(
        seen,
        [
            "child.conf.test.",
            "ns1.child.conf.test.",
            "www.child.conf.test."
        ]
    );
}

#[test]
fn rfc9077_3_nsec_and_negative_soa_share_a_ttl() {
    for qname in [
        "nothere.conf.test",
        "x.wild.conf.test",
        "_tcp.mx1.conf.test",
    ] {
        let reply = signed(qname, A);

        for record in &reply.authority {
            assert_eq!(record.ttl, 600, "{record:?}");
        }
    }
}

#[test]
fn rfc4034_3_1_4_the_original_ttl_is_that_of_the_rrset() {
    for (qname, qtype) in [
        ("conf.test", MX),
        ("conf.test", SOA),
        ("conf.test", DNSKEY),
        ("conf.test", NSEC),
    ] {
        let reply = signed(qname, qtype);
        let data = reply.answers(qtype)[0];
        let rrsig = reply.answers(RRSIG)[0];

        assert_eq!(rrsig.ttl, data.ttl, "type {qtype}");
        assert_eq!(rrsig.rrsig_ttl(), data.ttl, "type {qtype}");
    }
}

#[test]
fn rfc4035_2_2_delegations_and_glue_are_not_signed() {
    let reply = signed("host.secure.conf.test", A);

    assert!(
        reply
            .authorities(RRSIG)
            .iter()
            .all(|rrsig| rrsig.covers() != NS)
    );
    // `ns.sibling` lies in the zone itself: its address is no glue but data of ours.
    let unsigned =
        |record: &Record| record.rtype != RRSIG || record.owner == "ns.sibling.conf.test.";
    assert!(reply.additional.iter().all(unsigned));
    let apex = signed("conf.test", NS);
    assert_eq!(
        apex.answers(RRSIG).len(),
        1,
        "the apex NS RRset is authoritative"
    );
}

#[test]
fn rfc4035_5_3_1_expired_signatures_are_never_served() {
    let clock = Arc::new(ManualClock::new(SystemClock::new().now()));
    let limits = Limits {
        total: 10,
        per_source: 10,
    };
    let lab = Lab::start_at(&zones(), limits, clock.clone());
    let ask = || udp(lab.address(), &Query::new("conf.test", MX).dnssec());
    assert_eq!(ask().rcode(), 0);

    // Signatures live 21 days, less a jitter of at most one.
    clock.advance(Duration::from_secs(22 * 86_400));
    let reply = ask();
    assert_eq!(
        reply.rcode(),
        2,
        "SERVFAIL is better than bogus (RFC 6781, section 4.4.1)"
    );
    assert!(reply.answer.is_empty() && !reply.aa());
    assert_eq!(
        udp(lab.address(), &Query::new("elsewhere.test", MX)).rcode(),
        5
    );
}

#[test]
fn rfc7344_4_1_cds_and_cdnskey_match_the_key() {
    let dnskey = signed("conf.test", DNSKEY).answers(DNSKEY)[0].rdata.clone();
    let cdnskey = signed("conf.test", 60).answers(60)[0].rdata.clone();
    let cds = signed("conf.test", CDS).answers(CDS)[0].rdata.clone();

    assert_eq!(
        dnskey[..4],
        [1, 1, 3, 13],
        "flags 257, protocol 3, algorithm 13"
    );
    assert_eq!(cdnskey, dnskey);
    assert_eq!(cds[2..4], [13, 2], "algorithm 13, digest type 2");
    assert_eq!(cds.len(), 4 + 32);
}
