//! Changes that wait for their moment, and what became of changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Record;
use crate::clock::Timestamp;
use crate::lifecycle::LifecycleState;
use crate::mail::RoutingAnswer;
use crate::store::Space;
use crate::wire::{Apex, RelativeName, Rtype};
use crate::zone::RelativeRrset;

/// What is known of a change beside its audit record; its key is the revision at which it was accepted
/// (see [`growing_key`](super::growing_key)). A plain one that was never undone has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRecord {
    /// What it is to do later, or was.
    pub scheduled: Option<ScheduledChange>,
    /// The revision at which it was undone.
    pub undone: Option<u64>,
}

/// A change that is made at its moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledChange {
    /// When it is made.
    pub at: Timestamp,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// Whose wish it is.
    pub actor: String,
    /// Why.
    pub reason: Option<String>,
    /// How many existing domains it is expected to touch.
    pub expect_domains: Option<u64>,
    /// What it does, in order.
    pub steps: Vec<StepRecord>,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a change that was scheduled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// It waits for its moment.
    Waits,
    /// It was made.
    Applied {
        /// The revision that it made.
        revision: u64,
    },
    /// It was refused at its moment; nothing was done.
    Failed {
        /// When.
        at: Timestamp,
        /// Why, each reason in words.
        why: Vec<String>,
    },
    /// It was called off before its moment.
    Undone {
        /// The revision at which it was.
        revision: u64,
    },
}

/// One step of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    /// What is done.
    pub what: StepForm,
    /// What the resource must be.
    pub if_match: Option<MatchForm>,
}

/// What an `If-Match` header asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MatchForm {
    /// That the resource exists.
    Any,
    /// That it has a revision.
    Revision(u64),
    /// Something that no resource is.
    Never,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepForm {
    /// Creates or replaces an operator zone.
    PutZone {
        /// The zone's name.
        apex: Apex,
        /// Its records.
        records: Vec<RelativeRrset>,
    },
    /// Removes an operator zone.
    DeleteZone {
        /// The zone's name.
        apex: Apex,
    },
    /// Creates a pool or changes its settings.
    PutPool {
        /// The pool's name.
        name: String,
        /// Its settings, as a JSON document.
        settings: String,
    },
    /// Removes a pool.
    DeletePool {
        /// The pool's name.
        name: String,
    },
    /// Adds a domain.
    AddDomain {
        /// The pool it joins.
        pool: String,
        /// Its name.
        name: Apex,
        /// Whether one that is there already is no error.
        if_absent: bool,
        /// Whether it was never delegated before.
        fresh: Option<bool>,
        /// Where it is registered.
        registrar: Option<String>,
        /// When its registration ends.
        expires_at: Option<Timestamp>,
        /// The operator's labels.
        labels: BTreeMap<String, String>,
    },
    /// Changes what is said about a domain.
    PatchDomain {
        /// The domain.
        name: Apex,
        /// Where it is registered.
        registrar: Option<Option<String>>,
        /// When its registration ends.
        expires_at: Option<Option<Timestamp>>,
        /// The operator's labels.
        labels: Option<BTreeMap<String, String>>,
    },
    /// Removes a domain.
    DeleteDomain {
        /// The domain.
        name: Apex,
        /// Whether it goes although it may be delegated.
        force: bool,
    },
    /// Gives a domain an RRset of its own.
    PutRrset {
        /// The domain.
        domain: Apex,
        /// The RRset.
        rrset: RelativeRrset,
    },
    /// Takes an RRset of its own from a domain.
    DeleteRrset {
        /// The domain.
        domain: Apex,
        /// The owner.
        owner: RelativeName,
        /// The type.
        rtype: Rtype,
    },
    /// Moves a domain to another state.
    Transition {
        /// The domain.
        name: Apex,
        /// Where to.
        to: LifecycleState,
        /// Whether timers and unknowns are skipped.
        force: bool,
    },
    /// Suspends a domain.
    Suspend {
        /// The domain.
        name: Apex,
        /// What its mail is answered.
        answer: RoutingAnswer,
        /// When it ends by itself.
        until: Option<Timestamp>,
    },
    /// Ends a suspension.
    Resume {
        /// The domain.
        name: Apex,
    },
    /// Holds a domain.
    Hold {
        /// The domain.
        name: Apex,
    },
    /// Ends a hold.
    Unhold {
        /// The domain.
        name: Apex,
    },
    /// Rotates a pool.
    Rotate {
        /// The pool.
        pool: String,
        /// The domains that are drained.
        burn: Vec<Apex>,
        /// How many domains are activated.
        activate: u32,
    },
}

impl ScheduledChange {
    /// What a step takes in memory beside its octets: it is an enum of names, texts and options.
    const STEP: usize = 256;

    /// Returns about how many octets it takes in memory.
    pub fn weight(&self) -> usize {
        let octets = postcard::experimental::serialized_size(&self.steps).unwrap_or(usize::MAX);
        octets.saturating_add(self.steps.len().saturating_mul(Self::STEP))
    }
}

impl Record for ChangeRecord {
    const SPACE: Space = Space::Change;
    const VERSION: u8 = 1;
}
