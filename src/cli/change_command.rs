//! The commands about one change, as clap reads them.

use clap::{Args, Subcommand};

/// What can be done with a change.
#[derive(Debug, Subcommand)]
pub enum ChangeCommand {
    /// List the changes that wait for their moment, the next one first.
    List,
    /// Show what a change did or is to do, and what undoing it would do.
    Show {
        /// Its id: the revision that accepted it.
        #[arg(value_parser = read_id)]
        id: u64,
    },
    /// Take a change back, or call off one that waits for its moment.
    Undo(UndoChange),
}

/// Arguments of `change undo`.
#[derive(Debug, Args)]
pub struct UndoChange {
    /// Its id: the revision that accepted it.
    #[arg(value_parser = read_id)]
    pub id: u64,
    /// Show what would be done and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Why, for the audit log.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// How many existing domains the undo is meant to touch.
    #[arg(long, value_name = "N")]
    pub confirm: Option<u64>,
}

/// Reads the id of a change.
fn read_id(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| "expected a number, the revision that accepted the change".to_owned())
}
