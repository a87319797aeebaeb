//! Sockets with the options that a name server needs, set before they are bound.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};
use nix::{setsockopt_impl, sockopt_impl};
use socket2::{Domain, Protocol, Socket, Type};

/// The receive buffer of a UDP socket: at 300 000 queries a second of 60 octets (some 800 with the
/// kernel's own), about 35 ms of them, as the kernel doubles what it is asked for.
const RECEIVE_BUFFER: usize = 4 << 20;

/// The send buffer of a UDP socket: some 3600 of the largest answers (2304 octets with the kernel's
/// own), which wait for the network, or in vain for somebody on it whom nobody can find.
const SEND_BUFFER: usize = 4 << 20;

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
    /// The send buffer, whatever net.core.wmem_max says.
    SendBufferForce,
    SetOnly,
    libc::SOL_SOCKET,
    libc::SO_SNDBUFFORCE,
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
    if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
        // Without CAP_NET_ADMIN the kernel caps it at net.core.rmem_max; less is no reason not to
        // serve.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    }
    if setsockopt(&socket, SendBufferForce, &(SEND_BUFFER as libc::c_int)).is_err() {
        let _ = socket.set_send_buffer_size(SEND_BUFFER);
    }
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

/// Says so if a UDP socket has much less room for what arrives in a burst than it should have.
pub(super) fn warn_of_small_buffer(socket: &Socket) {
    // The kernel doubles what it is asked for, to have room for its own.
    let Ok(given) = socket.recv_buffer_size() else {
        return;
    };
    if given < RECEIVE_BUFFER {
        tracing::warn!(
            octets = given,
            wanted = 2 * RECEIVE_BUFFER,
            "the receive buffers of UDP sockets are small, so bursts of queries may be lost: raise net.core.rmem_max to {RECEIVE_BUFFER}, or grant CAP_NET_ADMIN"
        );
    }
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

/// Opens a UDP socket for QUIC on `address` that nobody else may share.
///
/// # Errors
///
/// What the system said.
pub(super) fn quic(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = take(address, Type::DGRAM)?;
    // The kernel caps it at net.core.rmem_max; less is no reason not to serve.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
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

#[cfg(test)]
mod tests {
    use nix::getsockopt_impl;
    use nix::sys::socket::getsockopt;

    use super::*;

    /// Reads an option that is set above.
    macro_rules! read_option {
        ($name:ident, $level:path, $option:path) => {
            sockopt_impl!(
                /// The option, to be read.
                $name,
                GetOnly,
                $level,
                $option,
                libc::c_int
            );
        };
    }

    read_option!(ReadMtu4, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER);
    read_option!(ReadMtu6, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER);

    #[test]
    fn rfc9715_3_1_datagrams_are_never_cut_into_fragments() {
        let socket = udp("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_eq!(
            getsockopt(&socket, ReadMtu4).unwrap(),
            libc::IP_PMTUDISC_OMIT
        );
        let Ok(socket) = udp("[::1]:0".parse().unwrap()) else {
            println!("skipped in part: this machine has no IPv6");
            return;
        };
        assert_eq!(
            getsockopt(&socket, ReadMtu6).unwrap(),
            libc::IPV6_PMTUDISC_OMIT
        );
        assert!(getsockopt(&socket, sockopt::Ipv6DontFrag).unwrap());
    }
}
