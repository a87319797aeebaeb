//! The floor: a program that sends every datagram back, as cheaply as the kernel allows.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::ops::ControlFlow;
use std::os::fd::AsRawFd;

use nix::sys::socket::sockopt::RcvBuf;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt};

/// Datagrams in one call.
const BATCH: usize = 64;
/// The largest datagram that comes back whole.
const ROOM: usize = 2048;
/// As large as the server's.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Sends back what comes to `address`, until the process is killed.
///
/// # Errors
///
/// What the system said.
pub(crate) fn echo(address: SocketAddr) -> io::Result<()> {
    let socket = UdpSocket::bind(address)?;
    setsockopt(&socket, RcvBuf, &RECEIVE_BUFFER)?;
    echo_on(&socket, |_| ControlFlow::Continue(true))
}

/// Sends back what comes to `socket` and `wanted` says yes to, until that breaks off.
///
/// # Errors
///
/// What the system said.
pub(crate) fn echo_on(
    socket: &UdpSocket,
    mut wanted: impl FnMut(&[u8]) -> ControlFlow<(), bool>,
) -> io::Result<()> {
    let fd = socket.as_raw_fd();
    let mut receiving = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut sending = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut room = vec![[0; ROOM]; BATCH];
    let mut came: Vec<(usize, usize, Option<SockaddrIn>)> = Vec::with_capacity(BATCH);
    loop {
        came.clear();
        {
            let mut slices: Vec<[IoSliceMut; 1]> = room
                .iter_mut()
                .map(|room| [IoSliceMut::new(room)])
                .collect();
            let flags = MsgFlags::MSG_WAITFORONE;
            let results = recvmmsg(fd, &mut receiving, slices.iter_mut(), flags, None)?;
            for (index, message) in results.enumerate() {
                match wanted(message.iovs().next().unwrap_or_default()) {
                    ControlFlow::Continue(true) => {
                        came.push((index, message.bytes, message.address));
                    }
                    ControlFlow::Continue(false) => {}
                    ControlFlow::Break(()) => return Ok(()),
                }
            }
        }
        let slices: Vec<[IoSlice; 1]> = came
            .iter()
            .map(|(index, length, _)| [IoSlice::new(&room[*index][..*length])])
            .collect();
        let peers: Vec<_> = came.iter().map(|(_, _, peer)| *peer).collect();
        if !slices.is_empty() {
            sendmmsg(fd, &mut sending, &slices, peers, [], MsgFlags::empty())?;
        }
    }
}
