//! The commands about one change, as clap reads them.

use clap::{Args, Subcommand};

/// What can be done with a change.
#[derive(Debug, Subcommand)]
pub enum ChangeCommand {
    /// Show what a change did or is to do, and what undoing it would do.
    Show {
        /// Its id: the revision that accepted it.
        id: u64,
    },
    /// Take a change back, or call off one that waits for its moment.
    Undo(UndoChange),
}

/// Arguments of `change undo`.
#[derive(Debug, Args)]
pub struct UndoChange {
    /// Its id: the revision that accepted it.
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
