//! Answers on standard output: tables for people, the API's own words for scripts.

use std::io::{self, IsTerminal, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

use super::command::OutputForm;

/// Where answers are shown, and in which form.
#[derive(Debug)]
pub(super) struct Output {
    /// The form that was asked for.
    form: OutputForm,
    /// Whether people look at it.
    terminal: bool,
}

impl Output {
    /// Shows answers on standard output.
    pub(super) fn new(form: OutputForm) -> Self {
        Self {
            form,
            terminal: io::stdout().is_terminal(),
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

    /// Shows a document as two columns: where, and what.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub(super) fn document(&self, document: &Value) -> io::Result<()> {
        let mut rows = Vec::new();
        flatten("", document, &mut rows);
        self.table(&[], rows)
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
            table.set_header(headings.to_vec());
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

/// Turns a document into rows of a dotted key and a value.
fn flatten(key: &str, value: &Value, rows: &mut Vec<Vec<String>>) {
    let below = |name: &str| match key {
        "" => name.to_owned(),
        key => format!("{key}.{name}"),
    };
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                flatten(&below(name), member, rows);
            }
        }
        Value::Array(items) if items.iter().any(|item| item.is_object()) => {
            for (index, item) in items.iter().enumerate() {
                flatten(&below(&index.to_string()), item, rows);
            }
        }
        Value::Array(items) => {
            for item in items {
                flatten(key, item, rows);
            }
        }
        Value::Null => {}
        Value::String(text) if text.starts_with("-----BEGIN ") => {
            let shown = format!("PEM of {} octets", text.len());
            rows.push(vec![key.to_owned(), shown]);
        }
        other => rows.push(vec![key.to_owned(), cell(Some(other))]),
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
    fn a_document_is_shown_by_dotted_keys() {
        let document = json!({"ttl": "1h", "mail_host": [{"name": "mx1"}], "caa": ["a", "b"]});

        let mut rows = Vec::new();
        flatten("", &document, &mut rows);

        let rows: Vec<String> = rows.iter().map(|row| row.join("=")).collect();
        assert_eq!(rows, ["caa=a", "caa=b", "mail_host.0.name=mx1", "ttl=1h"]);
    }
}
