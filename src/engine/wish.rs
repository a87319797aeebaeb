//! What a step is to do, in words: a sentence for each, for people who look at a change before its
//! moment.

use super::scheduled::StepView;
use super::{AddDomain, Op};
use crate::wire::Apex;

impl StepView {
    /// Looks at a step.
    pub(super) fn of(op: &Op) -> Self {
        Self {
            kind: op.kind(),
            subject: op.subject(),
            what: wish(op),
        }
    }
}

/// Says what a step is to do.
fn wish(op: &Op) -> String {
    let told = |apex: &Apex| apex.to_api_text();
    match op {
        Op::PutZone { apex, data, .. } => {
            let count = data.rrsets.len();
            format!("the zone {} gets {count} RRsets", told(apex))
        }
        Op::DeleteZone { apex, .. } => format!("the zone {} is deleted", told(apex)),
        Op::PutPool { name, .. } => format!("the pool {name} gets these settings"),
        Op::DeletePool { name, .. } => format!("the pool {name} is deleted"),
        Op::AddDomain(AddDomain { pool, name, .. }) => {
            format!("{} joins the pool {pool}", told(name))
        }
        Op::PatchDomain { name, .. } => {
            format!("what is said about {} changes", told(name))
        }
        Op::DeleteDomain { name, force, .. } => {
            format!("{} is deleted{}", told(name), forced(*force))
        }
        Op::PutRrset { domain, rrset, .. } => {
            let (owner, rtype) = (&rrset.owner, rrset.rtype);
            format!("{} gets {owner} {rtype} of its own", told(domain))
        }
        Op::DeleteRrset {
            domain,
            owner,
            rtype,
            ..
        } => format!("{} loses its own {owner} {rtype}", told(domain)),
        Op::Transition {
            name, to, force, ..
        } => format!("{} becomes {to}{}", told(name), forced(*force)),
        Op::Suspend {
            name,
            answer,
            until,
            ..
        } => {
            let until = until.map_or_else(String::new, |until| format!(" until {until}"));
            let answer = answer.as_str();
            format!("{} is suspended with {answer}{until}", told(name))
        }
        Op::Resume { name, .. } => format!("{} is suspended no more", told(name)),
        Op::Hold { name, .. } => format!("{} is on hold", told(name)),
        Op::Unhold { name, .. } => format!("{} is on hold no more", told(name)),
        Op::Rotate {
            pool,
            burn,
            activate,
            ..
        } => {
            let activated = match activate {
                1 => "1 domain becomes active".to_owned(),
                count => format!("{count} domains become active"),
            };
            let burned: Vec<String> = burn.iter().map(told).collect();
            let drained = match burned.as_slice() {
                [] => String::new(),
                names => format!("; drained: {}", names.join(", ")),
            };
            format!("the pool {pool} is rotated: {activated}{drained}")
        }
        // These are never scheduled.
        Op::Observe { .. }
        | Op::RotateAged { .. }
        | Op::HostApplied { .. }
        | Op::HostDeferrals { .. }
        | Op::AdoptAnew { .. }
        | Op::StagePool { .. }
        | Op::Schedule { .. }
        | Op::Scheduled { .. }
        | Op::FailScheduled { .. }
        | Op::Undo { .. }
        | Op::Act { .. } => format!("{} {}", op.kind(), op.subject()),
    }
}

/// Says that timers and unknowns are skipped.
fn forced(force: bool) -> &'static str {
    if force { ", forced" } else { "" }
}
