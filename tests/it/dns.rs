//! A DNS client that sends exactly the octets a test wants and reads what comes back.
//!
//! It shares no code with the server, so that one mistake cannot hide in both.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// How long a test waits for an answer that must come.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a test listens for an answer that must not come.
const SILENCE: Duration = Duration::from_millis(300);

pub(crate) const A: u16 = 1;
pub(crate) const NS: u16 = 2;
pub(crate) const CNAME: u16 = 5;
pub(crate) const SOA: u16 = 6;
pub(crate) const MX: u16 = 15;
pub(crate) const TXT: u16 = 16;
pub(crate) const AAAA: u16 = 28;
pub(crate) const DNAME: u16 = 39;
pub(crate) const OPT: u16 = 41;
pub(crate) const DS: u16 = 43;
pub(crate) const RRSIG: u16 = 46;
pub(crate) const NSEC: u16 = 47;
pub(crate) const DNSKEY: u16 = 48;
pub(crate) const TLSA: u16 = 52;
pub(crate) const CDS: u16 = 59;
pub(crate) const ANY: u16 = 255;

/// A query under construction.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) id: u16,
    /// Octets 2 and 3 of the header.
    pub(crate) flags: u16,
    pub(crate) qname: Vec<u8>,
    pub(crate) qtype: u16,
    pub(crate) qclass: u16,
    pub(crate) edns: Option<Edns>,
}

/// The OPT record of a query.
#[derive(Clone, Debug)]
pub(crate) struct Edns {
    pub(crate) size: u16,
    pub(crate) version: u8,
    pub(crate) flags: u16,
    pub(crate) options: Vec<(u16, Vec<u8>)>,
}

/// The DO bit (RFC 3225, section 3).
pub(crate) const DO: u16 = 0x8000;

impl Default for Edns {
    fn default() -> Self {
        Self {
            size: 1232,
            version: 0,
            flags: 0,
            options: Vec::new(),
        }
    }
}

impl Query {
    /// Returns a plain query.
    pub(crate) fn new(qname: &str, qtype: u16) -> Self {
        Self {
            id: 0x4d58,
            flags: 0,
            qname: name(qname),
            qtype,
            qclass: 1,
            edns: None,
        }
    }

    /// Adds an OPT record.
    pub(crate) fn edns(mut self, edns: Edns) -> Self {
        self.edns = Some(edns);
        self
    }

    /// Asks for signatures.
    pub(crate) fn dnssec(self) -> Self {
        self.edns(Edns {
            flags: DO,
            ..Edns::default()
        })
    }

    /// Sets the header's flags.
    pub(crate) fn flags(mut self, flags: u16) -> Self {
        self.flags = flags;
        self
    }

    /// Sets the class.
    pub(crate) fn class(mut self, qclass: u16) -> Self {
        self.qclass = qclass;
        self
    }

    /// Returns the octets to send.
    pub(crate) fn octets(&self) -> Vec<u8> {
        let mut octets = header(
            self.id,
            self.flags,
            [1, 0, 0, u16::from(self.edns.is_some())],
        );
        octets.extend(&self.qname);
        octets.extend(self.qtype.to_be_bytes());
        octets.extend(self.qclass.to_be_bytes());
        if let Some(edns) = &self.edns {
            octets.extend(edns.octets());
        }
        octets
    }
}

impl Edns {
    /// Returns the OPT record.
    pub(crate) fn octets(&self) -> Vec<u8> {
        let mut options = Vec::new();
        for (code, data) in &self.options {
            options.extend(code.to_be_bytes());
            options.extend((data.len() as u16).to_be_bytes());
            options.extend(data);
        }
        let mut octets = vec![0];
        octets.extend(OPT.to_be_bytes());
        octets.extend(self.size.to_be_bytes());
        octets.extend([0, self.version]);
        octets.extend(self.flags.to_be_bytes());
        octets.extend((options.len() as u16).to_be_bytes());
        octets.extend(options);
        octets
    }
}

/// Returns a header with the given counts.
pub(crate) fn header(id: u16, flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let mut octets = Vec::new();
    octets.extend(id.to_be_bytes());
    octets.extend(flags.to_be_bytes());
    for count in counts {
        octets.extend(count.to_be_bytes());
    }
    octets
}

/// Returns a name in wire form; no escapes.
pub(crate) fn name(text: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in text
        .trim_end_matches('.')
        .split('.')
        .filter(|label| !label.is_empty())
    {
        wire.push(label.len() as u8);
        wire.extend(label.as_bytes());
    }
    wire.push(0);
    wire
}

/// One record of a reply; names in its data are uncompressed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    /// The owner as text, in the case it came in.
    pub(crate) owner: String,
    pub(crate) rtype: u16,
    pub(crate) class: u16,
    pub(crate) ttl: u32,
    pub(crate) rdata: Vec<u8>,
}

/// A reply, read strictly.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) octets: Vec<u8>,
    pub(crate) id: u16,
    pub(crate) flags: u16,
    /// The question section as it stands on the wire.
    pub(crate) question: Vec<u8>,
    pub(crate) answer: Vec<Record>,
    pub(crate) authority: Vec<Record>,
    /// Without the OPT record.
    pub(crate) additional: Vec<Record>,
    pub(crate) opt: Option<Record>,
}

impl Reply {
    /// Reads a reply.
    ///
    /// # Errors
    ///
    /// Says what is malformed; octets left over are.
    pub(crate) fn parse(octets: &[u8]) -> Result<Self, String> {
        let word = |at: usize| -> Result<u16, String> {
            let pair = octets.get(at..at + 2).ok_or("cut off")?;
            Ok(u16::from_be_bytes([pair[0], pair[1]]))
        };
        let counts = [word(4)?, word(6)?, word(8)?, word(10)?];
        let mut at = 12;
        for _ in 0..counts[0] {
            let (_, end) = read_name(octets, at)?;
            at = end + 4;
        }
        let question = octets
            .get(12..at)
            .ok_or("cut off in the question")?
            .to_vec();
        let mut sections = [Vec::new(), Vec::new(), Vec::new()];
        for (section, count) in sections.iter_mut().zip(&counts[1..]) {
            for _ in 0..*count {
                let (record, end) = read_record(octets, at)?;
                section.push(record);
                at = end;
            }
        }
        if at != octets.len() {
            return Err(format!(
                "{} octets behind the last record",
                octets.len() - at
            ));
        }
        let [answer, authority, mut additional] = sections;
        let opts: Vec<usize> = additional
            .iter()
            .enumerate()
            .filter(|(_, record): &(usize, &Record)| record.rtype == OPT)
            .map(|(at, _)| at)
            .collect();
        if opts.len() > 1 {
            return Err("two OPT records".to_owned());
        }
        let opt = opts.first().map(|at| additional.remove(*at));
        Ok(Self {
            octets: octets.to_vec(),
            id: word(0)?,
            flags: word(2)?,
            question,
            answer,
            authority,
            additional,
            opt,
        })
    }

    /// Returns the response code, extended by the OPT record's octet.
    pub(crate) fn rcode(&self) -> u16 {
        let high = self.opt.as_ref().map_or(0, |opt| (opt.ttl >> 24) as u16);
        high << 4 | self.flags & 0xf
    }

    pub(crate) fn qr(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    pub(crate) fn opcode(&self) -> u16 {
        self.flags >> 11 & 0xf
    }

    pub(crate) fn aa(&self) -> bool {
        self.flags & 0x0400 != 0
    }

    pub(crate) fn tc(&self) -> bool {
        self.flags & 0x0200 != 0
    }

    pub(crate) fn rd(&self) -> bool {
        self.flags & 0x0100 != 0
    }

    pub(crate) fn ra(&self) -> bool {
        self.flags & 0x0080 != 0
    }

    pub(crate) fn z(&self) -> bool {
        self.flags & 0x0040 != 0
    }

    pub(crate) fn ad(&self) -> bool {
        self.flags & 0x0020 != 0
    }

    pub(crate) fn cd(&self) -> bool {
        self.flags & 0x0010 != 0
    }

    /// Returns the records of a type in the answer section.
    pub(crate) fn answers(&self, rtype: u16) -> Vec<&Record> {
        self.answer
            .iter()
            .filter(|record| record.rtype == rtype)
            .collect()
    }

    /// Returns the records of a type in the authority section.
    pub(crate) fn authorities(&self, rtype: u16) -> Vec<&Record> {
        self.authority
            .iter()
            .filter(|record| record.rtype == rtype)
            .collect()
    }
}

impl Reply {
    /// Returns the options of the OPT record, in their order; none without one.
    pub(crate) fn options(&self) -> Vec<(u16, Vec<u8>)> {
        let mut options = Vec::new();
        let mut rest = self.opt.as_ref().map_or(&[][..], |opt| &opt.rdata);
        while let [a, b, high, low, after @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let (value, after) = after.split_at(length);
            options.push((u16::from_be_bytes([*a, *b]), value.to_vec()));
            rest = after;
        }
        assert!(rest.is_empty(), "the options fill the record");
        options
    }

    /// Returns the value of an option.
    pub(crate) fn option(&self, code: u16) -> Option<Vec<u8>> {
        let mut options = self.options().into_iter();
        options
            .find(|(found, _)| *found == code)
            .map(|(_, value)| value)
    }
}

impl Record {
    /// Returns the type that an RRSIG record covers.
    pub(crate) fn covers(&self) -> u16 {
        u16::from_be_bytes([self.rdata[0], self.rdata[1]])
    }

    /// Returns the labels field of an RRSIG record.
    pub(crate) fn rrsig_labels(&self) -> u8 {
        self.rdata[3]
    }

    /// Returns the original TTL field of an RRSIG record.
    pub(crate) fn rrsig_ttl(&self) -> u32 {
        u32::from_be_bytes([self.rdata[4], self.rdata[5], self.rdata[6], self.rdata[7]])
    }

    /// Returns the name at the start of the data, as text.
    pub(crate) fn target(&self) -> String {
        read_name(&self.rdata, 0).expect("the data is a name").0
    }

    /// Returns the types that the bitmap of an NSEC record lists.
    pub(crate) fn bitmap(&self) -> Vec<u16> {
        let (_, mut at) = read_name(&self.rdata, 0).expect("an NSEC begins with a name");
        let mut types = Vec::new();
        while at < self.rdata.len() {
            let (window, length) = (self.rdata[at], usize::from(self.rdata[at + 1]));
            for (index, octet) in self.rdata[at + 2..at + 2 + length].iter().enumerate() {
                for bit in 0..8 {
                    if octet & (0x80 >> bit) != 0 {
                        types.push(u16::from(window) << 8 | (index * 8 + bit) as u16);
                    }
                }
            }
            at += 2 + length;
        }
        types
    }
}

/// Reads a name, following pointers backwards only.
fn read_name(octets: &[u8], start: usize) -> Result<(String, usize), String> {
    let (wire, end) = read_name_wire(octets, start)?;
    let mut text = String::new();
    let mut rest = &wire[..];
    while let [length, after @ ..] = rest {
        if *length == 0 {
            break;
        }
        let (label, after) = after.split_at(usize::from(*length));
        for octet in label {
            match octet {
                b'.' | b'\\' => text.extend(['\\', char::from(*octet)]),
                0x21..=0x7e => text.push(char::from(*octet)),
                other => text.push_str(&format!("\\{other:03}")),
            }
        }
        text.push('.');
        rest = after;
    }
    if text.is_empty() {
        text.push('.');
    }
    Ok((text, end))
}

/// Reads a name into uncompressed wire form.
fn read_name_wire(octets: &[u8], start: usize) -> Result<(Vec<u8>, usize), String> {
    let mut wire = Vec::new();
    let (mut at, mut end, mut floor) = (start, None, start);
    loop {
        let length = *octets.get(at).ok_or("a name is cut off")?;
        match length {
            0 => {
                wire.push(0);
                if wire.len() > 255 {
                    return Err("a name of more than 255 octets".to_owned());
                }
                return Ok((wire, end.unwrap_or(at + 1)));
            }
            1..=63 => {
                let label = octets
                    .get(at..at + 1 + usize::from(length))
                    .ok_or("a label is cut off")?;
                wire.extend(label);
                at += 1 + usize::from(length);
            }
            192.. => {
                let low = *octets.get(at + 1).ok_or("a pointer is cut off")?;
                let target = usize::from(length & 0x3f) << 8 | usize::from(low);
                if target >= floor {
                    return Err(format!("a pointer from {at} leads forward to {target}"));
                }
                end = end.or(Some(at + 2));
                (at, floor) = (target, target);
            }
            other => return Err(format!("a label of an unknown kind: {other}")),
        }
    }
}

/// Reads a record and uncompresses the names of the types that may have compressed ones.
fn read_record(octets: &[u8], start: usize) -> Result<(Record, usize), String> {
    let (owner, at) = read_name(octets, start)?;
    let head = octets.get(at..at + 10).ok_or("a record is cut off")?;
    let rtype = u16::from_be_bytes([head[0], head[1]]);
    let length = usize::from(u16::from_be_bytes([head[8], head[9]]));
    let (from, to) = (at + 10, at + 10 + length);
    let raw = octets.get(from..to).ok_or("a record's data is cut off")?;
    let fixed = match rtype {
        NS | CNAME | 12 | SOA => 0,
        MX => 2,
        _ => usize::MAX,
    };
    let mut rdata = Vec::new();
    if fixed == usize::MAX {
        rdata.extend(raw);
    } else {
        rdata.extend(&raw[..fixed]);
        let mut at = from + fixed;
        for _ in 0..if rtype == SOA { 2 } else { 1 } {
            let (wire, end) = read_name_wire(octets, at)?;
            rdata.extend(wire);
            at = end;
        }
        rdata.extend(octets.get(at..to).ok_or("a name leaves its record")?);
    }
    let record = Record {
        owner,
        rtype,
        class: u16::from_be_bytes([head[2], head[3]]),
        ttl: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
        rdata,
    };
    Ok((record, to))
}

/// Sends octets by UDP and returns the reply; `None` when there is silence.
pub(crate) fn udp_octets(server: SocketAddr, octets: &[u8], patience: Duration) -> Option<Vec<u8>> {
    let local = if server.is_ipv4() {
        "127.0.0.1:0"
    } else {
        "[::1]:0"
    };
    let socket = UdpSocket::bind(local).expect("a loopback port is free");
    socket.connect(server).expect("loopback can be reached");
    socket
        .set_read_timeout(Some(patience))
        .expect("a timeout can be set");
    socket.send(octets).expect("loopback takes a datagram");
    let mut buffer = vec![0; 65_535];
    let length = socket.recv(&mut buffer).ok()?;
    buffer.truncate(length);
    Some(buffer)
}

/// Sends octets by UDP and reads the reply that must come.
pub(crate) fn udp_raw(server: SocketAddr, octets: &[u8]) -> Reply {
    let reply = udp_octets(server, octets, PATIENCE);
    let reply = reply.unwrap_or_else(|| panic!("no reply to {octets:02x?}"));
    Reply::parse(&reply).unwrap_or_else(|error| panic!("{error} in {reply:02x?}"))
}

/// Asserts that octets get no reply by UDP.
pub(crate) fn assert_silence(server: SocketAddr, octets: &[u8]) {
    let reply = udp_octets(server, octets, SILENCE);
    assert!(
        reply.is_none(),
        "{octets:02x?} was answered with {reply:02x?}"
    );
}

/// Asks by UDP.
pub(crate) fn udp(server: SocketAddr, query: &Query) -> Reply {
    udp_raw(server, &query.octets())
}

/// Sends octets as one message by TCP and reads the reply.
pub(crate) fn tcp_raw(server: SocketAddr, octets: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(server).expect("the server accepts");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a timeout can be set");
    send_framed(&mut stream, octets);
    let reply = receive_framed(&mut stream);
    Reply::parse(&reply).unwrap_or_else(|error| panic!("{error} in {reply:02x?}"))
}

/// Asks by TCP.
pub(crate) fn tcp(server: SocketAddr, query: &Query) -> Reply {
    tcp_raw(server, &query.octets())
}

/// Writes one message with its length in front.
pub(crate) fn send_framed(stream: &mut impl Write, octets: &[u8]) {
    let framed = [&(octets.len() as u16).to_be_bytes(), octets].concat();
    stream.write_all(&framed).expect("the server reads");
}

/// Reads one message with its length in front.
pub(crate) fn receive_framed(stream: &mut impl Read) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).expect("the server answers");
    let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
    stream
        .read_exact(&mut octets)
        .expect("the whole message comes");
    octets
}
