//! The engine's refusals as problem documents.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::problem::{Kind, Problem};
use super::steps::{Form, Place};
use crate::document::{Fault, Pointer};
use crate::engine::{OpError, Refusal};
use crate::lifecycle::WaitingFor;

/// The most faults that one answer lists: nobody reads more, and a batch may have one a name.
const LISTED: usize = 1_000;

/// Turns the engine's refusals into one problem.
///
/// The gravest of them gives the kind; each is listed, with its place in the request.
pub(super) fn problem(errors: Vec<OpError>, place: impl Fn(usize) -> Place) -> Problem {
    let mut faults = Vec::new();
    let mut seen = HashSet::new();
    let mut gravest: Option<(Kind, &OpError)> = None;
    for error in &errors {
        let place = place(error.op);
        for fault in located(&error.refusal, &place) {
            if faults.len() < LISTED && seen.insert(fault.clone()) {
                faults.push(fault);
            }
        }
        let kind = kind(&error.refusal, &place);
        if gravest.is_none_or(|(found, _)| rank(kind) > rank(found)) {
            gravest = Some((kind, error));
        }
    }
    let Some((kind, error)) = gravest else {
        return Problem::new(Kind::Internal, "the change was refused without a reason");
    };
    let detail = detail(&faults, &error.refusal);
    let problem = Problem::new(kind, detail).with_errors(faults);
    with_facts(problem, &error.refusal)
}

/// Turns refusals of what the request's path names into a problem.
pub(super) fn of_path(refusals: Vec<OpError>) -> Problem {
    problem(refusals, |_| Place {
        step: 0,
        document: Pointer::root(),
        form: Form::Plain,
    })
}

/// Returns what kind of problem a refusal is.
fn kind(refusal: &Refusal, place: &Place) -> Kind {
    match refusal {
        Refusal::Invalid(_) | Refusal::Moment(_) => Kind::Invalid,
        // What the request's path names is not found; what its body names is wrong.
        Refusal::NotFound { .. } if place.pointer().as_str().is_empty() => Kind::NotFound,
        Refusal::NotFound { .. } => Kind::Invalid,
        Refusal::Conflict(_) | Refusal::InUse { .. } => Kind::Conflict,
        Refusal::TooEarly { .. } => Kind::TooEarly,
        Refusal::ExpectDomains { .. } => Kind::ExpectDomains,
        Refusal::PreconditionFailed { .. } => Kind::Precondition,
        Refusal::KeyReused { .. } => Kind::KeyReused,
        Refusal::TooManyKeys { .. } => Kind::TooManyKeys,
        Refusal::NoRoom(_) => Kind::TooManyScheduled,
        Refusal::Clock(_) | Refusal::Stopping => Kind::Unavailable,
        Refusal::StoreFull(_) => Kind::StoreFull,
        Refusal::Internal(_) => Kind::Internal,
    }
}

/// Orders kinds by how much they say of the whole request.
fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::Internal | Kind::StoreFull | Kind::Unavailable => 5,
        Kind::KeyReused | Kind::TooManyKeys | Kind::TooManyScheduled | Kind::Precondition => 4,
        Kind::Invalid => 3,
        Kind::NotFound => 2,
        _ => 1,
    }
}

/// Returns the faults of a refusal, as the request's document has them.
fn located(refusal: &Refusal, place: &Place) -> Vec<Fault> {
    match refusal {
        Refusal::Invalid(faults) => {
            let faults = faults.iter().cloned();
            faults.map(|fault| place.locate(fault)).collect()
        }
        Refusal::InUse { settings, .. } => {
            let settings = settings.iter().cloned();
            settings.map(|fault| place.locate(fault)).collect()
        }
        Refusal::NotFound { kind, .. } => vec![place.missing(kind, refusal.to_string())],
        Refusal::Conflict(_) | Refusal::TooEarly { .. } => {
            vec![Fault::new(place.pointer().as_str(), refusal.to_string())]
        }
        // It belongs to the change as a whole, wherever its steps stand.
        Refusal::Moment(_) => vec![Fault::new("/at", refusal.to_string())],
        // These concern the request, not a field of its document.
        Refusal::ExpectDomains { .. }
        | Refusal::PreconditionFailed { .. }
        | Refusal::KeyReused { .. }
        | Refusal::TooManyKeys { .. }
        | Refusal::NoRoom(_)
        | Refusal::Clock(_)
        | Refusal::StoreFull(_)
        | Refusal::Internal(_)
        | Refusal::Stopping => Vec::new(),
    }
}

/// Says in words what is wrong: the gravest refusal, and how much else there is.
fn detail(faults: &[Fault], gravest: &Refusal) -> String {
    let first = match gravest {
        Refusal::Invalid(_) => faults.first().map(ToString::to_string),
        Refusal::InUse { settings, .. } => {
            let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
            Some(format!("{gravest}: {}", settings.join("; ")))
        }
        _ => None,
    };
    let first = first.unwrap_or_else(|| gravest.to_string());
    match faults.len() {
        0 | 1 => first,
        _ if matches!(gravest, Refusal::InUse { .. }) => first,
        more => format!("{first} (and {} more)", more - 1),
    }
}

/// Adds the facts that some refusals are about.
fn with_facts(problem: Problem, refusal: &Refusal) -> Problem {
    match refusal {
        Refusal::TooEarly {
            not_before,
            waiting_for,
        } => problem
            .with(
                "not_before",
                json!(not_before.map(|moment| moment.to_string())),
            )
            .with("waiting_for", waiting(waiting_for)),
        Refusal::ExpectDomains { touched, .. } => problem.with("domains", json!(touched)),
        _ => problem,
    }
}

/// Returns the rules that a step waits for.
pub(super) fn waiting(rules: &[WaitingFor]) -> Value {
    let rules = rules.iter().map(|rule| {
        json!({
            "rule": rule.rule,
            "what": rule.what,
            "not_before": rule.not_before.map(|moment| moment.to_string()),
        })
    });
    rules.collect()
}
