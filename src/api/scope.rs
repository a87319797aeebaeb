//! What a token may do.

use axum::http::Method;

/// What a token may do; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    /// Look at everything but a backup.
    Read,
    /// Rotate, suspend and hold, hand domains out.
    Rotate,
    /// Change anything, as far as the rules allow.
    Write,
    /// Everything: take a backup, skip rules by force.
    Admin,
}

/// The last words of the paths that ask for [`Scope::Rotate`].
const ROTATE: [&str; 6] = ["rotate", "handout", "suspend", "resume", "hold", "unhold"];

impl Scope {
    /// Reads the scope of a token; a word of another release allows no more than reading.
    pub(super) fn named(word: &str) -> Self {
        match word {
            "rotate" => Self::Rotate,
            "write" => Self::Write,
            "admin" => Self::Admin,
            _ => Self::Read,
        }
    }

    /// Returns the scope's name.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Rotate => "rotate",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    /// Returns what a request asks for: by its method and its route.
    pub(super) fn needed(method: &Method, route: &str) -> Self {
        if route == "/v1/backup" {
            // It holds every sealed key.
            return Self::Admin;
        }
        if method == Method::GET || method == Method::HEAD {
            return Self::Read;
        }
        let last = route.rsplit('/').next().unwrap_or_default();
        if ROTATE.contains(&last) {
            Self::Rotate
        } else {
            Self::Write
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_asks_for_the_least_that_it_needs() {
        let post = |route| Scope::needed(&Method::POST, route);

        assert_eq!(Scope::needed(&Method::GET, "/v1/pools"), Scope::Read);
        assert_eq!(Scope::needed(&Method::GET, "/v1/backup"), Scope::Admin);
        assert_eq!(post("/v1/pools/{pool}/rotate"), Scope::Rotate);
        assert_eq!(post("/v1/domains/{name}/suspend"), Scope::Rotate);
        assert_eq!(post("/v1/domains/{name}/transition"), Scope::Write);
        assert_eq!(post("/v1/changes"), Scope::Write);
        assert!(Scope::Rotate < Scope::Write && Scope::Write < Scope::Admin);
        assert_eq!(Scope::named("something"), Scope::Read);
    }
}
