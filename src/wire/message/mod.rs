//! Messages of the data plane: octets in, octets out, nothing allocated per query.
//!
//! [`receive`] reads a message as far as a server must and says whether it is a [`Query`], to be
//! refused with a code, or to be dropped. [`Reply`] writes what goes back; it repeats the
//! question's own octets, so that their case comes back as it was sent, and names point into them.
//!
//! What is asked of other servers is an [`Ask`], and what they say a [`Response`].
//!
//! Start reading at [`receive`].

mod ask;
mod code;
#[cfg(test)]
pub(crate) mod decoded;
mod name_buffer;
mod query;
mod reply;
mod response;
mod tsig;
mod walk;

pub use ask::{Ask, Asked};
pub use code::{Opcode, Rcode};
pub use name_buffer::NameBuffer;
pub use query::{DropReason, Envelope, Query, Received, receive};
pub use reply::{
    Authoritative, Checkpoint, DoesNotFit, HEADER_LENGTH, MAX_POINTER, Reply, Section,
};
pub use response::{Record, Response, ResponseError};
