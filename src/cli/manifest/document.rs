//! A TOML file as a JSON document that knows its lines.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::cli::failure::FileFault;
use crate::document::Pointer;

/// A TOML file as a JSON document that remembers the line of every value.
#[derive(Clone, Debug)]
pub(super) struct Document {
    /// The file, as it was named.
    pub(super) file: Rc<str>,
    /// What it says.
    pub(super) value: Map<String, Value>,
    /// The line of the key or item behind each pointer.
    lines: BTreeMap<String, u32>,
    /// The line in which the text behind a pointer begins.
    texts: BTreeMap<String, u32>,
}

/// Turns TOML into JSON and notes lines.
struct Converter<'t> {
    /// The text.
    text: &'t str,
    /// Where each line of it begins.
    starts: Vec<usize>,
    /// The line of the key or item behind each pointer.
    lines: BTreeMap<String, u32>,
    /// The line in which the text behind a pointer begins.
    texts: BTreeMap<String, u32>,
}

impl Document {
    /// Reads a text; what could be read comes with what is wrong.
    pub(super) fn parse(file: &str, text: &str, faults: &mut Vec<FileFault>) -> Self {
        let mut converter = Converter::new(text);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            faults.push(FileFault {
                file: file.to_owned(),
                line: converter.line(at),
                detail: error.message().to_owned(),
            });
        }
        let value = converter.members(table.get_ref(), &Pointer::root());
        Self {
            file: file.into(),
            value,
            lines: converter.lines,
            texts: converter.texts,
        }
    }

    /// Returns the line in which the text that a pointer names begins: below its key, if it is
    /// written as several lines.
    pub(super) fn text_line(&self, pointer: &str) -> u32 {
        let line = self.texts.get(pointer).copied();
        line.unwrap_or_else(|| self.line(pointer))
    }

    /// Returns the line of what a pointer names, or of the closest thing around it that is there.
    pub(super) fn line(&self, pointer: &str) -> u32 {
        let mut pointer = pointer;
        loop {
            if let Some(line) = self.lines.get(pointer) {
                return *line;
            }
            match pointer.rfind('/') {
                Some(parent) => pointer = &pointer[..parent],
                None => return 1,
            }
        }
    }

    /// Says that something is wrong with what a pointer names.
    pub(super) fn fault(&self, pointer: &Pointer, detail: impl Into<String>) -> FileFault {
        FileFault {
            file: self.file.to_string(),
            line: self.line(pointer.as_str()),
            detail: detail.into(),
        }
    }
}

impl<'t> Converter<'t> {
    /// Notes where each line of a text begins.
    fn new(text: &'t str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text,
            starts: [0].into_iter().chain(after_newlines).collect(),
            lines: BTreeMap::new(),
            texts: BTreeMap::new(),
        }
    }

    /// Returns the line of an offset, counted from one.
    fn line(&self, offset: usize) -> u32 {
        let line = self.starts.partition_point(|start| *start <= offset);
        u32::try_from(line).unwrap_or(u32::MAX)
    }

    /// Notes where what a pointer names stands.
    fn note(&mut self, pointer: &Pointer, offset: usize) {
        let line = self.line(offset);
        self.lines.insert(pointer.as_str().to_owned(), line);
    }

    /// Turns a table into an object.
    fn members(&mut self, table: &DeTable<'_>, pointer: &Pointer) -> Map<String, Value> {
        let members = table.iter().map(|(key, value)| {
            let pointer = pointer.member(key.get_ref());
            // The key's line is the one to show: a value of several lines ends far below it.
            self.note(&pointer, key.span().start);
            (key.get_ref().to_string(), self.convert(value, &pointer))
        });
        members.collect()
    }

    /// Turns a value into one of JSON.
    fn convert(&mut self, value: &Spanned<DeValue<'_>>, pointer: &Pointer) -> Value {
        match value.get_ref() {
            DeValue::String(text) => {
                let begin = self.line(value.span().start) + self.skipped(value.span().start);
                self.texts.insert(pointer.as_str().to_owned(), begin);
                Value::String(text.to_string())
            }
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| Value::String(number.to_string()), Value::from),
            DeValue::Float(number) => {
                let float = number.as_str().parse().ok().and_then(Number::from_f64);
                float.map_or_else(|| Value::String(number.to_string()), Value::Number)
            }
            DeValue::Boolean(boolean) => Value::Bool(*boolean),
            // No key of a manifest is a date: whoever reads it refuses the text.
            DeValue::Datetime(moment) => Value::String(moment.to_string()),
            DeValue::Array(items) => {
                let items = items.iter().enumerate().map(|(index, item)| {
                    let pointer = pointer.item(index);
                    self.note(&pointer, item.span().start);
                    self.convert(item, &pointer)
                });
                Value::Array(items.collect())
            }
            DeValue::Table(table) => Value::Object(self.members(table, pointer)),
        }
    }

    /// Returns how many line ends TOML drops in front of the text of a string at `start`.
    fn skipped(&self, start: usize) -> u32 {
        let string = self.text.get(start..).unwrap_or_default();
        let text = string
            .strip_prefix("'''")
            .or_else(|| string.strip_prefix("\"\"\""));
        u32::from(text.is_some_and(|text| text.starts_with('\n') || text.starts_with("\r\n")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text with a value of every kind.
    const TEXT: &str = "\
[pool.main]
ttl = \"1h\"
caa = [
  'a',
  'b',
]

[[pool.main.mail_host]]
preference = 10
";

    #[test]
    fn every_value_knows_its_line() {
        let mut faults = Vec::new();
        let document = Document::parse("a.toml", TEXT, &mut faults);

        assert_eq!(faults, []);
        assert_eq!(document.line("/pool/main/ttl"), 2);
        assert_eq!(document.line("/pool/main/caa/1"), 5);
        assert_eq!(document.line("/pool/main/mail_host/0/preference"), 9);
        let host = &document.value["pool"]["main"]["mail_host"][0];
        assert_eq!(host["preference"], 10);
    }

    #[test]
    fn a_value_that_is_missing_is_shown_where_it_should_be() {
        let document = Document::parse("a.toml", TEXT, &mut Vec::new());

        assert_eq!(document.line("/pool/main/mail_host/0/name"), 8);
        assert_eq!(document.line("/elsewhere"), 1);
    }

    #[test]
    fn every_syntax_error_is_found_with_its_line() {
        let mut faults = Vec::new();

        Document::parse("a.toml", "a = \nb = 1\nc = [1,\nd = {\n", &mut faults);

        let mut lines: Vec<u32> = faults.iter().map(|fault| fault.line).collect();
        lines.sort_unstable();
        assert!(lines.len() > 1 && lines[0] == 1, "{faults:?}");
    }
}
