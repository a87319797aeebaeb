//! What is answered, read back by the field's library.

mod agreement;
mod extremes;
mod fixture;
mod lengths;
mod messages;
mod reference;
mod semantics;
