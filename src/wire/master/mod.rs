//! Master files (RFC 1035, section 5): the text form of a zone, in and out.
//!
//! [`parse_master`] reads a text and whatever it includes, and reports every error with file and
//! line. An entry is found and taken apart here, because the library under it stops at the first
//! error, knows no TTL units (`1h30m`) and no default class; the fields of a record's data are
//! read by [`Rdata`](super::Rdata). [`write_master`] writes what other name servers read.
//!
//! No file is opened here: `$INCLUDE` asks an [`IncludeSource`] of the caller's.

mod error;
mod include;
mod reader;
mod write;

pub use error::{MasterError, Place};
pub use include::{IncludeSource, NoIncludes};
pub use reader::{MasterRecord, parse_master};
pub use write::write_master;
