//! The command line.
//!
//! [`Cli`] is what was typed. Commands that run on this machine alone (`serve`, `demo`,
//! `check-config`, `restore`, `openapi`) are read here and done by the daemon; all others are
//! clients of a running server's API and know nothing of it but its HTTP interface.
//!
//! Exit codes: 0 done, 1 refused (by the server, or for what a file says), 2 wrong usage, 3 the
//! server cannot be reached. Start reading at [`Cli`], then [`run()`].

mod apply;
mod change;
mod change_command;
mod client;
mod command;
mod delegations;
mod domain;
mod domain_command;
mod failure;
mod life;
mod manifest;
mod moment;
mod names;
mod output;
mod pool;
mod rotation;
mod run;
mod store;
mod zone;

pub use change_command::{ChangeCommand, UndoChange};
pub use command::{
    Apply, Cli, ClientCommand, Command, ConfigFile, Connection, OutputForm, PoolCommand,
    RecordCommand, Rotate, ZoneCommand,
};
pub use domain_command::{AddDomains, Answer, DomainCommand, Mark, Observed, Step, Suspend};
pub use manifest::manifest_change;
pub use run::run;
