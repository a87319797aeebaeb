//! Integration tests, one binary: what users and the world see.

// A panic is the report here, in what tests share as in tests.
#![allow(clippy::unwrap_used)]

mod amplification;
mod conformance;
mod cookies;
mod crash;
mod crash_lives;
mod demo;
mod descriptors;
mod differential;
mod dns;
mod encrypted;
mod fuzzing;
mod lab;
mod lossless;
mod master;
mod moments;
mod operations;
mod process;
mod refusals;
mod reload;
mod resolver;
mod routing;
mod staging;
mod stories;
mod versus;
mod world;
