//! Giving a name up: X1 to X6, the end of MTA-STS (S10), and the end of the zone (I8).

use super::bound::Bounds;
use super::retirement::{unreachable, withdrawal};
use super::situation::after_ttl;
use super::{Bound, NsSeen, Rule, Rulebook, Situation};
use crate::clock::Timestamp;
use crate::history::replay_horizon;

/// Returns what stands between a retired domain, or a standby one that was never handed out, and its
/// release.
pub(super) fn release(
    it: &Situation<'_>,
    was_in_use: bool,
    now: Timestamp,
    book: &Rulebook,
) -> Bounds {
    let mut bounds = Bounds::default();
    if was_in_use {
        bounds.ask(book, Rule::X1, || unreachable(it, now));
        bounds.ask(book, Rule::X2, || policies(it, now));
    }
    bounds.ask(book, Rule::X3, || replay(it, now));
    bounds.ask(book, Rule::X4, || Some(it.reference?.bound(now)));
    if was_in_use && book.holds(Rule::X5) {
        quarantine(it, now, &mut bounds);
    }
    if book.holds(Rule::X6) {
        registration(it, now, &mut bounds);
    }
    withdrawal(it, now, book, &mut bounds);
    bounds
}

/// X2: until when senders may hold a policy that they act on.
pub(super) fn policies(it: &Situation<'_>, now: Timestamp) -> Option<Bound> {
    let acting = it.stays.iter();
    let acting = acting.filter_map(|stay| {
        let policy = stay.policy.filter(|policy| policy.acts)?;
        Some((stay.off, stay.ttl, policy.max_age))
    });
    let mut at = None;
    for (off, ttl, max_age) in acting {
        let Some(off) = off else {
            return Some(Bound::Unknown(
                "the domain's TXT still announces a policy that senders act on; `none` follows \
                 when its text was seen served (S9), and where nothing watches, when you say so \
                 with `mxpool domain observed NAME --policy-served yes`"
                    .to_owned(),
            ));
        };
        let Some(left) = it.left_servers(off) else {
            return Some(Bound::Unknown(
                "a listed name server may still announce the old policy".to_owned(),
            ));
        };
        // A sender that has the TXT cached, with the TTL it had, may fetch and keep, and prolongs
        // what it holds while the id stands (S18: no wait is shorter because it ought to look
        // again).
        let left = after_ttl(left, ttl);
        at = at.max(Some(left.saturating_add(max_age.as_duration())));
    }
    let at = at?;
    let what = "senders may hold an MTA-STS policy for its max_age".to_owned();
    Some(Bound::since(at, now, what))
}

/// X3: until when an old answer that leads to our hosts can be replayed, validly signed.
pub(super) fn replay(it: &Situation<'_>, now: Timestamp) -> Option<Bound> {
    // The MX alone counts: where none leads to a host, its addresses and TLSA lead nobody there.
    let real = it.stays.iter().filter(|stay| !stay.null_mx);
    let horizons = real.filter_map(|stay| Some(replay_horizon(stay.off?, stay.lifetime)));
    let at = horizons.max()?;
    let what =
        "signed answers from before can be replayed until their signatures expire".to_owned();
    Some(Bound::since(at, now, what))
}

/// X5: the null MX was served long enough, and hardly anybody asks for it.
fn quarantine(it: &Situation<'_>, now: Timestamp, bounds: &mut Bounds) {
    let since = it.null_since().unwrap_or(it.since);
    let at = since.saturating_add(it.terms.quarantine.as_duration());
    let what = format!(
        "the null MX is served since {since}, and the pool's quarantine is {}",
        it.terms.quarantine
    );
    bounds.add_until(Rule::X5, at, now, what);
    let floor = it.terms.query_floor;
    // A count of long ago says nothing of today.
    let fresh = it
        .observed
        .queries
        .filter(|(_, counted)| now.since(*counted) <= std::time::Duration::from_secs(2 * 86_400));
    bounds.add(
        Rule::X5,
        match fresh {
            Some((queries, _)) if queries < floor => {
                Bound::Passed(format!("{queries} MX queries a day, fewer than {floor}"))
            }
            Some((queries, _)) => Bound::Unknown(format!(
                "{queries} MX queries a day, expected fewer than {floor} (the pool's query_floor)"
            )),
            None => Bound::Unknown(
                "the MX queries of a day are not known from every listed server; where nothing \
                 watches, say them with `mxpool domain observed NAME --queries N`"
                    .to_owned(),
            ),
        },
    );
}

/// X6: the registration outlives the rest.
fn registration(it: &Situation<'_>, now: Timestamp, bounds: &mut Bounds) {
    let Some(expires) = it.expires_at else {
        return;
    };
    // Said ahead of time, whatever else is unknown.
    let rest = bounds.latest().map_or(now, |latest| latest.max(now));
    bounds.add(
        Rule::X6,
        if expires > rest {
            Bound::Passed(format!("the registration ends at {expires}"))
        } else {
            Bound::Unknown(format!(
                "the registration ends at {expires}, before the name can be given up: renew it \
                 once more"
            ))
        },
    );
}

/// I8: the delegation is gone at every parent server and out of caches.
pub(super) fn zone_end(it: &Situation<'_>, now: Timestamp, book: &Rulebook) -> Bounds {
    let mut bounds = Bounds::default();
    if book.holds(Rule::I8) {
        let bound = match &it.observed.ns {
            Some(ns) if ns.what == NsSeen::Gone => {
                let guard = it.terms.destructive_guard;
                let at = it.left_parent(ns.since, it.delegation_ttl(), guard);
                let what = format!("no parent server delegates to us since {}", ns.since);
                let waits = format!("{what}; caches may hold the delegation");
                Bound::until(at, now, what, waits)
            }
            Some(ns) if ns.what == NsSeen::Others => {
                let what = format!(
                    "a parent server showed other name servers at {}, and perhaps ours beside them; if \
                     the name has a new owner, delete the domain by force",
                    ns.at
                );
                Bound::Unsafe(None, what)
            }
            Some(ns) => {
                let what = format!(
                    "a parent server still delegated the name at {}; delete it at the registrar, \
                     and where nothing watches say so with `mxpool domain observed NAME --ns-gone \
                     yes`",
                    ns.at
                );
                Bound::Unsafe(None, what)
            }
            None => Bound::Unknown(
                "nobody has seen the delegation go; delete the name at the registrar, and where \
                 nothing watches say so with `mxpool domain observed NAME --ns-gone yes`"
                    .to_owned(),
            ),
        };
        bounds.add(Rule::I8, bound);
    }
    withdrawal(it, now, book, &mut bounds);
    bounds
}

/// S10: what the end of the policy's TXT and host waits for.
pub(super) fn policy_end(it: &Situation<'_>, now: Timestamp, book: &Rulebook) -> Bounds {
    let mut bounds = Bounds::default();
    bounds.ask(book, Rule::S10, || policies(it, now));
    withdrawal(it, now, book, &mut bounds);
    bounds
}

/// What the end of the domain's own hosts, their TLSA and its DKIM names waits for.
pub(super) fn hosts_end(it: &Situation<'_>, now: Timestamp, book: &Rulebook) -> Bounds {
    let mut bounds = Bounds::default();
    bounds.ask(book, Rule::X1, || unreachable(it, now));
    bounds.ask(book, Rule::X3, || replay(it, now));
    bounds.ask(book, Rule::L14, || Some(it.reference?.bound(now)));
    withdrawal(it, now, book, &mut bounds);
    bounds
}
