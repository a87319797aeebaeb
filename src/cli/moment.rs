//! Moments as people read them: the time, and how far away it is.

use std::convert::Infallible;
use std::time::Duration;

use crate::clock::{Clock, SystemClock, Timestamp};

/// The units in which a distance is told, longest first, each with its seconds.
const UNITS: [(&str, u64); 4] = [
    ("day", 86_400),
    ("hour", 3_600),
    ("minute", 60),
    ("second", 1),
];

/// Reads a time as people type it: a day alone is its first moment in UTC. What is no time is left to
/// the server, which says what is wrong with it.
pub(super) fn read(text: &str) -> Result<String, Infallible> {
    let first = format!("{text}T00:00:00Z");
    let is_day = text.len() == "2027-01-31".len() && first.parse::<Timestamp>().is_ok();
    Ok(if is_day { first } else { text.to_owned() })
}

/// Returns a time of the API's with its distance from now: `2027-01-31T00:00:00Z (in 3 days)`.
pub(super) fn told(time: &str) -> String {
    told_at(time, SystemClock::new().now())
}

/// Returns a time with its distance from `now`; what is no time is left as it is.
fn told_at(time: &str, now: Timestamp) -> String {
    let Ok(at) = time.parse::<Timestamp>() else {
        return time.to_owned();
    };
    let distance = if at > now {
        format!("in {}", about(at.since(now)))
    } else if now.since(at).is_zero() {
        "now".to_owned()
    } else {
        format!("{} ago", about(now.since(at)))
    };
    format!("{time} ({distance})")
}

/// Returns a span in its two longest units; seconds only where there is nothing longer.
fn about(span: Duration) -> String {
    let mut left = span.as_secs();
    let mut parts = Vec::new();
    for (unit, seconds) in UNITS {
        let count = left / seconds;
        left %= seconds;
        if count > 0 && parts.len() < 2 && (unit != "second" || parts.is_empty()) {
            let plural = if count == 1 { "" } else { "s" };
            parts.push(format!("{count} {unit}{plural}"));
        } else if !parts.is_empty() {
            // "3 days 2 seconds" would say more than anybody wants to know.
            break;
        }
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_alone_is_its_first_moment() {
        assert_eq!(read("2027-01-31"), Ok("2027-01-31T00:00:00Z".to_owned()));
        for other in ["2027-02-31", "2027-01-31T09:00:00+01:00", "tomorrow", ""] {
            assert_eq!(read(other), Ok(other.to_owned()));
        }
    }

    #[test]
    fn a_time_is_told_with_its_distance() {
        let now: Timestamp = "2026-11-25T09:00:00Z".parse().unwrap();
        let told = |time: &str| told_at(time, now);

        assert_eq!(told("2026-11-25T09:00:00Z"), "2026-11-25T09:00:00Z (now)");
        assert_eq!(
            told("2026-12-25T10:00:09Z"),
            "2026-12-25T10:00:09Z (in 30 days 1 hour)"
        );
        assert_eq!(
            told("2026-11-25T08:58:51Z"),
            "2026-11-25T08:58:51Z (1 minute ago)"
        );
        assert_eq!(
            told("2026-11-25T09:00:09Z"),
            "2026-11-25T09:00:09Z (in 9 seconds)"
        );
        assert_eq!(told("-"), "-");
    }
}
