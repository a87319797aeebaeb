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

/// Reads what the answers to some queries will be made of, before the first is made, and keeps what
/// it found out on the way.
///
/// With thousands of zones almost every query is the first for a long time to need its zone's octets,
/// and an answer waits for memory at each step: for the set's slot, the image's head, each signature.
/// Here each step is made for all queries before the next one is made, so they wait side by side. A
/// plain read does that as well as a prefetch, for which `unsafe` would be needed.
///
/// What is malformed, or answered in a rare way, is passed over: it is only not read ahead for.
#[derive(Debug)]
pub struct ReadAhead {
    /// Room for what is asked; in use up to `count`.
    questions: Vec<Foreseen>,
    /// How many queries were read ahead for the last time.
    count: usize,
}

/// What is known of a question before it is answered: the way to its answer.
///
/// Whoever answers need not hash the name again, nor follow it through the zone.
#[derive(Clone, Debug)]
pub struct Foreseen {
    /// The name; the root where there was none.
    name: NameBuffer,
    /// The type.
    qtype: Rtype,
    /// How many labels the end of the name has that most probably is the apex, and its hash.
    apex: Option<(usize, u64)>,
    /// Where the name's way through the zone of that apex ends.
    descent: Option<Descent>,
}

impl ReadAhead {
    /// Reads ahead for `queries`, of many for the first 64.
    pub fn read<'q>(&mut self, zones: &ZoneView, queries: impl Iterator<Item = &'q [u8]>) {
        self.count = 0;
        if zones.len() > CACHED {
            self.look(zones, queries);
        }
    }

    /// Returns what was found out about the query at `index` among those that were read ahead for.
    pub fn foreseen(&self, index: usize) -> Option<&Foreseen> {
        self.questions[..self.count].get(index)
    }

    /// Reads ahead, however many zones there are.
    pub(super) fn look<'q>(&mut self, zones: &ZoneView, queries: impl Iterator<Item = &'q [u8]>) {
        self.count = 0;
        for (question, query) in self.questions.iter_mut().zip(queries) {
            self.count += 1;
            if question.take(query).is_none() {
                question.forget();
                continue;
            }
            question.apex = zones.hash_of_deepest(&question.name);
        }
        let questions = &mut self.questions[..self.count];
        let mut images = [None; TOGETHER];
        for (image, question) in images.iter_mut().zip(&mut *questions) {
            *image = question.find(zones);
        }
        for image in images.iter().flatten() {
            image.read_head();
        }
        for (question, image) in questions.iter_mut().zip(images) {
            if let Some(image) = image {
                question.read_data(image);
            }
        }
    }
}

impl Default for ReadAhead {
    /// Returns one that has read nothing; all memory is had here.
    fn default() -> Self {
        Self {
            questions: vec![Foreseen::nothing(); TOGETHER],
            count: 0,
        }
    }
}

impl Foreseen {
    /// Returns that nothing is known.
    fn nothing() -> Self {
        Self {
            name: NameBuffer::root(),
            qtype: Rtype::new(0),
            apex: None,
            descent: None,
        }
    }

    /// Knows nothing again.
    fn forget(&mut self) {
        self.name.clear();
        self.apex = None;
        self.descent = None;
    }

    /// Reads the question of a query as if it were well formed.
    fn take(&mut self, query: &[u8]) -> Option<()> {
        self.forget();
        let octets = query.get(HEADER_LENGTH..)?;
        self.name.push_labels(octets)?;
        let behind = octets.get(self.name.as_wire().len()..)?;
        self.qtype = Rtype::new(u16::from_be_bytes(*behind.first_chunk()?));
        Some(())
    }

    /// Finds the image that most probably answers, and notes where it is if that is not at the deepest
    /// end.
    fn find<'v>(&mut self, zones: &'v ZoneView) -> Option<&'v ZoneImage> {
        let (labels, hash) = self.apex?;
        // Where apexes have one length it is there.
        if let Some(likely) = zones.image_with(hash) {
            return Some(likely);
        }
        let less = labels.checked_sub(1)?;
        let (labels, hash, zone) = zones.enclosing_with_hash(&self.name, less).next()?;
        self.apex = Some((labels, hash));
        Some(zone)
    }

    /// Returns the closest zone at or above `name`, out of the view that was read ahead in, and where
    /// the name's way through it ends; `None` if that has to be looked for.
    pub(super) fn zone<'v>(
        &self,
        zones: &'v ZoneView,
        name: &NameBuffer,
    ) -> Option<(&'v ZoneImage, Option<Descent>)> {
        // Only then it is about this question.
        if self.name.as_wire() != name.as_wire() {
            return None;
        }
        let (labels, hash) = self.apex?;
        // No zone is deeper: if there is one, it is the closest.
        let zone = zones.find(hash, name.suffix(name.label_count() - labels))?;
        Some((zone, self.descent))
    }

    /// Reads data and signatures in the zone that it most probably asks about.
    fn read_data(&mut self, image: &ZoneImage) {
        let Some(relative) = self.name.labels_before(image.apex_wire()) else {
            return;
        };
        let layout = image.layout();
        let labels = (0..relative).rev().map(|index| self.name.label(index));
        let descent = layout.descend(labels);
        // So deep the name ends in one apex only, even if another one has its hash.
        let depth = self.name.label_count() - relative;
        if self.apex.is_some_and(|(labels, _)| labels == depth) {
            self.descent = Some(descent);
        }
        match descent {
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
            let mut ahead = ReadAhead::default();

            ahead.read(&zones, iter::once(&*query(qname, Rtype::MX)));
            let question = ahead.foreseen(0).unwrap();
            let image = question.zone(&zones, &question.name);
            assert!(image.is_none_or(|(_, descent)| descent.is_some()));
            let image = image.map(|(image, _)| image);

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
            let mut ahead = ReadAhead::default();
            ahead.read(&zones, some.map(Vec::as_slice));

            for index in 0..length {
                assert_eq!(ahead.foreseen(index).is_some(), index < TOGETHER);
            }
        }
    }

    proptest! {
        #[test]
        fn arbitrary_octets_never_panic(
            mut octets in prop::collection::vec(any::<u8>(), 0..80),
            end in 0_usize..40,
        ) {
            let mut ahead = ReadAhead::default();
            ahead.read(&zones(), iter::once(octets.as_slice()));
            // A name of ours behind them, cut anywhere.
            octets.extend_from_slice(&query("mx1.z5.example", Rtype::MX));
            octets.truncate(octets.len().saturating_sub(end));
            for begin in 0..octets.len() {
                ahead.read(&zones(), iter::once(&octets[begin..]));
            }
        }
    }
}
