//! Moments and spans of time, and the one door to the system clock.
//!
//! Everything that depends on time takes a [`Timestamp`] as an argument; only [`SystemClock`] asks
//! the machine. A test moves time by hand with [`ManualClock`], so that months pass in
//! milliseconds. What may come often is told [`Seldom`], which is given the machine's own reading: the
//! log is for people, whose time no test moves.
//!
//! Start reading at [`Clock`].

mod seldom;
mod source;
mod span;
mod timestamp;

pub use seldom::Seldom;
pub use source::{Clock, ManualClock, SystemClock};
pub use span::{Span, SpanError};
pub use timestamp::{Timestamp, TimestampError};
