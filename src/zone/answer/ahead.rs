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
        for (image, hash) in images.iter_mut().zip(hashes) {
            *image = hash.and_then(|hash| zones.image_with(hash));
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
