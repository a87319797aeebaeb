//! The server in the foreground.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process;

use tokio::runtime::{Builder, Runtime};
use tracing::field::{DebugValue, debug};

use crate::config::{Config, Reread};

use super::descriptors::Places;
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
pub(super) fn run(config: Config, file: Option<PathBuf>) -> Result<(), StartFailure> {
    let logs = Logs::start(config.log);
    panics::tell();
    forbid_core_dumps();
    let places = places(&config);
    let runtime = runtime()?;
    let loaded = Loaded::load(&config)?;
    runtime.block_on(async {
        let mut signals = Signals::catch().map_err(StartFailure::Process)?;
        let mut node = loaded.serve(&config, places).await?;
        let mut running = config;
        tracing::info!(
            dns = ?node.addresses(),
            dot = listed(node.dot_addresses()),
            doq = listed(node.doq_addresses()),
            api = %node.api(),
            "serving"
        );
        loop {
            match signals.next().await {
                Asked::Stop => break,
                Asked::Reload => reload(&mut node, &logs, &mut running, file.as_deref()),
            }
        }
        stop(node, signals).await;
        Ok(())
    })
}

/// Lists addresses for the log, if there are any.
fn listed(addresses: &[SocketAddr]) -> Option<DebugValue<&[SocketAddr]>> {
    (!addresses.is_empty()).then(|| debug(addresses))
}

/// Takes all the descriptors that there may be, and returns how many connections they leave room for.
pub(super) fn places(config: &Config) -> Places {
    let wanted = Places::wanted(config);
    let Some(descriptors) = raise_descriptors() else {
        return wanted;
    };
    let places = wanted.within(descriptors, config);
    if places != wanted {
        let Places {
            dns,
            api,
            metrics,
            routing,
        } = places;
        tracing::warn!(
            descriptors,
            dns,
            api,
            metrics,
            routing,
            "the limit of open files leaves room for fewer connections than there may be"
        );
    }
    places
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

/// Reads the configuration again and takes over what may change while the server runs, each part by
/// itself; `running` is what the node runs with.
fn reload(node: &mut Node, logs: &Logs, running: &mut Config, file: Option<&Path>) {
    let Reread { config, problems } = match running.read_again(file) {
        Ok(again) => again,
        Err(problems) => {
            for problem in problems.0 {
                tracing::error!(%problem, "the configuration is not taken over");
            }
            return;
        }
    };
    for problem in problems {
        tracing::error!(%problem, "this part of the configuration stays as it was");
    }
    let waiting = running.needs_restart(&config);
    if !waiting.is_empty() {
        let settings = waiting.join(", ");
        tracing::warn!(%settings, "changed settings take effect at the next start");
    }
    logs.set_level(config.log.level);
    running.log.level = config.log.level;
    tracing::info!(now = config.log.level.as_str(), "log level read again");
    match node.reload(&config) {
        Ok(()) => {
            running.server.cookie_secrets = config.server.cookie_secrets;
            tracing::info!("cookie secrets read again");
        }
        Err(error) => tracing::error!(%error, "the cookie secrets stay as they were"),
    }
    if let (Some(tls), Some(again)) = (&mut running.server.tls, config.server.tls) {
        tls.files = again.files;
    }
}
