//! The other servers: what starts them with zones that mxpool has signed.
//!
//! Each answers UDP and TCP with one thread or process, with nothing that slows it down on purpose,
//! and otherwise as it is packaged.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use super::process::free_port;

/// The file of a certificate, beside the servers' folders.
pub(crate) const CERTIFICATE: &str = "certificate.pem";
/// The file of its key.
pub(crate) const KEY: &str = "key.pem";

/// A server to be compared with.
pub(crate) struct Peer {
    /// What the table calls it.
    pub(crate) name: &'static str,
    /// What it says of itself.
    pub(crate) version: String,
    /// Where it answers.
    pub(crate) address: SocketAddr,
    /// Where it answers over TLS, if it can.
    pub(crate) dot: Option<SocketAddr>,
    /// What starts it in the foreground.
    pub(crate) command: Command,
}

/// Prepares every peer that `wanted` names for the zones in `folder`/zones.
pub(crate) fn prepare(folder: &Path, zones: &[String], wanted: impl Fn(&str) -> bool) -> Vec<Peer> {
    let all: [(&str, Prepare); 3] = [("Knot", knot), ("NSD", nsd), ("PowerDNS", powerdns)];
    let all = all.into_iter().filter(|(name, _)| wanted(name));
    all.map(|(name, prepare)| {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).expect("the folder can be written");
        let address: SocketAddr = ([127, 0, 0, 1], free_port()).into();
        let dot = (name == "NSD").then(free_port);
        let ports = Ports {
            dns: address.port(),
            dot,
        };
        let (command, version) = prepare(&folder, zones, ports);
        Peer {
            name,
            version,
            address,
            dot: dot.map(|port| ([127, 0, 0, 1], port).into()),
            command,
        }
    })
    .collect()
}

/// Where a server listens.
#[derive(Clone, Copy)]
struct Ports {
    /// UDP and TCP.
    dns: u16,
    /// TLS.
    dot: Option<u16>,
}

/// Writes a configuration into a folder for zones; returns the command and the version.
type Prepare = fn(&Path, &[String], Ports) -> (Command, String);

fn knot(folder: &Path, zones: &[String], ports: Ports) -> (Command, String) {
    let port = ports.dns;
    let mut config = format!(
        "server:\n  listen: 127.0.0.1@{port}\n  rundir: {folder:?}\n  udp-workers: 1\n  \
         tcp-workers: 1\n  udp-max-payload: 1232\n\
         database:\n  storage: {folder:?}\n\
         template:\n  - id: default\n    storage: {folder:?}\n    file: \"../zones/%s.zone\"\n    \
         semantic-checks: off\n    zonefile-sync: -1\n    journal-content: none\nzone:\n"
    );
    for zone in zones {
        let _ = writeln!(config, "  - domain: {zone:?}");
    }
    let path = folder.join("knot.conf");
    fs::write(&path, config).expect("the folder can be written");
    let mut command = Command::new("knotd");
    command.arg("-c").arg(path);
    (command, said("knotd", "-V"))
}

fn nsd(folder: &Path, zones: &[String], ports: Ports) -> (Command, String) {
    let path = folder.display();
    let mut listen = format!(" port: {0}\n ip-address: 127.0.0.1@{0}\n", ports.dns);
    if let Some(dot) = ports.dot {
        let _ = write!(
            listen,
            " ip-address: 127.0.0.1@{dot}\n tls-port: {dot}\n \
             tls-service-key: \"{path}/../{KEY}\"\n tls-service-pem: \"{path}/../{CERTIFICATE}\"\n"
        );
    }
    let mut config = format!(
        "server:\n{listen} username: \"\"\n chroot: \"\"\n \
         zonesdir: \"{path}/../zones\"\n pidfile: \"{path}/nsd.pid\"\n database: \"\"\n \
         xfrdfile: \"{path}/xfrd.state\"\n zonelistfile: \"{path}/zone.list\"\n xfrdir: \"{path}\"\n \
         minimal-responses: yes\n ipv4-edns-size: 1232\n rrl-ratelimit: 0\n server-count: 1\n\
         remote-control:\n control-enable: no\n"
    );
    for zone in zones {
        let _ = write!(
            config,
            "zone:\n name: {zone:?}\n zonefile: \"{zone}.zone\"\n"
        );
    }
    let path = folder.join("nsd.conf");
    fs::write(&path, config).expect("the folder can be written");
    let mut command = Command::new("nsd");
    command.arg("-d").arg("-c").arg(path);
    (command, said("nsd", "-v"))
}

/// With its zone file backend, which holds zones in memory as the others do, and which can be told
/// of all signed zones at once.
fn powerdns(folder: &Path, zones: &[String], ports: Ports) -> (Command, String) {
    let (path, port) = (folder.display(), ports.dns);
    let mut named = String::new();
    let mut marks = String::from("BEGIN;\n");
    for zone in zones {
        let _ = writeln!(
            named,
            "zone {zone:?} {{ type master; file \"{path}/../zones/{zone}.zone\"; }};"
        );
        let _ = writeln!(
            marks,
            "INSERT INTO domainmetadata (domain, kind, content) VALUES ('{zone}', 'PRESIGNED', '1');"
        );
    }
    marks.push_str("COMMIT;\n");
    let config = format!(
        "launch=bind\nbind-config={path}/named.conf\nbind-dnssec-db={path}/dnssec.sqlite3\n\
         local-address=127.0.0.1\nlocal-port={port}\nsocket-dir={path}\ndaemon=no\nguardian=no\n\
         receiver-threads=1\ndistributor-threads=1\nsecurity-poll-suffix=\nloglevel=3\n"
    );
    let put = |name: &str, text: &str| {
        fs::write(folder.join(name), text).expect("the folder can be written");
    };
    put("named.conf", &named);
    put("pdns.conf", &config);
    put("marks.sql", &marks);
    let database = folder.join("dnssec.sqlite3");
    let config_folder = format!("--config-dir={path}");
    run(Command::new("pdnsutil")
        .args([&config_folder, "create-bind-db"])
        .arg(&database));
    let marks = fs::File::open(folder.join("marks.sql")).expect("it was just written");
    run(Command::new("sqlite3").arg(&database).stdin(marks));
    let mut command = Command::new("pdns_server");
    command.arg(&config_folder);
    (command, said("pdns_server", "--version"))
}

/// Runs a command that must succeed.
fn run(command: &mut Command) {
    let output = command
        .stdout(Stdio::piped())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Returns the version that a program prints.
fn said(program: &str, argument: &str) -> String {
    let output = Command::new(program)
        .arg(argument)
        .output()
        .unwrap_or_else(|error| {
            panic!("{program}: {error} (benches/versus/run installs what is missing)")
        });
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let is_version =
        |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.');
    let mut words = text.lines().take(1).flat_map(str::split_whitespace);
    words.find(is_version).unwrap_or("?").to_owned()
}
