//! Master files: what is read can be written and read again; what is wrong has a place.

use mxpool::wire::{Apex, NoIncludes, Ttl, parse_master, write_master};
use mxpool::zone::ZoneData;

/// The errors that are kept of one text.
const MOST_ERRORS: usize = 1000;

/// Reads octets as a zone's master file.
pub(crate) fn run(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    let apex = Apex::parse("zone.example").expect("a zone's name");
    let ttl = Ttl::from_secs(3600);
    let records = match parse_master(&text, Some("zone"), &apex, ttl, &NoIncludes) {
        Ok(records) => records,
        Err(errors) => {
            assert!((1..=MOST_ERRORS).contains(&errors.len()));
            for error in errors {
                assert!(!error.to_string().is_empty());
            }
            return;
        }
    };
    let written = write_master(
        records
            .iter()
            .map(|record| (&record.owner, record.rtype, record.ttl, &record.rdata)),
    );
    let again = parse_master(&written, None, &apex, ttl, &NoIncludes)
        .unwrap_or_else(|errors| panic!("what was written is read: {errors:?} in {written}"));
    assert_eq!(records.len(), again.len());
    for (record, again) in records.iter().zip(&again) {
        assert_eq!(
            (&record.owner, record.rtype, record.ttl, &record.rdata),
            (&again.owner, again.rtype, again.ttl, &again.rdata)
        );
    }
    if let Ok(data) = ZoneData::from_master(&apex, records) {
        let text = data.to_master();
        let records = parse_master(&text, None, &apex, ttl, &NoIncludes)
            .unwrap_or_else(|errors| panic!("a zone is read again: {errors:?} in {text}"));
        let again = ZoneData::from_master(&apex, records)
            .unwrap_or_else(|errors| panic!("a zone is one again: {errors:?} in {text}"));
        assert_eq!(again.to_master(), text);
    }
}
