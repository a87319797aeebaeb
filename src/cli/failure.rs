//! What goes wrong, how it is shown, and the exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::Value;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum Failure {
    /// The command was used wrongly, or names a file that cannot be read.
    #[error("{0}")]
    Usage(String),
    /// Files say what cannot be.
    #[error("{} problems; nothing was changed", .0.len())]
    Files(Vec<FileFault>),
    /// The server refused.
    #[error("{0}")]
    Refused(Refusal),
    /// Nobody answers.
    #[error("the server at {api} cannot be reached: {reason}")]
    Unreachable {
        /// Where it was looked for.
        api: String,
        /// What happened.
        reason: String,
    },
    /// What the server said cannot be written down.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

/// How many faults are shown: more scroll the first ones away.
const SHOWN: usize = 100;

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{file}:{line}: {detail}")]
pub(super) struct FileFault {
    /// The file, as it was named.
    pub(super) file: String,
    /// The line, counted from one.
    pub(super) line: u32,
    /// What was expected and what was found.
    pub(super) detail: String,
}

/// What a server said when it refused (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub(super) struct Refusal {
    /// The HTTP status.
    pub(super) status: u16,
    /// What is wrong, in words.
    pub(super) detail: String,
    /// Each field that is wrong: its pointer and why.
    pub(super) errors: Vec<(String, String)>,
    /// How many existing domains the change touches, if it asks for that word.
    pub(super) domains: Option<u64>,
}

impl Refusal {
    /// Reads a problem document; anything else is quoted.
    pub(super) fn read(status: u16, body: &[u8]) -> Self {
        let Ok(Value::Object(problem)) = serde_json::from_slice(body) else {
            let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
            return Self {
                status,
                detail: format!("the server answered {status}: {text}"),
                errors: Vec::new(),
                domains: None,
            };
        };
        let text = |value: &Value, key: &str| {
            let text = value.get(key).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let errors = problem.get("errors").and_then(Value::as_array);
        let errors = errors.map_or_else(Vec::new, |errors| {
            let errors = errors.iter();
            errors
                .map(|error| (text(error, "pointer"), text(error, "detail")))
                .collect()
        });
        let domains = problem.get("domains").and_then(Value::as_u64);
        let title = problem.get("title").and_then(Value::as_str);
        let detail = problem.get("detail").and_then(Value::as_str).or(title);
        Self {
            status,
            detail: detail.unwrap_or("the server gave no reason").to_owned(),
            errors,
            domains,
        }
    }
}

impl Failure {
    /// Returns what the program exits with.
    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Files(_) | Self::Refused(_) | Self::Output(_) => ExitCode::from(1),
            Self::Usage(_) => ExitCode::from(2),
            Self::Unreachable { .. } => ExitCode::from(3),
        }
    }

    /// Writes the failure for people.
    ///
    /// # Errors
    ///
    /// When `to` cannot be written.
    pub(super) fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Files(faults) => {
                list(to, faults.iter().map(ToString::to_string))?;
            }
            Self::Refused(refusal) if refusal.errors.len() > 1 => {
                let errors = refusal.errors.iter();
                let errors = errors.map(|(pointer, detail)| match pointer.as_str() {
                    "" => detail.clone(),
                    pointer => format!("{pointer}: {detail}"),
                });
                list(to, errors)?;
            }
            Self::Refused(refusal) => {
                if refusal.status == 401 {
                    writeln!(to, "hint: give --token, MXPOOL_TOKEN or MXPOOL_TOKEN_FILE")?;
                }
                if let Some(domains) = refusal.domains {
                    writeln!(to, "hint: --confirm {domains} says that this is meant")?;
                }
            }
            Self::Usage(_) | Self::Unreachable { .. } | Self::Output(_) => {}
        }
        writeln!(to, "error: {self}")
    }
}

/// Writes the first lines of a list, and how many there are beside them.
fn list(to: &mut dyn Write, mut lines: impl ExactSizeIterator<Item = String>) -> io::Result<()> {
    for line in lines.by_ref().take(SHOWN) {
        writeln!(to, "{line}")?;
    }
    match lines.len() {
        0 => Ok(()),
        more => writeln!(to, "… and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_shows_every_fault() {
        let body = br#"{"title":"Fields are wrong","detail":"/ttl: bad (and 1 more)",
            "errors":[{"pointer":"/ttl","detail":"bad"},{"pointer":"/caa/0","detail":"worse"}]}"#;

        let mut shown = Vec::new();
        let failure = Failure::Refused(Refusal::read(422, body));
        failure.write(&mut shown).unwrap();

        let shown = String::from_utf8(shown).unwrap();
        assert_eq!(
            shown,
            "/ttl: bad\n/caa/0: worse\nerror: /ttl: bad (and 1 more)\n"
        );
    }

    #[test]
    fn an_answer_that_is_no_problem_document_is_quoted() {
        let refusal = Refusal::read(502, b"<html>Bad gateway");

        assert_eq!(
            refusal.to_string(),
            "the server answered 502: <html>Bad gateway"
        );
    }
}
