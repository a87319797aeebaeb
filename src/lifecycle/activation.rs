//! Standby to active: A1 to A7, A9, and A8 before the first hand-out.

use super::bound::Bounds;
use super::observed::UNMEASURED_DELEGATION;
use super::situation::after_ttl;
use super::{Bound, DsSeen, NsSeen, Rule, Rulebook, Situation, Spread};
use crate::clock::{Span, Timestamp};
use crate::history::{absence_horizon, cache_horizon};
use crate::mail::Secured;
use crate::wire::Ttl;

/// What a rule says of a domain at a moment; nothing where it does not bind.
type Says = fn(&Situation<'_>, Timestamp) -> Option<Bound>;

/// Returns what stands between a standby domain and its activation.
pub(super) fn activation(it: &Situation<'_>, now: Timestamp, book: &Rulebook) -> Bounds {
    let mut bounds = Bounds::default();
    let rules: [(Rule, Says); 9] = [
        (Rule::A1, delegated),
        (Rule::A2, absence),
        (Rule::A2Prime, null_mx),
        (Rule::A3, secured),
        (Rule::A4, mail_ready),
        (Rule::A5, other_delegation),
        (Rule::A6, foreign_ds),
        (Rule::A7, other_policy),
        (Rule::A9, registered),
    ];
    for (rule, says) in rules {
        bounds.ask(book, rule, || says(it, now));
    }
    bounds
}

/// Returns what stands between a draining domain and its use: it has been active.
pub(super) fn reactivation(it: &Situation<'_>, now: Timestamp, book: &Rulebook) -> Bounds {
    let mut bounds = Bounds::default();
    bounds.ask(book, Rule::A9, || registered(it, now));
    bounds
}

/// A1: no cache holds the denial of the name from before it was registered.
fn delegated(it: &Situation<'_>, now: Timestamp) -> Option<Bound> {
    if !it.terms.delegated {
        return None;
    }
    Some(match &it.observed.ns {
        Some(ns) if ns.what == NsSeen::Ours => {
            let since = ns.since;
            let at = it.left_parent(since, it.parent_negative(), it.terms.guard);
            Bound::until(
                at,
                now,
                format!("every parent server delegates to us since {since}"),
                format!(
                    "every parent server delegates to us since {since}; until then some resolver \
                     may remember that the name did not exist"
                ),
            )
        }
        Some(ns) => Bound::Unknown(format!(
            "the parent's servers do not all delegate to us: {} at {}; set the name servers at the \
             registrar{}",
            match ns.what {
                NsSeen::Others => "they showed other name servers",
                NsSeen::Gone | NsSeen::Ours => "they showed no delegation",
            },
            ns.at,
            comes_then(it)
        )),
        None => Bound::Unknown(format!(
            "nobody has seen the delegation at the parent's servers yet; where nothing watches, \
             say so with `mxpool domain observed NAME --ns yes`{}",
            comes_then(it)
        )),
    })
}

/// Says ahead of time what A5 will ask for: that takes longer than all else, and begins when the
/// delegation is seen.
fn comes_then(it: &Situation<'_>) -> String {
    let Some(ttl) = other_delegation_ttl(it) else {
        return String::new();
    };
    let span = Span::from_secs(ttl.as_secs());
    format!(
        "; {span} from then on some resolver may follow a delegation from before ours (A5): add \
         names that were never delegated as `fresh`"
    )
}

/// A2: no cache holds a denial of records that came on later than the zone.
///
/// The first version of a zone comes where nothing was served: REFUSED denies nothing. A pool that
/// asks for no delegation says that nobody looks the name up yet.
fn absence(it: &Situation<'_>, now: Timestamp) -> Option<Bound> {
    if !it.terms.delegated && !it.watched {
        return None;
    }
    let current = it.stays.last()?;
    let Some(dc_end) = it.left_servers(current.on) else {
        return Some(Bound::Unknown(
            "a listed name server was not seen to serve the zone as it is now".to_owned(),
        ));
    };
    // What was not there before: the MX of a null version, the MX at `*`, hosts that had gone. Every
    // version that lacked it counts, not the last one alone, whose negative TTL may be shorter.
    let lacked = it.stays.iter().filter(|stay| {
        stay.null_mx && !current.null_mx
            || !stay.wildcard && current.wildcard
            || !stay.own_hosts && current.own_hosts
    });
    let mut at = dc_end;
    for (off, negative) in lacked.filter_map(|stay| Some((stay.off?, stay.negative_ttl))) {
        let left = it.left_servers(off).unwrap_or(dc_end);
        at = at.max(absence_horizon(left, Span::from_secs(0), negative));
    }
    let at = Situation::guarded(at, it.terms.guard);
    Some(Bound::until(
        at,
        now,
        "every server serves the records, and no cache denies them".to_owned(),
        format!(
            "the records are served since {}; until then a server or a cache may deny them",
            current.on
        ),
    ))
}

/// A2': no cache holds a null MX.
fn null_mx(it: &Situation<'_>, now: Timestamp) -> Option<Bound> {
    let nulls = it.stays.iter().filter(|stay| stay.null_mx);
    let ends = nulls.filter_map(|stay| Some((stay.off?, stay.ttl)));
    let mut at = None;
    for (off, ttl) in ends {
        let Some(left) = it.left_servers(off) else {
            return Some(Bound::Unknown(
                "a listed name server may still serve the null MX".to_owned(),
            ));
        };
        at = at.max(Some(cache_horizon(left, Span::from_secs(0), ttl)));
    }
    let at = Situation::guarded(at?, it.terms.guard);
    Some(Bound::until(
        at,
        now,
        "no cache holds a null MX".to_owned(),
        "a cache may hold the null MX of before".to_owned(),
    ))
}

/// A3: the DS is in force everywhere.
fn secured(it: &Situation<'_>, now: Timestamp) -> Option<Bound> {
    let patience = match it.terms.secured {
        Secured::No => return None,
        Secured::Yes => None,
        Secured::Within(span) => Some(span),
    };
    let ours = it.observed.ds.as_ref();
    let ours = ours.filter(|ds| ds.what == DsSeen::Ours);
    let bound = match ours {
        Some(ds) => {
            let since = ds.since;
            let at = it.left_parent(since, it.parent_negative(), it.terms.guard);
            Bound::until(
                at,
                now,
                format!("every parent server has the DS since {since}"),
                format!(
                    "every parent server has the DS since {since}; until then some resolver may \
                     remember that there was none"
                ),
            )
        }
        None => Bound::Unknown(
            "the DS of the domain's key was not seen at every parent server; hand it to the \
             registrar (`mxpool domain ds NAME`), and where nothing watches say so with `mxpool \
             domain observed NAME --ds yes`"
                .to_owned(),
        ),
    };
    let Some(patience) = patience else {
        return Some(bound);
    };
    // The pool goes on without it after a while: insecure mail is delivered, too.
    let asked = it.observed.ns.as_ref().map_or(it.added, |ns| ns.since);
    let gives_up = asked.saturating_add(patience.as_duration());
    Some(match bound {
        Bound::Passed(fact) => Bound::Passed(fact),
        _ if now >= gives_up => {
            Bound::Passed(format!("the pool goes on without a DS after {patience}"))
        }
        Bound::Until(at, what) => Bound::Until(at.min(gives_up), what),
        Bound::Unknown(what) => Bound::Until(
            gives_up,
            format!("{what}; without it the pool goes on after {patience}"),
        ),
        unsafe_bound @ Bound::Unsafe(..) => unsafe_bound,
    })
}

/// A4: every mail host was seen ready twice, the TTL of the MX apart.
fn mail_ready(it: &Situation<'_>, now: Timestamp) -> Option<Bound> {
    if !it.terms.mail_ready {
        return None;
    }
    let since = it.observed.mail.and_then(|mail| mail.green_since);
    Some(match (since, it.observed.mail) {
        (Some(since), Some(mail)) => {
            let again = after_ttl(since, it.terms.ttl);
            // Said once by the operator, or seen again after the TTL.
            if it.watched && mail.at < again && now >= again {
                Bound::Unknown(format!(
                    "every mail host was ready at {since}; they were not looked at again since \
                     {again}"
                ))
            } else {
                Bound::until(
                    Situation::guarded(again, it.terms.guard),
                    now,
                    format!("every mail host is ready since {since}"),
                    format!(
                        "every mail host is ready since {since}; they are looked at again after \
                         the TTL of the MX"
                    ),
                )
            }
        }
        (None, Some(mail)) => Bound::Unknown(format!(
            "a mail host was seen not to be ready at {}",
            mail.at
        )),
        (_, None) => Bound::Unknown(
            "nobody has seen the mail hosts answer for the domain yet; where nothing watches, say \
             so with `mxpool domain observed NAME --mail-ready yes`"
                .to_owned(),
        ),
    })
}

/// A5: no cache holds a delegation to others from before it was ours.
fn other_delegation(it: &Situation<'_>, now: Timestamp) -> Option<Bound> {
    let ttl = other_delegation_ttl(it)?;
    let ns = it.observed.ns.as_ref();
    let ns = ns.filter(|ns| ns.what == NsSeen::Ours)?;
    let at = it.left_parent(ns.since, ttl, it.terms.guard);
    Some(Bound::until(
        at,
        now,
        "no cache holds a delegation from before ours".to_owned(),
        "until then some resolver may follow a delegation from before ours (parking servers of the \
         registrar, a former owner); add names that were never delegated as `fresh`"
            .to_owned(),
    ))
}

/// Returns how long caches keep a delegation to others, if there may have been one.
fn other_delegation_ttl(it: &Situation<'_>) -> Option<Ttl> {
    if !it.terms.delegated || it.fresh && it.observed.other_ns.is_none() {
        return None;
    }
    let measured = it.observed.other_ns;
    let ttl = measured.map_or(Ttl::from_secs(UNMEASURED_DELEGATION), |(_, ttl)| ttl);
    // What the parent gives ours it gave theirs, too (K24).
    Some(it.observed.parent.ns_ttl.map_or(ttl, |ours| ours.max(ttl)))
}

/// A6: no DS that matches none of our keys.
fn foreign_ds(it: &Situation<'_>, now: Timestamp) -> Option<Bound> {
    let ds = it.observed.ds.as_ref();
    if let Some(ds) = ds.filter(|ds| ds.what == DsSeen::Foreign) {
        let what = format!(
            "a parent server showed a DS at {} that matches none of the domain's keys: validating \
             resolvers refuse every answer; have the registrar remove it",
            ds.at
        );
        return Some(Bound::Unsafe(None, what));
    }
    let last = it.observed.foreign_ds?;
    let Some(ds) = ds else {
        let what = format!(
            "a DS that matches none of the domain's keys was seen at {last}, and since then the \
             parent's servers were not seen to agree on another"
        );
        return Some(Bound::Unsafe(None, what));
    };
    // It stood at the parent until somebody saw something else there, and at the servers that nobody
    // asked for a while longer.
    let ttl = it.observed.parent.ds_ttl;
    let ttl = ttl.unwrap_or(Ttl::from_secs(86_400));
    let at = it.left_parent(last.max(ds.since), ttl, it.terms.guard);
    if now >= at {
        return Some(Bound::Passed("no cache holds a foreign DS".to_owned()));
    }
    let what = format!(
        "a DS that matches none of the domain's keys was last seen at {last}; caches may hold it"
    );
    Some(Bound::Unsafe(Some(at), what))
}

/// A7: a former owner's MTA-STS policy is ended by an id of ours.
fn other_policy(it: &Situation<'_>, now: Timestamp) -> Option<Bound> {
    if it.fresh || !it.terms.delegated || !it.terms.has_policy {
        return None;
    }
    let served = it.observed.policy.as_ref();
    let served = served.filter(|policy| Some(&*policy.what) == it.policy.shown);
    Some(match served {
        Some(policy) => Bound::since(
            Situation::guarded(policy.since, it.terms.guard),
            now,
            format!("our MTA-STS policy is served since {}", policy.since),
        ),
        None => Bound::Unknown(
            "the policy host was not seen to serve the domain's MTA-STS policy, and senders may \
             hold one of a former owner; where nothing watches, say so with `mxpool domain observed \
             NAME --policy-served yes`"
                .to_owned(),
        ),
    })
}

/// A9: the registration has not ended, as far as its end was told.
///
/// An active domain goes on being handed out: a note that nobody brought up to date must not end a
/// service; there the metric speaks.
fn registered(it: &Situation<'_>, now: Timestamp) -> Option<Bound> {
    let expires = it.expires_at?;
    Some(if now < expires {
        Bound::Passed(format!("the registration ends at {expires}"))
    } else {
        Bound::Unknown(format!(
            "the registration ended at {expires}; when it is renewed, say until when with `mxpool \
             domain set NAME --expires-at TIME`"
        ))
    })
}

/// Returns what stands between an active domain and its next hand-out: A8, T5.
fn hand_out(it: &Situation<'_>, now: Timestamp, book: &Rulebook) -> Bounds {
    let mut bounds = Bounds::default();
    if book.holds(Rule::A8)
        && let Some(hosts) = it.routing_lags
    {
        let what = format!("{hosts} has not said that it applied the routing of the domain");
        bounds.add(Rule::A8, Bound::Unknown(what));
    }
    if book.holds(Rule::T5)
        && let Some(restored) = it.restored
    {
        let ttls = it.stays.iter().filter(|stay| stay.null_mx);
        let longest = ttls.map(|stay| stay.ttl.max(stay.negative_ttl));
        let longest = longest.fold(it.terms.ttl.max(it.terms.negative_ttl), Ttl::max);
        let day = std::time::Duration::from_secs(86_400);
        match it.left_servers(restored) {
            Some(left) => {
                let at = after_ttl(left, longest).saturating_add(day);
                let what = "caches may hold the null MX that the domain had".to_owned();
                bounds.add_until(Rule::T5, at, now, what);
            }
            None => {
                let what = "a listed name server may still serve the null MX".to_owned();
                bounds.add(Rule::T5, Bound::Unknown(what));
            }
        }
    }
    bounds
}

/// Returns what the registrar of a domain is not told before, if it is to be delegated to us: T0.
///
/// A name server that is named and does not have the zone yet is lame, and whoever is let in there
/// can claim the name.
pub fn delegation_waits(
    it: &Situation<'_>,
    now: Timestamp,
    book: &Rulebook,
) -> Vec<super::WaitingFor> {
    let mut bounds = Bounds::default();
    bounds.ask(book, Rule::T0, || {
        Some(match it.spread {
            Spread::By(at) => {
                Bound::since(at, now, "every listed name server has the zone".to_owned())
            }
            Spread::Unknown => Bound::Unknown(
                "a listed name server was not seen to serve the zone as it is now".to_owned(),
            ),
        })
    });
    bounds.waiting()
}

/// Returns what the next hand-out of an active domain waits for: A8, T5, a suspension.
pub fn hand_out_waits(
    it: &Situation<'_>,
    now: Timestamp,
    book: &Rulebook,
) -> Vec<super::WaitingFor> {
    hand_out(it, now, book).waiting()
}
