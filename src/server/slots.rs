//! How many connections there are, in total and from each source, and which of them gives way.
//!
//! With all places taken, a newcomer is not turned away: whoever holds the places would keep
//! everybody else out by doing nothing. The connection that has been silent for longest gives way
//! to it. Connections that have asked something are kept apart from those that have not, so that a
//! flood of empty ones cannot push out resolvers at work, nor resolvers at work leave no room for
//! a newcomer's first query to arrive.
//!
//! A source that has all that it may have gets a newcomer in for one of its own connections, but
//! only for one that has been silent for a while: it is no reason to refuse its next one, and who
//! opens connections without end cannot push out those that others behind the same address work
//! with.

mod source;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::metrics::OpenConnections;

use super::config::TcpLimits;

use source::{Network, Source};

/// One place in so many is kept for connections that have not asked anything yet.
const FRESH_SHARE: usize = 4;

/// One network, of many sources, gets one place in so many.
const NETWORK_SHARE: usize = 3;

/// The part of the time that a connection may be silent which is left when there is no place left, be
/// it for all or for its source.
const LEAST_PATIENCE: u32 = 10;

/// Gives connections their place.
#[derive(Clone)]
pub(super) struct Slots {
    /// What all clones share.
    shared: Arc<Shared>,
}

/// What the places of one kind of connection share.
struct Shared {
    /// Who holds places; the lock keeps queues and counts consistent.
    taken: Mutex<Taken>,
    /// How many places are taken, for who only wants to know how it stands.
    count: AtomicUsize,
    /// When all began: what the places' moments are counted from.
    epoch: Instant,
    /// Connections in total.
    total: usize,
    /// Connections from one source.
    per_source: usize,
    /// Connections from one network.
    per_network: usize,
    /// How long a connection may be silent until it gives way to another one of its source, in
    /// milliseconds.
    rest: u64,
    /// Shows how many places are taken, if somebody wants to see it.
    gauge: Option<OpenConnections>,
}

/// Who holds places.
#[derive(Default)]
struct Taken {
    /// All places.
    all: Places,
    /// What each source holds; one that holds nothing is not there, so that the map is as small as
    /// the total.
    by_source: HashMap<Source, Places>,
    /// How many each network holds.
    by_network: HashMap<Network, usize>,
    /// The number of the next place.
    next: u64,
}

/// Places, be it all or those of one source.
///
/// Their order is that of [`Seat::rank`], which may lag behind: a query does not take the lock. Who
/// comes first and has asked since is put in where it belongs before anybody gives way.
#[derive(Default)]
struct Places {
    /// Those that have not asked anything yet, longest silent first.
    fresh: Queue,
    /// Those that have asked, longest silent first.
    proven: Queue,
}

/// Places in their order.
type Queue = BTreeMap<Rank, Arc<Seat>>;

/// What orders places: a moment, and a number that no other place has.
type Rank = (u64, u64);

/// One place, as the queues and its holder see it.
struct Seat {
    /// Its number.
    number: u64,
    /// Whose it is.
    source: Source,
    /// The moment it is queued under; changed under the lock only.
    queued: AtomicU64,
    /// When its holder last asked something, in milliseconds; 0: never.
    asked: AtomicU64,
    /// Whether its holder is to leave.
    leaving: AtomicBool,
    /// Wakes its holder for that.
    leave: Notify,
}

/// A connection's place; dropping it gives it back.
pub(super) struct Slot {
    /// Where it goes back to.
    shared: Arc<Shared>,
    /// The place.
    seat: Arc<Seat>,
}

/// What an attempt to get a place has come to.
pub(super) enum Taking {
    /// There was one.
    Free(Slot),
    /// There was none; another connection gives way.
    GivenWay(Slot),
    /// The source, or its network, has all that it can get.
    Refused,
}

impl Slots {
    /// Creates as many empty places as `limits` say, in total and for one source; `gauge` shows how
    /// many are taken.
    pub(super) fn new(limits: &TcpLimits, gauge: Option<OpenConnections>) -> Self {
        Self::with_rest(limits, limits.idle / LEAST_PATIENCE, gauge)
    }

    /// Creates as many empty places for handshakes, of which each may take so long: before that none
    /// gives way to another one of its source.
    pub(super) fn for_handshakes(limits: &TcpLimits, longest: Duration) -> Self {
        Self::with_rest(limits, longest, None)
    }

    /// Creates empty places whose holders may rest for so long.
    fn with_rest(limits: &TcpLimits, rest: Duration, gauge: Option<OpenConnections>) -> Self {
        let TcpLimits {
            connections: total,
            per_source,
            idle: _,
            write: _,
        } = *limits;
        Self {
            shared: Arc::new(Shared {
                taken: Mutex::default(),
                count: AtomicUsize::new(0),
                epoch: Instant::now(),
                total,
                per_source,
                per_network: (total / NETWORK_SHARE).max(per_source),
                rest: u64::try_from(rest.as_millis()).unwrap_or(u64::MAX),
                gauge,
            }),
        }
    }

    /// Takes a place for a connection from `address`, from another connection if need be.
    pub(super) fn take(&self, address: IpAddr) -> Taking {
        self.take_at(address, Instant::now())
    }

    /// Takes a place for a connection that comes at a moment.
    fn take_at(&self, address: IpAddr, now: Instant) -> Taking {
        let shared = &self.shared;
        let source = Source::of(address);
        let now = shared.millis(now);
        let mut taken = shared.lock();
        let mut gives_way = false;
        if taken.held_by(source) >= shared.per_source {
            if !taken.give_way_of(source, now.saturating_sub(shared.rest)) {
                return Taking::Refused;
            }
            gives_way = true;
        }
        let of_network = taken.by_network.get(&source.network());
        if of_network.copied().unwrap_or_default() >= shared.per_network {
            return Taking::Refused;
        }
        if taken.count() >= shared.total {
            if !taken.give_way(shared.total / FRESH_SHARE) {
                return Taking::Refused;
            }
            gives_way = true;
        }
        let seat = taken.add(source, now);
        shared.show(&taken);
        drop(taken);
        let slot = Slot {
            shared: shared.clone(),
            seat,
        };
        if gives_way {
            Taking::GivenWay(slot)
        } else {
            Taking::Free(slot)
        }
    }

    /// Frees a place, for its descriptor's sake; returns whether there was one to free.
    pub(super) fn give_way(&self) -> bool {
        let mut taken = self.shared.lock();
        let gives_way = taken.give_way(0);
        self.shared.show(&taken);
        gives_way
    }

    /// Tells all connections to leave.
    pub(super) fn dismiss(&self) {
        let taken = self.shared.lock();
        for seat in taken.all.fresh.values().chain(taken.all.proven.values()) {
            seat.dismiss();
        }
    }

    /// Returns whether all places are taken.
    pub(super) fn are_taken(&self) -> bool {
        self.count() >= self.shared.total
    }

    /// Returns how many places are taken.
    pub(super) fn count(&self) -> usize {
        self.shared.count.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// Returns the milliseconds from the beginning to a moment; never 0, which means "never".
    fn millis(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.epoch);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX - 2) + 1
    }

    /// Shows how many places are taken.
    fn show(&self, taken: &Taken) {
        let count = taken.count();
        self.count.store(count, Ordering::Relaxed);
        if let Some(gauge) = &self.gauge {
            gauge.show(count);
        }
    }

    /// Returns who holds places; a panic while that was held left it whole.
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Taken {
    /// Returns how many places are taken.
    fn count(&self) -> usize {
        self.all.count()
    }

    /// Returns how many places a source holds.
    fn held_by(&self, source: Source) -> usize {
        self.by_source.get(&source).map_or(0, Places::count)
    }

    /// Adds a place at the end of those that have not asked.
    fn add(&mut self, source: Source, now: u64) -> Arc<Seat> {
        let seat = Arc::new(Seat {
            number: self.next,
            source,
            queued: AtomicU64::new(now),
            asked: AtomicU64::new(0),
            leaving: AtomicBool::new(false),
            leave: Notify::new(),
        });
        self.next += 1;
        let of_source = self.by_source.entry(source).or_default();
        for places in [&mut self.all, of_source] {
            places.fresh.insert(seat.rank(), seat.clone());
        }
        *self.by_network.entry(source.network()).or_default() += 1;
        seat
    }

    /// Takes its place from the connection that has been silent for longest, and tells it; returns
    /// whether there was one.
    ///
    /// One that has not asked anything yet goes first, unless there are fewer than `kept` of those.
    fn give_way(&mut self, kept: usize) -> bool {
        loop {
            let Places { fresh, proven } = &self.all;
            let from_fresh = fresh.len() >= kept.max(1) || proven.is_empty();
            let queue = if from_fresh { fresh } else { proven };
            let Some((_, seat)) = queue.first_key_value() else {
                return false;
            };
            let seat = seat.clone();
            if self.gives_way(&seat) {
                return true;
            }
        }
    }

    /// Takes its place from a connection of a source that has been silent since a moment or for longer,
    /// and tells it; returns whether there was one.
    ///
    /// The one that has been silent for longest of those that have not asked anything yet, as they may
    /// be a flood's; only without one of the others.
    fn give_way_of(&mut self, source: Source, since: u64) -> bool {
        loop {
            let Some(Places { fresh, proven }) = self.by_source.get(&source) else {
                return false;
            };
            let silent = |queue: &Queue| {
                let (_, seat) = queue.range(..=(since, u64::MAX)).next()?;
                Some(seat.clone())
            };
            let Some(seat) = silent(fresh).or_else(|| silent(proven)) else {
                return false;
            };
            if self.gives_way(&seat) {
                return true;
            }
        }
    }

    /// Takes a place from its holder and tells it, unless it has asked since it was queued: then it is
    /// queued again. Returns whether it was taken.
    ///
    /// Each query of a connection lets it go round once at most, so a newcomer pays for what others
    /// asked, not for how many they are.
    fn gives_way(&mut self, seat: &Arc<Seat>) -> bool {
        if seat.has_asked() {
            self.queue_again(seat);
            return false;
        }
        self.remove(seat);
        seat.dismiss();
        true
    }

    /// Puts a place among those that have asked, where it belongs.
    fn queue_again(&mut self, seat: &Arc<Seat>) {
        let (before, asked) = (seat.rank(), seat.asked.load(Ordering::Relaxed));
        seat.queued.store(asked, Ordering::Relaxed);
        let of_source = self.by_source.get_mut(&seat.source);
        for places in of_source.into_iter().chain([&mut self.all]) {
            places.remove(before);
            places.proven.insert(seat.rank(), seat.clone());
        }
    }

    /// Takes a place out of the queues, if it is still there, and counts it no more for its source and
    /// network.
    fn remove(&mut self, seat: &Seat) {
        let rank = seat.rank();
        if !self.all.remove(rank) {
            return;
        }
        if let Some(of_source) = self.by_source.get_mut(&seat.source) {
            of_source.remove(rank);
            if of_source.count() == 0 {
                self.by_source.remove(&seat.source);
            }
        }
        let network = seat.source.network();
        if let Some(count) = self.by_network.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.by_network.remove(&network);
            }
        }
    }
}

impl Places {
    /// Takes a place out; returns whether it was there.
    fn remove(&mut self, rank: Rank) -> bool {
        self.fresh.remove(&rank).is_some() || self.proven.remove(&rank).is_some()
    }

    /// Returns how many there are.
    fn count(&self) -> usize {
        self.fresh.len() + self.proven.len()
    }
}

impl Seat {
    /// Returns what it is queued under.
    fn rank(&self) -> Rank {
        (self.queued.load(Ordering::Relaxed), self.number)
    }

    /// Returns whether its holder has asked something since the moment it is queued under.
    fn has_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed) > self.queued.load(Ordering::Relaxed)
    }

    /// Tells its holder to leave.
    fn dismiss(&self) {
        self.leaving.store(true, Ordering::Relaxed);
        self.leave.notify_one();
    }
}

impl Slot {
    /// Notes that its holder asked something at a moment: it is not the one to give way next.
    pub(super) fn asked(&self, at: Instant) {
        // Past the moment it came, be that this very millisecond.
        let at = self.shared.millis(at) + 1;
        self.seat.asked.store(at, Ordering::Relaxed);
    }

    /// Returns whether its holder is to leave.
    pub(super) fn is_leaving(&self) -> bool {
        self.seat.leaving.load(Ordering::Relaxed)
    }

    /// Waits until its holder is to leave.
    pub(super) async fn leave(&self) {
        while !self.is_leaving() {
            self.seat.leave.notified().await;
        }
    }

    /// Returns how long its holder is told that it may be silent, if it may be `most` while there
    /// is room.
    ///
    /// Above half of the places it grows shorter, down to nothing with the last, which asks for a
    /// close (RFC 7828, section 3.3.2), so that connections nobody needs end by themselves before
    /// one has to be picked.
    pub(super) fn patience(&self, most: Duration) -> Duration {
        let total = self.shared.total;
        let free = total.saturating_sub(self.shared.count.load(Ordering::Relaxed));
        let half = (total / 2).max(1);
        let free = u32::try_from(free.min(half)).unwrap_or(u32::MAX);
        most.saturating_mul(free) / u32::try_from(half).unwrap_or(u32::MAX)
    }

    /// Returns how long its holder may really be silent: no less than a part of `most`, as what it
    /// was not told, or asked meanwhile, is still on its way.
    pub(super) fn least_patience(&self, most: Duration) -> Duration {
        self.patience(most).max(most / LEAST_PATIENCE)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.shared.lock();
        taken.remove(&self.seat);
        self.shared.show(&taken);
    }
}

#[cfg(test)]
mod tests;
