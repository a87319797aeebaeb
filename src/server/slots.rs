//! How many connections there are, in total and from each source.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};

/// Gives connections their place, as long as there is one.
#[derive(Clone)]
pub(super) struct Slots {
    /// The counts; the lock keeps total and per-source counts consistent.
    taken: Arc<Mutex<Taken>>,
    /// Connections in total.
    total: usize,
    /// Connections from one source.
    per_source: usize,
}

/// How many places are taken.
#[derive(Default)]
struct Taken {
    /// All of them.
    total: usize,
    /// Those of each source that has any, so that the map is as small as the total.
    by_source: HashMap<Source, usize>,
}

/// A connection's place; dropping it gives it back.
pub(super) struct Slot {
    /// Where it goes back to.
    taken: Arc<Mutex<Taken>>,
    /// Whose it is.
    source: Source,
}

/// Who is counted as one.
///
/// An IPv4 address; of IPv6 a /64: whoever has one address of it has them all, and by taking
/// another for each connection could take every place there is (RFC 9210, section 4.5, "IP address
/// or subnet").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Source(IpAddr);

impl Source {
    /// The bits of an IPv6 address that tell sources apart.
    const NETWORK: u128 = !0 << 64;

    /// Returns whom an address belongs to.
    fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & Self::NETWORK).into(),
        })
    }
}

impl Slots {
    /// Creates empty places: `total`, and `per_source` of them for one source.
    pub(super) fn new(total: usize, per_source: usize) -> Self {
        Self {
            taken: Arc::default(),
            total,
            per_source,
        }
    }

    /// Takes a place for a connection from `address`, if there is one.
    pub(super) fn take(&self, address: IpAddr) -> Option<Slot> {
        let source = Source::of(address);
        let mut taken = lock(&self.taken);
        let from_source = taken.by_source.get(&source).copied().unwrap_or_default();
        if taken.total >= self.total || from_source >= self.per_source {
            return None;
        }
        taken.total += 1;
        taken.by_source.insert(source, from_source + 1);
        Some(Slot {
            taken: self.taken.clone(),
            source,
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.total -= 1;
        if let Some(count) = taken.by_source.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                taken.by_source.remove(&self.source);
            }
        }
    }
}

/// Returns the counts; a panic while they were held left them whole.
fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_end_per_source_and_in_total_and_come_back() {
        let slots = Slots::new(3, 2);
        let [one, two]: [IpAddr; 2] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());

        let first = slots.take(one).unwrap();
        let _second = slots.take(one).unwrap();
        assert!(slots.take(one).is_none(), "per source");
        let third = slots.take(two).unwrap();
        assert!(slots.take(two).is_none(), "in total");

        drop(third);
        assert!(slots.take(one).is_none(), "per source still");
        drop(first);
        let _fourth = slots.take(one).unwrap();
        assert_eq!(lock(&slots.taken).total, 2);
        assert_eq!(lock(&slots.taken).by_source.len(), 1);
    }
    #[test]
    fn rfc9210_4_5_a_subnet_of_ipv6_is_one_source() {
        let slots = Slots::new(9, 1);
        let take = |text: &str| slots.take(text.parse().unwrap());

        let first = take("2001:db8::1");
        assert!(first.is_some());
        assert!(take("2001:db8::ffff:1").is_none(), "the same /64");
        let other = take("2001:db8:0:1::1");
        assert!(other.is_some(), "another /64");
        let ipv4 = take("192.0.2.1");
        assert!(ipv4.is_some());
        assert!(take("::ffff:192.0.2.1").is_none(), "the same address");
        assert!(take("::ffff:192.0.2.2").is_some(), "another address");
    }
}
