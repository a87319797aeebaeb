//! One query in, one answer out, counted; a panic stays inside.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::clock::{Clock, Timestamp};
use crate::metrics::{Dropped, Family, Metrics, Traffic};
use crate::zone::{self, DropReason, Transport, Verdict, ZoneReader};

/// The response code of an answer that a panic cut short (RFC 1035, section 4.1.1).
const SERVFAIL: u8 = 2;

/// Octets of a message's header (RFC 1035, section 4.1.1).
const HEADER: usize = 12;

/// What turns a query into an answer.
pub(super) type Answer = fn(&ZoneReader, &[u8], Transport, Timestamp, &mut Vec<u8>) -> Verdict;

/// Answers the queries of one worker.
#[derive(Clone)]
pub(super) struct Responder {
    /// The published set.
    zones: ZoneReader,
    /// Tells which signatures have expired.
    clock: Arc<dyn Clock>,
    /// [`zone::answer`], but for tests.
    answer: Answer,
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
    /// What answers.
    pub(super) answer: Answer,
}

impl Responders {
    /// Returns responders that answer out of `zones`.
    pub(super) fn new(zones: ZoneReader, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        Self {
            zones,
            clock,
            metrics,
            answer: zone::answer,
        }
    }

    /// Returns the responder of one worker.
    pub(super) fn responder(&self, transport: Transport) -> Responder {
        let label = match transport {
            Transport::Udp => crate::metrics::Transport::Udp,
            Transport::Tcp => crate::metrics::Transport::Tcp,
        };
        Responder {
            zones: self.zones.clone(),
            clock: self.clock.clone(),
            answer: self.answer,
            transport,
            traffic: self.metrics.traffic(label),
        }
    }
}

impl Responder {
    /// Fills `reply` with the answer to `query`; false means that there is none.
    ///
    /// A panic is a bug of ours, but it must cost one answer, not a worker: it is caught, counted,
    /// and answered with SERVFAIL, so that the resolver asks another server at once. The panic hook
    /// has told where it happened, and how often it does so is the hook's to bound.
    pub(super) fn respond(&self, query: &[u8], family: Family, reply: &mut Vec<u8>) -> bool {
        let begin = self.clock.monotonic();
        let now = self.clock.now();
        // Unwind safe: all that outlives the call is `reply`, which the next call empties, and the
        // published set, which nobody changes in place.
        let verdict = catch_unwind(AssertUnwindSafe(|| {
            (self.answer)(&self.zones, query, self.transport, now, reply)
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
                    DropReason::TooShort => Dropped::Malformed,
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
