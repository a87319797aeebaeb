//! What happens while the messages flow, step by step as an operator would type it.

use std::path::Path;
use std::time::Instant;

use super::say;
use super::traffic::Wanted::Arrives;
use super::world::World;

/// Runs the story and prints its counts.
pub(super) fn run(folder: &Path) {
    let start = Instant::now();
    let mut world = World::start(folder);
    for domain in ["steady.example", "other.example"] {
        add_and_activate(&world, domain);
    }
    tell(start, "mail flows to two domains");
    add_and_activate(&world, "new.example");
    tell(start, "new.example was added, delegated and activated");
    world.power_failure();
    tell(start, "the server was killed, and mail is as before");
    world.wait_for_caches();

    let counts = world.judge();
    tell(start, "the queue is empty");
    say(&counts.to_string());
}

/// A domain is added, delegated and activated while others are in use.
fn add_and_activate(world: &World, domain: &str) {
    world.add(domain);
    world.operator.command(&["domain", "activate", domain]);
    world.traffic.expect(domain, Arrives);
}

/// Prints what happened when.
fn tell(start: Instant, what: &str) {
    say(&format!("{:6.1} s  {what}", start.elapsed().as_secs_f64()));
}
