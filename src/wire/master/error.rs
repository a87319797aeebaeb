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

impl fmt::Display for Place {
    /// Writes `file:line`, or `line n` for a text without a file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{file}:{}", self.line),
            None => write!(f, "line {}", self.line),
        }
    }
}
