//! Name servers that say what a test wants, well or badly.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

use super::local;
use crate::wire::{Name, Rcode, Rdata, Rtype, Section, Serial, SoaNumbers, Ttl};

/// What a server says to a question.
#[derive(Clone, Debug, Default)]
pub(super) struct Say {
    /// The code.
    rcode: u16,
    /// The flags, beside QR.
    flags: u16,
    /// The records.
    records: Vec<(Section, Name, Rtype, u32, Rdata)>,
    /// What is wrong with it.
    manner: Manner,
}

/// How a server says something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Manner {
    /// As it should.
    #[default]
    Well,
    /// Not at all.
    Silent,
    /// By TCP only.
    Truncated,
    /// With another id in front of the right answer.
    AfterAGuess,
    /// With another id alone.
    WrongId,
    /// Cut off.
    CutOff,
    /// Truncated by TCP too.
    TruncatedTwice,
}

/// What a server does with a question: the name, the type, and the flags of the query.
pub(super) type Script = Box<dyn Fn(&Name, Rtype, u16) -> Say + Send + Sync>;

/// Name servers at addresses of loopback, all at one port.
pub(super) struct NameServers {
    /// Their port.
    pub(super) port: u16,
    /// What they were asked, by the last number of the address.
    asked: Arc<Mutex<Vec<(u8, Name, Rtype)>>>,
    /// Their tasks; they end with this.
    _tasks: JoinSet<()>,
}

impl Say {
    /// Says nothing but a code.
    pub(super) fn code(rcode: Rcode) -> Self {
        Self {
            rcode: rcode.code(),
            ..Self::default()
        }
    }

    /// Says it as its own data.
    pub(super) fn own() -> Self {
        Self {
            flags: 0x0400,
            ..Self::default()
        }
    }

    /// Says nothing at all.
    pub(super) fn nothing() -> Self {
        Self::default().manner(Manner::Silent)
    }

    /// Adds a record.
    pub(super) fn with(
        mut self,
        section: Section,
        owner: &Name,
        rtype: Rtype,
        ttl: u32,
        data: Rdata,
    ) -> Self {
        let record = (section, owner.clone(), rtype, ttl, data);
        self.records.push(record);
        self
    }

    /// Adds a SOA.
    pub(super) fn soa(self, section: Section, owner: &Name, ttl: u32, numbers: [u32; 3]) -> Self {
        let [serial, refresh, minimum] = numbers;
        let numbers = SoaNumbers {
            serial: Serial::new(serial),
            refresh,
            retry: 1,
            expire: 1,
            minimum: Ttl::from_secs(minimum),
        };
        let data = Rdata::soa(owner, owner, numbers);
        self.with(section, owner, Rtype::SOA, ttl, data)
    }

    /// Says it in another manner.
    pub(super) fn manner(mut self, manner: Manner) -> Self {
        self.manner = manner;
        self
    }

    /// Says that there is no such name.
    pub(super) fn no_such_name(mut self) -> Self {
        self.rcode = Rcode::NXDOMAIN.code();
        self
    }

    /// Composes the message that answers a query.
    fn compose(&self, query: &[u8], manner: Manner) -> Vec<u8> {
        let (_, rest) = Name::split_from(&query[12..]).unwrap();
        let question = &query[12..query.len() - rest.len() + 4];
        let truncated = matches!(manner, Manner::Truncated | Manner::TruncatedTwice);
        let flags = 0x8000 | self.flags | self.rcode | if truncated { 0x0200 } else { 0 };
        let id = u16::from_be_bytes([query[0], query[1]]);
        let id = if manner == Manner::WrongId { !id } else { id };
        let mut octets = Vec::new();
        let count = |section: Section| {
            let records = self.records.iter();
            records.filter(|(it, ..)| *it == section).count() as u16
        };
        let counts = [Section::Answer, Section::Authority, Section::Additional].map(count);
        let counts = if truncated { [0; 3] } else { counts };
        for word in [id, flags, 1, counts[0], counts[1], counts[2]] {
            octets.extend_from_slice(&word.to_be_bytes());
        }
        octets.extend_from_slice(question);
        if truncated {
            return octets;
        }
        for section in [Section::Answer, Section::Authority, Section::Additional] {
            for (_, owner, rtype, ttl, data) in
                self.records.iter().filter(|(it, ..)| *it == section)
            {
                octets.extend_from_slice(owner.as_wire());
                octets.extend_from_slice(&rtype.code().to_be_bytes());
                octets.extend_from_slice(&[0, 1]);
                octets.extend_from_slice(&ttl.to_be_bytes());
                let data = data.as_wire();
                octets.extend_from_slice(&(data.len() as u16).to_be_bytes());
                octets.extend_from_slice(data);
            }
        }
        if manner == Manner::CutOff {
            octets.pop();
        }
        octets
    }
}

impl NameServers {
    /// Starts a server for each script, at `127.0.0.` and its number.
    pub(super) async fn start(scripts: Vec<(u8, Script)>) -> Self {
        let asked = Arc::default();
        let (port, sockets) = loop {
            if let Some(found) = bind(&scripts).await {
                break found;
            }
        };
        let mut tasks = JoinSet::new();
        for ((udp, tcp), (last, script)) in sockets.into_iter().zip(scripts) {
            let script = Arc::new(script);
            tasks.spawn(answer_datagrams(
                udp,
                script.clone(),
                last,
                Arc::clone(&asked),
            ));
            tasks.spawn(answer_streams(tcp, script));
        }
        Self {
            port,
            asked,
            _tasks: tasks,
        }
    }

    /// Returns where a server listens.
    pub(super) fn at(&self, last: u8) -> SocketAddr {
        SocketAddr::new(local(last), self.port)
    }

    /// Returns how often a server was asked by datagram.
    pub(super) fn times(&self, last: u8) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(it, ..)| *it == last).count()
    }

    /// Returns which servers were asked for a name and type.
    pub(super) fn asked_for(&self, qname: &Name, qtype: Rtype) -> Vec<u8> {
        let asked = self.asked.lock().unwrap();
        let asked = asked
            .iter()
            .filter(|(_, it, rtype)| it == qname && *rtype == qtype);
        asked.map(|(last, ..)| *last).collect()
    }
}

/// Opens sockets at one free port for all; `None` when another program has one of them.
async fn bind(scripts: &[(u8, Script)]) -> Option<(u16, Vec<(UdpSocket, TcpListener)>)> {
    let mut port = 0;
    let mut sockets = Vec::new();
    for (last, _) in scripts {
        let udp = UdpSocket::bind((local(*last), port)).await.ok()?;
        port = udp.local_addr().unwrap().port();
        let tcp = TcpListener::bind((local(*last), port)).await.ok()?;
        sockets.push((udp, tcp));
    }
    Some((port, sockets))
}

/// Returns what a script says to a query.
fn said(script: &Script, query: &[u8]) -> (Name, Rtype, Say) {
    let (qname, rest) = Name::split_from(&query[12..]).unwrap();
    let qtype = Rtype::new(u16::from_be_bytes([rest[0], rest[1]]));
    let flags = u16::from_be_bytes([query[2], query[3]]);
    let say = script(&qname, qtype, flags);
    (qname, qtype, say)
}

/// Answers datagrams for ever.
async fn answer_datagrams(
    socket: UdpSocket,
    script: Arc<Script>,
    last: u8,
    asked: Arc<Mutex<Vec<(u8, Name, Rtype)>>>,
) {
    let mut buffer = [0; 4096];
    loop {
        let (length, peer) = socket.recv_from(&mut buffer).await.unwrap();
        let query = &buffer[..length];
        let (qname, qtype, say) = said(&script, query);
        asked.lock().unwrap().push((last, qname, qtype));
        let mut manners = vec![say.manner];
        match say.manner {
            Manner::Silent => manners.clear(),
            Manner::AfterAGuess => manners = vec![Manner::WrongId, Manner::Well],
            _ => {}
        }
        for manner in manners {
            let message = say.compose(query, manner);
            socket.send_to(&message, peer).await.unwrap();
        }
    }
}

/// Answers streams for ever, one after the other.
async fn answer_streams(listener: TcpListener, script: Arc<Script>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let length = stream.read_u16().await.unwrap();
        let mut query = vec![0; usize::from(length)];
        stream.read_exact(&mut query).await.unwrap();
        let (_, _, say) = said(&script, &query);
        let manner = match say.manner {
            Manner::Truncated => Manner::Well,
            other => other,
        };
        let message = say.compose(&query, manner);
        let length = (message.len() as u16).to_be_bytes();
        let _ = stream.write_all(&[&length[..], &message].concat()).await;
    }
}
