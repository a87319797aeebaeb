//! DNS words and bytes: names, types, RDATA, messages, master files.
//!
//! The lowest room that knows DNS, and the only door to `hickory-proto` and `domain`: above it,
//! data is what these types say. Bytes come in through `parse` functions that check them once;
//! inside, an illegal name or a malformed RDATA cannot be written down. Nothing here reads a file,
//! a socket or a clock.
//!
//! Names and the names inside RDATA are kept lower-case, in uncompressed wire form: that is the
//! canonical form of DNSSEC (RFC 4034, section 6.2), so what is stored is what is signed. The
//! case of a question is kept where the question is: in the query's own bytes.
//!
//! Start reading at [`Name`], then [`Rdata`]; for the data plane at [`receive`] and [`Reply`];
//! for asking others at [`Ask`] and [`Response`].

mod cookie;
mod edns;
mod key;
mod master;
mod message;
mod name;
mod rdata;
mod relative;
mod rtype;
mod serial;
mod transport;
mod ttl;

pub use cookie::{CookieCheck, CookieSecret, CookieSecrets};
pub use edns::{COOKIE_LENGTH, Edns, ExtendedError, Options, ReplyOptions};
#[cfg(test)]
pub(crate) use key::independent;
pub use key::{
    Algorithm, AlgorithmError, KeyError, KeyPair, ds_digest, ds_is_of, key_tag, verify_signature,
};
pub use master::{
    IncludeSource, MasterError, MasterRecord, NoIncludes, Place, parse_master, write_master,
};
#[cfg(test)]
pub(crate) use message::decoded;
pub use message::{
    Ask, Asked, Authoritative, Checkpoint, DoesNotFit, DropReason, Envelope, HEADER_LENGTH,
    MAX_POINTER, NameBuffer, Opcode, Query, Rcode, Received, Record, Reply, Response,
    ResponseError, Section, receive,
};
pub use name::{Apex, Labels, Name, NameError};
pub use rdata::{Rdata, RdataError, SoaNumbers};
pub use relative::{RelativeName, RelativeRdata, SegmentEnd};
pub use rtype::{Rtype, RtypeError};
pub use serial::Serial;
pub use transport::Transport;
pub use ttl::Ttl;
