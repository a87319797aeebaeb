//! DNSSEC's keys: algorithms, key pairs, raw signatures, tags and digests.
//!
//! What is signed and when is told by the room `dnssec`; here are octets in and octets out.

mod algorithm;
mod digest;
#[cfg(test)]
pub(crate) mod independent;
mod pair;

pub use algorithm::{Algorithm, AlgorithmError};
pub use digest::{ds_digest, ds_is_of, key_tag};
pub use pair::{KeyError, KeyPair, verify_signature};
