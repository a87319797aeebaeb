//! Zone data as it is served.
//!
//! An [`UnsignedZone`] is a [`Template`] that many zones share and the RRsets that one zone alone
//! has. Its [`Structure`] (which names exist, what is a delegation, what lies hidden below one)
//! follows from the owner names and types alone, and the NSEC chain follows from the structure.
//! A [`SignedZone`] adds the signatures, in the order of [`Structure::signing_order`].
//!
//! What is served is a [`ZoneImage`]: octets laid out so that an answer is mostly copied. Only
//! images fit into the published set ([`zone_set`]), which one [`ZonePublisher`] changes zone by
//! zone under many [`ZoneReader`]s; out of a [`ZoneView`] of it [`answer()`] turns the octets of a query into those of its
//! reply.
//!
//! Nothing here signs, reads a store or reads a clock.

mod answer;
mod counter;
mod data;
mod export;
mod image;
mod layout;
mod lifespan;
mod rrset;
mod set;
mod signed;
mod structure;
mod template;
mod unsigned;

pub use crate::wire::{DropReason, Transport};
pub use answer::{
    Answered, Asker, Foreseen, Nsid, ReadAhead, ReplySettings, ResponseClass, Subject, Verdict,
    answer, answer_briefly, answer_foreseen,
};
pub use counter::QueryCounter;
pub use data::{ZoneData, ZoneDataError};
pub use export::{export, export_unsigned};
pub use image::ZoneImage;
pub use layout::Layouts;
pub use lifespan::{LONGEST_LIFETIME, SHORTEST_LIFETIME, TtlBound, ttl_beyond};
pub use rrset::{Rrset, RrsetKey};
pub use set::{ZonePublisher, ZoneReader, ZoneView, zone_set};
pub use signed::{
    SIGNATURE_LENGTH, SignedRrset, SignedZone, SignedZoneError, SigningKeyTag, Validity, rrsig_head,
};
pub use structure::{Node, Role, SignedItem, Source, Structure};
pub use template::{RelativeRrset, Template, TemplateId};
pub use unsigned::{UnsignedZone, ZoneError};
