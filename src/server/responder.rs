//! One query in, one answer out, counted; a panic stays inside.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::metrics::{Dropped, Family, Metrics, Traffic};
use crate::zone::{self, Asker, DropReason, ReplySettings, Transport, Verdict, ZoneReader};

/// The response code of an answer that a panic cut short (RFC 1035, section 4.1.1).
const SERVFAIL: u8 = 2;

/// Octets of a message's header (RFC 1035, section 4.1.1).
const HEADER: usize = 12;

/// What turns a query into an answer.
pub(super) type Answer = fn(&ZoneReader, &[u8], &Asker<'_>, Timestamp, &mut Vec<u8>) -> Verdict;

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
    /// [`zone::answer`], but for tests.
    answer: Answer,
    /// What the server says of itself.
    settings: Arc<ReplySettings>,
    /// How the worker's queries come in.
    transport: Transport,
    /// The worker's counters.
    traffic: Arc<Traffic>,
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
            answer: zone::answer,
        }
    }

    /// Returns the responder of one worker.
    pub(super) fn responder(&self, transport: Transport) -> Responder {
        Responder {
            zones: self.zones.clone(),
            clock: self.clock.clone(),
            answer: self.answer,
            settings: self.settings.clone(),
            transport,
            traffic: self.metrics.traffic(transport),
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

impl Responder {
    /// Fills `reply` with the answer to `query`; false means that there is none.
    ///
    /// A panic is a bug of ours, but it must cost one answer, not a worker: it is caught, counted,
    /// and answered with SERVFAIL, so that the resolver asks another server at once. The panic hook
    /// has told where it happened, and how often it does so is the hook's to bound.
    pub(super) fn respond(&self, query: &[u8], client: &Client, reply: &mut Vec<u8>) -> bool {
        let family = client.family();
        let asker = Asker {
            transport: self.transport,
            address: client.address,
            is_early: client.is_early,
            idle: client.idle,
            settings: &self.settings,
        };
        let begin = self.clock.monotonic();
        let now = self.clock.now();
        // Unwind safe: all that outlives the call is `reply`, which the next call empties, and the
        // published set, which nobody changes in place.
        let verdict = catch_unwind(AssertUnwindSafe(|| {
            (self.answer)(&self.zones, query, &asker, now, reply)
        }));
        let time = || self.clock.monotonic().saturating_sub(begin);
        match verdict {
            Ok(Verdict::Reply(answered)) => {
                self.traffic.query(family, answered.qtype);
                if answered.truncated {
                    self.traffic.truncated();
                }
                self.traffic
                    .response(answered.rcode.code(), reply.len(), time());
                true
            }
            Ok(Verdict::Drop(reason)) => {
                self.traffic.dropped(match reason {
                    DropReason::TooShort | DropReason::ProtocolError => Dropped::Malformed,
                    DropReason::IsResponse => Dropped::ResponseBit,
                });
                false
            }
            Err(_) => {
                self.traffic.panicked();
                self.traffic.query(family, None);
                let answered = fail(query, reply);
                if answered {
                    self.traffic
                        .response(u16::from(SERVFAIL), reply.len(), time());
                }
                answered
            }
        }
    }

    /// Counts a panic of this worker's outside of answering.
    pub(super) fn panicked(&self) {
        self.traffic.panicked();
    }

    /// Counts something of this worker's that got no answer.
    pub(super) fn dropped(&self, reason: Dropped) {
        self.traffic.dropped(reason);
    }
}

/// Fills `reply` with a bare SERVFAIL to `query`, if that has a header to copy.
fn fail(query: &[u8], reply: &mut Vec<u8>) -> bool {
    reply.clear();
    let Some(header) = query.get(..HEADER) else {
        return false;
    };
    reply.extend_from_slice(&header[..2]);
    // QR set; opcode and RD copied, all other flags and all counts zero.
    reply.push(0x80 | (header[2] & 0b0111_1001));
    reply.push(SERVFAIL);
    reply.resize(HEADER, 0);
    true
}
