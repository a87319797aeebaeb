//! Lists of domain names in files.

use std::collections::HashMap;

use super::failure::Wrong;
use crate::wire::{Apex, Place};

/// How many domains the API takes in one step.
pub(super) const BATCH: usize = 10_000;

/// A name of a list, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// The name as it was written.
    pub(super) name: String,
    /// Where.
    pub(super) place: Place,
}

/// Reads a list with one name a line; `#` begins a remark, empty lines are skipped.
pub(super) fn parse_list(text: &str, file: &str) -> Vec<Listed> {
    let lines = text.lines().zip(1_u32..);
    let names = lines.filter_map(|(line, number)| {
        let name = line.split('#').next().unwrap_or_default().trim();
        (!name.is_empty()).then(|| Listed {
            name: name.to_owned(),
            place: Place {
                file: Some(file.to_owned()),
                line: number,
            },
        })
    });
    names.collect()
}

impl Listed {
    /// Returns where the name was written: file and line, or the name itself as it was typed.
    pub(super) fn shown(&self) -> String {
        match self.place.file {
            Some(_) => self.place.to_string(),
            None => self.name.clone(),
        }
    }

    /// Says what is wrong with the name.
    pub(super) fn wrong(&self, detail: impl Into<String>) -> Wrong {
        Wrong {
            pointer: String::new(),
            place: Some(self.shown()),
            detail: detail.into(),
        }
    }
}

/// Returns everything that is wrong with names in themselves, as the server would find it.
pub(super) fn check(list: &[Listed]) -> Vec<Wrong> {
    let mut first: HashMap<Apex, &Listed> = HashMap::with_capacity(list.len());
    let wrong = list.iter().filter_map(|listed| {
        let apex = match Apex::parse_unicode(&listed.name) {
            Ok(apex) => apex,
            Err(error) => return Some(listed.wrong(error.to_string())),
        };
        match first.get(&apex) {
            Some(earlier) => {
                let (name, earlier) = (apex.to_api_text(), earlier.shown());
                Some(listed.wrong(format!("{name:?} is named twice, first at {earlier}")))
            }
            None => {
                first.insert(apex, listed);
                None
            }
        }
    });
    wrong.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_names_is_found_before_anything_is_sent() {
        let listed = parse_list("a.example\na..example\nb.example\nA.Example.\n", "n.txt");

        let wrong: Vec<String> = check(&listed).iter().map(ToString::to_string).collect();

        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[0].starts_with("n.txt:2: "), "{wrong:?}");
        assert_eq!(
            wrong[1],
            "n.txt:4: \"a.example\" is named twice, first at n.txt:1"
        );
    }

    #[test]
    fn a_list_has_a_name_a_line_and_remarks() {
        let listed = parse_list("# burners\na.example\n\n  b.example # old\r\n", "n.txt");

        let listed: Vec<(&str, u32)> = listed
            .iter()
            .map(|listed| (listed.name.as_str(), listed.place.line))
            .collect();
        assert_eq!(listed, [("a.example", 2), ("b.example", 4)]);
    }
}
