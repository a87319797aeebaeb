//! Whether it is we who cannot get there.

use std::io;

/// Returns whether this machine has no way to an address: that says nothing of who is there.
pub(super) fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable
    )
}
