//! A place of the test's own: network, mounts and processes that nothing outside can see.
//!
//! The test starts itself again under `unshare`. Inside, it is the first process of its process
//! namespace: however it ends, the kernel ends everything it started, and addresses, mounts and
//! files go with the last of them. What happens outside is one directory entry under `/tmp`.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::addresses;
use crate::process::run;

/// Tells the test that it runs inside, and where its folder is.
const INSIDE: &str = "MXPOOL_LOSSLESS_FOLDER";

/// What must be there; their packages are listed in `tests/run`.
const PROGRAMS: [&str; 10] = [
    "unshare", "mount", "ip", "knotd", "knotc", "unbound", "postfix", "postconf", "openssl", "dig",
];

/// The whole run, and what it takes to come up and down.
const PATIENCE: Duration = Duration::from_secs(420);

/// Returns the folder inside the namespaces, when the test is there already.
pub(super) fn inside() -> Option<PathBuf> {
    std::env::var_os(INSIDE).map(PathBuf::from)
}

/// Returns why the namespaces cannot be made here, if so.
pub(super) fn refused() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("only root may make network and mount namespaces".to_owned());
    }
    for program in PROGRAMS {
        let (found, _) = run(Command::new("sh").args(["-c", &format!("command -v {program}")]));
        if !found {
            return Some(format!("{program} is not installed"));
        }
    }
    let (good, text) = run(unshare().arg("true"));
    (!good).then(|| format!("namespaces are not permitted: {}", text.trim()))
}

/// Runs a test of this binary inside and returns whether it passed and what it printed.
pub(super) fn run_inside(test: &str) -> (bool, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let mut child = unshare()
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, folder.path())
        // Held open as long as this process lives; see `end_with_parent`.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().expect("standard output is piped");
    let stderr = child.stderr.take().expect("standard error is piped");
    let readers = [read(stdout), read(stderr)];
    let start = Instant::now();
    let passed = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.success();
        }
        if start.elapsed() > PATIENCE {
            // `unshare --kill-child`: what it started dies with it.
            child.kill().unwrap();
        }
        std::thread::park_timeout(Duration::from_millis(100));
    };
    let lines = readers
        .into_iter()
        .flat_map(|reader| reader.join().unwrap())
        .collect();
    (passed, lines)
}

/// Brings up addresses, a file system and a resolver of the test's own; only ever inside.
pub(super) fn settle(folder: &std::path::Path) {
    end_with_parent();
    must("ip", &["link", "set", "lo", "up"]);
    for address in addresses::ALL {
        let address = format!("{address}/32");
        must("ip", &["address", "add", &address, "dev", "lo"]);
    }
    let path = folder.to_str().expect("temporary folders have plain names");
    // The daemons of Postfix run as a user of their own and have to pass.
    must("mount", &["-t", "tmpfs", "-o", "mode=755", "tmpfs", path]);
    let resolver = folder.join("resolv.conf");
    let text = format!("nameserver {}\noptions trust-ad\n", addresses::RESOLVER);
    std::fs::write(&resolver, text).unwrap();
    let resolver = resolver.to_str().expect("it is below the folder");
    must("mount", &["--bind", resolver, "/etc/resolv.conf"]);
}

/// Ends this process when the one that started it is gone, whatever the reason.
fn end_with_parent() {
    std::thread::spawn(|| {
        let mut nothing = Vec::new();
        let _ = std::io::stdin().read_to_end(&mut nothing);
        std::process::exit(1);
    });
}

/// Returns the command that runs another one in new namespaces.
fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child"]);
    command.arg("--mount-proc");
    command
}

/// Runs a program that has to succeed.
fn must(program: &str, arguments: &[&str]) {
    let (good, text) = run(Command::new(program).args(arguments));
    assert!(good, "{program} {arguments:?}: {text}");
}

/// Collects what a process prints.
fn read(from: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<String>> {
    std::thread::spawn(move || BufReader::new(from).lines().map_while(Result::ok).collect())
}
