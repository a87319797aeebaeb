//! From facts to the situation that the rules of a life are asked about.

use std::sync::Arc;

use super::facts::{Adoption, DomainFacts, Facts, PoolFacts, PoolVersion};
use super::references::{Reference, find_reference};
use crate::clock::{Span, Timestamp};
use crate::history::{Lapse, PolicyStay, Stay, Timeline};
use crate::lifecycle::{self, LifecycleState, PolicyProgress, Rulebook, Situation, Spread, Terms};
use crate::mail::{self, Form, HostsForm, MailForm, PolicyForm, PoolSettings, Route, Target};
use crate::store::record::{LifeRecord, PolicyTurn, ShownPolicy, Turn};
use crate::wire::{Apex, Serial};

/// What is known of a domain's life that a plain one does not have.
pub(super) type Life = LifeRecord;

/// How the engine judges what is safe.
#[derive(Clone, Debug)]
pub(super) struct Judgement {
    /// The rules that hold.
    pub(super) book: Rulebook,
    /// Whether the outside is watched.
    pub(super) watched: bool,
}

/// Where a domain stands, as it is or as it will be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing<'a> {
    /// The pool it belongs to.
    pub(super) pool: &'a str,
    /// Where it stands in its life.
    pub(super) state: LifecycleState,
    /// Since when.
    pub(super) since: Timestamp,
    /// When it was added.
    pub(super) added: Timestamp,
    /// Whether it was never delegated before.
    pub(super) fresh: bool,
    /// The revision at which its routing changed last.
    pub(super) routed: u64,
    /// What a plain domain does not have.
    pub(super) life: Option<&'a Life>,
    /// When its registration ends.
    pub(super) expires_at: Option<Timestamp>,
}

/// All that a [`Situation`] borrows.
#[derive(Debug)]
pub(super) struct Circumstances<'a> {
    /// Where the domain stands.
    standing: Standing<'a>,
    /// What a plain domain has in place of a life.
    life: std::borrow::Cow<'a, Life>,
    /// What its pool says; what was shortened binds only steps that began later.
    terms: Terms,
    /// What its zone said.
    stays: Vec<Stay>,
    /// The id of the policy text that its hosts are to serve.
    wanted: Option<String>,
    /// The id that its TXT shows.
    shown: Option<String>,
    /// Whether the shown one says `none`.
    shown_is_none: bool,
    /// The mail hosts that have not applied its routing.
    lags: Option<String>,
    /// When one of its mail hosts last made senders defer, as the operator said, or this server did,
    /// as it was down.
    deferred: Option<Timestamp>,
    /// Who names a host in it.
    reference: Option<Reference>,
    /// Whether the outside is watched.
    watched: bool,
    /// When the store was restored from a backup.
    forgotten: Option<Timestamp>,
    /// Until when nothing is withdrawn after a restore.
    recovering_until: Option<Timestamp>,
}

impl<'a> Circumstances<'a> {
    /// Gathers what is known of a domain of `pool`; `reference` is who names a host in it.
    pub(super) fn gather(
        facts: &Facts,
        pool: &PoolFacts,
        standing: Standing<'a>,
        reference: Option<Reference>,
    ) -> Self {
        let life = standing.life.map_or_else(
            || std::borrow::Cow::Owned(Life::default()),
            std::borrow::Cow::Borrowed,
        );
        let settings = &pool.recipe.settings;
        let policy = pool.policy.as_ref();
        let (shown, shown_is_none) = shown_id(&life.policy, settings, policy);
        let (lags, deferred) = facts.hosts_of(settings, standing);
        // What came before the domain was there was not its mail.
        let down = facts.down_until.filter(|at| *at >= standing.added);
        let names_hosts = matches!(
            standing.state,
            LifecycleState::Retired | LifecycleState::Released | LifecycleState::Standby
        );
        Self {
            terms: pool.terms_since(standing.since),
            stays: stays(pool, standing.added, &life.turns),
            wanted: wanted_id(standing.phase(&life), &life.policy, settings, policy),
            shown,
            shown_is_none,
            lags,
            deferred: deferred.max(down),
            reference: reference.filter(|_| names_hosts),
            watched: facts.judgement.watched,
            forgotten: facts.recovering.as_ref().map(|restored| restored.at),
            recovering_until: facts.recovering_until(),
            standing,
            life,
        }
    }

    /// Returns the situation that the rules are asked about.
    pub(super) fn situation(&self) -> Situation<'_> {
        let life = &*self.life;
        let standing = self.standing;
        let since = self.stays.last().map_or(standing.added, |stay| stay.on);
        let assumed = since.saturating_add(self.terms.propagation.as_duration());
        let spread = match (self.watched, life.content) {
            (false, _) => Spread::By(assumed),
            (true, Some((_, Some(seen)))) => Spread::By(seen),
            (true, _) => Spread::Unknown,
        };
        Situation {
            state: standing.state,
            since: standing.since,
            added: standing.added,
            fresh: standing.fresh,
            held: life.hold.is_some(),
            suspended: life.suspension.as_ref(),
            handed_out: life.handed_out,
            restored: life.restored,
            terms: &self.terms,
            stays: &self.stays,
            policy: PolicyProgress {
                wanted: self.wanted.as_deref(),
                shown: self.shown.as_deref(),
                shown_is_none: self.shown_is_none,
            },
            spread,
            observed: &life.observed,
            watched: self.watched,
            deferred: life.deferred.max(self.deferred),
            routing_lags: self.lags.as_deref(),
            answers: !life.unanswered,
            hosts_kept: life.form.hosts == HostsForm::Kept,
            dropped: life.dropped.is_some(),
            reference: self.reference.as_ref().map(Reference::borrowed),
            expires_at: standing.expires_at,
            forgotten: self.forgotten,
            recovering_until: self.recovering_until,
        }
    }
}

impl<'a> Standing<'a> {
    /// Returns what decides which policy the domain is to have.
    pub(super) fn phase(&self, life: &Life) -> Phase {
        Phase::new(self.state, self.since, Some(life))
    }

    /// Returns where a domain stands.
    pub(super) fn of(domain: &'a DomainFacts) -> Self {
        Self {
            pool: &domain.pool,
            state: domain.state,
            since: domain.since,
            added: domain.added,
            fresh: domain.fresh,
            routed: domain.routed,
            life: domain.life.as_deref(),
            expires_at: domain.rare.as_ref().and_then(|rare| rare.expires_at),
        }
    }
}

impl Facts {
    /// Gathers what is known of a domain.
    pub(super) fn circumstances<'a>(
        &self,
        name: &Apex,
        domain: &'a DomainFacts,
    ) -> Option<Circumstances<'a>> {
        let pool = self.pools.get(&domain.pool)?;
        let reference = self.reference_to(name);
        let standing = Standing::of(domain);
        Some(Circumstances::gather(self, pool, standing, reference))
    }

    /// Returns when a domain is to be looked at again: at once for what is due already.
    pub(super) fn wake_of(
        &self,
        name: &Apex,
        domain: &DomainFacts,
        now: Timestamp,
    ) -> Option<Timestamp> {
        if !domain.waits() {
            return None;
        }
        let circumstances = self.circumstances(name, domain)?;
        lifecycle::wake_at(&circumstances.situation(), now, &self.judgement.book)
    }

    /// Returns who of our zones and pools names a host at or below a domain, if anybody does, or did
    /// (L14).
    pub(super) fn reference_to(&self, name: &Apex) -> Option<Reference> {
        find_reference(&self.referenced, &self.left_references, name)
    }

    /// Returns the mail hosts that use the routing and have not applied that of a domain, and when
    /// one of them last made senders defer.
    fn hosts_of(
        &self,
        settings: &PoolSettings,
        standing: Standing<'_>,
    ) -> (Option<String>, Option<Timestamp>) {
        if self.hosts.is_empty() {
            return (None, None);
        }
        let mut lags: Vec<&str> = Vec::new();
        let mut deferred = None;
        for host in settings.mail_hosts() {
            let name = host_key(&host.name, standing.pool);
            let Some((name, known)) = self.hosts.get_key_value(&name) else {
                continue;
            };
            let behind = known.applied.is_some_and(|(at, _)| at < standing.routed);
            if behind {
                lags.push(name);
            }
            // What was deferred before the domain was there was not its mail.
            deferred = deferred.max(known.deferred.filter(|at| *at >= standing.added));
        }
        let lags = (!lags.is_empty()).then(|| lags.join(", "));
        (lags, deferred)
    }

    /// Returns what the mail hosts may accept for a domain.
    pub(super) fn route(&self, domain: &DomainFacts) -> Route {
        let pool = self.pools.get(&domain.pool);
        let subdomains = pool.is_some_and(PoolFacts::knows_below);
        route_of(domain.state, domain.life.as_deref(), subdomains)
    }

    /// Returns until when nothing is withdrawn after a restore: a day and the longest horizon that may
    /// be unknown (K28).
    pub(super) fn recovering_until(&self) -> Option<Timestamp> {
        let since = self.recovering.as_ref()?.at;
        let pools = self.pools.values();
        let longest = pools
            .map(|pool| {
                let settings = &*pool.recipe.settings;
                // What was deferred in the lost days is tried again for so long (R2).
                longest_horizon(settings).max(settings.timing().queue_max)
            })
            .max();
        let day = std::time::Duration::from_secs(86_400);
        let longest = longest.map_or(day, |longest| longest.as_duration() + day);
        Some(since.saturating_add(longest))
    }
}

/// Returns what the mail hosts may accept for a domain.
pub(super) fn route_of(state: LifecycleState, life: Option<&Life>, subdomains: bool) -> Route {
    let suspension = life.and_then(|life| life.suspension.as_ref());
    let answers = life.is_none_or(|life| !life.unanswered);
    let mut route = lifecycle::route(state, suspension, answers, subdomains);
    // A name that is given up unused has its real MX until its zone goes (L6).
    let is_real = life.is_none_or(|life| life.form.mail == MailForm::Live);
    route.postmaster |= state == LifecycleState::Released && answers && is_real;
    route
}

impl PoolFacts {
    /// Returns whether mail hosts know names below the pool's domains.
    pub(super) fn knows_below(&self) -> bool {
        let kept = self.wish.as_ref().is_some_and(|wish| wish.names_below);
        kept || self.recipe.settings.subdomains()
    }

    /// Returns the pool's terms for a step that began at a moment: what was shortened later does not
    /// bind it.
    fn terms_since(&self, since: Timestamp) -> Terms {
        let now = Terms::of(&self.recipe.settings);
        let earlier = self.earlier.iter();
        let binding = earlier.filter(|lapse| lapse.off.is_none_or(|off| off > since));
        binding.fold(now, |terms, lapse| {
            terms.or_longer(&Terms::of(&lapse.what.settings))
        })
    }

    /// Returns how long after it went off somebody may hold anything of any version, at most.
    pub(super) fn longest_horizon(&self) -> Span {
        let versions = self.versions();
        let spans = versions.map(|(settings, _, _)| longest_horizon(settings));
        spans.max().unwrap_or(Span::from_secs(0))
    }

    /// Returns every version of the pool that somebody may still hold, oldest first.
    fn versions(&self) -> impl Iterator<Item = (&PoolSettings, Timestamp, Option<Timestamp>)> {
        let earlier = self.earlier.iter();
        let earlier = earlier.map(|lapse| (&*lapse.what.settings, lapse.on, lapse.off));
        earlier.chain([(&*self.recipe.settings, self.since, None)])
    }
}

/// Returns a pool's history after it was replaced at `now`, without what nobody can hold any more and
/// no step began under, unless all of it is to be kept.
pub(super) fn history_after(
    old: &PoolFacts,
    now: Timestamp,
    keep: bool,
) -> Vec<Lapse<Arc<PoolVersion>>> {
    let mut earlier = old.earlier.clone();
    earlier.push(Lapse {
        what: Arc::new(PoolVersion {
            settings: Arc::clone(&old.recipe.settings),
            template: Arc::clone(&old.recipe.template),
            policy: old.policy.clone(),
        }),
        on: old.since,
        off: Some(now.max(old.since)),
    });
    earlier.retain(|lapse| {
        let longest = longest_horizon(&lapse.what.settings).max(longest_step(&lapse.what.settings));
        let off = lapse.off.unwrap_or(now);
        keep || off.saturating_add(longest.as_duration()) > now
    });
    earlier
}

/// Returns how long after it went off somebody may hold anything of a version, at most.
pub(super) fn longest_horizon(settings: &PoolSettings) -> Span {
    let ttl = settings
        .ttl()
        .max(settings.ns_ttl())
        .max(settings.negative_ttl());
    let ttl = Span::from_secs(ttl.as_secs());
    let policy = settings
        .mta_sts()
        .map_or(ttl, |policy| sum(policy.max_age, ttl));
    let longest = policy.max(settings.signing().lifetime).max(ttl);
    let timing = settings.timing();
    sum(sum(longest, timing.propagation), timing.destructive_guard)
}

/// Returns how long a step can be bound by the durations of a version, at most.
fn longest_step(settings: &PoolSettings) -> Span {
    let drain = match settings.life().drain {
        mail::Drain::For(span) => span,
        mail::Drain::Forever => Span::from_secs(0),
    };
    let longest = drain.max(settings.life().quarantine);
    sum(longest, settings.timing().queue_max)
}

/// Returns two spans behind each other.
fn sum(one: Span, other: Span) -> Span {
    Span::from_secs(one.as_secs().saturating_add(other.as_secs()))
}

/// Returns what a domain's zone said since it was added, oldest first.
fn stays(pool: &PoolFacts, added: Timestamp, turns: &Timeline<Turn>) -> Vec<Stay> {
    let plain = Timeline::since(added, PLAIN);
    let turns = if turns.is_empty() { &plain } else { turns };
    let mut stays = Vec::new();
    for turn in turns.iter() {
        let from = turn.on.max(added);
        for (settings, on, off) in pool.versions() {
            let version = Lapse {
                what: settings,
                on,
                off,
            };
            if let Some(part) = version.within(from, turn.off) {
                stays.push(stay(settings, &turn.what, part.on, part.off));
            }
        }
    }
    // A moment at which pool and domain changed at once leaves nothing between.
    if stays.is_empty() {
        stays.push(stay(&pool.recipe.settings, &PLAIN, added, None));
    }
    stays
}

/// What a plain domain shows.
pub(super) const PLAIN: Turn = Turn {
    form: Form::LIVE,
    policy: PolicyTurn::Pool,
};

/// Returns one stretch of a domain's history.
fn stay(settings: &PoolSettings, turn: &Turn, on: Timestamp, off: Option<Timestamp>) -> Stay {
    let own_hosts = settings.mail_hosts().iter();
    let own_hosts = own_hosts
        .clone()
        .any(|host| host.name.as_in_domain().is_some());
    Stay {
        on,
        off,
        null_mx: turn.form.mail == MailForm::Null,
        wildcard: settings.subdomains(),
        own_hosts: own_hosts && turn.form.hosts == HostsForm::Kept,
        ttl: settings.ttl(),
        negative_ttl: settings.negative_ttl(),
        ns_ttl: settings.ns_ttl(),
        lifetime: settings.signing().lifetime,
        policy: match turn.policy {
            PolicyTurn::Pool => settings.mta_sts().map(|policy| PolicyStay {
                acts: policy.acts(),
                max_age: policy.max_age,
            }),
            PolicyTurn::Own { acts, max_age } => Some(PolicyStay { acts, max_age }),
            PolicyTurn::Gone => None,
        },
    }
}

/// Returns which form of its pool's policy a domain in a state is to have.
pub(super) const fn policy_form(state: LifecycleState) -> PolicyForm {
    match state {
        LifecycleState::Standby | LifecycleState::Active => PolicyForm::Live,
        LifecycleState::Draining => PolicyForm::Draining,
        LifecycleState::Retired | LifecycleState::Released => PolicyForm::None,
    }
}

/// What decides which policy a domain is to have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phase {
    /// Where it stands.
    state: LifecycleState,
    /// Since when.
    since: Timestamp,
    /// When it last came back from retirement.
    restored: Option<Timestamp>,
}

impl Phase {
    /// Returns the phase of a domain in a state, with what it has lived through.
    pub(super) fn new(state: LifecycleState, since: Timestamp, life: Option<&Life>) -> Self {
        Self {
            state,
            since,
            restored: life.and_then(|life| life.restored),
        }
    }

    /// Returns what tells this turn of a form from an earlier one.
    ///
    /// A domain that comes back to use lets the pool's text be fetched for a moment under the id of the
    /// form that it leaves. If the form came again under the same id, senders would prolong that text
    /// (S2). The pool's own form needs none: what may be held under its id lives no longer than it.
    fn turn(self) -> u64 {
        match policy_form(self.state) {
            PolicyForm::Live => 0,
            PolicyForm::Draining => self.since.as_secs(),
            PolicyForm::None => self.restored.map_or(0, Timestamp::as_secs),
        }
    }
}

/// Returns the policy that a domain is to announce: id and text.
pub(super) fn wanted_policy(
    phase: Phase,
    settings: &PoolSettings,
    adoption: Option<&Adoption>,
) -> Option<(String, mail::MtaSts)> {
    let form = policy_form(phase.state);
    let text = mail::policy_text(settings, form)?;
    let same = form == PolicyForm::Live
        || mail::policy_text(settings, PolicyForm::Live).as_ref() == Some(&text);
    // Revisions and moments only grow, and so does their sum.
    let turn = if same { 0 } else { phase.turn() };
    let id = mail::policy_id(adoption?.revision.saturating_add(turn), &text);
    Some((id, settings.mta_sts()?.in_form(form)))
}

/// Returns what a domain announces that comes back after its policy ended, until the pool's text was
/// seen served (S9): policy hosts that copy late may serve "none" still, and a sender would keep that
/// under the pool's id. `None` where the pool has no policy.
pub(super) fn comeback_policy(
    settings: &PoolSettings,
    adoption: Option<&Adoption>,
    now: Timestamp,
) -> Option<ShownPolicy> {
    let text = mail::policy_text(settings, PolicyForm::None)?;
    let none = settings.mta_sts()?.in_form(PolicyForm::None);
    // Another turn than that in which the domain retires again: the pool's text is fetched under this
    // id for a while (S2).
    let turn = now.as_secs() + 1;
    Some(ShownPolicy::Own {
        id: mail::policy_id(adoption?.revision.saturating_add(turn), &text),
        acts: none.acts(),
        max_age: none.max_age,
    })
}

/// Returns the id of the policy text that a domain's policy hosts are to serve.
pub(super) fn wanted_id(
    phase: Phase,
    shown: &ShownPolicy,
    settings: &PoolSettings,
    adoption: Option<&Adoption>,
) -> Option<String> {
    if *shown == ShownPolicy::Gone {
        return None;
    }
    wanted_policy(phase, settings, adoption).map(|(id, _)| id)
}

/// Returns the id that a domain's TXT shows, and whether its policy says `none`.
pub(super) fn shown_id(
    shown: &ShownPolicy,
    settings: &PoolSettings,
    adoption: Option<&Adoption>,
) -> (Option<String>, bool) {
    match shown {
        ShownPolicy::Pool => {
            let acts = settings.mta_sts().is_some_and(mail::MtaSts::acts);
            (adoption.map(Adoption::id), !acts)
        }
        ShownPolicy::Own { id, acts, .. } => (Some(id.clone()), !acts),
        ShownPolicy::Gone => (None, false),
    }
}

/// Returns what a domain shows of its pool's records, as far as waits go.
///
/// A sender that sees an id may fetch the text that is wanted already. Policy hosts that copy late
/// serve that text even when another is wanted again, until this one was seen served and has its own
/// id: so what may be fetched under an id only grows, and is kept with it.
pub(super) fn turn_of(
    state: LifecycleState,
    life: &mut Life,
    settings: &PoolSettings,
    adoption: Option<&Adoption>,
) -> Turn {
    let policy = match &mut life.policy {
        ShownPolicy::Pool => PolicyTurn::Pool,
        ShownPolicy::Gone => PolicyTurn::Gone,
        ShownPolicy::Own { acts, max_age, .. } => {
            let wanted = settings.mta_sts().filter(|_| adoption.is_some());
            let wanted = wanted.map(|policy| policy.in_form(policy_form(state)));
            if let Some(wanted) = wanted.filter(mail::MtaSts::acts) {
                *acts = true;
                *max_age = wanted.max_age.max(*max_age);
            }
            PolicyTurn::Own {
                acts: *acts,
                max_age: *max_age,
            }
        }
    };
    Turn {
        form: life.form,
        policy,
    }
}

/// Notes what a domain shows from `now` on, if that is something else than before.
pub(super) fn note_turn(life: &mut Life, added: Timestamp, turn: Turn, now: Timestamp) {
    let current = life.turns.current().map_or(&PLAIN, |lapse| &lapse.what);
    if *current == turn {
        return;
    }
    if life.turns.is_empty() {
        life.turns = Timeline::since(added, PLAIN);
    }
    life.turns.put(now, turn);
}

/// Drops the turns of which nobody can hold anything any more: `longest` after every listed server had
/// `left` them behind; while the MX is null, not those that tell since when (X5).
///
/// Every new text of a pool's policy makes two of each domain (S9).
pub(super) fn forget_turns(
    life: &mut Life,
    longest: Span,
    left: impl Fn(Timestamp) -> Option<Timestamp>,
    now: Timestamp,
) {
    let is_null = life.form.mail == MailForm::Null;
    life.turns.prune(|turn| {
        let own = match turn.what.policy {
            PolicyTurn::Own { max_age, .. } => max_age,
            PolicyTurn::Pool | PolicyTurn::Gone => Span::from_secs(0),
        };
        let held = longest.as_duration() + own.as_duration();
        let tells_since = is_null && turn.what.form.mail == MailForm::Null;
        let left = turn.off.and_then(&left);
        !tells_since && left.is_some_and(|left| left.saturating_add(held) <= now)
    });
}

/// Takes in a fact about what listed servers serve: where `Dc` ends.
pub(super) fn note_published(life: &mut Life, served: Serial, oldest: Serial, at: Timestamp) {
    let (content, seen) = life.content.unwrap_or((served, None));
    let lags = content.is_newer_than(oldest);
    if seen.is_none() {
        let departures = &mut life.observed.departures;
        if lags {
            departures.changed(at);
        } else {
            departures.arrived(at);
        }
    }
    life.content = Some((content, seen.or_else(|| (!lags).then_some(at))));
}

/// Returns the name of a pool's mail host in the API: one in each domain is `mx1@pool`.
pub(super) fn host_key(host: &Target, pool: &str) -> String {
    match host {
        Target::Shared(name) => name.to_api_text(),
        Target::InDomain(labels) => format!("{labels}@{pool}"),
    }
}
