//! HTTP connections of the API and the metrics: bounded in number, memory and patience.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::clock::Seldom;

/// What the clients of one listener may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct HttpLimits {
    /// How many connections there are at a time.
    connections: usize,
    /// How long the header of a request may take, the wait for the next one included: who sends it
    /// octet by octet, or nothing, gives its place up.
    patience: Duration,
}

impl HttpLimits {
    /// Returns the limits with so many connections.
    pub(super) fn new(connections: usize) -> Self {
        Self {
            connections,
            patience: Duration::from_secs(30),
        }
    }
}

/// How large the header of a request may be.
const HEADER_LIMIT: usize = 64 << 10;

/// What a client reads for whom there is no place.
const NO_PLACE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n\
    connection: close\r\ncontent-length: 0\r\n\r\n";

/// How long the listener waits when it cannot accept, mostly because descriptors ran out.
const BACK_OFF: Duration = Duration::from_millis(100);

/// Accepts until `stopped` turns true, then waits for the requests in flight.
pub(super) async fn serve(
    what: &'static str,
    listener: TcpListener,
    router: Router,
    limits: HttpLimits,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    let mut failing = Seldom::once_a_minute();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            // A closed channel means that the node is gone.
            _ = stopped.wait_for(|stopped| *stopped) => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    // It fits into the buffer of a new socket; who does not read it is closed on
                    // all the same.
                    let _ = stream.try_write(NO_PLACE);
                    continue;
                };
                let (router, stopped) = (router.clone(), stopped.clone());
                connections.spawn(async move {
                    converse(stream, router, limits.patience, stopped).await;
                    drop(place);
                });
            }
            Err(error) if is_theirs(&error) => {}
            Err(error) => {
                if let Some(untold_before) = failing.admit(Instant::now()) {
                    tracing::warn!(
                        %error,
                        untold_before,
                        "{what} connections cannot be accepted; trying again"
                    );
                }
                sleep(BACK_OFF).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Speaks HTTP on one connection until the client or a stop ends it.
async fn converse(
    stream: TcpStream,
    router: Router,
    patience: Duration,
    mut stopped: watch::Receiver<bool>,
) {
    // Answers leave when they are written; there is nothing to wait for.
    let _ = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(HEADER_LIMIT);
    let service = TowerToHyperService::new(router);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let served = tokio::select! {
        served = connection.as_mut() => Some(served),
        _ = stopped.wait_for(|stopped| *stopped) => None,
    };
    let served = match served {
        Some(served) => served,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "an HTTP connection ended early");
    }
}

/// Returns whether an error of accepting is the affair of the client that had just come.
fn is_theirs(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A limit that no test comes to.
    const FAR: Duration = Duration::from_secs(3_600);

    /// Starts a listener that says "hello" at `/`.
    async fn start(
        connections: usize,
        patience: Duration,
    ) -> (SocketAddr, watch::Sender<bool>, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(|| async { "hello" }));
        let (stop, stopped) = watch::channel(false);
        let limits = HttpLimits {
            connections,
            patience,
        };
        let task = tokio::spawn(serve("test", listener, router, limits, stopped));
        (address, stop, task)
    }

    /// Sends `request` and returns all that comes until the server closes.
    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn who_comes_when_all_places_are_taken_is_told_so() {
        let (address, _stop, _task) = start(2, FAR).await;
        let mut held = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream
                .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
                .await
                .unwrap();
            // Its answer shows that it has its place.
            let mut octet = [0];
            stream.read_exact(&mut octet).await.unwrap();
            held.push(stream);
        }

        assert!(ask(address, "").await.starts_with("HTTP/1.1 503 "));

        held.pop();
        let request = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        // The place is free once the server has seen the end.
        loop {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let _ = stream.write_all(request.as_bytes()).await;
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer).await;
            if answer.ends_with("hello") {
                break;
            }
        }
    }

    #[tokio::test]
    async fn a_header_that_does_not_end_ends_the_connection() {
        let (address, _stop, _task) = start(2, Duration::from_millis(50)).await;

        let answer = ask(address, "GET / HTTP/1.1\r\nx: y").await;

        assert!(!answer.contains("hello"), "{answer}");
    }

    #[tokio::test]
    async fn a_stop_ends_idle_connections() {
        let (address, stop, task) = start(2, FAR).await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut octet = [0];
        idle.read_exact(&mut octet).await.unwrap();

        stop.send_replace(true);

        task.await.unwrap();
    }
}
