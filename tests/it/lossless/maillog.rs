//! What the sender's log says of each message: every attempt, its end, and the TLS it went over.

use std::collections::{BTreeMap, HashMap};

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The next host took it.
    Sent,
    /// It is kept and tried again.
    Deferred,
    /// It is given up.
    Bounced,
}

/// One attempt.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) outcome: Outcome,
    /// The enhanced status code (RFC 3463).
    pub(super) dsn: String,
    /// Whether it went over TLS whose key TLSA vouches for.
    pub(super) verified: bool,
    /// The whole line, for the report.
    pub(super) line: String,
}

/// Reads a log; attempts by recipient, in their order.
///
/// With a connection for each attempt, the TLS line that a delivery belongs to is the last one of
/// its process.
pub(super) fn attempts(log: &str) -> BTreeMap<String, Vec<Attempt>> {
    let mut tls: HashMap<&str, bool> = HashMap::new();
    let mut found: BTreeMap<String, Vec<Attempt>> = BTreeMap::new();
    for line in log.lines() {
        let Some(at) = line.find("postfix/") else {
            continue;
        };
        let Some((process, text)) = line[at..].split_once(": ") else {
            continue;
        };
        if text.contains(" TLS connection established to ") {
            tls.insert(process, text.starts_with("Verified "));
            continue;
        }
        let (Some(to), Some(status)) = (between(text, "to=<", ">"), word(text, "status=")) else {
            continue;
        };
        let outcome = match status {
            "sent" => Outcome::Sent,
            "deferred" => Outcome::Deferred,
            "bounced" => Outcome::Bounced,
            other => panic!("{other}: {line}"),
        };
        let attempt = Attempt {
            outcome,
            dsn: word(text, "dsn=").unwrap_or_default().to_owned(),
            verified: tls.remove(process).unwrap_or(false),
            line: line.to_owned(),
        };
        found.entry(to.to_owned()).or_default().push(attempt);
    }
    found
}

/// Returns what lies between two marks.
fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    let from = text.find(start)? + start.len();
    let to = text[from..].find(end)?;
    Some(&text[from..from + to])
}

/// Returns the word after a mark.
fn word<'t>(text: &'t str, mark: &str) -> Option<&'t str> {
    let from = text.find(mark)? + mark.len();
    text[from..].split([' ', ',']).next()
}

#[test]
fn attempts_are_read_with_the_tls_of_their_process() {
    let log = "\
Nov 25 07:00:00 h postfix/smtp[7]: Verified TLS connection established to a.example[192.0.2.25]:25: TLSv1.3
Nov 25 07:00:00 h postfix/smtp[8]: Untrusted TLS connection established to a.example[192.0.2.25]:25: TLSv1.3
Nov 25 07:00:00 h postfix/smtp[8]: Q2: to=<m2@d.example>, relay=x, delay=0, dsn=4.2.1, status=deferred (said)
Nov 25 07:00:00 h postfix/smtp[7]: Q1: to=<m1@d.example>, relay=x, delay=0, dsn=2.0.0, status=sent (250)
Nov 25 07:00:00 h postfix/smtp[7]: Q3: to=<m2@d.example>, relay=none, delay=0, dsn=5.1.0, status=bounced (null)
";

    let found = attempts(log);

    let look = |id: &str| -> Vec<(Outcome, &str, bool)> {
        let found = found[id].iter();
        found
            .map(|attempt| (attempt.outcome, attempt.dsn.as_str(), attempt.verified))
            .collect()
    };
    assert_eq!(look("m1@d.example"), [(Outcome::Sent, "2.0.0", true)]);
    assert_eq!(
        look("m2@d.example"),
        [
            (Outcome::Deferred, "4.2.1", false),
            (Outcome::Bounced, "5.1.0", false)
        ]
    );
}
