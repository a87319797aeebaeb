//! What the world showed of a domain, or the operator said of it.

use serde::{Deserialize, Serialize};

use crate::clock::{Span, Timestamp};
use crate::history::Departures;
use crate::wire::{Serial, Ttl};

/// What the world showed of one domain; what is absent is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Whose NS every parent server shows.
    pub ns: Option<Sight<NsSeen>>,
    /// When NS of others were last seen at a parent server, and the longest TTL of what led there.
    pub other_ns: Option<(Timestamp, Ttl)>,
    /// Which DS every parent server shows.
    pub ds: Option<Sight<DsSeen>>,
    /// When a DS that matches none of our keys was last seen.
    pub foreign_ds: Option<Timestamp>,
    /// What was measured at the parent's servers.
    pub parent: ParentTimes,
    /// The newest content that all listed servers were seen to serve, and since when.
    pub published: Option<(Serial, Timestamp)>,
    /// What the mail hosts showed.
    pub mail: Option<MailSight>,
    /// The id of the policy whose text every policy host was seen to serve, and since when.
    pub policy: Option<Sight<String>>,
    /// Queries for the MX in a day at all listed servers, and when that was known.
    pub queries: Option<(u64, Timestamp)>,
    /// When a listed server, a mail host or its TLS last made anybody defer.
    pub deferred: Option<Timestamp>,
    /// Whether the listed servers answer, and since when they do or do not.
    pub servers: Option<(ServersSeen, Timestamp)>,
    /// When none of them answered last.
    pub outage: Option<Timestamp>,
    /// When every listed server had left behind what went off.
    pub departures: Departures,
}

/// Something that was seen: what, since when without a break, and when last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight<T> {
    /// What was seen.
    pub what: T,
    /// Since when.
    pub since: Timestamp,
    /// When last.
    pub at: Timestamp,
}

/// Which listed servers answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServersSeen {
    /// All.
    All,
    /// Some do not.
    Some,
    /// None does: caches that serve stale data do so (RFC 8767).
    None,
}

/// Whose NS the parent's servers show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NsSeen {
    /// Ours, at every one of them.
    Ours,
    /// Others, or others too.
    Others,
    /// None, at every one of them.
    Gone,
}

/// Which DS the parent's servers show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DsSeen {
    /// That of our key, at every one of them, and no other.
    Ours,
    /// None.
    Absent,
    /// One that matches none of our keys.
    Foreign,
}

/// What was measured at the parent's servers; the largest value seen counts (K24).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParentTimes {
    /// The TTL of the delegation's NS.
    pub ns_ttl: Option<Ttl>,
    /// The TTL of the DS.
    pub ds_ttl: Option<Ttl>,
    /// The TTL of denials: of the name before it was registered, of the DS before it was there.
    pub negative_ttl: Option<Ttl>,
    /// How long a change takes to all of its servers: its SOA's refresh.
    pub refresh: Option<Span>,
}

/// What the mail hosts of a domain showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailSight {
    /// Since when every host is seen ready, without a break; `None` while one is not.
    pub green_since: Option<Timestamp>,
    /// When they were last looked at.
    pub at: Timestamp,
}

/// Something that was seen or said of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Whose NS every parent server shows, and the longest TTL of NS and addresses that lead there.
    Ns(NsSeen, Option<Ttl>),
    /// Which DS every parent server shows.
    Ds(DsSeen),
    /// The parent's servers show different NS: what was known of them holds no more.
    NsDiffer,
    /// The parent's servers show different DS: what was known of them holds no more.
    DsDiffer,
    /// TTLs at the parent.
    Parent(ParentTimes),
    /// The oldest serial that a listed server serves; all answer.
    Published(Serial),
    /// Whether every mail host is ready for the domain.
    Mail(bool),
    /// The id of the policy whose text every policy host serves.
    Policy(String),
    /// Queries for the MX in a day at all listed servers.
    Queries(u64),
    /// Something of ours made somebody defer.
    Deferral,
    /// Which listed servers answer, where not all do.
    Servers(ServersSeen),
}

impl Observed {
    /// Takes in what was seen at a moment. What is said of a moment before the last look, and that
    /// look saw otherwise, begins with the look.
    pub fn learn(&mut self, fact: &Fact, at: Timestamp) {
        match fact {
            Fact::Ns(seen, ttl) => {
                if *seen == NsSeen::Others {
                    let ttl = ttl.unwrap_or(Ttl::from_secs(UNMEASURED_DELEGATION));
                    let ttl = ttl.min(Ttl::from_secs(LONGEST_KEPT));
                    let longest = self.other_ns.map_or(ttl, |(_, known)| known.max(ttl));
                    self.other_ns = Some((at, longest));
                }
                renew(&mut self.ns, *seen, at);
            }
            Fact::Ds(seen) => {
                if *seen == DsSeen::Foreign {
                    self.foreign_ds = self.foreign_ds.max(Some(at));
                }
                renew(&mut self.ds, *seen, at);
            }
            // A delegation that was gone and is back at one server is gone no more (I8), and one
            // that left some servers is not everywhere (A1).
            Fact::NsDiffer => self.ns = None,
            Fact::DsDiffer => self.ds = None,
            Fact::Parent(times) => self.parent.widen(times),
            Fact::Published(serial) => {
                let newer = self
                    .published
                    .is_none_or(|(known, _)| serial.is_newer_than(known));
                if newer {
                    self.published = Some((*serial, at));
                }
                self.answered(ServersSeen::All, at);
            }
            Fact::Mail(true) => {
                let since = self.mail.and_then(|mail| mail.green_since);
                // An outage ends when it is seen to end: senders were deferred until then (R2).
                if self.mail.is_some() && since.is_none() {
                    self.deferred = self.deferred.max(Some(at));
                }
                let last = self.mail.map_or(at, |mail| mail.at.max(at));
                self.mail = Some(MailSight {
                    green_since: since.or(Some(last)),
                    at: last,
                });
            }
            Fact::Mail(false) => {
                self.deferred = self.deferred.max(Some(at));
                self.mail = Some(MailSight {
                    green_since: None,
                    at: self.mail.map_or(at, |mail| mail.at.max(at)),
                });
            }
            Fact::Policy(id) => renew(&mut self.policy, id.clone(), at),
            Fact::Queries(number) => {
                if self.queries.is_none_or(|(_, known)| known <= at) {
                    self.queries = Some((*number, at));
                }
            }
            Fact::Deferral => self.deferred = self.deferred.max(Some(at)),
            Fact::Servers(seen) => self.answered(*seen, at),
        }
    }

    /// Returns until when caches may serve what expired, because no listed server answered them when that
    /// was last seen.
    pub fn stale_until(&self) -> Option<Timestamp> {
        Some(self.outage?.saturating_add(STALE))
    }

    /// Notes which listed servers answer.
    fn answered(&mut self, seen: ServersSeen, at: Timestamp) {
        // An outage ends when it is seen to end; until then nobody found the MX (R2).
        let was = self.servers.map(|(was, _)| was);
        if [Some(seen), was].contains(&Some(ServersSeen::None)) {
            self.outage = self.outage.max(Some(at));
            self.deferred = self.deferred.max(Some(at));
        }
        // Seen again is nothing new: it would cost a write each time.
        if was != Some(seen) {
            self.servers = Some((seen, at));
        }
    }
}

/// How long caches may serve what expired when no server answers them (RFC 8767, section 5).
const STALE: std::time::Duration = std::time::Duration::from_secs(3 * 86_400);

/// The TTL of a delegation that nobody measured: what com and net give theirs.
pub(super) const UNMEASURED_DELEGATION: u32 = 172_800;

/// How long anything is kept at most, whatever its TTL says: resolvers are to cut it to seven days (RFC
/// 8767, section 4). The largest TTL seen counts for good, so that one server with a wrong number, or a
/// former owner with a wish to harm, would hold a domain back for 68 years.
const LONGEST_KEPT: u32 = 604_800;

/// Notes that something was seen, since then or again.
fn renew<T: PartialEq>(sight: &mut Option<Sight<T>>, what: T, at: Timestamp) {
    match sight {
        Some(known) if known.what == what => known.at = known.at.max(at),
        _ => {
            let at = sight.as_ref().map_or(at, |known| known.at.max(at));
            *sight = Some(Sight {
                what,
                since: at,
                at,
            });
        }
    }
}

impl ParentTimes {
    /// Takes in what was measured; the largest seen counts, as far as anybody goes by it.
    fn widen(&mut self, other: &Self) {
        let kept = |ttl: Option<Ttl>| ttl.map(|ttl| ttl.min(Ttl::from_secs(LONGEST_KEPT)));
        let refresh = other.refresh;
        let refresh = refresh.map(|refresh| refresh.min(Span::from_secs(LONGEST_KEPT)));
        self.ns_ttl = self.ns_ttl.max(kept(other.ns_ttl));
        self.ds_ttl = self.ds_ttl.max(kept(other.ds_ttl));
        self.negative_ttl = self.negative_ttl.max(kept(other.negative_ttl));
        self.refresh = self.refresh.max(refresh);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    #[test]
    fn what_is_seen_again_keeps_its_first_moment() {
        let mut observed = Observed::default();
        observed.learn(&Fact::Ns(NsSeen::Ours, None), at(10));
        observed.learn(&Fact::Ns(NsSeen::Ours, None), at(20));

        let ns = observed.ns.unwrap();
        assert_eq!((ns.since, ns.at), (at(10), at(20)));
    }

    #[test]
    fn what_is_seen_otherwise_begins_anew() {
        let mut observed = Observed::default();
        observed.learn(&Fact::Mail(true), at(10));
        observed.learn(&Fact::Mail(false), at(20));
        observed.learn(&Fact::Mail(true), at(30));

        assert_eq!(observed.mail.unwrap().green_since, Some(at(30)));
    }

    #[test]
    fn i8_a1_what_was_seen_otherwise_since_cannot_be_said_of_before() {
        let mut observed = Observed::default();
        observed.learn(&Fact::Ns(NsSeen::Ours, None), at(20));
        observed.learn(&Fact::Ns(NsSeen::Gone, None), at(10));
        observed.learn(&Fact::Mail(false), at(20));
        observed.learn(&Fact::Mail(false), at(5));
        observed.learn(&Fact::Mail(true), at(10));
        observed.learn(&Fact::Queries(500), at(20));
        observed.learn(&Fact::Queries(0), at(10));

        assert_eq!(observed.queries, Some((500, at(20))));
        let ns = observed.ns.unwrap();
        assert_eq!((ns.what, ns.since), (NsSeen::Gone, at(20)));
        assert_eq!(observed.mail.unwrap().green_since, Some(at(20)));
    }

    /// I8: a delegation that comes back at one server of the parent is gone no more.
    #[test]
    fn i8_what_servers_differ_in_is_unknown_and_begins_anew() {
        let mut observed = Observed::default();
        observed.learn(&Fact::Ns(NsSeen::Gone, None), at(10));
        observed.learn(&Fact::Ds(DsSeen::Foreign), at(10));
        observed.learn(&Fact::NsDiffer, at(20));
        observed.learn(&Fact::DsDiffer, at(20));

        assert_eq!((&observed.ns, &observed.ds), (&None, &None));
        assert_eq!(observed.foreign_ds, Some(at(10)));
        observed.learn(&Fact::Ns(NsSeen::Gone, None), at(30));
        assert_eq!(observed.ns.unwrap().since, at(30));
    }

    /// K24: each registry has TTLs of its own, and the largest seen counts.
    #[test]
    fn k24_the_largest_ttl_seen_counts() {
        let mut observed = Observed::default();
        let measured = |seconds| {
            Fact::Parent(ParentTimes {
                ns_ttl: Some(Ttl::from_secs(seconds)),
                ..ParentTimes::default()
            })
        };
        observed.learn(&measured(3_600), at(1));
        observed.learn(&measured(60), at(2));

        assert_eq!(observed.parent.ns_ttl, Some(Ttl::from_secs(3_600)));
    }

    /// K24: what one server said once held the domain back for 68 years.
    #[test]
    fn k24_no_ttl_counts_for_longer_than_anybody_keeps_anything() {
        let most = Ttl::from_secs(i32::MAX as u32);
        let mut observed = Observed::default();
        observed.learn(&Fact::Ns(NsSeen::Others, Some(most)), at(1));
        observed.learn(
            &Fact::Parent(ParentTimes {
                ns_ttl: Some(most),
                ds_ttl: Some(most),
                negative_ttl: Some(most),
                refresh: Some(Span::from_secs(u32::MAX)),
            }),
            at(1),
        );

        let week = Some(Ttl::from_secs(7 * 86_400));
        assert_eq!(observed.other_ns.map(|(_, ttl)| ttl), week);
        let parent = observed.parent;
        assert_eq!(
            [parent.ns_ttl, parent.ds_ttl, parent.negative_ttl],
            [week; 3]
        );
        assert_eq!(parent.refresh, Some(Span::from_secs(7 * 86_400)));
    }

    #[test]
    fn a_foreign_ds_is_remembered_after_it_is_gone() {
        let mut observed = Observed::default();
        observed.learn(&Fact::Ds(DsSeen::Foreign), at(10));
        observed.learn(&Fact::Ds(DsSeen::Ours), at(20));

        assert_eq!(observed.foreign_ds, Some(at(10)));
        assert_eq!(observed.ds.unwrap().what, DsSeen::Ours);
    }
}
