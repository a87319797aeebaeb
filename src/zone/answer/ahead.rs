//! Reading ahead for many queries at once.

use std::hint::black_box;

use crate::wire::{HEADER_LENGTH, NameBuffer, Rtype};
use crate::zone::layout::{Denial, Descent, Layout, RrsetId};
use crate::zone::{ZoneImage, ZoneView};

/// How many queries are read ahead for together: the processor has some ten reads under way at a
/// time, and what was read must still be in the cache when it is needed.
const TOGETHER: usize = 64;

/// Up to how many zones all that is asked of them is in the cache anyway.
const CACHED: usize = 300;

/// Reads what the answers to `queries` will be made of, and does nothing with it.
///
/// With thousands of zones almost every query is the first for a long time to need its zone's octets,
/// and an answer waits for memory at each step: for the set's slot, the image's head, each signature.
/// Here each step is made for all queries before the next one is made, so they wait side by side. A
/// plain read does that as well as a prefetch, for which `unsafe` would be needed.
///
/// What is malformed, or answered in a rare way, is passed over: it is only not read ahead for.
pub fn read_ahead<'q>(zones: &ZoneView, queries: impl Iterator<Item = &'q [u8]>) {
    if zones.len() <= CACHED {
        return;
    }
    let mut queries = queries.filter_map(Question::read);
    loop {
        let mut questions = [const { None }; TOGETHER];
        let mut hashes = [None; TOGETHER];
        let mut images = [None; TOGETHER];
        let mut count = 0;
        let places = questions.iter_mut().zip(&mut hashes);
        for ((place, hash), question) in places.zip(queries.by_ref()) {
            *hash = zones.hash_of_deepest(&question.name);
            *place = Some(question);
            count += 1;
        }
        for ((image, question), hash) in images.iter_mut().zip(&questions).zip(hashes) {
            let question = question.as_ref();
            *image = question.and_then(|question| question.image(zones, hash));
        }
        for image in images.iter().flatten() {
            image.read_head();
        }
        for (question, image) in questions.iter().zip(images) {
            if let (Some(question), Some(image)) = (question, image) {
                question.read_data(image);
            }
        }
        if count < TOGETHER {
            return;
        }
    }
}

/// A question, read as if it were well formed.
struct Question {
    /// The name.
    name: NameBuffer,
    /// The type.
    qtype: Rtype,
}

impl Question {
    /// Reads the question of a query.
    fn read(query: &[u8]) -> Option<Self> {
        let mut name = NameBuffer::root();
        let octets = query.get(HEADER_LENGTH..)?;
        name.push_labels(octets)?;
        let behind = octets.get(name.as_wire().len()..)?;
        let qtype = Rtype::new(u16::from_be_bytes(*behind.first_chunk()?));
        Some(Self { name, qtype })
    }

    /// Returns the image that most probably answers, `hash` being that of the deepest end of the name
    /// that may be an apex.
    fn image<'v>(&'v self, zones: &'v ZoneView, hash: Option<u64>) -> Option<&'v ZoneImage> {
        // In a pool the first is right; where apexes have many lengths it is looked for as ever.
        hash.and_then(|hash| zones.image_with(hash))
            .or_else(|| zones.enclosing(&self.name).next())
    }

    /// Reads data and signatures in the zone that it most probably asks about.
    fn read_data(&self, image: &ZoneImage) {
        let name = &self.name;
        let Some(relative) = name.label_count().checked_sub(image.apex_labels()) else {
            return;
        };
        let layout = image.layout();
        let labels = (0..relative).rev().map(|index| name.label(index));
        match layout.descend(labels) {
            Descent::Exact(node) => match layout.find(node, self.qtype) {
                Some(rrset) => read_answer(image, layout, rrset),
                None => {
                    read_rrset(image, layout, layout.soa());
                    if let Denial::Nsec(chain) = layout.denial() {
                        image.read_signature(chain.link(chain.at(node)).item);
                    }
                }
            },
            Descent::Missing { encloser, previous } => {
                if let Denial::Nsec(chain) = layout.denial() {
                    image.read_signature(chain.link(chain.gap(encloser, previous)).item);
                    image.read_signature(chain.link(chain.no_wildcard(encloser)).item);
                }
                let wildcard = layout.node(encloser).wildcard;
                let synthesised = wildcard.and_then(|node| layout.find(node, self.qtype));
                match synthesised {
                    Some(rrset) => read_answer(image, layout, rrset),
                    None => read_rrset(image, layout, layout.soa()),
                }
            }
            Descent::Delegation(_) | Descent::Dname(_) => {}
        }
    }
}

/// Reads an RRset and what goes along with it.
fn read_answer(image: &ZoneImage, layout: &Layout, rrset: RrsetId) {
    read_rrset(image, layout, rrset);
    for host in layout.additional(layout.rrset(rrset)) {
        read_rrset(image, layout, host.rrset);
    }
}

/// Reads the data of an RRset and its signature.
fn read_rrset(image: &ZoneImage, layout: &Layout, rrset: RrsetId) {
    let rrset = layout.rrset(rrset);
    if let Some(record) = layout.records(rrset).first() {
        black_box(image.octets(record).first().copied());
    }
    if let Some(item) = rrset.item {
        image.read_signature(item);
    }
}

#[cfg(test)]
mod tests {
    use std::iter;
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::wire::Name;
    use crate::zone::image::tests::image;
    use crate::zone::{ZonePublisher, ZoneReader, zone_set};

    /// Returns more zones than are left to the cache.
    fn zones() -> ZoneView {
        static ZONES: LazyLock<(ZonePublisher, ZoneReader)> = LazyLock::new(|| {
            let (mut publisher, reader) = zone_set();
            let images = (0..=CACHED).map(|number| image(&format!("z{number}.example"), 1));
            publisher.publish(images);
            publisher.publish([image("deep.z1.example", 1)]);
            (publisher, reader)
        });
        ZONES.1.view()
    }

    /// Returns a query.
    fn query(qname: &str, qtype: Rtype) -> Vec<u8> {
        let mut query = vec![0; HEADER_LENGTH];
        query.extend_from_slice(Name::parse(qname).unwrap().as_wire());
        query.extend_from_slice(&qtype.code().to_be_bytes());
        query.extend_from_slice(&[0, 1]);
        query
    }

    #[test]
    fn what_is_read_ahead_for_a_name_is_the_zone_that_answers() {
        let zones = zones();
        for (qname, expected) in [
            ("z7.example", Some("z7.example")),
            ("MX1.Z8.example", Some("z8.example")),
            ("a.deep.z1.example", Some("deep.z1.example")),
            ("z9999.example", None),
            ("example", None),
            (".", None),
        ] {
            let question = Question::read(&query(qname, Rtype::MX)).unwrap();

            let hash = zones.hash_of_deepest(&question.name);
            let image = question.image(&zones, hash);

            let apex = image.map(|image| image.apex().to_api_text());
            assert_eq!(apex.as_deref(), expected, "{qname}");
            let answering = zones.enclosing(&question.name).next();
            assert_eq!(
                answering.map(|image| image.apex()),
                image.map(|image| image.apex())
            );
        }
    }

    #[test]
    fn every_kind_of_answer_is_read_ahead_for_in_batches_of_any_length() {
        let zones = zones();
        let names = [
            "",
            "mx1.",
            "_25._tcp.mx1.",
            "_tcp.mx1.",
            "x._domainkey.",
            "none.",
        ];
        let types = [Rtype::MX, Rtype::A, Rtype::TLSA, Rtype::TXT, Rtype::ANY];
        let queries: Vec<_> = names
            .iter()
            .flat_map(|name| types.map(|qtype| query(&format!("{name}z5.example"), qtype)))
            .collect();

        for length in [0, 1, TOGETHER - 1, TOGETHER, TOGETHER + 1, 3 * TOGETHER] {
            let some = queries.iter().cycle().take(length);
            read_ahead(&zones, some.map(Vec::as_slice));
        }
    }

    proptest! {
        #[test]
        fn arbitrary_octets_never_panic(
            mut octets in prop::collection::vec(any::<u8>(), 0..80),
            end in 0_usize..40,
        ) {
            read_ahead(&zones(), iter::once(octets.as_slice()));
            // A name of ours behind them, cut anywhere.
            octets.extend_from_slice(&query("mx1.z5.example", Rtype::MX));
            octets.truncate(octets.len().saturating_sub(end));
            for begin in 0..octets.len() {
                read_ahead(&zones(), iter::once(&octets[begin..]));
            }
        }
    }
}
