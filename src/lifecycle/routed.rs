//! What the mail hosts may accept for a domain.

use serde::{Deserialize, Serialize};

use super::LifecycleState;
use crate::clock::Timestamp;
use crate::mail::{Route, RoutingAnswer};

/// A domain that takes no mail for a while: for abuse and for accidents; DNS stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// What its mail is answered: `later` or `never`.
    pub answer: RoutingAnswer,
    /// Since when.
    pub since: Timestamp,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
    /// Why.
    pub reason: String,
}

/// Says what the mail hosts may accept for a domain.
///
/// `answers` is whether the hosts still answer for a retired one (L8). Standby domains are answered
/// "later", never with a 5xx, which senders remember (L6); postmaster and abuse are accepted
/// wherever the MX is real (RFC 5321, section 4.5.1; RFC 2142, section 4).
pub fn route(
    state: LifecycleState,
    suspension: Option<&Suspension>,
    answers: bool,
    subdomains: bool,
) -> Route {
    let (answer, postmaster) = match state {
        LifecycleState::Standby => (RoutingAnswer::Later, true),
        LifecycleState::Active | LifecycleState::Draining => match suspension {
            Some(suspension) => (suspension.answer, true),
            None => (RoutingAnswer::Accept, true),
        },
        LifecycleState::Retired | LifecycleState::Released if answers => {
            (RoutingAnswer::Never, false)
        }
        LifecycleState::Retired | LifecycleState::Released => (RoutingAnswer::Gone, false),
    };
    Route {
        answer,
        postmaster,
        subdomains,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(state: LifecycleState, suspension: Option<&Suspension>) -> Route {
        route(state, suspension, true, false)
    }

    /// L6: a 5xx for an address that exists tomorrow is remembered.
    #[test]
    fn l6_standby_is_answered_later_and_takes_postmaster() {
        let route = answer(LifecycleState::Standby, None);
        assert_eq!(route.answer, RoutingAnswer::Later);
        assert!(route.postmaster);
    }

    #[test]
    fn a_suspension_answers_in_place_of_the_state() {
        let suspension = Suspension {
            answer: RoutingAnswer::Never,
            since: Timestamp::from_secs(1),
            until: None,
            reason: "abuse".to_owned(),
        };
        let route = answer(LifecycleState::Active, Some(&suspension));
        assert_eq!(route.answer, RoutingAnswer::Never);
        assert!(route.postmaster);
    }

    /// L8: within the horizon the host answers, afterwards it does not know the domain.
    #[test]
    fn l8_a_retired_domain_is_refused_by_name_and_then_unknown() {
        let within = route(LifecycleState::Retired, None, true, false);
        let after = route(LifecycleState::Retired, None, false, false);
        assert_eq!(within.answer, RoutingAnswer::Never);
        assert_eq!(after.answer, RoutingAnswer::Gone);
    }
}
