//! Observation between the two rooms that must not know each other.

use std::sync::Arc;

use crate::clock::Clock;
use crate::engine::{Engine, Observation};
use crate::lifecycle::{Question, Subject};
use crate::watch::{Inquirer, Page, Seen, TlsError, WatchConfig, Watcher, Watching};
use crate::wire::Apex;

/// The engine as one who asks.
struct Asking(Engine);

impl Inquirer for Asking {
    fn page(
        &self,
        subject: Subject,
        after: Option<&Apex>,
        asked: &dyn Fn(&Question) -> bool,
    ) -> Page {
        match self.0.questions(subject, after, asked) {
            Ok((questions, last)) => Page { questions, last },
            Err(error) => {
                // The round ends here; the next one begins anew.
                tracing::error!(%error, "what is to be asked of the outside cannot be read");
                Page::default()
            }
        }
    }

    fn learn(&self, seen: Vec<Seen>) {
        let observations = seen.into_iter().map(|seen| Observation {
            name: seen.name,
            fact: seen.fact,
            at: seen.at,
        });
        self.0.observe(observations.collect());
    }
}

/// Watches the outside for the engine.
///
/// # Errors
///
/// When the authorities that are to be trusted cannot be.
pub(super) fn start(
    config: &WatchConfig,
    engine: Engine,
    clock: Arc<dyn Clock>,
) -> Result<Watching, TlsError> {
    Watcher::start(config, Arc::new(Asking(engine)), clock)
}
