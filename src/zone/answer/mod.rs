//! From the octets of a query to the octets of its reply.
//!
//! [`answer`] reads the query, finds the zone, lets `resolve` follow the name through it, and `write`
//! put the sections down. Nothing is allocated on the way, and everything that octets from outside can
//! repeat has a bound. A listener that has many queries at a time lets [`ReadAhead`] look at them
//! first; where the answer would amplify what a forged address asks, it calls [`answer_briefly`].
//!
//! Who asks, and what the server says of itself, is an [`Asker`]: what a query's options ask for is
//! in every reply that has an OPT record, in errors and truncated ones, too.

mod account;
mod ahead;
mod asker;
mod places;
mod resolve;
#[cfg(test)]
mod tests;
mod write;

use crate::clock::Timestamp;
use crate::wire::{
    Authoritative, CookieCheck, Envelope, ExtendedError, HEADER_LENGTH, Opcode, Query, Rcode,
    Received, Reply, ReplyOptions, Rtype, Section, Transport, receive,
};
use crate::zone::layout::Descent;
use crate::zone::{ZoneImage, ZoneView};

pub use account::{Answered, ResponseClass, Subject, Verdict};
pub use ahead::{Foreseen, ReadAhead};
pub use asker::{Asker, Nsid, ReplySettings};
use resolve::{Authority, Outcome, Resolver};
use write::Writer;

/// The name under which a server says which one it is (RFC 4892, section 2).
const ID_SERVER: &[u8] = b"\x02id\x06server\x00";

/// Answers one query out of the published set.
///
/// `reply` is emptied and filled; once it has grown, nothing is allocated. Never panics, whatever
/// the octets are.
pub fn answer(
    zones: &ZoneView,
    query: &[u8],
    asker: &Asker<'_>,
    now: Timestamp,
    reply: &mut Vec<u8>,
) -> Verdict {
    answer_foreseen(zones, query, None, asker, now, reply)
}

/// Answers a query as [`answer`] does, with what [`ReadAhead`] has found out about it in the same
/// `zones`.
///
/// The answer is the same; what is known of another query is of no use and does no harm.
pub fn answer_foreseen(
    zones: &ZoneView,
    query: &[u8],
    foreseen: Option<&Foreseen>,
    asker: &Asker<'_>,
    now: Timestamp,
    reply: &mut Vec<u8>,
) -> Verdict {
    // By reference: it is large.
    match &mut receive(query, asker.transport) {
        Received::Query(query) => {
            let opening = Opening::new(&query.envelope, asker, now);
            answer_query(zones, query, foreseen, opening, now, reply)
        }
        Received::Chaos(query) => {
            let opening = Opening::new(&query.envelope, asker, now);
            answer_about_server(query, asker.settings, &opening, reply)
        }
        Received::Cookie(envelope) => {
            let opening = Opening::new(envelope, asker, now);
            let rcode = opening.rcode_of_cookie();
            opening.refuse(envelope, rcode, None, reply)
        }
        Received::Refused(envelope, _) if asker.is_early && !may_be_early(envelope) => {
            envelope.look_for_opt(query, asker.transport);
            let opening = Opening::new(envelope, asker, now);
            let error = Some(ExtendedError::TooEarly);
            opening.refuse(envelope, Rcode::REFUSED, error, reply)
        }
        Received::Refused(envelope, rcode) => {
            Opening::new(envelope, asker, now).refuse(envelope, *rcode, None, reply)
        }
        Received::Dropped(reason) => {
            reply.clear();
            Verdict::Drop(*reason)
        }
    }
}

/// Returns whether a message may come before the handshake is complete: it changes nothing, however
/// often it is replayed (RFC 9250, section 4.5).
fn may_be_early(envelope: &Envelope<'_>) -> bool {
    matches!(envelope.opcode(), Opcode::QUERY | Opcode::NOTIFY)
}

/// Replaces the answer to `query` by one that amplifies nothing, for a client whose address may be
/// forged: it has to come back, with the cookie that it gets (RFC 7873, section 5.2.3) or over TCP.
///
/// What would be dropped or refused gets the same as from [`answer`].
pub fn answer_briefly(
    query: &[u8],
    asker: &Asker<'_>,
    now: Timestamp,
    reply: &mut Vec<u8>,
) -> Verdict {
    match receive(query, asker.transport) {
        Received::Query(query) | Received::Chaos(query) => {
            let mut opening = Opening::new(&query.envelope, asker, now);
            // A name that can be asked for again may be longer than the query.
            opening.options.nsid = None;
            opening.send_back(&query, reply)
        }
        Received::Cookie(envelope) => {
            let opening = Opening::new(&envelope, asker, now);
            let rcode = opening.rcode_of_cookie();
            opening.refuse(&envelope, rcode, None, reply)
        }
        Received::Refused(envelope, rcode) => {
            Opening::new(&envelope, asker, now).refuse(&envelope, rcode, None, reply)
        }
        Received::Dropped(reason) => {
            reply.clear();
            Verdict::Drop(reason)
        }
    }
}

/// What is known of every reply to a query before it is written.
struct Opening<'s> {
    /// What carries it.
    transport: Transport,
    /// What the OPT record says.
    options: ReplyOptions<'s>,
    /// What the query's cookie is worth.
    cookie: Option<CookieCheck>,
}

impl<'s> Opening<'s> {
    /// Reads what the query's OPT record asks for.
    fn new(envelope: &Envelope<'_>, asker: &Asker<'s>, now: Timestamp) -> Self {
        let (options, cookie) = asker.greet(envelope, now);
        Self {
            transport: asker.transport,
            options,
            cookie,
        }
    }

    /// Begins the reply.
    fn begin<'b, 'm>(
        &self,
        octets: &'b mut Vec<u8>,
        envelope: &'b Envelope<'m>,
        error: Option<ExtendedError>,
    ) -> Reply<'b, 'm>
    where
        's: 'b,
    {
        let options = ReplyOptions {
            error,
            ..self.options
        };
        Reply::begin(octets, envelope, self.transport, options)
    }

    /// Writes a reply with a code and nothing else.
    fn refuse(
        &self,
        envelope: &Envelope<'_>,
        rcode: Rcode,
        error: Option<ExtendedError>,
        octets: &mut Vec<u8>,
    ) -> Verdict {
        let reply = self.begin(octets, envelope, error);
        reply.finish(rcode, Authoritative::No);
        Verdict::Reply(Answered {
            rcode,
            qtype: envelope.qtype(),
            truncated: false,
            class: ResponseClass::Error,
            subject: Subject::default(),
            cookie: self.cookie,
        })
    }

    /// Returns the code for a query that has a cookie and no question (RFC 7873, section 5.4).
    fn rcode_of_cookie(&self) -> Rcode {
        match self.cookie {
            Some(CookieCheck::ClientOnly | CookieCheck::Valid | CookieCheck::Renewed) => {
                Rcode::NOERROR
            }
            Some(CookieCheck::Expired | CookieCheck::Bad) => Rcode::BADCOOKIE,
            // Who does not know cookies knows no query without a question, either.
            None => Rcode::FORMERR,
        }
    }

    /// Writes a reply that makes the client come back.
    fn send_back(&self, query: &Query<'_>, octets: &mut Vec<u8>) -> Verdict {
        let envelope = &query.envelope;
        let reply = self.begin(octets, envelope, None);
        let rcode = match self.options.cookie {
            Some(_) => Rcode::BADCOOKIE,
            None => Rcode::NOERROR,
        };
        let truncated = rcode == Rcode::NOERROR;
        if truncated {
            reply.finish_truncated(rcode, Authoritative::No);
        } else {
            reply.finish(rcode, Authoritative::No);
        }
        Verdict::Reply(Answered {
            rcode,
            qtype: Some(query.qtype),
            truncated,
            class: ResponseClass::Error,
            subject: Subject::default(),
            cookie: self.cookie,
        })
    }
}

/// Answers a question of class IN.
fn answer_query(
    zones: &ZoneView,
    query: &Query<'_>,
    foreseen: Option<&Foreseen>,
    opening: Opening<'_>,
    now: Timestamp,
    octets: &mut Vec<u8>,
) -> Verdict {
    let envelope = &query.envelope;
    if let Some((rcode, error)) = refusal_of(query.qtype) {
        return opening.refuse(envelope, rcode, Some(error), octets);
    }
    let Some((zone, descent)) = zone_for(zones, query, foreseen) else {
        // Never a referral upwards (RFC 8499 calls it lame; it only amplifies).
        let error = Some(ExtendedError::NotAuthoritative);
        return opening.refuse(envelope, Rcode::REFUSED, error, octets);
    };
    zone.count(query.qtype);
    if zone.has_expired(now) {
        let error = Some(ExtendedError::InvalidData);
        return opening.refuse(envelope, Rcode::SERVFAIL, error, octets);
    }
    answer_from(zone, query, descent, &opening, octets)
}

/// Answers a question of class CH: with the node's name for `id.server`, if it may.
///
/// All else is refused, `version.bind` above all: it would tell an attacker what to try.
fn answer_about_server(
    query: &Query<'_>,
    settings: &ReplySettings,
    opening: &Opening<'_>,
    octets: &mut Vec<u8>,
) -> Verdict {
    let envelope = &query.envelope;
    let is_asked_for = query.qname.as_wire() == ID_SERVER && query.qtype == Rtype::TXT;
    let name = settings.nsid.as_ref();
    let Some(name) = name.filter(|_| is_asked_for && settings.id_server) else {
        let error = Some(ExtendedError::NotSupported);
        return opening.refuse(envelope, Rcode::REFUSED, error, octets);
    };
    let mut reply = opening.begin(octets, envelope, None);
    reply.chaos_text(name.as_bytes());
    reply.finish(Rcode::NOERROR, Authoritative::Yes);
    Verdict::Reply(Answered {
        rcode: Rcode::NOERROR,
        qtype: Some(query.qtype),
        truncated: false,
        class: ResponseClass::Positive,
        subject: Subject::new(ResponseClass::Positive, envelope, HEADER_LENGTH),
        cookie: opening.cookie,
    })
}

/// Returns how a question is refused whatever the name is.
fn refusal_of(qtype: Rtype) -> Option<(Rcode, ExtendedError)> {
    match qtype {
        // Transfers are for those who were let in, and nobody is yet (RFC 5936, section 4.2).
        Rtype::AXFR | Rtype::IXFR => Some((Rcode::REFUSED, ExtendedError::Prohibited)),
        // Obsolete since 1987 (RFC 1035, section 3.2.3), so "not implemented" is the truth.
        Rtype::MAILA | Rtype::MAILB => Some((Rcode::NOTIMP, ExtendedError::NotSupported)),
        // Records about messages are in none; NXNAME is in bitmaps only (RFC 9824, section 3.5).
        Rtype::OPT | Rtype::TSIG | Rtype::TKEY | Rtype::NXNAME => {
            Some((Rcode::FORMERR, ExtendedError::InvalidQueryType))
        }
        _ => None,
    }
}

/// Returns the zone that answers, the closest at or above the name, and where the name's way through
/// it ends, if that is known.
///
/// The DS records of a zone are its parent's, so there they are looked for if we serve a zone
/// above; if not, the child says that it has none (RFC 4035, section 3.1.4.1).
fn zone_for<'v>(
    zones: &'v ZoneView,
    query: &'v Query<'_>,
    foreseen: Option<&Foreseen>,
) -> Option<(&'v ZoneImage, Option<Descent>)> {
    let may_be_above = query.qtype == Rtype::DS;
    let known = foreseen.filter(|_| !may_be_above);
    if let Some(found) = known.and_then(|known| known.zone(zones, &query.qname)) {
        return Some(found);
    }
    let mut enclosing = zones.enclosing(&query.qname);
    let closest = enclosing.next()?;
    if may_be_above && closest.apex_wire() == query.qname.as_wire() {
        return Some((enclosing.next().unwrap_or(closest), None));
    }
    Some((closest, None))
}

/// Answers a query out of the zone that its name is in.
fn answer_from(
    zone: &ZoneImage,
    query: &Query<'_>,
    descent: Option<Descent>,
    opening: &Opening<'_>,
    octets: &mut Vec<u8>,
) -> Verdict {
    let Query {
        envelope,
        qname,
        qtype,
    } = query;
    let reply = opening.begin(octets, envelope, None);
    let Some(mut writer) = Writer::new(reply, zone, qname, envelope.dnssec_ok()) else {
        return opening.refuse(envelope, Rcode::REFUSED, None, octets);
    };
    let mut rcode = Rcode::NOERROR;
    let mut authoritative = Authoritative::Yes;
    let mut class = ResponseClass::Positive;
    let apex_at = writer.apex_at();
    let resolved = Resolver::new(&mut writer, qname, *qtype, descent).resolve();
    let written = resolved.and_then(|outcome| {
        rcode = outcome.rcode;
        class = class_of(&outcome);
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
        qtype: Some(*qtype),
        truncated: written.is_err(),
        class,
        subject: Subject::new(class, envelope, apex_at),
        cookie: opening.cookie,
    })
}

/// Returns what kind of reply an outcome makes.
fn class_of(outcome: &Outcome) -> ResponseClass {
    if outcome.rcode == Rcode::NXDOMAIN {
        return ResponseClass::NxDomain;
    }
    match outcome.authority {
        Authority::Referral(_) => ResponseClass::Referral,
        Authority::Nothing | Authority::Negative if outcome.is_synthesised => {
            ResponseClass::Wildcard
        }
        Authority::Nothing => ResponseClass::Positive,
        Authority::Negative => ResponseClass::NoData,
    }
}
