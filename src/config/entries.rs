//! The entries of file and environment, with their places, before they mean anything.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Place, Problem};
use super::values::with_article;

/// The sections and keys of this release; a section within another has a dot in its name.
const KNOWN: [(&str, &[&str]); 12] = [
    (
        "dns",
        &["listen", "udp_workers", "cores", "nsid", "id_server"],
    ),
    ("dns.cookies", &["secrets"]),
    ("dns.rrl", &["rate", "slip", "dry_run", "allow"]),
    ("dns.tcp", &["connections", "per_source", "idle"]),
    ("dns.tls", &["dot", "doq", "certificate", "key"]),
    ("api", &["listen"]),
    ("metrics", &["listen"]),
    ("routing", &["listen"]),
    ("store", &["path"]),
    ("keys", &["path"]),
    (
        "watch",
        &["resolvers", "interval", "smtp_probe", "policy_ca", "server"],
    ),
    ("log", &["level", "format"]),
];

/// How variables of the environment that override settings begin.
const PREFIX: &str = "MXPOOL_";

/// What parts section and key in a variable's name; the variables of the client commands have none.
const SEPARATOR: &str = "__";

/// A setting as it was found.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Where it was found.
    pub(super) place: Place,
    /// What was found.
    pub(super) value: Value,
}

/// The value of a setting as it was found.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// A list of texts or tables.
    List(Vec<Entry>),
    /// A table in a list: its keys, with their places, and what they have.
    Table(Vec<(String, Place, Entry)>),
    /// Anything else, by what TOML calls it.
    Other(&'static str),
    /// A variable's text, which is a number, or a list parted by commas, where that is wanted.
    Variable(String),
}

/// All settings that were found, by section and key.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// The settings.
    found: BTreeMap<(&'static str, &'static str), Entry>,
    /// The sections that stand there, be it without a setting.
    sections: BTreeSet<&'static str>,
}

impl Entries {
    /// Reads a file's text; `file` is what places call it.
    pub(super) fn read_file(&mut self, file: &str, text: &str, problems: &mut Vec<Problem>) {
        let source = Source { file, text };
        let (document, errors) = DeTable::parse_recoverable(text);
        let mut broken: Vec<Place> = Vec::new();
        for error in errors {
            let place = source.place(error.span().unwrap_or_default());
            // What follows the first error on a line mostly follows from it.
            if !broken.iter().any(|before| same_line(before, &place)) {
                broken.push(place.clone());
                let detail = error.message().trim_end().replace('\n', ", ");
                problems.push(Problem { place, detail });
            }
        }
        let mut found = Vec::new();
        source.read_document(document.get_ref(), self, &mut found);
        // What is read on a line that is no TOML says nothing beyond that.
        let is_broken = |place: &Place| broken.iter().any(|broken| same_line(broken, place));
        found.retain(|problem| !is_broken(&problem.place));
        self.found.retain(|_, entry| !entry.any_place(&is_broken));
        problems.append(&mut found);
    }

    /// Reads the environment's variables; they override the file's settings.
    pub(super) fn read_environment(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
        problems: &mut Vec<Problem>,
    ) {
        for (name, value) in variables {
            // The last part is the key: what is in front of it may be a section within a section.
            let Some(rest) = name.strip_prefix(PREFIX) else {
                continue;
            };
            let place = Place::Variable { name: name.clone() };
            let Some((section, key)) = rest.rsplit_once(SEPARATOR) else {
                if let Some(meant) = meant_by(rest) {
                    let detail =
                        format!("expected {meant}, with two underscores in front of a key");
                    problems.push(Problem { place, detail });
                }
                continue;
            };
            let section = section.to_ascii_lowercase().replace(SEPARATOR, ".");
            let key = key.to_ascii_lowercase();
            match known(&section, &key) {
                Ok(known) => {
                    self.put(known, variable(place, value));
                }
                Err(detail) => problems.push(Problem { place, detail }),
            }
        }
    }

    /// Returns whether a section stands there, with settings or without.
    pub(super) fn has_section(&self, section: &'static str) -> bool {
        self.sections.contains(section)
    }

    /// Returns a setting, if it was found.
    pub(super) fn get(&self, section: &'static str, key: &'static str) -> Option<&Entry> {
        self.found.get(&(section, key))
    }

    /// Takes a setting, and its section with it.
    fn put(&mut self, known: (&'static str, &'static str), entry: Entry) {
        self.sections.insert(known.0);
        self.found.insert(known, entry);
    }
}

/// Returns a variable's entry: a list as TOML writes one, or a text that its reader understands.
fn variable(place: Place, text: String) -> Entry {
    let list = match DeValue::parse(&text).map(Spanned::into_inner) {
        Ok(DeValue::Array(items)) => Some(items),
        // An IPv6 address begins with a bracket, too.
        Ok(_) | Err(_) => None,
    };
    let value = match list {
        Some(items) => {
            let items = items.iter().map(|item| Entry {
                place: place.clone(),
                value: Value::of(item.get_ref(), |_| place.clone()),
            });
            Value::List(items.collect())
        }
        None => Value::Variable(text),
    };
    Entry { place, value }
}

impl Value {
    /// Takes a value of TOML; `place` tells where a span begins.
    fn of(value: &DeValue<'_>, place: impl Fn(Range<usize>) -> Place + Copy) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.clone().into_owned()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or(Self::Other("number out of range"), Self::Number),
            DeValue::Array(items) => {
                let items = items.iter().map(|item| Entry {
                    place: place(item.span()),
                    value: Self::of(item.get_ref(), place),
                });
                Self::List(items.collect())
            }
            DeValue::Boolean(flag) => Self::Flag(*flag),
            DeValue::Table(table) => {
                let fields = table.iter().map(|(key, value)| {
                    let entry = Entry {
                        place: place(value.span()),
                        value: Self::of(value.get_ref(), place),
                    };
                    (key.get_ref().to_string(), place(key.span()), entry)
                });
                Self::Table(fields.collect())
            }
            other => Self::Other(other.type_str()),
        }
    }
}

impl Entry {
    /// Returns whether the place of the value, or of one inside it, is such a one.
    fn any_place(&self, is_such: &impl Fn(&Place) -> bool) -> bool {
        let inside = match &self.value {
            Value::List(items) => items.iter().any(|item| item.any_place(is_such)),
            Value::Table(fields) => fields.iter().any(|(_, _, item)| item.any_place(is_such)),
            Value::Text(_)
            | Value::Number(_)
            | Value::Flag(_)
            | Value::Other(_)
            | Value::Variable(_) => false,
        };
        inside || is_such(&self.place)
    }
}

/// Returns the known name of a setting, or what is wrong with it.
fn known(section: &str, key: &str) -> Result<(&'static str, &'static str), String> {
    let (section, keys) = known_section(section)?;
    keys.iter()
        .find(|known| **known == key)
        .map(|key| (section, *key))
        .ok_or_else(|| {
            let inner: Vec<_> = sections_in(section).collect();
            let expected = keys.iter().chain(&inner).copied();
            format!(
                "unknown key {key:?} in section [{section}]; expected {}",
                one_of(expected.collect::<Vec<_>>().into_iter())
            )
        })
}

/// Returns the variable of the setting that is meant by one whose parts stand apart by one
/// underscore only.
///
/// What means no setting is not refused: there are the client commands' variables, and Kubernetes
/// makes others for a service of our name, like `MXPOOL_SERVICE_HOST` and `MXPOOL_DNS_PORT`.
fn meant_by(rest: &str) -> Option<String> {
    let variable = |section: &str, key: &str| {
        let section = section.replace('.', SEPARATOR);
        format!("{section}{SEPARATOR}{key}").to_ascii_uppercase()
    };
    let mut settings = KNOWN
        .iter()
        .flat_map(|(section, keys)| keys.iter().map(move |key| variable(section, key)));
    let found = settings.find(|it| it.replace(SEPARATOR, "_").eq_ignore_ascii_case(rest));
    found.map(|it| format!("{PREFIX}{it}"))
}

/// Returns the names that sections within a section have there.
fn sections_in(section: &'static str) -> impl Iterator<Item = &'static str> {
    KNOWN
        .iter()
        .filter_map(move |(known, _)| known.strip_prefix(section)?.strip_prefix('.'))
}

/// Returns a known section with its keys, or what is wrong with it.
fn known_section(section: &str) -> Result<(&'static str, &'static [&'static str]), String> {
    KNOWN
        .iter()
        .find(|(known, _)| *known == section)
        .copied()
        .ok_or_else(|| {
            format!(
                "unknown section {section:?}; expected {}",
                one_of(KNOWN.iter().map(|(known, _)| *known))
            )
        })
}

/// Writes what could have been meant.
fn one_of(names: impl ExactSizeIterator<Item = &'static str>) -> String {
    let single = names.len() == 1;
    let list = names.collect::<Vec<_>>().join(", ");
    if single {
        list
    } else {
        format!("one of {list}")
    }
}

/// Returns whether two places are on one line.
fn same_line(one: &Place, other: &Place) -> bool {
    match (one, other) {
        (Place::Line { line: one, .. }, Place::Line { line: other, .. }) => one == other,
        _ => false,
    }
}

/// A file that is read.
struct Source<'a> {
    /// Its name.
    file: &'a str,
    /// Its text.
    text: &'a str,
}

impl Source<'_> {
    /// Reads all sections.
    fn read_document(
        &self,
        document: &DeTable<'_>,
        entries: &mut Entries,
        problems: &mut Vec<Problem>,
    ) {
        for (section, content) in document {
            let place = self.place(section.span());
            self.read_section(
                section.get_ref(),
                place,
                content.get_ref(),
                entries,
                problems,
            );
        }
    }

    /// Reads one section, and those within it.
    fn read_section(
        &self,
        name: &str,
        place: Place,
        content: &DeValue<'_>,
        entries: &mut Entries,
        problems: &mut Vec<Problem>,
    ) {
        let (section, table) = match (known_section(name), content) {
            (Err(detail), _) => {
                problems.push(Problem { place, detail });
                return;
            }
            (Ok((section, _)), DeValue::Table(table)) => (section, table),
            (Ok(_), other) => {
                let found = with_article(other.type_str());
                let detail = format!("expected a section [{name}], found {found}");
                problems.push(Problem { place, detail });
                return;
            }
        };
        entries.sections.insert(section);
        for (key, value) in table {
            let place = self.place(key.span());
            if sections_in(section).any(|inner| inner == key.get_ref()) {
                let name = format!("{section}.{}", key.get_ref());
                self.read_section(&name, place, value.get_ref(), entries, problems);
                continue;
            }
            match known(section, key.get_ref()) {
                Ok(known) => entries.put(known, self.entry(value)),
                Err(detail) => problems.push(Problem { place, detail }),
            }
        }
    }

    /// Returns a value with its place.
    fn entry(&self, value: &Spanned<DeValue<'_>>) -> Entry {
        Entry {
            place: self.place(value.span()),
            value: Value::of(value.get_ref(), |span| self.place(span)),
        }
    }

    /// Returns the place where a span begins.
    fn place(&self, span: Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Place::Line {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_lists_every_key() {
        let readme = include_str!("../../README.md");
        let (_, section) = readme.split_once("\n## Configuration\n").unwrap();
        let table = section.lines().skip_while(|line| !line.starts_with('|'));
        let rows = table.take_while(|line| line.starts_with('|'));
        // Of a row the keys alone: another one's may be named in its words.
        let keys_of = |row: &'static str| row.split('|').nth(1).unwrap();
        let listed: Vec<&str> = rows.map(keys_of).collect();
        for (section, keys) in KNOWN {
            for key in keys {
                let names = [
                    format!("`{section}.{key}`"),
                    format!("`[[{section}.{key}]]`"),
                ];
                let mut names = names.iter();
                let is_listed =
                    names.any(|name| listed.iter().any(|keys| keys.contains(name.as_str())));
                assert!(is_listed, "{section}.{key}");
            }
        }
    }
}
