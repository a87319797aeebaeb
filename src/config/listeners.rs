//! Whether all listeners can have their addresses at a time.

use std::net::SocketAddr;

use crate::routing::RoutingListen;

use super::problem::{Place, Problem};
use super::settings::Config;

/// A setting: its section and its key.
type Setting = (&'static str, &'static str);

/// Which protocols a listener takes its port of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    /// TCP's.
    Tcp,
    /// UDP's.
    Udp,
    /// Both.
    Both,
}

/// Returns which addresses cannot be had together; `place` tells where a setting is, if it is no
/// default.
pub(super) fn conflicts(config: &Config, place: impl Fn(Setting) -> Option<Place>) -> Vec<Problem> {
    let mut all: Vec<(Setting, Port, SocketAddr)> = Vec::new();
    let mut add = |setting, port, addresses: &[SocketAddr]| {
        all.extend(addresses.iter().map(|address| (setting, port, *address)));
    };
    add(("dns", "listen"), Port::Both, &config.server.listen);
    if let Some(tls) = &config.server.tls {
        add(("dns.tls", "dot"), Port::Tcp, &tls.dot);
        add(("dns.tls", "doq"), Port::Udp, &tls.doq);
    }
    add(("api", "listen"), Port::Tcp, &[config.api]);
    add(("metrics", "listen"), Port::Tcp, config.metrics.as_slice());
    if let Some(RoutingListen::Tcp(address)) = config.routing.as_ref().map(|it| &it.listen) {
        add(("routing", "listen"), Port::Tcp, &[*address]);
    }
    let mut problems = Vec::new();
    for (index, (setting, port, address)) in all.iter().enumerate() {
        let conflict = all[..index].iter().find(|(_, taken_port, taken)| {
            let same_protocol = port == taken_port || [port, taken_port].contains(&&Port::Both);
            same_protocol && is_shared(*taken, *address)
        });
        let Some(((other, other_key), _, taken)) = conflict else {
            continue;
        };
        let (section, key) = setting;
        let hint = match *section {
            "metrics" => "; without this setting metrics are at the API's address",
            _ => "",
        };
        problems.push(Problem {
            place: place(*setting)
                .or_else(|| place((other, other_key)))
                .unwrap_or_else(|| Place::Default {
                    setting: format!("{section}.{key}"),
                }),
            detail: format!(
                "{section}.{key}: expected an address and port of its own, found {address} beside \
                 {taken} of {other}.{other_key}{hint}"
            ),
        });
    }
    problems
}

/// Leaves all listeners where those of `running` are; of `[dns.tls]` that is the addresses alone.
pub(super) fn keep(config: &mut Config, running: &Config) {
    config.server.listen.clone_from(&running.server.listen);
    match (&mut config.server.tls, &running.server.tls) {
        (Some(tls), Some(running)) => {
            tls.dot.clone_from(&running.dot);
            tls.doq.clone_from(&running.doq);
        }
        (tls, running) => tls.clone_from(running),
    }
    config.api = running.api;
    config.metrics = running.metrics;
    config.routing.clone_from(&running.routing);
}

/// Returns whether two listeners cannot have these addresses at a time: the same port of the same
/// address, or of all and one. Port 0 is another free port each time.
fn is_shared(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |all: SocketAddr| all.ip().is_unspecified();
    one.port() == other.port()
        && one.port() != 0
        && one.is_ipv4() == other.is_ipv4()
        && (one.ip() == other.ip() || covers(one) || covers(other))
}
