//! Master files (RFC 1035, section 5): the text form of a zone, in and out.
//!
//! [`parse_master`] reads a text and whatever it includes, and reports every error with file and
//! line. An entry is found and taken apart here, because the library under it stops at the first
//! error, knows no TTL units (`1h30m`) and no default class; the fields of a record's data are
//! read by [`Rdata`](super::Rdata). [`write_master`] writes what other name servers read.
//!
//! No file is opened here: `$INCLUDE` asks an [`IncludeSource`] of the caller's.

mod entry;
mod error;
mod include;
mod name;
mod reader;
mod ttl;
mod write;

pub(in crate::wire) use entry::{Entries, Token};
pub use error::{MasterError, Place};
pub use include::{IncludeSource, NoIncludes};
pub(in crate::wire) use name::absolute_name;
pub use reader::{MasterRecord, parse_master};
pub(in crate::wire) use ttl::parse_ttl;
pub use write::write_master;
