//! Accepting connections, and ending them again.

use std::io;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::libc;
use socket2::Socket;

use crate::clock::Seldom;
use crate::mail::RoutingReader;
use crate::metrics::Metrics;

use super::config::{RoutingConfig, RoutingLimits, RoutingListen};
use super::connection::Connection;
use super::endpoint::{self, Endpoint, RoutingError, SocketFile};
use super::lookup::Lookup;

/// The stack of a connection's thread: a look-up calls nothing deep.
const STACK: usize = 128 << 10;

/// How long the listener waits when the process or the system has nothing left to accept with.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// How long open connections may take to write their last replies after a stop.
const DRAIN: Duration = Duration::from_secs(1);

/// How often a stop looks whether they have.
const LOOK: Duration = Duration::from_millis(2);

/// The socketmap server, not yet running.
pub struct Socketmap;

/// The running socketmap server; it goes on until it is stopped or dropped.
pub struct Running {
    /// Where it listens.
    listen: RoutingListen,
    /// Tells listener and connections to end.
    stopping: Arc<AtomicBool>,
    /// The listener; shutting it down wakes its thread.
    socket: Arc<Socket>,
    /// The thread that accepts.
    acceptor: Option<JoinHandle<()>>,
    /// The socket's file, taken away in the end.
    file: Option<SocketFile>,
}

impl Socketmap {
    /// Opens the socket and answers from now on, on threads of its own.
    ///
    /// # Errors
    ///
    /// Names the address that could not be had.
    pub fn start(
        config: RoutingConfig,
        routes: RoutingReader,
        metrics: Arc<Metrics>,
    ) -> Result<Running, RoutingError> {
        let Endpoint {
            socket,
            listen,
            file,
        } = endpoint::open(&config.listen)?;
        let socket = Arc::new(socket);
        let stopping = Arc::<AtomicBool>::default();
        let acceptor = Acceptor {
            socket: socket.clone(),
            lookup: Lookup::new(routes, metrics),
            limits: config.limits,
            stopping: stopping.clone(),
            clients: Vec::new(),
            full: Seldom::once_a_minute(),
            failing: Seldom::once_a_minute(),
            threadless: Seldom::once_a_minute(),
        };
        let acceptor = thread::Builder::new()
            .name("routing".to_owned())
            .spawn(|| acceptor.run())
            .map_err(RoutingError::Thread)?;
        Ok(Running {
            listen,
            stopping,
            socket,
            acceptor: Some(acceptor),
            file,
        })
    }
}

/// Learns whether the address can be had, so that a start that cannot succeed is told before
/// anything is made; [`Socketmap::start`] says the same when the answer has changed by then.
///
/// # Errors
///
/// Names the address that could not be had.
pub fn probe(config: &RoutingConfig) -> Result<(), RoutingError> {
    endpoint::probe(&config.listen)
}

impl Running {
    /// Returns where it listens, with the port it really has.
    pub fn listen(&self) -> &RoutingListen {
        &self.listen
    }

    /// Stops answering: requests that have been read get their replies, then all is closed; blocks
    /// until every thread has ended.
    pub fn stop(mut self) {
        self.end();
    }

    /// Ends all threads, once.
    fn end(&mut self) {
        let Some(acceptor) = self.acceptor.take() else {
            return;
        };
        self.stopping.store(true, Ordering::Relaxed);
        // Who comes now finds nobody, as before the start.
        drop(self.file.take());
        // The kernel says of a TCP listener that it is not connected, but its thread wakes up.
        let _ = self.socket.shutdown(Shutdown::Both);
        if acceptor.join().is_err() {
            tracing::error!("the thread that accepts mail hosts' look-ups had ended with a panic");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Accepts connections and keeps their threads.
struct Acceptor {
    /// The open listener.
    socket: Arc<Socket>,
    /// What answers.
    lookup: Lookup,
    /// What clients may take.
    limits: RoutingLimits,
    /// Whether to end.
    stopping: Arc<AtomicBool>,
    /// The connections that have not been seen to end.
    clients: Vec<Client>,
    /// When it is told that there is no room.
    full: Seldom,
    /// When it is told that nothing can be accepted.
    failing: Seldom,
    /// When it is told that a connection got no thread.
    threadless: Seldom,
}

/// A connection's thread.
struct Client {
    /// The socket, which closes when the thread ends.
    socket: Weak<Socket>,
    /// The thread.
    thread: JoinHandle<()>,
}

impl Acceptor {
    /// Accepts until the server ends, then ends all connections.
    fn run(mut self) {
        while !self.stopping.load(Ordering::Relaxed) {
            match self.socket.accept() {
                Ok((socket, _)) => self.accept(socket),
                // The stop's wake-up, seen at the loop's head.
                Err(_) if self.stopping.load(Ordering::Relaxed) => {}
                Err(error) if is_passing(&error) => {
                    tracing::debug!(%error, "a mail host's connection ended before it began");
                }
                Err(error) => {
                    if let Some(untold_before) = self.failing.admit(Instant::now()) {
                        tracing::warn!(
                            %error,
                            untold_before,
                            "mail hosts' connections cannot be accepted; trying again"
                        );
                    }
                    thread::sleep(EXHAUSTED);
                }
            }
        }
        self.end();
    }

    /// Starts a connection's thread, if there is room for one.
    fn accept(&mut self, socket: Socket) {
        self.join_ended();
        if self.clients.len() >= self.limits.connections {
            if let Some(untold_before) = self.full.admit(Instant::now()) {
                tracing::warn!(
                    connections = self.limits.connections,
                    untold_before,
                    "mail hosts hold as many connections as there may be; more are closed"
                );
            }
            return;
        }
        // Replies leave when they are written; a Unix socket has no such option and does so anyway.
        let _ = socket.set_tcp_nodelay(true);
        let socket = Arc::new(socket);
        let connection = Connection {
            socket: socket.clone(),
            lookup: self.lookup.clone(),
            limits: self.limits,
            stopping: self.stopping.clone(),
        };
        let thread = thread::Builder::new()
            .name("routing client".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                if let Err(error) = connection.serve() {
                    tracing::debug!(%error, "a mail host's connection was given up");
                }
            });
        match thread {
            Ok(thread) => self.clients.push(Client {
                socket: Arc::downgrade(&socket),
                thread,
            }),
            Err(error) => {
                if let Some(untold_before) = self.threadless.admit(Instant::now()) {
                    tracing::warn!(
                        %error,
                        untold_before,
                        "a mail host's connection got no thread"
                    );
                }
            }
        }
    }

    /// Forgets the connections that have ended.
    fn join_ended(&mut self) {
        for client in self.clients.extract_if(.., |it| it.thread.is_finished()) {
            join(client);
        }
    }

    /// Ends all connections and waits for their threads, bounded.
    fn end(&mut self) {
        let shut_down = |clients: &[Client], how| {
            for socket in clients.iter().filter_map(|client| client.socket.upgrade()) {
                // One that the client has closed cannot be shut down.
                let _ = socket.shutdown(how);
            }
        };
        shut_down(&self.clients, Shutdown::Read);
        let begun = Instant::now();
        while !self.clients.is_empty() && begun.elapsed() < DRAIN {
            self.join_ended();
            thread::sleep(LOOK);
        }
        // What is left waits for clients that do not read.
        shut_down(&self.clients, Shutdown::Both);
        self.clients.drain(..).for_each(join);
    }
}

/// Waits for a connection's thread.
fn join(client: Client) {
    if client.thread.join().is_err() {
        tracing::error!("a thread that answers a mail host had ended with a panic");
    }
}

/// Returns whether an error of accepting is that client's affair, gone with it.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ECONNABORTED | libc::EINTR | libc::EPROTO | libc::EPERM)
    )
}
