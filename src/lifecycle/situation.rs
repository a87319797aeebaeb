//! All that is known of one domain at a moment.

use serde::{Deserialize, Serialize};

use super::{Bound, LifecycleState, NsSeen, Observed, Suspension};
use crate::clock::{Span, Timestamp};
use crate::history::Stay;
use crate::mail::{Drain, PoolSettings, Retire, RoutingAnswer, Secured};
use crate::wire::Ttl;

/// All that is known of one domain at a moment.
#[derive(Clone, Debug)]
pub struct Situation<'a> {
    /// Where it stands in its life.
    pub state: LifecycleState,
    /// Since when.
    pub since: Timestamp,
    /// When it was added.
    pub added: Timestamp,
    /// Whether it was never delegated before it was added.
    pub fresh: bool,
    /// Whether no step may withdraw anything.
    pub held: bool,
    /// Whether it takes no mail for a while.
    pub suspended: Option<&'a Suspension>,
    /// Its hand-outs, if an address was ever given out.
    pub handed_out: Option<HandedOut>,
    /// When it last came back from retirement.
    pub restored: Option<Timestamp>,
    /// What its pool says.
    pub terms: &'a Terms,
    /// What its zone said, oldest first, as far as anybody may hold it; the last one is current.
    pub stays: &'a [Stay],
    /// Where its MTA-STS policy stands.
    pub policy: PolicyProgress<'a>,
    /// Since when every public server serves the current content.
    pub spread: Spread,
    /// What the world showed.
    pub observed: &'a Observed,
    /// Whether the outside is watched.
    pub watched: bool,
    /// When its mail hosts last made anybody defer, as far as that is not in `observed`.
    pub deferred: Option<Timestamp>,
    /// The mail hosts that use the routing feed and have not applied what accepts the domain.
    pub routing_lags: Option<&'a str>,
    /// Whether the mail hosts still answer for it though it is retired.
    pub answers: bool,
    /// Whether its own hosts are still in its zone though it is retired.
    pub hosts_kept: bool,
    /// Whether its zone is served no more.
    pub dropped: bool,
    /// Who in our zones names a host in it, or did (L14).
    pub reference: Option<Reference<'a>>,
    /// When its registration ends.
    pub expires_at: Option<Timestamp>,
    /// When the store was restored from a backup: what was handed out or deferred since that was
    /// taken is forgotten (K28).
    pub forgotten: Option<Timestamp>,
    /// Until when nothing is withdrawn after a restore (K28).
    pub recovering_until: Option<Timestamp>,
}

/// An address of a domain was given to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedOut {
    /// When first.
    pub first: Timestamp,
    /// When last.
    pub last: Timestamp,
    /// How often.
    pub count: u64,
}

/// Since when every public server of a zone serves its current content: where `Dc` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Since a moment that was observed, or by one that is assumed.
    By(Timestamp),
    /// A listed server is not seen to serve it yet.
    Unknown,
}

/// Where a domain's MTA-STS policy stands (S9, S10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyProgress<'a> {
    /// The id of the text that its policy hosts are to serve; `None` where there is to be none.
    pub wanted: Option<&'a str>,
    /// The id that its TXT shows; `None` without one.
    pub shown: Option<&'a str>,
    /// Whether the shown one says `none`.
    pub shown_is_none: bool,
}

/// Somebody who names a host in a domain, or did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference<'a> {
    /// Who, and which host.
    pub who: &'a str,
    /// Until when caches may follow what is named no more, or it can be replayed; `None` while it is
    /// named.
    pub until: Option<Timestamp>,
}

/// What a pool says of its domains' lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The guard of steps that add.
    pub guard: Span,
    /// The guard of steps that withdraw.
    pub destructive_guard: Span,
    /// The longest time a sender holds a deferred message.
    pub queue_max: Span,
    /// How long a change takes to every public server where that cannot be observed.
    pub propagation: Span,
    /// The earliest retirement after the last hand-out.
    pub drain: Drain,
    /// Who retires a drained domain.
    pub retire: Retire,
    /// How long a null MX is served at least before release.
    pub quarantine: Span,
    /// The MX queries a day below which a retired domain may go.
    pub query_floor: u64,
    /// Whether activation waits for the delegation.
    pub delegated: bool,
    /// Whether activation waits for the DS.
    pub secured: Secured,
    /// Whether activation waits for the mail hosts.
    pub mail_ready: bool,
    /// Whether the pool has an MTA-STS policy.
    pub has_policy: bool,
    /// Whether its domains send.
    pub sends: bool,
    /// The TTL of MX.
    pub ttl: Ttl,
    /// The TTL of denials.
    pub negative_ttl: Ttl,
    /// The TTL of the zones' own NS.
    pub ns_ttl: Ttl,
}

impl Reference<'_> {
    /// Returns what the reference says of a step that takes the host away: one that stands is seen to
    /// be unsafe.
    pub(super) fn bound(&self, now: Timestamp) -> Bound {
        let who = self.who;
        match self.until {
            None => Bound::Unsafe(None, format!("{who} names a host in the domain")),
            Some(until) if now < until => {
                let what = format!("{who} named a host in the domain; who knows it may go there");
                Bound::Until(until, what)
            }
            Some(until) => Bound::Passed(format!("nobody can follow {who} since {until}")),
        }
    }
}

impl Terms {
    /// Returns what a pool's settings say.
    pub fn of(settings: &PoolSettings) -> Self {
        let (life, timing) = (settings.life(), settings.timing());
        let readiness = settings.readiness();
        Self {
            guard: timing.guard,
            destructive_guard: timing.destructive_guard,
            queue_max: timing.queue_max,
            propagation: timing.propagation,
            drain: life.drain,
            retire: life.retire,
            quarantine: life.quarantine,
            query_floor: life.query_floor,
            delegated: readiness.delegated,
            secured: readiness.secured,
            mail_ready: readiness.mail_ready,
            has_policy: settings.mta_sts().is_some(),
            sends: settings.sends(),
            ttl: settings.ttl(),
            negative_ttl: settings.negative_ttl(),
            ns_ttl: settings.ns_ttl(),
        }
    }

    /// Returns the terms with the longer of both durations: what was shortened binds only steps
    /// that begin later.
    #[must_use]
    pub fn or_longer(&self, older: &Self) -> Self {
        Self {
            guard: self.guard.max(older.guard),
            destructive_guard: self.destructive_guard.max(older.destructive_guard),
            queue_max: self.queue_max.max(older.queue_max),
            propagation: self.propagation.max(older.propagation),
            drain: match (self.drain, older.drain) {
                (Drain::For(one), Drain::For(other)) => Drain::For(one.max(other)),
                // "For ever" is a wish that the operator may take back; what is kept is a span.
                (now, _) => now,
            },
            quarantine: self.quarantine.max(older.quarantine),
            sends: self.sends || older.sends,
            ..self.clone()
        }
    }
}

impl Situation<'_> {
    /// Returns when every public server had left behind what went off at `off`, if that is known.
    ///
    /// Where the outside is watched, every server was seen to serve something newer. Where nobody
    /// looked at the time, the moment from which all serve the newest content is the safe one.
    pub fn left_servers(&self, off: Timestamp) -> Option<Timestamp> {
        let assumed = off.saturating_add(self.terms.propagation.as_duration());
        if self.watched && self.observed.departures.is_known() {
            return self.observed.departures.left(off);
        }
        match (self.watched, self.spread) {
            (false, _) => Some(assumed),
            (true, Spread::By(seen)) => Some(seen.max(off)),
            (true, Spread::Unknown) => None,
        }
    }

    /// Returns whether the last thing seen at the parent is a delegation to us.
    pub(super) fn is_delegated(&self) -> bool {
        let ns = self.observed.ns.as_ref();
        ns.is_some_and(|ns| ns.what == NsSeen::Ours)
    }

    /// Returns how long a change takes to all of the parent's servers (`Dp`).
    fn parent_delay(&self) -> Span {
        let measured = self.observed.parent.refresh;
        measured.unwrap_or(self.terms.propagation)
    }

    /// Returns the parent's negative TTL (`Negp`).
    pub(super) fn parent_negative(&self) -> Ttl {
        let measured = self.observed.parent.negative_ttl;
        // Resolvers are asked to keep denials for no more than three hours (RFC 2308, section 5).
        measured.unwrap_or(Ttl::from_secs(10_800))
    }

    /// Returns the TTL of the delegation: the larger of the parent's and the zone's own (RFC 9199,
    /// section 3.6.1).
    pub(super) fn delegation_ttl(&self) -> Ttl {
        let measured = self.observed.parent.ns_ttl;
        let parent = measured.unwrap_or(Ttl::from_secs(super::observed::UNMEASURED_DELEGATION));
        let stays = self.stays.iter().map(|stay| stay.ns_ttl);
        stays.fold(parent.max(self.terms.ns_ttl), Ttl::max)
    }

    /// Returns when mail was last deferred by us: seen, said, or by a suspension.
    pub(super) fn last_deferral(&self, now: Timestamp) -> Option<Timestamp> {
        // "Never" lets nobody try again. One with an end defers until then, and a longer one until
        // it is ended.
        let later = self
            .suspended
            .filter(|it| it.answer == RoutingAnswer::Later);
        let suspended = later.map(|it| it.until.map_or(now, |until| until.max(now)));
        self.deferred.max(self.observed.deferred).max(suspended)
    }

    /// Returns since when the null MX is served, if it is.
    pub(super) fn null_since(&self) -> Option<Timestamp> {
        let mut since = None;
        for stay in self.stays.iter().rev() {
            if !stay.null_mx {
                break;
            }
            since = Some(stay.on);
        }
        since
    }

    /// Returns until when a cache may hold what all of the parent's servers were seen to have left at
    /// `since`: its other servers follow after `Dp`, its caches after a TTL; plus a guard.
    pub(super) fn left_parent(&self, since: Timestamp, ttl: Ttl, guard: Span) -> Timestamp {
        let left = since.saturating_add(self.parent_delay().as_duration());
        Self::guarded(after_ttl(left, ttl), guard)
    }

    /// Returns the rule's moment plus a guard.
    pub(super) fn guarded(moment: Timestamp, guard: Span) -> Timestamp {
        moment.saturating_add(guard.as_duration())
    }
}

/// Adds a TTL to a moment.
pub(super) fn after_ttl(moment: Timestamp, ttl: Ttl) -> Timestamp {
    moment.saturating_add(std::time::Duration::from_secs(u64::from(ttl.as_secs())))
}
