//! A query over every transport: whatever comes, the reply is one that a library can read, answers
//! this query and no other, and is no longer than it may be.

use std::cell::RefCell;
use std::iter;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use mxpool::publication::{Publisher, published};
use mxpool::wire::{CookieSecret, CookieSecrets, Transport};
use mxpool::zone::{
    Asker, DropReason, Nsid, ReadAhead, ReplySettings, Verdict, answer, answer_briefly,
    answer_foreseen,
};

use super::zones::{NOW, zones};

/// What a reply over UDP may have at most, whatever the query says (RFC 9715, section 3.2).
const LARGEST_DATAGRAM: usize = 1232;
/// What it may have when the query does not say (RFC 1035, section 4.2.1).
const PLAIN_DATAGRAM: usize = 512;
/// Octets of a message's header (RFC 1035, section 4.1.1).
const HEADER: usize = 12;

/// What the server says of itself: everything.
static SETTINGS: LazyLock<(Publisher<CookieSecrets>, ReplySettings)> = LazyLock::new(|| {
    let secret = CookieSecret::new([7; CookieSecret::LENGTH]);
    let secrets = CookieSecrets::new(secret, Vec::new());
    let (publisher, reader) = published(Arc::new(secrets));
    let settings = ReplySettings {
        nsid: Nsid::new(b"a-node"),
        id_server: true,
        cookies: Some(reader),
    };
    (publisher, settings)
});

thread_local! {
    /// Reads ahead, in room that is had once.
    static AHEAD: RefCell<ReadAhead> = RefCell::new(ReadAhead::default());
}

/// Answers a message over every transport.
pub(crate) fn run(query: &[u8]) {
    let datagram = over(query, Transport::Udp, false);
    for transport in Transport::ALL {
        let whole = over(query, transport, false);
        if let (Some(datagram), Some(whole)) = (&datagram, &whole) {
            same_records(datagram, whole, transport);
        }
    }
    over(query, Transport::Doq, true);
    briefly(query);
}

/// Answers over one transport and returns the reply, if there is one, as the library reads it.
fn over(query: &[u8], transport: Transport, is_early: bool) -> Option<Message> {
    let (view, asker) = (zones().view(), asker(transport, is_early));
    let mut reply = Vec::new();
    let verdict = answer(&view, query, &asker, NOW, &mut reply);
    let mut again = vec![0xaa; 700];
    let second = AHEAD.with_borrow_mut(|ahead| {
        ahead.read(&view, iter::once(query));
        let foreseen = ahead.foreseen(0);
        assert!(foreseen.is_some(), "it is read ahead for");
        answer_foreseen(&view, query, foreseen, &asker, NOW, &mut again)
    });
    assert_eq!(verdict, second, "the same query has the same verdict");
    assert_eq!(reply, again, "the same query has the same reply");
    let answered = match verdict {
        Verdict::Reply(answered) => answered,
        Verdict::Drop(reason) => {
            assert!(reply.is_empty(), "what is dropped has no reply");
            match reason {
                DropReason::TooShort => assert!(query.len() < HEADER),
                DropReason::IsResponse => assert_eq!(query[2] & 0x80, 0x80),
                // Ends the connection (RFC 9250, section 5.5.2).
                DropReason::ProtocolError => assert_eq!(transport, Transport::Doq),
            }
            return None;
        }
    };
    let message = read(&reply).unwrap_or_else(|error| panic!("{error}: {reply:02x?}"));
    echoes(query, &reply);
    // The library gives the code of twelve bits; NOTIMP to another opcode has no OPT.
    let rcode = u16::from(message.metadata.response_code);
    assert_eq!(
        rcode,
        answered.rcode.code(),
        "the code is that of the verdict"
    );
    assert_eq!(
        message.metadata.truncation, answered.truncated,
        "and so is TC"
    );
    let asked = read(query).ok();
    let limit = limit(asked.as_ref(), transport);
    assert!(
        reply.len() <= limit,
        "{} octets, at most {limit}",
        reply.len()
    );
    if let Some(asked) = asked {
        fits(&asked, &message);
    }
    Some(message)
}

/// Answers as one answers whoever may have forged its address.
fn briefly(query: &[u8]) {
    let mut reply = Vec::new();
    let verdict = answer_briefly(query, &asker(Transport::Udp, false), NOW, &mut reply);
    match verdict {
        Verdict::Drop(_) => assert!(reply.is_empty()),
        Verdict::Reply(_) => {
            read(&reply).unwrap_or_else(|error| panic!("{error}: {reply:02x?}"));
            echoes(query, &reply);
            // A whole cookie for a client's, and the node's name for an option without data.
            let most = query.len() + 16 + 6;
            assert!(
                reply.len() <= most,
                "{} octets for {}",
                reply.len(),
                query.len()
            );
        }
    }
}

/// Id, opcode and question come back as they were.
fn echoes(query: &[u8], reply: &[u8]) {
    assert_eq!(reply[..2], query[..2], "the id comes back");
    assert_eq!(reply[2] & 0x80, 0x80, "a reply says that it is one");
    assert_eq!(reply[2] & 0x78, query[2] & 0x78, "the opcode comes back");
    assert_eq!(reply[3] & 0x60, 0, "Z and AD are never set");
    if reply[4..6] == [0, 1] {
        let length = question_length(&reply[HEADER..]);
        assert_eq!(
            reply[HEADER..HEADER + length],
            query[HEADER..HEADER + length],
            "the question comes back octet for octet"
        );
    } else {
        assert_eq!(reply[4..6], [0, 0], "there is one question or none");
    }
}

/// Returns the octets of an uncompressed question.
fn question_length(octets: &[u8]) -> usize {
    let mut at = 0;
    while octets[at] != 0 {
        at += 1 + usize::from(octets[at]);
    }
    at + 1 + 4
}

/// What a query asks for, the reply has, and nothing that it did not ask for.
fn fits(asked: &Message, message: &Message) {
    if asked.metadata.op_code != OpCode::Query {
        return;
    }
    let code = message.metadata.response_code;
    // The library passes over what we call malformed.
    if code == ResponseCode::FormErr {
        return;
    }
    assert_eq!(
        asked.edns.is_some(),
        message.edns.is_some(),
        "OPT comes if and only if it came"
    );
    let has_do = |message: &Message| {
        let edns = message.edns.as_ref();
        edns.is_some_and(|edns| edns.flags().dnssec_ok)
    };
    assert_eq!(has_do(asked), has_do(message), "DO is copied");
    if asked.queries.len() == 1 {
        assert_eq!(message.queries.len(), 1, "the question is there");
    }
}

/// A datagram that is not truncated has the records that a stream has.
fn same_records(datagram: &Message, whole: &Message, transport: Transport) {
    // What an option for connections says wrong is malformed there, and passed over here (RFC 7828,
    // sections 3.2.1 and 3.3).
    let is_malformed = whole.metadata.response_code == ResponseCode::FormErr;
    if datagram.metadata.truncation || is_malformed {
        return;
    }
    assert_eq!(
        (&datagram.answers, &datagram.authorities),
        (&whole.answers, &whole.authorities),
        "the same records over {transport:?}"
    );
}

/// Returns what a reply may have.
fn limit(asked: Option<&Message>, transport: Transport) -> usize {
    if transport.is_stream() {
        return usize::from(u16::MAX);
    }
    match asked {
        // What the library cannot read may have an OPT record all the same.
        None => LARGEST_DATAGRAM,
        Some(asked) => match &asked.edns {
            None => PLAIN_DATAGRAM,
            Some(edns) => usize::from(edns.max_payload()).clamp(PLAIN_DATAGRAM, LARGEST_DATAGRAM),
        },
    }
}

fn asker(transport: Transport, is_early: bool) -> Asker<'static> {
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 77));
    let mut asker = Asker::new(transport, address, &SETTINGS.1);
    asker.is_early = is_early;
    asker.idle = Duration::from_secs(10);
    asker
}

/// Reads a whole message with the field's library.
fn read(octets: &[u8]) -> Result<Message, String> {
    let mut decoder = BinDecoder::new(octets);
    let message = Message::read(&mut decoder).map_err(|error| error.to_string())?;
    if !decoder.is_empty() {
        return Err("octets behind the message".to_owned());
    }
    Ok(message)
}
