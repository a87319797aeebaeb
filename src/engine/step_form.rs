//! Steps as they are stored until their moment, and read again then.
//!
//! What is stored has a form of its own, so that an upgrade reads what was scheduled before it.

use super::{AddDomain, IfMatch, Op};
use crate::mail::PoolSettings;
use crate::store::record::{MatchForm, StepForm, StepRecord};
use crate::zone::ZoneData;

/// Returns a step as it is stored; `None` for one that is never made later.
pub(super) fn step_record(op: &Op) -> Option<StepRecord> {
    let (what, if_match) = match op {
        Op::PutZone {
            apex,
            data,
            if_match,
        } => {
            let (apex, records) = (apex.clone(), data.rrsets.clone());
            (StepForm::PutZone { apex, records }, *if_match)
        }
        Op::DeleteZone { apex, if_match } => {
            (StepForm::DeleteZone { apex: apex.clone() }, *if_match)
        }
        Op::PutPool {
            name,
            settings,
            if_match,
        } => {
            let settings = settings.to_document().to_string();
            let name = name.clone();
            (StepForm::PutPool { name, settings }, *if_match)
        }
        Op::DeletePool { name, if_match } => {
            (StepForm::DeletePool { name: name.clone() }, *if_match)
        }
        Op::AddDomain(add) => {
            let add = add.clone();
            let what = StepForm::AddDomain {
                pool: add.pool,
                name: add.name,
                if_absent: add.if_absent,
                fresh: add.fresh,
                registrar: add.registrar,
                expires_at: add.expires_at,
                labels: add.labels,
            };
            (what, None)
        }
        Op::PatchDomain {
            name,
            registrar,
            expires_at,
            labels,
            if_match,
        } => {
            let what = StepForm::PatchDomain {
                name: name.clone(),
                registrar: registrar.clone(),
                expires_at: *expires_at,
                labels: labels.clone(),
            };
            (what, *if_match)
        }
        Op::DeleteDomain {
            name,
            force,
            if_match,
        } => {
            let (name, force) = (name.clone(), *force);
            (StepForm::DeleteDomain { name, force }, *if_match)
        }
        Op::PutRrset {
            domain,
            rrset,
            if_match,
        } => {
            let (domain, rrset) = (domain.clone(), rrset.clone());
            (StepForm::PutRrset { domain, rrset }, *if_match)
        }
        Op::DeleteRrset {
            domain,
            owner,
            rtype,
            if_match,
        } => {
            let what = StepForm::DeleteRrset {
                domain: domain.clone(),
                owner: owner.clone(),
                rtype: *rtype,
            };
            (what, *if_match)
        }
        Op::Transition {
            name,
            to,
            force,
            if_match,
        } => {
            let what = StepForm::Transition {
                name: name.clone(),
                to: *to,
                force: *force,
            };
            (what, *if_match)
        }
        Op::Suspend {
            name,
            answer,
            until,
            if_match,
        } => {
            let what = StepForm::Suspend {
                name: name.clone(),
                answer: *answer,
                until: *until,
            };
            (what, *if_match)
        }
        Op::Resume { name, if_match } => (StepForm::Resume { name: name.clone() }, *if_match),
        Op::Hold { name, if_match } => (StepForm::Hold { name: name.clone() }, *if_match),
        Op::Unhold { name, if_match } => (StepForm::Unhold { name: name.clone() }, *if_match),
        Op::Rotate {
            pool,
            burn,
            activate,
            if_match,
        } => {
            let what = StepForm::Rotate {
                pool: pool.clone(),
                burn: burn.clone(),
                activate: *activate,
            };
            (what, *if_match)
        }
        // What was seen is said when it was, and the engine's own steps come when they are due.
        Op::Observe { .. }
        | Op::HostApplied { .. }
        | Op::HostDeferrals { .. }
        | Op::RotateAged { .. }
        | Op::AdoptAnew { .. }
        | Op::StagePool { .. }
        | Op::Act { .. }
        | Op::Schedule { .. }
        | Op::Scheduled { .. }
        | Op::FailScheduled { .. }
        | Op::Undo { .. } => return None,
    };
    let if_match = if_match.map(|wanted| match wanted {
        IfMatch::Any => MatchForm::Any,
        IfMatch::Revision(revision) => MatchForm::Revision(revision),
        IfMatch::Never => MatchForm::Never,
    });
    Some(StepRecord { what, if_match })
}

/// Returns steps as they are made; says why one cannot be read.
pub(super) fn ops_of(steps: &[StepRecord]) -> Result<Vec<Op>, String> {
    steps.iter().map(op_of).collect()
}

/// Returns a step as it is made; says why it cannot be read.
fn op_of(step: &StepRecord) -> Result<Op, String> {
    let if_match = step.if_match.map(|wanted| match wanted {
        MatchForm::Any => IfMatch::Any,
        MatchForm::Revision(revision) => IfMatch::Revision(revision),
        MatchForm::Never => IfMatch::Never,
    });
    Ok(match step.what.clone() {
        StepForm::PutZone { apex, records } => Op::PutZone {
            data: ZoneData {
                apex: apex.clone(),
                rrsets: records,
                warnings: Vec::new(),
            },
            apex,
            if_match,
        },
        StepForm::DeleteZone { apex } => Op::DeleteZone { apex, if_match },
        StepForm::PutPool { name, settings } => Op::PutPool {
            settings: Box::new(read_settings(&settings)?),
            name,
            if_match,
        },
        StepForm::DeletePool { name } => Op::DeletePool { name, if_match },
        StepForm::AddDomain {
            pool,
            name,
            if_absent,
            fresh,
            registrar,
            expires_at,
            labels,
        } => Op::AddDomain(AddDomain {
            pool,
            name,
            if_absent,
            fresh,
            registrar,
            expires_at,
            labels,
        }),
        StepForm::PatchDomain {
            name,
            registrar,
            expires_at,
            labels,
        } => Op::PatchDomain {
            name,
            registrar,
            expires_at,
            labels,
            if_match,
        },
        StepForm::DeleteDomain { name, force } => Op::DeleteDomain {
            name,
            force,
            if_match,
        },
        StepForm::PutRrset { domain, rrset } => Op::PutRrset {
            domain,
            rrset,
            if_match,
        },
        StepForm::DeleteRrset {
            domain,
            owner,
            rtype,
        } => Op::DeleteRrset {
            domain,
            owner,
            rtype,
            if_match,
        },
        StepForm::Transition { name, to, force } => Op::Transition {
            name,
            to,
            force,
            if_match,
        },
        StepForm::Suspend {
            name,
            answer,
            until,
        } => Op::Suspend {
            name,
            answer,
            until,
            if_match,
        },
        StepForm::Resume { name } => Op::Resume { name, if_match },
        StepForm::Hold { name } => Op::Hold { name, if_match },
        StepForm::Unhold { name } => Op::Unhold { name, if_match },
        StepForm::Rotate {
            pool,
            burn,
            activate,
        } => Op::Rotate {
            pool,
            burn,
            activate,
            if_match,
        },
    })
}

/// Reads settings as they are stored.
pub(super) fn read_settings(text: &str) -> Result<PoolSettings, String> {
    let document = serde_json::from_str(text).map_err(|error| error.to_string())?;
    PoolSettings::from_stored(&document).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        faults.join("; ")
    })
}
