//! What is asked: the mix that a pool of mail domains sees, and floods of random names.

use std::ops::Range;

/// A generator of numbers: the same sequence in every run (xorshift64).
#[derive(Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// Returns the next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Returns a number below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// Parts in a hundred, the labels in front of the domain, and the type.
///
/// MX 30 %, addresses of mail hosts 24 %, TLSA 16 %, TXT 14 %, the policy host's address 4 %, DNSKEY,
/// SOA and NS 6 %, types that are not there 4 %, names that are not there 2 %.
const MIX: [(usize, &str, u16); 18] = [
    (30, "", MX),
    (6, "mx1", A),
    (6, "mx1", AAAA),
    (6, "mx2", A),
    (6, "mx2", AAAA),
    (8, "_25._tcp.mx1", TLSA),
    (8, "_25._tcp.mx2", TLSA),
    (5, "_mta-sts", TXT),
    (5, "_dmarc", TXT),
    (4, "", TXT),
    (4, "mta-sts", A),
    (2, "", DNSKEY),
    (2, "", SOA),
    (2, "", NS),
    (2, "", A),
    (1, "mx1", TLSA),
    (1, "_tcp.mx1", A),
    (2, RANDOM, A),
];

/// Octets of a message's header (RFC 1035, section 4.1.1).
const HEADER: usize = 12;
/// Stands for a label that is another one each time.
const RANDOM: &str = "?";
/// The octets of such a label.
const RANDOM_LENGTH: usize = 12;

const A: u16 = 1;
const NS: u16 = 2;
const SOA: u16 = 6;
const MX: u16 = 15;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const DNSKEY: u16 = 48;
const TLSA: u16 = 52;

/// Queries that are asked one after the other, for ever.
#[derive(Clone)]
pub(crate) struct Queries {
    /// The queries, one behind the other.
    octets: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
    /// Which begin with a label that must be another one each time, so that no cache of whole
    /// answers has it.
    random: Vec<bool>,
    /// The next one.
    next: usize,
    /// Makes random labels.
    labels: Random,
}

impl Queries {
    /// Returns the mix over `domains`, `count` queries of it.
    pub(crate) fn mix(domains: &[String], count: usize, seed: u64) -> Self {
        let kinds: Vec<(&str, u16)> = MIX
            .iter()
            .flat_map(|(parts, labels, qtype)| std::iter::repeat_n((*labels, *qtype), *parts))
            .collect();
        Self::build(domains, count, seed, |random| {
            kinds[random.below(kinds.len())]
        })
    }

    /// Returns a flood of names that nobody has thought of, each below one of `domains`.
    pub(crate) fn flood(domains: &[String], qtype: u16, count: usize, seed: u64) -> Self {
        Self::build(domains, count, seed, |_| (RANDOM, qtype))
    }

    fn build<'k>(
        domains: &[String],
        count: usize,
        seed: u64,
        mut kind: impl FnMut(&mut Random) -> (&'k str, u16),
    ) -> Self {
        let mut random = Random(seed);
        let mut queries = Self {
            octets: Vec::with_capacity(count * 72),
            ends: Vec::with_capacity(count),
            random: Vec::with_capacity(count),
            next: 0,
            labels: Random(seed),
        };
        for _ in 0..count {
            let (labels, qtype) = kind(&mut random);
            let domain = &domains[random.below(domains.len())];
            queries.push(labels, domain, qtype);
        }
        queries
    }

    /// Appends a query with DO and 1232 octets, as resolvers that validate send it.
    fn push(&mut self, labels: &str, domain: &str, qtype: u16) {
        let random = labels == RANDOM;
        self.octets.extend([0_u8, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
        if random {
            self.octets.push(RANDOM_LENGTH as u8);
            self.octets.extend([b'a'; RANDOM_LENGTH]);
        }
        let labels = labels
            .split('.')
            .filter(|label| !label.is_empty() && !random);
        for label in labels.chain(domain.split('.')) {
            self.octets.push(label.len() as u8);
            self.octets.extend(label.as_bytes());
        }
        self.octets.push(0);
        self.octets.extend(qtype.to_be_bytes());
        self.octets.extend([0, 1]);
        self.octets
            .extend([0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0]);
        self.ends.push(self.octets.len());
        self.random.push(random);
    }

    /// Returns how many there are before they are asked again.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Makes the next query ready to be sent with `id` and returns where it lies in
    /// [`Queries::octets`].
    pub(crate) fn prepare(&mut self, id: u16) -> Range<usize> {
        let end = self.ends[self.next];
        let start = self.next.checked_sub(1).map_or(0, |last| self.ends[last]);
        self.octets[start..start + 2].copy_from_slice(&id.to_be_bytes());
        if self.random[self.next] {
            let label = start + HEADER + 1;
            let label = &mut self.octets[label..label + RANDOM_LENGTH];
            let mut number = self.labels.next();
            for octet in label {
                *octet = b'a' + (number % 25) as u8;
                number /= 25;
            }
        }
        self.next = (self.next + 1) % self.ends.len();
        start..end
    }

    /// Returns the queries as dnsperf reads them, a name and a type in each line.
    pub(crate) fn lines(&self) -> String {
        let mut lines = String::new();
        let mut start = 0;
        for end in &self.ends {
            let mut labels = &self.octets[start + HEADER..];
            while let Some((length, rest)) = labels.split_first().filter(|(length, _)| **length > 0)
            {
                let (label, rest) = rest.split_at(usize::from(*length));
                lines.push_str(&String::from_utf8_lossy(label));
                lines.push('.');
                labels = rest;
            }
            let qtype = u16::from_be_bytes([labels[1], labels[2]]);
            lines.push_str(&format!(" TYPE{qtype}\n"));
            start = *end;
        }
        lines
    }

    /// Returns all queries, one behind the other.
    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets
    }
}
