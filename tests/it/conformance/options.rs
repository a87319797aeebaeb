//! EDNS options over the wire: cookies, NSID, keepalive, padding, extended errors; and `dig`, which
//! speaks them all.

use std::process::Command;
use std::sync::{Arc, OnceLock};

use mxpool::clock::SystemClock;
use mxpool::server::{Identity, ServerConfig};
use mxpool::zone::Nsid;

use super::zones;
use crate::dns::{Edns, MX, Query, Reply, SOA, TXT, header, tcp, udp, udp_raw};
use crate::lab::Lab;
use crate::process::run;

const FORMERR: u16 = 1;
const REFUSED: u16 = 5;
const BADCOOKIE: u16 = 23;
const NSID: u16 = 3;
const COOKIE: u16 = 10;
const KEEPALIVE: u16 = 11;
const PADDING: u16 = 12;
const EDE: u16 = 15;

/// The class of questions about the server.
const CH: u16 = 3;

/// Returns the one server that says who it is, which runs until the tests end.
fn lab() -> &'static Lab {
    static LAB: OnceLock<Lab> = OnceLock::new();
    LAB.get_or_init(|| {
        let identity = Identity {
            nsid: Nsid::new(b"ns1-fra"),
            id_server: true,
        };
        let config = ServerConfig {
            identity,
            ..ServerConfig::default()
        };
        Lab::start_configured(&zones(), config, Arc::new(SystemClock::new()))
    })
}

/// Returns a query for the apex's SOA record with options.
fn with(options: &[(u16, &[u8])]) -> Query {
    Query::new("conf.test", SOA).edns(edns(options))
}

/// Returns an OPT record with options.
fn edns(options: &[(u16, &[u8])]) -> Edns {
    let options = options.iter();
    Edns {
        options: options
            .map(|(code, value)| (*code, value.to_vec()))
            .collect(),
        ..Edns::default()
    }
}

/// Asks for a cookie and returns the server's behind the client's.
fn cookie() -> Vec<u8> {
    let reply = udp(lab().address(), &with(&[(COOKIE, b"a client")]));
    reply.option(COOKIE).expect("a cookie comes back")
}

/// Sends a query without a question, with options.
fn without_question(options: &[(u16, &[u8])]) -> Reply {
    let octets = [header(1, 0, [0, 0, 0, 1]), edns(options).octets()].concat();
    udp_raw(lab().address(), &octets)
}

/// Runs `dig` with arguments and returns what it prints.
fn dig(arguments: &[&str]) -> String {
    let address = lab().address();
    let mut command = Command::new("dig");
    command
        .args(["@127.0.0.1", "+tries=1", "+time=5", "-p"])
        .arg(address.port().to_string())
        .args(arguments);
    let (ok, text) = run(&mut command);
    assert!(ok, "{text}");
    text
}

#[test]
fn rfc7873_5_2_cookies_come_back_if_and_only_if_they_were_sent() {
    assert_eq!(udp(lab().address(), &with(&[])).options(), []);
    let cookie = cookie();
    assert_eq!(cookie.len(), 24);
    assert_eq!(cookie[..8], *b"a client");

    // A right one comes back as it is, a wrong one is put right, and both are answered.
    for (sent, answered) in [
        (cookie.clone(), &cookie),
        ([b"a client", [1; 16].as_slice()].concat(), &cookie),
    ] {
        let reply = udp(lab().address(), &with(&[(COOKIE, &sent)]));
        assert_eq!(reply.rcode(), 0);
        assert_eq!(reply.answers(SOA).len(), 1);
        let found = reply.option(COOKIE).unwrap();
        // But for the time, which may have gone on.
        assert_eq!(found[..12], answered[..12]);
        assert_eq!(found.len(), 24);
    }
}

#[test]
fn rfc7873_5_2_2_cookies_of_no_length_are_format_errors() {
    for length in [0, 1, 7, 9, 15, 41, 100] {
        let reply = udp(lab().address(), &with(&[(COOKIE, &vec![7; length])]));

        assert_eq!(reply.rcode(), FORMERR, "{length}");
        assert!(reply.opt.is_some() && reply.answer.is_empty());
    }
}

#[test]
fn rfc7873_5_4_a_cookie_alone_can_be_asked_for_and_checked() {
    let reply = without_question(&[(COOKIE, b"a client")]);
    assert_eq!((reply.rcode(), reply.question.len()), (0, 0));
    let cookie = reply.option(COOKIE).unwrap();
    assert_eq!(without_question(&[(COOKIE, &cookie)]).rcode(), 0);

    let mut wrong = cookie;
    wrong[23] ^= 1;
    let reply = without_question(&[(COOKIE, &wrong)]);
    assert_eq!(reply.rcode(), BADCOOKIE);
    assert!(reply.answer.is_empty());
    let right = reply.option(COOKIE).unwrap();
    assert_eq!(without_question(&[(COOKIE, &right)]).rcode(), 0);

    assert_eq!(without_question(&[]).rcode(), FORMERR);
    assert_eq!(without_question(&[(NSID, b"")]).rcode(), FORMERR);
}

#[test]
fn rfc5001_2_1_nsid_comes_if_it_is_asked_for_whatever_the_answer_is() {
    for (query, rcode) in [
        (with(&[(NSID, b"")]), 0),
        (with(&[(NSID, b"payload")]), 0),
        (
            Query::new("elsewhere.test", MX).edns(edns(&[(NSID, b"")])),
            REFUSED,
        ),
    ] {
        let reply = udp(lab().address(), &query);
        assert_eq!(reply.rcode(), rcode);
        assert_eq!(reply.option(NSID).unwrap(), b"ns1-fra");
    }
}

#[test]
fn rfc4892_2_id_server_is_answered_in_class_ch_and_nothing_else_is() {
    let reply = udp(lab().address(), &Query::new("id.server", TXT).class(CH));
    assert_eq!(reply.rcode(), 0);
    let [record] = &reply.answer[..] else {
        panic!("one record");
    };
    assert_eq!((record.class, record.ttl), (CH, 0));
    assert_eq!(record.rdata, b"\x07ns1-fra");

    for qname in [
        "version.bind",
        "version.server",
        "hostname.bind",
        "authors.bind",
    ] {
        let reply = udp(lab().address(), &Query::new(qname, TXT).class(CH));
        assert_eq!(reply.rcode(), REFUSED, "{qname}");
        assert!(reply.answer.is_empty());
    }
    let silent = super::server();
    let reply = udp(silent, &Query::new("id.server", TXT).class(CH));
    assert_eq!(reply.rcode(), REFUSED, "it was not opted in to");
}

#[test]
fn rfc7828_3_3_the_idle_time_is_told_over_tcp_alone() {
    let query = with(&[(KEEPALIVE, b"")]);

    assert_eq!(udp(lab().address(), &query).options(), []);
    let reply = tcp(lab().address(), &query);
    let value = reply.option(KEEPALIVE).unwrap();
    // Ten seconds in units of 100 ms, or less when many are connected.
    let tenths = u16::from_be_bytes([value[0], value[1]]);
    assert!(tenths <= 100 && value.len() == 2, "{tenths}");
    assert_eq!(tcp(lab().address(), &with(&[])).options(), []);

    let query = with(&[(KEEPALIVE, &[0, 100])]);
    assert_eq!(udp(lab().address(), &query).rcode(), 0);
    assert_eq!(tcp(lab().address(), &query).rcode(), FORMERR);
}

#[test]
fn rfc7830_6_nothing_is_padded_in_the_clear() {
    let query = with(&[(PADDING, &[0; 100])]);

    assert_eq!(udp(lab().address(), &query).options(), []);
    assert_eq!(tcp(lab().address(), &query).options(), []);
}

#[test]
fn rfc8914_4_errors_say_why_by_a_code_alone() {
    for (qname, qtype, why) in [
        ("elsewhere.test", MX, 20),
        ("conf.test", 252, 18),
        ("conf.test", 253, 21),
        ("conf.test", 250, 30),
    ] {
        let query = Query::new(qname, qtype);
        let reply = udp(lab().address(), &query.clone().edns(Edns::default()));
        assert_eq!(reply.option(EDE), Some(vec![0, why]), "{qname} {qtype}");
        assert!(udp(lab().address(), &query).opt.is_none());
    }
}

#[test]
fn rfc2181_9_a_truncated_reply_keeps_its_cookie() {
    let query = Query::new("big.conf.test", TXT).edns(edns(&[(COOKIE, b"a client"), (NSID, b"")]));

    let reply = udp(lab().address(), &query);

    assert!(reply.tc() && reply.answer.is_empty());
    let codes: Vec<u16> = reply.options().iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [COOKIE, NSID]);
}

#[test]
fn dig_finds_every_option_right() {
    let text = dig(&[
        "+nsid",
        "+cookie",
        "+keepalive",
        "+padding=128",
        "+subnet=192.0.2.0/24",
        "+ednsopt=65001:ff",
        "+tcp",
        "SOA",
        "conf.test",
    ]);
    assert!(text.contains("status: NOERROR"), "{text}");
    assert!(
        text.contains("(good)"),
        "the cookie is the client's: {text}"
    );
    assert!(text.contains("(\"ns1-fra\")"), "{text}");
    assert!(text.contains("; TCP KEEPALIVE: "), "{text}");
    assert!(!text.contains("PAD") && !text.contains("SUBNET"), "{text}");

    let text = dig(&["+noedns", "SOA", "conf.test"]);
    assert!(!text.contains("OPT PSEUDOSECTION"), "{text}");

    let text = dig(&["+cookie", "MX", "elsewhere.test"]);
    assert!(text.contains("EDE: 20 (Not Authoritative)"), "{text}");

    let text = dig(&["CH", "TXT", "id.server"]);
    assert!(
        text.contains("id.server.\t\t0\tCH\tTXT\t\"ns1-fra\""),
        "{text}"
    );
}

#[test]
fn rfc7873_5_3_dig_comes_back_with_the_cookie_it_was_given() {
    let first = dig(&["+cookie=0123456789abcdef", "SOA", "conf.test"]);
    let cookie = first.split("; COOKIE: ").nth(1).unwrap();
    let cookie = cookie.split_whitespace().next().unwrap();
    assert_eq!(cookie.len(), 48, "{first}");
    let before = lab().metrics();

    let again = dig(&[&format!("+cookie={cookie}"), "SOA", "conf.test"]);

    assert!(
        again.contains(&format!("; COOKIE: {cookie} (good)")),
        "{again}"
    );
    let valid = |text: &str| {
        let line = "mxpool_cookies_total{result=\"valid\"} ";
        let count = text.lines().find_map(|found| found.strip_prefix(line));
        count.unwrap().parse::<u64>().unwrap()
    };
    assert!(valid(&lab().metrics()) > valid(&before));
}
