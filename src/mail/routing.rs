//! What mail hosts may accept, as a published set of its own.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::publication::{Publisher, Reader, published};
use crate::wire::{Apex, Name};

/// What a mail host answers to mail for a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoutingAnswer {
    /// It takes the mail.
    Accept,
    /// 450: the sender tries again.
    Later,
    /// 556: the sender gives up.
    Never,
    /// It does not know the domain.
    Gone,
}

/// What mail hosts may accept for a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// What is answered to mail.
    pub answer: RoutingAnswer,
    /// Whether mail to postmaster and abuse is taken all the same (L6).
    pub postmaster: bool,
    /// Whether the same holds for every name below the domain.
    pub subdomains: bool,
}

/// A text that is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("expected accept, later, never or gone, found {found:?}")]
pub struct RoutingAnswerError {
    /// The text that was found.
    pub found: String,
}

impl RoutingAnswer {
    /// Every answer.
    pub const ALL: [Self; 4] = [Self::Accept, Self::Later, Self::Never, Self::Gone];

    /// Returns the answer as the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Later => "later",
            Self::Never => "never",
            Self::Gone => "gone",
        }
    }
}

impl fmt::Display for RoutingAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RoutingAnswer {
    type Err = RoutingAnswerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|answer| answer.as_str() == text)
            .ok_or_else(|| RoutingAnswerError {
                found: text.to_owned(),
            })
    }
}

/// How many shards there are: with 100 000 domains one has a hundred, copied in a microsecond.
const SHARDS: usize = 1024;

/// Some of the domains, by name in wire form.
type Shard = HashMap<Box<[u8]>, Route>;

/// Returns the two ends of an empty set.
///
/// Domains are spread over shards by a hash that is seeded anew in every process; readers never
/// wait.
pub fn routing_set() -> (RoutingPublisher, RoutingReader) {
    let seed = RandomState::new();
    let (publishers, readers) = (0..SHARDS).map(|_| published(Arc::default())).unzip();
    let publisher = RoutingPublisher {
        seed: seed.clone(),
        shards: publishers,
    };
    let reader = RoutingReader {
        set: Arc::new((seed, readers)),
    };
    (publisher, reader)
}

/// The writer's end of the set.
pub struct RoutingPublisher {
    /// The seed of the hash.
    seed: RandomState,
    /// The shards' own writers' ends.
    shards: Vec<Publisher<Shard>>,
}

/// A reader's end of the set; clones see the same domains.
#[derive(Clone)]
pub struct RoutingReader {
    /// The seed of the hash, and the shards.
    set: Arc<(RandomState, Vec<Reader<Shard>>)>,
}

impl RoutingPublisher {
    /// Says what is accepted for domains from now on; `None` forgets one.
    ///
    /// Each shard that is touched is copied once.
    pub fn publish(&mut self, routes: impl IntoIterator<Item = (Apex, Option<Route>)>) {
        let mut changes: BTreeMap<usize, Vec<(Apex, Option<Route>)>> = BTreeMap::new();
        for (apex, route) in routes {
            let shard = shard_of(&self.seed, apex.as_wire());
            changes.entry(shard).or_default().push((apex, route));
        }
        for (index, routes) in changes {
            let publisher = &mut self.shards[index];
            let mut shard: Shard = (*publisher.current()).clone();
            for (apex, route) in routes {
                match route {
                    Some(route) => shard.insert(apex.as_wire().into(), route),
                    None => shard.remove(apex.as_wire()),
                };
            }
            publisher.publish(Arc::new(shard));
        }
    }
}

impl RoutingReader {
    /// Returns what is accepted for a domain; neither locks nor waits.
    pub fn get(&self, name: &Name) -> Option<Route> {
        let (seed, shards) = &*self.set;
        let shard = shards[shard_of(seed, name.as_wire())].load();
        shard.get(name.as_wire()).copied()
    }
}

/// Returns the shard of a name.
fn shard_of(seed: &RandomState, wire: &[u8]) -> usize {
    // A remainder of a hash is smaller than the number of shards.
    (seed.hash_one(wire) % SHARDS as u64) as usize
}

impl fmt::Debug for RoutingPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoutingPublisher").finish_non_exhaustive()
    }
}

impl fmt::Debug for RoutingReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoutingReader").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_last_counts_and_what_is_forgotten_is_unknown() {
        let (mut publisher, reader) = routing_set();
        let apex = Apex::parse("burner.example").unwrap();
        let route = |answer| Route {
            answer,
            postmaster: true,
            subdomains: false,
        };

        publisher.publish([(apex.clone(), Some(route(RoutingAnswer::Later)))]);
        publisher.publish([(apex.clone(), Some(route(RoutingAnswer::Accept)))]);
        let accepted = reader.get(&apex).map(|route| route.answer);
        publisher.publish([(apex.clone(), None)]);

        assert_eq!(accepted, Some(RoutingAnswer::Accept));
        assert_eq!(reader.get(&apex), None);
    }

    #[test]
    fn every_answer_reads_back_as_it_is_written() {
        for answer in RoutingAnswer::ALL {
            assert_eq!(answer.to_string().parse(), Ok(answer));
        }
        assert!("Accept".parse::<RoutingAnswer>().is_err());
    }
}
