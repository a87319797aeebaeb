//! Messages of the data plane: bytes in, bytes out, nothing allocated per query.

mod code;

pub use code::{Opcode, Rcode};
