//! One zone as it is served.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::layout::{Holder, Layout, NameId, Record};
use crate::clock::Timestamp;
use crate::wire::{Name, Rtype, Serial};
use crate::zone::{
    Layouts, QueryCounter, RelativeRrset, SIGNATURE_LENGTH, SignedZone, SigningKeyTag, Template,
    Validity, ZoneError,
};

/// A zone as it is served: what it shares with others of its shape, and one block of octets.
///
/// Immutable and complete: an answer needs nothing else. The block holds, one behind the other,
/// the data of the zone's own RRsets, its keys' tags, which validity each signature has, the
/// signatures, the validities, and the apex.
pub struct ZoneImage {
    /// What zones of this shape share.
    layout: Arc<Layout>,
    /// What this zone alone has.
    block: Box<[u8]>,
    /// The first expiration of all signatures, as RRSIG writes it.
    expiration: Option<u32>,
    /// How many keys signed.
    keys: u8,
    /// The octets of the apex.
    apex_length: u8,
    /// The name elsewhere that the apex ends in, and where in the apex it begins: a name server's
    /// parent domain, or their common top-level domain.
    meets: Option<(NameId, u8)>,
    /// What counts the questions for its MX, if anybody wants to know.
    counter: Option<Arc<QueryCounter>>,
}

/// The octets of a key's algorithm and tag.
const KEY_LENGTH: usize = 3;
/// The octets of a validity.
const VALIDITY_LENGTH: usize = 8;

impl ZoneImage {
    /// Composes the image of a signed zone; copies octets, computes no signature.
    ///
    /// `template` is the one that `zone` names.
    ///
    /// # Errors
    ///
    /// When the template and the zone's own RRsets make no zone, or the signatures are not those
    /// of its RRsets.
    pub fn compose(
        zone: &SignedZone,
        template: &Arc<Template>,
        layouts: &Layouts,
    ) -> Result<Self, ZoneError> {
        let mut own: Vec<&RelativeRrset> = zone.own.iter().collect();
        // Mostly sorted as it is: then this only looks.
        own.sort_by(|a, b| (&a.owner, a.rtype).cmp(&(&b.owner, b.rtype)));
        let layout = layouts.of(zone, &own, template)?;
        zone.validate(layout.items())?;
        let apex = zone.apex.as_wire();
        layout.check_apex(apex.len())?;

        let length = layout.own_length()
            + zone.keys.len() * KEY_LENGTH
            + zone.validity_of.len()
            + zone.signatures.len()
            + zone.validities.len() * VALIDITY_LENGTH
            + apex.len();
        let mut block = Vec::with_capacity(length);
        for rdata in own.iter().flat_map(|rrset| &rrset.rdatas) {
            for (_, segment) in rdata.segments() {
                block.extend_from_slice(segment);
            }
        }
        for key in &zone.keys {
            block.push(key.algorithm);
            block.extend_from_slice(&key.key_tag.to_be_bytes());
        }
        block.extend_from_slice(&zone.validity_of);
        block.extend_from_slice(&zone.signatures);
        for validity in &zone.validities {
            block.extend_from_slice(&validity.inception.to_be_bytes());
            block.extend_from_slice(&validity.expiration.to_be_bytes());
        }
        block.extend_from_slice(apex);
        Ok(Self {
            meets: layout.meets(apex),
            layout,
            expiration: zone.earliest_expiration(),
            keys: zone.keys.len() as u8,
            apex_length: apex.len() as u8,
            block: block.into_boxed_slice(),
            counter: None,
        })
    }

    /// Returns the image with a counter of the questions for its MX.
    #[must_use]
    pub fn counted_by(self, counter: Arc<QueryCounter>) -> Self {
        Self {
            counter: Some(counter),
            ..self
        }
    }

    /// Counts a question, if anybody wants to know and it is one for an MX.
    pub(super) fn count(&self, qtype: Rtype) {
        if let Some(counter) = self.counter.as_ref().filter(|_| qtype == Rtype::MX) {
            counter.count();
        }
    }

    /// Returns the zone's name.
    ///
    /// # Panics
    ///
    /// Never: [`ZoneImage::compose`] copied it from a name.
    pub fn apex(&self) -> Name {
        Name::from_wire(self.apex_wire()).expect("compose copied the apex from a name")
    }

    /// Returns the zone's name in wire form.
    pub fn apex_wire(&self) -> &[u8] {
        let start = self.block.len() - usize::from(self.apex_length);
        &self.block[start..]
    }

    /// Returns the serial of its SOA record.
    pub fn serial(&self) -> Serial {
        let soa = self.layout.rrset(self.layout.soa());
        debug_assert_eq!(soa.rtype, Rtype::SOA);
        let records = self.layout.records(soa).first();
        let octets = records.map_or(&[][..], |record| self.octets(record));
        // Behind it follow refresh, retry, expire and minimum.
        let numbers = octets
            .last_chunk::<20>()
            .and_then(|last| last.first_chunk());
        Serial::new(u32::from_be_bytes(*numbers.unwrap_or(&[0; 4])))
    }

    /// Returns when the first of its signatures expires; `None` when nothing is signed.
    ///
    /// RRSIG's 32 bits are read as the moment nearest to `now` (RFC 4034, section 3.1.5).
    pub fn earliest_expiration(&self, now: Timestamp) -> Option<Timestamp> {
        Some(now.nearest_rrsig_time(self.expiration?))
    }

    /// Returns whether a signature has expired, so that the zone must not be served.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.earliest_expiration(now)
            .is_some_and(|expiration| expiration < now)
    }

    /// Returns what zones of this shape share.
    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the name elsewhere that the apex ends in, and where in the apex it begins.
    pub(super) fn meets(&self) -> Option<(NameId, u8)> {
        self.meets
    }

    /// Returns the octets of a record's data, without the apex where that is put in.
    pub(super) fn octets(&self, record: &Record) -> &[u8] {
        match record.holder {
            Holder::Layout => self.layout.octets(record.octets),
            Holder::Image => &self.block[record.octets.range()],
        }
    }

    /// Returns how many keys signed.
    pub(super) fn key_count(&self) -> usize {
        usize::from(self.keys)
    }

    /// Returns a key's tag.
    pub(super) fn key(&self, key: usize) -> SigningKeyTag {
        let start = self.layout.own_length() + key * KEY_LENGTH;
        let octets = &self.block[start..start + KEY_LENGTH];
        SigningKeyTag {
            algorithm: octets[0],
            key_tag: u16::from_be_bytes([octets[1], octets[2]]),
        }
    }

    /// Returns when the signatures of an item of the signing order are valid.
    pub(super) fn validity(&self, item: u32) -> Validity {
        let index = self.validity_of().start + item as usize;
        let validities = self.signatures().end;
        let start = validities + usize::from(self.block[index]) * VALIDITY_LENGTH;
        let word = |at: usize| {
            let octets = &self.block[at..at + 4];
            u32::from_be_bytes([octets[0], octets[1], octets[2], octets[3]])
        };
        Validity {
            inception: word(start),
            expiration: word(start + 4),
        }
    }

    /// Returns the signature of an item of the signing order by one of the keys.
    pub(super) fn signature(&self, item: u32, key: usize) -> &[u8] {
        let index = item as usize * self.key_count() + key;
        let start = self.signatures().start + index * SIGNATURE_LENGTH;
        &self.block[start..start + SIGNATURE_LENGTH]
    }

    /// Returns where in the block the indices of validities lie.
    fn validity_of(&self) -> Range<usize> {
        let start = self.layout.own_length() + self.key_count() * KEY_LENGTH;
        start..start + self.layout.items()
    }

    /// Returns where in the block the signatures lie.
    fn signatures(&self) -> Range<usize> {
        let start = self.validity_of().end;
        start..start + self.layout.items() * self.key_count() * SIGNATURE_LENGTH
    }
}

impl fmt::Debug for ZoneImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZoneImage")
            .field("apex", &self.apex())
            .field("serial", &self.serial())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::wire::{Apex, Rdata, RelativeName, RelativeRdata, SoaNumbers, Ttl};
    use crate::zone::Structure;

    /// Returns an RRset of one record.
    fn rrset(owner: &str, rtype: Rtype, rdata: Rdata) -> RelativeRrset {
        RelativeRrset {
            owner: RelativeName::parse(owner).unwrap(),
            rtype,
            ttl: Ttl::from_secs(3600),
            rdatas: vec![RelativeRdata::fixed(&rdata)],
        }
    }

    /// Returns the template of a mail domain with two hosts of its own.
    fn template() -> Arc<Template> {
        let name = |text| Rdata::name(&Name::parse(text).unwrap());
        let address = || Rdata::a([192, 0, 2, 1].into());
        let tlsa = || Rdata::tlsa(3, 1, 1, &[7; 32]);
        let text = |text: &str| Rdata::txt(text.as_bytes());
        let rrsets = vec![
            rrset("@", Rtype::NS, name("ns1.infra.example")),
            rrset(
                "@",
                Rtype::MX,
                Rdata::mx(10, &Name::parse("mx.infra.example").unwrap()),
            ),
            rrset("@", Rtype::TXT, text("v=spf1 -all")),
            rrset(
                "@",
                Rtype::CAA,
                Rdata::from_wire(Rtype::CAA, b"\x00\x05issue;").unwrap(),
            ),
            rrset("_dmarc", Rtype::TXT, text("v=DMARC1; p=reject")),
            rrset(
                "_smtp._tls",
                Rtype::TXT,
                text("v=TLSRPTv1; rua=mailto:a@infra.example"),
            ),
            rrset("_mta-sts", Rtype::TXT, text("v=STSv1; id=1")),
            rrset("mta-sts", Rtype::A, address()),
            rrset("mx1", Rtype::A, address()),
            rrset("mx2", Rtype::A, address()),
            rrset(
                "mx1",
                Rtype::CAA,
                Rdata::from_wire(Rtype::CAA, b"\x00\x05issue;").unwrap(),
            ),
            rrset("_25._tcp.mx1", Rtype::TLSA, tlsa()),
            rrset("_25._tcp.mx2", Rtype::TLSA, tlsa()),
            rrset("*._domainkey", Rtype::TXT, text("v=DKIM1; p=")),
        ];
        Arc::new(Template::new(rrsets).unwrap())
    }

    /// Returns a mail domain, signed with nothing.
    fn zone(apex: &str, serial: u32, template: &Template) -> SignedZone {
        let host = Name::parse("ns1.infra.example").unwrap();
        let numbers = SoaNumbers {
            serial: Serial::new(serial),
            refresh: 14_400,
            retry: 3600,
            expire: 1_209_600,
            minimum: Ttl::from_secs(900),
        };
        let own = vec![
            rrset("@", Rtype::SOA, Rdata::soa(&host, &host, numbers)),
            rrset("@", Rtype::DNSKEY, Rdata::dnskey(257, 13, &[1; 64])),
            rrset("@", Rtype::CDS, Rdata::ds(1, 13, 2, &[1; 32])),
            rrset("@", Rtype::CDNSKEY, Rdata::dnskey(257, 13, &[1; 64])),
        ];
        let structure = Structure::new(
            template
                .rrsets()
                .iter()
                .map(|rrset| (&rrset.owner, rrset.rtype)),
            own.iter().map(|rrset| (&rrset.owner, rrset.rtype)),
        );
        let items = structure.signing_order().len();
        SignedZone {
            apex: Apex::parse(apex).unwrap(),
            template: template.id(),
            own,
            keys: vec![SigningKeyTag {
                algorithm: 13,
                key_tag: 4711,
            }],
            validities: vec![
                Validity {
                    inception: 100,
                    expiration: 2000,
                },
                Validity {
                    inception: 100,
                    expiration: 1000,
                },
            ],
            validity_of: vec![0; items],
            signatures: vec![7; items * SIGNATURE_LENGTH],
        }
    }

    /// Returns the image of a mail domain.
    pub(in crate::zone) fn image(apex: &str, serial: u32) -> ZoneImage {
        use std::sync::LazyLock;
        static SHARED: LazyLock<(Arc<Template>, Layouts, ZoneImage)> = LazyLock::new(|| {
            let (template, layouts) = (template(), Layouts::new());
            let signed = zone("first.example", 1, &template);
            // Keeps the layout in use.
            let first = ZoneImage::compose(&signed, &template, &layouts).unwrap();
            (template, layouts, first)
        });
        let (template, layouts, _) = &*SHARED;
        ZoneImage::compose(&zone(apex, serial, template), template, layouts).unwrap()
    }

    #[test]
    fn zones_of_one_shape_share_a_layout_and_are_small() {
        let (first, second) = (image("a-burner.example", 1), image("b-burner.example", 2));

        assert!(Arc::ptr_eq(&first.layout, &second.layout));
        assert_eq!(first.layout.items(), 28);
        assert!(first.block.len() < 2300, "{} octets", first.block.len());
        assert_eq!(first.apex().to_api_text(), "a-burner.example");
        assert_eq!(second.serial(), Serial::new(2));
    }

    #[test]
    fn another_shape_has_another_layout() {
        let (template, layouts) = (template(), Layouts::new());
        let first = zone("a.example", 1, &template);
        let mut longer = zone("b.example", 1, &template);
        longer.own[1].rdatas[0] = RelativeRdata::fixed(&Rdata::dnskey(257, 13, &[1; 65]));
        let mut ttl = zone("c.example", 1, &template);
        ttl.own[0].ttl = Ttl::from_secs(60);

        let compose = |zone: &SignedZone| ZoneImage::compose(zone, &template, &layouts).unwrap();
        let (first, longer, ttl) = (compose(&first), compose(&longer), compose(&ttl));

        assert!(!Arc::ptr_eq(&first.layout, &longer.layout));
        assert_eq!(ttl.layout.negative_ttl(), Ttl::from_secs(60));
        assert_eq!(first.layout.negative_ttl(), Ttl::from_secs(900));
    }

    #[test]
    fn a_layout_goes_with_the_last_image_that_uses_it() {
        let (template, layouts) = (template(), Layouts::new());
        let signed = zone("a.example", 1, &template);
        let image = ZoneImage::compose(&signed, &template, &layouts).unwrap();
        let layout = Arc::downgrade(&image.layout);

        drop(image);

        assert!(layout.upgrade().is_none());
    }

    #[test]
    fn the_first_expiration_counts() {
        let image = image("a.example", 1);

        let now = Timestamp::from_secs(500);
        let expiration = image.earliest_expiration(now);
        assert_eq!(expiration, Some(Timestamp::from_secs(1000)));
        assert!(!image.has_expired(Timestamp::from_secs(1000)));
        assert!(image.has_expired(Timestamp::from_secs(1001)));
    }

    #[test]
    fn signatures_that_are_not_the_zones_are_refused() {
        let (template, layouts) = (template(), Layouts::new());
        let whole = zone("a.example", 1, &template);
        let mut short = whole.clone();
        short.signatures.pop();
        let mut fewer = whole.clone();
        fewer.validity_of.pop();
        let mut astray = whole.clone();
        astray.validity_of[3] = 9;
        let label = "a".repeat(60);
        let mut other = whole.clone();
        other.template.0[0] ^= 1;
        let mut long = whole;
        long.apex = Apex::parse(&format!("{label}.{label}.{label}.{label}.example")).unwrap();

        for damaged in [short, fewer, astray, other, long] {
            let result = ZoneImage::compose(&damaged, &template, &layouts);
            assert!(result.is_err(), "{result:?}");
        }
    }
}
