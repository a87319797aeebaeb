//! Datagrams in and out, each answer from the address that was asked.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;

use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg,
};
use socket2::Socket;

/// A UDP socket that answers from the address asked (RFC 2181, section 4.1).
pub(super) struct DatagramSocket {
    /// The bound socket.
    socket: Socket,
    /// Room for the one control message that says where a datagram was sent to.
    control: Vec<u8>,
}

/// Where a datagram came from and where it went to.
pub(super) struct Route {
    /// Who gets the answer.
    peer: SockaddrStorage,
    /// The address that was asked, where the socket's own does not say it.
    asked: Option<Asked>,
}

/// An address of ours, as the kernel wants to hear it.
enum Asked {
    /// An IPv4 address.
    Ipv4(in_pktinfo),
    /// An IPv6 address.
    Ipv6(in6_pktinfo),
}

impl DatagramSocket {
    /// Takes a socket bound to its address.
    pub(super) fn new(socket: Socket) -> Self {
        Self {
            socket,
            control: nix::cmsg_space!(in6_pktinfo),
        }
    }

    /// Returns a second handle of the socket, to end its reading.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub(super) fn handle(&self) -> io::Result<Socket> {
        self.socket.try_clone()
    }

    /// Waits for a datagram and returns its length in `buffer`; `None` when reading has ended.
    ///
    /// # Errors
    ///
    /// What the system said; `WouldBlock` when the socket's read timeout has passed.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<(usize, Route)>> {
        let mut slices = [IoSliceMut::new(buffer)];
        let message = recvmsg::<SockaddrStorage>(
            self.socket.as_raw_fd(),
            &mut slices,
            Some(&mut self.control),
            MsgFlags::empty(),
        )?;
        let asked = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => Some(Asked::ipv4(info)),
            ControlMessageOwned::Ipv6PacketInfo(info) => Some(Asked::ipv6(info)),
            _ => None,
        });
        let length = message.bytes;
        // A datagram always has a sender; only a socket shut for reading returns without one.
        Ok(message.address.map(|peer| (length, Route { peer, asked })))
    }

    /// Sends `reply` back along `route`.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub(super) fn send(&self, reply: &[u8], route: &Route) -> io::Result<()> {
        let slices = [IoSlice::new(reply)];
        let fd = self.socket.as_raw_fd();
        let peer = Some(&route.peer);
        let flags = MsgFlags::empty();
        match &route.asked {
            None => sendmsg(fd, &slices, &[], flags, peer)?,
            Some(Asked::Ipv4(info)) => {
                let control = [ControlMessage::Ipv4PacketInfo(info)];
                sendmsg(fd, &slices, &control, flags, peer)?
            }
            Some(Asked::Ipv6(info)) => {
                let control = [ControlMessage::Ipv6PacketInfo(info)];
                sendmsg(fd, &slices, &control, flags, peer)?
            }
        };
        Ok(())
    }
}

impl Route {
    /// Returns the address that the datagram came from.
    pub(super) fn address(&self) -> IpAddr {
        let ipv4 = self.peer.as_sockaddr_in().map(|peer| peer.ip().into());
        let ipv6 = self.peer.as_sockaddr_in6().map(|peer| peer.ip().into());
        // Datagrams of the internet come from one of both.
        ipv4.or(ipv6).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }
}

impl Asked {
    /// Keeps the local address alone: the route decides on the interface, as for any datagram.
    fn ipv4(info: in_pktinfo) -> Self {
        Self::Ipv4(in_pktinfo {
            ipi_ifindex: 0,
            ..info
        })
    }

    /// Keeps the local address alone, and the interface where the address means nothing without
    /// (RFC 4291, section 2.5.6).
    fn ipv6(info: in6_pktinfo) -> Self {
        let link_local = Ipv6Addr::from(info.ipi6_addr.s6_addr).is_unicast_link_local();
        Self::Ipv6(in6_pktinfo {
            ipi6_ifindex: if link_local { info.ipi6_ifindex } else { 0 },
            ..info
        })
    }
}
