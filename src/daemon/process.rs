//! What the process as a whole allows itself, and the signals that it hears.

use std::io;

use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// To end.
    Stop,
    /// To read again what may change while the server runs.
    Reload,
}

/// Signals that are caught from now on; one that comes before it can be heeded is not forgotten.
pub(super) struct Signals {
    /// The polite request to end.
    terminate: Signal,
    /// Ctrl-C.
    interrupt: Signal,
    /// The request to reload.
    hangup: Signal,
}

impl Signals {
    /// Catches them; called inside a tokio runtime.
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

    /// Waits until a stop is asked for; a request to reload waits on.
    pub(super) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
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

/// Lets the process open as many files and sockets as the system lets it have at most, and returns
/// how many; `None` if that cannot be learnt.
///
/// The usual limit, 1024, is low for the sake of programs that keep descriptors in a fixed array
/// (`select`); this one does not.
pub(super) fn raise_descriptors() -> Option<usize> {
    let (soft, hard) = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok(limits) => limits,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files is unknown");
            return None;
        }
    };
    let limit = match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(error) => {
            tracing::warn!(%error, limit = soft, "the limit of open files could not be raised");
            soft
        }
    };
    usize::try_from(limit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_descriptors_that_there_may_be_are_had() {
        let had = raise_descriptors().unwrap();

        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(soft, hard);
        assert_eq!(had as u64, soft);
    }
}
