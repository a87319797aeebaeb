//! Response rate limiting: what keeps a flood of queries with forged addresses from becoming a
//! flood of answers to those who never asked.
//!
//! Answers over UDP are counted by who gets them (a /24 of IPv4, a /56 of IPv6), what kind they are
//! and what they are about: the same data, any data that a zone's wildcards or DNAME records make,
//! any name that a zone does not have, any error. Each such stream has `rate` answers a second, and a second's worth at
//! once. Of those beyond it every `slip`-th is answered by as little as was asked, so that a real
//! client comes back over TCP or with a cookie; the others are dropped.
//!
//! Who has answered a handshake or brought a cookie is not forged, and not limited. All workers
//! share one table: the kernel spreads a prefix's queries over all of them by source port, which
//! whoever forges addresses chooses freely, so that a table a worker would allow `rate` times as
//! many as there are workers. A stream within its rate costs one cache line and one
//! compare-and-swap; a stream beyond it only reads, so that a flood does not make workers wait for
//! each other.
//!
//! Start reading at [`RateLimiter::decide`].

mod network;
mod offenders;
mod table;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use siphasher::sip::SipHasher13;
use tokio::sync::watch;
use tokio::time::interval;

use crate::zone::{Answered, ResponseClass};

use network::ClientPrefix;
pub use network::{Network, NetworkError};
use offenders::Offenders;
use table::Table;

/// How answers are limited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RrlConfig {
    /// Answers of one kind about one thing to one prefix, a second.
    pub rate: u32,
    /// Every how manieth of those beyond is answered briefly; 0: none.
    pub slip: u32,
    /// Whether all are answered, and only counted.
    pub dry_run: bool,
    /// Clients that are never limited.
    pub allow: Vec<Network>,
}

/// Limits the answers of one worker; all of a server share what they know.
#[derive(Debug)]
pub struct RateLimiter {
    /// What all workers share.
    shared: Arc<Shared>,
    /// Who was limited by this worker.
    offenders: Arc<Offenders>,
    /// Draws which of those beyond the rate slip.
    random: AtomicU64,
}

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is sent.
    Send,
    /// It is answered briefly.
    Slip,
    /// It is an error, which is as brief as can be, and sent.
    Leak,
    /// Nothing is sent.
    Drop,
}

/// Who was limited, and how often, since it was last told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    /// The prefixes with most, and about how many answers each did not get.
    pub(super) prefixes: Vec<(Network, u64)>,
    /// How many prefixes more there are at least.
    pub(super) others: usize,
}

/// What all workers share.
#[derive(Debug)]
struct Shared {
    /// How answers are limited.
    config: RrlConfig,
    /// When each stream may have its next answer.
    table: Table,
    /// Makes keys that nobody can choose.
    seed: [u8; 16],
    /// Who was limited, by worker.
    offenders: Mutex<Vec<Arc<Offenders>>>,
}

/// How often it is told who was limited.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// The most prefixes that are told at a time.
const MOST_TOLD: usize = 10;

/// The longest that a question can be: a name, type and class.
const LONGEST_SUBJECT: usize = 255 + 4;

impl RateLimiter {
    /// Makes the limiter of a first worker; `None` when the system gives no random octets.
    pub fn new(config: RrlConfig) -> Option<Self> {
        let mut seed = [0; 16];
        SystemRandom::new().fill(&mut seed).ok()?;
        let shared = Shared {
            table: Table::new(config.rate),
            config,
            seed,
            offenders: Mutex::default(),
        };
        Some(Self::over(Arc::new(shared)))
    }

    /// Returns the limiter of another worker.
    pub(super) fn another(&self) -> Self {
        Self::over(Arc::clone(&self.shared))
    }

    /// Makes a limiter of one worker.
    fn over(shared: Arc<Shared>) -> Self {
        let offenders = Arc::new(Offenders::default());
        shared.offenders().push(Arc::clone(&offenders));
        let address = Arc::as_ptr(&offenders) as u64;
        let random = SipHasher13::new_with_key(&shared.seed).hash(&address.to_ne_bytes());
        Self {
            shared,
            offenders,
            // It must not be zero (Marsaglia's xorshift).
            random: AtomicU64::new(random | 1),
        }
    }

    /// Decides about the answer to `query`, which came in a datagram from `client`; `now` is on the
    /// monotonic clock.
    pub fn decide(
        &self,
        client: IpAddr,
        query: &[u8],
        answered: &Answered,
        now: Duration,
    ) -> Decision {
        // It has had an answer of ours where it says it is (RFC 7873, section 5.2.5).
        if answered.cookie.is_some_and(|cookie| cookie.is_valid()) {
            return Decision::Send;
        }
        let prefix = ClientPrefix::of(client);
        let key = self.shared.key(prefix, answered, query);
        if self.shared.table.take(key, now) {
            return Decision::Send;
        }
        let config = &self.shared.config;
        if config.allow.iter().any(|network| network.contains(client)) {
            return Decision::Send;
        }
        self.offenders.note(prefix);
        match (self.slips(), answered.class) {
            (false, _) => Decision::Drop,
            (true, ResponseClass::Error) => Decision::Leak,
            (
                true,
                ResponseClass::Positive
                | ResponseClass::NoData
                | ResponseClass::NxDomain
                | ResponseClass::Wildcard
                | ResponseClass::Referral,
            ) => Decision::Slip,
        }
    }

    /// Returns who was limited since the last call, by all workers.
    pub(super) fn report(&self) -> Report {
        let blocks = self.shared.offenders().clone();
        let mut counts: Vec<(ClientPrefix, u64)> = Vec::new();
        for (prefix, count) in blocks.iter().flat_map(|block| block.take()) {
            match counts.iter_mut().find(|(found, _)| *found == prefix) {
                Some((_, sum)) => *sum += count,
                None => counts.push((prefix, count)),
            }
        }
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let told = counts.iter().take(MOST_TOLD);
        Report {
            prefixes: told
                .map(|(prefix, count)| (prefix.network(), *count))
                .collect(),
            others: counts.len().saturating_sub(MOST_TOLD),
        }
    }

    /// Returns whether what is decided is only counted, and every answer sent.
    pub fn is_dry_run(&self) -> bool {
        self.shared.config.dry_run
    }

    /// Draws whether an answer beyond the rate is one that slips.
    ///
    /// By chance, not by turns: two floods that come by turns would get all and nothing.
    fn slips(&self) -> bool {
        match self.shared.config.slip {
            0 => false,
            slip => self.draw().is_multiple_of(u64::from(slip)),
        }
    }

    /// Draws a number; no other worker draws here.
    fn draw(&self) -> u64 {
        let mut state = self.random.load(Ordering::Relaxed);
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.random.store(state, Ordering::Relaxed);
        // The upper bits are the better ones.
        state >> 16
    }
}

impl Shared {
    /// Returns the key of a stream of answers.
    fn key(&self, prefix: ClientPrefix, answered: &Answered, query: &[u8]) -> u64 {
        const HEAD: usize = 9;
        let mut octets = [0; HEAD + LONGEST_SUBJECT];
        octets[..8].copy_from_slice(&prefix.to_bits().to_ne_bytes());
        octets[8] = answered.class as u8;
        let subject = answered.subject.of(query);
        let subject = &subject[..subject.len().min(LONGEST_SUBJECT)];
        let end = HEAD + subject.len();
        // Who forges queries chooses the case of a name's letters freely, too.
        for (to, from) in octets[HEAD..end].iter_mut().zip(subject) {
            *to = from.to_ascii_lowercase();
        }
        SipHasher13::new_with_key(&self.seed).hash(&octets[..end])
    }

    /// Returns the workers' blocks; a panic while they were held left them whole.
    fn offenders(&self) -> MutexGuard<'_, Vec<Arc<Offenders>>> {
        self.offenders
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Default for RrlConfig {
    /// NSD's rate, and the slip of BIND and NSD.
    fn default() -> Self {
        Self {
            rate: 200,
            slip: 2,
            dry_run: false,
            allow: Vec::new(),
        }
    }
}

/// Tells the operator who was limited, once a minute for as long as anybody is, until `stop` turns
/// true.
pub(super) async fn tell(limiter: Arc<RateLimiter>, mut stop: watch::Receiver<bool>) {
    let mut minutes = interval(TOLD_EVERY);
    // The first comes at once.
    minutes.tick().await;
    loop {
        tokio::select! {
            _ = minutes.tick() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let Report { prefixes, others } = limiter.report();
        let dry_run = limiter.is_dry_run();
        for (prefix, answers) in prefixes {
            tracing::warn!(%prefix, answers, dry_run, "answers beyond the rate");
        }
        if others > 0 {
            tracing::warn!(others, dry_run, "more prefixes had answers beyond the rate");
        }
    }
}

#[cfg(test)]
mod tests;
