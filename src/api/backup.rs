//! A copy of the running store, streamed while it is read.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use http_body::Frame;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::call::Call;
use super::problem::Problem;
use super::zones::internal;
use crate::engine::Engine;

/// How many octets a piece of the backup has.
const PIECE: usize = 256 << 10;
/// How many pieces wait for a slow client; the store's reading waits then, too.
const WAITING: usize = 4;
/// How long a client may take for a piece. While it is waited for, the store can use no room again
/// that commits give up, so that one that stands still would make it grow without end.
const PATIENCE: Duration = Duration::from_secs(60);
/// The header field that names the sealing key.
pub(super) const SEALING_KEY: &str = "mxpool-sealing-key-id";

/// Streams a consistent copy of the store; the key that opens it is named, never sent.
///
/// A copy that fails on its way ends the connection without the last chunk, so that no client takes
/// it for a whole one.
pub(super) async fn read(call: Call) -> Result<Response, Problem> {
    call.params(&[]).finish()?;
    let engine = call.api.engine.clone();
    let id = engine.sealing_key_id().map_err(|error| internal(&error))?;
    let body = if call.is_head() {
        Body::empty()
    } else {
        copy(engine)
    };
    let name = HeaderValue::from_static("attachment; filename=\"mxpool.backup\"");
    let mut response = body.into_response();
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CONTENT_DISPOSITION, name);
    if let Some(id) = id.and_then(|id| HeaderValue::try_from(id).ok()) {
        headers.insert(HeaderName::from_static(SEALING_KEY), id);
    }
    Ok(response)
}

/// Starts to copy the store and returns the body that the copy runs into.
fn copy(engine: Engine) -> Body {
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut pieces = Pieces {
            sender,
            piece: Vec::with_capacity(PIECE),
            patience: PATIENCE,
        };
        let copied = engine
            .backup(&mut pieces)
            .map_err(io::Error::other)
            .and_then(|_| pieces.flush());
        if let Err(error) = copied {
            tracing::warn!(%error, "a backup broke off");
            // A receiver that is gone has seen the end itself.
            let _ = pieces.send(Err(error));
        }
    });
    Body::new(Pipe(receiver))
}

/// Cuts what is written into pieces and sends them; for a thread that may block.
struct Pieces {
    /// The way to the client.
    sender: mpsc::Sender<io::Result<Bytes>>,
    /// What is not sent yet.
    piece: Vec<u8>,
    /// How long the client may take for a piece.
    patience: Duration,
}

impl Pieces {
    /// Sends a piece, or the error that ends them; blocks while enough of them wait.
    ///
    /// # Errors
    ///
    /// When the client has gone or takes none for too long.
    fn send(&self, piece: io::Result<Bytes>) -> io::Result<()> {
        let sent = timeout(self.patience, self.sender.send(piece));
        match Handle::current().block_on(sent) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => {
                let reason = "the client has gone";
                Err(io::Error::new(io::ErrorKind::BrokenPipe, reason))
            }
            Err(_) => {
                let reason = format!("the client took nothing for {:?}", self.patience);
                Err(io::Error::new(io::ErrorKind::TimedOut, reason))
            }
        }
    }
}

impl Write for Pieces {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let taken = octets.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&octets[..taken]);
        if self.piece.len() == PIECE {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.send(Ok(piece.into()))
    }
}

/// A body of the pieces that come through a channel.
struct Pipe(mpsc::Receiver<io::Result<Bytes>>);

impl HttpBody for Pipe {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let piece = self.0.poll_recv(context);
        piece.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::edge::tests::Server;

    #[test]
    fn a_backup_comes_whole_and_not_as_json() {
        let server = Server::with_pool();

        let answer = server.call("GET", "/v1/backup", None);

        assert_eq!(answer.status, 200);
        assert_eq!(answer.media_type, "application/octet-stream");
        assert!(answer.octets.starts_with(b"MXPOOL-BACKUP"));
        assert_eq!(server.bare("GET", "/v1/backup", &[], "").status, 401);
        let head = server.call("HEAD", "/v1/backup", None);
        assert_eq!((head.status, head.media_type), (200, answer.media_type));
    }

    #[test]
    fn a_client_that_stands_still_does_not_hold_the_store() {
        // The copy waited for it forever, and the store grew with every commit.
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (sender, _receiver) = mpsc::channel(WAITING);
        let mut pieces = Pieces {
            sender,
            piece: Vec::new(),
            patience: Duration::ZERO,
        };

        let copied = runtime.spawn_blocking(move || pieces.write_all(&vec![0; 8 * PIECE]));
        let error = runtime.block_on(copied).unwrap().unwrap_err();

        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
