//! A life in which the power goes at every commit.
//!
//! At each boundary either the commit was lost or it was durable and nobody was told. After the start
//! that follows, all that was acknowledged is there, no serial has gone back, nothing that the world
//! may hold is forgotten, and the life goes on to its end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use super::house::*;
use super::scheduled::{HOUR, ONE};
use crate::clock::{Clock, ManualClock};
use crate::engine::{ChangeState, Held, HeldWhat, Op, OpError, Refusal, Word};
use crate::lifecycle::{HandedOut, LifecycleState};
use crate::mail::RoutingAnswer;
use crate::wire::Rtype;

/// The domain that takes over.
const TWO: &str = "two.test";

/// The pool as it is at first, with members put in or replaced.
fn pool(members: &[(&str, Value)]) -> Op {
    let policy = json!({ "mode": "enforce", "max_age": "7d", "addresses": ["192.0.2.80"] });
    let mut document = settings(&[
        ("drain", json!("2d")),
        ("quarantine", json!("3d")),
        ("query_floor", json!(10)),
        ("subdomains", json!(true)),
        ("mta_sts", policy),
    ]);
    for (key, value) in members {
        document[*key] = value.clone();
    }
    put_pool("main", &document)
}

/// The pool with a second host, which joins the MX by itself when its time has come.
fn wider_pool() -> Op {
    pool(&[(
        "mail_host",
        json!([
            { "name": "mx1", "addresses": ["192.0.2.25", "2001:db8::25"] },
            { "name": "mx2", "preference": 20, "addresses": ["192.0.2.26"] },
        ]),
    )])
}

/// What is known of a domain.
#[derive(Debug)]
struct Known {
    /// Its name.
    name: &'static str,
    /// Where it stands.
    state: LifecycleState,
    /// The serial that is served, if any is.
    serial: Option<u32>,
    /// Its hand-outs.
    handed_out: Option<HandedOut>,
    /// What somebody may hold of it.
    held: Vec<Held>,
}

/// The house, the time, and what was acknowledged.
struct Life {
    /// The house; `None` while the power is off.
    house: Option<House>,
    /// The revisions that were acknowledged.
    acknowledged: Vec<u64>,
    /// Whether the power is to go, and has not yet.
    armed: bool,
}

/// The power went.
struct Dark;

/// A step of the story: it may be taken again if the power went in its midst.
type Step = fn(&mut Life) -> Result<(), Dark>;

/// The story, from the first wish to the tombstone's end.
const STORY: [(&str, Step); 16] = [
    ("a pool", |life| life.make(pool(&[]))),
    ("two domains", |life| {
        life.make_unless_there(ONE)?;
        life.make_unless_there(TWO)
    }),
    ("active", |life| life.to(ONE, LifecycleState::Active)),
    ("an address", Life::hand_out),
    ("suspended for an hour, as scheduled", Life::suspend_later),
    ("a second host", |life| {
        life.make(wider_pool())?;
        life.policy_served(ONE)?;
        life.policy_served(TWO)?;
        life.pass(4)
    }),
    ("more addresses", |life| {
        life.hand_out()?;
        life.hand_out()
    }),
    ("rotated", Life::rotate),
    ("draining is announced", |life| life.policy_served(ONE)),
    ("retired", |life| life.to(ONE, LifecycleState::Retired)),
    ("forgotten by the mail hosts", |life| life.pass(72)),
    ("none is announced", |life| {
        life.policy_served(ONE)?;
        life.pass(30 * 24)
    }),
    ("released", |life| {
        life.say(
            ONE,
            Word {
                queries: Some(0),
                ..Word::default()
            },
        )?;
        life.to(ONE, LifecycleState::Released)
    }),
    ("no longer delegated", |life| {
        life.say(
            ONE,
            Word {
                ns_gone: Some(true),
                ..Word::default()
            },
        )?;
        life.pass(6 * 24)
    }),
    ("deleted", |life| {
        if life.house().engine.view().domain(&apex(ONE)).is_none() {
            return Ok(());
        }
        life.make(Op::DeleteDomain {
            name: apex(ONE),
            force: false,
            if_match: None,
        })
    }),
    ("its hold ends", |life| {
        life.make(Op::Hold {
            name: apex(TWO),
            if_match: None,
        })?;
        life.make(Op::Unhold {
            name: apex(TWO),
            if_match: None,
        })
    }),
];

impl Life {
    /// Begins with nothing.
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(START));
        Self {
            house: Some(House::over(Fragile::new(), clock)),
            acknowledged: Vec::new(),
            armed: false,
        }
    }

    /// Returns the house.
    fn house(&self) -> &House {
        self.house.as_ref().expect("the power is on")
    }

    /// Makes a change of one step, whatever it does.
    fn make(&mut self, op: Op) -> Result<(), Dark> {
        let made = self.house().make(change(vec![op]));
        match made {
            Ok(outcome) => {
                self.acknowledged.push(outcome.revision);
                Ok(())
            }
            Err(errors) if self.house().store.is_dark() => {
                drop(errors);
                Err(Dark)
            }
            Err(errors) => panic!("{errors:?}"),
        }
    }

    /// Adds a domain that is not there yet.
    fn make_unless_there(&mut self, name: &str) -> Result<(), Dark> {
        let is_there = self.house().engine.view().domain(&apex(name)).is_some();
        if is_there {
            Ok(())
        } else {
            self.make(add(name))
        }
    }

    /// Moves a domain to a state, as soon as that may be.
    fn to(&mut self, name: &str, state: LifecycleState) -> Result<(), Dark> {
        for _ in 0..200 {
            let step = Op::Transition {
                name: apex(name),
                to: state,
                force: false,
                if_match: None,
            };
            let made = self.house().make(change(vec![step]));
            match made {
                Ok(outcome) => {
                    self.acknowledged.push(outcome.revision);
                    return Ok(());
                }
                Err(_) if self.house().store.is_dark() => return Err(Dark),
                Err(errors) if is_early(&errors) => self.pass(12)?,
                Err(errors) => panic!("{errors:?}"),
            }
            // Unknown counts wait.
            if state == LifecycleState::Released {
                let queries = Some(0);
                self.say(
                    name,
                    Word {
                        queries,
                        ..Word::default()
                    },
                )?;
            }
        }
        panic!("{name} does not become {state}");
    }

    /// Says what the operator saw.
    fn say(&mut self, name: &str, word: Word) -> Result<(), Dark> {
        self.make(Op::Observe {
            name: apex(name),
            word,
            if_match: None,
        })
    }

    /// Says that the policy is served, and has its id announced.
    fn policy_served(&mut self, name: &str) -> Result<(), Dark> {
        let policy_served = Some(true);
        self.say(
            name,
            Word {
                policy_served,
                ..Word::default()
            },
        )?;
        self.pass(1)
    }

    /// Lets hours pass, and has the engine do what is due.
    fn pass(&mut self, hours: u32) -> Result<(), Dark> {
        let mut left = hours;
        while left > 0 {
            let part = left.min(12);
            self.house().clock.advance(part * HOUR);
            self.tick()?;
            left -= part;
        }
        Ok(())
    }

    /// Has the engine do what is due; it never ends with that in the dark.
    fn tick(&self) -> Result<(), Dark> {
        let engine = self.house().engine.clone();
        let ticking = std::thread::spawn(move || engine.tick());
        while !ticking.is_finished() && !self.house().store.is_dark() {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        if self.house().store.is_dark() {
            Err(Dark)
        } else {
            Ok(())
        }
    }

    /// Hands out an address.
    fn hand_out(&mut self) -> Result<(), Dark> {
        match self.house().hand_out("main") {
            Ok(name) => assert_eq!(name, apex(ONE)),
            Err(_) if self.house().store.is_dark() => return Err(Dark),
            Err(refusal) => panic!("{refusal}"),
        }
        // Counts are stored every second.
        self.pass(1)
    }

    /// Has the domain be suspended in an hour and for one, by a scheduled change.
    fn suspend_later(&mut self) -> Result<(), Dark> {
        let house = self.house();
        let at = house.after(HOUR);
        let suspend = change(vec![Op::Suspend {
            name: apex(ONE),
            answer: RoutingAnswer::Later,
            until: Some(house.after(2 * HOUR)),
            if_match: None,
        }]);
        let scheduled = house.schedule(suspend, at);
        let id = match scheduled {
            Ok(outcome) => outcome.revision,
            Err(_) => return Err(Dark),
        };
        self.acknowledged.push(id);
        self.pass(1)?;
        let fate = self.house().fate(id);
        assert_eq!(fate, ChangeState::Applied);
        self.pass(2)?;
        let domain = self.house().engine.view().domain(&apex(ONE)).unwrap();
        assert_eq!(domain.suspension, None);
        Ok(())
    }

    /// Has the second domain take over.
    fn rotate(&mut self) -> Result<(), Dark> {
        let state = self.house().engine.view().domain(&apex(ONE)).unwrap().state;
        if state != LifecycleState::Active {
            return Ok(());
        }
        self.make(Op::Rotate {
            pool: "main".to_owned(),
            burn: vec![apex(ONE)],
            activate: 1,
            if_match: None,
        })
    }

    /// Returns what is known of all domains.
    fn known(&self) -> Vec<Known> {
        let house = self.house();
        let view = house.engine.view();
        let now = house.clock.now();
        let names = [ONE, TWO].into_iter();
        let known = names.filter_map(|text| {
            let domain = view.domain(&apex(text))?;
            let image = house.reader.get(&name(text));
            Some(Known {
                name: text,
                state: domain.state,
                serial: image.map(|image| image.serial().number()),
                handed_out: domain.handed_out,
                held: view.caches(&apex(text), now)?,
            })
        });
        known.collect()
    }

    /// Lives through the story; the power goes after so many commits more.
    fn live(&mut self, cut: Option<(usize, bool)>) {
        if let Some((commits, lands)) = cut {
            self.house().store.cut_after(commits, lands);
            self.armed = true;
        }
        for (what, step) in STORY {
            while step(self).is_err() {
                assert!(self.armed, "{what}: the power goes once");
                self.armed = false;
                self.start_again(what);
            }
        }
        self.house().store.light();
        let known = self.known();
        let [two] = known.as_slice() else {
            panic!("{known:?}");
        };
        assert_eq!((two.name, two.state), (TWO, LifecycleState::Active));
        self.house().verify(TWO);
        assert_eq!(self.house().ask(TWO, Rtype::MX).1, 3, "both hosts");
    }

    /// Starts again after the power went, and looks whether anything is lost.
    fn start_again(&mut self, what: &str) {
        let before = self.known();
        let revision = self.house().engine.view().revision();
        let house = self
            .house
            .take()
            .expect("the power was on")
            .restarted_in_light();
        self.house = Some(house);
        let house = self.house();
        assert!(house.engine.view().revision() >= revision, "{what}");
        let audit = house.engine.audit(0, 1_000).unwrap();
        for revision in &self.acknowledged {
            // A change of nothing is answered with the revision of then.
            let there = *revision == 0 || audit.iter().any(|(number, _)| number == revision);
            assert!(there, "{what}: revision {revision} was acknowledged");
        }
        let after = self.known();
        for was in &before {
            let Some(is) = after.iter().find(|is| is.name == was.name) else {
                assert_eq!(what, "deleted");
                continue;
            };
            assert!(is.state >= was.state, "{what}: {was:?} {is:?}");
            assert!(
                is.serial.is_none() || is.serial >= was.serial,
                "{what}: {was:?} {is:?}"
            );
            let count = |known: &Known| known.handed_out.map_or(0, |given| given.count);
            assert!(count(is) >= count(was), "{what}: {was:?} {is:?}");
            for held in &was.held {
                is.holds(held, what);
            }
            if is.serial.is_some() {
                house.verify(was.name);
            }
        }
    }
}

impl Known {
    /// Asserts that what somebody may hold is known to be held as long as before.
    fn holds(&self, held: &Held, what: &str) {
        // Which id was announced once is not kept: nothing waits for it but its TTL.
        if matches!(&held.what, HeldWhat::Rrset { owner, .. } if owner == "_mta-sts") {
            return;
        }
        let same = self.held.iter().filter(|it| it.what == held.what);
        // What is served on is held without end, and so may be what went with the power.
        let is_held = same.clone().any(|it| {
            let is_served = it.off.is_none();
            let went = held.off.is_none();
            is_served || went || it.cache_until >= held.cache_until
        });
        assert!(is_held, "{what}: {held:?} {:?}", same.collect::<Vec<_>>());
        let replay = same.filter_map(|it| it.replay_until).max();
        let is_replayed = replay >= held.replay_until || held.replay_until.is_none();
        assert!(is_replayed, "{what}: {held:?}");
    }
}

/// Returns whether a change was refused because it is too early, and for nothing else.
fn is_early(errors: &[OpError]) -> bool {
    let mut errors = errors.iter();
    errors.all(|error| matches!(error.refusal, Refusal::TooEarly { .. }))
}

#[test]
fn nothing_is_lost_at_whatever_commit_the_power_goes() {
    let mut life = Life::new();
    life.live(None);
    let commits = life.house().store.commits.load(Ordering::SeqCst);
    drop(life);
    assert!(commits > 30, "{commits}");
    let full = std::env::var("MXPOOL_TEST_SIZE").is_ok_and(|size| size == "full");

    // The first one takes the sealing key on.
    for cut in 2..commits {
        for lands in [false, true] {
            // By default every other one is durable.
            if full || lands == (cut % 2 == 0) {
                Life::new().live(Some((cut, lands)));
            }
        }
    }
}
