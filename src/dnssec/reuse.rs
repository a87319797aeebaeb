use std::collections::BTreeSet;

use crate::clock::Timestamp;
use crate::dnssec::{Previous, SigningKey, SigningPolicy};
use crate::wire::{RelativeName, Rtype};
use crate::zone::{SIGNATURE_LENGTH, SignedItem, SignedZone, UnsignedZone, Validity};

use super::sign::shown_keys;

/// Which signatures of a zone's last version go into the next.
pub(super) struct Reuse<'z> {
    /// The last version.
    signed: &'z SignedZone,
    /// For each signed RRset of the next version, its place in the last one's signing order.
    kept: Vec<Option<usize>>,
}

/// How many validities an octet can tell apart, less the one of new signatures.
const MAX_VALIDITIES: usize = 255;

impl<'z> Reuse<'z> {
    /// Finds what is unchanged and fresh; `None` if nothing can be kept.
    ///
    /// `order` is the signing order of `zone`, the next version.
    pub(super) fn plan(
        previous: Previous<'z>,
        zone: &UnsignedZone,
        order: &[SignedItem],
        keys: &[&SigningKey],
        policy: &SigningPolicy,
        now: Timestamp,
    ) -> Option<Self> {
        let Previous { signed, unsigned } = previous;
        let last_order = unsigned.structure().signing_order();
        let belongs = signed.apex == *zone.apex()
            && unsigned.apex() == zone.apex()
            && signed.validate(last_order.len()).is_ok();
        if !belongs || !same_keys(previous, keys) {
            return None;
        }

        let mut kept = unchanged(unsigned, &last_order, zone, order);
        for place in &mut kept {
            *place = place.filter(|last| {
                let validity = signed.validity(*last);
                validity.is_some_and(|validity| is_fresh(validity, policy, now))
            });
        }
        // A version whose serial did not move is no version to others: with any other signature
        // the SOA's is new, too.
        if last_order.len() != order.len() || kept.contains(&None) {
            let soa = order
                .iter()
                .position(|item| zone.rtype_of(*item) == Rtype::SOA);
            soa.into_iter().for_each(|soa| kept[soa] = None);
        }
        let validities = kept.iter().flatten().map(|last| signed.validity_of[*last]);
        let validities: BTreeSet<u8> = validities.collect();
        (validities.len() <= MAX_VALIDITIES).then_some(Self { signed, kept })
    }

    /// Returns the signatures to be kept for one RRset, one by each key.
    pub(super) fn signatures(&self, item: usize) -> Option<(Validity, &'z [u8])> {
        let last = (*self.kept.get(item)?)?;
        let length = self.signed.keys.len() * SIGNATURE_LENGTH;
        let octets = self.signed.signatures.get(last * length..)?.get(..length)?;
        Some((self.signed.validity(last)?, octets))
    }
}

/// Returns whether the same keys signed, in the same order.
///
/// Tags alone do not tell: keys of two lives of a zone may share one. Within one version they
/// never do, so a tag and the data of its DNSKEY record are enough.
fn same_keys(previous: Previous<'_>, keys: &[&SigningKey]) -> bool {
    let tags = keys.iter().map(|key| key.tag());
    let Ok(shown) = shown_keys(previous.unsigned) else {
        return false;
    };
    tags.eq(previous.signed.keys.iter().copied())
        && keys.iter().all(|key| shown.contains(key.dnskey()))
}

/// Returns whether a signature is valid, will not soon be made anew, and is not valid for longer
/// than the policy now says.
fn is_fresh(validity: Validity, policy: &SigningPolicy, now: Timestamp) -> bool {
    let left = now.nearest_rrsig_time(validity.expiration).since(now);
    now.nearest_rrsig_time(validity.inception) <= now
        && left > policy.refresh().as_duration()
        && left <= policy.lifetime().as_duration()
}

/// Returns, for each signed RRset of `next`, the place of the same one in `last`.
///
/// Both orders are by owner and type, so one walk over both finds all.
fn unchanged(
    last: &UnsignedZone,
    last_order: &[SignedItem],
    next: &UnsignedZone,
    next_order: &[SignedItem],
) -> Vec<Option<usize>> {
    let mut places = last_order.iter().copied().enumerate().peekable();
    let same = next_order.iter().map(|item| {
        let wanted = place_in_order(next, *item);
        while places
            .next_if(|(_, other)| place_in_order(last, *other) < wanted)
            .is_some()
        {}
        let (index, other) = places.next_if(|(_, other)| place_in_order(last, *other) == wanted)?;
        is_same(last, other, next, *item).then_some(index)
    });
    same.collect()
}

/// Returns what the signing order goes by: the owner, whether it is the NSEC record, the type.
fn place_in_order(zone: &UnsignedZone, item: SignedItem) -> (&RelativeName, bool, Rtype) {
    let node = match item {
        SignedItem::Data { node, .. } | SignedItem::Nsec { node } => node,
    };
    let is_nsec = matches!(item, SignedItem::Nsec { .. });
    let owner = &zone.structure().nodes()[node].owner;
    (owner, is_nsec, zone.rtype_of(item))
}

/// Returns whether two RRsets of one owner and type in two versions are the same.
fn is_same(
    last: &UnsignedZone,
    last_item: SignedItem,
    next: &UnsignedZone,
    next_item: SignedItem,
) -> bool {
    match (last_item, next_item) {
        (
            SignedItem::Data { node, rrset },
            SignedItem::Data {
                node: next_node,
                rrset: next_rrset,
            },
        ) => {
            let data = |zone: &UnsignedZone, node: usize, rrset: usize| {
                zone.structure().nodes()[node].rrsets[rrset].1
            };
            // Under one apex, the same relative data is the same data.
            last.relative(data(last, node, rrset))
                == next.relative(data(next, next_node, next_rrset))
        }
        (SignedItem::Nsec { node }, SignedItem::Nsec { node: next_node }) => {
            let (one, other) = (last.structure(), next.structure());
            last.negative_ttl() == next.negative_ttl()
                && one.next_in_chain(node).owner == other.next_in_chain(next_node).owner
                && one.nodes()[node].type_bitmap() == other.nodes()[next_node].type_bitmap()
        }
        (SignedItem::Data { .. }, SignedItem::Nsec { .. })
        | (SignedItem::Nsec { .. }, SignedItem::Data { .. }) => false,
    }
}
