//! From the records of a master file to an operator's zone, or to all that is wrong with it.

use std::collections::{BTreeMap, HashMap};

use crate::wire::{Apex, MasterRecord, Name, Place, Rdata, Rtype, Ttl};
use crate::zone::{RelativeRrset, Rrset, export_unsigned};

/// The data of an operator's own zone, as a master file says it.
///
/// It has one SOA and name servers, and nothing that DNS forbids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneData {
    /// The zone's name.
    pub apex: Apex,
    /// The RRsets, sorted by owner and type, the SOA as written among them.
    pub rrsets: Vec<RelativeRrset>,
    /// What was left out or is doubtful, in words for the operator.
    pub warnings: Vec<String>,
}

/// One reason why records are no zone, with the place of the record at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", prefix(.place))]
pub struct ZoneDataError {
    /// Where the record stands; `None` for one that is missing.
    pub place: Option<Place>,
    /// The rule, with what was expected and found.
    pub reason: String,
}

/// Returns the words in front of a reason.
fn prefix(place: &Option<Place>) -> String {
    place
        .as_ref()
        .map_or_else(String::new, |place| format!("{place}: "))
}

impl ZoneData {
    /// Groups the records of a master file in RRsets.
    ///
    /// Records that a signer makes are left out with a warning for each type, so that the export of
    /// a signed zone can be read; so is a second copy of a record. When the TTLs of an RRset differ,
    /// the lowest one holds: the RFC has them equal (RFC 2181, section 5.2), and no record is then
    /// kept longer than its line allows.
    ///
    /// # Errors
    ///
    /// Returns every record that has no place in the zone `apex`: those outside of it, then the
    /// others in the order of the file, then what is missing; at most 1000 errors.
    pub fn from_master(
        apex: &Apex,
        records: Vec<MasterRecord>,
    ) -> Result<Self, Vec<ZoneDataError>> {
        let mut import = Import {
            apex,
            owners: BTreeMap::new(),
            warnings: Vec::new(),
            errors: Vec::new(),
        };
        import.take(records);
        import.drop_twins();
        import.check();
        if !import.errors.is_empty() {
            import.errors.truncate(MOST);
            return Err(import.errors);
        }
        import.look_below_cuts();
        import.look_for_addresses();
        let mut rrsets = Vec::new();
        for (owner, types) in import.owners {
            for (rtype, records) in types {
                let ttl = lowest_ttl(&records);
                let rdatas = records.into_iter().map(|record| record.rdata);
                let rrset = Rrset::new(owner.clone(), rtype, ttl, rdatas.collect());
                rrsets.extend(rrset.and_then(|rrset| RelativeRrset::relative_to(&rrset, apex)));
            }
        }
        rrsets.sort_by(|a, b| (&a.owner, a.rtype).cmp(&(&b.owner, b.rtype)));
        Ok(Self {
            apex: apex.clone(),
            rrsets,
            warnings: cut_short(import.warnings),
        })
    }

    /// Writes the data as a master file, the SOA first.
    pub fn to_master(&self) -> String {
        // Every RRset was made from absolute names under this apex, so each fits under it.
        let full = self
            .rrsets
            .iter()
            .filter_map(|rrset| rrset.under(&self.apex).ok());
        export_unsigned(&full.collect::<Vec<_>>())
    }
}

/// Records on their way to RRsets.
struct Import<'a> {
    /// The zone's name.
    apex: &'a Apex,
    /// The records by owner and type, at least one each, none twice.
    owners: BTreeMap<Name, BTreeMap<Rtype, Vec<MasterRecord>>>,
    /// What was left out or is doubtful.
    warnings: Vec<String>,
    /// What cannot be.
    errors: Vec<ZoneDataError>,
}

/// Returns whether this server's signer makes records of a type, or they would be wrong once it
/// has signed.
fn is_signers(rtype: Rtype) -> bool {
    rtype.is_made_by_signing()
        || matches!(
            rtype,
            Rtype::DNSKEY | Rtype::CDS | Rtype::CDNSKEY | Rtype::ZONEMD
        )
}

/// How many errors or warnings are kept: nobody reads more, and a file may have one on each line.
const MOST: usize = 1000;

/// Keeps so many warnings as are read, and says how many there were.
fn cut_short(mut warnings: Vec<String>) -> Vec<String> {
    if let Some(more) = warnings.len().checked_sub(MOST).filter(|more| *more > 0) {
        warnings.truncate(MOST);
        warnings.push(format!("and {more} more warnings"));
    }
    warnings
}

/// The octets of RDATA that an RRset may have, so that a message carries it: 65535 (RFC 1035,
/// section 4.2.2) without header, question, OPT and two signatures under the longest names.
const MAX_RRSET: usize = 65_535 - 12 - 259 - 11 - 2 * (12 + 18 + 255 + 64);

/// Returns the octets that records take in a message, their owner compressed.
fn message_octets(records: &[MasterRecord]) -> usize {
    let lengths = records
        .iter()
        .map(|record| 12 + record.rdata.as_wire().len());
    lengths.sum()
}

/// Returns the lowest TTL of records.
fn lowest_ttl(records: &[MasterRecord]) -> Ttl {
    let ttls = records.iter().map(|record| record.ttl);
    ttls.min().unwrap_or(Ttl::from_secs(0))
}

impl Import<'_> {
    /// Sorts records by owner and type.
    fn take(&mut self, records: Vec<MasterRecord>) {
        let mut left_out: BTreeMap<Rtype, (usize, Place)> = BTreeMap::new();
        for record in records {
            let rtype = record.rtype;
            if !record.owner.is_at_or_below(self.apex) {
                let reason = format!("{} {rtype} lies outside of {}", record.owner, self.apex);
                self.errors.push(ZoneDataError {
                    place: Some(record.place),
                    reason,
                });
                continue;
            }
            if is_signers(rtype) {
                left_out.entry(rtype).or_insert((0, record.place)).0 += 1;
                continue;
            }
            let types = self.owners.entry(record.owner.clone()).or_default();
            types.entry(rtype).or_default().push(record);
        }
        for (rtype, (count, place)) in left_out {
            self.warnings.push(format!(
                "{place}: left out {count} {rtype} record{} that signing makes anew",
                if count == 1 { "" } else { "s" }
            ));
        }
    }

    /// Leaves of equal records the first one (RFC 2181, section 5).
    fn drop_twins(&mut self) {
        for records in self.owners.values_mut().flat_map(BTreeMap::values_mut) {
            let mut seen: HashMap<Rdata, usize> = HashMap::new();
            let mut kept: Vec<MasterRecord> = Vec::with_capacity(records.len());
            for record in records.drain(..) {
                let Some(first) = seen.get(&record.rdata).map(|index| &mut kept[*index]) else {
                    seen.insert(record.rdata.clone(), kept.len());
                    kept.push(record);
                    continue;
                };
                first.ttl = first.ttl.min(record.ttl);
                let MasterRecord { owner, rtype, .. } = &record;
                self.warnings.push(format!(
                    "{}: {owner} {rtype} is the same record as at {}: kept once",
                    record.place, first.place
                ));
            }
            *records = kept;
        }
    }

    /// Checks what DNS asks of a zone.
    fn check(&mut self) {
        let mut errors = Vec::new();
        for (owner, types) in &self.owners {
            for (rtype, records) in types {
                if let Some(reason) = self.refusal(owner, *rtype, types) {
                    // The second record is at fault where one would have been right.
                    let record = records.get(1).unwrap_or(&records[0]);
                    errors.push(ZoneDataError {
                        place: Some(record.place.clone()),
                        reason: format!("{owner} {rtype}: {reason}"),
                    });
                }
                let ttl = lowest_ttl(records);
                if let Some(other) = records.iter().find(|record| record.ttl != ttl) {
                    self.warnings.push(format!(
                        "{}: {owner} {rtype} has TTL {} here and {ttl} elsewhere: {ttl} holds for \
                         all (RFC 2181, section 5.2)",
                        other.place, other.ttl
                    ));
                }
            }
        }
        errors.sort_by(|a, b| {
            let key = |error: &ZoneDataError| {
                let place = error.place.as_ref();
                place.map(|place| (place.file.clone(), place.line))
            };
            key(a).cmp(&key(b))
        });
        self.errors.append(&mut errors);
        let apex_types = self.owners.get(self.apex.as_name());
        for (rtype, words) in [(Rtype::SOA, "one SOA record"), (Rtype::NS, "NS records")] {
            if !apex_types.is_some_and(|types| types.contains_key(&rtype)) {
                self.errors.push(ZoneDataError {
                    place: None,
                    reason: format!("expected {words} at {}, found none", self.apex),
                });
            }
        }
    }

    /// Returns why an RRset may not stand where it stands.
    fn refusal(
        &self,
        owner: &Name,
        rtype: Rtype,
        types: &BTreeMap<Rtype, Vec<MasterRecord>>,
    ) -> Option<String> {
        let is_apex = owner == self.apex.as_name();
        let count = types[&rtype].len();
        let single = matches!(rtype, Rtype::SOA | Rtype::CNAME | Rtype::DNAME);
        if rtype == Rtype::SOA && !is_apex {
            return Some("a SOA stands at the apex only (RFC 1035, section 5.2)".to_owned());
        }
        if single && count > 1 {
            let rule = "RFC 2181, section 10.1; RFC 6672, section 2.4; RFC 1035, section 5.2";
            return Some(format!("expected one record, found {count} ({rule})"));
        }
        if rtype == Rtype::CNAME && types.len() > 1 {
            let others = types.keys().filter(|other| **other != Rtype::CNAME);
            let others: Vec<String> = others.map(Rtype::to_string).collect();
            let others = others.join(", ");
            return Some(format!(
                "a CNAME stands alone, found {others} beside it (RFC 2181, section 10.1)"
            ));
        }
        let says_none = |record: &MasterRecord| {
            let names = record.rdata.names(Rtype::MX);
            names.iter().any(Name::is_root)
        };
        if rtype == Rtype::MX && count > 1 && types[&rtype].iter().any(says_none) {
            return Some(
                "the MX to the root says that the name takes no mail, found others beside it (RFC \
                 7505, section 3)"
                    .to_owned(),
            );
        }
        let octets = message_octets(&types[&rtype]);
        if octets > MAX_RRSET {
            return Some(format!(
                "takes {octets} octets, a message carries at most {MAX_RRSET} of an RRset"
            ));
        }
        if rtype == Rtype::DS && is_apex {
            return Some("the DS belongs into the parent (RFC 4035, section 2.4)".to_owned());
        }
        if rtype == Rtype::DS && !types.contains_key(&Rtype::NS) {
            return Some("a DS needs a delegation beside it (RFC 4035, section 2.4)".to_owned());
        }
        if rtype == Rtype::NS && owner.is_wildcard() {
            return Some("NS at a wildcard has no meaning (RFC 4592, section 4.2)".to_owned());
        }
        if rtype.is_meta() {
            return Some("a question type is no data (RFC 6895, section 3.1)".to_owned());
        }
        None
    }

    /// Warns of what is never served because another zone, or another name, speaks for it.
    fn look_below_cuts(&mut self) {
        let mut cut: Option<(&Name, &str)> = None;
        for (owner, types) in &self.owners {
            if let Some((name, words)) = cut.filter(|(name, _)| owner.is_below(name)) {
                // What may be needed to reach the name servers is served as glue.
                let hidden = types.iter().find(|(rtype, _)| {
                    words == DNAME_CUT || !matches!(**rtype, Rtype::A | Rtype::AAAA)
                });
                if let Some((rtype, records)) = hidden {
                    self.warnings.push(format!(
                        "{}: {owner} {rtype} lies below the {words} {name} and is never served",
                        records[0].place
                    ));
                }
                continue;
            }
            let delegates = types.contains_key(&Rtype::NS) && owner != self.apex.as_name();
            cut = if delegates {
                let aside = types.iter().find(|(rtype, _)| {
                    // Addresses may be glue: a name server can bear the name of its zone.
                    !matches!(**rtype, Rtype::NS | Rtype::DS | Rtype::A | Rtype::AAAA)
                });
                if let Some((rtype, records)) = aside {
                    self.warnings.push(format!(
                        "{}: {owner} {rtype} stands at a delegation and is never served",
                        records[0].place
                    ));
                }
                Some((owner, "delegation"))
            } else if types.contains_key(&Rtype::DNAME) {
                Some((owner, DNAME_CUT))
            } else {
                cut
            };
        }
    }

    /// Warns of name servers and mail hosts in the zone that have no address, or an alias.
    fn look_for_addresses(&mut self) {
        for records in self.owners.values().flat_map(BTreeMap::values).flatten() {
            if !matches!(records.rtype, Rtype::NS | Rtype::MX | Rtype::SRV) {
                continue;
            }
            let MasterRecord {
                place,
                owner,
                rtype,
                ..
            } = records;
            for target in records.rdata.names(*rtype) {
                if !target.is_at_or_below(self.apex) || self.is_beyond_view(&target) {
                    continue;
                }
                let types = self.owners.get(&target);
                let has = |wanted| types.is_some_and(|types| types.contains_key(&wanted));
                if has(Rtype::CNAME) {
                    self.warnings.push(format!(
                        "{place}: {owner} {rtype} leads to {target}, which is an alias (RFC 2181, \
                         section 10.3)"
                    ));
                } else if !has(Rtype::A) && !has(Rtype::AAAA) {
                    self.warnings.push(format!(
                        "{place}: {owner} {rtype} leads to {target}, which has no address here"
                    ));
                }
            }
        }
    }

    /// Returns whether the address of a name may come from a wildcard, a DNAME or another zone.
    fn is_beyond_view(&self, name: &Name) -> bool {
        if self.owners.contains_key(name) {
            return false;
        }
        let mut ancestor = name.parent();
        while let Some(above) = ancestor.filter(|above| above.is_at_or_below(self.apex)) {
            let types = self.owners.get(&above);
            let has = |wanted| types.is_some_and(|types| types.contains_key(&wanted));
            let is_cut = has(Rtype::DNAME) || has(Rtype::NS) && above != *self.apex.as_name();
            let has_wildcard = above
                .child("*")
                .is_ok_and(|wild| self.owners.contains_key(&wild));
            if is_cut || has_wildcard {
                return true;
            }
            ancestor = above.parent();
        }
        false
    }
}

/// The words for a DNAME that hides what lies below it.
const DNAME_CUT: &str = "DNAME";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{NoIncludes, parse_master};
    use crate::zone::{Template, UnsignedZone};

    /// Reads a zone `burner.example` behind three lines of SOA and NS.
    fn read(text: &str) -> Result<ZoneData, Vec<String>> {
        let head = "@ SOA ns hostmaster 1 1h 15m 2w 15m\n@ NS ns\nns A 192.0.2.1\n";
        read_all(&format!("{head}{text}"))
    }

    /// Reads a zone `burner.example`.
    fn read_all(text: &str) -> Result<ZoneData, Vec<String>> {
        let apex = Apex::parse("burner.example").unwrap();
        let ttl = Ttl::from_secs(3600);
        let records = parse_master(text, Some("z"), &apex, ttl, &NoIncludes).unwrap();
        ZoneData::from_master(&apex, records)
            .map_err(|errors| errors.iter().map(ZoneDataError::to_string).collect())
    }

    #[test]
    fn what_has_no_place_in_a_zone_is_refused_with_its_line() {
        for (text, words) in [
            ("www.other. A 192.0.2.1", "z:4: www.other. A lies outside"),
            (
                "w CNAME a\nw A 192.0.2.1",
                "z:4: w.burner.example. CNAME: a CNAME stands alone, found A",
            ),
            (
                "w CNAME a\nw CNAME b",
                "z:5: w.burner.example. CNAME: expected one record, found 2",
            ),
            (
                "@ DS 1 13 2 00",
                "z:4: burner.example. DS: the DS belongs into the parent",
            ),
            (
                "w DS 1 13 2 00",
                "z:4: w.burner.example. DS: a DS needs a delegation",
            ),
            (
                "w MX 0 .\nw MX 10 ns",
                "z:5: w.burner.example. MX: the MX to the root",
            ),
            ("* NS a", "z:4: *.burner.example. NS: NS at a wildcard"),
            (
                "@ SOA a b 1 2 3 4 5",
                "z:4: burner.example. SOA: expected one record, found 2",
            ),
            (
                "w SOA a b 1 2 3 4 5",
                "z:4: w.burner.example. SOA: a SOA stands at the apex",
            ),
            (
                "w DNAME a\nw DNAME b",
                "z:5: w.burner.example. DNAME: expected one record",
            ),
        ] {
            let errors = read(text).expect_err(text);

            assert_eq!(errors.len(), 1, "{errors:?}");
            assert!(errors[0].starts_with(words), "{}", errors[0]);
        }
        let errors = read_all("w A 192.0.2.1\nx.y. A 192.0.2.1").unwrap_err();
        assert_eq!(
            errors[1..],
            [
                "expected one SOA record at burner.example., found none",
                "expected NS records at burner.example., found none"
            ]
        );
    }

    #[test]
    fn what_the_signer_makes_is_left_out_with_one_warning_a_type() {
        let zone = read(
            "@ DNSKEY 257 3 13 AAAA\n@ RRSIG A 13 2 1 2 3 4 @ AAAA\nw RRSIG A 13 2 1 2 3 4 @ AAAA\n\
             @ NSEC a A\n@ CDS 0 0 0 00\n@ CDNSKEY 0 3 0 AA==\n@ NSEC3PARAM 1 0 0 -",
        )
        .unwrap();

        assert_eq!(zone.rrsets.len(), 3);
        assert_eq!(zone.warnings.len(), 6);
        assert!(
            zone.warnings
                .contains(&"z:5: left out 2 RRSIG records that signing makes anew".to_owned())
        );
    }

    #[test]
    fn the_lowest_ttl_of_an_rrset_holds_and_twins_are_kept_once() {
        let zone = read("w 300 A 192.0.2.1\nw 90 A 192.0.2.2\nw 60 A 192.0.2.2").unwrap();

        let rrset = zone
            .rrsets
            .iter()
            .find(|rrset| rrset.owner.to_string() == "w")
            .unwrap();
        assert_eq!((rrset.ttl, rrset.rdatas.len()), (Ttl::from_secs(60), 2));
        assert_eq!(zone.warnings.len(), 2);
        assert!(zone.warnings[1].starts_with("z:4: w.burner.example. A has TTL 300 here"));
    }

    #[test]
    fn what_is_never_served_or_leads_nowhere_is_noted() {
        let zone = read(
            "sub NS ns.sub\nns.sub A 192.0.2.3\nx.sub TXT never\nd DNAME e.\nx.d A 192.0.2.4\n\
             @ MX 10 mx1\nal CNAME ns\n@ MX 20 al\n*.w A 192.0.2.5\n@ MX 30 a.w",
        )
        .unwrap();

        let expected = [
            "z:8: x.d.burner.example. A lies below the DNAME d.burner.example.",
            "z:6: x.sub.burner.example. TXT lies below the delegation sub.burner.example.",
            "z:9: burner.example. MX leads to mx1.burner.example., which has no address here",
            "z:11: burner.example. MX leads to al.burner.example., which is an alias",
        ];
        assert_eq!(zone.warnings.len(), expected.len(), "{:?}", zone.warnings);
        for (warning, start) in zone.warnings.iter().zip(expected) {
            assert!(warning.starts_with(start), "{warning}");
        }
    }

    #[test]
    fn an_rrset_that_no_message_carries_is_refused() {
        let line = |index: usize| format!("w TXT {index} {}\n", "x".repeat(240));
        let lines: Vec<String> = (0..300).map(line).collect();

        let errors = read(&lines.concat()).unwrap_err();

        assert!(
            errors[0].contains("a message carries at most"),
            "{errors:?}"
        );
        assert!(read(&lines[..200].concat()).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_a_zone(picked in vec((0..OWNERS.len(), 0..DATA.len()), 0..9)) {
            let lines = picked.iter().map(|(owner, data)| format!("{} {}\n", OWNERS[*owner], DATA[*data]));

            if let Ok(zone) = read(&lines.collect::<String>()) {
                let template = Arc::new(Template::new(Vec::new()).unwrap());
                let unsigned = UnsignedZone::new(zone.apex.clone(), template, zone.rrsets.clone());
                prop_assert!(unsigned.is_ok(), "{:?}", unsigned.err());
                prop_assert_eq!(read_all(&zone.to_master()).map(|again| again.rrsets), Ok(zone.rrsets));
            }
        }
    }

    /// Owners that get into each other's way.
    const OWNERS: [&str; 7] = ["@", "a", "b.a", "*", "*.a", "sub", "x.sub"];
    /// Data that do.
    const DATA: [&str; 10] = [
        "A 192.0.2.7",
        "60 A 192.0.2.8",
        "CNAME a",
        "CNAME b",
        "NS a",
        "DS 1 13 2 ab",
        "DNAME e.",
        "SOA a b 1 2 3 4 5",
        "RRSIG A 13 2 1 2 3 4 @ AAAA",
        "TXT x",
    ];

    #[test]
    fn a_zone_survives_the_way_out_and_in_again() {
        let zone = read(
            "*.w TXT \"a\\\"b\" \"\" \"c\\;\\009\"\na\\.b TYPE65400 \\# 2 abcd\nsub NS ns.sub\n\
             sub DS 1 13 2 ab\nns.sub AAAA 2001:db8::1\nd DNAME e.example.\nh HTTPS 1 . alpn=h2",
        )
        .unwrap();

        let text = zone.to_master();

        assert!(text.starts_with("burner.example.\t3600\tIN\tSOA\tns.burner.example. "));
        let again = read_all(&text).unwrap();
        assert_eq!(again.rrsets, zone.rrsets);
    }
}
