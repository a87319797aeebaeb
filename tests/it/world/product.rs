//! The product as the world meets it: what it can be told, and what it shows.
//!
//! The engine is one [`Product`]; a mutant that tampers with what leaves the engine is another.

use super::dns::{Shown, Spot};

/// What a mail host may answer to RCPT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reply {
    /// 250.
    Accept,
    /// 450.
    Later,
    /// 556.
    Never,
}

/// The states of a domain's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Standby.
    Standby,
    /// Active.
    Active,
    /// Draining.
    Draining,
    /// Retired.
    Retired,
    /// Released.
    Released,
}

/// A domain as the product shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DomainNow {
    /// Where it stands.
    pub(crate) stage: Stage,
    /// Whether it is suspended.
    pub(crate) suspended: bool,
    /// The tag of the key whose DS the parent must have.
    pub(crate) ds: u16,
}

/// What an operator asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Order {
    /// Create the pool or change its settings to this document.
    PutPool(serde_json::Value),
    /// Add a domain.
    Add {
        /// The domain.
        domain: String,
        /// Whether it was never delegated before.
        fresh: bool,
        /// When its registration ends, where that is said.
        expires: Option<u64>,
    },
    /// Say that a domain's registration ends at another moment.
    Renew(String, u64),
    /// Move a domain.
    Step {
        /// The domain.
        domain: String,
        /// Where to.
        to: Stage,
        /// Whether rules are skipped.
        force: bool,
    },
    /// Rotate: burn these, activate so many.
    Rotate(Vec<String>, u32),
    /// Suspend a domain.
    Suspend(String, Reply),
    /// Resume it.
    Resume(String),
    /// Hold it.
    Hold(String),
    /// Let it go on.
    Unhold(String),
    /// Let the MX of another zone name a host in a domain, or no more.
    Refer(String, bool),
    /// Undo the change of this revision.
    Undo(u64),
    /// Do this at a moment.
    At(u64, Box<Order>),
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// It is done, at this revision.
    Done(u64),
    /// It waits for rules: not before a moment, where that is known, and why.
    TooEarly(Option<u64>, String),
    /// It is refused.
    Refused(String),
}

/// What the world shows of itself, by observation or by the operator's word.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sight {
    /// The parent's servers were all asked for a domain.
    Parent(ParentSight),
    /// Which serial of a zone each listed server shows; `None`: no answer.
    Servers(String, Vec<Option<u32>>),
    /// Whether each mail host takes the domain's postmaster, or something of it is down.
    Mail {
        /// The domain.
        domain: String,
        /// Whether all of it works.
        green: bool,
    },
    /// Which policy file each policy host serves for a domain.
    Policy(String, Vec<Option<String>>),
    /// A host did not take mail in this time.
    Deferrals(String, u64, u64),
    /// A host has applied the routing up to a revision.
    Applied(String, u64),
    /// How many MX queries a day a domain gets, from every server.
    Counts(String, u64),
}

impl Sight {
    /// Returns the domain that it speaks of; `None`: all of them.
    pub(crate) fn domain(&self) -> Option<&str> {
        match self {
            Self::Parent(parent) => Some(&parent.domain),
            Self::Servers(domain, _)
            | Self::Mail { domain, .. }
            | Self::Policy(domain, _)
            | Self::Counts(domain, _) => Some(domain),
            Self::Deferrals(..) | Self::Applied(..) => None,
        }
    }
}

/// What the parent's servers say of a domain.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ParentSight {
    /// The domain.
    pub(crate) domain: String,
    /// What each server says of the delegation.
    pub(crate) delegations: Vec<super::parent::Delegation>,
    /// What each says of the DS.
    pub(crate) secures: Vec<super::parent::Secure>,
    /// TTL of NS, of DS and of denials.
    pub(crate) ttls: (u64, u64, u64),
    /// The largest TTL of what foreign servers say, where they are.
    pub(crate) foreign_ttl: u64,
}

/// The product.
pub(crate) trait Product {
    /// Sets the clock.
    fn at(&mut self, now: u64);

    /// Lets the product do what is due.
    fn tick(&mut self);

    /// Carries out an order, or says why not.
    fn order(&mut self, order: &Order) -> Reaction;

    /// Returns the domain to hand an address out in.
    fn hand_out(&mut self) -> Option<String>;

    /// Tells what was seen.
    fn tell(&mut self, sights: &[Sight]);

    /// Returns what a zone shows now; `None` when it is not served.
    fn shown(&mut self, apex: &str, spots: &[Spot]) -> Option<Shown>;

    /// Returns the serial of a zone, cheaply: whether it has changed.
    fn serial(&mut self, apex: &str) -> Option<u32>;

    /// Returns what the mail hosts may accept of a domain, and nothing for one to be forgotten.
    fn route(&mut self, domain: &str) -> Option<Reply>;

    /// Returns the revision that the routing of now has.
    fn revision(&mut self) -> u64;

    /// Returns the policy file to serve for a domain.
    fn policy(&mut self, domain: &str) -> Option<String>;

    /// Returns a domain.
    fn domain(&mut self, domain: &str) -> Option<DomainNow>;

    /// Stops the product and starts it again.
    fn restart(&mut self);

    /// Keeps a copy of what is stored.
    fn backup(&mut self);

    /// Starts on the copy, if there is one; returns whether.
    fn restore(&mut self) -> bool;
}
