//! Names relative to an origin.

use super::Token;
use crate::wire::{Name, RelativeName};

/// Reads a name: absolute with a final dot, else under `origin`; `@` is the origin itself
/// (RFC 1035, section 5.1).
///
/// # Errors
///
/// Returns what was expected and what is wrong with the text.
pub(in crate::wire) fn absolute_name(token: &Token<'_>, origin: &Name) -> Result<Name, String> {
    let text = token.text;
    let name = if ends_with_dot(text) {
        Name::parse(text)
    } else {
        RelativeName::parse(text).and_then(|labels| labels.under(origin))
    };
    name.map_err(|error| format!("expected a name: {error}"))
}

/// Returns whether the last character is a dot that is not escaped.
fn ends_with_dot(text: &str) -> bool {
    let Some(before) = text.strip_suffix('.') else {
        return false;
    };
    let backslashes = before.bytes().rev().take_while(|octet| *octet == b'\\');
    backslashes.count() % 2 == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::master::Entries;

    #[test]
    fn a_final_dot_counts_only_without_a_backslash() {
        let origin = Name::parse("burner.example").unwrap();

        for (text, expected) in [
            ("@", "burner.example."),
            ("mx1", "mx1.burner.example."),
            ("mx1.infra.", "mx1.infra."),
            ("a\\.", "a\\..burner.example."),
            ("a\\\\.", "a\\\\."),
            (".", "."),
        ] {
            let Some(Ok(entry)) = Entries::new(text).next() else {
                panic!("{text} is no entry");
            };
            let name = absolute_name(&entry.tokens[0], &origin).unwrap();
            assert_eq!(name.to_string(), expected);
        }
    }
}
