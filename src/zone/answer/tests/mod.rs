//! What is answered, read back by the field's library.

mod agreement;
mod extremes;
mod fixture;
mod kinds;
mod lengths;
mod messages;
mod options;
mod reference;
mod semantics;
