//! What the process as a whole allows itself, and the signals that it hears.

use std::io;

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// To end.
    Stop,
    /// To read again what may change while the server runs.
    Reload,
}

/// Signals that are caught from now on.
pub(super) struct Signals {
    /// The polite request to end.
    terminate: Signal,
    /// Ctrl-C.
    interrupt: Signal,
    /// The request to reload.
    hangup: Signal,
}

impl Signals {
    /// Catches the signals; called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub(super) fn catch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }

    /// Waits until a stop is asked for.
    pub(super) async fn stop(&mut self) {
        while self.next().await != Asked::Stop {}
    }
}

/// Keeps private keys out of core files: no dump by limit, and none by a handler that the limit
/// does not bind; nor may other programs of the same user read our memory.
pub(super) fn forbid_core_dumps() {
    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        tracing::warn!(%error, "core dumps could not be limited");
    }
    if let Err(error) = prctl::set_dumpable(false) {
        tracing::warn!(%error, "core dumps could not be forbidden");
    }
}
