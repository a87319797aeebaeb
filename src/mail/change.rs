use super::PoolSettings;

/// How one changed setting of a pool takes effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingChange {
    /// Where in the pool's settings, as a JSON pointer.
    pub pointer: String,
    /// What changes, in words.
    pub what: String,
    /// When it takes effect.
    pub effect: Effect,
    /// Whether it asks for the caller's word on how many domains it touches: name servers are
    /// replaced, or a duration gets shorter.
    pub asks: bool,
}

/// When a changed setting takes effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// At once.
    AtOnce,
    /// For domains that are added from now on.
    NewDomains,
    /// After waits that this release cannot walk: refused while the pool has domains.
    Waits {
        /// The rule's name.
        rule: &'static str,
        /// What there is to wait for, and what can be done instead.
        reason: String,
    },
}

/// Says how each setting that differs takes effect; nothing for equal settings.
pub fn classify_change(_old: &PoolSettings, _new: &PoolSettings) -> Vec<SettingChange> {
    Vec::new()
}
