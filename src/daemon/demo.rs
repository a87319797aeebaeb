//! The demo: a server with embedded defaults that shows what it can do.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tokio::task::spawn_blocking;

use crate::cli::{self, Apply, ClientCommand, Connection, OutputForm};
use crate::config::{Config, Problems};

use super::logs::Logs;
use super::node::{Loaded, Node, StartFailure};
use super::process::forbid_core_dumps;
use super::{panics, say, serve, token};

/// The demo's pool, as it lies in the repository.
const MANIFEST: &str = include_str!("../../zones/demo.toml");

/// Where the manifest is put, so that it can be read, changed and applied again.
const MANIFEST_FILE: &str = "demo.toml";

/// Why the demo ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum DemoFailure {
    /// The environment says something wrong.
    #[error(transparent)]
    Environment(#[from] Problems),
    /// The server did not start.
    #[error(transparent)]
    Start(#[from] StartFailure),
    /// The manifest could not be put beside the store.
    #[error("cannot write {}: {source}", .path.display())]
    Manifest {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The demo's pool was refused; standard error says why.
    #[error("the demo's pool could not be applied")]
    Refused,
}

/// Serves the demo until a signal asks to stop.
///
/// # Errors
///
/// Says what keeps it from starting.
pub(super) fn run() -> Result<(), DemoFailure> {
    let config = Config::demo()?;
    Logs::start(config.log);
    panics::tell();
    forbid_core_dumps();
    let places = serve::places(&config);
    let runtime = serve::runtime()?;
    let starting = serve::Starting::begin(&runtime)?;
    let loaded = Loaded::load(&config)?;
    let served = runtime.block_on(async {
        let node = loaded.serve(&config, places).await?;
        let applied = apply(&node, &config).await;
        let mut signals = starting.end().await?;
        let shown = match applied {
            Ok(()) => {
                show(&node, &config);
                signals.stop().await;
                Ok(())
            }
            Err(failure) => Err(failure),
        };
        serve::stop(node, signals).await;
        shown
    });
    runtime.shutdown_background();
    served
}

/// Applies the demo's manifest to a store without pools, as any client would.
///
/// Later starts leave the store alone: it is the only truth, whatever was changed in it since.
async fn apply(node: &Node, config: &Config) -> Result<(), DemoFailure> {
    if !node.engine().view().pools().is_empty() {
        return Ok(());
    }
    let path = config.store.join(MANIFEST_FILE);
    fs::write(&path, MANIFEST).map_err(|source| DemoFailure::Manifest {
        path: path.clone(),
        source,
    })?;
    let connection = Connection {
        api: format!("http://{}", node.api()),
        token: None,
        token_file: Some(config.store.join(token::FILE)),
        output: OutputForm::Table,
    };
    let command = ClientCommand::Apply(Apply {
        files: vec![path],
        dry_run: false,
        confirm: None,
        at: None,
    });
    // The client blocks; the API that it speaks to runs on the threads beside it.
    match spawn_blocking(move || cli::run(command, &connection)).await {
        Ok(code) if code == ExitCode::SUCCESS => Ok(()),
        Ok(_) | Err(_) => Err(DemoFailure::Refused),
    }
}

/// Says what there is to try.
fn show(node: &Node, config: &Config) {
    let dns = node.addresses();
    let listed = dns.iter().map(SocketAddr::to_string).collect::<Vec<_>>();
    say(&format!(
        "\nmxpool serves DNS on {} (UDP and TCP)\n",
        listed.join(" and ")
    ));
    if let Some(address) = dns.first() {
        for question in [
            "burner-one.example MX",
            "_25._tcp.mx1.infra.example TLSA",
            "_mta-sts.burner-one.example TXT",
        ] {
            say(&format!("  {}", dig(*address, question)));
        }
    }
    let folder = |path: &Path| path.display().to_string();
    say(&format!(
        "\nadmin API    http://{}\nadmin token  {}\nthe pool     {}\n\n\
         Ctrl-C stops; the next start finds the same keys, domains and revision.",
        node.api(),
        folder(&config.store.join(token::FILE)),
        folder(&config.store.join(MANIFEST_FILE)),
    ));
}

/// Returns a line to try.
fn dig(address: SocketAddr, question: &str) -> String {
    format!(
        "dig @{} -p {} +dnssec {question}",
        address.ip(),
        address.port()
    )
}
