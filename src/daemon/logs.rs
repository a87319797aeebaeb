//! How events are written, and how their level changes while the server runs.

use std::io;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::config::{LogConfig, LogFormat, LogLevel};

/// Changes the level of what is logged.
pub(super) struct Logs {
    /// The filter in force.
    filter: reload::Handle<EnvFilter, Registry>,
}

impl Logs {
    /// Begins to write events to standard error.
    ///
    /// A second call in one process changes nothing but its own handle, as tests need it.
    pub(super) fn start(config: LogConfig) -> Self {
        let (filter, handle) = reload::Layer::new(filter(config.level));
        // Standard output is for answers; colours only where a person looks on.
        let colours = io::IsTerminal::is_terminal(&io::stderr());
        let layer = fmt::layer().with_writer(io::stderr).with_ansi(colours);
        let layer = match config.format {
            LogFormat::Text => layer.with_target(false).boxed(),
            LogFormat::Json => layer.json().flatten_event(true).boxed(),
        };
        let _ = tracing_subscriber::registry()
            .with(filter)
            .with(layer)
            .try_init();
        Self { filter: handle }
    }

    /// Logs from now on what is as important as `level`.
    ///
    /// # Errors
    ///
    /// When nobody filters any more; the level is as before then.
    pub(super) fn set_level(&self, level: LogLevel) -> Result<(), reload::Error> {
        self.filter.reload(filter(level))
    }
}

/// Returns the filter of a level: ours as asked, libraries only when something is wrong.
fn filter(level: LogLevel) -> EnvFilter {
    let ours = level.as_str();
    let theirs = match level {
        LogLevel::Error => "error",
        // QUIC warns of every packet that breaks its rules or has a wrong token: whoever sends such
        // ones, from whatever address, would fill the disk (RFC 9000, section 21).
        LogLevel::Warn | LogLevel::Info | LogLevel::Debug => "warn,quinn_proto=error",
        LogLevel::Trace => "debug",
    };
    EnvFilter::new(format!("{theirs},mxpool={ours}"))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn strangers_cannot_fill_the_log_over_quic() {
        for level in [
            LogLevel::Error,
            LogLevel::Warn,
            LogLevel::Info,
            LogLevel::Debug,
        ] {
            let logs = tracing_subscriber::registry().with(filter(level));

            tracing::subscriber::with_default(logs, || {
                assert!(!tracing::enabled!(target: "quinn_proto::connection", Level::WARN));
                assert!(tracing::enabled!(target: "quinn_proto::connection", Level::ERROR));
            });
        }
    }
}
