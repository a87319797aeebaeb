//! What is wrong with a configuration, and where.

use std::fmt;

/// Where a setting was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file as a whole.
    File {
        /// The file.
        file: String,
    },
    /// At a line of a file.
    Line {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
    },
    /// In a variable of the environment.
    Variable {
        /// Its name.
        name: String,
    },
    /// Nowhere: it is the default.
    Default {
        /// Its section and key.
        setting: String,
    },
}

impl Place {
    /// Returns what places are sorted by: as one reads, the environment last.
    pub(super) fn order(&self) -> (usize, usize, usize) {
        match self {
            Self::File { .. } => (0, 0, 0),
            Self::Line { line, column, .. } => (1, *line, *column),
            Self::Variable { .. } => (2, 0, 0),
            Self::Default { .. } => (3, 0, 0),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it is.
    pub place: Place,
    /// What was found and what was wanted.
    pub detail: String,
}

/// Everything that is wrong with a configuration; at least one thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Place {
    /// Writes a place as compilers do, so that editors can jump there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file } => f.write_str(file),
            Self::Line { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Variable { name } => f.write_str(name),
            Self::Default { setting } => write!(f, "default of {setting}"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.detail)
    }
}

impl fmt::Display for Problems {
    /// Writes one problem a line, and their number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{problem}")?;
        }
        match self.0.len() {
            1 => f.write_str("1 problem"),
            count => write!(f, "{count} problems"),
        }
    }
}
