//! Answers on standard output: tables for people, the API's own words for scripts.

use std::env;
use std::io::{self, IsTerminal, Write};

use comfy_table::{Attribute, Cell, ContentArrangement, Table, presets};
use serde_json::Value;

use super::command::OutputForm;

/// How many things of a list are all named.
const FEW: usize = 3;

/// Where answers are shown, and in which form.
#[derive(Debug)]
pub(super) struct Output {
    /// The form that was asked for.
    form: OutputForm,
    /// Whether people look at it.
    terminal: bool,
    /// Whether headings stand out: for people who did not set `NO_COLOR`.
    colour: bool,
}

impl Output {
    /// Shows answers on standard output.
    pub(super) fn new(form: OutputForm) -> Self {
        let terminal = io::stdout().is_terminal();
        Self {
            form,
            terminal,
            colour: terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        }
    }

    /// Returns whether scripts read it: then the API's own words are shown.
    pub(super) fn is_json(&self) -> bool {
        self.form == OutputForm::Json
    }

    /// Shows a text as it is, with a line end after it.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub(super) fn text(&self, text: &str) -> io::Result<()> {
        self.octets(text.as_bytes())
    }

    /// Shows octets as they are, with a line end after them.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub(super) fn octets(&self, octets: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(octets).and_then(|()| {
            if octets.last().is_some_and(|last| *last != b'\n') {
                stdout.write_all(b"\n")?;
            }
            stdout.flush()
        });
        match written {
            // The reader has seen enough, as in `mxpool domain list | head`.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// Shows rows under headings, columns aligned.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub(super) fn table(&self, headings: &[&str], rows: Vec<Vec<String>>) -> io::Result<()> {
        self.text(&self.compose(headings, rows))
    }

    /// Shows facts, one a line behind its name; those that are not known are left away.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub(super) fn facts(&self, facts: &[(&str, String)]) -> io::Result<()> {
        self.text(&self.compose_facts(facts))
    }

    /// Makes the text of facts; a name that comes again is written once.
    fn compose_facts(&self, facts: &[(&str, String)]) -> String {
        let known = facts
            .iter()
            .filter(|(_, what)| !["", "-"].contains(&what.as_str()));
        let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let mut previous = "";
        let lines = known.map(|(name, what)| {
            let shown = if *name == previous { "" } else { name };
            previous = name;
            format!("{}  {what}", self.bold(&format!("{shown:width$}")))
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Makes a text stand out where people look.
    fn bold(&self, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[1m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// Makes a table's text.
    fn compose(&self, headings: &[&str], rows: Vec<Vec<String>>) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        // Lines are cut for people only: a script finds one row a line.
        table.set_content_arrangement(if self.terminal {
            ContentArrangement::Dynamic
        } else {
            ContentArrangement::Disabled
        });
        if !headings.is_empty() {
            table.set_header(headings.iter().map(|heading| {
                let cell = Cell::new(heading);
                if self.colour {
                    cell.add_attribute(Attribute::Bold)
                } else {
                    cell
                }
            }));
        }
        table.add_rows(rows);
        let lines = table.lines().map(|line| line.trim_end().to_owned());
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Shows one value of a document in a cell.
pub(super) fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => {
            let items = items.iter().map(|item| cell(Some(item)));
            items.collect::<Vec<_>>().join(", ")
        }
        Some(other) => other.to_string(),
    }
}

/// Shows a value of any depth on one line: `key value, key value`.
pub(super) fn inline(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let empty =
                |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            let members = members.iter().filter(|(_, value)| !empty(value));
            let members = members.map(|(key, value)| format!("{key} {}", inline(value)));
            members.collect::<Vec<_>>().join(", ")
        }
        Value::Array(items) => {
            let items = items.iter().map(inline);
            items.collect::<Vec<_>>().join(", ")
        }
        Value::String(text) if text.starts_with("-----BEGIN ") => {
            format!("PEM of {} octets", text.len())
        }
        Value::String(text) => text.trim_end().replace('\n', "; "),
        other => cell(Some(other)),
    }
}

/// Names the things of a list; of more than a few the first ones, and how many there are beside.
pub(super) fn summed(mut names: impl ExactSizeIterator<Item = String>) -> String {
    let more = match names.len() {
        0..=FEW => 0,
        all => all - (FEW - 1),
    };
    let shown = names.len() - more;
    let shown = names.by_ref().take(shown).collect::<Vec<_>>().join(", ");
    match more {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An output that nobody looks at.
    fn piped() -> Output {
        Output {
            form: OutputForm::Table,
            terminal: false,
            colour: false,
        }
    }

    #[test]
    fn a_piped_table_has_one_plain_line_a_row() {
        let rows = vec![
            vec!["main".to_owned(), "3".to_owned()],
            vec!["a-long-name".repeat(20), "12".to_owned()],
        ];

        let text = piped().compose(&["POOL", "ACTIVE"], rows);

        assert_eq!(text.lines().count(), 3);
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn facts_are_aligned_and_what_is_not_known_is_left_away() {
        let facts = [
            ("state", "active".to_owned()),
            ("registrar", "-".to_owned()),
            ("DS", "one".to_owned()),
            ("DS", "two".to_owned()),
        ];

        let text = piped().compose_facts(&facts);

        assert_eq!(text, "state      active\nDS         one\n           two");
    }

    #[test]
    fn a_document_is_shown_on_one_line() {
        let document =
            json!({"ttl": "1h", "host": [{"name": "mx1"}], "caa": ["a", "b"], "x": null, "y": []});

        assert_eq!(inline(&document), "caa a, b, host name mx1, ttl 1h");
    }

    #[test]
    fn long_lists_are_summed_up() {
        let names = |count: usize| summed((0..count).map(|n| format!("d{n}")));

        assert_eq!(names(3), "d0, d1, d2");
        assert_eq!(names(3_000), "d0, d1 and 2998 more");
    }
}
