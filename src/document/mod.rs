//! Reads JSON documents and says everything that is wrong with one at once.
//!
//! A document comes as a [`serde_json::Value`]; an [`Element`] is a value with its place, and
//! [`Fields`] are the members of an object. Nothing here stops at the first fault: each is noted in
//! a [`Faults`] collector with an RFC 6901 pointer, and the value reads as absent, so that the
//! caller goes on and finds the next one.
//!
//! Start reading at [`read`].

mod element;
mod fault;
mod fields;

pub use element::{Element, read};
pub use fault::{Fault, Faults, Pointer};
pub use fields::Fields;
