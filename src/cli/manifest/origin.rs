//! From the server's JSON pointers back to file and line.

use std::rc::Rc;

use super::document::Document;
use crate::cli::failure::FileFault;
use crate::document::Pointer;
use crate::wire::Place;

/// Where one step of the change was written.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// A zone: a table of a manifest, and the place of each record that is sent, one a line.
    Zone {
        /// The manifest.
        document: Rc<Document>,
        /// The zone's table in it.
        table: Pointer,
        /// The place of each line.
        lines: Vec<Place>,
    },
    /// A pool's settings, under the same keys.
    Pool {
        /// The manifest.
        document: Rc<Document>,
        /// The pool's table in it.
        table: Pointer,
    },
    /// Domains: the place of each name.
    Domains {
        /// The places.
        names: Vec<Place>,
    },
}

impl Origin {
    /// Returns where a fault of the step belongs; `pointer` is relative to the step.
    pub(super) fn locate(&self, pointer: &str, detail: &str) -> FileFault {
        match self {
            Self::Zone {
                document,
                table,
                lines,
            } => match line_of(detail) {
                Some((line, rest)) if pointer == "/records" => lines
                    .get(line.saturating_sub(1))
                    .map_or_else(|| document.fault(table, detail), |place| at(place, rest)),
                _ => document.fault(table, detail),
            },
            Self::Pool { document, table } => {
                let setting = pointer.strip_prefix("/settings").unwrap_or_default();
                FileFault {
                    file: document.file.to_string(),
                    line: document.line(&format!("{table}{setting}")),
                    detail: format!("{}{detail}", key(setting)),
                }
            }
            Self::Domains { names } => {
                let index = pointer.strip_prefix("/names/").and_then(|i| i.parse().ok());
                let place = names.get(index.unwrap_or(0)).or(names.first());
                place.map_or_else(
                    || FileFault {
                        file: String::new(),
                        line: 0,
                        detail: detail.to_owned(),
                    },
                    |place| at(place, detail),
                )
            }
        }
    }
}

/// Makes a fault at a place.
pub(super) fn at(place: &Place, detail: &str) -> FileFault {
    FileFault {
        file: place.file.clone().unwrap_or_default(),
        line: place.line,
        detail: detail.to_owned(),
    }
}

/// Takes `line 12: ` off the start of a server's words about a master file.
pub(super) fn line_of(detail: &str) -> Option<(usize, &str)> {
    let (line, rest) = detail.strip_prefix("line ")?.split_once(": ")?;
    Some((line.parse().ok()?, rest))
}

/// Names a setting as a manifest does, to be put before what is wrong with it.
fn key(setting: &str) -> String {
    let steps: Vec<String> = Pointer::steps(setting).collect();
    if steps.is_empty() {
        return String::new();
    }
    format!("{}: ", steps.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_says_of_a_line_is_shown_where_it_was_written() {
        let document = Rc::new(Document::parse("a.toml", "", &mut Vec::new()));
        let origin = Origin::Zone {
            document,
            table: Pointer::root(),
            lines: vec![
                Place {
                    file: Some("infra.zone".to_owned()),
                    line: 3,
                },
                Place {
                    file: Some("part.zone".to_owned()),
                    line: 7,
                },
            ],
        };

        let fault = origin.locate("/records", "line 2: a CNAME stands beside other data");

        assert_eq!(
            fault.to_string(),
            "part.zone:7: a CNAME stands beside other data"
        );
    }
}
