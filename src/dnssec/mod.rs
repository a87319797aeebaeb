//! Keys, signing and its timing: from an unsigned zone to a signed one.
//!
//! Pure: the moment is an argument, keys come in and signatures go out. Nothing here decides when
//! a zone is signed, keeps anything or serves anything. A zone has one key for everything (a CSK:
//! the split into two earns its keep only where one of them is offline), and denial is an NSEC
//! chain made ahead.
//!
//! Private keys leave the room only sealed, by [`SealingKey`]. Start reading at
//! [`sign()`]; the engine calls its like [`sign_and_tell`], to give way to queries meanwhile.

mod check;
#[cfg(test)]
mod fixture;
mod guard;
mod key;
mod message;
mod policy;
mod reuse;
mod schedule;
mod sealing;
mod sign;

pub use check::{CheckError, Extent, check};
pub use guard::{ClockError, ClockGuard};
pub use key::{Ds, SigningKey, key_rrsets};
pub use policy::{SigningPolicy, SigningPolicyError, SigningPolicyWarning};
pub use schedule::{earliest_expiration, resign_at};
pub use sealing::{SealError, SealingKey, SealingKeyId};
pub use sign::{Previous, SignError, sign, sign_and_tell};
