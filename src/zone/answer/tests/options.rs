//! What the options of an OPT record ask for, and what comes back.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::fixture::{Ask, NOW, Served};
use crate::publication::published;
use crate::wire::decoded::Decoded;
use crate::wire::{CookieCheck, CookieSecret, CookieSecrets, Rcode, Rtype, Section};
use crate::zone::{
    Answered, Asker, DropReason, Nsid, ReplySettings, Transport, Verdict, answer, answer_briefly,
};

/// NSID.
const NSID: u16 = 3;
/// COOKIE.
const COOKIE: u16 = 10;
/// edns-tcp-keepalive.
const KEEPALIVE: u16 = 11;
/// PADDING.
const PADDING: u16 = 12;
/// Extended DNS errors.
const EDE: u16 = 15;
/// No options.
const NONE: [u16; 0] = [];
/// A client's cookie.
const CLIENT: [u8; 8] = *b"a client";

/// Serves a zone with something of every length.
fn served() -> &'static Served {
    static SERVED: LazyLock<Served> = LazyLock::new(|| {
        let mut text = "@ MX 10 mx\nmx A 192.0.2.1\n*.w TXT text\nsub NS ns.sub\n".to_owned();
        for number in 10..60 {
            text += &format!("big TXT \"{number} {}\"\n", "x".repeat(60));
        }
        for length in 1..40 {
            // Around what fits into 512 octets.
            let rest = "y".repeat(185 + length);
            text += &format!("mid{length} TXT \"{rest}\" \"{rest}\"\n");
        }
        Served::parse("z.example", &text)
    });
    &SERVED
}

/// Returns what a server with a name and with cookies says of itself.
fn settings() -> ReplySettings {
    let secrets = CookieSecrets::new(CookieSecret::new([7; 16]), Vec::new());
    ReplySettings {
        nsid: Nsid::new(b"ns1-fra"),
        id_server: false,
        cookies: Some(published(Arc::new(secrets)).1),
    }
}

/// Who asks.
fn client() -> IpAddr {
    "192.0.2.77".parse().unwrap()
}

/// Returns a query with options.
fn query(qname: &str, qtype: Rtype, options: &[(u16, &[u8])]) -> Vec<u8> {
    with_options(Ask::with_do(qname, qtype).to_wire(), options)
}

/// Appends options to a query that ends with an OPT record without any.
fn with_options(mut query: Vec<u8>, options: &[(u16, &[u8])]) -> Vec<u8> {
    let start = query.len();
    for (code, value) in options {
        query.extend_from_slice(&code.to_be_bytes());
        query.extend_from_slice(&(value.len() as u16).to_be_bytes());
        query.extend_from_slice(value);
    }
    let length = (query.len() - start) as u16;
    query[start - 2..start].copy_from_slice(&length.to_be_bytes());
    query
}

/// A reply and what was counted of it.
struct Seen {
    /// Its octets.
    octets: Vec<u8>,
    /// As the field's library reads it.
    decoded: Decoded,
    /// What was counted.
    answered: Answered,
}

impl Seen {
    /// Takes a reply.
    fn new(verdict: Verdict, octets: Vec<u8>) -> Self {
        let Verdict::Reply(answered) = verdict else {
            panic!("{verdict:?}");
        };
        let decoded = Decoded::read(&octets);
        assert_eq!(decoded.rcode, answered.rcode);
        assert_eq!(answered.truncated, decoded.flags.contains("TC"));
        Self {
            octets,
            decoded,
            answered,
        }
    }

    /// Returns the codes of its options in their order.
    fn codes(&self) -> Vec<u16> {
        self.options().iter().map(|(code, _)| *code).collect()
    }

    /// Returns the value of an option.
    fn option(&self, code: u16) -> Option<Vec<u8>> {
        let options = self.options().into_iter();
        let mut values = options.filter(|(found, _)| *found == code);
        let value = values.next().map(|(_, value)| value);
        assert!(values.next().is_none(), "option {code} comes twice");
        value
    }

    /// Returns the options of the OPT record, which ends the message.
    fn options(&self) -> Vec<(u16, Vec<u8>)> {
        self.decoded.options.clone().expect("an OPT record")
    }
}

/// Asks over a transport.
fn ask_over(query: &[u8], transport: Transport, settings: &ReplySettings) -> Seen {
    let asker = Asker {
        idle: Duration::from_secs(10),
        ..Asker::new(transport, client(), settings)
    };
    let mut reply = Vec::new();
    let verdict = answer(&served().reader.view(), query, &asker, NOW, &mut reply);
    Seen::new(verdict, reply)
}

/// Asks over UDP.
fn ask(query: &[u8]) -> Seen {
    ask_over(query, Transport::Udp, &settings())
}

/// Returns the cookie that the client gets.
fn cookie() -> Vec<u8> {
    let options: &[(u16, &[u8])] = &[(COOKIE, &CLIENT)];
    let seen = ask(&query("z.example", Rtype::MX, options));
    seen.option(COOKIE).unwrap()
}

/// Returns a query without a question, with options.
fn without_question(options: &[(u16, &[u8])]) -> Vec<u8> {
    let head = [0x12, 0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let opt = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];
    with_options([&head[..], &opt].concat(), options)
}

#[test]
fn rfc7873_5_2_1_without_a_cookie_none_comes_back() {
    let seen = ask(&query("z.example", Rtype::MX, &[]));

    assert_eq!(seen.codes(), NONE);
    assert_eq!(seen.answered.cookie, None);
    assert_eq!(
        ask(&Ask::plain("z.example", Rtype::MX).to_wire())
            .decoded
            .options,
        None
    );
}

#[test]
fn rfc7873_5_2_3_a_clients_cookie_alone_gets_an_answer_and_a_cookie() {
    for transport in Transport::ALL {
        let asked = query("z.example", Rtype::MX, &[(COOKIE, &CLIENT)]);
        let seen = ask_over(&asked, transport, &settings());

        assert_eq!(seen.decoded.rcode, Rcode::NOERROR);
        assert!(!seen.decoded.has_no_records());
        let cookie = seen.option(COOKIE).unwrap();
        assert_eq!(cookie.len(), 24);
        assert_eq!(cookie[..12], *b"a client\x01\0\0\0");
        assert_eq!(cookie[12..16], (NOW.as_secs() as u32).to_be_bytes());
        assert_eq!(seen.answered.cookie, Some(CookieCheck::ClientOnly));
    }
}

#[test]
fn rfc7873_5_2_4_a_wrong_cookie_gets_an_answer_and_a_right_one() {
    let mut wrong = cookie();
    wrong[23] ^= 1;
    let seen = ask(&query("z.example", Rtype::MX, &[(COOKIE, &wrong)]));

    assert_eq!(seen.decoded.rcode, Rcode::NOERROR);
    assert!(!seen.decoded.has_no_records());
    assert_eq!(seen.option(COOKIE), Some(cookie()));
    assert_eq!(seen.answered.cookie, Some(CookieCheck::Bad));
}

#[test]
fn rfc7873_5_2_5_a_right_cookie_comes_back_and_is_told() {
    let seen = ask(&query("z.example", Rtype::MX, &[(COOKIE, &cookie())]));

    assert_eq!(seen.option(COOKIE), Some(cookie()));
    assert_eq!(seen.answered.cookie, Some(CookieCheck::Valid));
}

#[test]
fn rfc7873_5_2_2_a_cookie_of_no_length_is_malformed() {
    for length in [0, 7, 9, 15, 41] {
        let seen = ask(&query(
            "z.example",
            Rtype::MX,
            &[(COOKIE, &vec![1; length])],
        ));

        assert_eq!(seen.decoded.rcode, Rcode::FORMERR, "{length}");
        assert_eq!(seen.codes(), NONE);
        assert!(seen.decoded.has_no_records());
    }
}

#[test]
fn rfc7873_5_4_no_question_but_a_cookie_is_answered_with_a_cookie() {
    let seen = ask(&without_question(&[(COOKIE, &CLIENT)]));
    assert_eq!(seen.decoded.rcode, Rcode::NOERROR);
    assert_eq!(seen.option(COOKIE), Some(cookie()));
    assert!(seen.decoded.has_no_records() && seen.decoded.questions.is_empty());

    let seen = ask(&without_question(&[(COOKIE, &cookie())]));
    assert_eq!(seen.decoded.rcode, Rcode::NOERROR);

    let mut wrong = cookie();
    wrong[20] ^= 1;
    let seen = ask(&without_question(&[(COOKIE, &wrong)]));
    assert_eq!(seen.decoded.rcode, Rcode::BADCOOKIE);
    assert_eq!(seen.option(COOKIE), Some(cookie()));
}

#[test]
fn rfc7873_5_4_no_question_and_no_cookie_is_malformed() {
    assert_eq!(ask(&without_question(&[])).decoded.rcode, Rcode::FORMERR);
    let named = ask(&without_question(&[(NSID, &[])]));
    assert_eq!(named.decoded.rcode, Rcode::FORMERR);
    let unknown = ask_over(
        &without_question(&[(COOKIE, &CLIENT)]),
        Transport::Udp,
        &ReplySettings::default(),
    );
    assert_eq!(unknown.decoded.rcode, Rcode::FORMERR);
    assert_eq!(unknown.codes(), NONE);
}

#[test]
fn rfc5001_2_1_the_servers_name_comes_if_it_is_asked_for() {
    let seen = ask(&query("z.example", Rtype::MX, &[(NSID, b"ignored")]));
    assert_eq!(seen.option(NSID).unwrap(), b"ns1-fra");

    let elsewhere = ask(&query("other.example", Rtype::MX, &[(NSID, b"")]));
    assert_eq!(elsewhere.decoded.rcode, Rcode::REFUSED);
    assert_eq!(elsewhere.option(NSID).unwrap(), b"ns1-fra");

    let nameless = ask_over(
        &query("z.example", Rtype::MX, &[(NSID, b"")]),
        Transport::Udp,
        &ReplySettings::default(),
    );
    assert_eq!(nameless.codes(), NONE);
}

#[test]
fn rfc7828_3_3_the_idle_time_is_told_over_connections_alone() {
    let asked = query("z.example", Rtype::MX, &[(KEEPALIVE, &[])]);
    for transport in [Transport::Udp, Transport::Doh] {
        let seen = ask_over(&asked, transport, &settings());
        assert_eq!(seen.codes(), NONE, "{transport:?}");
    }
    for transport in [Transport::Tcp, Transport::Dot] {
        let seen = ask_over(&asked, transport, &settings());
        assert_eq!(seen.option(KEEPALIVE), Some(vec![0, 100]));
    }
    let plain = query("z.example", Rtype::MX, &[]);
    assert_eq!(ask_over(&plain, Transport::Tcp, &settings()).codes(), NONE);
}

#[test]
fn rfc7828_3_2_1_a_clients_own_idle_time_is_malformed_over_connections() {
    let asked = query("z.example", Rtype::MX, &[(KEEPALIVE, &[0, 1])]);

    assert_eq!(ask(&asked).decoded.rcode, Rcode::NOERROR);
    let over_tcp = ask_over(&asked, Transport::Tcp, &settings());
    assert_eq!(over_tcp.decoded.rcode, Rcode::FORMERR);
    assert_eq!(over_tcp.codes(), NONE);
}

#[test]
fn rfc9250_5_5_2_an_idle_time_asked_for_over_quic_breaks_the_protocol() {
    let settings = settings();
    let asker = Asker::new(Transport::Doq, client(), &settings);
    for value in [&[][..], &[0, 1]] {
        let asked = query("z.example", Rtype::MX, &[(KEEPALIVE, value)]);
        let mut reply = Vec::new();

        let verdict = answer(&served().reader.view(), &asked, &asker, NOW, &mut reply);

        assert_eq!(verdict, Verdict::Drop(DropReason::ProtocolError));
    }
}

#[test]
fn rfc8467_4_1_padded_queries_get_padded_replies_where_nobody_can_read_them() {
    let names = ["z.example", "big.z.example", "nothere.z.example", "other"];
    for transport in Transport::ALL {
        for name in names {
            let asked = query(name, Rtype::TXT, &[(PADDING, &[0; 20]), (COOKIE, &CLIENT)]);
            let seen = ask_over(&asked, transport, &settings());

            let is_padded = seen.option(PADDING).is_some();
            assert_eq!(is_padded, transport.is_encrypted(), "{name} {transport:?}");
            if is_padded {
                assert_eq!(seen.octets.len() % 468, 0, "{name} {transport:?}");
                assert_eq!(seen.codes().last(), Some(&PADDING));
            }
        }
    }
}

#[test]
fn rfc9250_5_4_over_quic_every_reply_with_an_opt_record_is_padded() {
    let asked = query("z.example", Rtype::MX, &[]);
    for (transport, length) in [(Transport::Doq, 468), (Transport::Dot, 0)] {
        let seen = ask_over(&asked, transport, &settings());
        assert_eq!(seen.option(PADDING).is_some(), transport == Transport::Doq);
        assert!(length == 0 || seen.octets.len() == length);
    }
    let without_opt = Ask::plain("z.example", Rtype::MX).to_wire();
    let seen = ask_over(&without_opt, Transport::Doq, &settings());
    assert_eq!(seen.decoded.edns, None);
}

#[test]
fn rfc6891_6_1_1_other_options_are_passed_over_and_never_come_back() {
    let subnet: &[u8] = &[0, 1, 24, 0, 192, 0, 2];
    let options: &[(u16, &[u8])] = &[(8, subnet), (9, &[]), (65_001, b"?"), (15, &[0, 0])];
    for transport in Transport::ALL {
        let asked = query("z.example", Rtype::MX, options);
        let seen = ask_over(&asked, transport, &settings());

        assert_eq!(seen.decoded.rcode, Rcode::NOERROR);
        let codes = seen.codes();
        assert!(codes.iter().all(|code| *code == PADDING), "{codes:?}");
    }
}

#[test]
fn rfc6891_6_1_3_of_a_later_version_no_option_is_read() {
    let mut asked = query("z.example", Rtype::MX, &[(COOKIE, &[1]), (NSID, &[])]);
    let version = asked.len() - 9 - 5;
    asked[version] = 1;

    let seen = ask(&asked);

    assert_eq!(seen.decoded.rcode, Rcode::BADVERS);
    assert_eq!(seen.codes(), NONE);
}

#[test]
fn rfc8914_3_errors_say_why_where_there_is_an_opt_record() {
    for (name, qtype, rcode, why) in [
        ("other.example", Rtype::MX, Rcode::REFUSED, 20),
        ("z.example", Rtype::AXFR, Rcode::REFUSED, 18),
        ("z.example", Rtype::MAILB, Rcode::NOTIMP, 21),
        ("z.example", Rtype::OPT, Rcode::FORMERR, 30),
        ("z.example", Rtype::NXNAME, Rcode::FORMERR, 30),
    ] {
        let seen = ask(&query(name, qtype, &[]));
        assert_eq!(seen.decoded.rcode, rcode);
        // The code alone: a text would only amplify.
        assert_eq!(seen.option(EDE), Some(vec![0, why]), "{name} {qtype}");
        let plain = ask(&Ask::plain(name, qtype).to_wire());
        assert_eq!(plain.decoded.edns, None);
    }
    let fine = ask(&query("nothere.z.example", Rtype::MX, &[]));
    assert_eq!(fine.codes(), NONE);
}

#[test]
fn rfc8914_4_25_a_zone_too_old_to_answer_from_says_so() {
    let settings = settings();
    let asker = Asker::new(Transport::Udp, client(), &settings);
    let later = NOW.saturating_add(Duration::from_secs(1_000_000));
    let mut reply = Vec::new();

    let asked = query("z.example", Rtype::MX, &[]);
    let verdict = answer(&served().reader.view(), &asked, &asker, later, &mut reply);

    let seen = Seen::new(verdict, reply);
    assert_eq!(seen.decoded.rcode, Rcode::SERVFAIL);
    assert_eq!(seen.option(EDE), Some(vec![0, 24]));
}

#[test]
fn rfc6891_7_options_count_to_the_length_of_a_datagram() {
    let options: &[(u16, &[u8])] = &[(COOKIE, &CLIENT), (NSID, &[])];
    let (mut whole, mut cut) = (0, 0);
    for length in 1..40 {
        let mut asked = Ask::with_do(&format!("mid{length}.z.example"), Rtype::TXT);
        asked.udp_size = Some(512);
        asked.dnssec_ok = false;
        let bare = ask(&asked.to_wire());
        let seen = ask(&with_options(asked.to_wire(), options));

        assert!(seen.octets.len() <= 512);
        assert_eq!(seen.codes(), [COOKIE, NSID], "also where it is cut");
        let options = 4 + 24 + 4 + 7;
        let fits = !bare.answered.truncated && bare.octets.len() + options <= 512;
        assert_eq!(seen.answered.truncated, !fits, "{length}");
        if fits {
            assert_eq!(seen.octets.len(), bare.octets.len() + options);
            whole += 1;
        } else {
            assert!(seen.decoded.has_no_records());
            cut += 1;
        }
    }
    assert!(whole > 5 && cut > 5, "{whole} and {cut}");
}

#[test]
fn rfc6891_7_a_question_of_any_length_has_room_for_all_options() {
    let long = format!("{0}.{0}.{0}.{1}.z.example", "x".repeat(63), "y".repeat(50));
    let mut asked = Ask::with_do(&long, Rtype::NXNAME);
    asked.udp_size = Some(0);
    let name = [b'n'; Nsid::MOST];
    let settings = ReplySettings {
        nsid: Nsid::new(&name),
        ..settings()
    };
    let options: &[(u16, &[u8])] = &[(COOKIE, &CLIENT), (NSID, &[])];

    let asked = with_options(asked.to_wire(), options);
    let seen = ask_over(&asked, Transport::Udp, &settings);

    assert_eq!(seen.codes(), [COOKIE, NSID, EDE]);
    assert!(seen.octets.len() <= 512, "{}", seen.octets.len());
}

#[test]
fn rfc7873_5_2_3_who_may_be_forged_gets_a_cookie_or_tc_and_no_data() {
    let settings = settings();
    let asker = Asker::new(Transport::Udp, client(), &settings);
    let briefly = |asked: &[u8]| {
        let mut reply = Vec::new();
        let verdict = answer_briefly(asked, &asker, NOW, &mut reply);
        Seen::new(verdict, reply)
    };

    let with_cookie = briefly(&query("z.example", Rtype::MX, &[(COOKIE, &CLIENT)]));
    assert_eq!(with_cookie.decoded.rcode, Rcode::BADCOOKIE);
    assert_eq!(with_cookie.decoded.flags, "QR");
    assert_eq!(with_cookie.option(COOKIE), Some(cookie()));
    assert!(with_cookie.decoded.has_no_records());

    for asked in [
        query("z.example", Rtype::MX, &[]),
        // The name of the node may be as long as the query, and is not worth it.
        query("z.example", Rtype::MX, &[(NSID, b"ns1-fra")]),
        Ask::plain("z.example", Rtype::MX).to_wire(),
    ] {
        let without = briefly(&asked);
        assert_eq!(without.decoded.rcode, Rcode::NOERROR);
        assert_eq!(without.decoded.flags, "QR TC");
        assert!(without.decoded.has_no_records());
        assert!(without.octets.len() <= asked.len(), "nothing is amplified");
    }
}

/// Returns a query of class CH.
fn chaos(qname: &str, qtype: Rtype) -> Vec<u8> {
    let mut query = query(qname, qtype, &[]);
    let class = query.len() - 12;
    query[class] = 3;
    query
}

#[test]
fn rfc4892_2_the_servers_name_is_its_id_where_the_operator_says_so() {
    let settings = ReplySettings {
        id_server: true,
        ..settings()
    };
    let seen = ask_over(&chaos("ID.Server", Rtype::TXT), Transport::Udp, &settings);

    assert_eq!(
        (seen.decoded.rcode, seen.decoded.flags.as_str()),
        (Rcode::NOERROR, "QR AA")
    );
    // A pointer to the question, TXT, class CH, TTL 0, eight octets of data.
    let record = b"\xc0\x0c\x00\x10\x00\x03\x00\x00\x00\x00\x00\x08\x07ns1-fra";
    let place = seen
        .octets
        .windows(record.len())
        .position(|at| at == record);
    assert!(place.is_some(), "{:02x?}", seen.octets);
    assert_eq!(seen.decoded.section(Section::Answer).len(), 1);
}

#[test]
fn rfc4892_3_all_other_questions_about_the_server_are_refused() {
    let open = ReplySettings {
        id_server: true,
        ..settings()
    };
    let nameless = ReplySettings {
        nsid: None,
        ..settings()
    };
    for (settings, name, qtype) in [
        (&settings(), "id.server", Rtype::TXT),
        (&nameless, "id.server", Rtype::TXT),
        (&open, "id.server", Rtype::A),
        (&open, "version.bind", Rtype::TXT),
        (&open, "version.server", Rtype::TXT),
        (&open, "hostname.bind", Rtype::TXT),
        (&open, "authors.bind", Rtype::TXT),
        (&open, "z.example", Rtype::MX),
    ] {
        let seen = ask_over(&chaos(name, qtype), Transport::Udp, settings);

        assert_eq!(seen.decoded.rcode, Rcode::REFUSED, "{name}");
        assert!(seen.decoded.has_no_records());
        assert_eq!(seen.option(EDE), Some(vec![0, 21]));
    }
}

#[test]
fn rfc9250_4_5_what_may_change_something_is_refused_before_the_handshake_is_complete() {
    let settings = settings();
    let asker = |is_early| Asker {
        is_early,
        ..Asker::new(Transport::Doq, client(), &settings)
    };
    let ask = |opcode: u8, is_early| {
        let mut asked = query("z.example", Rtype::SOA, &[]);
        asked[2] = opcode << 3;
        let mut reply = Vec::new();
        let verdict = answer(
            &served().reader.view(),
            &asked,
            &asker(is_early),
            NOW,
            &mut reply,
        );
        Seen::new(verdict, reply)
    };

    assert_eq!(ask(0, true).decoded.rcode, Rcode::NOERROR, "a QUERY");
    assert_eq!(ask(4, true).decoded.rcode, Rcode::NOTIMP, "a NOTIFY");
    for opcode in [1, 2, 5, 6, 15] {
        let early = ask(opcode, true);
        assert_eq!(early.decoded.rcode, Rcode::REFUSED, "{opcode}");
        assert_eq!(early.option(EDE), Some(vec![0, 26]), "{opcode}");
        assert!(early.decoded.questions.is_empty() && early.decoded.has_no_records());
        assert_eq!(ask(opcode, false).decoded.rcode, Rcode::NOTIMP, "{opcode}");
    }
    // Without an OPT record, or with a body that cannot be read, the code alone.
    let mut asked = Ask::plain("z.example", Rtype::SOA).to_wire();
    asked[2] = 5 << 3;
    for length in [12, 20, asked.len()] {
        let mut reply = Vec::new();
        answer(
            &served().reader.view(),
            &asked[..length],
            &asker(true),
            NOW,
            &mut reply,
        );
        assert_eq!(
            reply,
            [0x12, 0x34, 0xa8, 5, 0, 0, 0, 0, 0, 0, 0, 0],
            "{length}"
        );
    }
}
