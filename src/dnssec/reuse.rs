//! Which signatures the next version of a zone keeps.

use std::collections::BTreeSet;

use crate::clock::Timestamp;
use crate::dnssec::{Previous, SigningKey, SigningPolicy};
use crate::wire::{RelativeName, Rtype};
use crate::zone::{SIGNATURE_LENGTH, SignedItem, SignedZone, UnsignedZone, Validity};

use super::key::shown_keys;

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::dnssec::fixture::{NOW, address, key, zone};
    use crate::dnssec::{Extent, check, resign_at, sign};
    use crate::wire::{Algorithm, Ttl};
    use crate::zone::RelativeRrset;

    /// A signed zone with what it was signed from.
    struct Version {
        /// The data.
        unsigned: UnsignedZone,
        /// The signatures.
        signed: SignedZone,
    }

    impl Version {
        /// Signs without a previous version.
        fn first(key: &SigningKey, own: Vec<RelativeRrset>) -> Self {
            let unsigned = zone(&[key], 1, own);
            let signed = sign(&unsigned, &[key], &SigningPolicy::default(), NOW, None).unwrap();
            Self { unsigned, signed }
        }

        /// Signs a next version so many seconds later.
        fn next(&self, key: &SigningKey, serial: u32, own: Vec<RelativeRrset>, after: u64) -> Self {
            let unsigned = zone(&[key], serial, own);
            let previous = Previous {
                signed: &self.signed,
                unsigned: &self.unsigned,
            };
            let (policy, now) = (SigningPolicy::default(), later(after));
            let signed = sign(&unsigned, &[key], &policy, now, Some(previous)).unwrap();
            Self { unsigned, signed }
        }

        /// Returns owner and type of the RRsets whose signatures are not those of `last`.
        fn renewed(&self, last: &Self) -> Vec<String> {
            let old: Vec<&[u8]> = last.signed.signatures.chunks(SIGNATURE_LENGTH).collect();
            let new = self.signed.signatures.chunks(SIGNATURE_LENGTH);
            let rrsets = self.unsigned.rrsets_to_sign().unwrap();
            let renewed = rrsets.iter().zip(new).filter(|(_, new)| !old.contains(new));
            renewed
                .map(|(rrset, _)| format!("{} {}", rrset.owner(), rrset.rtype()))
                .collect()
        }

        /// Verifies every signature.
        fn verify(&self, after: u64) {
            check(&self.signed, &self.unsigned, Extent::All, later(after)).unwrap();
        }
    }

    /// Returns the moment so many seconds after the first signing.
    fn later(seconds: u64) -> Timestamp {
        NOW.saturating_add(Duration::from_secs(seconds))
    }

    #[test]
    fn a_changed_rrset_renews_itself_and_the_soa_alone() {
        let key = key(Algorithm::EcdsaP256Sha256);
        let first = Version::first(&key, vec![address("extra", 1)]);

        let next = first.next(&key, 2, vec![address("extra", 2)], 60);

        assert_eq!(
            next.renewed(&first),
            ["b.example. SOA", "extra.b.example. A"]
        );
        next.verify(60);
    }

    #[test]
    fn an_added_name_renews_the_nsec_in_front_of_it_too() {
        let key = key(Algorithm::EcdsaP256Sha256);
        let first = Version::first(&key, Vec::new());

        let next = first.next(&key, 2, vec![address("extra", 1)], 60);

        assert_eq!(
            next.renewed(&first),
            [
                "b.example. SOA",
                "below.b.example. NSEC",
                "extra.b.example. A",
                "extra.b.example. NSEC"
            ]
        );
        next.verify(60);
        let back = next.next(&key, 3, Vec::new(), 120);
        assert_eq!(
            back.renewed(&next),
            ["b.example. SOA", "below.b.example. NSEC"]
        );
        back.verify(120);
    }

    #[test]
    fn an_unchanged_zone_keeps_every_signature() {
        let key = key(Algorithm::EcdsaP256Sha256);
        let first = Version::first(&key, Vec::new());

        let next = first.next(&key, 1, Vec::new(), 60);

        assert_eq!(next.signed, first.signed);
    }

    #[test]
    fn the_soa_is_renewed_with_anything_else_even_if_its_serial_was_not() {
        let key = key(Algorithm::EcdsaP256Sha256);
        let first = Version::first(&key, vec![address("extra", 1)]);

        let next = first.next(&key, 1, vec![address("extra", 2)], 60);

        assert_eq!(
            next.renewed(&first),
            ["b.example. SOA", "extra.b.example. A"]
        );
    }

    #[test]
    fn with_the_refresh_or_less_left_everything_is_renewed() {
        let key = key(Algorithm::EcdsaP256Sha256);
        let first = Version::first(&key, Vec::new());
        let policy = SigningPolicy::default();
        let due = resign_at(&first.signed, &policy, NOW).unwrap();
        let due = due.since(NOW).as_secs();
        let items = first.signed.validity_of.len();

        let before = first.next(&key, 2, Vec::new(), due - 1);
        let at = first.next(&key, 2, Vec::new(), due);

        assert_eq!(before.renewed(&first), ["b.example. SOA"]);
        assert_eq!(at.renewed(&first).len(), items);
        assert_eq!(at.signed.validities.len(), 1);
    }

    #[test]
    fn another_key_renews_everything() {
        let first = Version::first(&key(Algorithm::EcdsaP256Sha256), Vec::new());
        let other = key(Algorithm::EcdsaP256Sha256);

        let next = first.next(&other, 2, Vec::new(), 60);

        assert_eq!(next.renewed(&first).len(), first.signed.validity_of.len());
        next.verify(60);
    }

    #[test]
    fn a_shorter_lifetime_and_a_clock_set_back_renew_everything() {
        let key = key(Algorithm::EcdsaP256Sha256);
        let first = Version::first(&key, Vec::new());
        let previous = Some(Previous {
            signed: &first.signed,
            unsigned: &first.unsigned,
        });
        let short = SigningPolicy::new(
            Algorithm::EcdsaP256Sha256,
            Ttl::from_secs(3_600),
            "7d".parse().unwrap(),
            "2d".parse().unwrap(),
        )
        .unwrap();
        let unsigned = &first.unsigned;

        let shorter = sign(unsigned, &[&key], &short, NOW, previous).unwrap();
        let earlier = NOW.saturating_sub(Duration::from_secs(2 * 86_400));
        let back = sign(
            unsigned,
            &[&key],
            &SigningPolicy::default(),
            earlier,
            previous,
        )
        .unwrap();

        for zone in [shorter, back] {
            assert_eq!(zone.validities.len(), 1);
            assert_ne!(zone.validities, first.signed.validities);
        }
    }

    #[test]
    fn damaged_signatures_are_made_anew() {
        let key = key(Algorithm::EcdsaP256Sha256);
        let mut first = Version::first(&key, Vec::new());
        first.signed.signatures.pop();

        first.next(&key, 2, Vec::new(), 60).verify(60);
    }

    #[test]
    fn more_validities_than_an_octet_counts_become_one() {
        let key = key(Algorithm::Ed25519);
        let own = |changed: usize| -> Vec<RelativeRrset> {
            (0..300)
                .map(|n| address(&format!("n{n}"), if n < changed { 2 } else { 1 }))
                .collect()
        };
        let mut version = Version::first(&key, own(0));
        let mut most = 0;

        for step in 1..300 {
            version = version.next(&key, step as u32 + 1, own(step), step as u64);
            most = most.max(version.signed.validities.len());
        }

        // The first validity and those of 254 changes, with the SOA's that is always the newest.
        assert_eq!(most, 256);
        assert!(version.signed.validities.len() < 60);
        version.verify(300);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn whatever_changes_between_versions_every_signature_verifies(
            versions in prop::collection::vec(prop::collection::btree_map(0_u8..6, any::<u8>(), 0..6), 1..5),
        ) {
            const OWNERS: [&str; 6] = ["a", "mx1.mx1", "_tcp.mx1", "zz", "a.b.c", "ns2.below"];
            let key = key(Algorithm::Ed25519);
            let mut last = Version::first(&key, Vec::new());
            for (step, content) in (1..).zip(versions) {
                let own = content.iter().map(|(owner, data)| address(OWNERS[usize::from(*owner)], *data));

                last = last.next(&key, step + 1, own.collect(), u64::from(step) * 3_600);

                last.verify(u64::from(step) * 3_600);
            }
        }
    }
}
