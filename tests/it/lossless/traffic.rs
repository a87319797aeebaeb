//! Mail without pause: a message every tenth of a second, each with an id of its own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::addresses;

/// Ten a second.
const PACE: Duration = Duration::from_millis(100);

/// What is to become of a message, as of the moment it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    /// It is delivered, after retries if need be.
    Arrives,
    /// It is deferred at first, and delivered after the next step of its domain.
    Waits,
    /// The null MX or the mail host refuses it for good on the first attempt.
    Bounces,
    /// The name is on its way out of the DNS: it fails for good, for one reason or the other.
    Fails,
    /// Its domain changes in this very moment: it is delivered or refused, but not forgotten.
    Settles,
}

/// A message that the sender's queue has taken.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) recipient: String,
    pub(super) domain: String,
    pub(super) wanted: Wanted,
    pub(super) sent: Instant,
}

/// What the flow and its owner share.
#[derive(Default)]
struct Shared {
    wanted: BTreeMap<String, Wanted>,
    sent: Vec<Message>,
    stopped: bool,
}

impl Shared {
    /// Notes a message that the sender's Postfix answers for from now on.
    fn took(&mut self, recipient: &str, wanted: Wanted) {
        let (_, domain) = recipient.split_once('@').expect("it is an address");
        self.sent.push(Message {
            recipient: recipient.to_owned(),
            domain: domain.to_owned(),
            wanted,
            sent: Instant::now(),
        });
    }
}

/// The flow.
pub(super) struct Traffic {
    shared: Arc<Mutex<Shared>>,
    thread: Option<JoinHandle<()>>,
}

impl Traffic {
    /// Starts it; nothing flows before a domain is named.
    pub(super) fn start() -> Self {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let inner = Arc::clone(&shared);
        let thread = std::thread::spawn(move || flow(&inner));
        Self {
            shared,
            thread: Some(thread),
        }
    }

    /// Says what is to become of messages to a domain that are sent from now on.
    pub(super) fn expect(&self, domain: &str, wanted: Wanted) {
        let mut shared = self.shared.lock().expect("the flow does not panic");
        shared.wanted.insert(domain.to_owned(), wanted);
    }

    /// Changes what is to become of a domain's messages that were sent in the last moments.
    pub(super) fn soften(&self, domain: &str, last: Duration) {
        let mut shared = self.shared.lock().expect("the flow does not panic");
        let sent = shared.sent.iter_mut().rev();
        for message in sent.take_while(|message| message.sent.elapsed() < last) {
            if message.domain == domain {
                message.wanted = Wanted::Settles;
            }
        }
    }

    /// Sends one message beside the flow.
    pub(super) fn send(&self, recipient: &str, wanted: Wanted) {
        let mut sender = Sender::connect().expect("the sender takes mail");
        sender.send(recipient).expect("the sender takes mail");
        self.shared
            .lock()
            .expect("the flow does not panic")
            .took(recipient, wanted);
    }

    /// Returns what was sent so far.
    pub(super) fn sent(&self) -> Vec<Message> {
        let shared = self.shared.lock().expect("the flow does not panic");
        shared.sent.clone()
    }

    /// Stops and returns all that was sent.
    pub(super) fn stop(&mut self) -> Vec<Message> {
        self.shared.lock().expect("the flow does not panic").stopped = true;
        let thread = self.thread.take().expect("it is stopped once");
        thread.join().expect("the flow does not panic");
        self.sent()
    }
}

/// Sends to one domain after the other until told to stop.
fn flow(shared: &Mutex<Shared>) {
    let start = Instant::now();
    let mut turns = 0;
    let mut sender: Option<Sender> = None;
    loop {
        let next = {
            let shared = shared.lock().expect("its owner does not panic in between");
            if shared.stopped {
                return;
            }
            let domains: Vec<_> = shared.wanted.iter().collect();
            (!domains.is_empty()).then(|| {
                let (domain, wanted) = domains[turns as usize % domains.len()];
                (domain.clone(), *wanted)
            })
        };
        turns += 1;
        if let Some((domain, wanted)) = next {
            let recipient = format!("m{turns}@{domain}");
            let mut connection = sender.take().or_else(|| Sender::connect().ok());
            let taken = connection
                .as_mut()
                .is_some_and(|sender| sender.send(&recipient).is_ok());
            if taken {
                sender = connection;
                let mut shared = shared.lock().expect("its owner does not panic in between");
                shared.took(&recipient, wanted);
            }
        }
        let due = start + PACE * turns;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

/// A connection to the sender's Postfix, as a mail program has it.
struct Sender {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Sender {
    /// Connects and greets.
    fn connect() -> std::io::Result<Self> {
        let stream = TcpStream::connect(addresses::smtp(addresses::SENDER))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let reader = BufReader::new(stream.try_clone()?);
        let mut sender = Self { stream, reader };
        sender.expect("220")?;
        sender.say("EHLO program.invalid", "250")?;
        Ok(sender)
    }

    /// Hands a message over; when this is well, Postfix has taken responsibility.
    fn send(&mut self, recipient: &str) -> std::io::Result<()> {
        self.say("MAIL FROM:<probe@sender.invalid>", "250")?;
        self.say(&format!("RCPT TO:<{recipient}>"), "250")?;
        self.say("DATA", "354")?;
        self.say(
            &format!("From: <probe@sender.invalid>\r\nTo: <{recipient}>\r\n\r\nHello.\r\n."),
            "250",
        )
    }

    /// Says a line and waits for an answer of a kind.
    fn say(&mut self, line: &str, code: &str) -> std::io::Result<()> {
        self.stream.write_all(format!("{line}\r\n").as_bytes())?;
        self.expect(code)
    }

    /// Waits for the last line of an answer.
    fn expect(&mut self, code: &str) -> std::io::Result<()> {
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                let good = line.starts_with(code);
                return good
                    .then_some(())
                    .ok_or_else(|| std::io::Error::other(line));
            }
        }
    }
}
