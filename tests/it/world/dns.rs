//! The world's end of the wire: asks the published set and reads what comes back.
//!
//! Reads messages with code of its own: what the product writes is not read by the product.

use std::net::Ipv4Addr;
use std::rc::Rc;

use mxpool::clock::Timestamp;
use mxpool::wire::{Name, Rcode, Rtype, Transport, key_tag};
use mxpool::zone::{Asker, ReplySettings, Verdict, ZoneReader, answer};

/// What a zone says at one moment, as far as mail goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The SOA's serial.
    pub(crate) serial: u32,
    /// How long its denials may be kept: the lesser of the SOA's TTL and MINIMUM (RFC 2308,
    /// section 5).
    pub(crate) negative_ttl: u64,
    /// When the first of the signatures seen expires.
    pub(crate) expires: u64,
    /// The tags of its keys.
    pub(crate) keys: Vec<u16>,
    /// The RRsets that were asked for, with the place each was asked at.
    pub(crate) rrsets: Vec<(Spot, Option<Rc<Seen>>)>,
}

/// Where in a zone something is looked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Spot {
    /// The MX of the zone's apex.
    Mx,
    /// The MX of a name that a user chose.
    UserMx,
    /// The MTA-STS record.
    StsTxt,
    /// The addresses of the policy host.
    StsHost,
    /// The TXT records at the apex: SPF.
    Spf,
    /// A DKIM selector.
    Dkim,
    /// The NS at the apex.
    Ns,
    /// The contact at the apex.
    Rp,
    /// The addresses of a mail host, by its full name.
    Host(String),
    /// The TLSA of a mail host, by its full name.
    Tlsa(String),
}

/// An RRset as it came over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its TTL.
    pub(crate) ttl: u64,
    /// Its records as text, sorted.
    pub(crate) records: Vec<String>,
    /// For MX: preference and target of each, best first.
    pub(crate) mx: Vec<(u16, String)>,
    /// When its signature expires.
    pub(crate) expires: u64,
    /// The tag of the key that signed it.
    pub(crate) signer: u16,
}

/// An answer over the wire.
pub(crate) struct Answer {
    /// How it came out.
    pub(crate) rcode: Rcode,
    /// The records of the answer section and of the authority section.
    records: Vec<Record>,
}

/// A record of a message.
struct Record {
    /// The type.
    rtype: u16,
    /// The TTL.
    ttl: u64,
    /// The data as text.
    text: String,
    /// For MX.
    mx: Option<(u16, String)>,
    /// For RRSIG: type covered, expiration, key tag.
    signature: Option<(u16, u32, u16)>,
    /// For SOA: serial and minimum.
    soa: Option<(u32, u32)>,
    /// For DNSKEY.
    tag: Option<u16>,
}

impl Seen {
    /// Returns whether it is the null MX, alone (RFC 7505, section 3).
    pub(crate) fn is_null_mx(&self) -> bool {
        self.mx.len() == 1 && self.mx[0].1.is_empty()
    }
}

impl Shown {
    /// Asks for a zone; `None` when it is not served.
    pub(crate) fn read(
        zones: &ZoneReader,
        apex: &str,
        spots: &[Spot],
        dkim: &str,
        now: u64,
    ) -> Option<Self> {
        let soa = ask(zones, apex, Rtype::SOA, now);
        if soa.rcode != Rcode::NOERROR {
            return None;
        }
        let (serial, minimum, ttl) = soa.soa()?;
        let keys = ask(zones, apex, Rtype::DNSKEY, now);
        let mut shown = Self {
            serial,
            negative_ttl: ttl.min(u64::from(minimum)),
            expires: keys.expires(now),
            keys: keys.records.iter().filter_map(|it| it.tag).collect(),
            rrsets: Vec::with_capacity(spots.len()),
        };
        for spot in spots {
            let (name, rtype) = spot.question(apex, dkim);
            let answer = ask(zones, &name, rtype, now);
            shown.expires = shown.expires.min(answer.expires(now));
            shown
                .rrsets
                .push((spot.clone(), answer.seen(rtype, now).map(Rc::new)));
        }
        Some(shown)
    }

    /// Returns what was found at a place.
    pub(crate) fn at(&self, spot: &Spot) -> Option<&Rc<Seen>> {
        let (_, seen) = self.rrsets.iter().find(|(at, _)| at == spot)?;
        seen.as_ref()
    }
}

impl Spot {
    /// Returns what to ask for.
    fn question(&self, apex: &str, dkim: &str) -> (String, Rtype) {
        match self {
            Self::Mx => (apex.to_owned(), Rtype::MX),
            Self::UserMx => (format!("user7.{apex}"), Rtype::MX),
            Self::StsTxt => (format!("_mta-sts.{apex}"), Rtype::TXT),
            Self::StsHost => (format!("mta-sts.{apex}"), Rtype::A),
            Self::Spf => (apex.to_owned(), Rtype::TXT),
            Self::Dkim => (format!("{dkim}._domainkey.{apex}"), Rtype::CNAME),
            Self::Ns => (apex.to_owned(), Rtype::NS),
            Self::Rp => (apex.to_owned(), Rtype::RP),
            Self::Host(host) => (host.clone(), Rtype::A),
            Self::Tlsa(host) => (format!("_25._tcp.{host}"), Rtype::TLSA),
        }
    }
}

impl Answer {
    /// Returns serial, minimum and TTL of the SOA.
    fn soa(&self) -> Option<(u32, u32, u64)> {
        let soa = self.records.iter().find(|it| it.soa.is_some())?;
        let (serial, minimum) = soa.soa?;
        Some((serial, minimum, soa.ttl))
    }

    /// Returns when the first of its signatures expires; never without one.
    fn expires(&self, now: u64) -> u64 {
        let all = self.records.iter().filter_map(|it| it.signature);
        all.map(|(_, expires, _)| absolute(expires, now))
            .min()
            .unwrap_or(u64::MAX)
    }

    /// Returns the RRset of a type.
    fn seen(&self, rtype: Rtype, now: u64) -> Option<Seen> {
        let of_type = || {
            self.records
                .iter()
                .filter(|it| it.rtype == rtype.code() && self.rcode == Rcode::NOERROR)
        };
        let ttl = of_type().next()?.ttl;
        let mut records: Vec<String> = of_type().map(|it| it.text.clone()).collect();
        records.sort_unstable();
        let mut mx: Vec<(u16, String)> = of_type().filter_map(|it| it.mx.clone()).collect();
        mx.sort_unstable();
        let signatures = self.records.iter().filter_map(|it| it.signature);
        let signature = signatures
            .filter(|(covered, ..)| *covered == rtype.code())
            .min_by_key(|(_, expires, _)| *expires);
        let (expires, signer) =
            signature.map_or((0, 0), |(_, expires, tag)| (absolute(expires, now), tag));
        Some(Seen {
            ttl,
            records,
            mx,
            expires,
            signer,
        })
    }
}

/// Returns the moment that RRSIG's 32 bits mean.
fn absolute(expires: u32, now: u64) -> u64 {
    Timestamp::from_secs(now)
        .nearest_rrsig_time(expires)
        .as_secs()
}

/// Asks a question and reads the answer.
pub(crate) fn ask(zones: &ZoneReader, qname: &str, rtype: Rtype, now: u64) -> Answer {
    let name = Name::parse(qname).unwrap_or_else(|error| panic!("{qname}: {error}"));
    let mut query = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    query.extend_from_slice(name.as_wire());
    query.extend_from_slice(&rtype.code().to_be_bytes());
    query.extend_from_slice(&[0, 1]);
    // OPT with DO.
    query.extend_from_slice(&[0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0]);
    let mut reply = Vec::new();
    let now = Timestamp::from_secs(now);
    let settings = ReplySettings::default();
    let asker = Asker::new(Transport::Tcp, Ipv4Addr::LOCALHOST.into(), &settings);
    let verdict = answer(&zones.view(), &query, &asker, now, &mut reply);
    let Verdict::Reply(answered) = verdict else {
        panic!("no reply to {qname} {rtype}");
    };
    Answer {
        rcode: answered.rcode,
        records: Reader::records(&reply),
    }
}

/// Reads a message from its first octet on.
struct Reader<'m> {
    /// The message.
    octets: &'m [u8],
    /// Where to read on.
    at: usize,
}

impl<'m> Reader<'m> {
    /// Returns the records of the answer and authority sections.
    fn records(octets: &'m [u8]) -> Vec<Record> {
        let mut reader = Self { octets, at: 4 };
        let [questions, answers, authorities, _] = [(); 4].map(|()| reader.u16());
        for _ in 0..questions {
            reader.name();
            reader.at += 4;
        }
        (0..answers + authorities)
            .map(|_| reader.record())
            .collect()
    }

    /// Reads two octets.
    fn u16(&mut self) -> u16 {
        let octets = [self.octets[self.at], self.octets[self.at + 1]];
        self.at += 2;
        u16::from_be_bytes(octets)
    }

    /// Reads four octets.
    fn u32(&mut self) -> u32 {
        (u32::from(self.u16()) << 16) | u32::from(self.u16())
    }

    /// Reads a name, in lower case and without the final dot.
    fn name(&mut self) -> String {
        let mut labels = Vec::new();
        let mut at = self.at;
        let mut followed = false;
        loop {
            let length = usize::from(self.octets[at]);
            if length & 0xc0 == 0xc0 {
                if !followed {
                    self.at = at + 2;
                }
                followed = true;
                at = (length & 0x3f) << 8 | usize::from(self.octets[at + 1]);
                continue;
            }
            at += 1;
            if length == 0 {
                break;
            }
            let label = &self.octets[at..at + length];
            labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
            at += length;
        }
        if !followed {
            self.at = at;
        }
        labels.join(".")
    }

    /// Reads a record.
    fn record(&mut self) -> Record {
        self.name();
        let rtype = self.u16();
        self.u16();
        let ttl = u64::from(self.u32());
        let length = usize::from(self.u16());
        let start = self.at;
        let data = &self.octets[start..start + length];
        let mut record = Record {
            rtype,
            ttl,
            text: String::new(),
            mx: None,
            signature: None,
            soa: None,
            tag: None,
        };
        match Rtype::new(rtype) {
            Rtype::MX => {
                let preference = self.u16();
                let target = self.name();
                record.text = format!("{preference} {target}.");
                record.mx = Some((preference, target));
            }
            Rtype::NS | Rtype::CNAME => record.text = self.name(),
            Rtype::SOA => {
                self.name();
                self.name();
                let serial = self.u32();
                self.at += 12;
                record.soa = Some((serial, self.u32()));
            }
            Rtype::RRSIG => {
                let covered = self.u16();
                self.at += 6;
                let expires = self.u32();
                self.at += 4;
                record.signature = Some((covered, expires, self.u16()));
            }
            Rtype::DNSKEY => record.tag = Some(key_tag(data)),
            Rtype::TXT => {
                let mut rest = data;
                while let Some((length, behind)) = rest.split_first() {
                    let (string, behind) = behind.split_at(usize::from(*length));
                    record.text.push_str(&String::from_utf8_lossy(string));
                    rest = behind;
                }
            }
            _ => record.text = data.iter().map(|octet| format!("{octet:02x}")).collect(),
        }
        self.at = start + length;
        record
    }
}
