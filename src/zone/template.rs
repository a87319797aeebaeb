//! The RRsets that the zones of a pool share, relative to an apex.

use std::fmt;
use std::sync::OnceLock;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::wire::{Name, RelativeName, RelativeRdata, Rtype, Ttl};
use crate::zone::{Rrset, ZoneError};

/// An RRset with its owner, and the names in its data, relative to an apex.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RelativeRrset {
    /// The owner's labels in front of the apex.
    pub owner: RelativeName,
    /// The type.
    pub rtype: Rtype,
    /// The TTL of every record.
    pub ttl: Ttl,
    /// The data of the records; at least one.
    pub rdatas: Vec<RelativeRdata>,
}

impl RelativeRrset {
    /// Takes an RRset at or below `apex` and cuts the apex out of it.
    ///
    /// Returns `None` for an owner elsewhere.
    pub fn relative_to(rrset: &Rrset, apex: &Name) -> Option<Self> {
        let owner = rrset.owner().relative_to(apex)?;
        let rtype = rrset.rtype();
        let rdatas = rrset.rdatas().iter();
        let rdatas = rdatas
            .map(|rdata| RelativeRdata::relative_to(rtype, rdata, apex))
            .collect();
        Some(Self {
            owner,
            rtype,
            ttl: rrset.ttl(),
            rdatas,
        })
    }

    /// Returns the RRset of the zone `apex`.
    ///
    /// # Errors
    ///
    /// When a name would be too long, or two records would become the same.
    pub fn under(&self, apex: &Name) -> Result<Rrset, ZoneError> {
        let too_long = |error: &dyn fmt::Display| ZoneError::DoesNotFit {
            owner: self.owner.clone(),
            rtype: self.rtype,
            reason: error.to_string(),
        };
        let owner = self.owner.under(apex).map_err(|error| too_long(&error))?;
        let rdatas = self
            .rdatas
            .iter()
            .map(|rdata| rdata.under(self.rtype, apex));
        let rdatas = rdatas
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| too_long(&error))?;
        let count = rdatas.len();
        Rrset::new(owner, self.rtype, self.ttl, rdatas)
            .filter(|rrset| rrset.rdatas().len() == count)
            .ok_or_else(|| ZoneError::SameRecordTwice {
                owner: self.owner.clone(),
                rtype: self.rtype,
            })
    }
}

/// What all zones of one pool version share: rendered RRsets without the apex.
///
/// Immutable and named by its content, so that a stored one can be kept while any zone refers to
/// it, whatever a later release would render.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Template {
    /// The RRsets, sorted by owner and type.
    rrsets: Vec<RelativeRrset>,
    /// Its name, once it was asked for: every zone that is signed asks twice.
    #[serde(skip)]
    id: OnceLock<TemplateId>,
}

/// The name of a template: SHA-256 over its content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TemplateId(pub [u8; 32]);

impl Template {
    /// Makes a template out of RRsets in any order.
    ///
    /// # Errors
    ///
    /// When two RRsets have one owner and type.
    pub fn new(mut rrsets: Vec<RelativeRrset>) -> Result<Self, ZoneError> {
        rrsets.sort_by(|a, b| (&a.owner, a.rtype).cmp(&(&b.owner, b.rtype)));
        let twin = rrsets
            .windows(2)
            .find(|pair| (&pair[0].owner, pair[0].rtype) == (&pair[1].owner, pair[1].rtype));
        if let Some([first, _]) = twin {
            return Err(ZoneError::SameRrsetTwice {
                owner: first.owner.clone(),
                rtype: first.rtype,
            });
        }
        for rrset in &mut rrsets {
            rrset.rdatas.sort_unstable();
        }
        Ok(Self {
            rrsets,
            id: OnceLock::new(),
        })
    }

    /// Returns the RRsets, sorted by owner and type.
    pub fn rrsets(&self) -> &[RelativeRrset] {
        &self.rrsets
    }

    /// Returns the template's name.
    ///
    /// Each RRset is hashed as owner, type, TTL and data, each variable part behind its length, so
    /// that two templates have one name only if they are the same.
    pub fn id(&self) -> TemplateId {
        *self.id.get_or_init(|| self.digest())
    }

    /// Computes the template's name.
    fn digest(&self) -> TemplateId {
        let mut octets = Vec::new();
        let mut part = |bytes: &[u8]| {
            octets.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
            octets.extend_from_slice(bytes);
        };
        for rrset in &self.rrsets {
            part(rrset.owner.as_wire());
            part(&rrset.rtype.code().to_be_bytes());
            part(&rrset.ttl.as_secs().to_be_bytes());
            part(&(rrset.rdatas.len() as u32).to_be_bytes());
            for rdata in &rrset.rdatas {
                for (_, segment) in rdata.segments() {
                    part(segment);
                }
                part(b"end");
            }
        }
        let mut id = [0; 32];
        id.copy_from_slice(digest(&SHA256, &octets).as_ref());
        TemplateId(id)
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.rrsets == other.rrsets
    }
}

impl Eq for Template {}

impl fmt::Display for TemplateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for TemplateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
