//! One question to one server: a datagram, and a stream when that is not enough.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::wire::{Ask, Response, ResponseError};

use super::route;

/// How often a server is asked by datagram.
const TRIES: usize = 2;
/// The datagrams that are read while one waits for the answer; the others are guesses.
const MOST_GUESSES: usize = 64;
/// The largest datagram that is read; we say that we take 1232 octets.
const DATAGRAM: usize = 4_096;

/// Why a server gave no answer that can be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Silence {
    /// It took too long.
    #[error("no answer in time")]
    TooLate,
    /// The system could not send, or was told that nobody listens.
    #[error("{0}")]
    Unreachable(#[from] io::Error),
    /// What came is no response.
    #[error(transparent)]
    Garbled(#[from] ResponseError),
    /// Of many datagrams none was the response.
    #[error("{MOST_GUESSES} datagrams, none of them the answer")]
    Guesses,
}

impl Silence {
    /// Returns whether it is we who cannot get there.
    pub(super) fn is_ours(&self) -> bool {
        matches!(self, Self::Unreachable(error) if route::is_missing(error))
    }
}

/// Asks a server, by TCP if its answer does not fit into a datagram.
///
/// Each question has a random id and a port of its own, so that nobody else can answer it (RFC
/// 5452, section 9.2).
///
/// # Errors
///
/// When no response came that answers the question. What a response says is not judged.
pub(super) async fn ask(
    server: SocketAddr,
    ask: &Ask,
    patience: Duration,
) -> Result<Response, Silence> {
    let mut silence = Silence::TooLate;
    for _ in 0..TRIES {
        let asked = timeout(patience, by_datagram(server, ask)).await;
        match asked.unwrap_or(Err(Silence::TooLate)) {
            Ok(response) if response.truncated => {
                let asked = timeout(patience, by_stream(server, ask)).await;
                return asked.unwrap_or(Err(Silence::TooLate));
            }
            Ok(response) => return Ok(response),
            Err(error) => silence = error,
        }
    }
    Err(silence)
}

/// Asks by datagram; only what comes from the server itself is read.
async fn by_datagram(server: SocketAddr, ask: &Ask) -> Result<Response, Silence> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    let id = random_id()?;
    socket.send(&ask.compose(id)).await?;
    let mut buffer = vec![0; DATAGRAM];
    for _ in 0..MOST_GUESSES {
        let length = socket.recv(&mut buffer).await?;
        match Response::read(ask, id, &buffer[..length]) {
            Err(ResponseError::NotOurs) => {}
            read => return Ok(read?),
        }
    }
    Err(Silence::Guesses)
}

/// Asks by TCP (RFC 7766, section 8: two octets of length in front).
async fn by_stream(server: SocketAddr, ask: &Ask) -> Result<Response, Silence> {
    let mut stream = TcpStream::connect(server).await?;
    let id = random_id()?;
    let query = ask.compose(id);
    let length = (query.len() as u16).to_be_bytes();
    stream.write_all(&[&length[..], &query].concat()).await?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).await?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).await?;
    let response = Response::read(ask, id, &message)?;
    if response.truncated {
        // A stream has room for everything: such a server does not know what it does.
        return Err(Silence::Garbled(ResponseError::Malformed));
    }
    Ok(response)
}

/// Returns an id that nobody can guess.
fn random_id() -> Result<u16, Silence> {
    let mut id = [0; 2];
    SystemRandom::new()
        .fill(&mut id)
        .map_err(|_| io::Error::other("the system has no random octets"))?;
    Ok(u16::from_be_bytes(id))
}
