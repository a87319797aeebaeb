//! A visit to a mail host: as far as a sender goes, without a message (RFC 5321; RFC 3207).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::route;

/// The longest reply line that is read; 512 octets are allowed (RFC 5321, section 4.5.3.1.5).
const LONGEST_LINE: usize = 2_048;
/// The lines that a reply may have.
const MOST_LINES: usize = 64;
/// The refusals after which a visit ends: Postfix hangs up at 20 errors.
const MOST_REFUSALS: usize = 10;

/// What a mail host is asked.
pub(super) struct Visit<'v> {
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// What it is called, for SNI (RFC 7672, section 8.1).
    pub(super) host: &'v ServerName<'static>,
    /// Whether it must speak TLS.
    pub(super) needs_tls: bool,
    /// Whom a message would be for.
    pub(super) recipients: &'v [String],
}

/// How a mail host received us.
#[derive(Debug)]
pub(super) struct Reception {
    /// The certificates that it showed, its own first; `None` without TLS.
    pub(super) certificates: Option<Vec<CertificateDer<'static>>>,
    /// What it said to each recipient, in their order; the last ones may be missing.
    pub(super) replies: Vec<Reply>,
}

/// A reply of a mail host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// The code.
    pub(super) code: u16,
    /// The text of its last line.
    pub(super) text: String,
}

/// Why a visit ended before anybody was asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum Rebuff {
    /// We have no way to such an address: that says nothing of the host.
    #[error("there is no route to it: {0}")]
    NoRoute(io::Error),
    /// It cannot be connected to, or the connection was cut.
    #[error("it cannot be spoken to: {0}")]
    Cut(io::Error),
    /// It took too long.
    #[error("it took longer than {} s", .0.as_secs())]
    TooLate(Duration),
    /// It refused us.
    #[error("it says to {to}: {} {}", .reply.code, .reply.text)]
    Refused {
        /// What it answered.
        to: &'static str,
        /// What it said.
        reply: Reply,
    },
    /// It does not offer STARTTLS though it must.
    #[error("it does not offer STARTTLS")]
    NoStartTls,
    /// TLS failed.
    #[error("TLS failed: {0}")]
    Tls(io::Error),
    /// What it says is no SMTP.
    #[error("it does not speak SMTP: {0}")]
    Garbled(&'static str),
}

impl Reply {
    /// Returns whether the answer is yes.
    pub(super) fn is_yes(&self) -> bool {
        self.code / 100 == 2
    }

    /// Returns whether a sender would try again.
    pub(super) fn is_later(&self) -> bool {
        self.code / 100 == 4
    }

    /// Returns whether the host only puts off who comes for the first time: that never ends, and a
    /// sender's second attempt passes.
    pub(super) fn is_greylisting(&self) -> bool {
        let text = self.text.to_ascii_lowercase();
        self.is_later() && (text.contains("greylist") || text.contains("graylist"))
    }
}

/// Visits a mail host.
///
/// # Errors
///
/// Says what a sender would have stumbled over.
pub(super) async fn visit(
    visit: &Visit<'_>,
    tls: TlsConnector,
    patience: Duration,
) -> Result<Reception, Rebuff> {
    let visited = timeout(patience, go(visit, tls)).await;
    visited.unwrap_or(Err(Rebuff::TooLate(patience)))
}

/// Connects, starts TLS where it is offered, and asks.
async fn go(visit: &Visit<'_>, tls: TlsConnector) -> Result<Reception, Rebuff> {
    let stream = TcpStream::connect(visit.address)
        .await
        .map_err(connecting)?;
    // An address literal needs no name that resolves back (RFC 5321, section 4.1.3).
    let greeting = match stream.local_addr().map_err(Rebuff::Cut)?.ip() {
        std::net::IpAddr::V4(address) => format!("EHLO [{address}]"),
        std::net::IpAddr::V6(address) => format!("EHLO [IPv6:{address}]"),
    };
    let mut plain = Dialogue::new(stream);
    plain.expect("the connection").await?;
    let offers = plain.say("EHLO", &greeting).await?;
    if !offers
        .iter()
        .any(|line| line.eq_ignore_ascii_case("STARTTLS"))
    {
        if visit.needs_tls {
            return Err(Rebuff::NoStartTls);
        }
        let replies = plain.ask(visit.recipients).await?;
        return Ok(Reception {
            certificates: None,
            replies,
        });
    }
    plain.say("STARTTLS", "STARTTLS").await?;
    let stream = plain.into_stream()?;
    let stream = tls
        .connect(visit.host.clone(), stream)
        .await
        .map_err(Rebuff::Tls)?;
    let certificates = stream.get_ref().1.peer_certificates();
    let certificates = certificates.map(<[CertificateDer<'static>]>::to_vec);
    let mut secret = Dialogue::new(stream);
    secret.say("EHLO", &greeting).await?;
    let replies = secret.ask(visit.recipients).await?;
    Ok(Reception {
        certificates: Some(certificates.unwrap_or_default()),
        replies,
    })
}

/// Tells a host that refuses from one that we cannot reach from here.
fn connecting(error: io::Error) -> Rebuff {
    if route::is_missing(&error) {
        Rebuff::NoRoute(error)
    } else {
        Rebuff::Cut(error)
    }
}

/// Commands and replies over a stream.
struct Dialogue<S> {
    /// The stream, read by lines.
    stream: BufReader<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Dialogue<S> {
    /// Speaks over a stream.
    fn new(stream: S) -> Self {
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Gives the stream back for TLS.
    ///
    /// # Errors
    ///
    /// When something was said ahead of TLS: it may be from somebody in between (RFC 3207, section
    /// 4.2).
    fn into_stream(self) -> Result<S, Rebuff> {
        if self.stream.buffer().is_empty() {
            Ok(self.stream.into_inner())
        } else {
            Err(Rebuff::Garbled("it goes on in plain text after STARTTLS"))
        }
    }

    /// Says a command and returns the lines of the reply, which must be yes.
    async fn say(&mut self, to: &'static str, command: &str) -> Result<Vec<String>, Rebuff> {
        self.send(command).await?;
        self.expect(to).await
    }

    /// Asks whether there is somebody; ends the visit politely.
    async fn ask(&mut self, recipients: &[String]) -> Result<Vec<Reply>, Rebuff> {
        // Nobody sends this: the empty path is for reports, which are taken from everywhere.
        self.say("MAIL", "MAIL FROM:<>").await?;
        let mut replies: Vec<Reply> = Vec::new();
        for recipient in recipients {
            self.send(&format!("RCPT TO:<{recipient}>")).await?;
            let (code, lines) = self.reply().await?;
            let text = lines.into_iter().next_back().unwrap_or_default();
            replies.push(Reply { code, text });
            let refusals = replies.iter().filter(|reply| !reply.is_yes()).count();
            if code == 421 || refusals >= MOST_REFUSALS {
                break;
            }
        }
        // What was asked is known; how it takes our leave is of no interest.
        if self.send("RSET").await.is_ok() && self.reply().await.is_ok() {
            let _ = self.send("QUIT").await;
            let _ = self.reply().await;
        }
        Ok(replies)
    }

    /// Reads a reply that must be yes.
    async fn expect(&mut self, to: &'static str) -> Result<Vec<String>, Rebuff> {
        let (code, lines) = self.reply().await?;
        if code / 100 == 2 {
            return Ok(lines);
        }
        let text = lines.into_iter().next_back().unwrap_or_default();
        let reply = Reply { code, text };
        Err(Rebuff::Refused { to, reply })
    }

    /// Sends a line.
    async fn send(&mut self, line: &str) -> Result<(), Rebuff> {
        let line = format!("{line}\r\n");
        let stream = self.stream.get_mut();
        stream
            .write_all(line.as_bytes())
            .await
            .map_err(Rebuff::Cut)?;
        stream.flush().await.map_err(Rebuff::Cut)
    }

    /// Reads a reply: its code, and the text of each line (RFC 5321, section 4.2.1).
    async fn reply(&mut self) -> Result<(u16, Vec<String>), Rebuff> {
        let mut lines = Vec::new();
        let mut first = None;
        while lines.len() < MOST_LINES {
            let line = self.line().await?;
            let (code, rest) = line
                .split_at_checked(3)
                .ok_or(Rebuff::Garbled("a reply without a code"))?;
            let code: u16 = code
                .parse()
                .ok()
                .filter(|code| (200..600).contains(code))
                .ok_or(Rebuff::Garbled("a reply without a code"))?;
            if *first.get_or_insert(code) != code {
                return Err(Rebuff::Garbled("a reply with two codes"));
            }
            let text = rest.get(1..).unwrap_or_default();
            lines.push(text.trim_end().to_owned());
            match rest.as_bytes().first() {
                Some(b'-') => {}
                Some(b' ') | None => return Ok((code, lines)),
                Some(_) => return Err(Rebuff::Garbled("a reply without a code")),
            }
        }
        Err(Rebuff::Garbled("a reply without an end"))
    }

    /// Reads a line of bounded length, without its end.
    async fn line(&mut self) -> Result<String, Rebuff> {
        let line = read_line(&mut self.stream).await.map_err(Rebuff::Cut)?;
        let line = line.ok_or(Rebuff::Garbled("a line without an end"))?;
        Ok(String::from_utf8_lossy(&line).into_owned())
    }
}

/// Reads up to a line's end; `None` when the line is too long.
async fn read_line(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    loop {
        let buffer = stream.fill_buf().await?;
        if buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let end = buffer.iter().position(|octet| *octet == b'\n');
        let taken = end.map_or(buffer.len(), |end| end + 1);
        line.extend_from_slice(&buffer[..taken]);
        stream.consume(taken);
        if line.len() > LONGEST_LINE {
            return Ok(None);
        }
        if end.is_some() {
            while line.last().is_some_and(u8::is_ascii_whitespace) {
                line.pop();
            }
            return Ok(Some(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads a reply out of octets.
    fn reply(octets: &[u8]) -> Result<(u16, Vec<String>), Rebuff> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let stream = tokio::io::join(octets, tokio::io::sink());
        runtime.block_on(Dialogue::new(stream).reply())
    }

    #[test]
    fn rfc5321_4_2_1_replies_of_several_lines_are_read_whole() {
        let (code, lines) = reply(b"250-mx1 hello\r\n250-STARTTLS\r\n250 SIZE 1\r\nmore").unwrap();

        assert_eq!(code, 250);
        assert_eq!(lines, ["mx1 hello", "STARTTLS", "SIZE 1"]);
        assert_eq!(reply(b"220\r\n").unwrap(), (220, vec![String::new()]));
    }

    #[test]
    fn what_is_no_smtp_is_told() {
        for octets in [
            &b"SSH-2.0-x\r\n"[..],
            b"2\r\n",
            b"150 x\r\n",
            b"250-a\r\n220 b\r\n",
            b"250+a\r\n",
            "2\u{e4}0 x\r\n".as_bytes(),
        ] {
            assert!(
                matches!(reply(octets), Err(Rebuff::Garbled(_))),
                "{octets:?}"
            );
        }
        assert!(matches!(reply(b"220 x"), Err(Rebuff::Cut(_))));
    }

    #[test]
    fn an_endless_banner_or_line_is_left() {
        let banner = b"220-hello\r\n".repeat(MOST_LINES + 1);
        let line = vec![b'2'; 100_000];

        for octets in [banner, line] {
            assert!(matches!(reply(&octets), Err(Rebuff::Garbled(_))));
        }
    }

    #[test]
    fn greylisting_is_told_from_a_deferral() {
        let reply = |code, text: &str| Reply {
            code,
            text: text.to_owned(),
        };

        assert!(reply(450, "4.2.0 Recipient address rejected: Greylisted").is_greylisting());
        assert!(!reply(450, "4.2.1 mailbox is not there yet").is_greylisting());
        assert!(!reply(550, "greylisted").is_greylisting());
    }

    proptest! {
        #[test]
        fn arbitrary_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = reply(&octets);
        }
    }
}
