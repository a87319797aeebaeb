//! Query counts of the listed servers, ours and others' (X5).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::lifecycle::Fact;
use crate::wire::{Apex, Name};

use super::https::{Fetch, fetch};
use super::tls::Tls;
use super::{CountsSource, WatchConfig};

/// The octets that a list of counts may have: 100 000 domains take some 10 MB.
const LARGEST: usize = 64 << 20;
/// How long counts are used before they are fetched anew; servers write them down once an hour.
const FRESH: Duration = Duration::from_secs(3_600);
/// How soon a server that gave no answer is asked again.
const AGAIN: Duration = Duration::from_secs(300);

/// Fetches counts.
pub(super) struct Counts {
    /// Takes the servers' certificates.
    tls: Arc<Tls>,
    /// Tells how time goes by.
    clock: Arc<dyn Clock>,
    /// How long one waits for a server.
    patience: Duration,
    /// The servers that count, each with what it said last.
    servers: Vec<(Name, CountsSource, Mutex<Option<Answer>>)>,
}

/// What a server said.
struct Answer {
    /// When, as the clock's monotonic reading.
    at: Duration,
    /// Queries a day by domain; `None` when it gave no answer that can be read.
    counts: Option<HashMap<Name, u64>>,
}

/// A list of counts as the admin API writes it.
#[derive(Deserialize)]
struct List {
    /// The domains.
    items: Vec<Item>,
}

/// The count of one domain.
#[derive(Deserialize)]
struct Item {
    /// Its name, without the final dot.
    name: String,
    /// Queries for its MX in a day; `null` while the first day is not over.
    queries_per_day: Option<u64>,
}

impl Counts {
    /// Fetches as the configuration says.
    pub(super) fn new(config: &WatchConfig, tls: Arc<Tls>, clock: Arc<dyn Clock>) -> Self {
        let servers = config.servers.iter().filter_map(|server| {
            let source = server.counts.clone()?;
            Some((server.name.clone(), source, Mutex::new(None)))
        });
        Self {
            tls,
            clock,
            patience: config.limits.https_timeout,
            servers: servers.collect(),
        }
    }

    /// Returns the queries of a day at all name servers together; nothing unless each counts.
    pub(super) async fn look(&self, apex: &Apex, name_servers: &[Name]) -> Vec<Fact> {
        let mut sum: u64 = 0;
        for name in name_servers {
            match self.count(name, apex).await {
                Some(count) => sum = sum.saturating_add(count),
                None => return Vec::new(),
            }
        }
        match name_servers {
            [] => Vec::new(),
            _ => vec![Fact::Queries(sum)],
        }
    }

    /// Returns what one server counts of a domain.
    async fn count(&self, server: &Name, apex: &Apex) -> Option<u64> {
        let (_, source, answer) = self.servers.iter().find(|(name, ..)| name == server)?;
        // Whoever comes while it is fetched waits, and finds it here.
        let mut answer = answer.lock().await;
        let now = self.clock.monotonic();
        let is_good = answer.as_ref().is_some_and(|answer| {
            let age = now.saturating_sub(answer.at);
            age < if answer.counts.is_some() {
                FRESH
            } else {
                AGAIN
            }
        });
        if !is_good {
            let counts = self.fetch(server, source).await;
            *answer = Some(Answer { at: now, counts });
        }
        let counts = answer.as_ref()?.counts.as_ref()?;
        counts.get(apex.as_name()).copied()
    }

    /// Fetches what a server counts; `None` when it gives no answer that can be read.
    async fn fetch(&self, server: &Name, source: &CountsSource) -> Option<HashMap<Name, u64>> {
        let what = Fetch {
            address: source.address,
            host: &source.host,
            path: &source.path,
            token: source.token.as_ref().map(super::CountsToken::reveal),
            largest: LARGEST,
        };
        let tls = source.tls.then(|| self.tls.strict());
        let read = match fetch(&what, tls, self.patience).await {
            Ok(fetched) => read(&fetched.body).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        read.inspect_err(|problem| {
            tracing::warn!(%server, problem, "a listed server does not tell its query counts");
        })
        .ok()
    }
}

/// Reads a list of counts; a name that is none is nobody's.
fn read(body: &[u8]) -> Result<HashMap<Name, u64>, serde_json::Error> {
    let list: List = serde_json::from_slice(body)?;
    let counts = list.items.into_iter().filter_map(|item| {
        let name = Name::parse(&item.name).ok()?;
        Some((name, item.queries_per_day?))
    });
    Ok(counts.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x5_a_domain_without_a_whole_day_has_no_count() {
        let body = br#"{"items":[{"name":"old.example","queries_per_day":3,"more":1},
            {"name":"new.example","queries_per_day":null},{"name":"","queries_per_day":1}]}"#;

        let counts = read(body).unwrap();

        assert_eq!(counts.len(), 1);
        assert_eq!(counts[&Name::parse("old.example").unwrap()], 3);
        assert!(read(b"{}").is_err());
    }
}
