//! The servers that are compared, running.

use std::any::Any;
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use super::agreement::{ask, serves};
use super::measure::settled;
use super::peers::{CERTIFICATE, KEY};
use super::pool::Pools;
use super::process::{Mxpool, Program, free_port};
use super::usage::{self, Tree};
use super::{GENERATOR_CORE, SERVER_CORE, peers};

/// The name of our server.
pub(crate) const OURS: &str = "mxpool";
/// The name of the floor.
pub(crate) const ECHO: &str = "echo";

/// A server that answers, alone on its core.
pub(crate) struct Running {
    /// What the table calls it.
    pub(crate) name: &'static str,
    /// What it says of itself.
    pub(crate) version: String,
    /// Where it answers.
    pub(crate) address: SocketAddr,
    /// Where it answers over TLS, if it can.
    pub(crate) dot: Option<SocketAddr>,
    /// Its processes.
    pub(crate) tree: Tree,
    /// From its start to when it answered for every zone.
    pub(crate) loading: Duration,
    /// What it holds in kB when it has loaded.
    pub(crate) memory: u64,
    /// Ends it when it is dropped.
    _owner: Box<dyn Any>,
}

impl Running {
    /// Returns whether it is a name server.
    pub(crate) fn is_dns(&self) -> bool {
        self.name != ECHO
    }
}

/// All servers, and the folder with their data.
pub(crate) struct Scene {
    /// The servers, the floor first.
    pub(crate) servers: Vec<Running>,
    /// Goes when they have gone.
    _folder: tempfile::TempDir,
}

impl Scene {
    /// Creates the pools and starts the servers that `wanted` names with them.
    pub(crate) fn set(pools: &Pools, wanted: impl Fn(&str) -> bool) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let cores = cores.max(GENERATOR_CORE + 1);
        // Loading may use all cores; the next scene's as well.
        usage::unpin_self(cores).expect("there are two cores");
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mut servers = Vec::new();
        if wanted(ECHO) {
            servers.push(start_echo());
        }
        let zones = pools.zones();
        let peers = ["Knot", "NSD", "PowerDNS"].into_iter().any(&wanted);
        if peers || wanted(OURS) {
            eprintln!("{} domains are created", zones.len());
            let dns: SocketAddr = ([127, 0, 0, 1], free_port()).into();
            let dot: SocketAddr = ([127, 0, 0, 1], free_port()).into();
            let path = |file: &str| folder.path().join(file);
            let certified = rcgen::generate_simple_self_signed(["dns.example".to_owned()]);
            let certified = certified.expect("a certificate can be made");
            let write = |file: &str, text: String| {
                fs::write(path(file), text).expect("the folder can be written");
            };
            write(CERTIFICATE, certified.cert.pem());
            write(KEY, certified.signing_key.serialize_pem());
            fs::set_permissions(path(KEY), Permissions::from_mode(0o600)).expect("it is ours");
            // One worker, as the others have.
            let config = format!(
                "udp_workers = 1\n[dns.tls]\ndot = [\"{dot}\"]\ncertificate = {:?}\nkey = {:?}\n",
                path(CERTIFICATE),
                path(KEY)
            );
            let start = || {
                Mxpool::try_start_at(folder.path(), dns, &config)
                    .unwrap_or_else(|error| panic!("mxpool {error}"))
            };
            let mut server = start();
            pools.create(&server);
            if peers {
                eprintln!("their zones are written for the other servers");
                pools.export(&server, folder.path());
            }
            server.program().stop();
            drop(server);
            if wanted(OURS) {
                let begin = Instant::now();
                let mut server = start();
                let id = server.program().id();
                let version = env!("CARGO_PKG_VERSION").to_owned();
                let owner = Box::new(server);
                servers.push(loaded(
                    OURS,
                    version,
                    (dns, Some(dot)),
                    begin,
                    &zones,
                    id,
                    owner,
                ));
            }
        }
        for mut peer in peers::prepare(folder.path(), &zones, &wanted) {
            eprintln!("{} loads", peer.name);
            let begin = Instant::now();
            let program = Program::start(&mut peer.command);
            let id = program.id();
            let mut owner = Box::new(program);
            let last = zones.last().expect("there is a domain");
            owner
                .wait_until(|| serves(peer.address, last))
                .unwrap_or_else(|error| panic!("{} {error}", peer.name));
            let (name, version, address) = (peer.name, peer.version, (peer.address, peer.dot));
            servers.push(loaded(name, version, address, begin, &zones, id, owner));
        }
        for server in &mut servers {
            server.tree.pin(SERVER_CORE).expect("there are two cores");
        }
        usage::pin_self(GENERATOR_CORE).expect("there are two cores");
        Self {
            servers,
            _folder: folder,
        }
    }
}

fn start_echo() -> Running {
    let address: SocketAddr = ([127, 0, 0, 1], free_port()).into();
    let own = std::env::current_exe().expect("a program knows itself");
    let begin = Instant::now();
    let mut command = Command::new(own);
    command.args([ECHO, &address.to_string()]);
    let mut program = Program::start(&mut command);
    program
        .wait_until(|| ask(address, &[0; 12]).is_some())
        .unwrap_or_else(|error| panic!("the echo {error}"));
    let id = program.id();
    Running {
        name: ECHO,
        version: String::new(),
        address,
        dot: None,
        tree: Tree::of(id),
        loading: begin.elapsed(),
        memory: Tree::of(id).memory(),
        _owner: Box::new(program),
    }
}

/// Waits until a server answers for all zones, as far as samples show.
fn loaded(
    name: &'static str,
    version: String,
    (address, dot): (SocketAddr, Option<SocketAddr>),
    begin: Instant,
    zones: &[String],
    id: u32,
    owner: Box<dyn Any>,
) -> Running {
    let step = (zones.len() / 100).max(1);
    for zone in zones.iter().rev().step_by(step) {
        // Two minutes for all, should a server begin to answer before it has loaded.
        let served = (0..1_200).any(|_| serves(address, zone));
        assert!(served, "{name} does not serve {zone}");
    }
    let loading = begin.elapsed();
    settled(id);
    let tree = Tree::of(id);
    Running {
        name,
        version,
        address,
        dot,
        memory: tree.memory(),
        tree,
        loading,
        _owner: owner,
    }
}
