//! The operator: mxpool as its package starts it, and its commands as he types them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::{addresses, manifest};
use crate::process::{Mxpool, run};

/// A server under test and who commands it.
pub(super) struct Operator {
    folder: PathBuf,
    server: Option<Mxpool>,
}

impl Operator {
    /// Starts the server.
    pub(super) fn start(folder: &Path) -> Self {
        let folder = folder.join("mxpool");
        std::fs::create_dir(&folder).unwrap();
        let mut operator = Self {
            folder,
            server: None,
        };
        operator.restart();
        operator
    }

    /// Starts the server again, on what it has stored.
    pub(super) fn restart(&mut self) {
        let dns: SocketAddr = addresses::dns(addresses::MXPOOL);
        self.server = Some(
            Mxpool::try_start_at(&self.folder, dns, &manifest::settings(&self.routing()))
                .unwrap_or_else(|error| panic!("mxpool {error}")),
        );
    }

    /// Ends the server as a power failure would.
    pub(super) fn kill(&mut self) {
        let mut server = self.server.take().expect("it runs");
        server.program().kill();
    }

    /// Returns the server.
    pub(super) fn server(&self) -> &Mxpool {
        self.server.as_ref().expect("it runs")
    }

    /// Returns where the mail hosts ask.
    pub(super) fn routing(&self) -> PathBuf {
        self.folder.join("routing.sock")
    }

    /// Writes a file of his.
    pub(super) fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.join(file), text).unwrap();
    }

    /// Returns what the server logged since its last start.
    pub(super) fn log(&self) -> String {
        let server = self.server.as_ref();
        server.map(Mxpool::log).unwrap_or_default()
    }

    /// Returns where a domain is in its life.
    pub(super) fn state(&self, domain: &str) -> String {
        let path = format!("/v1/domains/{domain}");
        let shown = self.server().ok("GET", &path, None);
        let state = shown["state"].as_str();
        state.unwrap_or_else(|| panic!("{shown}")).to_owned()
    }

    /// Runs a command that has to succeed and returns what it prints.
    pub(super) fn command(&self, arguments: &[&str]) -> String {
        let (good, text) = self.try_command(arguments);
        assert!(good, "mxpool {arguments:?}: {text}");
        text
    }

    /// Runs a command; whether it succeeded, and what it prints.
    pub(super) fn try_command(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mxpool"));
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env("MXPOOL_API", &self.server().api)
            .env("MXPOOL_TOKEN", self.server().token());
        run(&mut command)
    }

    /// Repeats a command until the server takes it, and returns how long that was.
    pub(super) fn when_allowed(&self, arguments: &[&str], patience: Duration) -> Duration {
        let start = Instant::now();
        loop {
            let (good, text) = self.try_command(arguments);
            if good {
                return start.elapsed();
            }
            assert!(
                start.elapsed() < patience,
                "mxpool {arguments:?}: still refused after {patience:?}: {text}"
            );
            std::thread::sleep(Duration::from_millis(250));
        }
    }
}
