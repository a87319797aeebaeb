//! Where in its life a domain is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a domain stands in its life.
///
/// The order of the variants is their stored form: new ones go to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LifecycleState {
    /// The complete final record set is served; mail is answered "later".
    Standby,
    /// The same records; mail is accepted and addresses are handed out.
    Active,
    /// The same records; mail is accepted, no new address is handed out.
    Draining,
    /// A null MX is served; the hosts still answer what caches may bring.
    Retired,
    /// Served until the delegation is gone everywhere, then not at all.
    Released,
}

/// A text that is no state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("expected standby, active, draining, retired or released, found {found:?}")]
pub struct LifecycleStateError {
    /// The text that was found.
    pub found: String,
}

impl LifecycleState {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 5] = [
        Self::Standby,
        Self::Active,
        Self::Draining,
        Self::Retired,
        Self::Released,
    ];

    /// Returns the state as the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standby => "standby",
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Retired => "retired",
            Self::Released => "released",
        }
    }

    /// Returns the place of the state in [`LifecycleState::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for LifecycleState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for LifecycleState {
    type Err = LifecycleStateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| LifecycleStateError {
                found: text.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_reads_back_as_it_is_written() {
        for (index, state) in LifecycleState::ALL.into_iter().enumerate() {
            assert_eq!(state.to_string().parse(), Ok(state));
            assert_eq!(state.index(), index);
        }
        assert!("Active".parse::<LifecycleState>().is_err());
    }
}
