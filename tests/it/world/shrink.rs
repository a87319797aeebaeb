//! Makes a story that fails short.

use super::check::Violation;
use super::story::{DAY, HOUR, MINUTE, Story};

/// How often a story is told again at most.
const TELLINGS: usize = 400;

/// Returns a shorter story that fails by the same rule, and how it fails.
///
/// Drops events, in halves and then one by one, then shortens the times between them.
pub(crate) fn shrink(
    story: &Story,
    violation: &Violation,
    tell: &mut dyn FnMut(&Story) -> Option<Violation>,
) -> (Story, Violation) {
    let mut best = (story.clone(), violation.clone());
    let mut left = TELLINGS;
    let mut try_one = |candidate: Story, best: &mut (Story, Violation)| {
        if left == 0 || candidate == best.0 {
            return false;
        }
        left -= 1;
        match tell(&candidate) {
            Some(found) if found.rule == best.1.rule => {
                *best = (candidate, found);
                true
            }
            _ => false,
        }
    };
    let mut size = best.0.events.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < best.0.events.len() {
            let mut candidate = best.0.clone();
            let end = (at + size).min(candidate.events.len());
            let waited: u64 = candidate.events[at..end].iter().map(|(wait, _)| wait).sum();
            candidate.events.drain(at..end);
            // What comes after happens when it did; if not, as much earlier.
            let mut early = candidate.clone();
            if let Some((wait, _)) = candidate.events.get_mut(at) {
                *wait += waited;
            }
            if !try_one(candidate, &mut best) {
                early.seed = best.0.seed;
                if !try_one(early, &mut best) {
                    at += size;
                }
            }
        }
        size /= 2;
    }
    for unit in [u64::MAX, DAY, HOUR, MINUTE] {
        for at in 0..best.0.events.len() {
            let mut candidate = best.0.clone();
            let wait = candidate.events[at].0;
            candidate.events[at].0 = if unit == u64::MAX {
                0
            } else {
                wait - wait % unit
            };
            try_one(candidate, &mut best);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::super::story::Event;
    use super::*;

    #[test]
    fn what_does_not_matter_is_left_out() {
        let mut story = Story::of(3, 120);
        story.events.insert(5, (77_777, Event::Undelegate(3)));
        let violation = Violation {
            rule: "X1",
            what: String::new(),
            at: 0,
            log: Vec::new(),
        };
        let mut tell = |story: &Story| {
            let guilty = story
                .events
                .iter()
                .any(|(_, event)| *event == Event::Undelegate(3));
            guilty.then(|| violation.clone())
        };

        let (short, _) = shrink(&story, &violation, &mut tell);

        assert_eq!(short.events, [(0, Event::Undelegate(3))]);
    }
}
