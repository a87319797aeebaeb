//! Runs [`mxpool_fuzz`]'s target `master` under cargo-fuzz.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| mxpool_fuzz::run("master", octets));
