//! Observation: asks the outside what the control plane wants to know of its domains.
//!
//! [`Question`](crate::lifecycle::Question)s come from an [`Inquirer`] and what was seen goes back
//! to it as [`Fact`](crate::lifecycle::Fact)s: the NS and DS that parents show, the serials of the
//! listed servers, MX and mail hosts as senders find them, the policy as policy hosts serve it, the
//! query counts of other servers. Nothing is decided here, and nothing is kept that matters: after
//! a restart one looks again.
//!
//! Whoever gives no answer leaves it unknown: there is no fact then, never a false one. What would
//! do harm (a DS of others, name servers of others) counts as soon as one server shows it; all else
//! only when every one agrees. A mail host that cannot be spoken to is no silence but what its
//! senders meet, too. An address to which this machine has no route (IPv6 on one without it) is left
//! out, as long as another address could be tried.
//!
//! Watching costs others (K29). A domain of which nothing waits is looked at once a day, at its own
//! moment of the day, and at one of its parent's servers, another one each day; only what waits for
//! an observation is looked at in every round and everywhere. The servers of a parent get at most
//! 20 queries a second, evenly spaced. Whatever waits to be asked is bounded.
//!
//! Octets from outside are read with bounds: on lines, records, bodies, time.
//!
//! Start reading at [`Watcher::start`], then `watcher`.

mod budget;
mod config;
mod counts;
mod dns;
mod https;
mod mail_hosts;
mod parent;
mod policy;
mod published;
mod registry;
mod resolver;
mod round;
mod route;
mod smtp;
#[cfg(test)]
mod tests;
mod tls;
mod watcher;

pub use config::{CountsSource, CountsToken, ListedServer, Ports, Trust, WatchConfig, WatchLimits};
pub use tls::TlsError;
pub use watcher::{Inquirer, Page, Seen, Watcher, Watching};
