//! Senders: what becomes of a message, for every mix of what their caches may hold.
//!
//! A sender follows RFC 5321: the hosts of the MX in the order of preference, equal ones in any
//! order, at most five addresses (Postfix counts those that its policy forbids); DANE where TLSA
//! records are (RFC 7672), and a policy that it holds (RFC 8461). What can go wrong in one mix of
//! cached data counts as an outcome.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::dns::{Seen, Spot};
use super::hosts::MailHost;
use super::product::Reply;
use super::sts::Policy;
use super::trail::Trail;

/// What may become of a message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// It arrives.
    Delivered,
    /// It is tried again later.
    Deferred(Why),
    /// It comes back.
    Bounced(String),
    /// It goes to somebody else.
    Astray(String),
}

/// Why a message is tried again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    /// A mail host is down.
    HostDown,
    /// No name server answers.
    NoServer,
    /// A mail host says 450.
    Later,
    /// No host that the sender's policy allows takes it.
    Policy(String),
    /// No host has a key that its TLSA names.
    Dane(String),
    /// No host that has an address takes it.
    NoAddress,
}

/// How one host may meet a sender.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Meeting {
    /// It answers RCPT; `None`: it knows nothing of the domain.
    Answers(Option<Reply>),
    /// It cannot be used.
    Fails(Why),
}

/// The five addresses that a sender tries.
const ADDRESSES: usize = 5;

/// What is known of the way to the mail hosts.
pub(crate) struct Road<'w> {
    /// The domain.
    pub(crate) domain: &'w str,
    /// What caches may hold of a place, in whatever zone it lies.
    pub(crate) trail: &'w dyn Fn(&Spot) -> Option<&'w Trail<Option<Rc<Seen>>>>,
    /// The machine behind a host's name.
    pub(crate) host: &'w dyn Fn(&str) -> Option<&'w MailHost>,
    /// Now.
    pub(crate) now: u64,
}

impl Road<'_> {
    /// Returns what may become of a message over one MX RRset, for a sender with one policy or
    /// none.
    pub(crate) fn over(&self, mx: Option<&Seen>, policy: Option<&Policy>) -> BTreeSet<Outcome> {
        let mut outcomes = BTreeSet::new();
        let Some(mx) = mx else {
            outcomes.insert(Outcome::Bounced("no MX is found".to_owned()));
            return outcomes;
        };
        if mx.is_null_mx() {
            outcomes.insert(Outcome::Bounced("the null MX is found".to_owned()));
            return outcomes;
        }
        let mut tried = 0;
        let mut failures = BTreeSet::new();
        let mut may_lack_all = true;
        for group in mx.mx.chunk_by(|a, b| a.0 == b.0) {
            let hosts: Vec<(usize, BTreeSet<Meeting>)> = group
                .iter()
                .map(|(_, host)| self.meet(host, policy))
                .collect();
            let in_group: usize = hosts.iter().map(|(addresses, _)| addresses).sum();
            let mut certain = false;
            for (addresses, meetings) in hosts {
                may_lack_all &= meetings.contains(&Meeting::Fails(Why::NoAddress));
                // The others of its preference may have been tried before it.
                if tried + in_group - addresses >= ADDRESSES {
                    failures.insert(Why::NoAddress);
                    continue;
                }
                // Who is accepted, or refused for good, asks no other host.
                certain |= meetings.iter().all(|it| match it {
                    Meeting::Answers(reply) => *reply != Some(Reply::Later),
                    Meeting::Fails(_) => false,
                });
                for meeting in meetings {
                    match meeting {
                        Meeting::Answers(Some(Reply::Accept)) => {
                            outcomes.insert(Outcome::Delivered);
                        }
                        Meeting::Answers(Some(Reply::Later)) => {
                            failures.insert(Why::Later);
                        }
                        Meeting::Answers(Some(Reply::Never)) => {
                            outcomes.insert(Outcome::Bounced("a host says 556".to_owned()));
                        }
                        Meeting::Answers(None) => {
                            let text = "a host says 554 relay access denied";
                            outcomes.insert(Outcome::Bounced(text.to_owned()));
                        }
                        Meeting::Fails(why) => {
                            failures.insert(why);
                        }
                    }
                }
            }
            if certain {
                return outcomes;
            }
            tried += in_group;
        }
        if may_lack_all {
            // Postfix bounces by default (smtp_defer_if_no_mx_address_found).
            let text = "no MX has an address".to_owned();
            outcomes.insert(Outcome::Bounced(text));
        }
        outcomes.extend(failures.into_iter().map(Outcome::Deferred));
        outcomes
    }

    /// Returns how many addresses a host may have and how it may meet a sender.
    fn meet(&self, host: &str, policy: Option<&Policy>) -> (usize, BTreeSet<Meeting>) {
        let mut meetings = BTreeSet::new();
        let mut most = 0;
        let addresses = (self.trail)(&Spot::Host(host.to_owned()));
        let keys = (self.trail)(&Spot::Tlsa(host.to_owned()));
        let Some(addresses) = addresses else {
            // Nobody's zone that we know: not in this world.
            meetings.insert(Meeting::Fails(Why::NoAddress));
            return (0, meetings);
        };
        for version in addresses.cached(self.now) {
            let Some(rrset) = &version.what else {
                meetings.insert(Meeting::Fails(Why::NoAddress));
                continue;
            };
            most = most.max(rrset.records.len());
            if policy.is_some_and(|policy| !policy.allows(host)) {
                let line = format!("{host} is not in the policy that is held");
                meetings.insert(Meeting::Fails(Why::Policy(line)));
                continue;
            }
            for tlsa in keys.into_iter().flat_map(|keys| keys.cached(self.now)) {
                meetings.extend(self.boxes(host, &rrset.records, tlsa.what.as_deref()));
            }
        }
        if meetings.is_empty() {
            meetings.insert(Meeting::Fails(Why::NoServer));
        }
        (most, meetings)
    }

    /// Returns how the boxes behind a host's addresses meet a sender: the first that can be used
    /// answers, and any of them may be tried first.
    fn boxes(&self, name: &str, addresses: &[String], tlsa: Option<&Seen>) -> Vec<Meeting> {
        let host = (self.host)(name);
        let mut meetings = Vec::new();
        let mut works = false;
        for address in addresses {
            let Some((host, key)) = host.and_then(|it| Some((it, it.key_at(address)?))) else {
                meetings.push(Meeting::Fails(Why::HostDown));
                continue;
            };
            let matches = tlsa.is_none_or(|tlsa| tlsa.records.iter().any(|it| it == key));
            if !matches {
                let line = format!("the key of {name} at {address} is not in its TLSA");
                meetings.push(Meeting::Fails(Why::Dane(line)));
            } else if !host.up {
                meetings.push(Meeting::Fails(Why::HostDown));
            } else {
                works = true;
                meetings.push(Meeting::Answers(host.answer(self.domain)));
            }
        }
        if works {
            // A box that fails only costs a connection while another of the host answers.
            meetings.retain(|it| matches!(it, Meeting::Answers(_)));
        }
        meetings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host, an MX to it and what is cached of it.
    struct Place {
        host: MailHost,
        addresses: Trail<Option<Rc<Seen>>>,
        keys: Trail<Option<Rc<Seen>>>,
    }

    fn rrset(records: &[&str], mx: &[(u16, &str)]) -> Seen {
        Seen {
            ttl: 100,
            records: records.iter().map(|it| (*it).to_owned()).collect(),
            mx: mx.iter().map(|it| (it.0, it.1.to_owned())).collect(),
            expires: 0,
            signer: 0,
        }
    }

    impl Place {
        fn new() -> Self {
            let mut host = MailHost::new("mx1", vec![("aa".to_owned(), "key".to_owned())], 0);
            host.table.insert("d.test".to_owned(), Reply::Accept);
            let mut addresses = Trail::default();
            let mut keys = Trail::default();
            addresses.say(0, 0, &Some(Rc::new(rrset(&["aa"], &[]))), 100, 0);
            keys.say(0, 0, &Some(Rc::new(rrset(&["key"], &[]))), 100, 0);
            Self {
                host,
                addresses,
                keys,
            }
        }

        fn outcomes(&self, mx: Option<&Seen>, policy: Option<&str>) -> Vec<Outcome> {
            let trail = |spot: &Spot| match spot {
                Spot::Host(_) => Some(&self.addresses),
                Spot::Tlsa(_) => Some(&self.keys),
                _ => None,
            };
            let host = |_: &str| Some(&self.host);
            let road = Road {
                domain: "d.test",
                trail: &trail,
                host: &host,
                now: 50,
            };
            let policy = policy.map(Policy::read);
            road.over(mx, policy.as_ref()).into_iter().collect()
        }
    }

    fn mx() -> Seen {
        rrset(&["10 mx1.infra.test."], &[(10, "mx1.infra.test")])
    }

    #[test]
    fn a_message_arrives_where_everything_fits() {
        assert_eq!(
            Place::new().outcomes(Some(&mx()), None),
            [Outcome::Delivered]
        );
    }

    #[test]
    fn no_mx_the_null_mx_and_a_refusal_bounce() {
        let mut place = Place::new();
        let bounces = |outcomes: Vec<Outcome>| matches!(outcomes[..], [Outcome::Bounced(_)]);

        assert!(bounces(place.outcomes(None, None)));
        assert!(bounces(
            place.outcomes(Some(&rrset(&["0 ."], &[(0, "")])), None)
        ));
        place.host.table.clear();
        assert!(bounces(place.outcomes(Some(&mx()), None)));
        place.host.table.insert("d.test".to_owned(), Reply::Never);
        assert!(bounces(place.outcomes(Some(&mx()), None)));
    }

    #[test]
    fn a_policy_without_the_host_and_a_key_without_tlsa_defer() {
        let mut place = Place::new();
        let policy = "mode: enforce\nmax_age: 9\nmx: mx2.infra.test\n";

        let outcomes = place.outcomes(Some(&mx()), Some(policy));
        assert!(matches!(outcomes[..], [Outcome::Deferred(Why::Policy(_))]));

        place.host.boxes[0].1 = "other".to_owned();
        let outcomes = place.outcomes(Some(&mx()), None);
        assert!(matches!(outcomes[..], [Outcome::Deferred(Why::Dane(_))]));
    }

    #[test]
    fn a_cached_denial_of_the_only_host_bounces() {
        let mut place = Place::new();
        place.addresses.say(0, 10, &None, 100, 0);

        let outcomes = place.outcomes(Some(&mx()), None);

        assert!(outcomes.contains(&Outcome::Delivered));
        assert!(outcomes.iter().any(|it| matches!(it, Outcome::Bounced(_))));
    }
}
