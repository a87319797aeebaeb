//! What caches may hold: every version that any server said, and until when it may be believed.
//!
//! No single resolver is played. A [`Trail`] is the set of all of them: a version may be in a cache
//! from the first moment a server said it until its TTL after the last one, whatever was asked when.

/// Three days: how long a resolver may go on with expired data while nobody answers (RFC 8767,
/// section 5).
pub(crate) const STALE: u64 = 3 * 86_400;

/// The versions of one thing that several servers say: an RRset, a delegation, a policy text.
#[derive(Clone, Debug)]
pub(crate) struct Trail<T> {
    /// The versions, in the order in which they were first said.
    versions: Vec<Version<T>>,
}

/// One thing said with one TTL.
#[derive(Clone, Debug)]
pub(crate) struct Version<T> {
    /// What is said.
    pub(crate) what: T,
    /// For how many seconds a cache may keep it.
    pub(crate) ttl: u64,
    /// When a server last ended saying it.
    pub(crate) off: u64,
    /// Until when the latest signature over it is valid.
    pub(crate) expires: u64,
    /// Which servers say it now, one bit each.
    servers: u32,
}

impl<T> Default for Trail<T> {
    fn default() -> Self {
        Self {
            versions: Vec::new(),
        }
    }
}

/// Something that a server says.
pub(crate) trait Said: PartialEq + Clone {
    /// Returns whether it says that something is not there. Such an answer is not gone on with
    /// when it has expired: what is served stale is data (RFC 8767, section 4).
    fn denies(&self) -> bool {
        false
    }
}

impl<T: PartialEq + Clone> Said for Option<T> {
    fn denies(&self) -> bool {
        self.is_none()
    }
}

impl Said for Vec<u16> {}

impl<T: Said> Trail<T> {
    /// Notes that a server says something from now on, in place of what it said before.
    pub(crate) fn say(&mut self, server: usize, now: u64, what: &T, ttl: u64, expires: u64) {
        let same = |version: &Version<T>| version.what == *what && version.ttl == ttl;
        let bit = 1 << server;
        for version in &mut self.versions {
            if version.servers & bit != 0 && !same(version) {
                version.servers &= !bit;
                version.off = now;
            }
        }
        if let Some(version) = self.versions.iter_mut().find(|version| same(version)) {
            version.servers |= bit;
            version.expires = version.expires.max(expires);
            return;
        }
        self.versions.push(Version {
            what: what.clone(),
            ttl,
            off: now,
            expires,
            servers: bit,
        });
    }

    /// Notes that a server says nothing more: it is down.
    pub(crate) fn hush(&mut self, server: usize, now: u64) {
        let bit = 1 << server;
        for version in &mut self.versions {
            if version.servers & bit != 0 {
                version.servers &= !bit;
                version.off = now;
            }
        }
    }

    /// Returns whether no server says anything.
    pub(crate) fn is_silent(&self) -> bool {
        self.versions.iter().all(|version| version.servers == 0)
    }

    /// Returns what a cache may hold at `now`, and what a server says.
    ///
    /// While every server is silent a resolver may go on with what has expired.
    pub(crate) fn cached(&self, now: u64) -> impl Iterator<Item = &Version<T>> {
        let grace = if self.is_silent() { STALE } else { 0 };
        let versions = self.versions.iter();
        versions.filter(move |version| {
            let grace = if version.what.denies() { 0 } else { grace };
            version.until(now) + grace > now
        })
    }

    /// Returns what a cache that obeys TTLs may hold at `now`, and what a server says.
    pub(crate) fn fresh(&self, now: u64) -> impl Iterator<Item = &Version<T>> {
        let versions = self.versions.iter();
        versions.filter(move |version| version.until(now) > now)
    }

    /// Returns what servers say now.
    pub(crate) fn said(&self) -> impl Iterator<Item = &Version<T>> {
        self.versions.iter().filter(|version| version.servers != 0)
    }

    /// Returns everything that was ever said: what a resolver without an age limit answers first.
    pub(crate) fn ever(&self) -> impl Iterator<Item = &Version<T>> {
        self.versions.iter()
    }
}

impl<T> Version<T> {
    /// Returns until when a cache may hold it: for ever while it is said.
    pub(crate) fn until(&self, now: u64) -> u64 {
        if self.servers != 0 {
            now.saturating_add(self.ttl.max(1))
        } else {
            self.off + self.ttl
        }
    }

    /// Returns whether a server says it now.
    pub(crate) fn is_said(&self) -> bool {
        self.servers != 0
    }

    /// Returns until when a cache filled before `now` held it at the latest, not beyond `now`.
    pub(crate) fn seen_until(&self, now: u64) -> u64 {
        self.until(now).min(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Said for &'static str {}

    fn whats(trail: &Trail<&'static str>, now: u64) -> Vec<&'static str> {
        trail.cached(now).map(|version| version.what).collect()
    }

    #[test]
    fn a_version_is_cached_until_its_ttl_after_the_last_server_left_it() {
        let mut trail = Trail::default();
        trail.say(0, 0, &"old", 100, 0);
        trail.say(1, 0, &"old", 100, 0);

        trail.say(0, 10, &"new", 50, 0);
        trail.say(1, 30, &"new", 50, 0);

        assert_eq!(whats(&trail, 129), ["old", "new"]);
        assert_eq!(whats(&trail, 130), ["new"]);
    }

    #[test]
    fn a_lowered_ttl_leaves_the_longer_one_in_caches() {
        let mut trail = Trail::default();
        trail.say(0, 0, &"mx", 1000, 0);
        trail.say(0, 10, &"mx", 60, 0);
        trail.say(0, 20, &"null", 60, 0);

        assert_eq!(whats(&trail, 900), ["mx", "null"]);
    }

    #[test]
    fn what_has_expired_is_served_for_three_days_while_nobody_answers() {
        let mut trail = Trail::default();
        trail.say(0, 0, &"mx", 100, 0);
        trail.hush(0, 1000);

        assert_eq!(whats(&trail, 1100 + STALE - 1), ["mx"]);
        assert!(whats(&trail, 1100 + STALE).is_empty());

        trail.say(0, 2000, &"null", 100, 0);
        assert_eq!(whats(&trail, 2000), ["null"]);
    }
}
