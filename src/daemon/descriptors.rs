//! How the descriptors that the process may have are shared out among those who come to it.

use crate::config::Config;
use crate::routing::RoutingConfig;
use crate::server::ServerConfig;

/// Descriptors for what nobody outside has a say in: logs, store, runtimes, what watching the outside
/// asks, and connections that are just being turned away. A node that serves nobody has 19 beside its
/// listeners.
const OWN: usize = 64;

/// HTTP connections of one listener: people, scripts and scrapers are few.
const HTTP: usize = 256;

/// One descriptor in so many is not for DNS, if it is wanted.
const OTHERS_SHARE: usize = 4;

/// How many connections there may be at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Places {
    /// Of DNS, over each transport.
    pub(super) dns: usize,
    /// Of the API.
    pub(super) api: usize,
    /// Of scrapes, if they have an address of their own.
    pub(super) metrics: usize,
    /// Of mail hosts, if they ask.
    pub(super) routing: usize,
}

impl Places {
    /// Returns how many there are when descriptors do not matter.
    pub(super) fn wanted(config: &Config) -> Self {
        let routing = config.routing.as_ref();
        Self {
            dns: config.server.tcp.connections,
            api: HTTP,
            metrics: config.metrics.map_or(0, |_| HTTP),
            routing: routing.map_or(0, |routing| routing.limits.connections),
        }
    }

    /// Returns how many of these `descriptors` are enough for, so that no kind of connection takes
    /// the last one from another; at least one of each kind.
    ///
    /// A connection that cannot be accepted for want of a descriptor waits until one is free, behind
    /// whoever holds the others and need not hurry.
    pub(super) fn within(self, descriptors: usize, config: &Config) -> Self {
        let listeners = 1 + usize::from(self.metrics > 0) + usize::from(self.routing > 0);
        let taken = OWN + listeners + config.server.sockets();
        let room = descriptors.saturating_sub(taken);
        let kinds = config.server.descriptors_a_place();
        let others = self.api + self.metrics + self.routing;
        let dns = (room - others.min(room / OTHERS_SHARE)) / kinds;
        let dns = self.dns.min(dns);
        let room = room - dns * kinds;
        let part = |wanted: usize| {
            let part = if others <= room {
                wanted
            } else {
                wanted * room / others
            };
            part.max(wanted.min(1))
        };
        Self {
            dns: dns.max(1),
            api: part(self.api),
            metrics: part(self.metrics),
            routing: part(self.routing),
        }
    }

    /// Returns the data plane's configuration with as many connections as there are places.
    pub(super) fn fit_server(self, config: &ServerConfig) -> ServerConfig {
        let mut config = config.clone();
        config.tcp.connections = self.dns;
        config
    }

    /// Returns the configuration of what mail hosts ask with as many connections.
    pub(super) fn fit_routing(self, config: &RoutingConfig) -> RoutingConfig {
        let mut config = config.clone();
        config.limits.connections = self.routing;
        config
    }
}

#[cfg(test)]
mod tests {
    use crate::routing::RoutingListen;
    use crate::server::{CertificateFiles, TlsConfig};

    use super::*;

    /// Returns a node with two workers on each of two addresses, which take ten descriptors.
    fn config() -> Config {
        let mut config = Config::default();
        config.server.listen = vec![([127, 0, 0, 1], 53).into(), ([127, 0, 0, 2], 53).into()];
        config.server.udp_workers = 2;
        config
    }

    /// Returns what `descriptors` are enough for.
    fn within(descriptors: usize, config: &Config) -> (usize, usize, usize, usize) {
        let Places {
            dns,
            api,
            metrics,
            routing,
        } = Places::wanted(config).within(descriptors, config);
        (dns, api, metrics, routing)
    }

    #[test]
    fn with_descriptors_enough_there_are_as_many_as_wanted() {
        let mut config = config();
        let least = OWN + 1 + 10 + 150 + HTTP;
        assert_eq!(within(least, &config), (150, HTTP, 0, 0));
        assert_eq!(within(least - 1, &config), (150, HTTP - 1, 0, 0));

        config.server.tcp.connections = 5_000;
        config.metrics = Some(([127, 0, 0, 1], 9_153).into());
        config.routing = Some(RoutingConfig::from(RoutingListen::Unix("socket".into())));
        assert_eq!(within(20_000, &config), (5_000, HTTP, HTTP, 512));
    }

    #[test]
    fn everybody_gets_less_of_a_few_and_something_of_none() {
        let mut config = config();
        // 125 are left, of which DNS wants more than its three quarters.
        assert_eq!(within(200, &config), (94, 31, 0, 0));

        config.metrics = Some(([127, 0, 0, 1], 9_153).into());
        assert_eq!(within(200, &config), (93, 15, 15, 0));
        assert_eq!(within(10, &config), (1, 1, 1, 0));
    }

    #[test]
    fn workers_listeners_and_handshakes_take_descriptors_too() {
        let mut config = config();
        let of_two = within(400, &config).1;
        config.server.udp_workers = 10;
        assert_eq!(within(400, &config).1, of_two - 2 * 2 * 8);
        config.server.udp_workers = 2;
        config.server.tls = Some(TlsConfig {
            dot: vec![([127, 0, 0, 1], 853).into()],
            doq: vec![([127, 0, 0, 1], 853).into()],
            files: CertificateFiles {
                certificate: "dns.pem".into(),
                key: "dns.key".into(),
            },
        });

        let (dns, api, ..) = within(400, &config);

        // Of 322 that are left; each place over TCP means one over TLS and one of a handshake.
        assert_eq!((dns, api), (80, 82));
    }
}
