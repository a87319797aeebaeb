//! What is known of the time in which this server did not run.
//!
//! While it is down, mail hosts that ask it for the routing answer "later", and where no other server
//! has its zones nobody finds an MX. What senders hold since then is tried again for days, and must not
//! meet a null MX (R2).

use std::time::Duration;

use super::facts::Facts;
use super::writer::Writer;
use crate::clock::Clock;
use crate::store::{Batch, Store, StoreError, meta};

/// How long a stop in good order may last before it counts as an outage: resolvers and mail hosts ask
/// again for so long before they make a sender wait.
const SHORT: Duration = Duration::from_secs(60);

/// After how long a gap the clock is doubted at a start: a machine without a clock of its own may come
/// up with any time.
const LONG: Duration = Duration::from_secs(86_400);

/// How long what is due by itself rests then: time enough for a time server to set the clock, which
/// is noticed ([`crate::dnssec::ClockGuard`]).
const REST: Duration = Duration::from_secs(600);

/// Notes that the server starts; returns until when what is due rests, as a monotonic reading.
///
/// Whether it was down, it knows by how it ended the last time.
///
/// # Errors
///
/// When the store fails. A full one keeps nobody from being served; the note is made at the next start.
pub(super) fn note_start(
    store: &dyn Store,
    facts: &mut Facts,
    clock: &dyn Clock,
) -> Result<Option<Duration>, StoreError> {
    let now = clock.now();
    let stopped = meta::STOPPED.get(store)?;
    let was_short = stopped.is_some_and(|at| now.since(at).max(at.since(now)) <= SHORT);
    // By a clock that was ahead then, nothing must be held back for as long.
    let known = meta::DOWN_UNTIL.get(store)?.map(|until| until.min(now));
    let is_new = facts.revision == 0;
    facts.down_until = if is_new || was_short {
        known
    } else {
        Some(now)
    };
    let ran = stopped.max(meta::LAST_SIGNING.get(store)?);
    let rests = ran.is_some_and(|at| now.since(at) > LONG);
    let mut batch = Batch::new();
    meta::STOPPED.delete(&mut batch);
    if let Some(until) = &facts.down_until {
        meta::DOWN_UNTIL.put(&mut batch, until);
    }
    match store.commit(&batch) {
        Err(error @ StoreError::Full { .. }) => {
            tracing::warn!(%error, "when the server was down is not noted");
        }
        done => drop(done?),
    }
    Ok(rests.then(|| clock.monotonic().saturating_add(REST)))
}

impl Writer {
    /// Notes that the server ends in good order.
    pub(super) fn note_stop(&self, batch: &mut Batch) {
        if self.guard.now(&*self.shared.clock).is_ok() {
            meta::STOPPED.put(batch, &self.shared.clock.now());
        }
    }
}
