//! How much more comes out than goes in: the README's table is measured here, and held to bounds.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::dns::{ANY, DNSKEY, DO, Edns, MX, Query, Reply, SOA, TLSA, TXT, tcp};
use crate::process::{Program, accepts, free_port};

/// COOKIE.
const COOKIE: u16 = 10;
/// A domain of the demo's.
const DOMAIN: &str = "burner-one.example";
/// The README, which shows the table.
const README: &str = include_str!("../../README.md");

/// So many times more comes out than goes in at most, before any limit.
const MOST: f64 = 12.0;

/// A flood as the table takes one: ten thousand queries a second for one thing, from one prefix,
/// of which the default rate answers 200.
const FLOOD: u32 = 10_000;
const RATE: u32 = 200;

/// Starts the demo, with limits where there are `settings`.
fn demo(folder: &Path, settings: &[(&str, &str)]) -> (Program, Client) {
    let dns: SocketAddr = ([127, 0, 0, 1], free_port()).into();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mxpool"));
    command
        .arg("demo")
        .env("MXPOOL_DNS__LISTEN", dns.to_string())
        .env("MXPOOL_API__LISTEN", format!("127.0.0.1:{}", free_port()))
        .envs(settings.iter().copied())
        .current_dir(folder);
    let mut program = Program::start(&mut command);
    let served = || accepts(dns) && tcp(dns, &Query::new(DOMAIN, SOA)).rcode() == 0;
    program
        .wait_until(served)
        .unwrap_or_else(|error| panic!("the demo {error}"));
    (program, Client::new(dns))
}

/// A kind of query.
struct Kind {
    /// What the table calls it.
    what: &'static str,
    /// The query, without an OPT record.
    query: Query,
}

/// Returns the kinds of queries, the first of each kind of answer that there is.
fn kinds() -> Vec<Kind> {
    let kind = |what, owner: &str, qtype| Kind {
        what,
        query: Query::new(&format!("{owner}{DOMAIN}"), qtype),
    };
    vec![
        kind("MX", "", MX),
        kind("TXT", "", TXT),
        kind("DNSKEY", "", DNSKEY),
        kind("SOA", "", SOA),
        kind("ANY", "", ANY),
        kind("RRSIG", "", 46),
        kind("policy host, A", "mta-sts.", 1),
        Kind {
            what: "TLSA of a mail host",
            query: Query::new("_25._tcp.mx1.infra.example", TLSA),
        },
        kind("no such type", "mta-sts.", MX),
        kind("no such name", "nothere.", MX),
        kind("no such name, deeper", "a.b.c._tcp.nothere.", MX),
        Kind {
            what: "a name made by a wildcard",
            query: Query::new(&format!("{DOMAIN}._report._dmarc.infra.example"), TXT),
        },
        Kind {
            what: "a zone that is not here",
            query: Query::new("elsewhere.example", MX),
        },
        Kind {
            what: "a transfer",
            query: Query::new(DOMAIN, 252),
        },
        Kind {
            what: "`version.bind` (class CH)",
            query: Query::new("version.bind", TXT).class(3),
        },
    ]
}

/// How a query is asked.
#[derive(Clone, Copy)]
enum How {
    /// Without an OPT record.
    Plain,
    /// For signatures, too.
    Signed,
    /// For signatures, with a cookie of the client's own.
    SignedWithCookie,
}

impl How {
    /// Returns the query as it is asked.
    fn ask(self, query: &Query) -> Query {
        let options = match self {
            Self::Plain => return query.clone(),
            Self::Signed => Vec::new(),
            Self::SignedWithCookie => vec![(COOKIE, b"a client".to_vec())],
        };
        query.clone().edns(Edns {
            size: 4096,
            flags: DO,
            options,
            ..Edns::default()
        })
    }
}

/// A client of the demo's.
struct Client {
    /// Its socket.
    socket: UdpSocket,
}

impl Client {
    /// Connects.
    fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Self { socket }
    }

    /// Asks and returns the reply: every query gets one here.
    fn ask(&self, query: &Query) -> Reply {
        let mut buffer = vec![0; 65_535];
        self.socket.send(&query.octets()).unwrap();
        let length = self.socket.recv(&mut buffer).unwrap();
        Reply::parse(&buffer[..length]).unwrap()
    }

    /// Asks until the answer is beyond the rate, and returns what comes instead.
    fn ask_beyond(&self, query: &Query) -> Reply {
        let is_brief = |reply: &Reply| reply.answer.is_empty() && reply.authority.is_empty();
        // One a second is within the rate, however long this takes.
        let mut replies = (0..100).map(|_| self.ask(query));
        let found = replies.find(is_brief);
        found.unwrap_or_else(|| panic!("{query:?} is never limited"))
    }
}

/// The octets of a query, its answer, and what comes instead beyond the rate.
struct Measured {
    query: usize,
    answer: usize,
    instead: usize,
}

impl Measured {
    /// Returns how much more is sent than comes, without limits.
    fn before(&self) -> f64 {
        self.answer as f64 / self.query as f64
    }

    /// Returns the same in a flood under the default limits.
    fn after(&self) -> f64 {
        let beyond = (FLOOD - RATE) / 2;
        let sent = self.answer * RATE as usize + self.instead * beyond as usize;
        sent as f64 / (self.query * FLOOD as usize) as f64
    }
}

#[test]
fn rrl_the_table_of_the_readme_says_how_much_more_comes_out_than_goes_in() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (_open, open) = demo(folders[0].path(), &[]);
    // Every second answer about one thing is beyond the rate, and all of those slip.
    let limits = [
        ("MXPOOL_DNS__RRL__RATE", "1"),
        ("MXPOOL_DNS__RRL__SLIP", "1"),
    ];
    let (_limited, limited) = demo(folders[1].path(), &limits);
    let mut table = vec![
        "| asked for | octets asked, DO | answered | times, plain | times, DO | limited, DO | limited, DO and cookie |".to_owned(),
        "|---|---:|---:|---:|---:|---:|---:|".to_owned(),
    ];
    for Kind { what, query } in kinds() {
        let [plain, signed, cookie] = [How::Plain, How::Signed, How::SignedWithCookie].map(|how| {
            let query = how.ask(&query);
            Measured {
                query: query.octets().len(),
                answer: open.ask(&query).octets.len(),
                instead: limited.ask_beyond(&query).octets.len(),
            }
        });

        assert!(plain.answer <= 512 && signed.answer <= 1232 && cookie.answer <= 1232);
        // Beyond the rate: the question, a cookie's other half, an error's reason.
        assert!(plain.instead <= plain.query, "{what}");
        assert!(signed.instead <= signed.query + 6, "{what}");
        assert!(cookie.instead <= cookie.query + 16 + 6, "{what}");
        for measured in [&plain, &signed, &cookie] {
            assert!(measured.before() < MOST, "{what}: {}", measured.before());
            assert!(measured.after() < 1.0, "{what}: {}", measured.after());
        }
        table.push(format!(
            "| {what} | {} | {} | {:.1} | {:.1} | {:.2} | {:.2} |",
            signed.query,
            signed.answer,
            plain.before(),
            signed.before(),
            signed.after(),
            cookie.after(),
        ));
    }
    let table = table.join("\n");
    assert!(README.contains(&table), "the README should say\n{table}");
}
