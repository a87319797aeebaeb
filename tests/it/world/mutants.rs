//! That the checks can fail: the product without one rule, or with one thing wrong at its border, is
//! caught within a bounded number of stories.
//!
//! A mutant may say what its stories are about, so that what it breaks happens in them. The same
//! story, told to the product as it is, must go well: else it was not the mutant that was caught.

use mxpool::lifecycle::{Rule, Rulebook};

use super::engine::Real;
use super::play::play;
use super::product::{Product, Stage};
use super::rules::Rules;
use super::story::{DAY, Event, HOUR, MINUTE, Story, Turn};
use super::tamper::{Fault, Tampered};
use super::tell::{DAYS, fail, is_full, stories_to_catch};

/// What is wrong with a product.
#[derive(Clone, Copy, Debug)]
enum Mutant {
    /// A rule is left out.
    Without(Rule),
    /// Something is wrong at the border.
    With(Fault),
}

/// What the stories of a mutant are about.
type About = fn(&mut Story);

/// Which product is mutated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Base {
    /// The rules on a plain ledger.
    Rules,
    /// The engine.
    Engine,
}

impl Base {
    /// Makes the product for a story.
    fn product(self, story: &Story, mutant: Option<Mutant>) -> Box<dyn Product> {
        let rulebook = match mutant {
            Some(Mutant::Without(rule)) => Rulebook::standard().without(rule),
            _ => Rulebook::standard(),
        };
        let watching = story.setting.watching;
        let product: Box<dyn Product> = match self {
            Self::Rules => Box::new(Rules::new(rulebook, watching)),
            Self::Engine => Box::new(Real::new(rulebook, watching)),
        };
        match mutant {
            Some(Mutant::With(fault)) => Box::new(Tampered::new(product, fault)),
            _ => product,
        }
    }
}

/// Stories as they come.
fn anything(_: &mut Story) {}

/// A name that was never anybody's is delegated, and denied by the parent's caches for long.
fn denied_names(story: &mut Story) {
    story.setting.secured = false;
    story.setting.owned = 0;
    story.setting.parent.2 = DAY;
    story.setting.guards.0 = 0;
    story.setting.ttls.0 = 5 * MINUTE;
    story.setting.hasty = true;
}

/// Domains go to their registrars before every server has them.
fn hasty(story: &mut Story) {
    denied_names(story);
    story.setting.parent.2 = 15 * MINUTE;
    story.setting.watching = true;
    let down = Event::ServerLags(1, 3 * DAY);
    story.events.insert(0, (0, down));
}

/// Names that had an owner, and policies.
fn owned(story: &mut Story) {
    story.setting.owned = 0xff;
    story.setting.sts = Some(("enforce", 7 * DAY));
    story.setting.parent.0 = HOUR;
    story.setting.guards.0 = 0;
    story.setting.copies = 9 * DAY;
}

/// A TTL is lowered shortly before the null MX.
fn lowered(story: &mut Story) {
    story.setting.ttls.0 = 4 * HOUR;
    story.setting.spans.0 = HOUR;
    story.setting.sts = None;
    let end = vec![
        (40 * DAY, Event::Step(0, Stage::Draining)),
        (2 * DAY, Event::Pool(Turn::Ttl(5 * MINUTE))),
        (HOUR, Event::Step(0, Stage::Retired)),
    ];
    story.events = begin().into_iter().chain(end).collect();
    story.setting.auto = false;
}

/// Policies are kept for longer than anything else.
fn long_policies(story: &mut Story) {
    story.setting.sts = Some(("enforce", 60 * DAY));
    story.setting.spans = (HOUR, DAY);
    story.setting.signing = (21 * DAY, 14 * DAY);
    let end = vec![
        (3 * DAY, Event::Step(0, Stage::Draining)),
        (6 * DAY, Event::Step(0, Stage::Retired)),
        (HOUR, Event::Step(0, Stage::Released)),
    ];
    story.events = begin().into_iter().chain(end).collect();
}

/// A name server lags when a domain is to be retired.
fn lagging(story: &mut Story) {
    story.setting.watching = true;
    story.setting.sts = Some(("enforce", 7 * DAY));
    story.setting.spans.0 = HOUR;
    story.setting.auto = false;
    let end = vec![
        (6 * DAY, Event::ServerLags(0, 3 * DAY)),
        (MINUTE, Event::Step(0, Stage::Draining)),
        (DAY, Event::Step(0, Stage::Retired)),
    ];
    story.events = begin().into_iter().chain(end).collect();
}

/// A domain comes back from its null MX.
fn revived(story: &mut Story) {
    let end = vec![
        (DAY, Event::Step(0, Stage::Draining)),
        (DAY, Event::Force(0, Stage::Retired)),
        (2 * DAY, Event::Force(0, Stage::Active)),
        (2 * HOUR, Event::HandOut),
        (6 * HOUR, Event::HandOut),
    ];
    story.events = begin().into_iter().chain(end).collect();
}

/// A domain goes through its whole life.
fn whole_life(story: &mut Story) {
    story.setting.spans = (HOUR, DAY);
    story.setting.subdomains = true;
    story.setting.sends = true;
    story.setting.sts = Some(("enforce", 7 * DAY));
    let end = vec![
        (10 * DAY, Event::Step(0, Stage::Draining)),
        (2 * HOUR, Event::HandOut),
        (8 * DAY, Event::Step(0, Stage::Retired)),
        (20 * DAY, Event::Step(0, Stage::Released)),
        (60 * DAY, Event::Quiet),
    ];
    story.events = begin().into_iter().chain(end).collect();
}

/// A domain is suspended while another goes on.
fn suspended(story: &mut Story) {
    let end = vec![
        (DAY, Event::Suspend(0, super::product::Reply::Later)),
        (HOUR, Event::HandOut),
    ];
    story.events = begin().into_iter().chain(end).collect();
}

/// A suspension and a draining are taken back.
fn taken_back(story: &mut Story) {
    let end = vec![
        (DAY, Event::Suspend(0, super::product::Reply::Later)),
        (HOUR, Event::Undo),
        (DAY, Event::Step(0, Stage::Draining)),
        (HOUR, Event::Undo),
    ];
    story.events = begin().into_iter().chain(end).collect();
}

/// Hosts apply what they fetch hours later.
fn late_hosts(story: &mut Story) {
    story.setting.late = 8 * HOUR;
    let early = vec![(10 * MINUTE, Event::HandOut); 12];
    story.events.splice(1..1, early);
}

/// A domain comes back from its null MX, stands by and begins again.
fn begun_again(story: &mut Story) {
    story.setting.ttls.0 = 4 * HOUR;
    story.setting.ttls.2 = 5 * MINUTE;
    story.setting.guards.0 = 0;
    story.setting.watching = false;
    story.setting.owned = 0;
    story.setting.sts = None;
    story.setting.late = 0;
    story.events = vec![
        (0, Event::Add(0)),
        (HOUR, Event::Add(1)),
        (HOUR, Event::Step(0, Stage::Active)),
        (9 * DAY, Event::Force(0, Stage::Draining)),
        (HOUR, Event::Force(0, Stage::Retired)),
        (2 * DAY, Event::Force(0, Stage::Active)),
        (MINUTE, Event::Pool(Turn::Ttl(5 * MINUTE))),
        (30 * MINUTE, Event::Step(0, Stage::Standby)),
        (MINUTE, Event::Step(0, Stage::Active)),
    ];
}

/// Another zone names a host in a domain for half a year.
fn named(story: &mut Story) {
    whole_life(story);
    story.setting.in_domain = false;
    story.setting.registration = None;
    story.events.insert(3, (0, Event::Refer(0, 180 * DAY)));
}

/// The same, and the host lies in the domain.
fn named_inside(story: &mut Story) {
    named(story);
    story.setting.in_domain = true;
}

/// Domains are registered for less than their life.
fn lapsing(story: &mut Story) {
    whole_life(story);
    story.setting.registration = Some(30 * DAY);
}

/// A domain stands by for longer than it is registered.
fn lapsed(story: &mut Story) {
    story.setting.registration = Some(30 * DAY);
    story.events = vec![
        (0, Event::Add(0)),
        (40 * DAY, Event::Step(0, Stage::Active)),
        (DAY, Event::Quiet),
    ];
}

/// A backup is restored, and a domain is to end soon after.
fn restored(story: &mut Story) {
    story.setting.spans.0 = HOUR;
    story.setting.sends = false;
    let end = vec![
        (DAY, Event::Backup),
        (HOUR, Event::HandOut),
        (2 * DAY, Event::Restore),
        (MINUTE, Event::Step(0, Stage::Draining)),
        (2 * HOUR, Event::Step(0, Stage::Retired)),
    ];
    story.events = begin().into_iter().chain(end).collect();
}

/// Addresses are handed out after a backup, and the domain is to stand by when that is restored.
fn forgotten(story: &mut Story) {
    story.events = vec![
        (0, Event::Add(0)),
        (HOUR, Event::Step(0, Stage::Active)),
        (9 * DAY, Event::Backup),
        (HOUR, Event::HandOut),
        (DAY, Event::Restore),
        (MINUTE, Event::Step(0, Stage::Standby)),
    ];
}

/// A policy is tried.
fn tried(story: &mut Story) {
    whole_life(story);
    story.setting.sts = Some(("testing", DAY));
}

/// Adds two domains, activates the first and hands out addresses in it.
fn begin() -> Vec<(u64, Event)> {
    vec![
        (0, Event::Add(0)),
        (HOUR, Event::Add(1)),
        (HOUR, Event::Step(0, Stage::Active)),
        (6 * DAY, Event::HandOut),
        (HOUR, Event::HandOut),
    ]
}

/// The mutants, each with what its stories are about.
const MUTANTS: &[(Mutant, About)] = &[
    (Mutant::Without(Rule::A1), denied_names),
    (Mutant::Without(Rule::A2), hasty),
    (Mutant::Without(Rule::A3), anything),
    (Mutant::Without(Rule::A4), anything),
    (Mutant::Without(Rule::A5), anything),
    (Mutant::Without(Rule::A6), anything),
    (Mutant::Without(Rule::A7), owned),
    (Mutant::Without(Rule::A8), late_hosts),
    (Mutant::Without(Rule::A9), lapsed),
    (Mutant::Without(Rule::R1), anything),
    (Mutant::Without(Rule::R2), anything),
    (Mutant::Without(Rule::R3), lowered),
    (Mutant::Without(Rule::R4), anything),
    (Mutant::Without(Rule::A2Prime), begun_again),
    (Mutant::Without(Rule::X2), long_policies),
    (Mutant::Without(Rule::X3), whole_life),
    (Mutant::Without(Rule::X4), named),
    (Mutant::Without(Rule::X5), anything),
    (Mutant::Without(Rule::X6), lapsing),
    (Mutant::Without(Rule::L8), whole_life),
    (Mutant::Without(Rule::S9), whole_life),
    (Mutant::Without(Rule::S10), whole_life),
    (Mutant::Without(Rule::I5), lagging),
    (Mutant::Without(Rule::I8), whole_life),
    (Mutant::Without(Rule::T5), revived),
    (Mutant::Without(Rule::K28), forgotten),
    // L15: the wildcard moves with the apex.
    (Mutant::With(Fault::WildcardLeft), whole_life),
    // I1.
    (Mutant::With(Fault::NullBesideOthers), whole_life),
    (Mutant::With(Fault::MxWithdrawn), whole_life),
    (Mutant::With(Fault::NullEarly), whole_life),
    // I2.
    (Mutant::With(Fault::AddressWithdrawn), whole_life),
    // N1.
    (Mutant::With(Fault::TlsaAhead), whole_life),
    (Mutant::With(Fault::RefusedWhileDraining), whole_life),
    (Mutant::With(Fault::AcceptLate), whole_life),
    // L6.
    (Mutant::With(Fault::StandbyRefused), whole_life),
    (Mutant::With(Fault::ForgottenAtOnce), whole_life),
    (Mutant::With(Fault::DroppedAtOnce), whole_life),
    // I6.
    (Mutant::With(Fault::NeverRenewed), whole_life),
    // I7.
    (Mutant::With(Fault::OtherKey), whole_life),
    // K28: serials only grow.
    (Mutant::With(Fault::SerialBack), whole_life),
    // I3.
    (Mutant::With(Fault::PolicyWithoutHosts), whole_life),
    (Mutant::With(Fault::PolicyWithdrawn), whole_life),
    // T2.
    (Mutant::With(Fault::HandedOutDraining), whole_life),
    (Mutant::With(Fault::HandedOutSuspended), suspended),
    // An undo leaves what was before.
    (Mutant::With(Fault::UndoneInWords), taken_back),
    (Mutant::With(Fault::DkimWithdrawn), whole_life),
    (Mutant::With(Fault::AppliedEarly), late_hosts),
    (Mutant::With(Fault::OutagesUntold), anything),
    (Mutant::With(Fault::DsInvented), anything),
    (Mutant::With(Fault::DelegationInvented), anything),
    (Mutant::With(Fault::HostsInvented), anything),
    (Mutant::With(Fault::FilesInvented), whole_life),
    (Mutant::With(Fault::GoneEarly), whole_life),
    // K24.
    (Mutant::With(Fault::ParentTtlsShort), denied_names),
    // S18.
    (Mutant::With(Fault::PoliciesKeptLonger), long_policies),
    // S8.
    (Mutant::With(Fault::LadderSkipped), tried),
];

/// A host gets an address while a name server lags.
fn moving_host(story: &mut Story) {
    story.setting.watching = true;
    story.setting.in_domain = false;
    story.setting.ttls.0 = 5 * MINUTE;
    story.setting.guards.0 = 0;
    let end = vec![
        (6 * DAY, Event::ServerLags(1, 2 * DAY)),
        (MINUTE, Event::Pool(Turn::AddressAdded)),
        (3 * DAY, Event::Quiet),
    ];
    story.events = begin().into_iter().chain(end).collect();
}

/// A host joins while a name server lags.
fn joining_host(story: &mut Story) {
    moving_host(story);
    story.setting.hosts = 1;
    story.events[6].1 = Event::Pool(Turn::HostAdded);
}

/// A policy is enforced, and then given up.
fn forsaken_policy(story: &mut Story) {
    story.setting.sts = Some(("enforce", 7 * DAY));
    story.setting.copies = 9 * DAY;
    story.setting.guards = (0, 0);
    let end = vec![
        (12 * DAY, Event::Pool(Turn::Sts(None))),
        (20 * DAY, Event::Quiet),
    ];
    story.events = begin().into_iter().chain(end).collect();
}

/// A pool sends, and then no more.
fn silenced(story: &mut Story) {
    story.setting.sends = true;
    let end = vec![
        (6 * DAY, Event::Pool(Turn::Sends(false))),
        (9 * DAY, Event::Quiet),
    ];
    story.events = begin().into_iter().chain(end).collect();
}

/// Mail to names below the domains is deferred, and then given up.
fn forsaken_users(story: &mut Story) {
    story.setting.subdomains = true;
    story.setting.spans.0 = HOUR;
    let end = vec![
        (6 * DAY, Event::AllHostsDown(10 * HOUR)),
        (DAY, Event::Pool(Turn::Subdomains(false))),
        (9 * DAY, Event::Quiet),
    ];
    story.events = begin().into_iter().chain(end).collect();
}

/// What goes wrong where a pool in use changes, and with hosts in domains: what the engine alone does.
const OF_THE_ENGINE: &[(Mutant, About)] = &[
    (Mutant::Without(Rule::L14), named_inside),
    // T3.
    (Mutant::With(Fault::QueuesForgotten), forsaken_users),
    // N1.
    (Mutant::With(Fault::LagUntold), moving_host),
    // M4.
    (Mutant::With(Fault::LagUntold), joining_host),
    // S9.
    (Mutant::With(Fault::FilesInvented), forsaken_policy),
    // R4.
    (Mutant::With(Fault::QueuesForgotten), silenced),
];

/// Tries every mutant of a product.
fn catch_all(base: Base, mutants: &[(Mutant, About)], most: u64) {
    let mut escaped = Vec::new();
    for (mutant, about) in mutants {
        let tell = |seed| {
            let mut story = Story::of(seed, DAYS);
            about(&mut story);
            story
        };
        let make = |story: &Story| base.product(story, Some(*mutant));
        let Some((story, violation, count)) = stories_to_catch(most, &tell, &make) else {
            escaped.push(*mutant);
            continue;
        };
        println!("{base:?}, {mutant:?}: caught in {count} stories: {violation}");
        // The same story goes well with the product as it is.
        if let Err(violation) = play(&mut *base.product(&story, None), &story) {
            fail(&story, &violation);
        }
    }
    assert!(escaped.is_empty(), "{base:?}: not caught: {escaped:?}");
}

#[test]
fn every_mutant_of_the_rules_is_caught_a1_to_a9_r1_to_r4_x2_to_x6_l6_l8_l15_s8_to_s18_i1_to_i8_t2_t5_n1_k24_k28()
 {
    let most = if is_full() { 1_000 } else { 150 };
    catch_all(Base::Rules, MUTANTS, most);
    // The engine waits for the mail hosts' word after a restore as well (R2).
    catch_all(Base::Rules, &[(Mutant::Without(Rule::K28), restored)], most);
}

#[test]
fn every_mutant_of_the_engine_is_caught() {
    if is_full() {
        catch_all(Base::Engine, MUTANTS, 300);
    }
}

#[test]
fn every_mutant_of_what_the_engine_alone_does_is_caught_l14_t3_n1_m4_s9_r4() {
    catch_all(
        Base::Engine,
        OF_THE_ENGINE,
        if is_full() { 300 } else { 20 },
    );
}
