//! One query over a QUIC stream of its own.

use std::time::Duration;

use quinn::{ReadExactError, RecvStream, SendStream, VarInt};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::metrics::Dropped;
use crate::server::responder::{Client, Responder};

/// Octets of the length before each message (RFC 9250, section 4.2).
const PREFIX: usize = 2;

/// Why a stream ended without an answer that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamEnd {
    /// The client broke the protocol; its connection must be closed (RFC 9250, section 4.3.3).
    Violation,
    /// The client wants no answer any more, or has none to get.
    Cancelled,
}

impl StreamEnd {
    /// Returns the code that says so (RFC 9250, section 4.3).
    fn code(self) -> VarInt {
        VarInt::from_u32(match self {
            // DOQ_PROTOCOL_ERROR.
            Self::Violation => 2,
            // DOQ_UNSPECIFIED_ERROR.
            Self::Cancelled => 5,
        })
    }
}

/// One stream of a client's.
pub(super) struct QueryStream {
    /// Where the answer goes.
    pub(super) send: SendStream,
    /// Where the query comes from.
    pub(super) receive: RecvStream,
}

impl QueryStream {
    /// Reads the query and answers it; without an answer the stream is cut off, as an empty one
    /// would look like one.
    ///
    /// `room` is what all queries of a connection may take at a time while they are read, in
    /// octets: a stream waits with its length read until there is enough.
    ///
    /// # Errors
    ///
    /// When there was no answer, or none that the client got in time.
    pub(super) async fn serve(
        mut self,
        responder: &Responder,
        client: Client,
        room: &Semaphore,
        patience: Duration,
    ) -> Result<(), StreamEnd> {
        let answered = timeout(patience, self.answer(responder, client, room));
        let answered = answered.await.unwrap_or(Err(StreamEnd::Cancelled));
        if let Err(end) = answered {
            // It may be gone already.
            let _ = self.send.reset(end.code());
        }
        answered
    }

    /// Reads the query, and answers it.
    async fn answer(
        &mut self,
        responder: &Responder,
        client: Client,
        room: &Semaphore,
    ) -> Result<(), StreamEnd> {
        let read = self.read(room).await;
        if let Err(StreamEnd::Violation) = read {
            responder.dropped(Dropped::Malformed, 1);
        }
        let (query, _taken) = read?;
        let mut reply = Vec::new();
        if !responder.respond(&query, &client, &mut reply) {
            // No query: too short for one, a response, or with an option that there must not be
            // over QUIC (section 5.5.2). It is counted there as what it is.
            return Err(StreamEnd::Violation);
        }
        self.send(&reply).await
    }

    /// Reads the query; returns it with the room that it takes.
    async fn read<'r>(
        &mut self,
        room: &'r Semaphore,
    ) -> Result<(Vec<u8>, SemaphorePermit<'r>), StreamEnd> {
        let mut prefix = [0; PREFIX];
        self.receive.read_exact(&mut prefix).await.map_err(ended)?;
        let length = u16::from_be_bytes(prefix);
        let taken = room.acquire_many(length.into()).await;
        let taken = taken.map_err(|_| StreamEnd::Cancelled)?;
        let mut query = vec![0; length.into()];
        self.receive.read_exact(&mut query).await.map_err(ended)?;
        // "Servers MAY defer processing of a query until the STREAM FIN has been indicated"
        // (section 4.2): whatever is sent in its place is a second query, which there must not be.
        match self.receive.read(&mut [0]).await {
            Ok(None) => {}
            Ok(Some(_)) => return Err(StreamEnd::Violation),
            Err(_) => return Err(StreamEnd::Cancelled),
        }
        // The stream tells queries apart; an id would tell clients apart (section 4.2.1).
        if query.get(..2) != Some(&[0, 0]) {
            return Err(StreamEnd::Violation);
        }
        Ok((query, taken))
    }

    /// Sends the answer, and waits until the client has it: a connection that is closed before
    /// that takes it along.
    async fn send(&mut self, reply: &[u8]) -> Result<(), StreamEnd> {
        let cancelled = StreamEnd::Cancelled;
        let length = u16::try_from(reply.len()).map_err(|_| cancelled)?;
        let framed = [&length.to_be_bytes(), reply].concat();
        self.send.write_all(&framed).await.map_err(|_| cancelled)?;
        self.send.finish().map_err(|_| cancelled)?;
        self.send.stopped().await.map_err(|_| cancelled)?;
        Ok(())
    }
}

/// Returns what it means that a stream could not be read as far as wanted.
fn ended(error: ReadExactError) -> StreamEnd {
    match error {
        // "Receiving a STREAM FIN before receiving all the bytes for a message" (section 4.3.3).
        ReadExactError::FinishedEarly(_) => StreamEnd::Violation,
        ReadExactError::ReadError(_) => StreamEnd::Cancelled,
    }
}
