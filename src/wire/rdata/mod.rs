//! The data of one record: octets that are known to be well formed for their type.
//!
//! [`Rdata`] keeps the uncompressed wire form; `build` makes the types that we derive, `shape`
//! knows where names lie inside each type, `text` reads and writes what master files say, with the
//! help of `scan` (fields by the library) and `service` (parameters of SVCB and HTTPS).

mod build;
mod octets;
mod scan;
mod service;
mod shape;
mod text;

pub use build::SoaNumbers;
pub use octets::{Rdata, RdataError};
