//! Who gets a place, and who gives way.

use std::net::Ipv4Addr;

use super::*;

impl Taking {
    /// Returns the place that there was without anybody's giving way.
    #[track_caller]
    fn free(self) -> Slot {
        match self {
            Self::Free(slot) => slot,
            Self::GivenWay(_) => panic!("somebody gave way"),
            Self::Refused => panic!("refused"),
        }
    }

    /// Returns the place that somebody gave up.
    #[track_caller]
    fn given_way(self) -> Slot {
        match self {
            Self::GivenWay(slot) => slot,
            Self::Free(_) => panic!("it was free"),
            Self::Refused => panic!("refused"),
        }
    }

    /// Returns whether there was none.
    fn is_refused(&self) -> bool {
        matches!(self, Self::Refused)
    }
}

impl Slots {
    /// Returns how many places have holders that have asked something.
    pub(in crate::server) fn at_work(&self) -> usize {
        let taken = self.shared.lock();
        let seats = taken.all.fresh.values().chain(taken.all.proven.values());
        seats
            .filter(|seat| seat.asked.load(Ordering::Relaxed) > 0)
            .count()
    }
}

/// How long a connection may be silent until another one of its source takes its place.
const REST: Duration = Duration::from_secs(3_600);

/// Returns so many empty places, in total and for one source.
fn slots(connections: usize, per_source: usize) -> Slots {
    let limits = TcpLimits {
        connections,
        per_source,
        idle: REST * LEAST_PATIENCE,
        ..TcpLimits::default()
    };
    Slots::new(&limits, None)
}

/// Returns a number of addresses, each of a network of its own.
fn strangers(count: u8) -> impl Iterator<Item = IpAddr> {
    (0..count).map(|network| Ipv4Addr::new(198, 18, network, 1).into())
}

#[test]
fn places_of_a_source_end_and_come_back() {
    let slots = slots(9, 2);
    let one = "192.0.2.1".parse().unwrap();

    let first = slots.take(one).free();
    let second = slots.take(one).free();
    assert!(slots.take(one).is_refused());
    drop(first);
    let third = slots.take(one).free();
    assert_eq!(slots.count(), 2);
    drop((second, third));

    let taken = slots.shared.lock();
    assert_eq!(taken.count(), 0);
    assert!(taken.by_source.is_empty() && taken.by_network.is_empty());
}

#[test]
fn the_longest_silent_of_a_source_gives_way_once_it_has_been_so_for_a_while() {
    let slots = slots(9, 2);
    let begin = slots.shared.epoch;
    let one = "192.0.2.1".parse().unwrap();
    let other = slots.take_at("192.0.3.1".parse().unwrap(), begin).free();
    let [first, second] = [(); 2].map(|()| slots.take_at(one, begin).free());
    first.asked(begin + REST / 2);

    let soon = slots.take_at(one, begin + REST - Duration::from_millis(1));
    assert!(soon.is_refused());
    let third = slots.take_at(one, begin + REST).given_way();

    assert!(second.is_leaving() && !first.is_leaving());
    assert!(!other.is_leaving(), "it is not of that source");
    assert!(
        slots.take_at(one, begin + REST).is_refused(),
        "it has asked"
    );
    let later = begin + 2 * REST - Duration::from_millis(1);
    let fourth = slots.take_at(one, later).given_way();
    assert!(first.is_leaving() && !third.is_leaving());
    assert_eq!(slots.count(), 3);
    drop((first, second, third, fourth, other));
    let taken = slots.shared.lock();
    assert_eq!(taken.count(), 0);
    assert!(taken.by_source.is_empty() && taken.by_network.is_empty());
}

#[test]
fn rfc9210_4_5_a_subnet_of_ipv6_is_one_source() {
    let slots = slots(9, 1);
    let take = |text: &str| slots.take(text.parse().unwrap());

    let _first = take("2001:db8::1").free();
    assert!(take("2001:db8::ffff:1").is_refused(), "the same /64");
    let _other = take("2001:db8:0:1::1").free();
    let _ipv4 = take("192.0.2.1").free();
    assert!(take("::ffff:192.0.2.1").is_refused(), "the same address");
    let _another = take("::ffff:192.0.2.2").free();
}

#[test]
fn one_network_of_many_sources_gets_a_third_at_most() {
    let slots = slots(9, 1);
    let take = |text: String| slots.take(text.parse().unwrap());

    let of_48: Vec<_> = (0..3)
        .map(|it| take(format!("2001:db8:0:{it}::1")).free())
        .collect();
    assert!(take("2001:db8:0:ffff::1".to_owned()).is_refused());
    let of_24: Vec<_> = (0..3)
        .map(|it| take(format!("192.0.2.{it}")).free())
        .collect();
    assert!(take("192.0.2.255".to_owned()).is_refused());
    let elsewhere = take("192.0.3.1".to_owned()).free();

    drop((of_48, of_24, elsewhere));
    assert!(slots.shared.lock().by_network.is_empty());
}

#[test]
fn the_longest_silent_gives_way_to_a_newcomer() {
    let slots = slots(8, 8);
    let held: Vec<_> = strangers(8).map(|it| slots.take(it).free()).collect();
    // All have asked; the second last of all.
    for place in held.iter().chain([&held[1]]) {
        place.asked(Instant::now());
    }
    held[0].seat.asked.fetch_add(5, Ordering::Relaxed);

    let newcomers: Vec<_> = strangers(10)
        .skip(8)
        .map(|it| slots.take(it).given_way())
        .collect();

    let leaving: Vec<_> = held.iter().map(Slot::is_leaving).collect();
    assert_eq!(leaving.iter().filter(|it| **it).count(), 2, "{leaving:?}");
    assert!(!leaving[0], "it has asked since");
    assert!(newcomers.iter().all(|it| !it.is_leaving()));
    assert_eq!(slots.count(), 8);
    drop(held);
    assert_eq!(slots.count(), 2, "who gave way gives nothing back twice");
}

#[test]
fn a_flood_of_empty_connections_leaves_resolvers_at_work_alone() {
    let slots = slots(8, 8);
    let at_work: Vec<_> = strangers(6).map(|it| slots.take(it).free()).collect();
    at_work.iter().for_each(|it| it.asked(Instant::now()));

    let flood: Vec<_> = strangers(250).skip(6).map(|it| slots.take(it)).collect();

    assert!(at_work.iter().all(|it| !it.is_leaving()));
    assert!(flood.iter().all(|it| !it.is_refused()));
    assert_eq!(slots.count(), 8);
}

#[test]
fn resolvers_at_work_leave_room_for_first_queries_to_arrive() {
    let slots = slots(8, 8);
    let at_work: Vec<_> = strangers(8).map(|it| slots.take(it).free()).collect();
    at_work.iter().for_each(|it| it.asked(Instant::now()));

    let newcomers: Vec<_> = strangers(10)
        .skip(8)
        .map(|it| slots.take(it).given_way())
        .collect();

    assert!(newcomers.iter().all(|it| !it.is_leaving()), "a quarter");
    let third = slots.take("203.0.113.1".parse().unwrap()).given_way();
    assert!(!third.is_leaving());
    assert!(newcomers[0].is_leaving(), "the first that has not asked");
}

#[test]
fn who_has_no_place_to_give_refuses() {
    let none = slots(0, 1);

    assert!(none.take("192.0.2.1".parse().unwrap()).is_refused());
    assert!(!none.give_way());
}

#[test]
fn patience_ends_as_the_places_do() {
    let slots = slots(8, 8);
    let ten = Duration::from_secs(10);
    let mut patience = Vec::new();
    let mut held = Vec::new();
    for address in strangers(8) {
        held.push(slots.take(address).free());
        patience.push(held[0].patience(ten).as_millis());
    }

    let wanted = [10_000, 10_000, 10_000, 10_000, 7_500, 5_000, 2_500, 0];
    assert_eq!(patience, wanted);
}

#[tokio::test]
async fn who_is_to_leave_is_woken() {
    let slots = slots(2, 2);
    let place = slots.take("192.0.2.1".parse().unwrap()).free();
    let waiting = tokio::spawn(async move { place.leave().await });
    tokio::task::yield_now().await;

    slots.dismiss();

    waiting.await.unwrap();
    assert_eq!(slots.count(), 0);
}

#[test]
fn a_flood_of_empty_connections_pushes_out_none_at_work_behind_the_same_address() {
    let slots = slots(9, 3);
    let one: IpAddr = "192.0.2.1".parse().unwrap();
    let begin = Instant::now();
    let at_work = slots.take_at(one, begin).free();
    at_work.asked(begin);
    let empty: Vec<Slot> = (1..3)
        .map(|second| {
            slots
                .take_at(one, begin + Duration::from_secs(second))
                .free()
        })
        .collect();

    let later = begin + 2 * REST;
    let _first = slots.take_at(one, later).given_way();
    let _second = slots.take_at(one, later).given_way();

    assert!(
        empty
            .iter()
            .all(|slot| slot.seat.leaving.load(Ordering::Relaxed))
    );
    assert!(!at_work.seat.leaving.load(Ordering::Relaxed));
    // Of those that may go it is the last one.
    let _third = slots.take_at(one, later).given_way();
    assert!(at_work.seat.leaving.load(Ordering::Relaxed));
    assert!(slots.take_at(one, later).is_refused());
}

#[test]
fn a_handshake_gives_way_when_it_has_had_its_time() {
    let limits = TcpLimits {
        connections: 9,
        per_source: 1,
        idle: Duration::from_secs(1),
        ..TcpLimits::default()
    };
    let slots = Slots::for_handshakes(&limits, Duration::from_secs(5));
    let one = "192.0.2.1".parse().unwrap();
    let begin = Instant::now();
    let _under_way = slots.take_at(one, begin).free();

    let after = |seconds| slots.take_at(one, begin + Duration::from_secs(seconds));

    assert!(after(4).is_refused());
    after(6).given_way();
}
