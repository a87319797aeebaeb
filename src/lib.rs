//! mxpool: an authoritative, DNSSEC-signing DNS server for pools of throwaway mail domains.

pub mod cli;
pub mod clock;
pub mod config;
pub mod dnssec;
pub mod document;
pub mod lifecycle;
pub mod mail;
pub mod metrics;
pub mod publication;
pub mod server;
pub mod store;
pub mod wire;
pub mod zone;
