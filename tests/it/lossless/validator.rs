//! The resolver that the senders and `watch` look through: unbound, validating from the parent.

use std::path::Path;
use std::process::Command;

use super::{addresses, parent};
use crate::process::{Program, accepts};

/// A running resolver.
pub(super) struct Validator {
    _program: Program,
}

impl Validator {
    /// Starts unbound with the parent's keys as its only trust anchors.
    ///
    /// It uses cached denials for names it never asked for (RFC 8198), so that what a new name
    /// waits for is really waited for. It forgets within seconds that a server did not answer: its
    /// own memory of failures is not what is looked at here.
    pub(super) fn start(folder: &Path, anchors: &str) -> Self {
        let folder = folder.join("validator");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("anchors"), anchors).unwrap();
        let config = format!(
            "server:\n directory: {folder:?}\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n \
             do-daemonize: no\n use-syslog: no\n interface: {resolver}\n port: 53\n do-ip6: no\n \
             do-not-query-localhost: no\n module-config: \"validator iterator\"\n num-threads: 1\n \
             trust-anchor-file: \"anchors\"\n aggressive-nsec: yes\n infra-host-ttl: 1\n \
             infra-keep-probing: yes\n val-bogus-ttl: 1\n\
             stub-zone:\n name: {zone:?}\n stub-addr: {parent}\n",
            resolver = addresses::RESOLVER,
            zone = parent::ZONE,
            parent = addresses::PARENT,
        );
        std::fs::write(folder.join("unbound.conf"), config).unwrap();
        let mut command = Command::new("unbound");
        command.arg("-c").arg(folder.join("unbound.conf"));
        let mut program = Program::start(&mut command);
        program
            .wait_until(|| accepts(addresses::dns(addresses::RESOLVER)))
            .unwrap_or_else(|error| panic!("unbound {error}"));
        Self { _program: program }
    }
}
