//! The process: start order, sockets, signals, shutdown.
//!
//! A start goes store, sealing key, admin token, engine (which loads and publishes every zone),
//! and only then sockets: a resolver that reaches a server without its zones would remember
//! SERVFAIL for minutes (RFC 9520, section 3.2). A stop goes the other way round: the API takes no
//! more changes, the engine ends, the data plane answers until the last.
//!
//! Here is the one place that knows all rooms; nothing here decides anything about DNS or mail.
//! Start reading at [`run`], then `node`.

mod demo;
mod descriptors;
mod http;
mod logs;
mod node;
mod observation;
mod panics;
mod process;
mod restore;
mod scrape;
mod sealing;
mod serve;
mod token;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub use node::StartFailure;
pub use restore::RestoreFailure;
pub use sealing::SealingFileError;
pub use token::TokenError;

use crate::cli::{self, Cli, Command};
use crate::config::{Config, Problems};

/// Does what was typed and returns what the program exits with.
///
/// 0: done; 1: refused; 2: wrong usage; 3: the server cannot be reached.
pub fn run(cli: Cli) -> ExitCode {
    match cli.command {
        Command::Serve(file) => done(load(file.config.as_deref()).and_then(|(config, read)| {
            let source = source(read.as_deref());
            // One that was read is read again; that it is gone then must be told.
            let again = file.config.or_else(|| read.map(PathBuf::from));
            serve::run(config, again, &source).map_err(|failure| failure.to_string())
        })),
        Command::Demo => done(demo::run().map_err(|failure| failure.to_string())),
        Command::CheckConfig(file) => done(load(file.config.as_deref()).map(|(_, read)| {
            say(&format!(
                "the configuration is good: {}",
                source(read.as_deref())
            ));
        })),
        Command::Restore { file, config } => {
            done(load(config.config.as_deref()).and_then(|(config, _)| restore(&config, &file)))
        }
        Command::Openapi => {
            say(&crate::api::openapi());
            ExitCode::SUCCESS
        }
        Command::Client(command) => cli::run(command, &cli.connection),
    }
}

/// Reads the configuration, and says which file it is from.
fn load(file: Option<&Path>) -> Result<(Config, Option<String>), String> {
    Config::load(file).map_err(|problems: Problems| problems.to_string())
}

/// Says where a configuration is from: without a file that was named, a typing error in the name of
/// the one in the working folder would show nowhere else.
fn source(read: Option<&str>) -> String {
    read.map_or_else(
        || "no file was read, defaults and environment hold".to_owned(),
        |file| format!("read from {file} and the environment"),
    )
}

/// Fills an empty store and says what with.
fn restore(config: &Config, file: &Path) -> Result<(), String> {
    let report = restore::run(config, file).map_err(|failure| failure.to_string())?;
    say(&format!(
        "restored {} entries of revision {} into {}; the revision goes on at {} or above",
        report.entries,
        report.backup_revision,
        config.store.display(),
        report.revision
    ));
    say(&format!(
        "a new admin token lies in {}; the old one is worth nothing",
        config.store.join(token::FILE).display()
    ));
    if let Some(id) = report.sealing_key_id {
        let path = config.keys.join(sealing::FILE);
        let there = sealing::id(&config.keys).map_err(|failure| failure.to_string())?;
        // Another one would have been refused before anything was written.
        say(&match there {
            Some(_) => format!("sealing key {id} opens it, and lies in {}", path.display()),
            None => format!(
                "it cannot start yet: sealing key {id} opens it, and is not there; put it into {}, \
                 mode 0600",
                path.display()
            ),
        });
    }
    Ok(())
}

/// Turns an outcome into an exit code; what went wrong is told on standard error.
fn done(outcome: Result<(), impl Display>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(io::stderr(), "{failure}");
            ExitCode::FAILURE
        }
    }
}

/// Tells something on standard output.
fn say(text: &str) {
    // A reader that has gone away wants no more.
    let _ = writeln!(io::stdout(), "{text}");
}
