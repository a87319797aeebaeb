//! One zone as it is served.

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;

use super::layout::{Holder, Layout, NameId, Record};
use crate::clock::Timestamp;
use crate::wire::{Name, Rtype, Serial};
use crate::zone::{
    Layouts, QueryCounter, RelativeRrset, SIGNATURE_LENGTH, SignedZone, Template, ZoneError,
};

/// A zone as it is served: what it shares with others of its shape, and one block of octets.
///
/// Immutable and complete: an answer needs nothing else. The block holds, one behind the other, the
/// apex, its keys' tags, the validities and which of them each signature has, all of which most
/// answers need, then the data of the zone's own RRsets and the signatures.
///
/// A clone is a reference to the same block.
#[derive(Clone)]
pub struct ZoneImage {
    /// What zones of this shape share.
    layout: Arc<Layout>,
    /// What this zone alone has.
    block: Arc<[u8]>,
    /// What counts the questions for its MX, if anybody wants to know.
    counter: Option<Arc<QueryCounter>>,
    /// The first expiration of all signatures, as RRSIG writes it.
    expiration: Option<u32>,
    /// The name elsewhere that the apex ends in: a name server's parent domain, or their common
    /// top-level domain.
    meets: NameId,
    /// Where in the apex that begins; [`NOWHERE`] if it is none.
    meets_at: u8,
    /// How many keys signed.
    keys: u8,
    /// The octets of the apex.
    apex_length: u8,
    /// The labels of the apex.
    apex_labels: u8,
    /// Where in the block the indices of validities lie.
    validity_of: u16,
}

/// No place in an apex: it has at most 255 octets.
const NOWHERE: u8 = u8::MAX;

/// The octets of a key's algorithm and tag.
const KEY_LENGTH: usize = 3;
/// The octets of a line of the cache.
const LINE: usize = 64;
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

        // No index leads beyond these.
        let validities = zone.validities.get(..256).unwrap_or(&zone.validities);
        let head = apex.len() + zone.keys.len() * KEY_LENGTH + validities.len() * VALIDITY_LENGTH;
        let length = head + zone.validity_of.len() + layout.own_length() + zone.signatures.len();
        let mut block = Vec::with_capacity(length);
        block.extend_from_slice(apex);
        for key in &zone.keys {
            block.push(key.algorithm);
            block.extend_from_slice(&key.key_tag.to_be_bytes());
        }
        for validity in validities {
            block.extend_from_slice(&validity.expiration.to_be_bytes());
            block.extend_from_slice(&validity.inception.to_be_bytes());
        }
        block.extend_from_slice(&zone.validity_of);
        for rdata in own.iter().flat_map(|rrset| &rrset.rdatas) {
            for (_, segment) in rdata.segments() {
                block.extend_from_slice(segment);
            }
        }
        block.extend_from_slice(&zone.signatures);
        let (meets, meets_at) = layout.meets(apex).unwrap_or((0, NOWHERE));
        Ok(Self {
            layout,
            block: block.into(),
            counter: None,
            expiration: zone.earliest_expiration(),
            meets,
            meets_at,
            keys: zone.keys.len() as u8,
            apex_length: apex.len() as u8,
            apex_labels: zone.apex.as_name().label_count() as u8,
            validity_of: head as u16,
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
        &self.block[..usize::from(self.apex_length)]
    }

    /// Returns how many labels the zone's name has.
    pub(super) fn apex_labels(&self) -> usize {
        self.apex_labels.into()
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
        (self.meets_at != NOWHERE).then_some((self.meets, self.meets_at))
    }

    /// Returns the octets of a record's data, without the apex where that is put in.
    pub(super) fn octets(&self, record: &Record) -> &[u8] {
        match record.holder {
            Holder::Layout => self.layout.octets(record.octets),
            Holder::Image => &self.block[self.own()..][record.octets.range()],
        }
    }

    /// Returns how many keys signed.
    pub(super) fn key_count(&self) -> usize {
        usize::from(self.keys)
    }

    /// Returns the number of a key's algorithm and its tag, as RRSIG writes them.
    pub(super) fn key(&self, key: usize) -> (u8, [u8; 2]) {
        let start = usize::from(self.apex_length) + key * KEY_LENGTH;
        let octets = &self.block[start..start + KEY_LENGTH];
        (octets[0], [octets[1], octets[2]])
    }

    /// Returns when the signatures of an item of the signing order expire and when they began to be
    /// valid, as RRSIG writes that.
    pub(super) fn validity(&self, item: u32) -> [u8; VALIDITY_LENGTH] {
        let index = self.block[usize::from(self.validity_of) + item as usize];
        let start = usize::from(self.apex_length)
            + self.key_count() * KEY_LENGTH
            + usize::from(index) * VALIDITY_LENGTH;
        let octets = self.block[start..].first_chunk();
        *octets.expect("`SignedZone::validate` has seen to it that there is one")
    }

    /// Returns the signature of an item of the signing order by one of the keys.
    pub(super) fn signature(&self, item: u32, key: usize) -> &[u8; SIGNATURE_LENGTH] {
        let index = item as usize * self.key_count() + key;
        let start = self.own() + self.layout.own_length() + index * SIGNATURE_LENGTH;
        let octets = self.block[start..].first_chunk();
        octets.expect("`SignedZone::validate` has seen to it that there is one")
    }

    /// Reads the head of the block, up to the indices of validities, and does nothing with it.
    pub(super) fn read_head(&self) {
        for at in [0, LINE - 1, usize::from(self.validity_of)] {
            black_box(self.block.get(at).copied());
        }
    }

    /// Reads the first signature of an item of the signing order, and does nothing with it.
    pub(super) fn read_signature(&self, item: u32) {
        let index = item as usize * self.key_count();
        let start = self.own() + self.layout.own_length() + index * SIGNATURE_LENGTH;
        // It begins in one line of the cache and ends in the next one.
        black_box(self.block.get(start).copied());
        black_box(self.block.get(start + SIGNATURE_LENGTH - 1).copied());
    }

    /// Returns where in the block the zone's own data begin.
    fn own(&self) -> usize {
        usize::from(self.validity_of) + self.layout.items()
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
    use crate::zone::{SigningKeyTag, Structure, Validity};

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
