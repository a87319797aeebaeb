//! Lists of domain names in files.

use crate::wire::Place;

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

#[cfg(test)]
mod tests {
    use super::*;

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
