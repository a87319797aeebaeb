//! What happens while the messages flow, step by step as an operator would type it.

use std::path::Path;
use std::time::{Duration, Instant};

use super::say;
use super::traffic::Wanted::{Arrives, Bounces, Fails, Settles, Waits};
use super::world::World;

/// How long a step may wait for what its rules ask: seconds, as all times of this world.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the story and prints its counts.
pub(super) fn run(folder: &Path) {
    let start = Instant::now();
    let mut world = World::start(folder);
    for domain in [
        "steady.example",
        "burned.example",
        "paused.example",
        "old.example",
    ] {
        world.add(domain);
        let took = world
            .operator
            .when_allowed(&["domain", "activate", domain], PATIENCE);
        tell(
            start,
            &format!("{domain} is active, {took:.1?} after it resolved"),
        );
        world.traffic.expect(domain, Arrives);
    }
    world.add("next.example");
    world.traffic.expect("next.example", Waits);

    add_and_activate(&world, start);
    rotate(&mut world, start);
    suspend_and_resume(&world, start);
    retire(&world, start);
    power_failure(&mut world, start);
    release(&world, start);
    // All of it is still as it was told, after some more messages.
    world.wait_for_caches();

    tell(start, "the flow stops");
    let counts = world.judge();
    tell(start, "the queue is empty");
    say(&counts.to_string());
}

/// A domain is added, delegated and activated while others are in use.
fn add_and_activate(world: &World, start: Instant) {
    world.add("new.example");
    let standby = Instant::now();
    world.traffic.expect("new.example", Waits);
    world.settle();
    world.traffic.send("postmaster@new.example", Arrives);
    world.settle();
    assert_eq!(world.delivered_since("new.example", standby), 0);

    activate(world, "new.example", &["domain", "activate", "new.example"]);
    tell(start, "new.example was added, delegated and activated");
}

/// A burned domain goes, a ready one comes, in one call; the server dies right after.
fn rotate(world: &mut World, start: Instant) {
    let rotate = [
        "pool",
        "rotate",
        "main",
        "--burn",
        "burned.example",
        "--activate",
        "1",
        "--reason",
        "listed by a block list",
    ];
    activate(world, "next.example", &rotate);
    world.power_failure();
    for (domain, state) in [("burned.example", "draining"), ("next.example", "active")] {
        assert_eq!(world.operator.state(domain), state, "{domain}");
    }
    tell(
        start,
        "burned.example was rotated out, next.example in; the server was killed right after",
    );
}

/// A domain is suspended for a while: nothing is taken, nothing refused for good.
fn suspend_and_resume(world: &World, start: Instant) {
    let domain = "paused.example";
    world.operator.command(&[
        "domain",
        "suspend",
        domain,
        "--answer",
        "later",
        "--reason",
        "looked at",
    ]);
    // What was handed over before may still be under way.
    world.settle();
    let suspended = Instant::now();
    world.traffic.expect(domain, Waits);
    world.traffic.send(&format!("postmaster@{domain}"), Arrives);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(world.delivered_since(domain, suspended), 0);

    world.traffic.expect(domain, Arrives);
    world.settle();
    world.operator.command(&["domain", "resume", domain]);
    tell(start, "paused.example was suspended and resumed");
}

/// A domain is drained and, when nothing may be under way to it any more, retired.
fn retire(world: &World, start: Instant) {
    let domain = "old.example";
    world.operator.command(&["domain", "drain", domain]);
    let took = world
        .operator
        .when_allowed(&["domain", "retire", domain], PATIENCE);
    // From a second before the step its messages end in one way or the other.
    world.traffic.soften(domain, Duration::from_secs(1));
    world.traffic.expect(domain, Settles);
    world.wait_for_caches();
    world.traffic.expect(domain, Bounces);
    world.settle();
    tell(
        start,
        &format!("old.example was retired, {took:.1?} after it was drained"),
    );
}

/// The server dies while everything flows.
fn power_failure(world: &mut World, start: Instant) {
    world.power_failure();
    assert_eq!(world.operator.state("old.example"), "retired");
    tell(start, "the server was killed again");
}

/// The retired domain is given up: released, deleted at its registry, dropped at last.
fn release(world: &World, start: Instant) {
    let domain = "old.example";
    let (early, text) = world.operator.try_command(&["domain", "release", domain]);
    assert!(
        !early && text.contains("X3"),
        "signatures outlive this run: {text}"
    );
    world.operator.command(&[
        "domain",
        "release",
        domain,
        "--force",
        "--reason",
        "the test ends before the signatures",
    ]);
    world.wait_for_caches();
    world.traffic.expect(domain, Fails);
    world.settle();
    world.parent.remove(domain);
    tell(
        start,
        "old.example was released by force, its registration deleted",
    );
}

/// Takes a step that activates a domain whose mail was deferred until now.
fn activate(world: &World, domain: &str, step: &[&str]) {
    // Deferred for sure is only what was tried before the step.
    world.traffic.expect(domain, Arrives);
    world.settle();
    world.operator.when_allowed(step, PATIENCE);
}

/// Prints what happened when.
fn tell(start: Instant, what: &str) {
    say(&format!("{:6.1} s  {what}", start.elapsed().as_secs_f64()));
}
