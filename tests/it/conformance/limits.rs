//! Response rate limits over the wire: what a flood gets, and what everybody else does.
//!
//! The clock stands still, so that a rate is a number; one worker answers in the order in which it
//! is asked, so that an answer to what was asked last comes behind all others.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use mxpool::clock::{Clock, ManualClock, SystemClock};
use mxpool::server::{RrlConfig, ServerConfig};

use super::zones;
use crate::dns::{A, ANY, DNSKEY, Edns, MX, Query, Reply, SOA, TXT, tcp, udp};
use crate::lab::Lab;

const NXDOMAIN: u16 = 3;
const REFUSED: u16 = 5;
const BADCOOKIE: u16 = 23;
const COOKIE: u16 = 10;

/// How many answers a second there are.
const RATE: usize = 20;
/// How many queries a flood has.
const FLOOD: usize = 300;
/// The id of the query that ends a flood.
const LAST: u16 = 0xffff;

/// A limited server, whose clock stands still.
struct Limited {
    lab: Lab,
    clock: Arc<ManualClock>,
    /// A cookie that it takes from 127.0.0.1.
    cookie: Vec<u8>,
}

impl Limited {
    /// Starts it; `config` is about all but the rate.
    fn start(config: RrlConfig) -> Self {
        let clock = Arc::new(ManualClock::new(SystemClock::new().now()));
        let config = ServerConfig {
            rrl: Some(RrlConfig {
                rate: RATE as u32,
                ..config
            }),
            ..ServerConfig::default()
        };
        let lab = Lab::start_configured(&zones(), config, clock.clone());
        let cookie = tcp(
            lab.address(),
            &with_cookie(Query::new("conf.test", SOA), b"a client"),
        );
        let cookie = cookie.option(COOKIE).unwrap();
        Self { lab, clock, cookie }
    }

    /// Sends all queries at once from an address of loopback's; returns the replies to them.
    fn flood_from(&self, client: &str, queries: impl Iterator<Item = Query>) -> Vec<Reply> {
        let socket = UdpSocket::bind((client, 0)).unwrap();
        socket.connect(self.lab.address()).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut replies = Vec::new();
        let queries: Vec<Query> = queries.collect();
        // Not more at a time than a socket's buffer holds.
        for some in queries.chunks(50) {
            for query in some {
                socket.send(&query.octets()).unwrap();
            }
            // Never limited from 127.0.0.1; from elsewhere the cookie is worth nothing, and the one
            // such query is within its rate.
            let mut last = with_cookie(Query::new("conf.test", SOA), &self.cookie);
            last.id = LAST;
            let mut buffer = vec![0; 4096];
            socket.send(&last.octets()).unwrap();
            loop {
                let length = socket.recv(&mut buffer).unwrap();
                let reply = Reply::parse(&buffer[..length]).unwrap();
                if reply.id == LAST {
                    break;
                }
                replies.push(reply);
            }
        }
        replies
    }

    /// Sends a flood from 127.0.0.1.
    fn flood(&self, query: impl Fn(usize) -> Query) -> Vec<Reply> {
        self.flood_from("127.0.0.1", (0..FLOOD).map(query))
    }

    /// Returns how many answers beyond the rate were dropped, and how many slipped.
    fn counted(&self) -> (usize, usize) {
        let text = self.lab.metrics();
        let count = |series: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(series));
            found.unwrap().trim().parse().unwrap()
        };
        (
            count("mxpool_dns_dropped_total{reason=\"rrl\"}"),
            count("mxpool_rrl_slipped_total"),
        )
    }
}

/// Adds an OPT record with a cookie.
fn with_cookie(query: Query, cookie: &[u8]) -> Query {
    query.edns(Edns {
        options: vec![(COOKIE, cookie.to_vec())],
        ..Edns::default()
    })
}

/// Counts the replies that are such.
fn count(replies: &[Reply], is_such: impl Fn(&Reply) -> bool) -> usize {
    replies.iter().filter(|reply| is_such(reply)).count()
}

/// Asserts that about every second of those beyond the rate is among `slipped`.
fn assert_half(slipped: usize) {
    let beyond = FLOOD - RATE;
    // Nine standard deviations of a fair coin.
    assert!(slipped.abs_diff(beyond / 2) < 80, "{slipped} of {beyond}");
}

#[test]
fn rrl_a_flood_for_one_answer_gets_its_rate_and_half_of_the_rest_tc() {
    let server = Limited::start(RrlConfig::default());
    for _ in 0..2 {
        let replies = server.flood(|_| Query::new("conf.test", MX).dnssec());

        assert_eq!(count(&replies, |reply| reply.answers(MX).len() == 2), RATE);
        let slipped = count(&replies, Reply::tc);
        assert_eq!(slipped, replies.len() - RATE);
        assert_half(slipped);
        for reply in replies.iter().filter(|reply| reply.tc()) {
            assert!(reply.answer.is_empty() && reply.authority.is_empty());
            assert_eq!(
                reply.octets.len(),
                Query::new("conf.test", MX).dnssec().octets().len()
            );
        }
        server.clock.advance(Duration::from_secs(1));
    }
    let (dropped, slipped) = server.counted();
    assert_eq!(dropped + slipped, 2 * (FLOOD - RATE));
}

#[test]
fn rrl_another_prefix_is_unharmed_by_a_flood() {
    let server = Limited::start(RrlConfig::default());
    server.flood(|_| Query::new("conf.test", MX));

    let queries = (0..RATE).map(|_| Query::new("conf.test", MX));
    let elsewhere = server.flood_from("127.9.9.9", queries);

    assert_eq!(
        count(&elsewhere, |reply| reply.answers(MX).len() == 2),
        RATE
    );
    let same = server.flood_from(
        "127.0.0.200",
        (0..RATE).map(|_| Query::new("conf.test", MX)),
    );
    assert_eq!(count(&same, |reply| !reply.tc()), 0, "of the flood's /24");
}

#[test]
fn rrl_made_up_names_are_counted_under_their_zone() {
    let server = Limited::start(RrlConfig::default());

    let absent = server.flood(|number| Query::new(&format!("r{number}.nothere.conf.test"), A));
    assert_eq!(count(&absent, |reply| reply.rcode() == NXDOMAIN), RATE);
    let made = server.flood(|number| Query::new(&format!("r{number}.wild.conf.test"), TXT));
    assert_eq!(count(&made, |reply| reply.answers(TXT).len() == 1), RATE);
    let below = server.flood(|number| Query::new(&format!("r{number}.secure.conf.test"), A));
    assert_eq!(count(&below, |reply| reply.authority.len() == 2), RATE);
    // Another zone's names are counted apart.
    let other = server.flood(|number| Query::new(&format!("r{number}.orphan.test"), A));
    assert_eq!(count(&other, |reply| reply.rcode() == NXDOMAIN), RATE);
}

#[test]
fn rrl_data_is_counted_by_name_and_type_whatever_the_case() {
    let server = Limited::start(RrlConfig::default());
    let names = ["conf.test", "CONF.test", "conf.TEST", "cOnF.tEsT"];

    let alike = server.flood(|number| Query::new(names[number % 4], MX));
    assert_eq!(count(&alike, |reply| !reply.tc()), RATE);
    let other = server.flood_from("127.0.0.1", (0..RATE).map(|_| Query::new("conf.test", TXT)));
    assert_eq!(count(&other, |reply| reply.answers(TXT).len() == 1), RATE);
    // Of no data, any type is as good as another.
    let types = server.flood(|number| Query::new("mx1.conf.test", 1_000 + number as u16));
    assert_eq!(count(&types, |reply| !reply.tc()), RATE);
}

#[test]
fn rrl_floods_for_any_type_and_for_keys_get_their_rate_each() {
    let server = Limited::start(RrlConfig::default());
    for qtype in [ANY, DNSKEY] {
        let replies = server.flood(|_| Query::new("conf.test", qtype).dnssec());

        let whole = count(&replies, |reply| !reply.answer.is_empty() && !reply.tc());
        assert_eq!(whole, RATE, "{qtype}");
        let slipped = count(&replies, |reply| reply.answer.is_empty() && reply.tc());
        assert_eq!(slipped, replies.len() - RATE, "{qtype}");
        assert_half(slipped);
    }
}

#[test]
fn rrl_errors_are_counted_together_and_half_of_them_leak() {
    let server = Limited::start(RrlConfig::default());

    let replies = server.flood(|number| Query::new(&format!("r{number}.elsewhere.test"), A));

    assert_eq!(
        count(&replies, |reply| reply.rcode() == REFUSED),
        replies.len()
    );
    assert_eq!(
        count(&replies, Reply::tc),
        0,
        "an error cannot be cut short"
    );
    assert_half(replies.len() - RATE);
}

#[test]
fn rfc7873_5_2_3_a_client_with_a_cookie_of_its_own_alone_gets_badcookie() {
    let server = Limited::start(RrlConfig::default());

    let replies = server.flood(|_| with_cookie(Query::new("conf.test", MX), b"a client"));

    assert_eq!(count(&replies, |reply| reply.answers(MX).len() == 2), RATE);
    let bad = count(&replies, |reply| reply.rcode() == BADCOOKIE);
    assert_eq!(bad, replies.len() - RATE);
    assert_half(bad);
    assert_eq!(count(&replies, Reply::tc), 0);
    // With the cookie that it is given the client is no longer limited.
    let badcookie = replies
        .iter()
        .find(|reply| reply.rcode() == BADCOOKIE)
        .unwrap();
    assert!(badcookie.answer.is_empty() && !badcookie.aa());
    let cookie = badcookie.option(COOKIE).unwrap();
    let replies = server.flood(|_| with_cookie(Query::new("conf.test", MX), &cookie));
    assert_eq!(count(&replies, |reply| reply.answers(MX).len() == 2), FLOOD);
}

#[test]
fn rrl_tcp_is_never_limited() {
    let server = Limited::start(RrlConfig::default());
    server.flood(|_| Query::new("conf.test", MX));

    for _ in 0..2 * RATE {
        let reply = tcp(server.lab.address(), &Query::new("conf.test", MX));
        assert_eq!(reply.answers(MX).len(), 2);
    }
}

#[test]
fn rrl_slip_1_answers_all_briefly_and_slip_0_none() {
    for (slip, replies) in [(1, FLOOD), (0, RATE)] {
        let server = Limited::start(RrlConfig {
            slip,
            ..RrlConfig::default()
        });

        let found = server.flood(|_| Query::new("conf.test", MX));

        assert_eq!(found.len(), replies);
        assert_eq!(count(&found, |reply| !reply.tc()), RATE);
    }
}

#[test]
fn rrl_a_dry_run_counts_and_answers_all() {
    let server = Limited::start(RrlConfig {
        dry_run: true,
        ..RrlConfig::default()
    });

    let replies = server.flood(|_| Query::new("conf.test", MX));

    assert_eq!(count(&replies, |reply| reply.answers(MX).len() == 2), FLOOD);
    let (dropped, slipped) = server.counted();
    assert_eq!(dropped + slipped, FLOOD - RATE);
    assert_half(slipped);
}

#[test]
fn rrl_who_is_on_the_list_is_never_limited() {
    let server = Limited::start(RrlConfig {
        allow: vec!["127.0.0.0/24".parse().unwrap()],
        ..RrlConfig::default()
    });

    let replies = server.flood(|_| Query::new("conf.test", MX));

    assert_eq!(count(&replies, |reply| reply.answers(MX).len() == 2), FLOOD);
    assert_eq!(server.counted(), (0, 0));
}

#[test]
fn without_limits_a_flood_is_answered() {
    for _ in 0..FLOOD {
        let reply = udp(super::server(), &Query::new("conf.test", MX));
        assert_eq!(reply.answers(MX).len(), 2);
    }
}
