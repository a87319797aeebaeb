//! Which step a domain may take, and what it has to wait for.

use std::fmt;

use super::LifecycleState;
use crate::clock::Timestamp;

/// What a pool wants to be sure of before a domain of it becomes active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Every parent server delegates to us.
    pub delegated: bool,
    /// Every parent server has the DS of our key.
    pub secured: bool,
    /// Every mail host answers and accepts the domain.
    pub mail_ready: bool,
}

/// Whether a step is taken although it is not known to be safe yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// Rules and unknowns hold the step back.
    No,
    /// The operator takes the step knowingly and says why.
    Yes,
}

/// One rule that a step waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingFor {
    /// The rule's name.
    pub rule: &'static str,
    /// What is missing, in words.
    pub what: String,
    /// The earliest moment at which it can hold, where that is known.
    pub not_before: Option<Timestamp>,
}

/// What a permitted step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The domain stands there already.
    None,
    /// The domain moves at once.
    Now,
}

/// Why a step is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No such step leads from one state to the other, forced or not.
    Impossible(String),
    /// Rules hold it back; force would not wait for them.
    TooEarly(Vec<WaitingFor>),
}

/// Says whether a domain may move from one state to another.
///
/// Nothing watches the outside, so what a pool's readiness asks for stays unknown, and unknown
/// waits: the step is taken at once where the pool asks for nothing, else by force alone.
///
/// # Errors
///
/// Says what the step waits for, or that there is none.
pub fn transition(
    from: LifecycleState,
    to: LifecycleState,
    readiness: Readiness,
    force: Force,
) -> Result<Step, Refused> {
    use LifecycleState::{Active, Draining, Released, Retired, Standby};
    match (from, to) {
        (from, to) if from == to => Ok(Step::None),
        (Standby, Active) => wait(activation(readiness), force),
        (Active, Standby) => wait(recall(readiness), force),
        (_, Draining | Retired | Released) | (Draining | Retired | Released, _) => {
            Err(Refused::Impossible(format!(
                "this release moves domains between standby and active only, not from {from} to \
                 {to}"
            )))
        }
        (Standby, Standby) | (Active, Active) => Ok(Step::None),
    }
}

/// Takes the step if nothing is waited for, or by force.
fn wait(rules: Vec<WaitingFor>, force: Force) -> Result<Step, Refused> {
    if rules.is_empty() || force == Force::Yes {
        Ok(Step::Now)
    } else {
        Err(Refused::TooEarly(rules))
    }
}

/// Returns what the pool asks for before a domain becomes active.
fn activation(readiness: Readiness) -> Vec<WaitingFor> {
    let rules = [
        (
            readiness.delegated,
            "A1",
            "NS records for this server at every parent server are not observed \
             (readiness.delegated)",
        ),
        (
            readiness.secured,
            "A3",
            "the DS of the domain's key at every parent server is not observed (readiness.secured)",
        ),
        (
            readiness.mail_ready,
            "A4",
            "the mail hosts are not observed to accept the domain (readiness.mail_ready)",
        ),
    ];
    let unknown = rules.into_iter().filter(|(asked, ..)| *asked);
    unknown
        .map(|(_, rule, what)| WaitingFor {
            rule,
            what: what.to_owned(),
            not_before: None,
        })
        .collect()
}

/// Returns what holds back a domain that is to stand by again.
///
/// Its mail would be answered "later": nobody may have been given an address in it. Where the pool
/// asks for no readiness it is being tried out, and the operator's word is enough.
fn recall(readiness: Readiness) -> Vec<WaitingFor> {
    let asks_nothing = !(readiness.delegated || readiness.secured || readiness.mail_ready);
    let unknown = WaitingFor {
        rule: "T2",
        what: "it is not known that no address in the domain was handed out".to_owned(),
        not_before: None,
    };
    if asks_nothing {
        Vec::new()
    } else {
        vec![unknown]
    }
}

impl fmt::Display for WaitingFor {
    /// Writes `A1: what is missing, not before …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)?;
        match self.not_before {
            Some(moment) => write!(f, ", not before {moment}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFF: Readiness = Readiness {
        delegated: false,
        secured: false,
        mail_ready: false,
    };

    #[test]
    fn a_pool_that_asks_for_nothing_moves_domains_at_once() {
        use LifecycleState::{Active, Standby};

        assert_eq!(transition(Standby, Active, OFF, Force::No), Ok(Step::Now));
        assert_eq!(transition(Active, Standby, OFF, Force::No), Ok(Step::Now));
        assert_eq!(transition(Active, Active, OFF, Force::No), Ok(Step::None));
    }

    #[test]
    fn what_is_asked_for_and_unknown_waits_and_is_named() {
        let readiness = Readiness {
            secured: true,
            ..OFF
        };

        let refused = transition(
            LifecycleState::Standby,
            LifecycleState::Active,
            readiness,
            Force::No,
        );

        let Err(Refused::TooEarly(rules)) = refused else {
            panic!("expected to wait, found {refused:?}");
        };
        let names: Vec<_> = rules.iter().map(|rule| rule.rule).collect();
        assert_eq!(names, ["A3"]);
    }

    #[test]
    fn force_skips_what_is_unknown() {
        let all = Readiness {
            delegated: true,
            secured: true,
            mail_ready: true,
        };

        let step = transition(
            LifecycleState::Standby,
            LifecycleState::Active,
            all,
            Force::Yes,
        );

        assert_eq!(step, Ok(Step::Now));
    }

    #[test]
    fn force_leads_to_no_state_that_is_not_built() {
        let step = transition(
            LifecycleState::Active,
            LifecycleState::Retired,
            OFF,
            Force::Yes,
        );

        assert!(matches!(step, Err(Refused::Impossible(_))));
    }
}
