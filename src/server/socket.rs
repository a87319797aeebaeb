//! Sockets with the options that a name server needs, set before they are bound.

use std::io;
use std::net::{SocketAddr, TcpListener};

use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};
use nix::{setsockopt_impl, sockopt_impl};
use socket2::{Domain, Protocol, Socket, Type};

/// The receive buffer of a UDP socket: at 300 000 queries a second of 60 octets (some 800 with the
/// kernel's own), about 20 ms of them.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Connections that the kernel keeps for us until we accept them.
const BACKLOG: i32 = 1_024;

/// How many octets of answers the kernel holds for a connection before it takes no more.
const UNSENT: u32 = 128 << 10;

// The kernel's IP_MTU_DISCOVER and IPV6_MTU_DISCOVER, which `nix` does not list.
sockopt_impl!(
    /// How IPv4 datagrams are fragmented, and what path MTU is believed.
    Ipv4MtuDiscover,
    SetOnly,
    libc::IPPROTO_IP,
    libc::IP_MTU_DISCOVER,
    libc::c_int
);
sockopt_impl!(
    /// How IPv6 datagrams are fragmented, and what path MTU is believed.
    Ipv6MtuDiscover,
    SetOnly,
    libc::IPPROTO_IPV6,
    libc::IPV6_MTU_DISCOVER,
    libc::c_int
);

/// Opens a UDP socket that shares `address` with the other workers' ones.
///
/// A socket on a wildcard address is told which address each datagram was sent to.
///
/// # Errors
///
/// What the system said.
pub(super) fn udp(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    socket.set_reuse_port(true)?;
    // The kernel caps it at net.core.rmem_max; less is no reason not to serve.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    // Answers fit into the smallest MTU there may be, so a path MTU that somebody tells us can
    // only be a trick: believe none, never cut an answer into fragments (RFC 9715, section 3.1).
    match address {
        SocketAddr::V4(_) => {
            setsockopt(&socket, Ipv4MtuDiscover, &libc::IP_PMTUDISC_OMIT)?;
            setsockopt(
                &socket,
                sockopt::Ipv4PacketInfo,
                &address.ip().is_unspecified(),
            )?;
        }
        SocketAddr::V6(_) => {
            socket.set_only_v6(true)?;
            setsockopt(&socket, Ipv6MtuDiscover, &libc::IPV6_PMTUDISC_OMIT)?;
            setsockopt(&socket, sockopt::Ipv6DontFrag, &true)?;
            let wildcard = address.ip().is_unspecified();
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &wildcard)?;
        }
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Opens a TCP listener on `address` that nobody else may share; its connections have its options.
///
/// # Errors
///
/// What the system said.
pub(super) fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // So that a restart need not wait for old connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Answers leave when they are written; there is nothing to wait for.
    socket.set_tcp_nodelay(true)?;
    // Else the kernel would hold megabytes for a client that asks and does not read.
    socket.set_tcp_notsent_lowat(UNSENT)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Binds a socket to `address` that shares it with nobody and never listens.
///
/// # Errors
///
/// What the system said.
pub(super) fn take(address: SocketAddr, kind: Type) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    if kind == Type::STREAM {
        // As for a listener: old connections' TIME_WAIT is no obstacle, a listener is.
        socket.set_reuse_address(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}
