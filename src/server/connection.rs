//! One TCP connection: messages in, answers out, in bounded memory and time.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::metrics::Family;

use super::config::TcpLimits;
use super::responder::Responder;

/// Octets of the length before each message (RFC 1035, section 4.2.2).
const PREFIX: usize = 2;

/// How much is read at a time.
const READ: usize = 8 << 10;

/// How many octets of answers are gathered before they are written, so that a client that asks
/// without reading holds no more than this and one answer.
const GATHERED: usize = 64 << 10;

/// What a connection works with.
pub(super) struct Connection<S> {
    /// The open stream.
    pub(super) stream: S,
    /// The family that it came over.
    pub(super) family: Family,
    /// What answers.
    pub(super) responder: Responder,
    /// What the client may take.
    pub(super) limits: TcpLimits,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Answers until the client closes, falls silent, reads too slowly, or `stop` turns true.
    ///
    /// Queries are answered in the order they came, all whole ones of a read in one write
    /// (RFC 7766, sections 6.2.1.1 and 8). A client that has closed its side still gets the
    /// answers to what it sent before.
    pub(super) async fn serve(mut self, mut stop: watch::Receiver<bool>) -> io::Result<()> {
        let mut unread = Vec::new();
        let mut gathered = Vec::new();
        let mut reply = Vec::new();
        // Only a complete message moves it: octet by octet, a client could hold its place for ever
        // (RFC 7766, section 6.2.3).
        let mut deadline = Instant::now() + self.limits.idle;
        loop {
            unread.reserve(READ);
            let read = tokio::select! {
                read = timeout_at(deadline, self.stream.read_buf(&mut unread)) => read,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            match read {
                Ok(Ok(0)) | Err(_) => break,
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error),
            }
            let mut answered = 0;
            while let Some(message) = first_message(&unread[answered..]) {
                answered += PREFIX + message.len();
                if self.responder.respond(message, self.family, &mut reply) {
                    append(&mut gathered, &reply);
                }
                if gathered.len() >= GATHERED {
                    write(&mut self.stream, &mut gathered, self.limits.write).await?;
                }
            }
            if answered > 0 {
                unread.drain(..answered);
                write(&mut self.stream, &mut gathered, self.limits.write).await?;
                deadline = Instant::now() + self.limits.idle;
            }
        }
        self.stream.shutdown().await
    }
}

/// Returns the first message of `octets`, if it is there as a whole.
fn first_message(octets: &[u8]) -> Option<&[u8]> {
    let (prefix, rest) = octets.split_first_chunk::<PREFIX>()?;
    rest.get(..usize::from(u16::from_be_bytes(*prefix)))
}

/// Appends an answer behind its length; one that no length can say is left out.
fn append(gathered: &mut Vec<u8>, reply: &[u8]) {
    if let Ok(length) = u16::try_from(reply.len()) {
        gathered.extend_from_slice(&length.to_be_bytes());
        gathered.extend_from_slice(reply);
    }
}

/// Writes all of `gathered` and empties it; a client that does not read in time is given up.
async fn write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    gathered: &mut Vec<u8>,
    patience: Duration,
) -> io::Result<()> {
    if !gathered.is_empty() {
        timeout(patience, stream.write_all(gathered))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        gathered.clear();
    }
    Ok(())
}
