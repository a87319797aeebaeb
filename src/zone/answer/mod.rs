//! From the octets of a query to the octets of its reply.
//!
//! [`answer`] is all that a listener calls. It reads the query, finds the zone, lets `resolve`
//! follow the name through it, and `write` put the sections down. Nothing is allocated on the way,
//! and everything that octets from outside can repeat has a bound.

mod places;
mod resolve;
#[cfg(test)]
mod tests;
mod write;

use crate::clock::Timestamp;
use crate::wire::{
    Authoritative, DropReason, Envelope, Query, Rcode, Received, Reply, Rtype, Section, Transport,
    receive,
};
use crate::zone::set::Found;
use crate::zone::{ZoneImage, ZoneReader};

use resolve::{Authority, Resolver};
use write::Writer;

/// What became of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The reply is complete and to be sent.
    Reply(Answered),
    /// Nothing is to be sent.
    Drop(DropReason),
}

/// What a reply says, for counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// How it came out.
    pub rcode: Rcode,
    /// The type asked for; `None` when there was no readable question.
    pub qtype: Option<Rtype>,
    /// Whether the TC bit is set.
    pub truncated: bool,
}

/// Answers one query out of the published set.
///
/// `reply` is emptied and filled; once it has grown, nothing is allocated. Never panics, whatever
/// the octets are.
pub fn answer(
    zones: &ZoneReader,
    query: &[u8],
    transport: Transport,
    now: Timestamp,
    reply: &mut Vec<u8>,
) -> Verdict {
    let query = match receive(query) {
        Received::Query(query) => query,
        Received::Refused(envelope, rcode) => return refuse(&envelope, rcode, transport, reply),
        Received::Dropped(reason) => {
            reply.clear();
            return Verdict::Drop(reason);
        }
    };
    if let Some(rcode) = refusal_of(query.qtype) {
        return refuse(&query.envelope, rcode, transport, reply);
    }
    let Some(zone) = zone_for(zones, &query) else {
        // Never a referral upwards (RFC 8499 calls it lame; it only amplifies).
        return refuse(&query.envelope, Rcode::REFUSED, transport, reply);
    };
    zone.count(query.qtype);
    if zone.has_expired(now) {
        return refuse(&query.envelope, Rcode::SERVFAIL, transport, reply);
    }
    answer_from(&zone, query, transport, reply)
}

/// Returns how a question is refused whatever the name is.
fn refusal_of(qtype: Rtype) -> Option<Rcode> {
    match qtype {
        // Transfers are for those who were let in, and nobody is yet (RFC 5936, section 4.2).
        Rtype::AXFR | Rtype::IXFR => Some(Rcode::REFUSED),
        // Obsolete since 1987 (RFC 1035, section 3.2.3), so "not implemented" is the truth.
        Rtype::MAILA | Rtype::MAILB => Some(Rcode::NOTIMP),
        // Records about messages are in none; NXNAME is in bitmaps only (RFC 9824, section 3.5).
        Rtype::OPT | Rtype::TSIG | Rtype::TKEY | Rtype::NXNAME => Some(Rcode::FORMERR),
        _ => None,
    }
}

/// Returns the zone that answers: the closest at or above the name.
///
/// The DS records of a zone are its parent's, so there they are looked for if we serve a zone
/// above; if not, the child says that it has none (RFC 4035, section 3.1.4.1).
fn zone_for(zones: &ZoneReader, query: &Query<'_>) -> Option<Found> {
    let mut enclosing = zones.enclosing(&query.qname);
    let closest = enclosing.next()?;
    if query.qtype == Rtype::DS && closest.apex_wire() == query.qname.as_wire() {
        return Some(enclosing.next().unwrap_or(closest));
    }
    Some(closest)
}

/// Writes a reply with a code and nothing else.
fn refuse(
    envelope: &Envelope<'_>,
    rcode: Rcode,
    transport: Transport,
    octets: &mut Vec<u8>,
) -> Verdict {
    Reply::begin(octets, envelope, transport).finish(rcode, Authoritative::No);
    Verdict::Reply(Answered {
        rcode,
        qtype: envelope.qtype(),
        truncated: false,
    })
}

/// Answers a query out of the zone that its name is in.
fn answer_from(
    zone: &ZoneImage,
    query: Query<'_>,
    transport: Transport,
    octets: &mut Vec<u8>,
) -> Verdict {
    let Query {
        envelope,
        qname,
        qtype,
    } = query;
    let reply = Reply::begin(octets, &envelope, transport);
    let Some(mut writer) = Writer::new(reply, zone, &qname, envelope.dnssec_ok()) else {
        return refuse(&envelope, Rcode::REFUSED, transport, octets);
    };
    let mut rcode = Rcode::NOERROR;
    let mut authoritative = Authoritative::Yes;
    let resolved = Resolver::new(&mut writer, qname, qtype).resolve();
    let written = resolved.and_then(|outcome| {
        rcode = outcome.rcode;
        // Of a referral alone the zone is not the authority; the alias in front of one is its
        // word (RFC 1035, section 4.1.1).
        let refers = matches!(outcome.authority, Authority::Referral(_));
        if refers && writer.count(Section::Answer) == 0 {
            authoritative = Authoritative::No;
        }
        outcome.write(&mut writer)
    });
    let reply = writer.into_reply();
    match written {
        Ok(()) => reply.finish(rcode, authoritative),
        Err(_) => reply.finish_truncated(rcode, authoritative),
    }
    Verdict::Reply(Answered {
        rcode,
        qtype: Some(qtype),
        truncated: written.is_err(),
    })
}
