//! What mail hosts may accept, told to Postfix over its own look-up protocol.
//!
//! A socketmap server (Postfix' `socketmap_table(5)`): netstrings with `MAP KEY` in, netstrings with
//! a status and a result out, as many as the client likes on one connection. Two maps read the
//! published routing set, without a lock and without asking the engine:
//!
//! | map | key | reply |
//! |---|---|---|
//! | `domains` | a domain | `OK` and the domain, while its answer is not `gone`; else `NOTFOUND` |
//! | `recipients` | an address | `accept`: `OK DUNNO`; `later`: `OK 450 4.2.1 …`; `never`: `OK 556 5.1.10 …`; `gone`, unknown, or no full address: `NOTFOUND` |
//!
//! `DUNNO` rather than nothing: Postfix then asks for no less specific key, and goes on to the next
//! restriction. Mail to postmaster and abuse is taken where the route says so, whatever else it
//! says (L6; RFC 2142, section 5; RFC 5321, section 4.5.1). A mail host's `main.cf`:
//!
//! ```text
//! relay_domains = socketmap:unix:/srv/mxpool/run/routing.sock:domains
//! smtpd_recipient_restrictions =
//!     check_recipient_access socketmap:unix:/srv/mxpool/run/routing.sock:recipients,
//!     reject_unauth_destination
//! # By default Postfix relays for every name below a relay domain: only the map knows which.
//! parent_domain_matches_subdomains =
//! ```
//!
//! A Postfix that runs in a `chroot` reaches a path outside of it as `proxy:socketmap:…` (its
//! `proxy_read_maps` lists what may be asked so). When nobody answers, Postfix defers the mail: a
//! restart of this server loses nothing.
//!
//! The socket is open to every user of the machine; the folder that it lies in says who reaches it.
//! Over TCP only loopback is served. Each connection is a thread: a look-up is microseconds of work
//! between two system calls, Postfix keeps its connections, and their number is bounded.
//!
//! Start reading at [`Socketmap::start`], and at `lookup` for what is answered.

mod address;
mod config;
mod connection;
mod endpoint;
mod lookup;
mod netstring;
mod running;

pub use config::{RoutingConfig, RoutingLimits, RoutingListen};
pub use endpoint::RoutingError;
pub use running::{Running, Socketmap, probe};

#[cfg(test)]
mod tests;
