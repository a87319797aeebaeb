//! The same zones in NSD and Knot: their answers beside ours.
//!
//! Every difference is either explained by [`explained`], with the RFC that decides, or fails the
//! test.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::conformance::zones;
use crate::dns::{ANY, CNAME, DO, Edns, NS, NSEC, Query, RRSIG, Record, Reply, name, tcp};
use crate::process::{Mxpool, Program, accepts, free_port, full_size};

/// A generator of numbers: the same sequence in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[(self.next() % from.len() as u64) as usize]
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.next().is_multiple_of(many)
    }
}

/// The servers, all with the same zones.
struct Peers {
    mxpool: Mxpool,
    _nsd: Program,
    _knot: Program,
    nsd: SocketAddr,
    knot: SocketAddr,
    /// Every owner name there is, without final dot.
    names: Vec<String>,
}

impl Peers {
    /// Signs the zones, hands them to all and starts them.
    fn start(folder: &Path) -> Self {
        let mxpool = Mxpool::start(folder);
        for (zone, text) in zones() {
            // NSD and Knot refuse a zone with data below a DNAME (RFC 6672, section 2.4); the
            // delegation of a zone that is hosted here is derived.
            let left_out = |line: &str| {
                let owner = line.split_whitespace().next();
                matches!(owner, Some("hidden.dname" | "child" | "ns1.child"))
            };
            let text: Vec<&str> = text.lines().filter(|line| !left_out(line)).collect();
            mxpool.put_zone(zone, &text.join("\n"));
        }
        let mut settings = crate::process::settings();
        settings["subdomains"] = serde_json::json!(true);
        mxpool.ok("PUT", "/v1/pools/main", Some(&settings));
        let domains: Vec<String> = (0..20).map(|number| format!("d{number}.example")).collect();
        mxpool.add_domains("main", &domains);

        let mut files = BTreeMap::new();
        for (zone, _) in zones() {
            let path = format!("/v1/zones/{zone}?signed=true");
            let (status, text) = mxpool
                .try_call("GET", &path, None)
                .expect("the API answers");
            assert_eq!(status, 200, "{text}");
            files.insert(zone.to_owned(), text);
        }
        for domain in domains {
            let text = mxpool.signed_zone(&domain);
            files.insert(domain, text);
        }
        let mut names: Vec<String> = Vec::new();
        let (mut nsd_zones, mut knot_zones) = (String::new(), String::new());
        for (zone, text) in &files {
            let file = folder.join(format!("{zone}.zone"));
            std::fs::write(&file, text).unwrap();
            let _ = write!(nsd_zones, "zone:\n name: {zone:?}\n zonefile: {file:?}\n");
            let _ = write!(knot_zones, "  - domain: {zone:?}\n    file: {file:?}\n");
            names.extend(text.lines().filter_map(|line| {
                let owner = line.split_whitespace().next()?;
                (!owner.starts_with(';') && !owner.contains('\\'))
                    .then(|| owner.trim_end_matches('.').to_owned())
            }));
        }
        names.sort();
        names.dedup();

        let nsd: SocketAddr = ([127, 0, 0, 1], free_port()).into();
        let config = format!(
            "server:\n ip-address: 127.0.0.1\n port: {}\n username: \"\"\n chroot: \"\"\n \
             zonesdir: \"\"\n pidfile: \"{0}/nsd.pid\"\n database: \"\"\n xfrdfile: \"{1}/xfrd.state\"\n \
             zonelistfile: \"{1}/zone.list\"\n xfrdir: \"{1}\"\n minimal-responses: yes\n \
             ipv4-edns-size: 1232\n rrl-ratelimit: 0\n server-count: 1\n hide-version: yes\n\
             remote-control:\n control-enable: no\n{nsd_zones}",
            nsd.port(),
            folder.display(),
        )
        .replace(&format!("{}/nsd.pid", nsd.port()), &format!("{}/nsd.pid", folder.display()));
        std::fs::write(folder.join("nsd.conf"), config).unwrap();
        let mut command = Command::new("nsd");
        command.arg("-d").arg("-c").arg(folder.join("nsd.conf"));
        let mut nsd_program = Program::start(&mut command);
        nsd_program
            .wait_until(|| accepts(nsd) && answers(nsd))
            .unwrap_or_else(|error| panic!("nsd {error}"));

        let knot: SocketAddr = ([127, 0, 0, 1], free_port()).into();
        let config = format!(
            "server:\n  listen: 127.0.0.1@{}\n  rundir: {folder:?}\n  udp-max-payload: 1232\n\
             database:\n  storage: {folder:?}\ntemplate:\n  - id: default\n    storage: {folder:?}\n    \
             semantic-checks: off\n    zonefile-sync: -1\n    journal-content: none\nzone:\n{knot_zones}",
            knot.port(),
        );
        std::fs::write(folder.join("knot.conf"), config).unwrap();
        let mut command = Command::new("knotd");
        command.arg("-c").arg(folder.join("knot.conf"));
        let mut knot_program = Program::start(&mut command);
        knot_program
            .wait_until(|| accepts(knot) && answers(knot))
            .unwrap_or_else(|error| panic!("knotd {error}"));
        Self {
            mxpool,
            _nsd: nsd_program,
            _knot: knot_program,
            nsd,
            knot,
            names,
        }
    }
}

/// Returns whether a server serves the last of the zones.
fn answers(server: SocketAddr) -> bool {
    let query = Query::new("orphan.test", crate::dns::SOA);
    let reply = crate::dns::udp_octets(server, &query.octets(), Duration::from_millis(200));
    reply.is_some_and(|octets| octets[3] & 0xf == 0)
}

/// Makes a question of any kind.
fn question(random: &mut Random, names: &[String]) -> Query {
    const TYPES: [u16; 24] = [
        1, 2, 5, 6, 12, 15, 16, 28, 33, 39, 43, 46, 47, 48, 52, 59, 60, 64, 65, 255, 257, 65_400,
        1000, 99,
    ];
    let base = random.pick(names).clone();
    let mut qname = match random.next() % 10 {
        0..=3 => base,
        4 => format!("x.{base}"),
        5 => format!(
            "{}.{base}",
            random.pick(&["*", "_tcp", "_25", "a.b", "zzz", "-", "0"])
        ),
        6 => format!("r{}.{base}", random.next() % 1_000_000),
        7 => base
            .split_once('.')
            .map_or(base.clone(), |(_, parent)| parent.to_owned()),
        8 => format!("{}-{base}", random.next() % 100),
        _ => random
            .pick(&["elsewhere.example", "", "test", "x.test"])
            .to_string(),
    };
    if name(&qname).len() > 255 || qname.split('.').any(|label| label.len() > 63) {
        qname.clear();
    }
    if random.one_in(2) {
        qname = qname
            .chars()
            .map(|c| {
                if random.one_in(2) {
                    c.to_ascii_uppercase()
                } else {
                    c
                }
            })
            .collect();
    }
    let mut query = Query::new(&qname, *random.pick(&TYPES));
    query.id = random.next() as u16;
    if random.one_in(3) {
        query.flags |= 0x0100;
    }
    if random.one_in(5) {
        query.flags |= 0x0010;
    }
    if random.one_in(8) {
        query.flags |= 0x0020;
    }
    if !random.one_in(3) {
        let mut edns = Edns {
            size: *random.pick(&[512, 1232, 4096, 0, 800]),
            ..Edns::default()
        };
        if !random.one_in(3) {
            edns.flags = DO;
        }
        if random.one_in(20) {
            edns.version = 1;
        }
        if random.one_in(10) {
            edns.options.push((65_001, vec![1, 2, 3]));
        }
        query.edns = Some(edns);
    }
    query
}

/// What two replies are compared by.
#[derive(Debug, PartialEq)]
struct Meaning {
    rcode: u16,
    aa: bool,
    tc: bool,
    rd: bool,
    ra: bool,
    ad: bool,
    question: Vec<u8>,
    opt: Option<(u16, u32)>,
    answer: Vec<Record>,
    authority: Vec<Record>,
    glue: Vec<Record>,
}

/// Lower-cases owners and orders the records of a section.
fn ordered(records: &[Record]) -> Vec<Record> {
    let mut records: Vec<Record> = records
        .iter()
        .map(|record| {
            let mut record = record.clone();
            record.owner.make_ascii_lowercase();
            if matches!(record.rtype, NS | CNAME | 6 | 12 | 15) {
                record.rdata.make_ascii_lowercase();
            }
            record
        })
        .collect();
    records.sort();
    records
}

impl Meaning {
    /// Takes what counts of a reply.
    fn of(reply: &Reply) -> Self {
        let mut meaning = Self {
            rcode: reply.rcode(),
            aa: reply.aa(),
            tc: reply.tc(),
            rd: reply.rd(),
            ra: reply.ra(),
            ad: reply.ad(),
            question: reply.question.clone(),
            // Extended response code, version and flags; and our side of the size.
            opt: reply.opt.as_ref().map(|opt| (opt.class, opt.ttl)),
            answer: ordered(&reply.answer),
            authority: ordered(&reply.authority),
            glue: ordered(&reply.additional),
        };
        meaning.explain();
        meaning
    }

    /// Names what differs.
    fn differing(&self, other: &Self) -> String {
        let parts = [
            ("rcode", self.rcode != other.rcode),
            ("aa", self.aa != other.aa),
            ("tc", self.tc != other.tc),
            (
                "rd, ra or ad",
                (self.rd, self.ra, self.ad) != (other.rd, other.ra, other.ad),
            ),
            ("question", self.question != other.question),
            ("opt", self.opt != other.opt),
            ("answer", self.answer != other.answer),
            ("authority", self.authority != other.authority),
            ("glue", self.glue != other.glue),
        ];
        let named = parts
            .iter()
            .filter(|(_, differs)| *differs)
            .map(|(name, _)| *name);
        named.collect::<Vec<_>>().join(", ")
    }

    /// Returns what a report shows.
    fn brief(&self) -> String {
        let section = |records: &[Record]| -> String {
            let shown = records.iter().map(|record| {
                let covers = if record.rtype == RRSIG {
                    format!("({})", record.covers())
                } else {
                    String::new()
                };
                format!("{} {}{covers} {}", record.owner, record.rtype, record.ttl)
            });
            shown.collect::<Vec<_>>().join(", ")
        };
        format!(
            "rcode {} aa {} tc {} opt {:?} | {} | {} | {}",
            self.rcode,
            self.aa,
            self.tc,
            self.opt,
            section(&self.answer),
            section(&self.authority),
            section(&self.glue)
        )
    }

    /// Takes out what servers may do as they like; each line names the text that leaves it open.
    fn explain(&mut self) {
        let referral = !self.aa && self.answer.is_empty() && self.rcode == 0;
        // A truncated reply is asked again: what else is in it does not count (RFC 2181, section 9).
        if self.tc {
            (self.answer, self.authority, self.glue) = Default::default();
        }
        // NS records beside a full answer are open (RFC 1034, section 4.3.2, step 3a; RFC 9715,
        // section 4), and so are additional addresses but for glue (RFC 2181, section 9).
        if !referral {
            self.glue.clear();
            if self.aa && self.rcode == 0 && !self.answer.is_empty() {
                self.authority
                    .retain(|r| r.rtype != NS && !(r.rtype == RRSIG && r.covers() == NS));
            }
        }
    }
}

/// Returns why a difference is none of ours, where another server's answer is known to be so.
///
/// `whole` asks us again by TCP.
fn explained(
    peer: &str,
    query: &Query,
    ours: &Meaning,
    theirs: &Meaning,
    whole: impl Fn() -> Reply,
) -> Option<&'static str> {
    let is_nsec = |r: &Record| r.rtype == NSEC || r.rtype == RRSIG && r.covers() == NSEC;
    let nsecs = |meaning: &Meaning| meaning.authority.iter().filter(|r| is_nsec(r)).count();
    let others = |meaning: &Meaning| -> Vec<Record> {
        meaning
            .authority
            .iter()
            .filter(|r| !is_nsec(r))
            .cloned()
            .collect()
    };
    let same_but_for_nsec = ours.rcode == theirs.rcode
        && ours.answer == theirs.answer
        && others(ours) == others(theirs)
        && nsecs(ours) > nsecs(theirs);
    match (peer, ours.differing(theirs).as_str()) {
        ("knot", "authority") if same_but_for_nsec => Some(
            "knot leaves out a proof: where the wildcard owns nothing, or where NSEC itself comes of \
             a wildcard (RFC 4592, section 2.2.2; RFC 4035, sections 3.1.3.3 and 3.1.3.4)",
        ),
        ("nsd", "authority") if same_but_for_nsec && ours.rcode == 3 && !ours.answer.is_empty() => {
            Some(
                "nsd proves one of two things about the target of a DNAME (RFC 4035, section 3.1.3.2)",
            )
        }
        ("nsd", "opt") if ours.rcode == 16 => {
            Some("nsd does not copy DO into BADVERS (RFC 3225, section 3)")
        }
        ("nsd", "tc, authority, glue")
            if ours.tc && theirs.glue.len() < whole().additional.len() =>
        {
            Some("nsd sends a part of the glue without TC (RFC 9471, section 3.1)")
        }
        (_, differing) if ours.tc && differing.starts_with("tc") => {
            let size = query
                .edns
                .as_ref()
                .map_or(512, |edns| usize::from(edns.size));
            let limit = size.clamp(512, 1232);
            let length = whole().octets.len();
            let is_close = length > limit && length < limit + 64;
            is_close.then_some("how far names are compressed is open (RFC 1035, section 4.1.4)")
        }
        _ => None,
    }
}

#[test]
fn nsd_and_knot_answer_as_we_do() {
    let count = if full_size() { 400_000 } else { 100_000 };
    let folder = tempfile::tempdir().unwrap();
    let peers = Peers::start(folder.path());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    let mut buffer = vec![0; 65_535];
    let mut ask = |server: SocketAddr, query: &Query| -> Reply {
        for _ in 0..3 {
            socket.send_to(&query.octets(), server).unwrap();
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                if from == server && buffer[..2] == query.id.to_be_bytes() {
                    let octets = &buffer[..length];
                    return Reply::parse(octets)
                        .unwrap_or_else(|error| panic!("{server}: {error} in {octets:02x?}"));
                }
            }
        }
        panic!("{server} does not answer {query:?}");
    };
    let mut random = Random(0x5eed);
    let mut reasons: BTreeMap<&str, u32> = BTreeMap::new();
    let mut unexplained: BTreeMap<String, (u32, String)> = BTreeMap::new();
    let mut kinds: BTreeMap<u16, u32> = BTreeMap::new();
    for _ in 0..count {
        let query = question(&mut random, &peers.names);
        let our_reply = ask(peers.mxpool.dns, &query);
        let ours = Meaning::of(&our_reply);
        *kinds.entry(ours.rcode).or_default() += 1;
        for (peer, address) in [("nsd", peers.nsd), ("knot", peers.knot)] {
            let their_reply = ask(address, &query);
            if our_reply.cd() != their_reply.cd() {
                assert_eq!(our_reply.cd(), query.flags & 0x0010 != 0, "CD is a copy");
                let reason = "CD is copied (RFC 8906, section 8.1.3.1), or cleared (RFC 4035, section 3.1.6)";
                *reasons.entry(reason).or_default() += 1;
            }
            // Which RRset an ANY or RRSIG question gets is open (RFC 8482, sections 4.1 and 7); that
            // it gets one, and what proves that there is none, is not.
            let some = |reply: &Reply| !reply.answer.is_empty() || reply.tc();
            if matches!(query.qtype, ANY | RRSIG) && some(&our_reply) && some(&their_reply) {
                assert_eq!(our_reply.rcode(), their_reply.rcode(), "{query:?}");
                continue;
            }
            let theirs = Meaning::of(&their_reply);
            if ours == theirs {
                continue;
            }
            match explained(peer, &query, &ours, &theirs, || {
                tcp(peers.mxpool.dns, &query)
            }) {
                Some(reason) => *reasons.entry(reason).or_default() += 1,
                None => {
                    let kind = format!("{peer}: {}", ours.differing(&theirs));
                    let example = format!(
                        "{query:?}\n ours   {}\n theirs {}",
                        ours.brief(),
                        theirs.brief()
                    );
                    unexplained.entry(kind).or_insert((0, example)).0 += 1;
                }
            }
        }
    }

    println!("{count} queries, by response code {kinds:?}; explained: {reasons:#?}");
    assert!(kinds.len() >= 4, "the queries are of many kinds: {kinds:?}");
    assert!(
        unexplained.is_empty(),
        "differences of {} kinds:\n{unexplained:#?}",
        unexplained.len(),
    );
}
