//! Datagrams by the batch: many in, many out, one system call each.
//!
//! `recvmmsg` and `sendmmsg` have no safe wrapper that keeps the address asked of every single
//! datagram, which a socket on a wildcard address needs. So they are called here, and nowhere else
//! in this crate is code of ours that the compiler cannot check: these two calls, one that asks what the
//! kernel dropped, and headers that are all zero. What the kernel writes is octets and numbers, and
//! read as such.
#![expect(
    unsafe_code,
    reason = "system calls that are handed pointers; each block says why they are right"
)]

use std::io;
use std::mem::{offset_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::ptr;

use nix::libc::{self, c_int, cmsghdr, in_pktinfo, in6_pktinfo, iovec, mmsghdr, sockaddr_in6};

/// How many datagrams are read, answered and sent together.
///
/// Under load the two calls cost a query next to nothing then; more would only keep the first
/// waiting for the last.
pub(super) const BATCH: usize = 64;

/// The octets of a datagram that are read: no query needs the 1232 that we say we take (RFC 6891,
/// section 6.2.5), and of what is longer the header is enough to refuse it.
const LONGEST_QUERY: usize = 4_096;

/// The octets that an answer has room for at first: what a datagram may have, and one RRset more
/// that turns out not to fit.
const ROOM: usize = 2_048;

/// Up to [`BATCH`] datagrams that came in, and the answers to them.
///
/// All memory is had when it is created; only an answer that grows beyond [`ROOM`] takes more, and
/// keeps it.
pub(super) struct Batch {
    /// What came in, the last time up to `count`.
    arrivals: Vec<Arrival>,
    /// The answer to each; empty where there is none.
    answers: Vec<Vec<u8>>,
    /// How many came in the last time.
    count: usize,
}

/// A query and the room for its answer.
pub(super) struct Exchange<'b> {
    /// Which of [`Batch::queries`] it is.
    pub(super) index: usize,
    /// Who asks.
    pub(super) peer: SocketAddr,
    /// What came.
    pub(super) query: Datagram<'b>,
    /// What goes back, if it is not left empty.
    pub(super) answer: &'b mut Vec<u8>,
}

/// The octets of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Datagram<'b> {
    /// All of them.
    Whole(&'b [u8]),
    /// The first ones of more than a query can have.
    Cut(&'b [u8]),
}

/// A datagram that came in. What a reader needs first stands first.
#[repr(C)]
struct Arrival {
    /// The octets of its sender's address.
    peer_length: usize,
    /// The octets of its control message.
    control_length: usize,
    /// How many of its octets were read.
    length: usize,
    /// Whether it has more.
    is_cut: bool,
    /// Its sender's address, as the kernel writes it.
    peer: [u8; size_of::<sockaddr_in6>()],
    /// The address that it was sent to, where the socket's own does not say it.
    control: Control,
    /// Its octets.
    octets: [u8; LONGEST_QUERY],
}

/// A control message, as `cmsg(3)` lays it out: a `cmsghdr`, then a `in_pktinfo` or `in6_pktinfo`.
#[repr(C, align(8))]
struct Control([u8; DATA + size_of::<in6_pktinfo>().next_multiple_of(align_of::<usize>())]);

/// Where in a control message the data begin (`CMSG_DATA`).
const DATA: usize = size_of::<cmsghdr>().next_multiple_of(align_of::<usize>());

impl Batch {
    /// Returns an empty batch with all the memory that it will need.
    pub(super) fn new() -> Self {
        Self {
            arrivals: (0..BATCH).map(|_| Arrival::new()).collect(),
            answers: (0..BATCH).map(|_| Vec::with_capacity(ROOM)).collect(),
            count: 0,
        }
    }

    /// Waits for a datagram, then takes what else is there already, up to [`BATCH`].
    ///
    /// Returns how many came: none when the socket was shut for reading.
    ///
    /// # Errors
    ///
    /// What the system said; `WouldBlock` when the socket's read timeout has passed.
    pub(super) fn receive(&mut self, socket: impl AsFd) -> io::Result<usize> {
        self.count = 0;
        let mut slices = [NO_OCTETS; BATCH];
        let mut headers = [no_message(); BATCH];
        let places = headers.iter_mut().zip(&mut slices);
        for (arrival, (header, slice)) in self.arrivals.iter_mut().zip(places) {
            slice.iov_base = arrival.octets.as_mut_ptr().cast();
            slice.iov_len = arrival.octets.len();
            let message = &mut header.msg_hdr;
            message.msg_iov = slice;
            message.msg_iovlen = 1;
            message.msg_name = arrival.peer.as_mut_ptr().cast();
            message.msg_namelen = arrival.peer.len() as libc::socklen_t;
            message.msg_control = ptr::from_mut(&mut arrival.control).cast();
            message.msg_controllen = size_of::<Control>() as _;
        }
        let wait_for_one = libc::MSG_WAITFORONE;
        // SAFETY: there are `BATCH` headers. The pointers in each lead to an arrival's own octets,
        // address and control message, with their true lengths, and to its slice; all of that is
        // borrowed or owned here until the call returns, no two of them overlap, and octets and
        // numbers may have any value that the kernel writes. No timeout is passed. The descriptor
        // is borrowed, so it is open.
        let count = unsafe {
            libc::recvmmsg(
                raw(&socket),
                headers.as_mut_ptr(),
                BATCH as u32,
                wait_for_one as _,
                ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for (arrival, header) in self.arrivals.iter_mut().zip(&headers[..count]) {
            arrival.take(header);
        }
        // A datagram always has a sender; only a socket shut for reading returns without one.
        let came = self.arrivals[..count].iter();
        self.count = came.take_while(|arrival| arrival.peer_length > 0).count();
        Ok(self.count)
    }

    /// Returns the queries that came, as far as they were read.
    pub(super) fn queries(&self) -> impl Iterator<Item = &[u8]> {
        let arrivals = self.arrivals[..self.count].iter();
        arrivals.map(|arrival| &arrival.octets[..arrival.length])
    }

    /// Returns the queries that came, each with the room for its answer, which is empty.
    pub(super) fn exchanges(&mut self) -> impl Iterator<Item = Exchange<'_>> {
        let arrivals = self.arrivals[..self.count].iter();
        let exchanges = arrivals.zip(&mut self.answers);
        exchanges
            .enumerate()
            .filter_map(|(index, (arrival, answer))| {
                answer.clear();
                Some(Exchange {
                    index,
                    peer: arrival.peer()?,
                    query: arrival.datagram(),
                    answer,
                })
            })
    }

    /// Sends the answers that are not empty, each from the address that was asked, and returns how
    /// many could not be sent; the others are.
    ///
    /// Never waits: when the system takes no more, the network is too slow for what is asked of us,
    /// and old answers are worth less than new ones.
    pub(super) fn send(&mut self, socket: impl AsFd) -> usize {
        let mut slices = [NO_OCTETS; BATCH];
        let mut headers = [no_message(); BATCH];
        let answered = self.arrivals[..self.count]
            .iter_mut()
            .zip(&mut self.answers);
        let answered = answered.filter(|(_, answer)| !answer.is_empty());
        let mut count = 0;
        for ((arrival, answer), (header, slice)) in
            answered.zip(headers.iter_mut().zip(&mut slices))
        {
            slice.iov_base = answer.as_mut_ptr().cast();
            slice.iov_len = answer.len();
            let message = &mut header.msg_hdr;
            message.msg_iov = slice;
            message.msg_iovlen = 1;
            message.msg_name = arrival.peer.as_mut_ptr().cast();
            message.msg_namelen = arrival.peer_length as libc::socklen_t;
            if arrival.control_length > 0 {
                message.msg_control = ptr::from_mut(&mut arrival.control).cast();
                message.msg_controllen = arrival.control_length as _;
            }
            count += 1;
        }
        let mut failed = 0;
        let mut unsent = &mut headers[..count];
        while !unsent.is_empty() {
            // SAFETY: `unsent` are so many headers. The pointers in each lead to an answer, to the
            // address and control message of its arrival, with lengths that these have, and to its
            // slice; all of that is borrowed or owned here until the call returns. The kernel reads
            // them and writes the headers' lengths. The descriptor is borrowed, so it is open.
            let sent = unsafe {
                libc::sendmmsg(
                    raw(&socket),
                    unsent.as_mut_ptr(),
                    unsent.len() as u32,
                    libc::MSG_DONTWAIT as _,
                )
            };
            // It stops at the first that fails, and says why when that is the first of all.
            let done = match usize::try_from(sent) {
                Ok(sent @ 1..) => sent,
                _ => {
                    let error = io::Error::last_os_error();
                    if error.kind() == io::ErrorKind::Interrupted {
                        continue;
                    }
                    tracing::trace!(%error, "an answer could not be sent");
                    // The client's network or address, mostly: its loss, not the others'. But with
                    // no room left each of the others would cost a call to hear the same.
                    let done = if is_lack(&error) { unsent.len() } else { 1 };
                    failed += done;
                    done
                }
            };
            unsent = unsent.split_at_mut(done).1;
        }
        failed
    }
}

impl Arrival {
    /// Returns room for a datagram.
    fn new() -> Self {
        Self {
            peer_length: 0,
            control_length: 0,
            length: 0,
            is_cut: false,
            peer: [0; size_of::<sockaddr_in6>()],
            control: Control([0; size_of::<Control>()]),
            octets: [0; LONGEST_QUERY],
        }
    }

    /// Notes what the kernel says about the datagram that it wrote here.
    fn take(&mut self, header: &mmsghdr) {
        let message = &header.msg_hdr;
        self.length = (header.msg_len as usize).min(self.octets.len());
        self.is_cut = message.msg_flags & libc::MSG_TRUNC != 0;
        self.peer_length = (message.msg_namelen as usize).min(self.peer.len());
        // Not `usize` on every system.
        let control_length: usize = message.msg_controllen as _;
        let control_length = control_length.min(size_of::<Control>());
        let is_whole = message.msg_flags & libc::MSG_CTRUNC == 0;
        let is_address = control_length > DATA && is_whole && self.control.keep_address();
        self.control_length = if is_address { control_length } else { 0 };
    }

    /// Returns its octets.
    fn datagram(&self) -> Datagram<'_> {
        let octets = &self.octets[..self.length];
        if self.is_cut {
            Datagram::Cut(octets)
        } else {
            Datagram::Whole(octets)
        }
    }

    /// Returns its sender's address: `sockaddr_in` or `sockaddr_in6`, read octet by octet.
    fn peer(&self) -> Option<SocketAddr> {
        let octets = &self.peer[..self.peer_length];
        let family = c_int::from(u16::from_ne_bytes(*octets.first_chunk()?));
        let port = u16::from_be_bytes(*octets.get(2..)?.first_chunk()?);
        match family {
            libc::AF_INET => {
                let address = octets.get(4..)?.first_chunk::<4>()?;
                Some(SocketAddr::from((Ipv4Addr::from(*address), port)))
            }
            libc::AF_INET6 => {
                let flow = u32::from_be_bytes(*octets.get(4..)?.first_chunk()?);
                let address = octets.get(8..)?.first_chunk::<16>()?;
                let scope = u32::from_ne_bytes(*octets.get(24..)?.first_chunk()?);
                let address = SocketAddrV6::new(Ipv6Addr::from(*address), port, flow, scope);
                Some(SocketAddr::V6(address))
            }
            _ => None,
        }
    }
}

impl Control {
    /// Makes what the kernel said about a query say it about the answer: keeps the local address
    /// alone, as the route decides on the interface, as for any datagram.
    ///
    /// The interface stays where the address means nothing without it (RFC 4291, section 2.5.6).
    /// Returns whether this is an address.
    fn keep_address(&mut self) -> bool {
        const INDEX: usize = offset_of!(in_pktinfo, ipi_ifindex);
        const INDEX6: usize = offset_of!(in6_pktinfo, ipi6_ifindex);
        let level = self.number(offset_of!(cmsghdr, cmsg_level));
        let kind = self.number(offset_of!(cmsghdr, cmsg_type));
        let data = &mut self.0[DATA..];
        let (index, address) = match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => (INDEX, None),
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => (INDEX6, data.first_chunk::<16>()),
            _ => return false,
        };
        let is_link_local = |octets: &[u8; 16]| Ipv6Addr::from(*octets).is_unicast_link_local();
        if !address.is_some_and(is_link_local) {
            data[index..index + size_of::<c_int>()].fill(0);
        }
        true
    }

    /// Returns the number at a place in the header.
    fn number(&self, at: usize) -> c_int {
        let octets = self.0[at..].first_chunk();
        c_int::from_ne_bytes(*octets.unwrap_or(&[0; 4]))
    }
}

/// Returns how many datagrams the kernel dropped at a socket since it was opened, modulo 2³²: mostly
/// because its buffer was full. `None` where it does not say.
pub(super) fn overflows(socket: impl AsFd) -> Option<u32> {
    /// Where they stand among the numbers of `SO_MEMINFO` (`SK_MEMINFO_DROPS`).
    const DROPS: usize = 8;
    let mut numbers = [0_u32; DROPS + 1];
    let mut length = size_of_val(&numbers) as libc::socklen_t;
    // SAFETY: the pointers lead to `numbers`, with its true length, and to that length; both are
    // owned here until the call returns, and numbers may have any value. The descriptor is
    // borrowed, so it is open.
    let result = unsafe {
        libc::getsockopt(
            raw(&socket),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            numbers.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    let is_there = result == 0 && length as usize == size_of_val(&numbers);
    is_there.then_some(numbers[DROPS])
}

/// Returns whether an error of sending says that the system takes no more, whoever it is for.
fn is_lack(error: &io::Error) -> bool {
    let lacks = [libc::EAGAIN, libc::ENOBUFS, libc::ENOMEM];
    error
        .raw_os_error()
        .is_some_and(|code| lacks.contains(&code))
}

/// A slice of no octets.
const NO_OCTETS: iovec = iovec {
    iov_base: ptr::null_mut(),
    iov_len: 0,
};

/// Returns the header of no message.
fn no_message() -> mmsghdr {
    // SAFETY: it consists of numbers, for which zero is a value, and of raw pointers, for which
    // null is one. (Not written out field by field: some systems have fields of padding.)
    unsafe { zeroed() }
}

/// Returns the number of a descriptor.
fn raw(socket: &impl AsFd) -> RawFd {
    socket.as_fd().as_raw_fd()
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::*;
    use crate::server::socket;

    /// Longer than anything here may take.
    const LONG: Duration = Duration::from_secs(20);

    /// Returns a socket of a worker on a free port of `address`, and the port.
    fn worker(address: &str) -> (socket2::Socket, u16) {
        let address = SocketAddr::new(address.parse().unwrap(), 0);
        let socket = socket::udp(address).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        (socket, address.port())
    }

    /// Returns a client that hears only what comes from `server` itself.
    fn client(server: (&str, u16)) -> UdpSocket {
        let server = SocketAddr::new(server.0.parse().unwrap(), server.1);
        let any = if server.is_ipv4() {
            "0.0.0.0:0"
        } else {
            "[::]:0"
        };
        let client = UdpSocket::bind(any).unwrap();
        client.connect(server).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client
    }

    /// Answers each query with itself.
    fn echo(batch: &mut Batch) {
        for exchange in batch.exchanges() {
            let (Datagram::Whole(octets) | Datagram::Cut(octets)) = exchange.query;
            exchange.answer.extend_from_slice(octets);
        }
    }

    /// Returns what a client hears.
    fn heard(client: &UdpSocket) -> Vec<u8> {
        let mut octets = vec![0; 65_535];
        let length = client.recv(&mut octets).unwrap();
        octets.truncate(length);
        octets
    }

    #[test]
    fn more_than_a_batch_takes_several() {
        let (socket, port) = worker("127.0.0.1");
        let client = client(("127.0.0.1", port));
        for number in 0..150_u8 {
            client.send(&[number]).unwrap();
        }

        let mut batch = Batch::new();
        let mut counts = Vec::new();
        for _ in 0..3 {
            counts.push(batch.receive(&socket).unwrap());
            echo(&mut batch);
            assert_eq!(batch.send(&socket), 0);
        }

        assert_eq!(counts, [64, 64, 22]);
        for number in 0..150_u8 {
            assert_eq!(heard(&client), [number]);
        }
    }

    #[test]
    fn rfc2181_4_1_each_answer_of_a_batch_comes_from_the_address_asked() {
        for (any, asked) in [
            ("0.0.0.0", &["127.0.0.1", "127.0.0.53", "127.1.2.3"][..]),
            ("::", &["::1"]),
        ] {
            if any == "::" && UdpSocket::bind("[::1]:0").is_err() {
                println!("skipped: this machine has no IPv6");
                continue;
            }
            let (socket, port) = worker(any);
            let clients: Vec<_> = asked.iter().map(|asked| client((asked, port))).collect();
            for client in &clients {
                client.send(b"from where").unwrap();
            }

            let mut batch = Batch::new();
            let count = batch.receive(&socket).unwrap();
            let peers: Vec<_> = batch.exchanges().map(|exchange| exchange.peer).collect();
            echo(&mut batch);
            let failed = batch.send(&socket);

            assert_eq!((count, failed), (asked.len(), 0));
            for (client, peer) in clients.iter().zip(peers) {
                assert_eq!(client.local_addr().unwrap(), peer);
                assert_eq!(heard(client), b"from where");
            }
        }
    }

    #[test]
    fn an_answer_that_cannot_be_sent_takes_no_other_with_it() {
        let (socket, port) = worker("127.0.0.1");
        let client = client(("127.0.0.1", port));
        for number in 0..5_u8 {
            client.send(&[number]).unwrap();
        }
        let mut batch = Batch::new();
        batch.receive(&socket).unwrap();
        // The network of the whole is nobody's address, and forbidden to sockets like ours.
        for unreachable in [0, 2, 3] {
            batch.arrivals[unreachable].peer[4..8].fill(255);
        }
        echo(&mut batch);

        let failed = batch.send(&socket);

        assert_eq!(failed, 3);
        assert_eq!([heard(&client), heard(&client)], [[1], [4]]);
    }

    #[test]
    fn only_a_lack_of_room_ends_a_batch() {
        for lack in [libc::EAGAIN, libc::ENOBUFS, libc::ENOMEM] {
            assert!(is_lack(&io::Error::from_raw_os_error(lack)));
        }
        for theirs in [
            libc::EACCES,
            libc::EHOSTUNREACH,
            libc::EINVAL,
            libc::ENETUNREACH,
        ] {
            assert!(!is_lack(&io::Error::from_raw_os_error(theirs)));
        }
    }

    #[test]
    fn an_empty_answer_is_not_sent() {
        let (socket, port) = worker("127.0.0.1");
        let client = client(("127.0.0.1", port));
        for number in 0..3_u8 {
            client.send(&[number]).unwrap();
        }
        let mut batch = Batch::new();
        batch.receive(&socket).unwrap();
        echo(&mut batch);
        batch.answers[1].clear();

        assert_eq!(batch.send(&socket), 0);

        assert_eq!([heard(&client), heard(&client)], [[0], [2]]);
    }

    #[test]
    fn a_datagram_longer_than_any_query_is_cut_and_said_to_be() {
        let (socket, port) = worker("127.0.0.1");
        let client = client(("127.0.0.1", port));
        for length in [LONGEST_QUERY, LONGEST_QUERY + 1, 0, 60_000] {
            client.send(&vec![7; length]).unwrap();
        }

        let mut batch = Batch::new();
        batch.receive(&socket).unwrap();

        let longest = [7; LONGEST_QUERY];
        let queries: Vec<_> = batch.exchanges().map(|exchange| exchange.query).collect();
        let (whole, cut) = (Datagram::Whole(&longest), Datagram::Cut(&longest));
        assert_eq!(queries, [whole, cut, Datagram::Whole(&[]), cut]);
    }

    #[test]
    fn a_socket_shut_for_reading_brings_nothing() {
        let (socket, _) = worker("127.0.0.1");
        let _ = socket.shutdown(std::net::Shutdown::Read);

        assert_eq!(Batch::new().receive(&socket).unwrap(), 0);
    }

    #[test]
    fn what_the_kernel_had_no_room_for_is_counted() {
        let (socket, port) = worker("127.0.0.1");
        assert_eq!(overflows(&socket), Some(0));
        socket.set_recv_buffer_size(1).unwrap();
        let client = client(("127.0.0.1", port));
        for _ in 0..100 {
            client.send(&[0; 1000]).unwrap();
        }

        let mut batch = Batch::new();
        let kept = batch.receive(&socket).unwrap();

        assert_eq!(overflows(&socket), Some(100 - kept as u32));
        assert!(kept < 100);
    }
}
