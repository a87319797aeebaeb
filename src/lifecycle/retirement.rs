//! Draining to retired: R1 to R4, and what every withdrawal waits for.

use super::bound::Bounds;
use super::situation::after_ttl;
use super::{Bound, Rule, Rulebook, ServersSeen, Situation, Spread};
use crate::clock::Timestamp;
use crate::history::cache_horizon;
use crate::mail::Drain;

/// Returns what stands between a draining domain and its null MX.
pub(super) fn retirement(it: &Situation<'_>, now: Timestamp, book: &Rulebook) -> Bounds {
    let mut bounds = Bounds::default();
    if book.holds(Rule::R1) {
        let last = it.handed_out.map_or(it.since, |given| given.last);
        let last = last.max(it.since);
        let forgotten = it.forgotten.filter(|_| book.holds(Rule::K28));
        let last = forgotten.map_or(last, |restored| last.max(restored));
        match it.terms.drain {
            Drain::For(span) => {
                let at = last.saturating_add(span.as_duration());
                let what = format!(
                    "addresses handed out until {last} are promised for {span} (the pool's drain)"
                );
                bounds.add_until(Rule::R1, at, now, what);
            }
            Drain::Forever => bounds.add(
                Rule::R1,
                Bound::Unknown("the pool keeps its old domains for ever (drain)".to_owned()),
            ),
        }
    }
    if book.holds(Rule::R2) {
        deferrals(it, now, &mut bounds);
    }
    if book.holds(Rule::R3) {
        longer_ttls(it, now, &mut bounds);
    }
    if book.holds(Rule::R4) && it.terms.sends {
        let at = it.since.saturating_add(it.terms.queue_max.as_duration());
        let what = format!(
            "a domain that drains sends no more: bounces of what it sent until {}, and answers, come \
             for up to {}",
            it.since, it.terms.queue_max
        );
        bounds.add_until(Rule::R4, at, now, what);
    }
    withdrawal(it, now, book, &mut bounds);
    bounds
}

/// R2: what senders hold because of us was tried again, or given up.
fn deferrals(it: &Situation<'_>, now: Timestamp, bounds: &mut Bounds) {
    let queue_max = it.terms.queue_max;
    if let Some(last) = it.last_deferral(now) {
        let at = last.saturating_add(queue_max.as_duration());
        let what = format!(
            "we last made senders defer at {last}; what they hold is tried for up to {queue_max}"
        );
        bounds.add_until(Rule::R2, at, now, what);
    }
    if let Some(hosts) = it.routing_lags {
        let what = format!(
            "{hosts} has not said that it applied the routing of the domain, and may defer its mail \
             still"
        );
        bounds.add(Rule::R2, Bound::Unknown(what));
    }
    // Seen or said: an outage that nobody has seen to end goes on, whoever watches now.
    let red = it.observed.mail.filter(|mail| mail.green_since.is_none());
    if let Some(mail) = red {
        let what = format!(
            "a mail host was seen not to be ready at {}, and not to be ready again since; where \
             nothing watches, say that it is with `mxpool domain observed NAME --mail-ready yes`",
            mail.at
        );
        bounds.add(Rule::R2, Bound::Unknown(what));
    }
}

/// R3: versions whose MX had a longer TTL than now have left the caches.
fn longer_ttls(it: &Situation<'_>, now: Timestamp, bounds: &mut Bounds) {
    let ended = it.stays.iter().filter(|stay| !stay.null_mx);
    let longer = ended.filter(|stay| stay.ttl > it.terms.ttl);
    for (off, ttl) in longer.filter_map(|stay| Some((stay.off?, stay.ttl))) {
        let bound = match it.left_servers(off) {
            Some(left) => {
                let zero = crate::clock::Span::from_secs(0);
                let at = cache_horizon(left, zero, ttl);
                let what = format!("the MX had a TTL of {} s until {off}", ttl.as_secs());
                if now >= at {
                    continue;
                }
                Bound::Until(at, what)
            }
            None => Bound::Unknown("a listed name server may still serve a longer TTL".to_owned()),
        };
        bounds.add(Rule::R3, bound);
    }
}

/// Adds the hold that a domain is on: no force ends it.
pub(super) fn hold(it: &Situation<'_>, bounds: &mut Bounds) {
    if it.held {
        let what = "the domain is held, and force does not end a hold: let it go on with `mxpool \
                    domain unhold NAME`"
            .to_owned();
        bounds.add(Rule::I4, Bound::Unsafe(None, what));
    }
}

/// Adds what every step that withdraws something waits for: a hold, a lagging server (I5), an outage,
/// a restore (K28).
pub(super) fn withdrawal(it: &Situation<'_>, now: Timestamp, book: &Rulebook, bounds: &mut Bounds) {
    hold(it, bounds);
    if book.holds(Rule::I5) && it.watched && it.spread == Spread::Unknown {
        let what = "a listed name server was not seen to serve the zone as it is now".to_owned();
        bounds.add(Rule::I5, Bound::Unknown(what));
    }
    if book.holds(Rule::I5) {
        servers(it, now, bounds);
    }
    if book.holds(Rule::K28)
        && let Some(until) = it.recovering_until
    {
        let what = "the store was restored from a backup; what it has forgotten may still be \
                    promised"
            .to_owned();
        bounds.add_until(Rule::K28, until, now, what);
    }
}

/// I5: every listed server answers, and no cache serves stale data because none did.
fn servers(it: &Situation<'_>, now: Timestamp, bounds: &mut Bounds) {
    // What was seen once and is looked at no more says nothing of now.
    let seen = it.observed.servers.filter(|_| it.watched);
    if let Some((ServersSeen::Some | ServersSeen::None, since)) = seen {
        let what = format!("a listed name server does not answer since {since}");
        bounds.add(Rule::I5, Bound::Unknown(what));
    }
    if let (Some(outage), Some(until)) = (it.observed.outage, it.observed.stale_until()) {
        let what = format!(
            "no listed name server answered until {outage}: caches may serve what expired for \
             three days"
        );
        bounds.add_until(Rule::I5, until, now, what);
    }
}

/// L8, X1: until when caches may lead to the mail hosts of a domain whose MX is null.
pub(super) fn unreachable(it: &Situation<'_>, now: Timestamp) -> Option<Bound> {
    let null_since = it.null_since()?;
    let Some(left) = it.left_servers(null_since) else {
        return Some(Bound::Unknown(
            "a listed name server may still serve the old MX".to_owned(),
        ));
    };
    // The longest TTL of every version that somebody may still hold, not of the last one alone.
    let real = it.stays.iter().filter(|stay| !stay.null_mx);
    let ttl = real
        .map(|stay| stay.ttl)
        .fold(it.terms.ttl, |a, b| a.max(b));
    let at = Situation::guarded(after_ttl(left, ttl), it.terms.destructive_guard);
    let what = format!("the null MX is served since {null_since}; caches may hold the old MX");
    Some(Bound::since(at, now, what))
}
