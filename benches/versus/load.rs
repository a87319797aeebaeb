//! The load generator: one thread, a few connected sockets, batches in both directions.
//!
//! To measure a server it must cost less than the server does. So it sends and receives up to 64
//! datagrams a call, and when there is too little to do for a call it waits without one: nobody has to
//! wake it up, which would be counted as the server's work, and how long it waited says how busy it
//! was. Only where the server is to have the generator's core, too, does it sleep.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};
use rustix::time::{ClockId, clock_gettime};

use super::histogram::Histogram;
use super::mix::Queries;

/// Datagrams in one call.
const BATCH: usize = 64;
/// Queries that must be due before they are sent while the server has others to answer.
const WORTH_A_CALL: usize = 16;
/// How long the generator waits when there is too little to do for a call.
const PAUSE: Duration = Duration::from_micros(5);
/// Octets kept of an answer; what is looked at is its header.
const ROOM: usize = 2048;

/// How queries follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// As fast as answers come: a query for every answer.
    Saturate,
    /// So many a second, whatever the answers do. Latencies count from when a query was due.
    Rate(f64),
}

/// How the generator waits while there is too little to do for a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Waiting {
    /// It keeps its core, which is its own.
    Awake,
    /// It gives its core to the server, so long, and must get it back at once: see
    /// [`usage::come_first`].
    ///
    /// [`usage::come_first`]: super::usage::come_first
    Asleep(Duration),
}

/// What is done to a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Where it answers.
    pub(crate) server: SocketAddr,
    /// How many sockets ask.
    pub(crate) sockets: usize,
    /// How many queries of one socket may be unanswered, at most 256.
    pub(crate) window: usize,
    /// How queries follow each other.
    pub(crate) pace: Pace,
    /// How it waits.
    pub(crate) waiting: Waiting,
    /// How long queries are sent.
    pub(crate) span: Duration,
    /// How many queries are sent at most.
    pub(crate) limit: u64,
    /// When a query counts as lost.
    pub(crate) patience: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Queries sent.
    pub(crate) sent: u64,
    /// Queries answered.
    pub(crate) answered: u64,
    /// Queries without an answer.
    pub(crate) lost: u64,
    /// Datagrams that were no answer to anything that was waited for.
    pub(crate) strays: u64,
    /// From the first query to the last answer that was waited for.
    pub(crate) elapsed: Duration,
    /// Processor time of the generator, waiting included.
    used: Duration,
    /// How much of that it waited.
    idle: Duration,
    /// How long answers took.
    pub(crate) latencies: Histogram,
    /// Answers by response code.
    pub(crate) rcodes: [u64; 16],
}

impl Outcome {
    /// Returns answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.answered as f64 / self.elapsed.as_secs_f64()
    }

    /// Returns which part of the time the generator worked; what other programs had of its core is
    /// not its work.
    pub(crate) fn busy(&self) -> f64 {
        self.used.saturating_sub(self.idle).as_secs_f64() / self.elapsed.as_secs_f64()
    }
}

/// A query on its way.
#[derive(Clone, Copy)]
struct Flight {
    /// Tells it from earlier ones in its place.
    generation: u8,
    /// When it was sent; absent when it has been answered.
    sent: Option<Instant>,
    /// When it was due.
    due: Instant,
}

/// One socket and what it waits for.
struct Asker {
    socket: UdpSocket,
    /// The low octet of an id is a place here, the high one its generation.
    flights: Vec<Flight>,
    /// Places without a query.
    free: Vec<u8>,
    /// Whether the kernel did not take all of the last batch.
    held_back: bool,
}

/// Opens a socket of one's own that a server is asked over, and that hears of nobody else.
pub(crate) fn connected(server: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(("127.0.0.1", 0))?;
    socket.connect(server)?;
    Ok(socket)
}

impl Asker {
    fn new(server: SocketAddr, window: usize) -> io::Result<Self> {
        assert!((1..=256).contains(&window), "a place is one octet");
        let socket = connected(server)?;
        socket.set_nonblocking(true)?;
        let flight = Flight {
            generation: 0,
            sent: None,
            due: Instant::now(),
        };
        Ok(Self {
            socket,
            flights: vec![flight; window],
            free: (0..window).map(|place| place as u8).rev().collect(),
            held_back: false,
        })
    }

    /// Returns how many queries wait for an answer.
    fn waiting(&self) -> usize {
        self.flights.len() - self.free.len()
    }

    /// Gives up what has been waited for too long, and returns how many queries that were.
    fn give_up(&mut self, now: Instant, patience: Duration) -> u64 {
        let mut lost = 0;
        for (place, flight) in self.flights.iter_mut().enumerate() {
            let sent = flight.sent;
            if sent.is_some_and(|sent| now.saturating_duration_since(sent) > patience) {
                flight.sent = None;
                self.free.push(place as u8);
                lost += 1;
            }
        }
        lost
    }
}

/// Returns the processor time that the calling thread has used.
fn used() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The generator at work.
struct Work<'q> {
    load: Load,
    queries: &'q mut Queries,
    stop: &'q AtomicBool,
    askers: Vec<Asker>,
    sending: MultiHeaders<SockaddrIn>,
    receiving: MultiHeaders<SockaddrIn>,
    room: Vec<[u8; ROOM]>,
    begin: Instant,
    outcome: Outcome,
}

impl Load {
    /// Asks `queries` until time or limit is over, and waits for the answers to what was asked last.
    ///
    /// # Errors
    ///
    /// When no socket can be had, or the server's port is closed.
    pub(crate) fn run(self, queries: &mut Queries) -> io::Result<Outcome> {
        self.run_until(queries, &AtomicBool::new(false))
    }

    /// The same until `stop` says so, if that is earlier.
    ///
    /// # Errors
    ///
    /// When no socket can be had, or the server's port is closed.
    pub(crate) fn run_until(self, queries: &mut Queries, stop: &AtomicBool) -> io::Result<Outcome> {
        assert!(queries.len() >= BATCH, "a batch has no query twice");
        let askers = (0..self.sockets).map(|_| Asker::new(self.server, self.window));
        let mut work = Work {
            load: self,
            askers: askers.collect::<io::Result<_>>()?,
            queries,
            stop,
            sending: MultiHeaders::preallocate(BATCH, None),
            receiving: MultiHeaders::preallocate(BATCH, None),
            room: vec![[0; ROOM]; BATCH],
            begin: Instant::now(),
            outcome: Outcome::default(),
        };
        let before = used();
        work.run()?;
        work.outcome.used = used() - before;
        Ok(work.outcome)
    }
}

impl Work<'_> {
    fn run(&mut self) -> io::Result<()> {
        let mut looked = self.begin;
        loop {
            let mut done = 0;
            for index in 0..self.askers.len() {
                done += self.receive(index)?;
                done += self.send(index)?;
            }
            let now = Instant::now();
            if now - looked > self.load.patience / 8 {
                looked = now;
                for asker in &mut self.askers {
                    self.outcome.lost += asker.give_up(now, self.load.patience);
                }
            }
            let waiting: usize = self.askers.iter().map(Asker::waiting).sum();
            if waiting == 0 && self.is_over(now) {
                self.outcome.elapsed = now - self.begin;
                return Ok(());
            }
            if done < WORTH_A_CALL {
                self.wait(now);
            }
        }
    }

    /// Waits for something to do.
    fn wait(&mut self, now: Instant) {
        match self.load.waiting {
            Waiting::Awake => {
                while now.elapsed() < PAUSE {
                    std::hint::spin_loop();
                }
                // A pause that took much longer was not spent here.
                self.outcome.idle += now.elapsed().min(2 * PAUSE);
            }
            // It uses no processor time.
            Waiting::Asleep(pause) => thread::sleep(pause),
        }
    }

    /// Returns whether nothing more is to be sent.
    fn is_over(&self, now: Instant) -> bool {
        self.outcome.sent >= self.load.limit
            || now - self.begin >= self.load.span
            || self.stop.load(Ordering::Relaxed)
    }

    /// Takes what one socket has received; returns how much that was.
    fn receive(&mut self, index: usize) -> io::Result<usize> {
        let asker = &mut self.askers[index];
        if asker.waiting() == 0 {
            return Ok(0);
        }
        let mut slices: Vec<[IoSliceMut; 1]> = self
            .room
            .iter_mut()
            .map(|room| [IoSliceMut::new(room)])
            .collect();
        let flags = MsgFlags::MSG_DONTWAIT;
        let fd = asker.socket.as_raw_fd();
        let results = match recvmmsg(fd, &mut self.receiving, slices.iter_mut(), flags, None) {
            Ok(results) => results,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        let now = Instant::now();
        let mut received = 0;
        for message in results {
            received += 1;
            let header = message.iovs().next().and_then(<[u8]>::first_chunk::<4>);
            let waited = header.and_then(|header| {
                let [generation, place, _, flags] = *header;
                let flight = asker.flights.get_mut(usize::from(place))?;
                if flight.sent.is_none() || flight.generation != generation {
                    return None;
                }
                flight.sent = None;
                asker.free.push(place);
                self.outcome.rcodes[usize::from(flags & 0xf)] += 1;
                Some(now.saturating_duration_since(flight.due))
            });
            match waited {
                Some(latency) => {
                    self.outcome.answered += 1;
                    self.outcome.latencies.record(latency);
                }
                None => self.outcome.strays += 1,
            }
        }
        Ok(received)
    }

    /// Sends what is due and has a place; returns how much that was.
    fn send(&mut self, index: usize) -> io::Result<usize> {
        let now = Instant::now();
        if self.is_over(now) {
            return Ok(0);
        }
        let asker = &mut self.askers[index];
        let left = (self.load.limit - self.outcome.sent).min(BATCH as u64) as usize;
        let count = asker.free.len().min(left);
        let count = match self.load.pace {
            Pace::Rate(rate) => {
                let due = (now - self.begin).as_secs_f64() * rate;
                count.min((due as u64).saturating_sub(self.outcome.sent) as usize)
            }
            Pace::Saturate if count < WORTH_A_CALL && count < left.min(self.load.window) => 0,
            Pace::Saturate => count,
        };
        // That a port is closed is told to the datagram after the one that found out, and inside of
        // a batch nobody hears it; of a single one the next call to receive does.
        let count = if asker.held_back { count.min(1) } else { count };
        if count == 0 {
            return Ok(0);
        }
        let places = asker.free.split_off(asker.free.len() - count);
        let ranges: Vec<_> = places
            .iter()
            .map(|place| {
                let flight = &mut asker.flights[usize::from(*place)];
                flight.generation = flight.generation.wrapping_add(1);
                let id = u16::from_be_bytes([flight.generation, *place]);
                self.queries.prepare(id)
            })
            .collect();
        let octets = self.queries.octets();
        let slices: Vec<[IoSlice; 1]> = ranges
            .into_iter()
            .map(|range| [IoSlice::new(&octets[range])])
            .collect();
        let connected = [None::<SockaddrIn>; BATCH];
        let sent = sendmmsg(
            asker.socket.as_raw_fd(),
            &mut self.sending,
            &slices,
            connected,
            [],
            MsgFlags::MSG_DONTWAIT,
        );
        let sent = match sent {
            Ok(results) => results.count(),
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS) => 0,
            Err(error) => return Err(error.into()),
        };
        asker.held_back = sent < count;
        for (number, place) in places.into_iter().enumerate() {
            if number >= sent {
                asker.free.push(place);
                continue;
            }
            self.outcome.sent += 1;
            let flight = &mut asker.flights[usize::from(place)];
            flight.sent = Some(now);
            flight.due = match self.load.pace {
                Pace::Saturate => now,
                Pace::Rate(rate) => {
                    self.begin + Duration::from_secs_f64(self.outcome.sent as f64 / rate)
                }
            };
        }
        Ok(sent)
    }
}
