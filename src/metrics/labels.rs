//! The closed lists of label values.

use crate::wire::{CookieCheck, Rtype, Transport};

/// Returns the label's value of what carried a query.
pub(super) const fn transport_label(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        Transport::Dot => "dot",
        Transport::Doq => "doq",
        Transport::Doh => "doh",
    }
}

/// The address family that a query came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// All families, in the order of their numbers.
    pub(super) const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// Returns the label's value.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }
}

/// Why something that came in got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// Too short to be a message.
    Malformed,
    /// A response, not a query: answering it could start a loop.
    ResponseBit,
    /// A connection over the limits.
    Overload,
    /// A connection that gave way to another one, because there was no place left.
    Evicted,
    /// The answer could not be sent.
    SendFailed,
    /// The kernel had no room to keep it until a worker would take it.
    ReceiveBuffer,
    /// Its answer was beyond the rate that its client may have.
    Rrl,
}

impl Dropped {
    /// All reasons, in the order of their numbers.
    pub(super) const ALL: [Self; 7] = [
        Self::Malformed,
        Self::ResponseBit,
        Self::Overload,
        Self::Evicted,
        Self::SendFailed,
        Self::ReceiveBuffer,
        Self::Rrl,
    ];

    /// Returns the label's value.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::ResponseBit => "response_bit",
            Self::Overload => "overload",
            Self::Evicted => "evicted",
            Self::SendFailed => "send_failed",
            Self::ReceiveBuffer => "receive_buffer",
            Self::Rrl => "rrl",
        }
    }
}

/// All that a query's cookie may be worth, in the order of their numbers.
pub(super) const COOKIES: [CookieCheck; 5] = [
    CookieCheck::ClientOnly,
    CookieCheck::Valid,
    CookieCheck::Renewed,
    CookieCheck::Expired,
    CookieCheck::Bad,
];

/// Returns the label's value of what a query's cookie is worth.
pub(super) const fn cookie_label(check: CookieCheck) -> &'static str {
    match check {
        CookieCheck::ClientOnly => "client_only",
        CookieCheck::Valid => "valid",
        CookieCheck::Renewed => "renewed",
        CookieCheck::Expired => "expired",
        CookieCheck::Bad => "bad",
    }
}

/// The map that a mail host asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoutingMap {
    /// Which domains are ours.
    Domains,
    /// What becomes of mail to a recipient.
    Recipients,
    /// None that there is.
    Unknown,
}

impl RoutingMap {
    /// All maps, in the order of their numbers.
    pub(super) const ALL: [Self; 3] = [Self::Domains, Self::Recipients, Self::Unknown];

    /// Returns the label's value.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Domains => "domains",
            Self::Recipients => "recipients",
            Self::Unknown => "unknown",
        }
    }
}

/// What a mail host was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoutingResult {
    /// The mail may be taken.
    Accept,
    /// It is refused for now.
    Later,
    /// It is refused for good.
    Never,
    /// Nothing is known about the key.
    NotFound,
    /// The request was none.
    Error,
}

impl RoutingResult {
    /// All results, in the order of their numbers.
    pub(super) const ALL: [Self; 5] = [
        Self::Accept,
        Self::Later,
        Self::Never,
        Self::NotFound,
        Self::Error,
    ];

    /// Returns the label's value.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Later => "later",
            Self::Never => "never",
            Self::NotFound => "notfound",
            Self::Error => "error",
        }
    }
}

/// Why a pool was rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationCause {
    /// It was asked for.
    Request,
    /// Domains were burned.
    Burn,
    /// Domains were active for longer than their pool wants.
    Age,
}

impl RotationCause {
    /// Every cause.
    pub(super) const ALL: [Self; 3] = [Self::Request, Self::Burn, Self::Age];

    /// Returns the label's value.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Burn => "burn",
            Self::Age => "age",
        }
    }
}

/// The response codes with a label of their own, those that a server of ours sends; the last slot
/// is for all others (RFC 6895, section 2.3).
pub(super) const RCODES: [(u16, &str); 11] = [
    (0, "noerror"),
    (1, "formerr"),
    (2, "servfail"),
    (3, "nxdomain"),
    (4, "notimp"),
    (5, "refused"),
    (6, "yxdomain"),
    (9, "notauth"),
    (16, "badvers"),
    (23, "badcookie"),
    (u16::MAX, "other"),
];

/// Returns the slot of a response code in [`RCODES`].
pub(super) fn rcode_slot(rcode: u16) -> usize {
    RCODES
        .iter()
        .position(|(code, _)| *code == rcode)
        .unwrap_or(RCODES.len() - 1)
}

/// The question types with a label of their own, by number; `other` follows in the slot behind.
///
/// What mail and DNSSEC ask for, and what probes ask for; the rest cannot be told apart by who
/// reads a graph.
pub(super) const QTYPES: [Rtype; 24] = [
    Rtype::A,
    Rtype::NS,
    Rtype::CNAME,
    Rtype::SOA,
    Rtype::PTR,
    Rtype::MX,
    Rtype::TXT,
    Rtype::AAAA,
    Rtype::SRV,
    Rtype::NAPTR,
    Rtype::DS,
    Rtype::RRSIG,
    Rtype::NSEC,
    Rtype::DNSKEY,
    Rtype::NSEC3PARAM,
    Rtype::TLSA,
    Rtype::CDS,
    Rtype::CDNSKEY,
    Rtype::SVCB,
    Rtype::HTTPS,
    Rtype::IXFR,
    Rtype::AXFR,
    Rtype::ANY,
    Rtype::CAA,
];

/// One more than the largest number of a type with a label of its own.
const QTYPE_CODES: usize = 1 + QTYPES[QTYPES.len() - 1].code() as usize;

/// The slot of every type up to there.
///
/// A search would cost what the rest of counting does: which way it goes cannot be foretold.
const SLOT_OF: [u8; QTYPE_CODES] = {
    let mut slots = [QTYPES.len() as u8; QTYPE_CODES];
    let mut slot = 0;
    while slot < QTYPES.len() {
        slots[QTYPES[slot].code() as usize] = slot as u8;
        slot += 1;
    }
    slots
};

/// The slots of question types: those of [`QTYPES`], `other`, and `none` for what had no question.
pub(super) const QTYPE_SLOTS: usize = QTYPES.len() + 2;

/// Returns the slot of a question's type.
pub(super) fn qtype_slot(qtype: Option<Rtype>) -> usize {
    match qtype {
        Some(qtype) => {
            let slot = SLOT_OF.get(usize::from(qtype.code()));
            slot.map_or(QTYPES.len(), |slot| usize::from(*slot))
        }
        None => QTYPES.len() + 1,
    }
}

/// Returns the label's value of a slot.
pub(super) fn qtype_label(slot: usize) -> String {
    match QTYPES.get(slot) {
        Some(qtype) => qtype.to_string(),
        None if slot == QTYPES.len() => "other".to_owned(),
        None => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_is_found_in_its_own_slot() {
        assert!(QTYPES.is_sorted());
        for (slot, qtype) in QTYPES.iter().enumerate() {
            assert_eq!(qtype_slot(Some(*qtype)), slot);
        }
        assert_eq!(qtype_label(qtype_slot(Some(Rtype::new(65_400)))), "other");
        assert_eq!(qtype_label(qtype_slot(None)), "none");
        assert_eq!(RCODES[rcode_slot(3)].1, "nxdomain");
        assert_eq!(RCODES[rcode_slot(16)].1, "badvers");
        assert_eq!(RCODES[rcode_slot(23)].1, "badcookie");
        assert_eq!(RCODES[rcode_slot(4_095)].1, "other");
    }

    #[test]
    fn numbers_follow_the_lists() {
        for (number, value) in Transport::ALL.iter().enumerate() {
            assert_eq!(*value as usize, number);
        }
        for (number, value) in COOKIES.iter().enumerate() {
            assert_eq!(*value as usize, number);
        }
        for (number, value) in Family::ALL.iter().enumerate() {
            assert_eq!(*value as usize, number);
        }
        for (number, value) in RoutingMap::ALL.iter().enumerate() {
            assert_eq!(*value as usize, number);
        }
        for (number, value) in RoutingResult::ALL.iter().enumerate() {
            assert_eq!(*value as usize, number);
        }
        for (number, value) in Dropped::ALL.iter().enumerate() {
            assert_eq!(*value as usize, number);
        }
    }
}
