//! One node's configuration: `mxpool.toml`, overridden by the environment.
//!
//! What differs between nodes and nothing else: addresses, folders, logs. Pools, domains and zones
//! are intent; they come through the API and live in the store. Everything wrong is reported at
//! once, each with its place, what was found and what was wanted; a key that this release does not
//! know is refused, so that a typing error never means "use the default".
//!
//! Relative paths count from the working folder.
//!
//! Start reading at [`Config::load`].

mod cores;
mod entries;
mod folder;
mod listeners;
mod problem;
mod reader;
mod reload;
mod replies;
mod settings;
mod streams;
mod values;
mod watch;

pub use problem::{Place, Problem, Problems};
pub use reload::Reread;
pub use settings::{Config, LogConfig, LogFormat, LogLevel};
