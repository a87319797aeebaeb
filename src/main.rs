//! The `mxpool` program.

use std::process::ExitCode;

use mxpool::cli::Cli;
use mxpool::daemon;

fn main() -> ExitCode {
    daemon::run(Cli::read())
}
