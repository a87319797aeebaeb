//! What SIGHUP changes while the server runs: each part by itself, whatever is wrong with another.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::RootCertStore;

use crate::cookies::{SECRETS, write_secrets};
use crate::encrypted::{NAME, connect, write_private};
use crate::process::{Mxpool, Program, free_port, run};

/// What is said of a certificate that is not taken over.
const REFUSED: &str = "the certificate is not taken over";

/// A server with cookie secrets, DNS over TLS, and every other listener.
struct Node {
    server: Mxpool,
    dot: SocketAddr,
    metrics: SocketAddr,
    folder: tempfile::TempDir,
}

impl Node {
    /// Starts it.
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [dot, metrics] = [(); 2].map(|()| SocketAddr::from(([127, 0, 0, 1], free_port())));
        write_secrets(&folder.path().join("cookie.secrets"), &SECRETS[..1]);
        certificate(folder.path(), "old");
        let more = format!(
            "nsid = \"ns1\"\n[dns.cookies]\nsecrets = \"cookie.secrets\"\n[log]\nlevel = \"info\"\n\
             [dns.tls]\ndot = [\"{dot}\"]\ncertificate = \"old.pem\"\nkey = \"old.key\"\n\
             [metrics]\nlisten = \"{metrics}\"\n[routing]\nlisten = \"unix:run/routing.sock\"\n"
        );
        let dns = ([127, 0, 0, 1], free_port()).into();
        let server = Mxpool::try_start_at(folder.path(), dns, &more).unwrap();
        Self {
            server,
            dot,
            metrics,
            folder,
        }
    }

    /// Writes a configuration with one text in the place of another.
    fn replace(&self, old: &str, new: &str) {
        let path = self.server.config();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{text}");
        std::fs::write(path, text.replace(old, new)).unwrap();
    }

    /// Returns the path of a file in its folder.
    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns whether clients are shown the certificate that `trusted` has.
    fn shows(&self, trusted: &RootCertStore) -> bool {
        let mut client = connect(self.dot, trusted);
        while client.conn.is_handshaking() {
            if client.conn.complete_io(&mut client.sock).is_err() {
                return false;
            }
        }
        true
    }
}

/// A node that starts and waits for its sealing key.
struct Start {
    program: Program,
    /// What lets it go on.
    waiting: File,
    /// Where all of it lies, for as long as it runs.
    _folder: tempfile::TempDir,
}

impl Start {
    /// Begins it; returns what the key is, too.
    fn begin() -> (Self, Vec<u8>) {
        let node = Node::start();
        let (folder, text) = (node.folder, node.server.config());
        drop(node.server);
        let path = folder.path().join("keys/sealing.key");
        let key = std::fs::read(&path).unwrap();
        hang(&path);
        let mut command = Command::new(env!("CARGO_BIN_EXE_mxpool"));
        command.args(["serve", "--config"]).arg(text);
        let mut program = Program::start(command.current_dir(folder.path()));
        let waiting = waited_for(&path, &mut program);
        let start = Self {
            program,
            waiting,
            _folder: folder,
        };
        (start, key)
    }
}

/// Writes a certificate and its key, and returns what trusts it.
fn certificate(folder: &Path, name: &str) -> RootCertStore {
    certificate_until(folder, name, 4_000)
}

/// The same of one that ends when a year begins.
fn certificate_until(folder: &Path, name: &str, year: i32) -> RootCertStore {
    let mut of = CertificateParams::new([NAME.to_owned()]).unwrap();
    of.not_after = date_time_ymd(year, 1, 1);
    let key = KeyPair::generate().unwrap();
    let made = of.self_signed(&key).unwrap();
    std::fs::write(folder.join(format!("{name}.pem")), made.pem()).unwrap();
    write_private(&folder.join(format!("{name}.key")), &key.serialize_pem());
    let mut trusted = RootCertStore::empty();
    trusted.add(made.der().clone()).unwrap();
    trusted
}

/// Puts a FIFO in the place of a file: whoever reads that waits, as for a disk.
fn hang(path: &Path) {
    std::fs::remove_file(path).unwrap();
    mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
}

/// Waits until a program reads a FIFO, and returns what lets it go on.
fn waited_for(path: &Path, program: &mut Program) -> File {
    // One that never reads it must fail the test, not hold it up for ever.
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(libc::O_NONBLOCK);
    let mut opened = None;
    let is_read = || match options.open(path) {
        Ok(file) => {
            opened = Some(file);
            true
        }
        Err(error) => {
            assert_eq!(error.raw_os_error(), Some(libc::ENXIO), "{error}");
            false
        }
    };
    program.wait_until(is_read).unwrap();
    let file = opened.unwrap();
    let flags = OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL).unwrap());
    fcntl(&file, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK)).unwrap();
    file
}

/// Sends a signal.
fn send(signal: &str, program: &Program) {
    let (ok, text) = run(Command::new("kill").args([signal, &program.id().to_string()]));
    assert!(ok, "{text}");
}

#[test]
fn a_start_tells_where_each_listener_is() {
    let mut node = Node::start();

    // It may be ready a little before it says so.
    let program = node.server.program();
    program.wait_until_printed(" serving ", 1).unwrap();

    let log = node.server.log();
    let line = log.lines().find(|line| line.contains(" serving ")).unwrap();
    let (dns, dot, metrics) = (node.server.dns, node.dot, node.metrics);
    let api = node.server.api.trim_start_matches("http://");
    let wanted = format!(
        "/mxpool.toml and the environment\" dns=[{dns}] dot=[{dot}] api={api} metrics={metrics} \
         routing=unix:run/routing.sock"
    );
    assert!(line.contains("serving config=\"read from /"), "{line}");
    assert!(line.ends_with(&wanted), "{line}");
}

#[test]
fn a_level_that_is_wrong_is_not_told_as_taken_over() {
    let mut node = Node::start();
    node.replace("level = \"info\"", "level = \"loud\"");

    node.server
        .hang_up("log.level: expected error, warn, info, debug or trace, found \"loud\"");

    // What is read behind the level has been read by then.
    let program = node.server.program();
    program
        .wait_until_printed("cookie secrets read again", 1)
        .unwrap();
    let log = node.server.log();
    assert!(!log.contains("log level read again"), "{log}");
}

#[test]
fn a_broken_certificate_keeps_nothing_else_from_being_taken_over() {
    let mut node = Node::start();
    let path = node.file("cookie.secrets").display().to_string();
    std::fs::write(node.file("old.key"), "no key").unwrap();
    node.replace("level = \"info\"", "level = \"debug\"");

    node.server.hang_up(REFUSED);

    node.server.hang_up("cookie secrets read again");
    let log = node.server.log();
    assert!(log.contains("log level read again now=\"debug\""), "{log}");
    let wanted = "expected a private key in PEM, found none in old.key";
    assert!(log.contains(wanted), "{log}");
    // And the other way round.
    let new = certificate(node.folder.path(), "old");
    write_secrets(Path::new(&path), &["short"]);
    node.server.hang_up("the cookie secrets stay as they were");
    node.server.hang_up("certificate read again");
    assert!(node.shows(&new));
    let wanted = "cookie.secrets:1: expected a cookie secret of 32 hexadecimal digits, found 5";
    let log = node.server.log();
    assert!(log.contains(wanted), "{log}");
}

#[test]
fn a_certificate_in_other_files_is_taken_over_without_a_restart() {
    let mut node = Node::start();
    let new = certificate(node.folder.path(), "new");
    node.replace("old.pem", "new.pem");

    // The key of another certificate, then the right one.
    node.server.hang_up(REFUSED);
    assert!(!node.shows(&new));
    node.replace("old.key", "new.key");
    node.server.hang_up("certificate read again");

    assert!(node.shows(&new));
    let log = node.server.log();
    assert!(log.contains("found another one in old.key"), "{log}");
    // What is wrong beside it does not bring the old one back.
    node.replace("dot = [", "dot = [7, ");
    node.server
        .hang_up("dns.tls.dot: expected a text in quotes");
    node.server.hang_up("cookie secrets read again");
    assert!(node.shows(&new));
    let log = node.server.log();
    let read = log.matches("certificate read again").count();
    assert_eq!(read, 1, "{log}");
}

#[test]
fn the_files_of_a_certificate_that_was_refused_are_not_those_in_use() {
    let mut node = Node::start();
    let new = certificate(node.folder.path(), "new");
    let key = std::fs::read(node.file("new.key")).unwrap();
    std::fs::write(node.file("new.key"), "no key").unwrap();
    node.replace("old.", "new.");
    node.server.hang_up(REFUSED);
    std::fs::write(node.file("new.key"), key).unwrap();

    // With this, the section stays as it was.
    node.replace("dot = [", "dot = [7, ");
    node.server.hang_up("cookie secrets read again");

    assert!(!node.shows(&new));
}

#[test]
fn a_configuration_that_cannot_be_read_yet_holds_up_nothing() {
    let mut node = Node::start();
    let path = node.server.config();
    let text = std::fs::read_to_string(&path).unwrap();

    hang(&path);
    send("-HUP", node.server.program());
    let first = waited_for(&path, node.server.program());
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, text.replace("\"info\"", "\"debug\"")).unwrap();
    let debug = "log level read again now=\"debug\"";
    node.server.hang_up(debug);
    hang(&path);
    send("-HUP", node.server.program());
    let _second = waited_for(&path, node.server.program());
    send("-TERM", node.server.program());

    let ended = node.server.program().wait_until(|| false).unwrap_err();
    assert!(ended.starts_with("ended with exit status: 0"), "{ended}");
    drop(first);
}

#[test]
fn a_request_to_reload_while_the_node_starts_is_heeded_once_it_has() {
    let (mut start, key) = Start::begin();

    send("-HUP", &start.program);
    start.waiting.write_all(&key).unwrap();
    drop(start.waiting);

    let waited = start
        .program
        .wait_until_printed("cookie secrets read again", 1);
    waited.unwrap();
}

#[test]
fn a_request_to_stop_while_the_node_starts_ends_it() {
    let (mut start, _) = Start::begin();

    send("-TERM", &start.program);

    // By itself: one that nobody catches would end it by the signal.
    let ended = start.program.wait_until(|| false).unwrap_err();
    assert!(ended.starts_with("ended with exit status: 0"), "{ended}");
}

#[test]
fn a_certificate_that_has_ended_is_shown_and_warned_of() {
    let mut node = Node::start();
    let has_ended = "the certificate of DNS over TLS and QUIC has ended: renew it";
    assert!(!node.server.log().contains(has_ended));

    certificate_until(node.folder.path(), "new", 2_020);
    node.replace("old.", "new.");
    node.server.hang_up(has_ended);

    let (_, metrics) = node.server.try_call("GET", "/metrics", None).unwrap();
    let ends = "mxpool_dns_certificate_expiry_timestamp_seconds 1577836800";
    assert!(metrics.contains(ends), "{metrics}");
}

#[test]
fn what_takes_a_restart_is_named_until_there_was_one() {
    let mut node = Node::start();
    node.replace("nsid = \"ns1\"", "nsid = \"ns2\"\nudp_workers = 1");
    node.replace("[dns.tls]", "[dns.rrl]\nrate = 7\n[dns.tls]");

    for _ in 0..2 {
        let named = "take effect at the next start settings=dns.udp_workers, dns.nsid, dns.rrl";
        node.server.hang_up(named);
    }

    node.replace("rate = 7", "rate = 0");
    node.server.hang_up("dns.rrl.rate: expected a number");
    node.server
        .hang_up("once what is wrong is mended settings=dns.udp_workers, dns.nsid");
    node.replace("rate = 0", "rate = 7");
    node.replace("udp_workers = 1", "cores = [1023]");
    node.server
        .hang_up("dns.cores: expected cores that this process may use");
}
