//! The `mxpool` program.

fn main() {}
