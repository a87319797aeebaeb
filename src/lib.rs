//! mxpool: an authoritative, DNSSEC-signing DNS server for pools of throwaway mail domains.

pub mod clock;
