//! Runs [`mxpool_fuzz`]'s target `message` under cargo-fuzz.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| mxpool_fuzz::run("message", octets));
