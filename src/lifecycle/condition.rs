//! What an operator is shown of a domain.

use super::retirement::retirement;
use super::{DsSeen, LifecycleState, NsSeen, Rulebook, Situation, Spread};
use crate::clock::Timestamp;

/// What a condition speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionKind {
    /// Every listed server serves the zone as it is now.
    Published,
    /// Every parent server delegates to us.
    Delegated,
    /// Every parent server has the DS of our key and no other.
    Secured,
    /// Every mail host answers.
    MailReady,
    /// Every mail host has applied the routing of the domain.
    Routed,
    /// Every policy host serves the policy that the TXT announces.
    PolicyServed,
    /// The domain could be retired now.
    RetireDue,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It was seen, or said, to hold.
    True,
    /// It was seen not to hold.
    False,
    /// Nobody knows.
    Unknown,
}

/// What is known of one condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What it speaks of.
    pub kind: ConditionKind,
    /// Whether it holds.
    pub status: Status,
    /// Since when, where that is known.
    pub since: Option<Timestamp>,
    /// In words.
    pub message: String,
}

impl ConditionKind {
    /// Returns the condition's name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "Published",
            Self::Delegated => "Delegated",
            Self::Secured => "Secured",
            Self::MailReady => "MailReady",
            Self::Routed => "Routed",
            Self::PolicyServed => "PolicyServed",
            Self::RetireDue => "RetireDue",
        }
    }
}

impl Status {
    /// Returns the status as the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::Unknown => "unknown",
        }
    }
}

/// Returns every condition of a domain.
pub fn conditions(it: &Situation<'_>, now: Timestamp, book: &Rulebook) -> Vec<Condition> {
    use ConditionKind::{
        Delegated, MailReady, PolicyServed, Published, RetireDue, Routed, Secured,
    };
    let condition = |kind, (status, since, message): Said| Condition {
        kind,
        status,
        since,
        message,
    };
    vec![
        condition(Published, published(it, now)),
        condition(Delegated, delegated(it)),
        condition(Secured, secured(it)),
        condition(MailReady, mail_ready(it)),
        condition(Routed, routed(it)),
        condition(PolicyServed, policy_served(it)),
        condition(RetireDue, retire_due(it, now, book)),
    ]
}

/// What is said of a condition.
type Said = (Status, Option<Timestamp>, String);

/// Says whether every listed server serves the zone as it is now.
fn published(it: &Situation<'_>, now: Timestamp) -> Said {
    if it.dropped {
        let message = "the zone is served no more".to_owned();
        return (Status::False, None, message);
    }
    match it.spread {
        Spread::By(at) if at <= now => {
            let how = if it.watched { "seen" } else { "assumed" };
            let message = format!("every listed server serves the zone as it is ({how})");
            (Status::True, Some(at), message)
        }
        Spread::By(at) => {
            let message = format!("every listed server is assumed to serve the zone from {at} on");
            (Status::Unknown, None, message)
        }
        Spread::Unknown => {
            let message = "a listed server was not seen to serve the zone as it is".to_owned();
            (Status::Unknown, None, message)
        }
    }
}

/// Says whether every parent server delegates to us.
fn delegated(it: &Situation<'_>) -> Said {
    match &it.observed.ns {
        None => (
            Status::Unknown,
            None,
            "nobody looked at the parent".to_owned(),
        ),
        Some(ns) => {
            let (status, message) = match ns.what {
                NsSeen::Ours => (Status::True, "every parent server delegates to us"),
                NsSeen::Others => (Status::False, "a parent server shows other name servers"),
                NsSeen::Gone => (Status::False, "no parent server delegates the name"),
            };
            (status, Some(ns.since), message.to_owned())
        }
    }
}

/// Says whether every parent server has the DS of our key and no other.
fn secured(it: &Situation<'_>) -> Said {
    match &it.observed.ds {
        None => (
            Status::Unknown,
            None,
            "nobody looked at the parent".to_owned(),
        ),
        Some(ds) => {
            let (status, message) = match ds.what {
                DsSeen::Ours => (Status::True, "every parent server has the DS of our key"),
                DsSeen::Absent => (Status::False, "no DS: the domain is insecure"),
                DsSeen::Foreign => (
                    Status::False,
                    "a DS matches none of our keys: the domain is bogus",
                ),
            };
            (status, Some(ds.since), message.to_owned())
        }
    }
}

/// Says whether every mail host answers.
fn mail_ready(it: &Situation<'_>) -> Said {
    match it.observed.mail {
        None => (
            Status::Unknown,
            None,
            "nobody asked the mail hosts".to_owned(),
        ),
        Some(mail) => match mail.green_since {
            Some(since) => {
                let message = "every mail host is ready".to_owned();
                (Status::True, Some(since), message)
            }
            None => {
                let message = format!("a mail host was not ready at {}", mail.at);
                (Status::False, None, message)
            }
        },
    }
}

/// Says whether every mail host has applied the routing of the domain.
fn routed(it: &Situation<'_>) -> Said {
    match it.routing_lags {
        None => {
            let message = "no mail host that uses the routing feed lags".to_owned();
            (Status::True, None, message)
        }
        Some(hosts) => {
            let message = format!("{hosts} has not applied the routing yet");
            (Status::False, None, message)
        }
    }
}

/// Says whether every policy host serves the policy that is to be served.
fn policy_served(it: &Situation<'_>) -> Said {
    let Some(wanted) = it.policy.wanted else {
        return (Status::True, None, "there is no MTA-STS policy".to_owned());
    };
    match &it.observed.policy {
        Some(seen) if seen.what == wanted => {
            let message = "every policy host serves the policy".to_owned();
            (Status::True, Some(seen.since), message)
        }
        Some(_) => {
            let message = "the policy hosts were seen to serve another policy".to_owned();
            (Status::False, None, message)
        }
        None => (
            Status::Unknown,
            None,
            "nobody asked the policy hosts".to_owned(),
        ),
    }
}

/// Says whether the domain could be retired now.
fn retire_due(it: &Situation<'_>, now: Timestamp, book: &Rulebook) -> Said {
    if it.state != LifecycleState::Draining {
        let message = format!("the domain is {}", it.state);
        return (Status::False, None, message);
    }
    let bounds = retirement(it, now, book);
    if bounds.all_passed() {
        let message = "the domain can be retired: mxpool domain retire NAME".to_owned();
        (Status::True, None, message)
    } else {
        let waits = bounds.waiting();
        let mut waits: Vec<&str> = waits.iter().map(|wait| wait.rule).collect();
        waits.dedup();
        let message = format!("the domain waits for {}", waits.join(", "));
        (Status::False, None, message)
    }
}
