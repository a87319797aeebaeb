//! Cookie secrets: shared with servers of other makers, and rolled while all of them answer.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::dns::{Edns, Query, SOA, udp};
use crate::encrypted::write_private;
use crate::process::{Mxpool, Program, accepts, free_port, run};

/// COOKIE.
const COOKIE: u16 = 10;

/// A secret before it is rolled, and after.
pub(crate) const SECRETS: [&str; 2] = [
    "e5e973e5a6b2a43f48e7dc849e37bfcf",
    "445536bcd2513298075a5d379663c962",
];

/// A zone that every server serves.
const ZONE: &str = "$TTL 1d\n@ SOA ns1 hostmaster 1 4h 1h 14d 15m\n@ NS ns1\nns1 A 192.0.2.53\n";

/// Asks with a cookie and returns the one that comes back.
fn ask(server: SocketAddr, cookie: &[u8]) -> Vec<u8> {
    let edns = Edns {
        options: vec![(COOKIE, cookie.to_vec())],
        ..Edns::default()
    };
    let reply = udp(server, &Query::new("infra.example", SOA).edns(edns));
    assert_eq!(reply.rcode(), 0);
    assert_eq!(reply.answers(SOA).len(), 1);
    let cookie = reply.option(COOKIE).expect("a cookie comes back");
    assert_eq!(cookie.len(), 24);
    cookie
}

/// Writes secrets that their owner alone can read.
pub(crate) fn write_secrets(path: &Path, secrets: &[&str]) {
    write_private(path, &secrets.join("\n"));
}

/// A server of ours with a file of secrets.
struct Node {
    server: Mxpool,
    secrets: PathBuf,
    _folder: tempfile::TempDir,
}

impl Node {
    /// Starts it.
    fn start(secrets: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cookie.secrets");
        write_secrets(&path, secrets);
        let more = format!("[dns.cookies]\nsecrets = {path:?}\n");
        let dns = ([127, 0, 0, 1], free_port()).into();
        let server = Mxpool::try_start_at(folder.path(), dns, &more).unwrap();
        server.put_zone("infra.example", ZONE);
        Self {
            server,
            secrets: path,
            _folder: folder,
        }
    }

    /// Has the secrets read again, and waits until they were.
    fn reload(&mut self, secrets: &[&str]) {
        write_secrets(&self.secrets, secrets);
        self.server.hang_up("cookie secrets read again");
    }

    /// Returns a cookie of this server's.
    fn cookie(&self) -> Vec<u8> {
        ask(self.server.dns, b"a client")
    }

    /// Returns whether it takes a cookie for its own.
    fn accepts(&self, cookie: &[u8]) -> bool {
        let before = self.accepted();
        ask(self.server.dns, cookie);
        self.accepted() > before
    }

    /// Returns how many cookies it has taken for its own.
    fn accepted(&self) -> u64 {
        let (_, text) = self.server.try_call("GET", "/metrics", None).unwrap();
        ["valid", "renewed"]
            .iter()
            .map(|result| {
                let line = format!("mxpool_cookies_total{{result=\"{result}\"}} ");
                let count = text.lines().find_map(|found| found.strip_prefix(&line));
                count.unwrap().parse::<u64>().unwrap()
            })
            .sum()
    }
}

#[test]
fn rfc9018_5_secrets_are_rolled_in_three_stages_without_a_restart() {
    let mut nodes = [Node::start(&SECRETS[..1]), Node::start(&SECRETS[..1])];
    let [old, new] = SECRETS;
    let holds = |nodes: &[Node; 2]| {
        for from in nodes {
            let cookie = from.cookie();
            assert!(nodes.iter().all(|node| node.accepts(&cookie)));
        }
    };
    holds(&nodes);
    let first = nodes[0].cookie();

    // At every moment of every stage each node takes the other's cookies.
    for secrets in [[old, new], [new, old]] {
        for at in 0..2 {
            nodes[at].reload(&secrets);
            holds(&nodes);
        }
    }
    assert!(nodes[0].accepts(&first), "it was made with the old secret");
    for at in 0..2 {
        nodes[at].reload(&[new]);
        holds(&nodes);
    }
    assert!(!nodes[0].accepts(&first), "the old secret is gone");
}

#[test]
fn secrets_that_are_wrong_at_a_reload_leave_those_before_in_use() {
    let mut node = Node::start(&SECRETS[..1]);
    let cookie = node.cookie();
    write_secrets(
        &node.secrets,
        &[SECRETS[0], "0123456789abcdef-not-a-secret"],
    );

    node.server.hang_up("the cookie secrets stay as they were");

    let log = node.server.log();
    assert!(
        log.contains("cookie.secrets:2: expected a cookie secret of 32"),
        "{log}"
    );
    assert!(!log.contains("0123456789abcdef"), "it is not shown: {log}");
    assert!(node.accepts(&cookie));
}

/// Asks with BIND's client, and a cookie if it has one from a server; returns what it says of the
/// one that comes back, as the cookie and its word for it.
fn dig(server: SocketAddr, cookie: Option<&str>) -> (String, String) {
    let option = cookie.map_or("+cookie".to_owned(), |cookie| format!("+cookie={cookie}"));
    let port = server.port().to_string();
    let (ok, text) = run(Command::new("dig").args([
        "@127.0.0.1",
        "-p",
        &port,
        "+norecurse",
        &option,
        "infra.example",
        "SOA",
    ]));
    assert!(ok, "{text}");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("; COOKIE: "));
    let (cookie, word) = line
        .and_then(|line| line.split_once(' '))
        .unwrap_or_else(|| {
            panic!("no cookie in {text}");
        });
    (cookie.to_owned(), word.to_owned())
}

#[test]
fn rfc9018_4_binds_client_takes_a_cookie_from_one_node_to_another() {
    let nodes = [Node::start(&SECRETS[..1]), Node::start(&SECRETS[..1])];
    let stranger = Node::start(&SECRETS[1..]);
    let (cookie, word) = dig(nodes[0].server.dns, None);
    assert_eq!((cookie.len(), word.as_str()), (48, "(good)"));

    for (node, valid) in [(&nodes[0], 1), (&nodes[1], 1), (&stranger, 0)] {
        let before = node.accepted();
        let (_, word) = dig(node.server.dns, Some(&cookie));

        assert_eq!(word, "(good)", "it gets its own part back from everybody");
        assert_eq!(node.accepted() - before, valid);
    }
}

/// Starts NSD with a secret.
fn nsd(folder: &Path, secret: &str) -> (Program, SocketAddr) {
    let zone = folder.join("infra.example.zone");
    std::fs::write(&zone, format!("$ORIGIN infra.example.\n{ZONE}")).unwrap();
    let address: SocketAddr = ([127, 0, 0, 1], free_port()).into();
    let (port, folder) = (address.port(), folder.display());
    let config = format!(
        "server:\n ip-address: 127.0.0.1\n port: {port}\n username: \"\"\n chroot: \"\"\n \
         zonesdir: \"\"\n pidfile: \"{folder}/nsd.pid\"\n database: \"\"\n \
         xfrdfile: \"{folder}/xfrd.state\"\n zonelistfile: \"{folder}/zone.list\"\n \
         xfrdir: \"{folder}\"\n rrl-ratelimit: 0\n server-count: 1\n answer-cookie: yes\n \
         cookie-secret: \"{secret}\"\n\
         remote-control:\n control-enable: no\n\
         zone:\n name: \"infra.example\"\n zonefile: {zone:?}\n"
    );
    let file = format!("{folder}/nsd.conf");
    std::fs::write(&file, config).unwrap();
    let program = Program::start(Command::new("nsd").args(["-d", "-c", &file]));
    (program, address)
}

/// Starts Knot with a secret.
fn knot(folder: &Path, secret: &str) -> (Program, SocketAddr) {
    let zone = folder.join("infra.example.zone");
    std::fs::write(&zone, format!("$ORIGIN infra.example.\n{ZONE}")).unwrap();
    let address: SocketAddr = ([127, 0, 0, 1], free_port()).into();
    let config = format!(
        "server:\n  listen: 127.0.0.1@{}\n  rundir: {folder:?}\ndatabase:\n  storage: {folder:?}\n\
         mod-cookies:\n  - id: default\n    secret: 0x{secret}\n    badcookie-slip: 1\n\
         template:\n  - id: default\n    storage: {folder:?}\n    zonefile-sync: -1\n    \
         journal-content: none\n    global-module: mod-cookies/default\n\
         zone:\n  - domain: infra.example\n    file: {zone:?}\n",
        address.port(),
    );
    let file = folder.join("knot.conf");
    std::fs::write(&file, config).unwrap();
    let program = Program::start(Command::new("knotd").arg("-c").arg(&file));
    (program, address)
}

#[test]
fn rfc9018_4_nsd_and_we_take_each_others_cookies() {
    let folder = tempfile::tempdir().unwrap();
    let (mut program, nsd) = nsd(folder.path(), SECRETS[0]);
    program.wait_until(|| accepts(nsd)).unwrap();
    let (same, other) = (Node::start(&SECRETS[..1]), Node::start(&SECRETS[1..]));

    let theirs = ask(nsd, b"a client");
    assert!(same.accepts(&theirs), "{theirs:02x?}");
    assert!(!other.accepts(&theirs), "it is made with another secret");

    // NSD gives a cookie back as it came only if it is right and fresh.
    let ours = same.cookie();
    assert_eq!(ask(nsd, &ours), ours);
    let foreign = other.cookie();
    assert_ne!(ask(nsd, &foreign), foreign);
}

#[test]
fn rfc9018_4_knot_and_we_take_each_others_cookies() {
    let folder = tempfile::tempdir().unwrap();
    let (mut program, knot) = knot(folder.path(), SECRETS[0]);
    program.wait_until(|| accepts(knot)).unwrap();
    let (same, other) = (Node::start(&SECRETS[..1]), Node::start(&SECRETS[1..]));
    // Knot answers what has no right cookie with BADCOOKIE, and a right one with data.
    let rcode = |cookie: &[u8]| {
        let edns = Edns {
            options: vec![(COOKIE, cookie.to_vec())],
            ..Edns::default()
        };
        let reply = udp(knot, &Query::new("infra.example", SOA).edns(edns));
        (reply.rcode(), reply.option(COOKIE).unwrap())
    };

    let (badcookie, theirs) = rcode(b"a client");
    assert_eq!(badcookie, 23);
    assert!(same.accepts(&theirs), "{theirs:02x?}");
    assert!(!other.accepts(&theirs), "it is made with another secret");

    assert_eq!(rcode(&same.cookie()).0, 0);
    assert_eq!(rcode(&other.cookie()).0, 23);
}
