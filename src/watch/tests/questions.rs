//! One question to one server, resolvers, listed servers.

use super::name_server::{Manner, NameServers, Say, Script};
use super::*;
use crate::lifecycle::{Fact, PublishedQuestion, ServersSeen};
use crate::watch::dns::{Silence, ask};
use crate::watch::published::Listed;
use crate::watch::resolver::{Resolvers, Sighting};
use crate::wire::{Ask, Asked, Rcode, Rdata, Rtype, Section, Serial};

const PATIENCE: Duration = Duration::from_millis(150);

/// Returns the record of a host.
fn address_of(host: &Name) -> Say {
    let address = Rdata::a(Ipv4Addr::new(192, 0, 2, 1));
    Say::own().with(Section::Answer, host, Rtype::A, 60, address)
}

/// Asks a server of one manner for an address.
async fn asked(manner: Manner) -> (Result<usize, Silence>, usize) {
    let script = move |qname: &Name, _, _| address_of(qname).manner(manner);
    let servers = NameServers::start(vec![(1, Box::new(script))]).await;
    let question = Ask {
        qname: name("mx1.infra.example"),
        qtype: Rtype::A,
        of: Asked::Authority,
    };
    let response = ask(servers.at(1), &question, PATIENCE).await;
    let records = response.map(|response| response.section(Section::Answer).len());
    (records, servers.times(1))
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_by_tcp() {
    let (records, datagrams) = asked(Manner::Truncated).await;

    assert_eq!((records.unwrap(), datagrams), (1, 1));
}

#[tokio::test]
async fn a_guess_in_front_of_the_answer_is_passed_over() {
    assert_eq!(asked(Manner::AfterAGuess).await.0.unwrap(), 1);
}

#[tokio::test]
async fn who_says_nothing_that_can_be_read_is_asked_twice_and_then_silent() {
    for manner in [Manner::Silent, Manner::WrongId] {
        let (records, times) = asked(manner).await;

        assert!(matches!(records, Err(Silence::TooLate)), "{records:?}");
        assert_eq!(times, 2);
    }
    let (records, _) = asked(Manner::CutOff).await;
    assert!(matches!(records, Err(Silence::Garbled(_))), "{records:?}");
    let (records, _) = asked(Manner::TruncatedTwice).await;
    assert!(matches!(records, Err(Silence::Garbled(_))), "{records:?}");
}

#[tokio::test]
async fn nobody_at_the_port_is_told_at_once() {
    let closed = listener(1).await.local_addr().unwrap();
    let question = Ask {
        qname: name("a.example"),
        qtype: Rtype::A,
        of: Asked::Resolver,
    };

    let silence = ask(closed, &question, Duration::from_secs(30)).await;

    assert!(
        matches!(silence, Err(Silence::Unreachable(_))),
        "{silence:?}"
    );
}

/// Looks a name up through two resolvers.
async fn looked_up(
    first: impl Fn(&Name, u16) -> Say + Send + Sync + 'static,
    second: impl Fn(&Name, u16) -> Say + Send + Sync + 'static,
) -> Sighting {
    let servers = NameServers::start(vec![
        (
            1,
            Box::new(move |qname: &Name, _, flags| first(qname, flags)),
        ),
        (
            2,
            Box::new(move |qname: &Name, _, flags| second(qname, flags)),
        ),
    ])
    .await;
    let resolvers = Resolvers::new(vec![servers.at(1), servers.at(2)], PATIENCE);
    resolvers
        .look_up(&name("mx1.infra.example"), Rtype::A)
        .await
}

#[tokio::test]
async fn a_resolver_that_fails_leaves_it_to_the_next_and_then_unknown() {
    let good = |qname: &Name, _| address_of(qname);
    let broken = |_: &Name, _| Say::code(Rcode::SERVFAIL);
    let silent = |_: &Name, _| Say::nothing();
    let refusing = |_: &Name, _| Say::code(Rcode::REFUSED);

    assert!(matches!(
        looked_up(broken, good).await,
        Sighting::Records(_)
    ));
    assert!(matches!(
        looked_up(silent, good).await,
        Sighting::Records(_)
    ));
    assert!(matches!(
        looked_up(refusing, good).await,
        Sighting::Records(_)
    ));
    assert_eq!(looked_up(broken, silent).await, Sighting::Unknown);
    assert_eq!(looked_up(refusing, refusing).await, Sighting::Unknown);
}

#[tokio::test]
async fn what_is_there_without_validation_alone_is_bogus() {
    let bogus = |qname: &Name, flags: u16| match flags & 0x0010 {
        0 if *qname != Name::root() => Say::code(Rcode::SERVFAIL),
        _ => address_of(qname),
    };

    assert_eq!(looked_up(bogus, bogus).await, Sighting::Bogus);
}

/// A resolver whose clock was wrong had every domain's mail called deferred.
#[tokio::test]
async fn a_resolver_to_which_nothing_is_valid_says_nothing_of_a_zone() {
    let broken = |qname: &Name, flags: u16| match flags & 0x0010 {
        0 => Say::code(Rcode::SERVFAIL),
        _ => address_of(qname),
    };

    assert_eq!(looked_up(broken, broken).await, Sighting::Unknown);
}

#[tokio::test]
async fn aliases_are_followed_and_circles_left() {
    let target = name("real.example");
    let alias = move |qname: &Name, _| {
        let address = Rdata::a(Ipv4Addr::new(192, 0, 2, 1));
        let to = Rdata::from_wire(Rtype::CNAME, target.as_wire()).unwrap();
        Say::default()
            .with(Section::Answer, qname, Rtype::CNAME, 60, to)
            .with(Section::Answer, &target, Rtype::A, 60, address)
    };
    let circle = |qname: &Name, _| {
        let to = Rdata::from_wire(Rtype::CNAME, qname.as_wire()).unwrap();
        Say::default().with(Section::Answer, qname, Rtype::CNAME, 60, to)
    };

    assert!(matches!(
        looked_up(alias, circle).await,
        Sighting::Records(_)
    ));
    assert_eq!(looked_up(circle, circle).await, Sighting::Unknown);
}

/// Returns what is learnt of two listed servers that say so; the resolver answers or not.
async fn published(first: Say, second: Say, resolver: Say) -> Vec<Fact> {
    let says = |say: Say| -> Script { Box::new(move |_, _, _| say.clone()) };
    let servers = NameServers::start(vec![
        (1, says(resolver)),
        (2, says(first)),
        (3, says(second)),
    ])
    .await;
    let mut config = config(servers.at(1));
    config.servers = [("ns1.infra.example", 2), ("ns2.infra.example", 3)]
        .map(|(server, last)| ListedServer {
            name: name(server),
            probe: vec![servers.at(last)],
            counts: None,
        })
        .into();
    let resolvers = Arc::new(Resolvers::new(config.resolvers.clone(), PATIENCE));
    let listed = Listed::new(&config, resolvers);
    let wanted = PublishedQuestion {
        name_servers: vec![name("ns1.infra.example"), name("ns2.infra.example")],
        serial: Serial::new(9),
    };
    listed.look(&apex("burner.example"), &wanted).await
}

#[tokio::test]
async fn the_oldest_serial_of_all_listed_servers_is_told() {
    let burner = name("burner.example");
    let serial = |number| Say::own().soa(Section::Answer, &burner, 60, [number, 1, 1]);
    let published_by = |first, second| published(first, second, Say::nothing());

    let oldest = |number| vec![Fact::Published(Serial::new(number))];
    assert_eq!(published_by(serial(9), serial(9)).await, oldest(9));
    assert_eq!(published_by(serial(9), serial(7)).await, oldest(7));
    // Silent, lame, or one that only forwards: unknown, and nothing is withdrawn meanwhile (I5).
    let some = [Fact::Servers(ServersSeen::Some)];
    for bad in [
        Say::nothing(),
        Say::code(Rcode::REFUSED),
        Say::default().soa(Section::Answer, &burner, 60, [9, 1, 1]),
        serial(9).manner(Manner::WrongId),
    ] {
        assert_eq!(published_by(serial(9), bad).await, some);
    }
}

#[tokio::test]
async fn r2_all_listed_servers_silent_are_an_outage_only_while_the_world_answers() {
    let root = Name::root();
    let ns = Rdata::from_wire(Rtype::NS, name("a.root.example").as_wire()).unwrap();
    let world = Say::default().with(Section::Answer, &root, Rtype::NS, 60, ns);
    let silent = Say::nothing;

    let seen = published(silent(), silent(), world).await;
    let cut_off = published(silent(), silent(), silent()).await;

    assert_eq!(seen, [Fact::Servers(ServersSeen::None)]);
    assert_eq!(cut_off, []);
}
