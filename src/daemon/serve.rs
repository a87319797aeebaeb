//! The server in the foreground.

use std::future::pending;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::{process, thread};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tracing::field::{self, DebugValue, debug};

use crate::config::{Config, Problems, Reread};

use super::descriptors::Places;
use super::logs::Logs;
use super::node::{Loaded, Node, StartFailure};
use super::panics;
use super::process::{Asked, Hangups, Signals, forbid_core_dumps, raise_descriptors};

/// What the process exits with when a second signal does not let it end by itself.
const ENDED_BY_SIGNAL: i32 = 130;

/// Serves until a signal asks to stop; `file` is read again when a signal asks to reload, and
/// `source` says where the configuration is from.
///
/// # Errors
///
/// Says what keeps the node from starting.
pub(super) fn run(config: Config, file: Option<PathBuf>, source: &str) -> Result<(), StartFailure> {
    let logs = Logs::start(config.log);
    panics::tell();
    forbid_core_dumps();
    let places = places(&config);
    let runtime = runtime()?;
    let hangups = hangups(&runtime)?;
    let loaded = Loaded::load(&config)?;
    runtime.block_on(async {
        let mut signals = Signals::catch(hangups).map_err(StartFailure::Process)?;
        let node = loaded.serve(&config, places).await?;
        let mut running = config;
        tracing::info!(
            config = source,
            dns = ?node.addresses(),
            dot = listed(node.dot_addresses()),
            doq = listed(node.doq_addresses()),
            api = %node.api(),
            metrics = node.metrics().map(field::display),
            routing = node.routing().map(field::display),
            "serving"
        );
        let mut reading = None;
        loop {
            tokio::select! {
                asked = signals.next() => match asked {
                    Asked::Stop => break,
                    Asked::Reload => {
                        // One before that has not ended is left to itself: this one is newer.
                        reading = read_again(running.clone(), file.clone());
                    }
                },
                again = ended(&mut reading) => {
                    reading = None;
                    match again {
                        Ok(again) => take_over(again, &node, &logs, &mut running),
                        Err(_) => tracing::error!("reading the configuration again has failed"),
                    }
                }
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

/// Lets no request to reload end the process while it loads, as those do that nobody catches; to end
/// is what the others ask for, and at once.
pub(super) fn hangups(runtime: &Runtime) -> Result<Hangups, StartFailure> {
    let _inside = runtime.enter();
    Hangups::catch().map_err(StartFailure::Process)
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

/// What reading the configuration again has come to.
type Again = Result<Reread, Problems>;

/// Begins to read the configuration again for a node that runs with `running`.
///
/// On a thread that nobody waits for: a disk may take its time, even for ever, and a request to stop
/// is heeded meanwhile.
fn read_again(running: Config, file: Option<PathBuf>) -> Option<oneshot::Receiver<Again>> {
    let (done, reading) = oneshot::channel();
    let read = move || {
        // Nobody waits for it any more if it was asked for again meanwhile.
        let _ = done.send(running.read_again(file.as_deref()));
    };
    match thread::Builder::new().name("reload".to_owned()).spawn(read) {
        Ok(_) => Some(reading),
        Err(error) => {
            tracing::error!(%error, "the configuration cannot be read again");
            None
        }
    }
}

/// Waits until a reading has ended; for ever if there is none.
async fn ended(
    reading: &mut Option<oneshot::Receiver<Again>>,
) -> Result<Again, oneshot::error::RecvError> {
    match reading {
        Some(reading) => reading.await,
        None => pending().await,
    }
}

/// Takes over what may change while the server runs, each part by itself; `running` is what the node
/// runs with.
fn take_over(again: Again, node: &Node, logs: &Logs, running: &mut Config) {
    let Reread {
        config,
        level,
        files,
        problems,
    } = match again {
        Ok(again) => again,
        Err(problems) => {
            for problem in problems.0 {
                tracing::error!(%problem, "the configuration is not taken over");
            }
            return;
        }
    };
    for problem in &problems {
        tracing::error!(%problem, "this part of the configuration stays as it was");
    }
    let waiting = running.needs_restart(&config);
    if !waiting.is_empty() {
        let settings = waiting.join(", ");
        if problems.is_empty() {
            tracing::warn!(%settings, "changed settings take effect at the next start");
        } else {
            tracing::warn!(
                %settings,
                "changed settings take effect at the next start, once what is wrong is mended"
            );
        }
    }
    if let Some(level) = level {
        match logs.set_level(level) {
            Ok(()) => {
                running.log.level = level;
                tracing::info!(now = level.as_str(), "log level read again");
            }
            Err(error) => tracing::error!(%error, "the log level could not be changed"),
        }
    }
    node.reload(files);
}
