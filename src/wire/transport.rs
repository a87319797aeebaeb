//! What carries messages.

/// What carried a query, as far as it decides what the reply may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A datagram in the clear: its sender may be forged.
    Udp,
    /// TCP in the clear.
    Tcp,
    /// TLS over TCP (RFC 7858).
    Dot,
    /// QUIC (RFC 9250).
    Doq,
    /// HTTPS (RFC 8484).
    Doh,
}

impl Transport {
    /// All transports, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Udp, Self::Tcp, Self::Dot, Self::Doq, Self::Doh];

    /// Returns whether a reply may be as long as a length of two octets can say (RFC 1035, section
    /// 4.2.2), and the requestor is where it says: it has answered a handshake.
    pub const fn is_stream(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp | Self::Dot | Self::Doq | Self::Doh => true,
        }
    }

    /// Returns whether who listens in between cannot read it.
    pub const fn is_encrypted(self) -> bool {
        match self {
            Self::Udp | Self::Tcp => false,
            Self::Dot | Self::Doq | Self::Doh => true,
        }
    }

    /// Returns whether DNS itself manages the connection, and so says how long it may be idle (RFC
    /// 7828, section 3); QUIC and HTTP have ways of their own.
    pub const fn has_connections(self) -> bool {
        match self {
            Self::Tcp | Self::Dot => true,
            Self::Udp | Self::Doq | Self::Doh => false,
        }
    }
}
