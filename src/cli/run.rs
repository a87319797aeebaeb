//! Does client commands.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::Value;
use ureq::http::Method;

use super::client::{Client, Payload};
use super::command::{Cli, ClientCommand, Connection};
use super::failure::Failure;
use super::output::Output;
use super::{apply, change, delegations, domain, pool, store, zone};

/// Where a client command works: what it asks, and where it shows the answer.
pub(super) struct Desk {
    /// Speaks to the server.
    pub(super) client: Client,
    /// Shows answers.
    pub(super) output: Output,
}

impl Desk {
    /// Asks for something to be done and shows what came of it: the API's own words, or the lines
    /// that `tell` makes of them.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached or refuses, or standard output cannot be written.
    pub(super) fn ask(
        &self,
        path: &str,
        body: &Value,
        tell: impl FnOnce(&Value) -> Vec<String>,
    ) -> Result<(), Failure> {
        let answer = self.client.send(Method::POST, path, Payload::Json(body))?;
        if self.output.is_json() {
            return Ok(self.output.octets(&answer)?);
        }
        let lines = tell(&self.client.json(&answer)?);
        Ok(self.output.text(&lines.join("\n"))?)
    }
}

/// Does a client command and returns what the program exits with.
///
/// Answers go to standard output, everything else to standard error. Blocks.
pub fn run(command: ClientCommand, connection: &Connection) -> ExitCode {
    match try_run(command, connection) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to tell when the outputs are closed.
            let _ = tell(&failure, &Output::new(connection.output));
            failure.exit_code()
        }
    }
}

/// Tells what went wrong: scripts get the problem document where answers go.
fn tell(failure: &Failure, output: &Output) -> io::Result<()> {
    let mut stderr = io::stderr().lock();
    match failure.document().filter(|_| output.is_json()) {
        Some(document) => {
            output.text(&document.to_string())?;
            failure
                .before()
                .map_or(Ok(()), |before| writeln!(stderr, "{before}"))
        }
        None => failure.write(&mut stderr),
    }
}

/// Does a client command.
fn try_run(command: ClientCommand, connection: &Connection) -> Result<(), Failure> {
    if let ClientCommand::Completions { shell } = command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::tree(), "mxpool", &mut script);
        return Ok(Output::new(connection.output).octets(&script)?);
    }
    let desk = Desk {
        client: Client::new(connection)?,
        output: Output::new(connection.output),
    };
    match command {
        ClientCommand::Apply(arguments) => apply::run(&desk, &arguments),
        ClientCommand::Pool(command) => pool::run(&desk, command),
        ClientCommand::Zone(command) => zone::run(&desk, command),
        ClientCommand::Domain(command) => domain::run(&desk, command),
        ClientCommand::Record(command) => domain::run_record(&desk, command),
        ClientCommand::Change(command) => change::run(&desk, command),
        ClientCommand::Delegations { differs, csv } => delegations::run(&desk, differs, csv),
        ClientCommand::Audit { after, limit } => store::audit(&desk, after, limit),
        ClientCommand::Backup { file } => store::backup(&desk, &file),
        ClientCommand::Completions { .. } => Ok(()),
    }
}
