//! Bodies that are sent while they are made: no answer is ever held whole.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body::Frame;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How many octets a piece of a body has.
const PIECE: usize = 256 << 10;
/// How many pieces wait for a slow client; what makes them waits then, too.
const WAITING: usize = 4;
/// How long a client may take for a piece. While a backup waits for it, the store can use no room
/// again that commits give up, so that one that stands still would make it grow without end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns a body of what `make` writes, on a thread that may block.
///
/// One that fails on its way ends the connection without the last chunk, so that no client takes it
/// for a whole one. `what` names it in the log.
pub(super) fn streamed(
    what: &'static str,
    make: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
) -> Body {
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut pieces = Pieces {
            sender,
            piece: Vec::with_capacity(PIECE),
            patience: PATIENCE,
        };
        let made = make(&mut pieces).and_then(|()| pieces.flush());
        if let Err(error) = made {
            tracing::warn!(%error, what, "an answer broke off");
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
