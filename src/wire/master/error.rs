//! What is wrong with a master file, and where.

use std::fmt;

/// Where in a master file something stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file, as the manifest or `$INCLUDE` names it; `None` for a text without a file.
    pub file: Option<String>,
    /// The line, counted from one.
    pub line: u32,
}

/// One thing that is wrong with a master file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct MasterError {
    /// Where it stands.
    pub place: Place,
    /// What was expected and what was found.
    pub reason: String,
}

/// What is wrong on a line of a text whose file the caller knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::wire) struct Fault {
    /// The line, counted from one.
    pub(in crate::wire) line: u32,
    /// What was expected and what was found.
    pub(in crate::wire) reason: String,
}

impl fmt::Display for Place {
    /// Writes `file:line`, or `line n` for a text without a file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{file}:{}", self.line),
            None => write!(f, "line {}", self.line),
        }
    }
}
