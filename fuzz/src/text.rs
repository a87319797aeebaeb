//! Names, data and other words as people write them: what is read is written so that it reads the
//! same.

use mxpool::mail::{Mailbox, ReportUris, TlsaRecord};
use mxpool::wire::{Apex, Name, Rdata, RelativeName, Rtype};

/// Reads the first line as a type, the second as a name, and all behind it as data of the type.
pub(crate) fn run(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let (second, data) = rest.split_once('\n').unwrap_or((rest, rest));
    name(second);
    words(rest);
    let origin = Name::parse("origin.example").expect("a name");
    if let Ok(rtype) = first.parse::<Rtype>() {
        assert_eq!(rtype.to_string().parse::<Rtype>(), Ok(rtype));
        if let Ok(rdata) = Rdata::parse_text(rtype, data, &origin) {
            let text = rdata.to_text(rtype);
            assert_eq!(
                Rdata::parse_text(rtype, &text, &Name::root()).as_ref(),
                Ok(&rdata),
                "{text}"
            );
            assert_eq!(
                Rdata::from_wire(rtype, rdata.as_wire()).as_ref(),
                Ok(&rdata),
                "{text}"
            );
        }
        // The same octets as they come over the wire.
        if let Ok(rdata) = Rdata::from_wire(rtype, data.as_bytes()) {
            let text = rdata.to_text(rtype);
            let again = Rdata::parse_text(rtype, &text, &origin);
            let again = again.unwrap_or_else(|error| panic!("{error} in {rtype} {text}"));
            // NSEC's name keeps the case that it comes with (RFC 6840, section 5.1).
            let same = match rtype {
                Rtype::NSEC | Rtype::RRSIG => again.as_wire().eq_ignore_ascii_case(rdata.as_wire()),
                _ => again == rdata,
            };
            assert!(same, "{rtype} {text}");
            for name in rdata.names(rtype) {
                assert_eq!(Name::from_wire(name.as_wire()), Ok(name));
            }
        }
    }
}

fn name(text: &str) {
    if let Ok(name) = Name::parse(text) {
        assert_eq!(Name::parse(&name.to_string()).as_ref(), Ok(&name));
        assert_eq!(Name::from_wire(name.as_wire()).as_ref(), Ok(&name));
        assert!(name.as_wire().len() <= 255);
    }
    if let Ok(apex) = Apex::parse_unicode(text) {
        assert_eq!(
            Apex::parse(&apex.as_name().to_api_text()).as_ref(),
            Ok(&apex)
        );
    }
    if let Ok(name) = RelativeName::parse(text) {
        assert_eq!(RelativeName::parse(&name.to_string()).as_ref(), Ok(&name));
    }
}

fn words(text: &str) {
    if let Ok(mailbox) = text.parse::<Mailbox>() {
        assert_eq!(
            mailbox.to_string().parse::<Mailbox>().as_ref(),
            Ok(&mailbox)
        );
    }
    if let Ok(uris) = text.parse::<ReportUris>() {
        assert_eq!(uris.to_string().parse::<ReportUris>().as_ref(), Ok(&uris));
    }
    if let Ok(record) = text.parse::<TlsaRecord>() {
        assert_eq!(
            record.to_string().parse::<TlsaRecord>().as_ref(),
            Ok(&record)
        );
    }
}
