//! Runs [`mxpool_fuzz`]'s target `cookie` under cargo-fuzz.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| mxpool_fuzz::run("cookie", octets));
