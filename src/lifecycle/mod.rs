//! The states of a domain's life and what each step between them waits for; pure.
//!
//! Facts and *now* come in, a verdict comes out: at once, or what the step still waits for, in
//! words and with the rule's name. Nothing here asks the outside, keeps a fact or changes one.
//!
//! Start reading at [`LifecycleState`], then [`transition()`].

mod state;
mod transition;

pub use state::{LifecycleState, LifecycleStateError};
pub use transition::{Force, Readiness, Refused, Step, WaitingFor, transition};
