//! The sockets of QUIC endpoints: `quinn`'s, but that an error of receiving does no harm.
//!
//! `quinn`'s own (0.11.12) tries again at once whatever the error is, without letting anything else
//! come in between: one that lasts takes a whole core, and its thread hears of no stop any more. An
//! error that is passed on ends the endpoint with all its connections. So this one rests, as those
//! that answer datagrams do.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller};
use tokio::io::Interest;
use tokio::time::{Sleep, sleep};

use crate::clock::Seldom;

/// How long nothing is received after an error.
const BACK_OFF: Duration = Duration::from_millis(50);

/// What endpoints run on: tokio, with these sockets.
#[derive(Debug)]
pub(super) struct QuicRuntime;

impl Runtime for QuicRuntime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        TokioRuntime.spawn(task);
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Ok(Arc::new(QuicSocket {
            state: UdpSocketState::new((&socket).into())?,
            io: tokio::net::UdpSocket::from_std(socket)?,
            rest: Mutex::new(Rest::new()),
        }))
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}

/// One endpoint's socket.
#[derive(Debug)]
struct QuicSocket {
    /// The socket.
    io: tokio::net::UdpSocket,
    /// What the system can do with it.
    state: UdpSocketState,
    /// Whether it rests; the endpoint's task alone receives, so nobody ever waits for the lock.
    rest: Mutex<Rest>,
}

impl AsyncUdpSocket for QuicSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable {
            socket: self,
            waiting: None,
        })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.io.try_io(Interest::WRITABLE, || {
            self.state.send((&self.io).into(), transmit)
        })
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let receive = || {
            self.io.try_io(Interest::READABLE, || {
                self.state.recv((&self.io).into(), buffers, meta)
            })
        };
        rest.poll_recv(context, |context| self.io.poll_recv_ready(context), receive)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

/// The rest after an error.
#[derive(Debug)]
struct Rest {
    /// Ends it, if there is one.
    end: Option<Pin<Box<Sleep>>>,
    /// Which errors are told.
    failing: Seldom,
}

impl Rest {
    /// There is none.
    fn new() -> Self {
        Self {
            end: None,
            failing: Seldom::once_a_minute(),
        }
    }

    /// Receives once something is `ready` to be received, with a rest after each error.
    ///
    /// # Errors
    ///
    /// Those of `ready`: it fails when the runtime ends, and then it is the end.
    fn poll_recv(
        &mut self,
        context: &mut Context<'_>,
        mut ready: impl FnMut(&mut Context<'_>) -> Poll<io::Result<()>>,
        mut receive: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_over(context));
            ready!(ready(context))?;
            match receive() {
                Ok(count) => return Poll::Ready(Ok(count)),
                Err(error) => self.begin(&error),
            }
        }
    }

    /// Begins one after an error, unless that says only that there was nothing to receive.
    fn begin(&mut self, error: &io::Error) {
        if error.kind() == io::ErrorKind::WouldBlock {
            return;
        }
        if let Some(untold_before) = self.failing.admit(Instant::now()) {
            tracing::warn!(%error, untold_before, "a QUIC socket reports an error; trying again");
        }
        self.end = Some(Box::pin(sleep(BACK_OFF)));
    }

    /// Waits until there is none.
    fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(end) = &mut self.end {
            ready!(Future::poll(end.as_mut(), context));
            self.end = None;
        }
        Poll::Ready(())
    }
}

/// Waits until a socket can be written to; each task has its own, as the socket itself would wake
/// only the last one.
struct Writable {
    /// The socket.
    socket: Arc<QuicSocket>,
    /// The wait for it, if there is one.
    waiting: Option<Pin<Box<Waiting>>>,
}

/// A wait for a socket.
type Waiting = dyn Future<Output = io::Result<()>> + Send + Sync;

impl UdpPoller for Writable {
    fn poll_writable(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = self.socket.clone();
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(async move { socket.io.writable().await }));
        let writable = ready!(waiting.as_mut().poll(context));
        self.waiting = None;
        Poll::Ready(writable)
    }
}

impl fmt::Debug for Writable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Writable").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn an_error_lets_everything_else_come_first() {
        let mut rest = Rest::new();
        let mut failures = [nix::libc::ENOMEM].into_iter();
        let mut polls = 0;

        let received = poll_fn(|context| {
            polls += 1;
            let receive = || match failures.next() {
                Some(failure) => Err(io::Error::from_raw_os_error(failure)),
                None => Ok(7),
            };
            rest.poll_recv(context, |_| Poll::Ready(Ok(())), receive)
        });

        assert_eq!(received.await.unwrap(), 7);
        assert!(polls > 1, "it was waited for");
    }

    #[test]
    fn nothing_to_receive_is_no_error() {
        let mut rest = Rest::new();

        rest.begin(&io::ErrorKind::WouldBlock.into());

        assert!(rest.end.is_none());
    }
}
