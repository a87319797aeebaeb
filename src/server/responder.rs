//! One query in, one answer out, counted; a panic stays inside.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::metrics::{Dropped, Family, Metrics, Traffic, Writers};
use crate::wire::Rcode;
use crate::zone::{
    self, Answered, Asker, DropReason, Foreseen, ReadAhead, ReplySettings, Transport, Verdict,
    ZoneReader, ZoneView,
};

use super::rrl::{Decision, RateLimiter};

/// The bit that tells responses from queries, in the third octet of a message.
const RESPONSE: u8 = 0x80;

/// Octets of a message's header (RFC 1035, section 4.1.1).
const HEADER: usize = 12;

/// What turns a query into an answer.
pub(super) type Answer =
    fn(&ZoneView, &[u8], Option<&Foreseen>, &Asker<'_>, Timestamp, &mut Vec<u8>) -> Verdict;

/// Who sent a query, as far as it is not the same for all queries of a worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    /// Where it came from.
    pub(super) address: IpAddr,
    /// Whether it came before the handshake was complete (RFC 9250, section 4.5).
    pub(super) is_early: bool,
    /// How long its connection may be idle from now on.
    pub(super) idle: Duration,
}

/// Answers the queries of one worker.
#[derive(Clone)]
pub(super) struct Responder {
    /// The published set.
    zones: ZoneReader,
    /// Tells which signatures have expired.
    clock: Arc<dyn Clock>,
    /// [`zone::answer_foreseen`], but for tests.
    answer: Answer,
    /// What the server says of itself.
    settings: Arc<ReplySettings>,
    /// How the worker's queries come in.
    transport: Transport,
    /// The worker's counters.
    traffic: Arc<Traffic>,
    /// Limits the worker's answers, if they are to be limited.
    limiter: Option<Arc<RateLimiter>>,
}

/// What the responders of all workers are made of.
#[derive(Clone)]
pub(super) struct Responders {
    /// The published set.
    pub(super) zones: ZoneReader,
    /// Tells which signatures have expired.
    pub(super) clock: Arc<dyn Clock>,
    /// Gives each worker its counters.
    pub(super) metrics: Arc<Metrics>,
    /// What the server says of itself.
    pub(super) settings: Arc<ReplySettings>,
    /// What answers.
    pub(super) answer: Answer,
    /// Gives each worker that answers datagrams its limiter, if there is one.
    pub(super) limiter: Option<Arc<RateLimiter>>,
}

impl Responders {
    /// Returns responders that answer out of `zones`.
    pub(super) fn new(
        zones: ZoneReader,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
        settings: Arc<ReplySettings>,
    ) -> Self {
        Self {
            zones,
            clock,
            metrics,
            settings,
            answer: zone::answer_foreseen,
            limiter: None,
        }
    }

    /// Returns the responder of one worker: over UDP of a thread that shares it with nobody.
    pub(super) fn responder(&self, transport: Transport) -> Responder {
        let writers = match transport {
            Transport::Udp => Writers::One,
            Transport::Tcp | Transport::Dot | Transport::Doq | Transport::Doh => Writers::Many,
        };
        Responder {
            zones: self.zones.clone(),
            clock: self.clock.clone(),
            answer: self.answer,
            settings: self.settings.clone(),
            transport,
            traffic: self.metrics.traffic(transport, writers),
            // Who has answered a handshake is where it says.
            limiter: match &self.limiter {
                Some(limiter) if !transport.is_stream() => Some(Arc::new(limiter.another())),
                _ => None,
            },
        }
    }
}

impl Client {
    /// Returns who sent a datagram.
    pub(super) fn of_datagram(address: IpAddr) -> Self {
        Self {
            address,
            is_early: false,
            idle: Duration::ZERO,
        }
    }

    /// Returns the family of its address.
    fn family(&self) -> Family {
        match self.address {
            IpAddr::V4(_) => Family::Ipv4,
            IpAddr::V6(_) => Family::Ipv6,
        }
    }
}

/// What becomes of a query and its answer.
enum Outcome {
    /// The answer is sent.
    Reply(Answered),
    /// The answer is beyond its rate and not sent.
    Limited(Answered),
    /// There is no answer.
    Drop(DropReason),
}

impl Outcome {
    /// Takes what the query itself deserves.
    fn of(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Reply(answered) => Self::Reply(answered),
            Verdict::Drop(reason) => Self::Drop(reason),
        }
    }
}

/// Queries that are answered together: at one moment, read from the clock once, and out of one state
/// of the published set.
pub(super) struct Round<'r> {
    /// What answers.
    responder: &'r Responder,
    /// The published set as it is.
    zones: ZoneView,
    /// Tells which signatures have expired.
    now: Timestamp,
    /// When the queries had been read.
    begin: Duration,
    /// How many got an answer.
    answered: u64,
}

impl Responder {
    /// Begins to answer queries that have come, all of them.
    pub(super) fn begin(&self) -> Round<'_> {
        let (now, begin) = self.clock.readings();
        Round {
            responder: self,
            zones: self.zones.view(),
            now,
            begin,
            answered: 0,
        }
    }

    /// Fills `reply` with the answer to one query; false means that there is none.
    pub(super) fn respond(&self, query: &[u8], client: &Client, reply: &mut Vec<u8>) -> bool {
        let mut round = self.begin();
        let answered = round.respond(query, None, client, reply);
        round.end();
        answered
    }

    /// Counts a panic of this worker's outside of answering.
    pub(super) fn panicked(&self) {
        self.traffic.panicked();
    }

    /// Counts things of this worker's that got no answer.
    pub(super) fn dropped(&self, reason: Dropped, count: u64) {
        self.traffic.dropped(reason, count);
    }
}

impl Round<'_> {
    /// Reads what the answers to `queries` will need, side by side, before one after the other is
    /// made.
    pub(super) fn read_ahead<'q>(
        &self,
        ahead: &mut ReadAhead,
        queries: impl Iterator<Item = &'q [u8]>,
    ) {
        // It answers nothing, so a panic, which is a bug of ours, costs nothing but the time saved:
        // what it has half found out is checked against the query.
        let read = AssertUnwindSafe(|| ahead.read(&self.zones, queries));
        if catch_unwind(read).is_err() {
            self.responder.panicked();
        }
    }

    /// Fills `reply` with the answer to `query`, of which `foreseen` is known; false means that there
    /// is none.
    ///
    /// A panic is a bug of ours, but it must cost one answer, not a worker: it is caught, counted,
    /// and answered with SERVFAIL, so that the resolver asks another server at once. The panic hook
    /// has told where it happened, and how often it does so is the hook's to bound.
    pub(super) fn respond(
        &mut self,
        query: &[u8],
        foreseen: Option<&Foreseen>,
        client: &Client,
        reply: &mut Vec<u8>,
    ) -> bool {
        let Responder {
            answer,
            settings,
            transport,
            traffic,
            limiter,
            ..
        } = self.responder;
        let asker = Asker {
            transport: *transport,
            address: client.address,
            is_early: client.is_early,
            idle: client.idle,
            settings,
        };
        // Unwind safe: all that outlives the call is `reply`, which the next call empties, and the
        // published set, which nobody changes in place.
        let verdict = catch_unwind(AssertUnwindSafe(|| {
            let verdict = answer(&self.zones, query, foreseen, &asker, self.now, reply);
            match (limiter, verdict) {
                (Some(limiter), Verdict::Reply(answered)) => {
                    self.limit(limiter, query, &asker, answered, reply)
                }
                _ => Outcome::of(verdict),
            }
        }));
        match verdict {
            Ok(Outcome::Limited(answered)) => {
                traffic.query(client.family(), answered.qtype);
                traffic.dropped(Dropped::Rrl, 1);
                false
            }
            Ok(Outcome::Reply(answered)) => {
                traffic.query(client.family(), answered.qtype);
                if answered.truncated {
                    traffic.truncated();
                }
                if let Some(check) = answered.cookie {
                    traffic.cookie(check);
                }
                traffic.response(answered.rcode.code(), reply.len());
                self.answered += 1;
                true
            }
            Ok(Outcome::Drop(reason)) => {
                let reason = match reason {
                    DropReason::TooShort | DropReason::ProtocolError => Dropped::Malformed,
                    DropReason::IsResponse => Dropped::ResponseBit,
                };
                traffic.dropped(reason, 1);
                false
            }
            Err(_) => {
                traffic.panicked();
                self.fail(query, Rcode::SERVFAIL, client, reply)
            }
        }
    }

    /// Keeps an answer within its rate: it stays, becomes a brief one, or goes.
    fn limit(
        &self,
        limiter: &RateLimiter,
        query: &[u8],
        asker: &Asker<'_>,
        answered: Answered,
        reply: &mut Vec<u8>,
    ) -> Outcome {
        let traffic = &self.responder.traffic;
        let decision = limiter.decide(asker.address, query, &answered, self.begin);
        if limiter.is_dry_run() {
            match decision {
                Decision::Send => {}
                Decision::Slip | Decision::Leak => traffic.slipped(),
                Decision::Drop => traffic.dropped(Dropped::Rrl, 1),
            }
            return Outcome::Reply(answered);
        }
        match decision {
            Decision::Send => Outcome::Reply(answered),
            Decision::Drop => Outcome::Limited(answered),
            Decision::Leak => {
                traffic.slipped();
                Outcome::Reply(answered)
            }
            Decision::Slip => {
                traffic.slipped();
                Outcome::of(zone::answer_briefly(query, asker, self.now, reply))
            }
        }
    }

    /// Refuses a datagram that is longer than any query, of which `begin` are the first octets.
    pub(super) fn refuse(&mut self, begin: &[u8], client: &Client, reply: &mut Vec<u8>) -> bool {
        if begin.get(2).is_some_and(|flags| flags & RESPONSE != 0) {
            self.responder.dropped(Dropped::ResponseBit, 1);
            return false;
        }
        self.fail(begin, Rcode::FORMERR, client, reply)
    }

    /// Ends the round, its answers being there; returns when that is, on the monotonic clock.
    pub(super) fn end(self) -> Duration {
        let now = self.responder.clock.monotonic();
        if self.answered > 0 {
            let time = now.saturating_sub(self.begin);
            self.responder.traffic.answered(time, self.answered);
        }
        now
    }

    /// Answers with a header alone, and counts that.
    fn fail(&mut self, query: &[u8], rcode: Rcode, client: &Client, reply: &mut Vec<u8>) -> bool {
        let traffic = &self.responder.traffic;
        traffic.query(client.family(), None);
        if !write_failure(query, rcode, reply) {
            return false;
        }
        traffic.response(rcode.code(), reply.len());
        self.answered += 1;
        true
    }
}

/// Fills `reply` with a header that says `rcode`, if `query` has a header to copy.
fn write_failure(query: &[u8], rcode: Rcode, reply: &mut Vec<u8>) -> bool {
    reply.clear();
    let Some(header) = query.get(..HEADER) else {
        return false;
    };
    reply.extend_from_slice(&header[..2]);
    // QR set; opcode and RD copied, all other flags and all counts zero.
    reply.push(RESPONSE | (header[2] & 0b0111_1001));
    reply.push(rcode.code() as u8 & 0xf);
    reply.resize(HEADER, 0);
    true
}
