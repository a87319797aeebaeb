//! Validators that we did not write, looking at what the API says they should trust.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::process::{Mxpool, Program, accepts, free_port, full_size, run};

/// An operator zone with one of every answer kind.
const INFRA: &str = r#"
$TTL 3600
@ SOA ns1 hostmaster 1 14400 3600 1209600 900
@ NS ns1
@ NS ns2
ns1 A 127.0.0.1
ns2 A 127.0.0.1
mx1 A 192.0.2.25
_25._tcp.mx1 TLSA 3 1 1 8cb0fc6c527506a053f4f14c8464bebbd6dede2738d11468dd953d7d6a3021f1
www CNAME mx1
*.wild TXT "from the wildcard"
x.ent.wild TXT "blocks"
host.*.sub TXT "below a wildcard that owns nothing"
old DNAME new
a.new TXT "behind a DNAME"
cut NS ns.cut
ns.cut A 127.0.0.1
cut DS 12345 13 2 8cb0fc6c527506a053f4f14c8464bebbd6dede2738d11468dd953d7d6a3021f1
"#;

/// A resolver that validates with the given trust anchors and asks one server for everything.
struct Unbound {
    _program: Program,
    address: SocketAddr,
}

impl Unbound {
    /// Starts unbound; `anchors` are DS records as text.
    fn start(folder: &Path, zones: &[&str], anchors: &[String], server: SocketAddr) -> Self {
        let port = free_port();
        let mut config = format!(
            "server:\n directory: {folder:?}\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n \
             do-daemonize: no\n use-syslog: no\n interface: 127.0.0.1\n port: {port}\n \
             do-ip6: no\n do-not-query-localhost: no\n module-config: \"validator iterator\"\n \
             trust-anchor-file: \"anchors\"\n qname-minimisation: no\n num-threads: 1\n"
        );
        for zone in zones {
            let _ = write!(
                config,
                "stub-zone:\n name: {zone:?}\n stub-addr: {}@{}\n",
                server.ip(),
                server.port()
            );
        }
        std::fs::write(folder.join("anchors"), anchors.join("\n") + "\n").unwrap();
        std::fs::write(folder.join("unbound.conf"), config).unwrap();
        let mut command = Command::new("unbound");
        command.arg("-c").arg(folder.join("unbound.conf"));
        let mut program = Program::start(&mut command);
        let address: SocketAddr = ([127, 0, 0, 1], port).into();
        program
            .wait_until(|| accepts(address))
            .unwrap_or_else(|error| panic!("unbound {error}"));
        Self {
            _program: program,
            address,
        }
    }

    /// Asks with dig and returns what it printed.
    fn dig(&self, qname: &str, qtype: &str) -> String {
        let mut command = Command::new("dig");
        command.args([
            "+dnssec",
            "+tries=2",
            "+time=5",
            "-p",
            &self.address.port().to_string(),
        ]);
        let (_, text) = run(command.args(["@127.0.0.1", qname, qtype]));
        text
    }
}

/// Returns the flags line's flags.
fn flags(dig: &str) -> Vec<&str> {
    let line = dig.lines().find_map(|line| line.strip_prefix(";; flags: "));
    let flags = line.and_then(|line| line.split(';').next());
    flags.unwrap_or_default().split(' ').collect()
}

/// Runs delv against the server with one trust anchor.
pub(crate) fn delv(
    folder: &Path,
    server: SocketAddr,
    zone: &str,
    ds: &str,
    qname: &str,
    qtype: &str,
) -> String {
    let fields: Vec<&str> = ds.split_whitespace().collect();
    let at = fields
        .iter()
        .position(|field| *field == "DS")
        .expect("a DS record");
    let [tag, algorithm, digest_type] = [fields[at + 1], fields[at + 2], fields[at + 3]];
    let digest = fields[at + 4..].concat();
    let anchors = folder.join(format!("delv.{zone}"));
    let text = format!(
        "trust-anchors {{ \"{zone}\" static-ds {tag} {algorithm} {digest_type} \"{digest}\"; }};\n"
    );
    std::fs::write(&anchors, text).unwrap();
    let mut command = Command::new("delv");
    command.arg("-a").arg(&anchors).arg(format!("+root={zone}"));
    command.args(["@127.0.0.1", "-p", &server.port().to_string(), qname, qtype]);
    run(&mut command).1
}

#[test]
fn every_answer_kind_validates_in_unbound_and_delv() {
    let folder = tempfile::tempdir().unwrap();
    let mxpool = Mxpool::start(folder.path());
    mxpool.put_zone("infra.example", INFRA);
    let mut pool = crate::process::settings();
    pool["subdomains"] = json!(true);
    mxpool.ok("PUT", "/v1/pools/main", Some(&pool));
    let ed25519 = {
        let mut pool = crate::process::settings();
        pool["dnssec"] = json!({"algorithm": "ed25519"});
        pool
    };
    mxpool.ok("PUT", "/v1/pools/other", Some(&ed25519));
    mxpool.add_domains("main", &["burner.example".to_owned()]);
    mxpool.add_domains("other", &["edwards.example".to_owned()]);
    let zones = ["infra.example", "burner.example", "edwards.example"];
    let mut anchors = mxpool.ds_lines("zones", "infra.example");
    anchors.extend(mxpool.ds_lines("domains", "burner.example"));
    anchors.extend(mxpool.ds_lines("domains", "edwards.example"));
    assert_eq!(anchors.len(), 3);
    let unbound = Unbound::start(folder.path(), &zones, &anchors, mxpool.dns);

    let cases = [
        ("burner.example", "MX", "NOERROR", "positive"),
        ("burner.example", "SOA", "NOERROR", "positive"),
        ("burner.example", "TXT", "NOERROR", "positive"),
        ("burner.example", "DNSKEY", "NOERROR", "positive"),
        ("burner.example", "CDS", "NOERROR", "positive"),
        ("mx1.burner.example", "AAAA", "NOERROR", "positive"),
        ("_25._tcp.mx1.burner.example", "TLSA", "NOERROR", "positive"),
        ("_mta-sts.burner.example", "TXT", "NOERROR", "positive"),
        ("mta-sts.burner.example", "A", "NOERROR", "positive"),
        ("_dmarc.burner.example", "TXT", "NOERROR", "positive"),
        ("burner.example", "AAAA", "NOERROR", "NODATA"),
        (
            "_25._tcp.mx1.burner.example",
            "A",
            "NOERROR",
            "NODATA at the TLSA owner (D16)",
        ),
        ("_tcp.mx1.burner.example", "A", "NOERROR", "ENT"),
        (
            "_25._tcp.mx9.burner.example",
            "TLSA",
            "NOERROR",
            "wildcard NODATA",
        ),
        ("user.burner.example", "MX", "NOERROR", "wildcard"),
        ("user.burner.example", "TXT", "NOERROR", "wildcard NODATA"),
        ("edwards.example", "MX", "NOERROR", "positive, algorithm 15"),
        (
            "nothere.edwards.example",
            "A",
            "NXDOMAIN",
            "NXDOMAIN, algorithm 15",
        ),
        ("_26._tcp.mx1.infra.example", "TLSA", "NXDOMAIN", "NXDOMAIN"),
        ("nothere.infra.example", "A", "NXDOMAIN", "NXDOMAIN"),
        ("www.infra.example", "A", "NOERROR", "CNAME"),
        ("x.wild.infra.example", "TXT", "NOERROR", "wildcard"),
        (
            "ent.wild.infra.example",
            "TXT",
            "NOERROR",
            "ENT that blocks a wildcard",
        ),
        (
            "x.sub.infra.example",
            "TXT",
            "NOERROR",
            "wildcard that is an ENT",
        ),
        ("a.old.infra.example", "TXT", "NOERROR", "DNAME"),
        ("cut.infra.example", "DS", "NOERROR", "DS"),
        ("mx1.infra.example", "DS", "NOERROR", "NODATA for DS"),
    ];
    for (qname, qtype, rcode, kind) in cases {
        let dig = unbound.dig(qname, qtype);

        assert!(
            dig.contains(&format!("status: {rcode}")),
            "{kind}: {qname} {qtype}\n{dig}"
        );
        assert!(
            flags(&dig).contains(&"ad"),
            "{kind}: {qname} {qtype} is not secure\n{dig}"
        );
    }
    for (zone, ds) in zones.iter().zip(&anchors) {
        for (qname, qtype, ..) in cases.iter().filter(|(qname, ..)| qname.ends_with(zone)) {
            let text = delv(folder.path(), mxpool.dns, zone, ds, qname, qtype);

            assert!(text.contains("fully validated"), "{qname} {qtype}\n{text}");
        }
    }
}

#[test]
fn a_validator_refuses_what_is_not_signed_by_the_anchor() {
    // The check above can fail: the same question under another key is bogus.
    let folder = tempfile::tempdir().unwrap();
    let mxpool = Mxpool::start(folder.path());
    mxpool.put_pool("main");
    mxpool.add_domains("main", &["a.example".to_owned(), "b.example".to_owned()]);
    let wrong = mxpool.ds_lines("domains", "b.example")[0].replace("b.example", "a.example");
    let unbound = Unbound::start(folder.path(), &["a.example"], &[wrong], mxpool.dns);

    let dig = unbound.dig("a.example", "MX");

    assert!(dig.contains("status: SERVFAIL"), "{dig}");
}

#[test]
fn every_zone_of_a_pool_passes_ldns_verify_zone() {
    let count = if full_size() { 10_000 } else { 300 };
    let folder = tempfile::tempdir().unwrap();
    let mxpool = Mxpool::start(folder.path());
    mxpool.put_pool("main");
    let names: Vec<String> = (0..count)
        .map(|number| format!("d{number}.example"))
        .collect();
    mxpool.add_domains("main", &names);

    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let (next, names, mxpool, folder) = (&next, &names, &mxpool, folder.path());
            scope.spawn(move || {
                let file = folder.join(format!("zone.{worker}"));
                loop {
                    let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(name) = names.get(at) else { return };
                    std::fs::write(&file, mxpool.signed_zone(name)).unwrap();
                    let (good, text) = run(Command::new("ldns-verify-zone").arg(&file));
                    assert!(good, "{name}: {text}");
                }
            });
        }
    });
    let sample = mxpool.signed_zone(&names[0]);
    let file = folder.path().join("checked");
    std::fs::write(&file, &sample).unwrap();
    let (good, text) = run(Command::new("named-checkzone").arg(&names[0]).arg(&file));
    assert!(good, "{text}");
    // One octet of one signature changed: the verifier must see it.
    let broken: String = sample
        .lines()
        .map(|line| {
            let is_mx = line.contains("RRSIG") && line.contains(" MX ") || line.contains("\tMX ");
            let swap = |c: char| if c == 'A' { 'B' } else { 'A' };
            match line.rfind(|c: char| c.is_ascii_alphanumeric()) {
                Some(at) if is_mx && line.contains("RRSIG") => {
                    // Not the last character, whose low bits may be padding.
                    let at = at - 20;
                    let c = line[at..].chars().next().unwrap();
                    format!("{}{}{}\n", &line[..at], swap(c), &line[at + 1..])
                }
                _ => format!("{line}\n"),
            }
        })
        .collect();
    assert_ne!(broken, sample);
    std::fs::write(&file, broken).unwrap();
    assert!(
        !run(Command::new("ldns-verify-zone").arg(&file)).0,
        "a broken signature passes"
    );
}
