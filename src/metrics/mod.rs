//! Every metric of the server: its name, its help text, its labels.
//!
//! One [`Metrics`] per process, shared by all rooms; each calls a method that says what happened,
//! and [`Metrics::render`] writes the Prometheus text format. Label values come only from closed
//! lists and from the operator's own names (pools), never from the wire: a stranger cannot make
//! the number of series grow.
//!
//! The data plane does not look labels up. Each of its workers has a [`Traffic`] block of its own:
//! arrays of counters that nobody else writes, summed when a scrape asks.
//!
//! Start reading at [`Metrics`].

mod connections;
mod labels;
mod registry;
mod traffic;

pub use connections::{Handshakes, OpenConnections};
pub use labels::{Dropped, Family, RotationCause, RoutingMap, RoutingResult};
pub use registry::{Metrics, PoolGauges};
pub use traffic::{Traffic, Writers};
