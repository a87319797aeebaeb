//! The server in the foreground.

use std::future::pending;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::{process, thread};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::field::{self, DebugValue, debug};

use crate::config::{Config, Problems, Reread};

use super::descriptors::Places;
use super::logs::Logs;
use super::node::{Loaded, Node, StartFailure};
use super::panics;
use super::process::{Asked, Signals, forbid_core_dumps, raise_descriptors};

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
    let starting = Starting::begin(&runtime)?;
    let loaded = Loaded::load(&config)?;
    let served = runtime.block_on(async {
        let node = loaded.serve(&config, places).await?;
        let mut signals = starting.end().await?;
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
        let mut readings = Readings::new();
        loop {
            tokio::select! {
                asked = signals.next() => match asked {
                    Asked::Stop => break,
                    Asked::Reload => readings.begin(running.clone(), file.clone()),
                },
                again = readings.next() => take_over(again, &node, &logs, &mut running),
            }
        }
        stop(node, signals).await;
        Ok(())
    });
    // Who waits for a disk that hangs is not waited for.
    runtime.shutdown_background();
    served
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

/// A process that does not serve yet: a request to stop ends it at once, whatever it waits for, and
/// one to reload waits.
///
/// As process 1 of a container it would not hear the first without this, and die of the other without
/// being one.
pub(super) struct Starting {
    /// Says that it serves.
    serves: oneshot::Sender<()>,
    /// Waits for either, and hands the signals over.
    waiting: JoinHandle<Signals>,
}

impl Starting {
    /// Catches signals from now on.
    pub(super) fn begin(runtime: &Runtime) -> Result<Self, StartFailure> {
        let _inside = runtime.enter();
        let mut signals = Signals::catch().map_err(StartFailure::Process)?;
        let (serves, ready) = oneshot::channel();
        let waiting = runtime.spawn(async move {
            tokio::select! {
                // With its sender gone, the start has failed and ends by itself.
                _ = ready => {}
                () = signals.stop() => {
                    tracing::info!("stopped before it served");
                    // Nothing is lost: what was acknowledged is durable.
                    process::exit(0);
                }
            }
            signals
        });
        Ok(Self { serves, waiting })
    }

    /// Returns the signals to a node that serves.
    pub(super) async fn end(self) -> Result<Signals, StartFailure> {
        // Nobody listens any more if the task has failed, which the next line says.
        let _ = self.serves.send(());
        let signals = self.waiting.await;
        signals.map_err(|error| StartFailure::Process(error.into()))
    }
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

/// The times that the configuration is read again.
///
/// On threads that nobody waits for: a disk may take its time, even for ever, and a request to stop
/// is heeded meanwhile. One that was begun later may end earlier; of one begun before it nothing is
/// heard then. Each holds a thread for as long as its disk hangs: whoever may send a signal to the
/// process could end it as well.
struct Readings {
    /// How many were begun.
    begun: u64,
    /// Which one was handed out last.
    last: u64,
    /// Where they say what they came to.
    done: UnboundedSender<(u64, Again)>,
    /// Where that is heard.
    ended: UnboundedReceiver<(u64, Again)>,
}

impl Readings {
    /// Begins without any.
    fn new() -> Self {
        let (done, ended) = unbounded_channel();
        Self {
            begun: 0,
            last: 0,
            done,
            ended,
        }
    }

    /// Begins one for a node that runs with `running`.
    fn begin(&mut self, running: Config, file: Option<PathBuf>) {
        self.begin_with(move || running.read_again(file.as_deref()));
    }

    /// Begins one that reads so.
    fn begin_with(&mut self, read: impl FnOnce() -> Again + Send + 'static) {
        self.begun += 1;
        let (number, done) = (self.begun, self.done.clone());
        let reading = move || {
            // Nobody listens any more when the node has ended.
            let _ = done.send((number, read()));
        };
        let thread = thread::Builder::new().name("reload".to_owned());
        if let Err(error) = thread.spawn(reading) {
            tracing::error!(%error, "the configuration cannot be read again");
        }
    }

    /// Waits until one has ended that was begun after the last one that was returned.
    async fn next(&mut self) -> Again {
        loop {
            match self.ended.recv().await {
                Some((number, again)) if number > self.last => {
                    self.last = number;
                    return again;
                }
                Some(_) => {}
                // Never: we can speak there ourselves.
                None => pending().await,
            }
        }
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A reading that came to nothing.
    fn nothing() -> Again {
        Err(Problems(Vec::new()))
    }

    #[tokio::test]
    async fn of_readings_that_end_in_another_order_the_one_begun_last_counts() {
        let mut readings = Readings::new();
        let (release, hangs) = mpsc::channel::<()>();
        readings.begin_with(move || {
            // Ends when the test lets it.
            let _ = hangs.recv();
            nothing()
        });
        for begun in 2..=3 {
            readings.begin_with(nothing);
            assert!(readings.next().await.is_err());
            assert_eq!(readings.last, begun);
        }

        release.send(()).unwrap();
        // Or the one begun next might end before it after all.
        while readings.ended.is_empty() {
            tokio::task::yield_now().await;
        }
        readings.begin_with(nothing);
        assert!(readings.next().await.is_err());

        assert_eq!(readings.last, 4, "the first one was taken over");
    }
}
