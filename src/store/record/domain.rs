//! What is known of a domain.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Record, RecordError, decode_form};
use crate::clock::{Span, Timestamp};
use crate::history::Timeline;
use crate::lifecycle::{HandedOut, LifecycleState, Observed, Suspension};
use crate::mail::Form;
use crate::store::Space;
use crate::wire::Serial;
use crate::zone::RelativeRrset;

/// What is known of one domain of a pool; its key is the apex in wire form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainRecord {
    /// The pool it belongs to.
    pub pool: String,
    /// Where it stands in its life.
    pub state: LifecycleState,
    /// Since when it stands there.
    pub since: Timestamp,
    /// The revision of the last change of intent that touched it.
    pub revision: u64,
    /// Whether it is known never to have been delegated before.
    pub fresh: bool,
    /// Where it is registered, in the operator's words.
    pub registrar: Option<String>,
    /// When its registration ends.
    pub expires_at: Option<Timestamp>,
    /// The operator's own labels.
    pub labels: BTreeMap<String, String>,
    /// The RRsets that the operator gave this domain alone.
    pub extra: Vec<RelativeRrset>,
    /// The zone as signed.
    pub zone: ZoneFact,
    /// When it was added.
    pub added: Timestamp,
    /// The revision at which what its mail hosts may accept changed last.
    pub routed: u64,
    /// What a plain domain does not have.
    pub life: Option<Box<LifeRecord>>,
}

/// What is known of a domain's life that a plain one does not have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifeRecord {
    /// Its hand-outs, if an address was ever given out.
    pub handed_out: Option<HandedOut>,
    /// Whether it takes no mail for a while.
    pub suspension: Option<Suspension>,
    /// Whether no step may withdraw anything.
    pub hold: Option<Hold>,
    /// When it last came back from retirement.
    pub restored: Option<Timestamp>,
    /// When it last made anybody defer, by a suspension.
    pub deferred: Option<Timestamp>,
    /// What the world showed of it.
    pub observed: Observed,
    /// What of its pool's records it shows.
    pub form: Form,
    /// Which MTA-STS policy its TXT shows.
    pub policy: ShownPolicy,
    /// What it showed when, if that was ever something else than its pool's live form.
    pub turns: Timeline<Turn>,
    /// The serial of its newest content, and since when every listed server serves it.
    pub content: Option<(Serial, Option<Timestamp>)>,
    /// Whether the mail hosts need not know it any more (L8).
    pub unanswered: bool,
    /// Since when its zone is served no more.
    pub dropped: Option<Timestamp>,
}

/// No step may withdraw anything, whatever the clock says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub reason: String,
}

/// Which MTA-STS policy a domain's TXT shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShownPolicy {
    /// Its pool's own, if the pool has one.
    #[default]
    Pool,
    /// One of its own.
    Own {
        /// Its id.
        id: String,
        /// Whether senders act on it.
        acts: bool,
        /// How long senders keep it.
        max_age: Span,
    },
    /// None any more.
    Gone,
}

/// What a domain showed of its pool's records for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Which records.
    pub form: Form,
    /// Which policy its senders could find.
    pub policy: PolicyTurn,
}

/// Which MTA-STS policy senders could find for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PolicyTurn {
    /// The pool's.
    Pool,
    /// One of the domain's own.
    Own {
        /// Whether senders act on it.
        acts: bool,
        /// How long senders keep it.
        max_age: Span,
    },
    /// None.
    Gone,
}

/// The form of the first release.
#[derive(Deserialize)]
struct DomainRecord1 {
    /// The pool it belongs to.
    pool: String,
    /// Where it stands in its life.
    state: LifecycleState,
    /// Since when it stands there.
    since: Timestamp,
    /// The revision of the last change of intent that touched it.
    revision: u64,
    /// Whether it is known never to have been delegated before.
    fresh: bool,
    /// Where it is registered, in the operator's words.
    registrar: Option<String>,
    /// When its registration ends.
    expires_at: Option<Timestamp>,
    /// The operator's own labels.
    labels: BTreeMap<String, String>,
    /// The RRsets that the operator gave this domain alone.
    extra: Vec<RelativeRrset>,
    /// The zone as signed.
    zone: ZoneFact,
}

/// Which signed zone serves a name, and what of it is asked often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneFact {
    /// The version under which the signed zone is stored.
    pub version: u64,
    /// The SOA serial.
    pub serial: Serial,
    /// When the first of its signatures expires.
    pub earliest_expiration: Timestamp,
    /// What the parent must be told.
    pub ds: Vec<DsFact>,
}

/// The DS of one key, digest type 2 (RFC 4509).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DsFact {
    /// The key's tag.
    pub key_tag: u16,
    /// The key's algorithm.
    pub algorithm: u8,
    /// SHA-256 over owner and DNSKEY.
    pub digest: [u8; 32],
}

impl Record for DomainRecord {
    const SPACE: Space = Space::Domain;
    const VERSION: u8 = 2;

    fn decode_older(version: u8, octets: &[u8]) -> Option<Result<Self, RecordError>> {
        let old = decode_form::<DomainRecord1>(Self::SPACE, 1, octets);
        (version == 1).then(|| {
            old.map(|old| Self {
                pool: old.pool,
                state: old.state,
                since: old.since,
                revision: old.revision,
                fresh: old.fresh,
                registrar: old.registrar,
                expires_at: old.expires_at,
                labels: old.labels,
                extra: old.extra,
                zone: old.zone,
                // Nobody noted it: no later than the last thing that is known.
                added: old.since,
                routed: old.revision,
                life: None,
            })
        })
    }
}
