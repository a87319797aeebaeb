//! Which of a pool's new settings may be in effect now, and what the rest waits for.
//!
//! A change of a pool that domains use is a *wish*. What only adds takes effect at once; what a cache,
//! a sender's queue or a stored policy could contradict comes in steps, each of them one version of
//! the zones. [`stage`] is asked again after every change and at [`Staging::wake_at`]: it looks at
//! everything that was in effect and may still be held by somebody, and says what may be in effect
//! now. It never takes back what is in effect.
//!
//! | rule | setting | what waits |
//! |---|---|---|
//! | T3 (R1 to R3) | `subdomains` off | `*` keeps its MX while addresses below are promised and senders hold what we deferred; mail hosts know those names until the MX has left all caches (L8) |
//! | M4 | a host joins the MX | address, TLSA and policy line come at once, the MX when no cache denies them and no sender goes by a policy without the host |
//! | M5 | a host joins in front | waits for the old policies to end where senders would use up their five addresses on hosts that those forbid |
//! | N1 | an address joins | when the TLSA that its key must be in stands for two TTLs |
//! | S8 | MTA-STS begins, or is enforced | a week of `testing` first (RFC 8461, section 5) |
//! | S10 | MTA-STS ends | `none` until no sender can hold an earlier policy (RFC 8461, section 8.3) |
//! | R4 | sending ends, a DKIM selector goes | while bounces and answers come back |
//!
//! Pure: facts and *now* in, settings out. Start reading at [`stage`].

mod hosts;
mod policy;
mod retreat;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::PoolSettings;
use crate::clock::{Span, Timestamp};
use crate::history::Lapse;
use crate::wire::{Name, Ttl};

/// What is known of a pool whose settings change.
#[derive(Clone, Copy)]
pub struct StageFacts<'a> {
    /// The moment.
    pub now: Timestamp,
    /// Every version of the settings that was in effect and that somebody may still hold, oldest
    /// first and without gaps; the last one is in effect now. While a wish is on its way none is
    /// dropped.
    pub versions: &'a [Lapse<&'a PoolSettings>],
    /// When every listed server serves what came into effect.
    pub served: Served,
    /// Since when the zones of all domains show the id of the policy in effect, or have none to show;
    /// `None` while one of them shows another.
    pub policy_shown: Option<Timestamp>,
    /// When one of our hosts last made senders defer (R2).
    pub deferred: Option<Timestamp>,
    /// Returns what is known of the zone of a shared host, if that is served here.
    pub zone_of: &'a dyn Fn(&Name) -> Option<HostZone>,
}

/// What is known of the zone of a shared host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostZone {
    /// The TTL of answers that deny something in it.
    pub negative_ttl: Ttl,
    /// When every server of it serves what came into effect.
    pub served: Served,
}

/// By when every listed server serves what came into effect: where `Dc` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// So long after; nothing watches.
    Assumed(Span),
    /// All were seen to serve the newest version by then; `None` while one was not.
    Seen(Option<Timestamp>),
}

/// Since when a part of a wish is on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// Which part: the setting, with a host's name in place of its index.
    pub part: String,
    /// When it was first wished for.
    pub began: Timestamp,
    /// The longest duration that binds it: what was shortened before it began does not, what was
    /// shortened later does.
    pub bound: Span,
}

/// What of a wish may be in effect, and what the rest waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staging {
    /// The settings that may be in effect now.
    pub effective: PoolSettings,
    /// What the rest waits for; nothing when all that was wished for is in effect.
    pub waits: Vec<StageWait>,
    /// Since when each part is on its way: to be handed in the next time.
    pub staged: Vec<Staged>,
    /// Whether mail hosts must know names below the domains, though these have no MX there any more
    /// (L8).
    pub names_below: bool,
}

/// Something that a part of a wish waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageWait {
    /// Where in the wished settings, as a JSON pointer.
    pub pointer: String,
    /// The rule.
    pub rule: &'static str,
    /// What it waits for, in words.
    pub what: String,
    /// The moment before which it cannot be over; `None` while that depends on what is not known.
    pub not_before: Option<Timestamp>,
}

/// Returns what of `wanted` may be in effect now; `staged` is what was returned the last time, if the
/// wish is not new.
///
/// What [`classify_change`](super::classify_change) refuses is not looked at here: a wish that
/// withdraws a host in use must not come this far.
pub fn stage(wanted: &PoolSettings, staged: &[Staged], facts: &StageFacts<'_>) -> Staging {
    let mut stager = Stager {
        facts,
        before: staged,
        staging: Staging {
            effective: wanted.clone(),
            waits: Vec::new(),
            staged: Vec::new(),
            names_below: false,
        },
    };
    if let Some(current) = facts.versions.last() {
        stager.subdomains(wanted, current.what);
        stager.outbound(wanted, current.what);
        stager.hosts(wanted, current.what);
        stager.policy(wanted, current.what);
    }
    stager.staging
}

impl StageWait {
    /// Returns what comes when the wait is over, in words.
    pub fn comes(&self) -> &'static str {
        match self.rule {
            "M4" | "M5" => "the host joins the MX",
            "N1" => "the address is published",
            "S8" => "the policy is enforced",
            "S10" => "the policy goes",
            "R4" if self.pointer == "/outbound" => "the domains say that they send no more",
            "R4" => "the DKIM selector goes",
            "L8" => "mail hosts forget the names below the domains",
            "I4" | "K28" => "what it withdraws goes as it may",
            "I5" if self.pointer != "/subdomains" => "what it withdraws goes as it may",
            _ => "\"*\" loses its MX",
        }
    }

    /// Returns what is so until then, in words.
    pub fn meanwhile(&self) -> &'static str {
        match self.rule {
            "M4" | "M5" => {
                "its addresses, TLSA and policy line are published, and no MX leads to it"
            }
            "N1" => "TLSA has the key already, and nobody is led to the address",
            "S8" => "the policy is announced as \"testing\"",
            "S10" => "the policy says \"none\"",
            "R4" if self.pointer == "/outbound" => "SPF, DKIM and DMARC stay as they are",
            "R4" => "its CNAME stays",
            "L8" => "\"*\" has no MX any more",
            "I4" | "K28" => "it stays as it is",
            "I5" if self.pointer != "/subdomains" => "it stays as it is",
            _ => "mail to names below the domains goes on",
        }
    }
}

impl Staging {
    /// Returns when the clock alone may let the next part take effect.
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.waits.iter().filter_map(|wait| wait.not_before).min()
    }
}

impl Served {
    /// Returns by when every listed server serves what came into effect at a moment.
    fn by(self, on: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Assumed(dc) => Some(after(on, dc)),
            Self::Seen(seen) => Some(seen?.max(on)),
        }
    }
}

/// Puts together what may be in effect.
struct Stager<'a> {
    /// What is known.
    facts: &'a StageFacts<'a>,
    /// Since when parts are on their way.
    before: &'a [Staged],
    /// What was found so far.
    staging: Staging,
}

impl Stager<'_> {
    /// Notes that a part is on its way that a duration binds; returns since when, and the longest
    /// duration that has bound it.
    fn began(&mut self, part: &str, span: Span) -> (Timestamp, Span) {
        let known = self.before.iter().find(|staged| staged.part == part);
        let (began, bound) = known.map_or((self.facts.now, span), |staged| {
            (staged.began, staged.bound.max(span))
        });
        self.staging.staged.push(Staged {
            part: part.to_owned(),
            began,
            bound,
        });
        (began, bound)
    }

    /// Notes that something is waited for, unless the moment has come; returns whether it has.
    fn wait(
        &mut self,
        pointer: &str,
        rule: &'static str,
        until: Option<Timestamp>,
        what: String,
    ) -> bool {
        let passed = until.is_some_and(|until| until <= self.facts.now);
        if !passed {
            self.staging.waits.push(StageWait {
                pointer: pointer.to_owned(),
                rule,
                what,
                not_before: until,
            });
        }
        passed
    }

    /// Returns since when what is in effect has been as `is` says, without a break; `None` if it is
    /// not so now.
    fn held_since(&self, is: impl Fn(&PoolSettings) -> bool) -> Option<Timestamp> {
        let newest_first = self.facts.versions.iter().rev();
        let so = newest_first.take_while(|lapse| is(lapse.what));
        so.last().map(|lapse| lapse.on)
    }

    /// Returns the longest of a span in every version that counts.
    fn longest(&self, span: impl Fn(&PoolSettings) -> Span) -> Span {
        let spans = self.facts.versions.iter().map(|lapse| span(lapse.what));
        spans.max().unwrap_or(Span::from_secs(0))
    }

    /// Returns the longest TTL of MX, hosts, TLSA and texts that anybody may go by.
    fn longest_ttl(&self) -> Ttl {
        let ttls = self.facts.versions.iter().map(|lapse| lapse.what.ttl());
        ttls.max().unwrap_or(Ttl::from_secs(0))
    }
}

/// Returns the moment so long after another.
fn after(moment: Timestamp, span: Span) -> Timestamp {
    moment.saturating_add(span.as_duration())
}

/// Returns the moment a TTL after another.
fn after_ttl(moment: Timestamp, ttl: Ttl) -> Timestamp {
    after(moment, Span::from_secs(ttl.as_secs()))
}
