//! Whether all listeners can have their addresses at a time.

use std::net::SocketAddr;

use crate::routing::RoutingListen;

use super::problem::{Place, Problem};
use super::settings::Config;

/// Returns which addresses cannot be had together; `place` tells where a section's addresses are,
/// if they are no defaults.
pub(super) fn conflicts(
    config: &Config,
    place: impl Fn(&'static str) -> Option<Place>,
) -> Vec<Problem> {
    let dns = config.server.listen.iter();
    let mut all: Vec<(&str, SocketAddr)> = dns.map(|it| ("dns", *it)).collect();
    all.push(("api", config.api));
    all.extend(config.metrics.map(|it| ("metrics", it)));
    if let Some(RoutingListen::Tcp(address)) = config.routing.as_ref().map(|it| &it.listen) {
        all.push(("routing", *address));
    }
    let mut problems = Vec::new();
    for (index, (section, address)) in all.iter().enumerate() {
        let conflict = all[..index]
            .iter()
            .find(|(_, taken)| is_shared(*taken, *address));
        let Some((other, taken)) = conflict else {
            continue;
        };
        let hint = match *section {
            "metrics" => "; without this setting metrics are at the API's address",
            _ => "",
        };
        problems.push(Problem {
            place: place(section)
                .or_else(|| place(other))
                .unwrap_or_else(|| Place::Default {
                    setting: format!("{section}.listen"),
                }),
            detail: format!(
                "{section}.listen: expected an address and port of its own, found {address} beside \
                 {taken} of {other}.listen{hint}"
            ),
        });
    }
    problems
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
