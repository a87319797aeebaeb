//! The outside as tests make it: name servers, mail hosts and policy hosts on loopback.

mod authority;
mod mail_hosts;
mod name_server;
mod parents;
mod policies;
mod questions;
mod rounds;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::*;
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::wire::{Apex, Name};

/// The moment at which tests begin.
const NOW: Timestamp = Timestamp::from_secs(1_795_537_800);

/// Returns a name.
fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// Returns a domain's name.
fn apex(text: &str) -> Apex {
    Apex::parse(text).unwrap()
}

/// Returns one of loopback's addresses.
fn local(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

/// Returns a clock that stands.
fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(NOW))
}

/// Returns a clock that stands, as rooms take it.
fn standing() -> Arc<dyn Clock> {
    clock()
}

/// Returns a configuration that looks through a resolver and does not wait for long.
fn config(resolver: SocketAddr) -> WatchConfig {
    let mut config = WatchConfig::new(vec![resolver]);
    config.limits.dns_timeout = Duration::from_millis(150);
    config.limits.smtp_timeout = Duration::from_secs(2);
    config.limits.https_timeout = Duration::from_secs(2);
    // Tests do not wait for turns; `budget` is tested for itself.
    config.limits.registry_rate = 1_000_000;
    config
}

/// Returns a listener at one of loopback's addresses and a free port.
async fn listener(last: u8) -> TcpListener {
    TcpListener::bind((local(last), 0)).await.unwrap()
}
