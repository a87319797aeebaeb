//! Zones with signatures of made-up octets, and queries.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::wire::decoded::Decoded;
use crate::wire::{
    Apex, MasterRecord, Name, NoIncludes, Rdata, RelativeName, RelativeRdata, Rtype, Ttl,
    parse_master,
};
use crate::zone::{
    Answered, Asker, Layouts, ReadAhead, RelativeRrset, ReplySettings, SIGNATURE_LENGTH,
    SignedRrset, SignedZone, SigningKeyTag, Template, Transport, Validity, Verdict, ZoneImage,
    ZonePublisher, ZoneReader, answer, answer_foreseen, zone_set,
};

/// When the tests take place.
pub(super) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// What a server that says nothing of itself says.
static SILENT: ReplySettings = ReplySettings {
    nsid: None,
    id_server: false,
    cookies: None,
};

/// Returns somebody who asks a server that says nothing of itself.
pub(super) fn asker(transport: Transport) -> Asker<'static> {
    Asker::new(transport, Ipv4Addr::LOCALHOST.into(), &SILENT)
}

/// A zone, signed with octets that say where they belong.
pub(super) struct TestZone {
    /// What its template holds.
    pub(super) template: Arc<Template>,
    /// The zone.
    pub(super) signed: SignedZone,
}

impl TestZone {
    /// Makes a zone out of the records of a master file; SOA and NS are added where there is none.
    pub(super) fn parse(apex: &str, text: &str) -> Self {
        let apex = Apex::parse(apex).unwrap();
        let ttl = Ttl::from_secs(3600);
        let records = parse_master(text, None, &apex, ttl, &NoIncludes).unwrap();
        Self::new(apex, records, |_| Part::Own, 1)
    }

    /// Makes a zone whose RRsets are divided by `part`, with so many keys.
    pub(super) fn new(
        apex: Apex,
        records: Vec<MasterRecord>,
        part: impl Fn(usize) -> Part,
        keys: u16,
    ) -> Self {
        let mut rrsets: BTreeMap<(RelativeName, Rtype), RelativeRrset> = BTreeMap::new();
        let mut add = |owner: RelativeName, rtype, ttl, rdata: &Rdata| {
            let rrset = rrsets
                .entry((owner.clone(), rtype))
                .or_insert(RelativeRrset {
                    owner,
                    rtype,
                    ttl,
                    rdatas: Vec::new(),
                });
            let rdata = RelativeRdata::relative_to(rtype, rdata, &apex);
            if !rrset.rdatas.contains(&rdata) {
                rrset.rdatas.push(rdata);
            }
        };
        let given = |rtype| {
            let mut records = records.iter();
            records.any(|record| record.rtype == rtype && record.owner == *apex)
        };
        let defaults = [
            (Rtype::SOA, "1800 SOA ns1 hostmaster 7 1 1 1 900\n"),
            (Rtype::NS, "3600 NS ns1.infra.example.\n"),
        ];
        for (rtype, line) in defaults {
            if !given(rtype) {
                let line = format!("@ {line}");
                let ttl = Ttl::from_secs(3600);
                for record in parse_master(&line, None, &apex, ttl, &NoIncludes).unwrap() {
                    add(RelativeName::apex(), rtype, record.ttl, &record.rdata);
                }
            }
        }
        for record in &records {
            let owner = record.owner.relative_to(&apex).unwrap();
            add(owner, record.rtype, record.ttl, &record.rdata);
        }
        let (mut shared, mut own) = (Vec::new(), Vec::new());
        for (index, rrset) in rrsets.into_values().enumerate() {
            match part(index) {
                Part::Template => shared.push(rrset),
                Part::Own => own.push(rrset),
            }
        }
        let template = Arc::new(Template::new(shared).unwrap());
        let mut signed = SignedZone {
            apex,
            template: template.id(),
            own,
            keys: Vec::new(),
            validities: Vec::new(),
            validity_of: Vec::new(),
            signatures: Vec::new(),
        };
        let items = signed.to_unsigned(&template).unwrap();
        let items = items.structure().signing_order().len();
        let now = NOW.to_rrsig_time();
        for number in 0..keys {
            signed.keys.push(SigningKeyTag {
                algorithm: 13,
                key_tag: 1000 + number,
            });
        }
        if keys > 0 {
            let validity = |span| Validity {
                inception: now - 3600,
                expiration: now + span,
            };
            signed.validities = vec![validity(100_000), validity(200_000)];
            for item in 0..items {
                signed.validity_of.push((item % 2) as u8);
                for key in 0..keys {
                    let mut octets = [0; SIGNATURE_LENGTH];
                    octets[0] = key as u8;
                    octets[1..3].copy_from_slice(&(item as u16).to_be_bytes());
                    signed.signatures.extend_from_slice(&octets);
                }
            }
        }
        Self { template, signed }
    }

    /// Returns the image.
    pub(super) fn image(&self, layouts: &Layouts) -> ZoneImage {
        ZoneImage::compose(&self.signed, &self.template, layouts).unwrap()
    }

    /// Returns every RRset in full.
    pub(super) fn expand(&self) -> Vec<SignedRrset> {
        self.signed.expand(&self.template).unwrap()
    }
}

/// Where an RRset of a test's zone is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// In the template.
    Template,
    /// Among the zone's own.
    Own,
}

/// Some zones that are served.
pub(super) struct Served {
    /// The writer's end.
    pub(super) publisher: ZonePublisher,
    /// The reader's end.
    pub(super) reader: ZoneReader,
}

impl Served {
    /// Serves zones.
    pub(super) fn new(zones: &[TestZone]) -> Self {
        let (mut publisher, reader) = zone_set();
        let layouts = Layouts::new();
        publisher.publish(zones.iter().map(|zone| zone.image(&layouts)));
        Self { publisher, reader }
    }

    /// Serves one zone out of a master file.
    pub(super) fn parse(apex: &str, text: &str) -> Self {
        Self::new(&[TestZone::parse(apex, text)])
    }

    /// Asks and returns the reply's octets; whether they were read ahead for makes no difference.
    pub(super) fn octets(&self, query: &[u8], transport: Transport) -> (Answered, Vec<u8>) {
        let (view, asker) = (self.reader.view(), asker(transport));
        let mut reply = vec![0xff; 3];
        let verdict = answer(&view, query, &asker, NOW, &mut reply);
        let other = Ask::plain("other.z.example", Rtype::A).to_wire();
        let mut ahead = ReadAhead::default();
        ahead.look(&view, [&other, query].into_iter());
        for index in 0..2 {
            let mut again = Vec::new();
            let foreseen = ahead.foreseen(index);
            let second = answer_foreseen(&view, query, foreseen, &asker, NOW, &mut again);
            assert_eq!((second, again), (verdict, reply.clone()), "{index}");
        }
        match verdict {
            Verdict::Reply(answered) => (answered, reply),
            Verdict::Drop(reason) => panic!("dropped: {reason:?}"),
        }
    }

    /// Asks over UDP.
    pub(super) fn ask(&self, query: &Ask) -> Decoded {
        self.ask_over(query, Transport::Udp)
    }

    /// Asks and reads the reply; its length, code and TC bit are held to what they should be.
    pub(super) fn ask_over(&self, query: &Ask, transport: Transport) -> Decoded {
        let (answered, reply) = self.octets(&query.to_wire(), transport);
        let decoded = Decoded::read(&reply);
        let limit = match (transport, query.udp_size) {
            (Transport::Udp, None) => 512,
            (Transport::Udp, Some(size)) => size.clamp(512, 1232),
            _ => 65535,
        };
        assert!(reply.len() <= limit.into(), "{} octets", reply.len());
        assert_eq!(decoded.id, 0x1234);
        assert_eq!(answered.rcode, decoded.rcode);
        assert_eq!(answered.truncated, decoded.flags.contains("TC"));
        assert_eq!(decoded.edns.is_some(), query.udp_size.is_some());
        decoded
    }
}

/// A question and how it is asked.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    /// The name, in wire form, in the case that is sent.
    pub(super) qname: Vec<u8>,
    /// The type.
    pub(super) qtype: Rtype,
    /// The size in the OPT record; without one `None`.
    pub(super) udp_size: Option<u16>,
    /// Whether DNSSEC records are asked for.
    pub(super) dnssec_ok: bool,
}

impl Ask {
    /// Asks with DO.
    pub(super) fn with_do(qname: &str, qtype: Rtype) -> Self {
        Self {
            udp_size: Some(1232),
            dnssec_ok: true,
            ..Self::plain(qname, qtype)
        }
    }

    /// Asks without EDNS.
    pub(super) fn plain(qname: &str, qtype: Rtype) -> Self {
        Self {
            qname: Name::parse(qname).unwrap().as_wire().to_vec(),
            qtype,
            udp_size: None,
            dnssec_ok: false,
        }
    }

    /// Returns the message.
    pub(super) fn to_wire(&self) -> Vec<u8> {
        let mut message = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        message.extend_from_slice(&self.qname);
        message.extend_from_slice(&self.qtype.code().to_be_bytes());
        message.extend_from_slice(&[0, 1]);
        if let Some(size) = self.udp_size {
            let [high, low] = size.to_be_bytes();
            let flags = if self.dnssec_ok { 0x80 } else { 0 };
            message.extend_from_slice(&[0, 0, 41, high, low, 0, 0, flags, 0, 0, 0]);
            message[11] = 1;
        }
        message
    }
}
