//! A naive lookup over the records of a zone, written from the RFCs and from nothing else.

use std::collections::BTreeSet;

use crate::wire::decoded::DecodedRecord;
use crate::wire::{Name, Rcode, Rtype, Ttl};
use crate::zone::SignedRrset;

/// What a correct server says.
#[derive(Debug)]
pub(super) struct Expected {
    /// The code.
    pub(super) rcode: Rcode,
    /// Whether the zone speaks for it.
    pub(super) authoritative: bool,
    /// The answer section, RRSIG included.
    pub(super) answers: BTreeSet<DecodedRecord>,
    /// What must be in the authority section, NSEC and its RRSIG excluded.
    pub(super) authorities: BTreeSet<DecodedRecord>,
    /// What must be proved by the NSEC records of the authority section.
    pub(super) claims: Vec<Claim>,
    /// Addresses without which the answer is of no use.
    pub(super) glue: BTreeSet<DecodedRecord>,
}

/// Something that NSEC records must prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// The name does not exist.
    NoName(Name),
    /// The name exists, but this type does not, nor an alias.
    NoType(Name, Rtype),
    /// The delegation has no DS record.
    Insecure(Name),
}

/// The records of a zone.
pub(super) struct Reference<'z> {
    /// The zone's name.
    apex: Name,
    /// The RRsets.
    rrsets: &'z [SignedRrset],
    /// Every name that exists, empty non-terminals included.
    names: BTreeSet<Name>,
    /// Whether DNSSEC records are asked for.
    dnssec_ok: bool,
}

impl<'z> Reference<'z> {
    /// Takes a zone's records.
    pub(super) fn new(apex: &Name, rrsets: &'z [SignedRrset], dnssec_ok: bool) -> Self {
        let mut names = BTreeSet::new();
        for signed in rrsets {
            let mut name = Some(signed.rrset.owner().clone());
            while let Some(owner) = name.filter(|owner| owner.is_at_or_below(apex)) {
                name = owner.parent();
                names.insert(owner);
            }
        }
        Self {
            apex: apex.clone(),
            rrsets,
            names,
            dnssec_ok,
        }
    }

    /// Looks a name up (RFC 1034, section 4.3.2; RFC 4592; RFC 6672, section 3.2).
    pub(super) fn lookup(&self, qname: &Name, qtype: Rtype) -> Expected {
        let mut expected = Expected {
            rcode: Rcode::NOERROR,
            authoritative: true,
            answers: BTreeSet::new(),
            authorities: BTreeSet::new(),
            claims: Vec::new(),
            glue: BTreeSet::new(),
        };
        let mut seen = Vec::new();
        let mut name = qname.clone();
        while name.is_at_or_below(&self.apex) && !seen.contains(&name) && seen.len() < 16 {
            seen.push(name.clone());
            match self.step(&name, qtype, &mut expected) {
                Some(target) => name = target,
                None => break,
            }
        }
        expected
    }

    /// Answers for one name; returns the target of an alias.
    fn step(&self, name: &Name, qtype: Rtype, expected: &mut Expected) -> Option<Name> {
        for ancestor in self.ancestors(name) {
            let is_name = ancestor == *name;
            let is_cut = ancestor != self.apex && self.find(&ancestor, Rtype::NS).is_some();
            if is_cut && !(is_name && qtype == Rtype::DS) {
                self.refer(&ancestor, expected);
                return None;
            }
            if is_cut {
                break;
            }
            if let Some(dname) = self.find(&ancestor, Rtype::DNAME).filter(|_| !is_name) {
                return self.rename(name, qtype, dname, expected);
            }
        }
        if self.names.contains(name) {
            return self.at(name, name, qtype, expected);
        }
        expected.claims.push(Claim::NoName(name.clone()));
        let mut encloser = name.parent().unwrap();
        while !self.names.contains(&encloser) {
            encloser = encloser.parent().unwrap();
        }
        let wildcard = encloser.child("*");
        match wildcard {
            Ok(wildcard) if self.names.contains(&wildcard) => {
                self.at(&wildcard, name, qtype, expected)
            }
            wildcard => {
                expected.rcode = Rcode::NXDOMAIN;
                // No wildcard fits where it would be too long a name.
                expected.claims.extend(wildcard.ok().map(Claim::NoName));
                self.deny(expected);
                None
            }
        }
    }

    /// Answers `name` with what stands at `owner`.
    fn at(&self, owner: &Name, name: &Name, qtype: Rtype, expected: &mut Expected) -> Option<Name> {
        if let Some(found) = self.find(owner, qtype) {
            self.add(found, name, &mut expected.answers);
            return None;
        }
        if let Some(found) = self.find(owner, Rtype::CNAME) {
            self.add(found, name, &mut expected.answers);
            return Some(found.rrset.rdatas()[0].names(Rtype::CNAME)[0].clone());
        }
        expected.claims.push(Claim::NoType(owner.clone(), qtype));
        self.deny(expected);
        None
    }

    /// Renames `name` by a DNAME above it.
    fn rename(
        &self,
        name: &Name,
        qtype: Rtype,
        dname: &SignedRrset,
        expected: &mut Expected,
    ) -> Option<Name> {
        let owner = dname.rrset.owner();
        self.add(dname, owner, &mut expected.answers);
        let target = &dname.rrset.rdatas()[0].names(Rtype::DNAME)[0];
        let Ok(renamed) = name.relative_to(owner).unwrap().under(target) else {
            expected.rcode = Rcode::YXDOMAIN;
            return None;
        };
        expected.answers.insert(DecodedRecord {
            owner: name.clone(),
            rtype: Rtype::CNAME,
            ttl: dname.rrset.ttl(),
            data: renamed.as_wire().to_vec(),
        });
        (qtype != Rtype::CNAME).then_some(renamed)
    }

    /// Refers to the name servers of `cut`.
    fn refer(&self, cut: &Name, expected: &mut Expected) {
        expected.authoritative = !expected.answers.is_empty();
        let servers = self.find(cut, Rtype::NS).unwrap();
        self.add(servers, cut, &mut expected.authorities);
        match self.find(cut, Rtype::DS) {
            // Where nothing is signed a DS proves nothing (RFC 4035, section 3.1.4, is of signed
            // zones).
            Some(ds) if self.dnssec_ok && !ds.rrsigs.is_empty() => {
                self.add(ds, cut, &mut expected.authorities)
            }
            Some(_) => {}
            None => expected.claims.push(Claim::Insecure(cut.clone())),
        }
        for host in servers
            .rrset
            .rdatas()
            .iter()
            .flat_map(|ns| ns.names(Rtype::NS))
        {
            for rtype in [Rtype::A, Rtype::AAAA] {
                if let Some(glue) = self.find(&host, rtype).filter(|_| host.is_at_or_below(cut)) {
                    self.add(glue, &host, &mut expected.glue);
                }
            }
        }
    }

    /// Adds the SOA record with the TTL of negative answers.
    fn deny(&self, expected: &mut Expected) {
        let soa = self.find(&self.apex, Rtype::SOA).unwrap();
        let numbers = soa.rrset.rdatas()[0].soa_numbers().unwrap();
        let mut records = BTreeSet::new();
        self.add(soa, &self.apex, &mut records);
        for mut record in records {
            record.ttl = record.ttl.min(numbers.minimum);
            expected.authorities.insert(record);
        }
    }

    /// Adds an RRset, with its RRSIG records if asked for, under an owner.
    fn add(&self, found: &SignedRrset, owner: &Name, to: &mut BTreeSet<DecodedRecord>) {
        to.extend(records(found, owner, self.dnssec_ok));
    }

    /// Returns the RRset of an owner and type.
    fn find(&self, owner: &Name, rtype: Rtype) -> Option<&'z SignedRrset> {
        let mut rrsets = self.rrsets.iter();
        rrsets.find(|signed| signed.rrset.owner() == owner && signed.rrset.rtype() == rtype)
    }

    /// Returns the names from the apex down to `name`.
    fn ancestors(&self, name: &Name) -> Vec<Name> {
        let mut names = Vec::new();
        let mut ancestor = Some(name.clone());
        while let Some(name) = ancestor.filter(|name| name.is_at_or_below(&self.apex)) {
            ancestor = name.parent();
            names.push(name);
        }
        names.reverse();
        names
    }
}

/// Returns the records of an RRset under an owner.
pub(super) fn records(found: &SignedRrset, owner: &Name, dnssec_ok: bool) -> Vec<DecodedRecord> {
    let record = |rtype: Rtype, ttl: Ttl, data: &[u8]| DecodedRecord {
        owner: owner.clone(),
        rtype,
        ttl,
        data: data.to_vec(),
    };
    let rrset = &found.rrset;
    let datas = rrset.rdatas().iter();
    let rrsigs = found.rrsigs.iter().filter(|_| dnssec_ok);
    datas
        .map(|data| record(rrset.rtype(), rrset.ttl(), data.as_wire()))
        .chain(rrsigs.map(|data| record(Rtype::RRSIG, rrset.ttl(), data.as_wire())))
        .collect()
}

/// An NSEC record as a validator reads it.
#[derive(Debug)]
pub(super) struct Nsec {
    /// The owner.
    pub(super) owner: Name,
    /// The next owner.
    next: Name,
    /// The types at the owner.
    types: BTreeSet<Rtype>,
}

impl Nsec {
    /// Reads a record.
    pub(super) fn read(record: &DecodedRecord) -> Self {
        let (next, mut rest) = Name::split_from(&record.data).unwrap();
        let mut types = BTreeSet::new();
        while let [window, length, bits @ ..] = rest {
            let (bits, after) = bits.split_at(usize::from(*length));
            assert!(bits.last().is_some_and(|last| *last != 0));
            for (index, octet) in bits.iter().enumerate() {
                for bit in (0..8).filter(|bit| octet & (0x80 >> bit) != 0) {
                    let code = usize::from(*window) << 8 | index << 3 | bit;
                    types.insert(Rtype::new(code as u16));
                }
            }
            rest = after;
        }
        Self {
            owner: record.owner.clone(),
            next,
            types,
        }
    }

    /// Returns whether this record alone proves `claim`, in the zone `apex`.
    pub(super) fn proves(&self, claim: &Claim, apex: &Name) -> bool {
        let delegates = self.types.contains(&Rtype::NS) && !self.types.contains(&Rtype::SOA);
        match claim {
            Claim::NoName(name) => {
                // An ancestor that hands its names elsewhere says nothing of them (RFC 6840,
                // section 4.1).
                let hands_on = delegates || self.types.contains(&Rtype::DNAME);
                self.covers(name, apex)
                    && !self.next.is_at_or_below(name)
                    && !(hands_on && name.is_below(&self.owner))
            }
            Claim::NoType(name, rtype) if self.owner == *name => {
                !self.types.contains(rtype)
                    && !self.types.contains(&Rtype::CNAME)
                    && (!delegates || *rtype == Rtype::DS)
            }
            Claim::NoType(name, _) => self.covers(name, apex) && self.next.is_below(name),
            Claim::Insecure(name) => {
                self.owner == *name && delegates && !self.types.contains(&Rtype::DS)
            }
        }
    }

    /// Returns whether `name` sorts between owner and next; behind the last owner is the apex.
    fn covers(&self, name: &Name, apex: &Name) -> bool {
        self.owner < *name && (*name < self.next || self.next == *apex)
    }
}
