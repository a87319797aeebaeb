//! The parent zone in Knot: signed, with the delegations that a registrar would enter.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::addresses;
use crate::process::{Program, accepts, run};

/// The zone that all others are below.
pub(super) const ZONE: &str = "example.";

/// Where the operator's name server is in it.
const NAMESERVER: &str = "ns1.infra.example.";

/// Seconds that delegations and denials may be cached.
pub(super) const TTL: u32 = 2;

/// A running parent.
pub(super) struct Parent {
    _program: Program,
    socket: PathBuf,
}

impl Parent {
    /// Starts Knot and waits until it serves the signed zone.
    pub(super) fn start(folder: &Path) -> Self {
        let folder = folder.join("parent");
        std::fs::create_dir(&folder).unwrap();
        let (parent, nameserver) = (addresses::PARENT, addresses::MXPOOL);
        let zone = format!(
            "$TTL {TTL}\n@ SOA ns hostmaster 1 14400 3600 1209600 {TTL}\n@ NS ns\nns A {parent}\n\
             ns1.infra A {nameserver}\n"
        );
        std::fs::write(folder.join("example.zone"), zone).unwrap();
        let socket = folder.join("knot.sock");
        let config = format!(
            "server:\n  listen: {parent}@53\n  rundir: {folder:?}\n\
             control:\n  listen: {socket:?}\n\
             database:\n  storage: {folder:?}\n\
             log:\n  - target: stderr\n    any: warning\n\
             policy:\n  - id: signed\n    single-type-signing: on\n    ksk-lifetime: 0\n    dnskey-ttl: 60\n\
             zone:\n  - domain: {ZONE}\n    storage: {folder:?}\n    file: example.zone\n    \
             zonefile-sync: -1\n    zonefile-load: whole\n    journal-content: changes\n    \
             dnssec-signing: on\n    dnssec-policy: signed\n"
        );
        std::fs::write(folder.join("knot.conf"), config).unwrap();
        let mut command = Command::new("knotd");
        command.arg("-c").arg(folder.join("knot.conf"));
        let mut program = Program::start(&mut command);
        program
            .wait_until(|| accepts(addresses::dns(parent)) && !dnskeys().is_empty())
            .unwrap_or_else(|error| panic!("knotd {error}"));
        Self {
            _program: program,
            socket,
        }
    }

    /// Returns the trust anchors: the zone's keys as master file lines.
    pub(super) fn anchors(&self) -> String {
        dnskeys()
    }

    /// Delegates a name to the operator, with the DS records he was given.
    pub(super) fn delegate(&self, name: &str, ds: &[String]) {
        let mut lines = vec![format!("zone-set {ZONE} {name}. {TTL} NS {NAMESERVER}")];
        for record in ds {
            let (_, rdata) = record.split_once(" DS ").expect("a DS record");
            lines.push(format!("zone-set {ZONE} {name}. {TTL} DS {rdata}"));
        }
        self.change(&lines);
    }

    /// Removes a delegation, as when its registration is deleted.
    pub(super) fn remove(&self, name: &str) {
        self.change(&[format!("zone-unset {ZONE} {name}.")]);
    }

    /// Makes a change in one transaction, signed and served when this returns.
    fn change(&self, lines: &[String]) {
        self.control(&format!("zone-begin {ZONE}"));
        for line in lines {
            self.control(line);
        }
        self.control(&format!("zone-commit {ZONE}"));
    }

    /// Runs a control command.
    fn control(&self, line: &str) {
        let mut command = Command::new("knotc");
        command.arg("-s").arg(&self.socket).args(line.split(' '));
        let (good, text) = run(&mut command);
        assert!(good, "knotc {line}: {text}");
    }
}

/// Asks the parent for its keys.
fn dnskeys() -> String {
    let server = format!("@{}", addresses::PARENT);
    let mut command = Command::new("dig");
    command.args([&server, ZONE, "DNSKEY", "+noall", "+answer", "+time=1"]);
    let (good, text) = run(&mut command);
    let keys = text.lines().filter(|line| line.contains("DNSKEY"));
    if good {
        keys.map(|line| format!("{line}\n")).collect()
    } else {
        String::new()
    }
}
