//! The data plane alone, in this process: zones signed by our rooms, answered over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;

use mxpool::clock::{Clock, SystemClock};
use mxpool::dnssec::{SigningKey, SigningPolicy, key_rrsets, sign};
use mxpool::metrics::Metrics;
use mxpool::server::{Running, Server, ServerConfig, TcpLimits};
use mxpool::wire::{Algorithm, Apex, NoIncludes, Ttl, parse_master};
use mxpool::zone::{Layouts, Template, UnsignedZone, ZoneData, ZoneImage, zone_set};

/// What TCP clients may take of a lab.
pub(crate) struct Limits {
    pub(crate) total: usize,
    pub(crate) per_source: usize,
}

/// A running data plane.
pub(crate) struct Lab {
    running: Option<Running>,
    runtime: tokio::runtime::Runtime,
    metrics: Arc<Metrics>,
}

impl Lab {
    /// Signs the zones and serves them, with room for every test's connections.
    pub(crate) fn start(zones: &[(&str, String)]) -> Self {
        Self::start_with(
            zones,
            Limits {
                total: 1000,
                per_source: 1000,
            },
        )
    }

    /// The same with limits.
    pub(crate) fn start_with(zones: &[(&str, String)], limits: Limits) -> Self {
        Self::start_at(zones, limits, Arc::new(SystemClock::new()))
    }

    /// The same with a clock of the test's own; zones are signed by the system's.
    pub(crate) fn start_at(
        zones: &[(&str, String)],
        limits: Limits,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let tcp = TcpLimits {
            connections: limits.total,
            per_source: limits.per_source,
            ..TcpLimits::default()
        };
        let config = ServerConfig {
            tcp,
            ..ServerConfig::default()
        };
        Self::start_configured(zones, config, clock)
    }

    /// The same with a configuration; the address is one of loopback's.
    pub(crate) fn start_configured(
        zones: &[(&str, String)],
        config: ServerConfig,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (mut publisher, reader) = zone_set();
        let layouts = Layouts::new();
        publisher.publish(zones.iter().map(|(apex, text)| image(apex, text, &layouts)));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let config = ServerConfig {
            listen: vec![([127, 0, 0, 1], 0).into()],
            udp_workers: 1,
            ..config
        };
        let guard = runtime.enter();
        let metrics = Arc::new(Metrics::new());
        let started = Server::start(config, reader, clock, metrics.clone());
        let running = started.unwrap_or_else(|error| panic!("{error}"));
        drop(guard);
        Self {
            running: Some(running),
            runtime,
            metrics,
        }
    }

    /// Returns the text of its metrics.
    pub(crate) fn metrics(&self) -> String {
        self.metrics.render()
    }

    /// Returns where it answers.
    pub(crate) fn address(&self) -> SocketAddr {
        self.running().addresses()[0]
    }

    /// Returns what runs.
    pub(crate) fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs until it is dropped")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop());
        }
    }
}

/// Signs one zone with a key of its own.
fn image(apex: &str, text: &str, layouts: &Layouts) -> ZoneImage {
    let apex = Apex::parse(apex).expect("a zone's name");
    let records = parse_master(text, None, &apex, Ttl::from_secs(3600), &NoIncludes)
        .unwrap_or_else(|errors| panic!("{errors:?}"));
    let data = ZoneData::from_master(&apex, records).unwrap_or_else(|errors| panic!("{errors:?}"));
    let policy = SigningPolicy::default();
    let (key, _) = SigningKey::generate(Algorithm::EcdsaP256Sha256, &[]).expect("randomness");
    let template = Arc::new(Template::new(Vec::new()).expect("nothing is there twice"));
    let mut own = data.rrsets;
    own.extend(key_rrsets(&[&key], &apex, policy.dnskey_ttl()));
    let zone = UnsignedZone::new(apex, Arc::clone(&template), own).expect("a zone");
    let signed = sign(&zone, &[&key], &policy, SystemClock::new().now(), None).expect("signatures");
    ZoneImage::compose(&signed, &template, layouts).expect("an image")
}
