//! What is wrong with a document, and where.

use std::cell::RefCell;
use std::fmt;

use serde::{Serialize, Serializer};

/// One thing that is wrong with a document: where, and what was wanted and found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Fault {
    /// Where, as a JSON pointer (RFC 6901); empty for the whole document.
    pub pointer: String,
    /// What was wanted and what was found.
    pub detail: String,
}

impl Fault {
    /// Makes a fault.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            detail: detail.into(),
        }
    }

    /// Returns the fault as seen from a document that holds this one at `prefix`.
    #[must_use]
    pub fn below(self, prefix: &Pointer) -> Self {
        Self {
            pointer: format!("{prefix}{}", self.pointer),
            detail: self.detail,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pointer.is_empty() {
            return f.write_str(&self.detail);
        }
        write!(f, "{}: {}", self.pointer, self.detail)
    }
}

/// A place in a document (RFC 6901).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pointer(String);

impl Pointer {
    /// Returns the place of the whole document.
    pub fn root() -> Self {
        Self::default()
    }

    /// Returns the place of the member `key`, with `~` and `/` escaped (RFC 6901, section 3).
    #[must_use]
    pub fn member(&self, key: &str) -> Self {
        let escaped = key.replace('~', "~0").replace('/', "~1");
        Self(format!("{}/{escaped}", self.0))
    }

    /// Returns the place of the item at `index`.
    #[must_use]
    pub fn item(&self, index: usize) -> Self {
        Self(format!("{}/{index}", self.0))
    }

    /// Returns the pointer's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the unescaped steps of a pointer's text, from the document's root on.
    pub fn steps(text: &str) -> impl Iterator<Item = String> + '_ {
        let steps = text.split('/').skip(1);
        // In this order, as RFC 6901, section 4 asks: "~01" is "~1", not "/".
        steps.map(|step| step.replace("~1", "/").replace("~0", "~"))
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Pointer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl From<Pointer> for String {
    fn from(pointer: Pointer) -> Self {
        pointer.0
    }
}

/// Collects the faults of a document while it is read.
///
/// Shared by every [`Element`](super::Element) of a document; not for use by two threads.
#[derive(Debug, Default)]
pub struct Faults(RefCell<Vec<Fault>>);

impl Faults {
    /// Starts without any.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes what is wrong at `pointer`.
    pub fn note(&self, pointer: &Pointer, detail: impl Into<String>) {
        self.0
            .borrow_mut()
            .push(Fault::new(pointer.as_str(), detail));
    }

    /// Notes a fault that was found elsewhere.
    pub fn push(&self, fault: Fault) {
        self.0.borrow_mut().push(fault);
    }

    /// Returns how many were noted so far.
    pub fn count(&self) -> usize {
        self.0.borrow().len()
    }

    /// Returns `value` if nothing is wrong.
    ///
    /// # Errors
    ///
    /// Every fault that was noted. A document without faults that read as absent is a mistake of
    /// its reader; it is reported as a fault of the whole rather than taken.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Vec<Fault>> {
        let mut faults = self.0.into_inner();
        match value {
            Some(value) if faults.is_empty() => Ok(value),
            _ => {
                if faults.is_empty() {
                    faults.push(Fault::new("", "the document cannot be read"));
                }
                Err(faults)
            }
        }
    }

    /// Returns what was noted.
    pub fn into_vec(self) -> Vec<Fault> {
        self.0.into_inner()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rfc6901_3_tilde_and_slash_are_escaped_in_a_pointer() {
        let pointer = Pointer::root().member("a/b").item(3).member("m~n");

        assert_eq!(pointer.as_str(), "/a~1b/3/m~0n");
    }

    #[test]
    fn a_fault_of_an_inner_document_is_seen_from_the_outer_one() {
        let outer = Pointer::root().member("changes").item(2);

        let fault = Fault::new("/ttl", "expected a time span").below(&outer);

        assert_eq!(fault.to_string(), "/changes/2/ttl: expected a time span");
    }

    proptest! {
        #[test]
        fn the_steps_of_a_pointer_come_back(steps in prop::collection::vec("[a~/01]{0,5}", 0..5)) {
            let pointer = steps
                .iter()
                .fold(Pointer::root(), |pointer, step| pointer.member(step));

            let back: Vec<String> = Pointer::steps(pointer.as_str()).collect();

            prop_assert_eq!(back, steps);
        }
    }
}
