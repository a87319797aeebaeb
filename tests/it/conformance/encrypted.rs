//! TLS (RFC 7858, RFC 9103) and QUIC (RFC 9250) beside UDP and TCP.

use std::process::Command;
use std::sync::OnceLock;

use super::zones;
use crate::dns::{
    A, AAAA, ANY, CDS, CNAME, DNSKEY, DO, DS, Edns, MX, NS, NSEC, Query, Reply, SOA, TLSA, TXT,
    receive_framed, send_framed, tcp, udp,
};
use crate::encrypted::{EncryptedLab, NAME};

/// The option that hides a length (RFC 7830).
const PADDING: u16 = 12;
/// The option that tells how long a connection may be idle (RFC 7828).
const KEEPALIVE: u16 = 11;

/// The option that says more of an error (RFC 8914).
const EDE: u16 = 15;
/// "Too Early" (RFC 9250, section 8.3).
const TOO_EARLY: u16 = 26;
const NOTIMP: u16 = 4;
const REFUSED: u16 = 5;

/// Returns the one server with every transport.
fn lab() -> &'static EncryptedLab {
    static LAB: OnceLock<EncryptedLab> = OnceLock::new();
    LAB.get_or_init(|| EncryptedLab::start(&zones()))
}

/// Returns a query with one option.
fn with_option(code: u16, data: Vec<u8>) -> Query {
    Query::new("conf.test", SOA).edns(Edns {
        options: vec![(code, data)],
        ..Edns::default()
    })
}

/// Returns the options of a reply.
fn options(reply: &Reply) -> Vec<(u16, Vec<u8>)> {
    let mut rest = &reply.opt.as_ref().expect("OPT comes back").rdata[..];
    let mut options = Vec::new();
    while let [code_high, code_low, high, low, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (data, next) = after.split_at(length);
        options.push((u16::from_be_bytes([*code_high, *code_low]), data.to_vec()));
        rest = next;
    }
    options
}

#[test]
fn every_transport_has_the_same_records_in_the_same_sections() {
    let names = [
        "conf.test",
        "nothere.conf.test",
        "www.conf.test",
        "chain1.conf.test",
        "out.conf.test",
        "loop1.conf.test",
        "x.wild.conf.test",
        "exists.wild.conf.test",
        "ent.wild.conf.test",
        "a.cnamewild.conf.test",
        "x.dname.conf.test",
        "host.secure.conf.test",
        "secure.conf.test",
        "txt.insecure.conf.test",
        "x.manyglue.conf.test",
        "www.child.conf.test",
        "child.conf.test",
        "unknown.conf.test",
        "big.conf.test",
        "mid.conf.test",
        "_25._tcp.mx1.conf.test",
        "c.deep.conf.test",
        "elsewhere.test",
    ];
    let types = [
        A, AAAA, NS, CNAME, SOA, MX, TXT, DS, DNSKEY, NSEC, TLSA, CDS, ANY, 65_400,
    ];
    let server = lab().lab.address();
    let mut compared = 0;
    for (index, qname) in names.iter().enumerate() {
        // All types over the cheap two, each name with some of them over all four.
        for (number, qtype) in types.iter().enumerate() {
            for query in [
                Query::new(qname, *qtype),
                Query::new(qname, *qtype).dnssec(),
            ] {
                let by_tcp = tcp(server, &query);
                let by_udp = udp(server, &query);
                let by_udp = (!by_udp.tc()).then_some(by_udp);
                let encrypted = (number % 5 == index % 5)
                    .then(|| [lab().dot(&query), lab().doq(&query)])
                    .into_iter()
                    .flatten();
                for other in by_udp.into_iter().chain(encrypted) {
                    let tell = |reply: &Reply| {
                        (
                            reply.flags,
                            reply.question.clone(),
                            reply.answer.clone(),
                            reply.authority.clone(),
                            reply.additional.clone(),
                            reply.opt.as_ref().map(|opt| (opt.class, opt.ttl)),
                        )
                    };
                    assert_eq!(tell(&other), tell(&by_tcp), "{qname} {qtype}");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 700, "{compared}");
}

#[test]
fn rfc8467_4_1_padding_is_answered_over_encrypted_transports_alone() {
    let server = lab().lab.address();
    let query = with_option(PADDING, vec![0; 20]);
    for reply in [udp(server, &query), tcp(server, &query)] {
        assert!(options(&reply).is_empty());
    }
    for reply in [lab().dot(&query), lab().doq(&query)] {
        assert_eq!(reply.octets.len() % 468, 0);
        let (code, zeros) = options(&reply).pop().expect("padding is the last option");
        assert_eq!(code, PADDING);
        assert!(zeros.iter().all(|octet| *octet == 0));
    }
    let plain = Query::new("conf.test", SOA).edns(Edns::default());
    assert!(options(&lab().dot(&plain)).is_empty(), "who does not ask");
}

#[test]
fn rfc9250_5_4_answers_over_quic_are_always_padded() {
    for query in [
        Query::new("conf.test", SOA).edns(Edns::default()),
        Query::new("big.conf.test", TXT).dnssec(),
    ] {
        let reply = lab().doq(&query);

        assert_eq!(reply.octets.len() % 468, 0);
    }
    // Without EDNS there is no place for it.
    assert!(lab().doq(&Query::new("conf.test", SOA)).opt.is_none());
}

#[test]
fn rfc7828_3_3_keepalive_is_told_over_connections_and_breaks_quic() {
    let query = with_option(KEEPALIVE, vec![]);
    let ten_seconds = vec![(KEEPALIVE, 100_u16.to_be_bytes().to_vec())];

    assert_eq!(options(&tcp(lab().lab.address(), &query)), ten_seconds);
    assert_eq!(options(&lab().dot(&query)), ten_seconds);
    assert!(options(&udp(lab().lab.address(), &query)).is_empty());
    // RFC 9250, section 5.5.2.
    let error = lab().doq_octets(&query).unwrap_err();
    assert!(error.contains("error_code: 2"), "{error}");
}

#[test]
fn rfc9250_4_5_an_update_is_too_early_before_the_handshake_is_complete_and_a_notify_is_not() {
    let query = Query::new("conf.test", SOA).edns(Edns::default());
    let of = |opcode: u16| Query {
        flags: opcode << 11,
        ..query.clone()
    };
    let [notify, update] = [of(4), of(5)];
    assert_eq!(lab().doq(&update).rcode(), NOTIMP);

    // Should the server look late, what came early is early no more: then it is tried again.
    for _ in 0..100 {
        assert_eq!(lab().doq_early(&query).answers(SOA).len(), 1);
        assert_eq!(lab().doq_early(&notify).rcode(), NOTIMP);
        let reply = lab().doq_early(&update);
        if reply.rcode() == REFUSED {
            assert_eq!(reply.option(EDE), Some(TOO_EARLY.to_be_bytes().to_vec()));
            return;
        }
        assert_eq!(reply.rcode(), NOTIMP);
    }
    panic!("nothing came early");
}

#[test]
fn rfc7766_6_2_1_one_tls_connection_answers_many_queries() {
    let mut client = lab().connect();
    for id in 0..50 {
        let mut query = Query::new("conf.test", if id % 2 == 0 { MX } else { NS }).edns(Edns {
            flags: DO,
            ..Edns::default()
        });
        query.id = id;
        send_framed(&mut client, &query.octets());
    }
    for id in 0..50 {
        let reply = Reply::parse(&receive_framed(&mut client)).unwrap();

        assert_eq!((reply.id, reply.rcode()), (id, 0));
    }
}

/// Runs a program and returns what it printed.
fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{command:?}: {text:?}");
    text.concat()
}

#[test]
fn knots_client_is_answered_over_tls_and_over_quic() {
    for (option, port, transport) in [
        ("+tls", lab().lab.dot().port(), "TLS"),
        ("+quic", lab().lab.doq().port(), "QUIC"),
    ] {
        let text = run(Command::new("kdig").args([
            "@127.0.0.1",
            "-p",
            &port.to_string(),
            &format!("+tls-ca={}", lab().certificate()),
            &format!("+tls-hostname={NAME}"),
            "conf.test",
            "MX",
            "+dnssec",
            "+padding",
            // Last, as what is said of certificates asks for TLS.
            option,
        ]));

        assert!(text.contains("10 mx1.conf.test."), "{text}");
        assert!(text.contains("status: NOERROR"), "{text}");
        assert!(text.contains("PADDING"), "{text}");
        assert!(text.contains(transport), "{text}");
    }
}

#[test]
fn rfc9103_7_1_the_protocol_is_agreed_on_with_openssl_too() {
    for version in ["-tls1_2", "-tls1_3"] {
        let text = run(Command::new("sh").args([
            "-c",
            "echo | openssl s_client \"$@\"",
            "sh",
            "-connect",
            &lab().lab.dot().to_string(),
            "-alpn",
            "dot",
            "-servername",
            NAME,
            "-verify_return_error",
            "-CAfile",
            &lab().certificate(),
            version,
        ]));

        assert!(text.contains("ALPN protocol: dot"), "{text}");
        assert!(text.contains("Verify return code: 0 (ok)"), "{text}");
    }
}
