//! What mail hosts may accept, as a published set of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::publication::{Keyed, MapPublisher, MapReader, published_map};
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

/// Returns the two ends of an empty set.
///
/// Domains are found by a hash that is seeded anew in every process; readers never wait.
pub fn routing_set() -> (RoutingPublisher, RoutingReader) {
    let (publisher, routes) = published_map();
    let reader = RoutingReader {
        seed: RandomState::new(),
        routes,
    };
    let publisher = RoutingPublisher {
        routes: publisher,
        reader: reader.clone(),
    };
    (publisher, reader)
}

/// The writer's end of the set.
pub struct RoutingPublisher {
    /// The routes' own writer's end.
    routes: MapPublisher<Routed>,
    /// What readers see.
    reader: RoutingReader,
}

/// A reader's end of the set; clones see the same domains.
#[derive(Clone)]
pub struct RoutingReader {
    /// The seed of the hash.
    seed: RandomState,
    /// The routes.
    routes: MapReader<Routed>,
}

/// A domain and its route.
#[derive(Clone)]
struct Routed {
    /// The domain in wire form.
    apex: Arc<[u8]>,
    /// What is accepted for it.
    route: Route,
}

impl Keyed for Routed {
    fn key(&self) -> &[u8] {
        &self.apex
    }
}

impl RoutingPublisher {
    /// Says what is accepted for domains from now on; `None` forgets one.
    pub fn publish(&mut self, routes: impl IntoIterator<Item = (Apex, Option<Route>)>) {
        // Of two for one domain the later one counts.
        let routes: BTreeMap<Apex, Option<Route>> = routes.into_iter().collect();
        let mut gone = Vec::new();
        let reader = &self.reader;
        let known = routes.into_iter().filter_map(|(apex, route)| {
            let hash = reader.hash(&apex);
            let Some(route) = route else {
                gone.push((hash, apex));
                return None;
            };
            let apex = apex.as_wire().into();
            Some((hash, Routed { apex, route }))
        });
        self.routes.publish(known);
        for (hash, apex) in gone {
            self.routes.withdraw(hash, apex.as_wire());
        }
    }
}

impl RoutingReader {
    /// Returns what is accepted for a domain; neither locks nor waits.
    pub fn get(&self, name: &Name) -> Option<Route> {
        let routes = self.routes.view();
        let found = routes.find(self.hash(name), name.as_wire())?;
        Some(found.route)
    }

    /// Returns the hash of a name.
    fn hash(&self, name: &Name) -> u64 {
        self.seed.hash_one(name.as_wire())
    }
}

impl fmt::Debug for RoutingPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reader.fmt(f)
    }
}

impl fmt::Debug for RoutingReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoutingSet")
            .field("domains", &self.routes.len())
            .finish_non_exhaustive()
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
