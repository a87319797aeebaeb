//! One connection, TCP or TLS: messages in, answers out, in bounded memory and time.
//!
//! A connection at rest owns no buffer. Its octets are read into a buffer of the thread, answered
//! out of it, and the answers written from another one of the thread's, all in one go. Only what
//! could not be finished is kept: the beginning of a message whose rest has not come yet, and
//! answers that the client has not taken. The first ends at [`MOST_UNREAD`], the second at
//! [`GATHERED`] and one answer more; while there are answers to take, nothing is read.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, sleep_until, timeout};

use super::config::TcpLimits;
use super::responder::{Client, Responder};
use super::slots::Slot;

/// Octets of the length before each message (RFC 1035, section 4.2.2).
const PREFIX: usize = 2;

/// How much is read at a time: as much as one TLS record holds.
const READ: usize = 16 << 10;

/// The most that is kept of what cannot be answered yet: a message that lacks one octet, and what
/// was read behind it.
const MOST_UNREAD: usize = PREFIX + u16::MAX as usize + READ;

/// How many octets of answers are gathered before they are written, so that a client that asks
/// without reading holds no more than this and one answer.
const GATHERED: usize = 64 << 10;

/// What a connection works with.
pub(super) struct Connection<S> {
    /// The open stream.
    pub(super) stream: S,
    /// The client's address.
    pub(super) peer: IpAddr,
    /// What answers.
    pub(super) responder: Responder,
    /// What the client may take.
    pub(super) limits: TcpLimits,
    /// Its place among the connections.
    pub(super) slot: Slot,
}

/// The buffers of a thread.
struct Buffers {
    /// What was just read.
    input: Box<[u8]>,
    /// One answer.
    reply: Vec<u8>,
    /// Answers to be written, each behind its length.
    gathered: Vec<u8>,
}

thread_local! {
    /// Lent to one connection at a time, for as long as nothing has to be waited for.
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers {
        input: vec![0; READ].into_boxed_slice(),
        reply: Vec::new(),
        gathered: Vec::new(),
    });
}

/// What of a connection has to wait.
#[derive(Default)]
struct Waiting {
    /// The beginning of a message, or whole messages that come after answers not yet taken.
    unread: Vec<u8>,
    /// Answers that the client has not taken yet.
    unsent: Vec<u8>,
    /// Whether the stream itself still holds some of them (TLS does).
    is_unflushed: bool,
}

/// What one go has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Whole messages came at this moment, and at least one got an answer.
    Answered(Instant),
    /// Octets came, but no message that gets an answer was whole.
    Unfinished,
    /// The client sends no more.
    End,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Answers until the client closes, falls silent, reads too slowly, or has to leave.
    ///
    /// Queries are answered in the order they came, all whole ones of a read in one write
    /// (RFC 7766, sections 6.2.1.1 and 8): an answer takes microseconds and waits for nothing, so
    /// that no later one could overtake it. A client that has closed its side still gets the
    /// answers to what it sent before.
    ///
    /// # Errors
    ///
    /// What the stream said, or that the client did not read.
    pub(super) async fn serve(mut self) -> io::Result<()> {
        let mut waiting = Waiting::default();
        // Only a complete message moves it: octet by octet, a client could hold its place for ever
        // (RFC 7766, section 6.2.3).
        let mut deadline = Instant::now() + self.limits.idle;
        let mut alarm = pin!(sleep_until(deadline));
        loop {
            let client = Client {
                address: self.peer,
                is_early: false,
                idle: self.slot.patience(self.limits.idle),
            };
            let turn = tokio::select! {
                biased;
                turn = poll_fn(|context| poll_turn(
                    Pin::new(&mut self.stream), context, &self.responder, &client, &self.slot,
                    &mut waiting,
                )) => turn?,
                () = self.slot.leave() => break,
                // It is not moved with each message: that costs more than to look once in a while.
                () = &mut alarm => {
                    if Instant::now() >= deadline {
                        break;
                    }
                    alarm.as_mut().reset(deadline);
                    continue;
                }
            };
            match turn {
                Turn::Answered(at) => {
                    deadline = at + self.slot.least_patience(self.limits.idle);
                    // It may have become shorter.
                    if deadline < alarm.deadline() {
                        alarm.as_mut().reset(deadline);
                    }
                    self.send(&mut waiting).await?;
                }
                Turn::Unfinished if Instant::now() >= deadline => break,
                Turn::Unfinished => {}
                Turn::End => break,
            }
            // Not before it was looked at: what is here already is answered.
            if self.slot.is_leaving() {
                break;
            }
        }
        // Who has to leave is not waited for.
        let closed = timeout(self.limits.write, self.stream.shutdown());
        tokio::select! {
            biased;
            closed = closed => closed?,
            () = self.slot.leave() => Ok(()),
        }
    }

    /// Writes what was left over; a client that does not read in time is given up, as is one whose
    /// place is needed.
    async fn send(&mut self, waiting: &mut Waiting) -> io::Result<()> {
        if waiting.unsent.is_empty() && !waiting.is_unflushed {
            return Ok(());
        }
        let unsent = mem::take(&mut waiting.unsent);
        waiting.is_unflushed = false;
        let sent = async {
            self.stream.write_all(&unsent).await?;
            self.stream.flush().await
        };
        tokio::select! {
            biased;
            sent = timeout(self.limits.write, sent) => sent?,
            () = self.slot.leave() => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// Reads, answers and writes once, as far as it goes without waiting; waits for something to read.
fn poll_turn<S: AsyncRead + AsyncWrite>(
    mut stream: Pin<&mut S>,
    context: &mut Context<'_>,
    responder: &Responder,
    client: &Client,
    slot: &Slot,
    waiting: &mut Waiting,
) -> Poll<io::Result<Turn>> {
    BUFFERS.with_borrow_mut(|buffers| {
        let Buffers {
            input,
            reply,
            gathered,
        } = buffers;
        let fresh = if first_message(&waiting.unread).is_some() {
            0
        } else {
            let mut read = ReadBuf::new(input);
            ready!(stream.as_mut().poll_read(context, &mut read))?;
            match read.filled().len() {
                0 => return Poll::Ready(Ok(Turn::End)),
                length => length,
            }
        };
        let fresh = &input[..fresh];
        let octets = if waiting.unread.is_empty() {
            fresh
        } else {
            waiting.unread.extend_from_slice(fresh);
            &waiting.unread
        };
        gathered.clear();
        let mut answered = 0;
        while gathered.len() < GATHERED
            && let Some(message) = first_message(&octets[answered..])
        {
            answered += PREFIX + message.len();
            if responder.respond(message, client, reply) {
                append(gathered, reply);
            }
        }
        // Octet by octet, a long message is gathered in one place; all else that is left over gets
        // a place of its own size, or none.
        if answered > 0 || waiting.unread.is_empty() {
            waiting.unread = octets[answered..].to_vec();
        }
        debug_assert!(waiting.unread.len() <= MOST_UNREAD);
        if gathered.is_empty() {
            return Poll::Ready(Ok(Turn::Unfinished));
        }
        // Before the client can know it: who has its answer is not taken for one that never asked.
        let at = Instant::now();
        slot.asked(at.into_std());
        write(stream, context, gathered, waiting)?;
        Poll::Ready(Ok(Turn::Answered(at)))
    })
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

/// Writes `gathered` as far as the client takes it; the rest has to wait.
fn write<S: AsyncWrite>(
    mut stream: Pin<&mut S>,
    context: &mut Context<'_>,
    gathered: &[u8],
    waiting: &mut Waiting,
) -> io::Result<()> {
    let mut rest = gathered;
    while !rest.is_empty() {
        match stream.as_mut().poll_write(context, rest) {
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(written)) => rest = &rest[written..],
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => {
                waiting.unsent = rest.to_vec();
                return Ok(());
            }
        }
    }
    waiting.is_unflushed = match stream.poll_flush(context) {
        Poll::Ready(flushed) => {
            flushed?;
            false
        }
        Poll::Pending => true,
    };
    Ok(())
}
