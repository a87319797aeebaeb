//! The checks themselves, tried on toys: they find nothing where there is nothing, and much where
//! nothing is waited for.

use std::collections::BTreeSet;

use super::play::play;
use super::story::{DAY, Story};
use super::tell::fail;
use super::toy::Toy;

#[test]
fn a_product_that_waits_for_everything_is_without_fault() {
    for seed in 0..40 {
        let mut story = Story::of(seed, 120);
        story.setting.ttls.0 = story.setting.ttls.0.min(3600);
        // Who waits for so long registers for longer, or nothing becomes active (A9).
        let registration = &mut story.setting.registration;
        *registration = registration.map(|span| span.max(60 * DAY));

        if let Err(violation) = play(&mut Toy::new(45 * DAY), &story) {
            fail(&story, &violation);
        }
    }
}

#[test]
fn a_product_that_waits_for_nothing_breaks_many_rules() {
    let mut rules = BTreeSet::new();
    for seed in 0..200 {
        let story = Story::of(seed, 120);
        if let Err(violation) = play(&mut Toy::new(0), &story) {
            rules.insert(violation.rule);
        }
    }

    assert!(rules.len() >= 4, "{rules:?}");
}
