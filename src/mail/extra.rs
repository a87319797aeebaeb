//! The records that a pool adds to every domain.

use super::PoolSettings;
use super::render::placeholder;
use crate::document::Fault;
use crate::wire::{MasterError, Name, NoIncludes, Place, Rdata, Rtype, Ttl, parse_master};

/// Where the extra records stand in a pool's settings.
const POINTER: &str = "/extra/records";

/// A record that every domain of a pool also gets, under the placeholder.
#[derive(Clone, Debug)]
pub(super) struct ExtraRecord {
    /// Where it stands in the text.
    pub(super) place: Place,
    /// Its owner.
    pub(super) owner: Name,
    /// Its type.
    pub(super) rtype: Rtype,
    /// Its TTL; the pool's, if it has none.
    pub(super) ttl: Ttl,
    /// Its data.
    pub(super) rdata: Rdata,
}

impl ExtraRecord {
    /// Returns a fault with the record's place and name.
    pub(super) fn fault(&self, reason: impl AsRef<str>) -> Fault {
        let owner = self.owner.relative_to(&placeholder());
        let owner = owner.map_or_else(|| self.owner.to_string(), |owner| owner.to_string());
        let (place, rtype) = (&self.place, self.rtype);
        Fault::new(
            POINTER,
            format!("{place}: {owner} {rtype}: {}", reason.as_ref()),
        )
    }
}

/// Reads the extra records of a pool.
///
/// # Errors
///
/// Everything that is no record, or none that a domain of a pool may have, with its line.
pub(super) fn parse(settings: &PoolSettings) -> Result<Vec<ExtraRecord>, Vec<Fault>> {
    let Some(text) = &settings.extra else {
        return Ok(Vec::new());
    };
    let parsed = parse_master(text, None, &placeholder(), settings.ttl(), &NoIncludes);
    let records = parsed.map_err(|errors| errors.iter().map(malformed).collect::<Vec<_>>())?;
    let records: Vec<ExtraRecord> = records
        .into_iter()
        .map(|record| ExtraRecord {
            place: record.place,
            owner: record.owner,
            rtype: record.rtype,
            ttl: record.ttl,
            rdata: record.rdata,
        })
        .collect();
    let faults = records.iter().filter_map(|record| {
        let reason = misplaced(&record.owner).or_else(|| refused(record.rtype));
        let reason = reason.or_else(|| second_spf(record));
        reason.map(|reason| record.fault(reason))
    });
    let faults: Vec<Fault> = faults.collect();
    if faults.is_empty() {
        Ok(records)
    } else {
        Err(faults)
    }
}

/// Returns what is wrong with a line that is no record.
fn malformed(error: &MasterError) -> Fault {
    // The placeholder's text means nothing to the user.
    let reason = error.reason.replace("\\000.", "<domain>.");
    Fault::new(POINTER, format!("{}: {reason}", error.place))
}

/// Says why an owner is none of a domain's.
fn misplaced(owner: &Name) -> Option<String> {
    (!owner.is_at_or_below(&placeholder())).then(|| {
        "expected an owner relative to each domain, without a final dot, found an absolute one"
            .to_owned()
    })
}

/// Says why records of a type are not among those that a user adds to a domain of a pool.
pub(super) fn refused(rtype: Rtype) -> Option<String> {
    let reason = match rtype {
        Rtype::MX => {
            "the MX comes from mail_host and moves in steps (RFC 5321, section 5.1); it cannot be \
             an extra record"
        }
        Rtype::TLSA => {
            "TLSA comes from the certificates of mail_host and rolls with them (RFC 7671, section \
             8.1); it cannot be an extra record"
        }
        Rtype::SOA | Rtype::NS => {
            "SOA and NS come from nameservers and hostmaster (RFC 1034, section 4.2.1); a domain of \
             a pool delegates nothing"
        }
        Rtype::DS => "a DS stands at a delegation (RFC 4035, section 2.4), and there is none here",
        Rtype::DNSKEY | Rtype::CDS | Rtype::CDNSKEY | Rtype::CSYNC => {
            "keys and what is told of them to the parent come from signing (RFC 7344, section 4)"
        }
        other if other.is_made_by_signing() || other == Rtype::ZONEMD => {
            "signing makes records of this type (RFC 4034, section 3 and 4)"
        }
        other if other.is_meta() => "a question type is no data (RFC 6895, section 3.1)",
        _ => return None,
    };
    Some(reason.to_owned())
}

/// Says why a second SPF record must not stand at the apex.
fn second_spf(record: &ExtraRecord) -> Option<String> {
    let is_spf =
        record.rtype == Rtype::TXT && record.owner == placeholder() && is_spf(&record.rdata);
    is_spf.then(|| {
        "the SPF record comes from outbound.spf (\"v=spf1 -all\" without it); of two, receivers use \
         none (RFC 7208, section 4.5)"
            .to_owned()
    })
}

/// Whether TXT data is an SPF record (RFC 7208, section 4.5).
pub(super) fn is_spf(rdata: &Rdata) -> bool {
    let text = rdata.as_wire().get(1..).unwrap_or_default();
    text.get(..6)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"v=spf1"))
}
