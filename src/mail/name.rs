//! The names of pools.

/// A text that cannot name a pool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a pool name of 1 to 63 lower-case letters, digits and inner hyphens or underscores, \
     found {found:?}"
)]
pub struct PoolNameError {
    /// The text that was found.
    pub found: String,
}

/// Checks the name of a pool: it stands in URLs, in labels of metrics and behind the `@` of its
/// hosts.
///
/// # Errors
///
/// When it has another form.
pub fn check_pool_name(text: &str) -> Result<(), PoolNameError> {
    let inner = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit();
    let edges = text.bytes().next().is_some_and(inner) && text.bytes().last().is_some_and(inner);
    let all = text
        .bytes()
        .all(|octet| inner(octet) || b"-_".contains(&octet));
    if edges && all && text.len() <= 63 {
        Ok(())
    } else {
        Err(PoolNameError {
            found: text.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_named_in_letters_digits_and_inner_hyphens() {
        for good in ["main", "a", "eu-1", "long_lived"] {
            assert_eq!(check_pool_name(good), Ok(()));
        }
        for wrong in ["", "Main", "-a", "a-", "a.b", "mx1@main", "a/b", "ü"] {
            assert!(check_pool_name(wrong).is_err(), "{wrong}");
        }
        assert!(check_pool_name(&"a".repeat(64)).is_err());
    }
}
