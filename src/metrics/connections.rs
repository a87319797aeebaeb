//! What is counted of connections, beside what was asked over them.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::clock::Timestamp;
use crate::wire::Transport;

use super::Metrics;
use super::labels::transport_label;
use super::registry::add;

/// Shows how many connections of one kind are open.
#[derive(Clone, Debug)]
pub struct OpenConnections(IntGauge);

/// Counts how handshakes of one kind of connection end.
#[derive(Clone, Debug)]
pub struct Handshakes {
    /// Those that were completed.
    completed: IntCounter,
    /// Those that were not: broken off, not finished in time, or not understood.
    failed: IntCounter,
}

impl OpenConnections {
    /// Shows a number.
    pub fn show(&self, open: usize) {
        self.0.set(i64::try_from(open).unwrap_or(i64::MAX));
    }
}

impl Handshakes {
    /// Counts one that was completed.
    pub fn completed(&self) {
        self.completed.inc();
    }

    /// Counts one that was not.
    pub fn failed(&self) {
        self.failed.inc();
    }
}

/// The metrics of all kinds of connection.
pub(super) struct ConnectionVecs {
    /// Connections that are open, by transport.
    open: IntGaugeVec,
    /// Handshakes by transport and result.
    handshakes: IntCounterVec,
    /// When the certificate ends; no series without one.
    certificate_expiry: IntGaugeVec,
}

impl Metrics {
    /// Returns what shows the DNS connections over `transport`.
    pub fn open_connections(&self, transport: Transport) -> OpenConnections {
        self.connections.open(transport)
    }

    /// Returns what counts the TLS or QUIC handshakes over `transport`.
    pub fn handshakes(&self, transport: Transport) -> Handshakes {
        self.connections.handshakes(transport)
    }

    /// Shows when the certificate ends that is shown over TLS and QUIC.
    pub fn dns_certificate_expires(&self, at: Timestamp) {
        self.connections.certificate_expires(at);
    }
}

impl ConnectionVecs {
    /// Creates and registers them.
    ///
    /// # Errors
    ///
    /// Only for names that Prometheus would not take.
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let open = Opts::new("mxpool_dns_connections", "DNS connections that are open.");
        let handshakes = Opts::new(
            "mxpool_dns_handshakes_total",
            "TLS and QUIC handshakes: completed, or failed or not finished in time.",
        );
        let expiry = Opts::new(
            "mxpool_dns_certificate_expiry_timestamp_seconds",
            "When the certificate that is shown over TLS and QUIC expires.",
        );
        Ok(Self {
            open: add(registry, IntGaugeVec::new(open, &["transport"])?)?,
            handshakes: add(
                registry,
                IntCounterVec::new(handshakes, &["transport", "result"])?,
            )?,
            certificate_expiry: add(registry, IntGaugeVec::new(expiry, &[])?)?,
        })
    }

    /// Returns what shows the connections over `transport`.
    pub(super) fn open(&self, transport: Transport) -> OpenConnections {
        let label = transport_label(transport);
        OpenConnections(self.open.with_label_values(&[label]))
    }

    /// Returns what counts the handshakes over `transport`.
    pub(super) fn handshakes(&self, transport: Transport) -> Handshakes {
        let label = transport_label(transport);
        Handshakes {
            completed: self.handshakes.with_label_values(&[label, "completed"]),
            failed: self.handshakes.with_label_values(&[label, "failed"]),
        }
    }

    /// Shows when the certificate ends.
    pub(super) fn certificate_expires(&self, at: Timestamp) {
        let none: [&str; 0] = [];
        let at = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
        self.certificate_expiry.with_label_values(&none).set(at);
    }
}
