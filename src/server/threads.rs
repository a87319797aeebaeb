//! The threads that connections are served on.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// One thread a core, for connections alone.
///
/// The API has a runtime of its own: a flood of handshakes, each some hundred microseconds of
/// arithmetic, does not keep a request of the operator's waiting behind it, nor a large request an
/// answer; the system's scheduler shares the cores between both.
pub(super) struct StreamThreads {
    /// Where tasks are spawned.
    handle: Handle,
    /// The threads, until they end.
    runtime: Option<Runtime>,
}

impl StreamThreads {
    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .thread_name("mxpool-streams")
            .enable_all()
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    /// Returns where tasks are spawned.
    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl Drop for StreamThreads {
    /// Ends them without waiting, as whoever drops them may be such a thread of another runtime.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
