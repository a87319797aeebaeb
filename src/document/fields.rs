//! The members of an object, and the keys it may have.

use serde_json::{Map, Value};

use super::{Element, Faults, Pointer};

/// The members of an object.
#[derive(Clone, Debug)]
pub struct Fields<'v, 'f> {
    /// The members.
    members: &'v Map<String, Value>,
    /// Where the object stands.
    pointer: Pointer,
    /// Where faults go.
    faults: &'f Faults,
}

impl<'v, 'f> Fields<'v, 'f> {
    /// Takes the members of an object that stands at `pointer`.
    pub(super) fn new(
        members: &'v Map<String, Value>,
        pointer: Pointer,
        faults: &'f Faults,
    ) -> Self {
        Self {
            members,
            pointer,
            faults,
        }
    }

    /// Returns where the object stands.
    pub fn pointer(&self) -> &Pointer {
        &self.pointer
    }

    /// Notes that something is wrong with the member `key`, there or not.
    pub fn refuse(&self, key: &str, detail: impl Into<String>) {
        self.faults.note(&self.pointer.member(key), detail);
    }

    /// Returns a member that may be absent; `null` is absent.
    pub fn optional(&self, key: &str) -> Option<Element<'v, 'f>> {
        let value = self.members.get(key).filter(|value| !value.is_null())?;
        Some(Element::new(value, self.pointer.member(key), self.faults))
    }

    /// Returns a member that must be there; its absence is noted.
    pub fn required(&self, key: &str) -> Option<Element<'v, 'f>> {
        let element = self.optional(key);
        if element.is_none() {
            self.refuse(key, "expected a value, found none");
        }
        element
    }

    /// Returns what `reader` makes of a member, or `default` if it is absent or wrong.
    ///
    /// Wrong is noted by `reader`, so the default never passes for what was written.
    pub fn or<T>(
        &self,
        key: &str,
        default: T,
        reader: impl FnOnce(Element<'v, 'f>) -> Option<T>,
    ) -> T {
        self.optional(key).and_then(reader).unwrap_or(default)
    }

    /// Notes every member whose key is neither known nor ignored.
    pub(super) fn refuse_unknown(&self, known: &[&str], ignored: &[&str]) {
        for key in self.members.keys() {
            if known.contains(&key.as_str()) || ignored.contains(&key.as_str()) {
                continue;
            }
            let hint = nearest(key, known)
                .map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
            let separator = if hint.is_empty() { ";" } else { "" };
            self.refuse(
                key,
                format!("unknown key {key:?}{hint}{separator} {}", listed(known)),
            );
        }
    }
}

/// Names the keys there are.
fn listed(known: &[&str]) -> String {
    let mut known = known.to_vec();
    known.sort_unstable();
    match known.split_last() {
        None => "there are none".to_owned(),
        Some((only, [])) => format!("known is {only}"),
        Some((last, others)) => format!("known are {} and {last}", others.join(", ")),
    }
}

/// Returns the known key that is most likely meant: at most a third of its letters differ.
fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    // A key of a hostile document may be as long as its body; a typing error is not.
    if key.len() > 64 {
        return None;
    }
    let distances = known.iter().map(|near| (distance(key, near), *near));
    let (distance, near) = distances.min()?;
    (distance <= (near.len() / 3).max(1)).then_some(near)
}

/// Returns how many letters must be put in, taken out, changed or swapped with their neighbour
/// (the restricted Damerau-Levenshtein distance).
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=to.len()).collect()];
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let changed = usize::from(from[i - 1] != to[j - 1]);
            let mut best = (rows[i - 1][j] + 1)
                .min(row[j - 1] + 1)
                .min(rows[i - 1][j - 1] + changed);
            let swapped = i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1];
            if swapped {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_is_answered_with_the_nearest_key() {
        let known = ["nameservers", "ttl", "ns_ttl", "mail_host"];

        assert_eq!(nearest("nameserver", &known), Some("nameservers"));
        assert_eq!(nearest("tlt", &known), Some("ttl"));
        assert_eq!(nearest("mailhost", &known), Some("mail_host"));
        assert_eq!(nearest("colour", &known), None);
    }
}
