//! What a parent's servers show: honest, lying, silent, split.

use std::sync::Mutex;

use super::name_server::{NameServers, Say, Script};
use super::*;
use crate::clock::Span;
use crate::lifecycle::About;
use crate::lifecycle::{DsSeen, Fact, NsSeen, ParentQuestion, ParentTimes, Question, Urgency};
use crate::watch::parent::Parents;
use crate::watch::resolver::Resolvers;
use crate::wire::{Rcode, Rdata, Rtype, Section, Ttl, ds_digest, key_tag};

/// What one server of the parent shows of the domain.
#[derive(Clone)]
enum Shows {
    /// A delegation to these, with these DS.
    Delegates(&'static [&'static str], Vec<Rdata>),
    /// No such name.
    NoName,
    /// Nothing.
    Silence,
    /// That it is not the server for this.
    Refuses,
    /// A referral to somebody above: it does not know the zone.
    Lame,
    /// The child's own answer: it has both zones; the parent does not delegate.
    ChildAlone,
}

/// Our DNSKEY data.
fn key() -> Rdata {
    Rdata::dnskey(257, 13, &[7; 64])
}

/// The DS of our key, or of another one.
fn ds(of: &Rdata) -> Rdata {
    let digest = ds_digest(&name("burner.example"), of.as_wire());
    Rdata::ds(key_tag(of.as_wire()), 13, 2, &digest)
}

/// The DS of a key that is not ours.
fn foreign_ds() -> Rdata {
    ds(&Rdata::dnskey(257, 13, &[8; 64]))
}

/// Returns data that is a name.
fn data(host: &str) -> Rdata {
    Rdata::from_wire(Rtype::NS, name(host).as_wire()).unwrap()
}

impl Shows {
    /// Says so.
    fn say(&self, qname: &Name, qtype: Rtype) -> Say {
        let zone = name("example");
        let burner = name("burner.example");
        let denial = || Say::own().soa(Section::Authority, &zone, 900, [1, 7_200, 600]);
        if *qname == zone && qtype == Rtype::SOA {
            return Say::own().soa(Section::Answer, &zone, 900, [1, 7_200, 600]);
        }
        if *qname != burner {
            return Say::code(Rcode::REFUSED);
        }
        match (self, qtype) {
            (Self::Delegates(servers, _), Rtype::NS) => {
                servers.iter().fold(Say::default(), |say, server| {
                    say.with(Section::Authority, &burner, Rtype::NS, 3_600, data(server))
                })
            }
            (Self::Delegates(_, ds), Rtype::DS) if ds.is_empty() => denial(),
            (Self::Delegates(_, ds), Rtype::DS) => ds.iter().fold(Say::own(), |say, ds| {
                say.with(Section::Answer, &burner, Rtype::DS, 1_800, ds.clone())
            }),
            (Self::NoName, _) | (Self::ChildAlone, Rtype::DS) => denial().no_such_name(),
            (Self::ChildAlone, Rtype::NS) => {
                let ns = data("ns1.infra.example");
                Say::own().with(Section::Answer, &burner, Rtype::NS, 60, ns)
            }
            (Self::Refuses, _) => Say::code(Rcode::REFUSED),
            (Self::Lame, _) => {
                let root = Name::root();
                let ns = data("a.root.example");
                Say::default().with(Section::Authority, &root, Rtype::NS, 60, ns)
            }
            (Self::Silence, _) | (_, _) => Say::nothing(),
        }
    }
}

/// A parent zone `example` with servers, and a resolver that knows them.
struct World {
    /// The resolver is number 1; the parent's servers begin at 11.
    servers: NameServers,
    /// What asks.
    parents: Parents,
    /// What each server of the parent shows.
    shows: Arc<Mutex<Vec<Shows>>>,
    /// The time.
    clock: Arc<ManualClock>,
}

impl World {
    /// Starts servers that show something.
    async fn start(shows: Vec<Shows>) -> Self {
        let count = shows.len() as u8;
        let shows = Arc::new(Mutex::new(shows));
        let resolver: Script = Box::new(move |qname: &Name, qtype, _| {
            let zone = name("example");
            if *qname == zone && qtype == Rtype::NS {
                return (0..count).fold(Say::default(), |say, index| {
                    let server = data(&format!("p{index}.nic.example"));
                    say.with(Section::Answer, &zone, Rtype::NS, 60, server)
                });
            }
            let index = (0..count).find(|index| *qname == name(&format!("p{index}.nic.example")));
            match (index, qtype) {
                (Some(index), Rtype::A) => {
                    let address = Rdata::a(Ipv4Addr::new(127, 0, 0, 11 + index));
                    Say::default().with(Section::Answer, qname, Rtype::A, 60, address)
                }
                _ if *qname == name("ns.parking.example") && qtype == Rtype::A => {
                    let address = Rdata::a(Ipv4Addr::new(127, 0, 0, 2));
                    Say::default().with(Section::Answer, qname, Rtype::A, 60, address)
                }
                _ => Say::default(),
            }
        });
        // The parking server gives its MX a longer TTL than the parent its NS.
        let parking: Script = Box::new(|qname: &Name, qtype, _| match qtype {
            Rtype::MX => {
                let mx = Rdata::mx(10, &name("mx.parking.example"));
                Say::own().with(Section::Answer, qname, Rtype::MX, 86_400, mx)
            }
            _ => Say::own(),
        });
        let mut scripts = vec![(1, resolver), (2, parking)];
        for index in 0..count {
            let shows = shows.clone();
            let script: Script = Box::new(move |qname: &Name, qtype, _| {
                let shows = shows.lock().unwrap()[usize::from(index)].clone();
                shows.say(qname, qtype)
            });
            scripts.push((11 + index, script));
        }
        let servers = NameServers::start(scripts).await;
        let mut config = config(servers.at(1));
        config.ports.dns = servers.port;
        let patience = config.limits.dns_timeout;
        let resolvers = Arc::new(Resolvers::new(config.resolvers.clone(), patience));
        let clock = clock();
        Self {
            parents: Parents::new(&config, resolvers, clock.clone()),
            servers,
            shows,
            clock,
        }
    }

    /// Asks, knowing what was seen last.
    async fn look(&self, urgency: Urgency, known: (Option<NsSeen>, Option<DsSeen>)) -> Vec<Fact> {
        let wanted = ParentQuestion {
            name_servers: vec![name("ns1.infra.example"), name("ns2.infra.example")],
            keys: vec![key()],
            known_ns: known.0,
            known_ds: known.1,
        };
        let question = Question {
            name: apex("burner.example"),
            urgency,
            about: About::Parent(wanted.clone()),
        };
        self.parents.look(&question, &wanted).await
    }

    /// Returns which of the parent's servers were asked for the delegation.
    fn asked(&self) -> Vec<u8> {
        let burner = name("burner.example");
        let mut asked = self.servers.asked_for(&burner, Rtype::NS);
        asked.retain(|last| *last >= 11);
        asked
    }
}

/// The delegation as it should be.
fn ours() -> Shows {
    Shows::Delegates(
        &["ns1.infra.example", "ns2.infra.example"],
        vec![ds(&key())],
    )
}

/// Returns what servers together show, without TTLs.
async fn seen(shows: Vec<Shows>) -> (Option<NsSeen>, Option<DsSeen>) {
    let world = World::start(shows).await;
    let facts = world.look(Urgency::Waiting, (None, None)).await;
    let ns = facts.iter().find_map(|fact| match fact {
        Fact::Ns(seen, _) => Some(*seen),
        _ => None,
    });
    let ds = facts.iter().find_map(|fact| match fact {
        Fact::Ds(seen) => Some(*seen),
        _ => None,
    });
    (ns, ds)
}

/// K24: what a registry's caches do is measured at its own servers.
#[tokio::test]
async fn k24_every_server_agrees_and_its_ttls_are_measured() {
    let world = World::start(vec![ours(), ours(), ours()]).await;

    let facts = world.look(Urgency::Waiting, (None, None)).await;

    let times = ParentTimes {
        ns_ttl: Some(Ttl::from_secs(3_600)),
        ds_ttl: Some(Ttl::from_secs(1_800)),
        // The lesser of the SOA's TTL and its last number.
        negative_ttl: Some(Ttl::from_secs(600)),
        refresh: Some(Span::from_secs(7_200)),
    };
    let wanted = [
        Fact::Parent(times),
        Fact::Ns(NsSeen::Ours, None),
        Fact::Ds(DsSeen::Ours),
    ];
    assert_eq!(facts, wanted);
    assert_eq!(world.asked(), [11, 12, 13]);
}

#[tokio::test]
async fn a_silent_lame_or_refusing_server_leaves_it_unknown() {
    for shows in [Shows::Silence, Shows::Refuses, Shows::Lame] {
        assert_eq!(seen(vec![ours(), shows, ours()]).await, (None, None));
    }
    assert_eq!(seen(vec![Shows::Silence]).await, (None, None));
}

#[tokio::test]
async fn servers_that_differ_leave_it_unknown() {
    let without_ds = Shows::Delegates(&["ns1.infra.example"], vec![]);

    assert_eq!(seen(vec![ours(), Shows::NoName]).await, (None, None));
    // One of our servers alone is ours all the same.
    let seen = seen(vec![ours(), without_ds]).await;
    assert_eq!(seen, (Some(NsSeen::Ours), None));
}

/// I8: gone is what every server says, in the parent's own name.
#[tokio::test]
async fn i8_a_delegation_is_gone_when_every_server_denies_it() {
    let gone = (Some(NsSeen::Gone), Some(DsSeen::Absent));

    assert_eq!(seen(vec![Shows::NoName, Shows::NoName]).await, gone);
    assert_eq!(seen(vec![Shows::NoName, Shows::ChildAlone]).await, gone);
    assert_eq!(
        seen(vec![Shows::NoName, Shows::Silence]).await,
        (None, None)
    );
}

/// A6: a foreign DS counts as soon as one server shows it, be the others silent.
#[tokio::test]
async fn a6_a_foreign_ds_at_one_server_is_seen() {
    let beside = Shows::Delegates(&["ns1.infra.example"], vec![ds(&key()), foreign_ds()]);

    let (_, alone) = seen(vec![ours(), beside, Shows::Silence]).await;

    assert_eq!(alone, Some(DsSeen::Foreign));
}

/// A5: name servers of others are seen at one server, with the longest TTL that leads there.
#[tokio::test]
async fn a5_other_name_servers_are_seen_with_their_longest_ttl() {
    let parked = Shows::Delegates(&["ns1.infra.example", "ns.parking.example"], vec![]);
    let world = World::start(vec![ours(), parked]).await;

    let facts = world.look(Urgency::Waiting, (None, None)).await;

    let others = Fact::Ns(NsSeen::Others, Some(Ttl::from_secs(86_400)));
    assert!(facts.contains(&others), "{facts:?}");
}

#[tokio::test]
async fn a_ds_by_another_digest_of_our_key_is_ours() {
    let octets = key();
    let tag = key_tag(octets.as_wire());
    let digest = ring::digest::digest(
        &ring::digest::SHA384,
        &[name("burner.example").as_wire(), octets.as_wire()].concat(),
    );
    let sha384 = Rdata::ds(tag, 13, 4, digest.as_ref());
    let shows = Shows::Delegates(&["ns1.infra.example"], vec![sha384]);

    assert_eq!(seen(vec![shows]).await.1, Some(DsSeen::Ours));
}

/// K29: a standing watch asks one server a day, another one each day.
#[tokio::test]
async fn k29_standing_watch_asks_one_server_and_takes_turns() {
    let known = (Some(NsSeen::Ours), Some(DsSeen::Ours));
    let world = World::start(vec![ours(), ours(), ours()]).await;

    for _ in 0..3 {
        let facts = world.look(Urgency::Standing, known).await;
        assert!(facts.contains(&Fact::Ns(NsSeen::Ours, None)), "{facts:?}");
        world.clock.advance(Duration::from_secs(86_400));
    }

    let mut asked = world.asked();
    asked.sort_unstable();
    assert_eq!(asked, [11, 12, 13]);
}

/// K29: all servers are asked when the one whose turn it is shows something new.
#[tokio::test]
async fn k29_something_new_is_looked_at_everywhere() {
    let known = (Some(NsSeen::Ours), Some(DsSeen::Ours));
    let world = World::start(vec![Shows::NoName, Shows::NoName, Shows::NoName]).await;

    let facts = world.look(Urgency::Standing, known).await;

    assert!(facts.contains(&Fact::Ns(NsSeen::Gone, None)), "{facts:?}");
    assert_eq!(world.asked().len(), 3);
}

/// I8: a delegation that is gone at some servers and there at others is neither gone nor ours.
#[tokio::test]
async fn i8_servers_that_contradict_each_other_end_what_was_known() {
    let world = World::start(vec![ours(), Shows::NoName, Shows::Silence]).await;
    let known = (Some(NsSeen::Gone), Some(DsSeen::Absent));

    let facts = world.look(Urgency::Waiting, known).await;

    assert!(facts.contains(&Fact::NsDiffer), "{facts:?}");
    assert!(facts.contains(&Fact::DsDiffer), "{facts:?}");
    *world.shows.lock().unwrap() = vec![Shows::NoName, Shows::NoName, Shows::NoName];
    let facts = world.look(Urgency::Waiting, known).await;
    assert!(facts.contains(&Fact::Ns(NsSeen::Gone, None)), "{facts:?}");
}
