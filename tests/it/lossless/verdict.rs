//! What became of each message, beside what was to become of it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use super::maillog::{Attempt, Outcome};
use super::sink::Delivery;
use super::traffic::{Message, Wanted};

/// A time in which the server was away or coming back, so that nothing is at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage {
    pub(super) from: Instant,
    pub(super) to: Instant,
}

/// The counts of a run.
#[derive(Debug, Default)]
pub(super) struct Counts {
    sent: usize,
    delivered: usize,
    duplicates: usize,
    verified: usize,
    deferred_as_wanted: usize,
    bounced_as_wanted: usize,
    settled: usize,
    lost: usize,
}

/// All that is known of one message.
struct Case<'a> {
    message: &'a Message,
    attempts: &'a [Attempt],
    deliveries: usize,
    undisturbed: bool,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "sent {}, delivered {} (twice {}), TLS verified {}, deferred as wanted {}, bounced as \
             wanted {}, sent in the moment of a change and settled {}, lost {}",
            self.sent,
            self.delivered,
            self.duplicates,
            self.verified,
            self.deferred_as_wanted,
            self.bounced_as_wanted,
            self.settled,
            self.lost
        )
    }
}

/// Returns whether nothing more will become of a message.
pub(super) fn is_over(attempts: Option<&Vec<Attempt>>) -> bool {
    attempts
        .and_then(|attempts| attempts.last())
        .is_some_and(|attempt| attempt.outcome != Outcome::Deferred)
}

/// Judges every message; the second value says what is wrong.
pub(super) fn judge(
    messages: &[Message],
    attempts: &BTreeMap<String, Vec<Attempt>>,
    deliveries: &[Delivery],
    outages: &[Outage],
) -> (Counts, Vec<String>) {
    let mut arrived: BTreeMap<&str, usize> = BTreeMap::new();
    for delivery in deliveries {
        *arrived.entry(&delivery.recipient).or_default() += 1;
    }
    let mut counts = Counts::default();
    let mut wrong = Vec::new();
    for message in messages {
        let case = Case {
            message,
            attempts: attempts.get(&message.recipient).map_or(&[], Vec::as_slice),
            deliveries: arrived
                .get(message.recipient.as_str())
                .copied()
                .unwrap_or(0),
            undisturbed: !outages
                .iter()
                .any(|outage| (outage.from..outage.to).contains(&message.sent)),
        };
        wrong.extend(case.judge(&mut counts));
    }
    (counts, wrong)
}

impl Case<'_> {
    /// Counts the message and says what is wrong with it.
    fn judge(&self, counts: &mut Counts) -> Option<String> {
        let has = |outcome| self.attempts.iter().any(|a| a.outcome == outcome);
        let delivered = self.deliveries > 0;
        counts.sent += 1;
        counts.delivered += usize::from(delivered);
        counts.duplicates += usize::from(self.deliveries > 1);
        let handed_over = self.attempts.iter().filter(|a| a.outcome == Outcome::Sent);
        let mut handed_over = handed_over.peekable();
        if handed_over.peek().is_some() {
            if !handed_over.all(|attempt| attempt.verified) {
                return self.wrong("it went over TLS that nothing vouches for");
            }
            counts.verified += 1;
        }
        let refused = has(Outcome::Bounced);
        match self.message.wanted {
            Wanted::Arrives | Wanted::Waits if !delivered => {
                counts.lost += 1;
                self.wrong("it is lost")
            }
            Wanted::Arrives | Wanted::Waits if refused => self.wrong("it bounced"),
            Wanted::Arrives => None,
            Wanted::Waits if !has(Outcome::Deferred) => self.wrong("nothing deferred it"),
            Wanted::Waits => {
                counts.deferred_as_wanted += 1;
                None
            }
            Wanted::Bounces | Wanted::Fails if delivered => self.wrong("it was delivered"),
            Wanted::Bounces | Wanted::Fails if !refused => {
                counts.lost += 1;
                self.wrong("it neither arrived nor bounced")
            }
            Wanted::Bounces if self.undisturbed && !self.bounced_at_once() => {
                self.wrong("it did not bounce at once with 5.1.x")
            }
            Wanted::Bounces | Wanted::Fails => {
                counts.bounced_as_wanted += 1;
                None
            }
            Wanted::Settles if !delivered && !refused => {
                counts.lost += 1;
                self.wrong("it neither arrived nor bounced")
            }
            Wanted::Settles => {
                counts.settled += 1;
                None
            }
        }
    }

    /// Returns whether the first attempt failed for good, as a null MX wants it.
    fn bounced_at_once(&self) -> bool {
        self.attempts.first().is_some_and(|attempt| {
            attempt.outcome == Outcome::Bounced && attempt.dsn.starts_with("5.1.")
        })
    }

    /// Reports the message with all that the sender's log says of it.
    fn wrong(&self, what: &str) -> Option<String> {
        let Message {
            recipient, wanted, ..
        } = self.message;
        let mut report = format!("{recipient}, wanted {wanted:?}: {what}");
        for attempt in self.attempts {
            report.push_str("\n    ");
            report.push_str(&attempt.line);
        }
        Some(report)
    }
}

/// Judges one message whose attempts were so, with so many deliveries.
#[cfg(test)]
fn verdict_on(
    wanted: Wanted,
    attempts: &[(Outcome, &str, bool)],
    deliveries: usize,
) -> (usize, bool) {
    let recipient = "m1@d.example".to_owned();
    let sent = Instant::now();
    let message = Message {
        recipient: recipient.clone(),
        domain: "d.example".to_owned(),
        wanted,
        sent,
    };
    let attempts = attempts.iter().map(|(outcome, dsn, verified)| Attempt {
        outcome: *outcome,
        dsn: (*dsn).to_owned(),
        verified: *verified,
        line: String::new(),
    });
    let attempts = BTreeMap::from([(recipient.clone(), attempts.collect())]);
    let delivery = Delivery {
        recipient,
        at: sent,
    };
    let (counts, wrong) = judge(&[message], &attempts, &vec![delivery; deliveries], &[]);
    (counts.lost, wrong.is_empty())
}

#[test]
fn a_message_is_judged_by_all_that_became_of_it() {
    use Outcome::{Bounced, Deferred, Sent};
    use Wanted::{Arrives, Bounces, Fails, Settles, Waits};
    let (sent, plain) = ((Sent, "2.0.0", true), (Sent, "2.0.0", false));
    let (later, never) = ((Deferred, "4.2.1", true), (Bounced, "5.1.0", false));
    let unknown = (Bounced, "5.4.4", false);

    let good = (0, true);
    assert_eq!(verdict_on(Arrives, &[sent], 1), good);
    assert_eq!(verdict_on(Arrives, &[later, sent], 2), good);
    assert_eq!(verdict_on(Waits, &[later, sent], 1), good);
    assert_eq!(verdict_on(Bounces, &[never], 0), good);
    assert_eq!(verdict_on(Fails, &[later, unknown], 0), good);
    assert_eq!(verdict_on(Settles, &[never], 0), good);
    assert_eq!(verdict_on(Settles, &[sent], 1), good);

    let (bad, lost) = ((0, false), (1, false));
    assert_eq!(verdict_on(Arrives, &[], 0), lost);
    assert_eq!(verdict_on(Arrives, &[later], 0), lost);
    assert_eq!(verdict_on(Arrives, &[never], 0), lost);
    assert_eq!(verdict_on(Arrives, &[sent], 0), lost);
    assert_eq!(verdict_on(Arrives, &[plain], 1), bad);
    assert_eq!(verdict_on(Waits, &[sent], 1), bad);
    assert_eq!(verdict_on(Waits, &[never], 0), lost);
    assert_eq!(verdict_on(Bounces, &[sent], 1), bad);
    assert_eq!(verdict_on(Bounces, &[later, never], 0), bad);
    assert_eq!(verdict_on(Bounces, &[unknown], 0), bad);
    assert_eq!(verdict_on(Bounces, &[later], 0), lost);
    assert_eq!(verdict_on(Settles, &[later], 0), lost);
}
