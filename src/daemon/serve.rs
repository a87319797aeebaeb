//! The server in the foreground.

use std::path::PathBuf;
use std::process;

use tokio::runtime::{Builder, Runtime};

use crate::config::Config;

use super::logs::Logs;
use super::node::{Loaded, Node, StartFailure};
use super::panics;
use super::process::{Asked, Signals, forbid_core_dumps, raise_descriptors};

/// What the process exits with when a second signal does not let it end by itself.
const ENDED_BY_SIGNAL: i32 = 130;

/// Serves until a signal asks to stop; `file` is read again when a signal asks to reload.
///
/// # Errors
///
/// Says what keeps the node from starting.
pub(super) fn run(mut config: Config, file: Option<PathBuf>) -> Result<(), StartFailure> {
    let logs = Logs::start(config.log);
    panics::tell();
    forbid_core_dumps();
    fit_descriptors(&mut config);
    let runtime = runtime()?;
    let loaded = Loaded::load(&config)?;
    runtime.block_on(async {
        let mut signals = Signals::catch().map_err(StartFailure::Process)?;
        let mut node = loaded.serve(&config).await?;
        tracing::info!(dns = ?node.addresses(), api = %node.api(), "serving");
        loop {
            match signals.next().await {
                Asked::Stop => break,
                Asked::Reload => reload(&mut node, &logs, file.as_deref()),
            }
        }
        stop(node, signals).await;
        Ok(())
    })
}

/// Takes all the descriptors that there may be, and no more connections than they leave room for.
pub(super) fn fit_descriptors(config: &mut Config) {
    if let Some(descriptors) = raise_descriptors()
        && let Some(connections) = config.server.fit(descriptors)
    {
        tracing::warn!(
            connections,
            descriptors,
            "dns.tcp.connections is more than the limit of open files leaves room for"
        );
    }
}

/// Returns the runtime that TCP and HTTP run on.
pub(super) fn runtime() -> Result<Runtime, StartFailure> {
    Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(StartFailure::Process)
}

/// Ends a node; a second signal ends the process at once.
pub(super) async fn stop(node: Node, mut signals: Signals) {
    tracing::info!("stopping");
    tokio::select! {
        () = node.stop() => tracing::info!("stopped"),
        () = signals.stop() => {
            tracing::warn!("stopped at once, by a second signal");
            // Nothing is lost: what was acknowledged is durable.
            process::exit(ENDED_BY_SIGNAL);
        }
    }
}

/// Reads the configuration again and takes over what may change while the server runs.
fn reload(node: &mut Node, logs: &Logs, file: Option<&std::path::Path>) {
    match Config::load(file) {
        Ok(config) => {
            logs.set_level(config.log.level);
            tracing::info!(now = config.log.level.as_str(), "log level read again");
            match node.reload(&config) {
                Ok(()) => tracing::info!("cookie secrets read again"),
                Err(error) => {
                    tracing::error!(%error, "the cookie secrets stay as they were");
                }
            }
        }
        Err(problems) => {
            for problem in problems.0 {
                tracing::error!(%problem, "the configuration is not taken over");
            }
        }
    }
}
