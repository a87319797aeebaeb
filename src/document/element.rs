//! A value of a document with its place.

use std::fmt::Display;
use std::str::FromStr;

use serde_json::Value;

use super::{Fault, Faults, Fields, Pointer};

/// Reads a whole document with `reader` and returns what it made, or everything that is wrong.
///
/// `reader` returns `None` where it could not go on; why has been noted then.
///
/// # Errors
///
/// Every fault of the document, in the order in which they were met.
pub fn read<'v, T>(
    document: &'v Value,
    reader: impl FnOnce(Element<'v, '_>) -> Option<T>,
) -> Result<T, Vec<Fault>> {
    let faults = Faults::new();
    let value = reader(Element::new(document, Pointer::root(), &faults));
    faults.finish(value)
}

/// A value of a document, and where it stands.
#[derive(Clone, Debug)]
pub struct Element<'v, 'f> {
    /// The value.
    value: &'v Value,
    /// Its place.
    pointer: Pointer,
    /// Where faults go.
    faults: &'f Faults,
}

impl<'v, 'f> Element<'v, 'f> {
    /// Takes a value that stands at `pointer`.
    pub fn new(value: &'v Value, pointer: Pointer, faults: &'f Faults) -> Self {
        Self {
            value,
            pointer,
            faults,
        }
    }

    /// Returns the value itself.
    pub fn value(&self) -> &'v Value {
        self.value
    }

    /// Returns where the value stands.
    pub fn pointer(&self) -> &Pointer {
        &self.pointer
    }

    /// Returns where faults go.
    pub fn faults(&self) -> &'f Faults {
        self.faults
    }

    /// Notes that the value is wrong, and why.
    pub fn refuse(&self, detail: impl Into<String>) {
        self.faults.note(&self.pointer, detail);
    }

    /// Returns a text.
    pub fn text(&self) -> Option<&'v str> {
        let text = self.value.as_str();
        self.wanted("a text", text)
    }

    /// Returns a text of at most `most` octets: what is kept with every domain that it is said of.
    pub fn words(&self, most: usize) -> Option<&'v str> {
        let text = self.text()?;
        if text.len() > most {
            let found = text.len();
            self.refuse(format!("expected at most {most} octets, found {found}"));
            return None;
        }
        // They would move the cursor of whoever looks at it.
        if text.chars().any(char::is_control) {
            self.refuse(format!("expected no control characters, found {text:?}"));
            return None;
        }
        Some(text)
    }

    /// Returns true or false.
    pub fn boolean(&self) -> Option<bool> {
        let boolean = self.value.as_bool();
        self.wanted("true or false", boolean)
    }

    /// Returns a whole number from `least` to `most`.
    pub fn number(&self, least: u64, most: u64) -> Option<u64> {
        let number = self.value.as_u64();
        let number = number.filter(|number| (least..=most).contains(number));
        self.wanted(&format!("a whole number from {least} to {most}"), number)
    }

    /// Returns what a text says; its type says what is wrong with one.
    pub fn parsed<T>(&self) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        match self.text()?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(error.to_string());
                None
            }
        }
    }

    /// Returns the meaning of one of a few words.
    pub fn one_of<T: Clone>(&self, words: &[(&str, T)]) -> Option<T> {
        let meaning = self.value.as_str().and_then(|text| {
            let found = words.iter().find(|(word, _)| *word == text);
            found.map(|(_, meaning)| meaning.clone())
        });
        if meaning.is_none() {
            let quoted = words.iter().map(|(word, _)| format!("{word:?}"));
            self.refuse(format!(
                "expected {}, found {}",
                alternatives(quoted),
                describe(self.value)
            ));
        }
        meaning
    }

    /// Returns the items of an array.
    pub fn array(&self) -> Option<Vec<Element<'v, 'f>>> {
        let items = self.wanted("an array", self.value.as_array())?;
        let items = items.iter().enumerate();
        let items =
            items.map(|(index, item)| Self::new(item, self.pointer.item(index), self.faults));
        Some(items.collect())
    }

    /// Returns what `reader` makes of each item of an array; `None` if any of them is wrong.
    pub fn each<T>(&self, reader: impl FnMut(Element<'v, 'f>) -> Option<T>) -> Option<Vec<T>> {
        // Collected before it is judged: every item is read, so every fault is found.
        let read: Vec<Option<T>> = self.array()?.into_iter().map(reader).collect();
        read.into_iter().collect()
    }

    /// Returns the members of an object that has keys of `known` only.
    pub fn fields(&self, known: &[&str]) -> Option<Fields<'v, 'f>> {
        self.fields_ignoring(known, &[])
    }

    /// Returns the members of an object that has keys of `known` only, and of `ignored`, which are
    /// not read: what a `GET` shows and a `PUT` cannot set.
    pub fn fields_ignoring(&self, known: &[&str], ignored: &[&str]) -> Option<Fields<'v, 'f>> {
        let members = self.wanted("an object", self.value.as_object())?;
        let fields = Fields::new(members, self.pointer.clone(), self.faults);
        fields.refuse_unknown(known, ignored);
        Some(fields)
    }

    /// Returns every member of an object with keys of the user's own, in the order of the keys.
    pub fn entries(&self) -> Option<Vec<(&'v str, Element<'v, 'f>)>> {
        let members = self.wanted("an object", self.value.as_object())?;
        let entries = members.iter().map(|(key, value)| {
            let element = Self::new(value, self.pointer.member(key), self.faults);
            (key.as_str(), element)
        });
        Some(entries.collect())
    }

    /// Returns `found`, or notes what was wanted and what stands there instead.
    fn wanted<T>(&self, wanted: &str, found: Option<T>) -> Option<T> {
        if found.is_none() {
            self.refuse(format!("expected {wanted}, found {}", describe(self.value)));
        }
        found
    }
}

/// Says in words what a value is; long texts are cut.
fn describe(value: &Value) -> String {
    /// More of a text than this is no help in a message.
    const SHOWN: usize = 60;
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(boolean) => boolean.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) if text.chars().count() > SHOWN => {
            let start: String = text.chars().take(SHOWN).collect();
            format!("the text {start:?}…")
        }
        Value::String(text) => format!("the text {text:?}"),
        Value::Array(items) if items.len() == 1 => "an array of one item".to_owned(),
        Value::Array(items) => format!("an array of {} items", items.len()),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// Joins words as a sentence does: `a, b or c`.
pub(super) fn alternatives(words: impl Iterator<Item = String>) -> String {
    let mut words: Vec<String> = words.collect();
    match words.pop() {
        None => "nothing".to_owned(),
        Some(last) if words.is_empty() => last,
        Some(last) => format!("{} or {last}", words.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// What the tests read.
    fn example(element: &Element<'_, '_>) -> Option<(Ipv4Addr, Vec<u64>)> {
        let fields = element.fields(&["address", "preferences", "mode"])?;
        let address = fields
            .required("address")
            .and_then(|address| address.parsed());
        let preferences = fields
            .optional("preferences")
            .map_or(Some(Vec::new()), |list| {
                list.each(|item| item.number(0, 65_535))
            });
        fields
            .optional("mode")
            .map(|mode| mode.one_of(&[("enforce", ()), ("testing", ()), ("none", ())]));
        Some((address?, preferences?))
    }

    #[test]
    fn every_fault_of_a_document_is_found_at_once() {
        let document = json!({
            "address": 3600, "preferences": [10, "20", 70000, 5], "mode": "strict", "adress": "::",
        });

        let faults = read(&document, |element| example(&element)).unwrap_err();

        let expected = [
            (
                "/adress",
                "unknown key \"adress\"; did you mean \"address\"? known are address, mode and preferences",
            ),
            ("/address", "expected a text, found the number 3600"),
            (
                "/preferences/1",
                "expected a whole number from 0 to 65535, found the text \"20\"",
            ),
            (
                "/preferences/2",
                "expected a whole number from 0 to 65535, found the number 70000",
            ),
            (
                "/mode",
                "expected \"enforce\", \"testing\" or \"none\", found the text \"strict\"",
            ),
        ];
        assert_eq!(faults, expected.map(|(at, detail)| Fault::new(at, detail)));
    }

    #[test]
    fn a_missing_key_is_named_where_it_is_missing() {
        let faults = read(&json!({}), |element| example(&element)).unwrap_err();

        assert_eq!(
            faults,
            [Fault::new("/address", "expected a value, found none")]
        );
    }

    #[test]
    fn a_document_of_another_kind_is_refused_as_a_whole() {
        let faults = read(&json!([1]), |element| example(&element)).unwrap_err();

        let expected = "expected an object, found an array of one item";
        assert_eq!(faults, [Fault::new("", expected)]);
    }

    #[test]
    fn null_is_an_absent_member() {
        let document = json!({"address": "192.0.2.1", "preferences": null});

        let read = read(&document, |element| example(&element));

        assert_eq!(read, Ok((Ipv4Addr::new(192, 0, 2, 1), vec![])));
    }

    proptest! {
        #[test]
        fn what_a_type_refuses_is_said_in_its_own_words(text in "[0-9.]{0,9}") {
            let document = json!(text);

            let read = read(&document, |element| element.parsed::<Ipv4Addr>());

            match text.parse::<Ipv4Addr>() {
                Ok(address) => prop_assert_eq!(read, Ok(address)),
                Err(error) => prop_assert_eq!(read, Err(vec![Fault::new("", error.to_string())])),
            }
        }
    }
}
