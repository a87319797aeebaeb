//! Data that we derive, made field by field.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Rdata;
use crate::wire::{Name, Serial, Ttl};

/// The numbers of a SOA record behind its two names (RFC 1035, section 3.3.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoaNumbers {
    /// The zone's version.
    pub serial: Serial,
    /// How often a secondary asks for a newer version, in seconds.
    pub refresh: u32,
    /// How soon it asks again when that failed, in seconds.
    pub retry: u32,
    /// How long it serves what it has without an answer, in seconds.
    pub expire: u32,
    /// The TTL of negative answers (RFC 2308, section 4).
    pub minimum: Ttl,
}

impl Rdata {
    /// Makes A data.
    pub fn a(address: Ipv4Addr) -> Self {
        Self::from_checked(address.octets().to_vec())
    }

    /// Makes AAAA data.
    pub fn aaaa(address: Ipv6Addr) -> Self {
        Self::from_checked(address.octets().to_vec())
    }

    /// Makes the data of a type that is one name: NS, CNAME, DNAME, PTR.
    pub fn name(target: &Name) -> Self {
        Self::from_checked(target.as_wire().to_vec())
    }

    /// Makes MX data; `MX 0 .` is the null MX (RFC 7505, section 3).
    pub fn mx(preference: u16, exchange: &Name) -> Self {
        Self::from_checked([&preference.to_be_bytes(), exchange.as_wire()].concat())
    }

    /// Makes TXT data of one text, cut into strings of at most 255 octets (RFC 1035, section 3.3).
    pub fn txt(text: &[u8]) -> Self {
        let mut octets = Vec::with_capacity(text.len() + 1 + text.len() / 255);
        if text.is_empty() {
            octets.push(0);
        }
        for string in text.chunks(255) {
            octets.push(string.len() as u8);
            octets.extend_from_slice(string);
        }
        Self::from_checked(octets)
    }

    /// Makes SOA data.
    pub fn soa(mname: &Name, rname: &Name, numbers: SoaNumbers) -> Self {
        let mut octets = [mname.as_wire(), rname.as_wire()].concat();
        for number in [
            numbers.serial.number(),
            numbers.refresh,
            numbers.retry,
            numbers.expire,
            numbers.minimum.as_secs(),
        ] {
            octets.extend_from_slice(&number.to_be_bytes());
        }
        Self::from_checked(octets)
    }

    /// Makes RP data: a mailbox and the owner of a TXT record, the root for none (RFC 1183,
    /// section 2.2).
    pub fn rp(mailbox: &Name, text: &Name) -> Self {
        Self::from_checked([mailbox.as_wire(), text.as_wire()].concat())
    }

    /// Makes CAA data that allows nobody to issue a certificate (RFC 8659, section 4.2).
    pub fn caa_none() -> Self {
        Self::from_checked(b"\0\x05issue;".to_vec())
    }

    /// Makes TLSA data (RFC 6698, section 2.1).
    pub fn tlsa(usage: u8, selector: u8, matching_type: u8, association: &[u8]) -> Self {
        Self::from_checked([&[usage, selector, matching_type], association].concat())
    }

    /// Makes DNSKEY or CDNSKEY data (RFC 4034, section 2.1; RFC 7344, section 3.2).
    pub fn dnskey(flags: u16, algorithm: u8, public_key: &[u8]) -> Self {
        let [high, low] = flags.to_be_bytes();
        // The protocol field is always 3 (RFC 4034, section 2.1.2).
        Self::from_checked([&[high, low, 3, algorithm], public_key].concat())
    }

    /// Makes DS or CDS data (RFC 4034, section 5.1; RFC 7344, section 3.1).
    pub fn ds(key_tag: u16, algorithm: u8, digest_type: u8, digest: &[u8]) -> Self {
        let [high, low] = key_tag.to_be_bytes();
        Self::from_checked([&[high, low, algorithm, digest_type], digest].concat())
    }

    /// Makes NSEC data: the next owner and the types at this one (RFC 4034, section 4.1).
    ///
    /// `bitmap` is the finished type bitmap field.
    pub fn nsec(next: &Name, bitmap: &[u8]) -> Self {
        Self::from_checked([next.as_wire(), bitmap].concat())
    }

    /// Makes RRSIG data out of its finished octets (RFC 4034, section 3.1).
    ///
    /// The signer's name inside must be in canonical form: nothing is checked or lowered here.
    pub fn rrsig(octets: Vec<u8>) -> Self {
        Self::from_checked(octets)
    }

    /// Returns the numbers of SOA data; `None` for data of another type.
    pub fn soa_numbers(&self) -> Option<SoaNumbers> {
        let (_, numbers) = self.as_wire().split_last_chunk::<20>()?;
        let number = |index: usize| {
            let at = index * 4;
            u32::from_be_bytes([
                numbers[at],
                numbers[at + 1],
                numbers[at + 2],
                numbers[at + 3],
            ])
        };
        Some(SoaNumbers {
            serial: Serial::new(number(0)),
            refresh: number(1),
            retry: number(2),
            expire: number(3),
            minimum: Ttl::from_secs(number(4)),
        })
    }
}
