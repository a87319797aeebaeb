//! The parent zone: servers that publish late, TTLs that change, a registrar that forgets.

use std::collections::BTreeMap;

use super::trail::{Said, Trail};

/// How many servers the parent has.
pub(crate) const SERVERS: usize = 2;

/// To whom the parent delegates a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delegation {
    /// The name does not exist.
    Nowhere,
    /// To our servers.
    Ours,
    /// To somebody else's: a registrar's parking servers, or the owner before us.
    Foreign,
}

/// Which DS the parent has for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secure {
    /// None: proven absent.
    Not,
    /// That of the key with this tag.
    Key(u16),
    /// One of a key that was never ours.
    Foreign,
}

impl Said for Delegation {
    fn denies(&self) -> bool {
        *self == Self::Nowhere
    }
}

impl Said for Secure {
    fn denies(&self) -> bool {
        *self == Self::Not
    }
}

/// What a registrar was told of a name and what the parent's servers say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    /// What each server says now.
    now: [(Option<Delegation>, Option<Secure>); SERVERS],
    /// The delegations of which caches may know.
    pub(crate) delegation: Trail<Delegation>,
    /// The DS of which caches may know.
    pub(crate) secure: Trail<Secure>,
    /// How long what the foreign servers said of mail may be kept, behind their delegation.
    pub(crate) foreign_ttl: u64,
}

/// The parent zone.
#[derive(Clone, Debug)]
pub(crate) struct Parent {
    /// The TTL of its NS RRsets.
    pub(crate) ns_ttl: u64,
    /// The TTL of its DS RRsets.
    pub(crate) ds_ttl: u64,
    /// How long its denials may be kept.
    pub(crate) negative_ttl: u64,
    /// The names that were ever spoken of.
    entries: BTreeMap<String, Entry>,
}

impl Parent {
    /// Makes a parent that knows no name.
    pub(crate) fn new(ns_ttl: u64, ds_ttl: u64, negative_ttl: u64) -> Self {
        Self {
            ns_ttl,
            ds_ttl,
            negative_ttl,
            entries: BTreeMap::new(),
        }
    }

    /// Returns what is known of a name; at first that it does not exist.
    pub(crate) fn entry(&mut self, name: &str, now: u64) -> &mut Entry {
        if !self.entries.contains_key(name) {
            self.entries.insert(name.to_owned(), Entry::default());
            for server in 0..SERVERS {
                self.show(name, server, Delegation::Nowhere, Secure::Not, now);
            }
        }
        self.entries.get_mut(name).expect("put there just now")
    }

    /// Returns what is known of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// Publishes a name's delegation and DS at one server, with the TTLs of today.
    pub(crate) fn show(
        &mut self,
        name: &str,
        server: usize,
        delegation: Delegation,
        secure: Secure,
        now: u64,
    ) {
        let (ns_ttl, ds_ttl, negative) = (self.ns_ttl, self.ds_ttl, self.negative_ttl);
        let entry = self.entries.entry(name.to_owned()).or_default();
        entry.now[server] = (Some(delegation), Some(secure));
        let ttl = match delegation {
            Delegation::Nowhere => negative,
            Delegation::Ours | Delegation::Foreign => ns_ttl,
        };
        entry.delegation.say(server, now, &delegation, ttl, 0);
        let ttl = match secure {
            Secure::Not => negative,
            Secure::Key(_) | Secure::Foreign => ds_ttl,
        };
        entry.secure.say(server, now, &secure, ttl, 0);
    }

    /// Publishes everything again: the TTLs have changed.
    pub(crate) fn show_all(&mut self, now: u64) {
        let names: Vec<String> = self.entries.keys().cloned().collect();
        for name in names {
            for server in 0..SERVERS {
                if let (Some(delegation), Some(secure)) = self.entries[&name].now[server] {
                    self.show(&name, server, delegation, secure, now);
                }
            }
        }
    }
}

impl Entry {
    /// Returns what each server says of the delegation.
    pub(crate) fn delegations(&self) -> impl Iterator<Item = Delegation> {
        self.now.iter().filter_map(|(delegation, _)| *delegation)
    }

    /// Returns what each server says of the DS.
    pub(crate) fn secures(&self) -> impl Iterator<Item = Secure> {
        self.now.iter().filter_map(|(_, secure)| *secure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_name_is_denied_by_caches_until_the_negative_ttl_is_over() {
        let mut parent = Parent::new(172_800, 86_400, 900);
        parent.entry("a.test", 0);

        parent.show("a.test", 0, Delegation::Ours, Secure::Not, 100);
        parent.show("a.test", 1, Delegation::Ours, Secure::Not, 200);

        let entry = parent.get("a.test").unwrap();
        let cached = |now| {
            entry
                .delegation
                .cached(now)
                .map(|it| it.what)
                .collect::<Vec<_>>()
        };
        assert_eq!(cached(1099), [Delegation::Nowhere, Delegation::Ours]);
        assert_eq!(cached(1100), [Delegation::Ours]);
    }
}
