//! Lives over `kill -9`: rotations, hand-outs, steps, suspensions and scheduled changes go on without
//! pause while the server is killed, again and again.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mxpool::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::dns::{Query, SOA, udp};
use crate::process::{Mxpool, full_size, http, run, settings};

/// The states of a life, in order.
const STATES: [&str; 5] = ["standby", "active", "draining", "retired", "released"];

/// The domain that is suspended again and again.
const SUSPENDED: &str = "suspended.example";

/// How long what is due may take after a start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A rotation that was asked for.
#[derive(Clone, Debug)]
struct Rotation {
    /// Its idempotency key.
    key: String,
    /// What was answered, if anything was.
    answer: Option<Value>,
}

/// What was asked for, and what of it was acknowledged, over all rounds.
#[derive(Debug, Default)]
struct Asked {
    /// How often an address of each domain was given out.
    handed_out: BTreeMap<String, u64>,
    /// How far each domain has come in its life: acknowledged, and asked for.
    steps: BTreeMap<String, (usize, usize)>,
    /// The last suspension that was acknowledged, and the last that was asked for.
    suspensions: (u64, u64),
    /// The rotations.
    rotations: Vec<Rotation>,
    /// The changes that wait for their moment, each with the domain that it holds.
    scheduled: Vec<(u64, String)>,
    /// The highest serial that was seen of each domain.
    serials: BTreeMap<String, u32>,
}

/// What all callers of a round share.
#[derive(Clone, Copy)]
struct Round<'r> {
    server: &'r Mxpool,
    asked: &'r Mutex<Asked>,
    stop: &'r AtomicBool,
    number: u32,
}

impl Round<'_> {
    /// Returns whether to go on.
    fn goes_on(self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// Changes what was asked for.
    fn note(self, change: impl FnOnce(&mut Asked)) {
        change(&mut self.asked.lock().unwrap());
    }

    /// Calls the API; `None` when the server is gone.
    fn call(self, path: &str, body: &Value) -> Option<(u16, Value)> {
        let (status, text) = self.server.try_call("POST", path, Some(body)).ok()?;
        // An answer that was cut off is none.
        Some((status, serde_json::from_str(&text).ok()?))
    }

    /// Rotates the pool `main`.
    fn rotate(self) {
        for number in 0.. {
            if !self.goes_on() {
                return;
            }
            let key = format!("round {} rotation {number}", self.number);
            self.note(|asked| {
                let (key, answer) = (key.clone(), None);
                asked.rotations.push(Rotation { key, answer });
            });
            let Some(answer) = keyed_rotation(self.server, &key) else {
                return;
            };
            self.note(|asked| asked.rotations.last_mut().unwrap().answer = Some(answer));
        }
    }

    /// Hands out addresses.
    fn hand_out(self) {
        while self.goes_on() {
            match self.call("/v1/pools/main/handout", &json!({})) {
                Some((200, answer)) => {
                    let domain = answer["domain"].as_str().unwrap().to_owned();
                    self.note(|asked| *asked.handed_out.entry(domain).or_default() += 1);
                }
                // None is active, or the one that was picked has just been drained.
                Some((409, _)) => {}
                Some((status, answer)) => panic!("{status}: {answer}"),
                None => return,
            }
        }
    }

    /// Moves domains through their lives.
    fn step(self, names: &[String]) {
        for (to, state) in STATES.iter().enumerate().skip(1) {
            for name in names {
                if !self.goes_on() {
                    return;
                }
                self.note(|asked| asked.steps.get_mut(name).unwrap().1 = to);
                let body = json!({"to": state, "force": true, "reason": "a test"});
                match self.call(&format!("/v1/domains/{name}/transition"), &body) {
                    Some((200, _)) => {
                        self.note(|asked| asked.steps.get_mut(name).unwrap().0 = to);
                    }
                    Some((status, answer)) => panic!("{name} to {state}: {status}: {answer}"),
                    None => return,
                }
            }
        }
    }

    /// Suspends a domain for another reason each time.
    fn suspend(self) {
        while self.goes_on() {
            let mut number = 0;
            self.note(|asked| {
                asked.suspensions.1 += 1;
                number = asked.suspensions.1;
            });
            let body = json!({"answer": "later", "reason": number.to_string()});
            match self.call(&format!("/v1/domains/{SUSPENDED}/suspend"), &body) {
                Some((200, _)) => self.note(|asked| asked.suspensions.0 = number),
                Some((status, answer)) => panic!("{status}: {answer}"),
                None => return,
            }
        }
    }

    /// Schedules that domains are held, some before the server is killed and some after.
    fn schedule(self, names: &[String]) {
        for (number, name) in names.iter().enumerate() {
            if !self.goes_on() {
                return;
            }
            let at = SystemClock::new().now();
            let at = at.saturating_add(Duration::from_secs(1 + number as u64 / 4));
            let hold = json!({"op": "hold", "domain": name});
            let body = json!({"at": at.to_string(), "reason": "a test", "changes": [hold]});
            match self.call("/v1/changes", &body) {
                Some((202, answer)) => {
                    let id = answer["id"].as_u64().unwrap();
                    self.note(|asked| asked.scheduled.push((id, name.clone())));
                }
                // On a busy machine the moment passed on its way.
                Some((422, answer)) => assert_eq!(answer["errors"][0]["pointer"], "/at"),
                Some((status, answer)) => panic!("{status}: {answer}"),
                None => return,
            }
        }
    }
}

/// Asks for a rotation under a key; `None` when the server is gone.
fn keyed_rotation(server: &Mxpool, key: &str) -> Option<Value> {
    let request = ureq::http::Request::builder()
        .method("POST")
        .uri(format!("{}/v1/pools/main/rotate", server.api))
        .header("authorization", format!("Bearer {}", server.token()))
        .header("content-type", "application/json")
        .header("idempotency-key", key)
        .body(r#"{"activate": 1, "reason": "a test"}"#)
        .unwrap();
    let mut answer = http().run(request).ok()?;
    let text = answer.body_mut().read_to_string().ok()?;
    assert_eq!(answer.status().as_u16(), 200, "{text}");
    serde_json::from_str(&text).ok()
}

/// Returns a domain as the API shows it.
fn domain(server: &Mxpool, name: &str) -> Value {
    server.ok("GET", &format!("/v1/domains/{name}"), None)
}

/// Returns where a domain stands.
fn standing(server: &Mxpool, name: &str) -> usize {
    let domain = domain(server, name);
    let state = STATES.iter().position(|state| domain["state"] == *state);
    state.expect("a state of a life")
}

/// Asserts that nothing that was acknowledged is lost, and nothing done by halves.
fn check(server: &Mxpool, asked: &mut Asked) {
    for (name, count) in &asked.handed_out {
        let state = standing(server, name);
        assert!(
            [1, 2].contains(&state),
            "{name} was handed out, and is {}",
            STATES[state]
        );
        let handed_out = &domain(server, name)["handed_out"];
        let known = handed_out["count"].as_u64().unwrap_or(0);
        // The first one is durable before it is answered, the others within a second.
        assert!(known >= 1, "{name}: {count} given out, {handed_out}");
    }
    for (name, (acknowledged, wanted)) in &mut asked.steps {
        let state = standing(server, name);
        assert!(
            (*acknowledged..=*wanted).contains(&state),
            "{name} is {}, {} was acknowledged, {} asked for",
            STATES[state],
            STATES[*acknowledged],
            STATES[*wanted]
        );
        *acknowledged = state;
    }
    let reason = &domain(server, SUSPENDED)["suspended"]["reason"];
    let number = reason.as_str().map_or(0, |number| number.parse().unwrap());
    let (acknowledged, wanted) = asked.suspensions;
    assert!(
        (acknowledged..=wanted).contains(&number),
        "{reason}: {acknowledged} to {wanted}"
    );
    for rotation in &mut asked.rotations {
        check_rotation(server, rotation);
    }
    // What was asked of the last run is settled now.
    asked.rotations.clear();
    for (id, name) in std::mem::take(&mut asked.scheduled) {
        let began = Instant::now();
        let change = loop {
            let change = server.ok("GET", &format!("/v1/changes/{id}"), None);
            if change["state"] != "scheduled" || began.elapsed() > PATIENCE {
                break change;
            }
            std::thread::park_timeout(Duration::from_millis(50));
        };
        assert_eq!(change["state"], "applied", "{change}");
        assert!(!domain(server, &name)["hold"].is_null(), "{change}");
    }
}

/// Asserts that a rotation was made once, whether or not it was answered.
fn check_rotation(server: &Mxpool, rotation: &Rotation) {
    let again = keyed_rotation(server, &rotation.key).expect("the server runs");
    let third = keyed_rotation(server, &rotation.key).expect("the server runs");
    assert_eq!(again["revision"], third["revision"]);
    assert_eq!(again["activated"], third["activated"]);
    if let Some(answer) = &rotation.answer {
        for part in ["revision", "activated", "draining"] {
            assert_eq!(answer[part], again[part], "{rotation:?} {again}");
        }
    }
    let names = |part: &str| -> Vec<String> {
        let names = again[part].as_array().unwrap().iter();
        names
            .map(|name| name.as_str().unwrap().to_owned())
            .collect()
    };
    for name in names("activated") {
        assert!(standing(server, &name) >= 1, "{name}: {again}");
    }
    for name in names("draining") {
        assert_eq!(standing(server, &name), 2, "{name}: {again}");
    }
}

/// Asserts that no serial has gone back, and notes what is served.
fn check_serials(server: &Mxpool, asked: &mut Asked, names: &[String]) {
    for name in names {
        let reply = udp(server.dns, &Query::new(name, SOA));
        let Some(soa) = reply
            .answers(SOA)
            .first()
            .map(|record| record.rdata.clone())
        else {
            continue;
        };
        // Two names, then the serial: five numbers of four octets end it.
        let at = soa.len() - 20;
        let serial = u32::from_be_bytes(soa[at..at + 4].try_into().unwrap());
        let known = asked.serials.entry(name.clone()).or_default();
        assert!(
            serial >= *known,
            "{name}: the serial went from {known} to {serial}"
        );
        *known = serial;
    }
}

/// Asserts that the zones of some domains verify.
fn verify(server: &Mxpool, folder: &Path, names: &[String]) {
    let file = folder.join("verified");
    for name in names {
        std::fs::write(&file, server.signed_zone(name)).unwrap();
        let (good, text) = run(Command::new("ldns-verify-zone").arg(&file));
        assert!(good, "{name}: {text}");
    }
}

/// Returns names of a round.
fn names(prefix: &str, round: u32, count: usize) -> Vec<String> {
    let numbers = 0..count;
    numbers
        .map(|number| format!("{prefix}-{round}-{number}.example"))
        .collect()
}

#[test]
fn lives_go_on_where_kill_9_found_them() {
    let rounds = if full_size() { 60 } else { 8 };
    let folder = tempfile::tempdir().unwrap();
    let asked = Mutex::new(Asked::default());
    {
        let server = Mxpool::start(folder.path());
        let mut settings = settings();
        settings["drain"] = json!("1s");
        settings["active"] = json!(2);
        for pool in ["main", "side"] {
            server.ok("PUT", &format!("/v1/pools/{pool}"), Some(&settings));
        }
        server.add_domains("side", &[SUSPENDED.to_owned()]);
        server.add_domains("main", &names("first", 0, 2));
        server.ok(
            "POST",
            "/v1/pools/main/rotate",
            Some(&json!({"activate": 2})),
        );
    }
    for number in 0..rounds {
        let mut server = Mxpool::start(folder.path());
        let (moved, held) = (names("moved", number, 6), names("held", number, 12));
        server.add_domains("main", &names("new", number, 60));
        server.add_domains("side", &moved);
        server.add_domains("side", &held);
        {
            let mut asked = asked.lock().unwrap();
            let begun = moved.iter().map(|name| (name.clone(), (0, 0)));
            asked.steps.extend(begun);
            check_serials(&server, &mut asked, &moved);
        }
        let stop = AtomicBool::new(false);
        let id = server.program().id().to_string();
        std::thread::scope(|scope| {
            let round = Round {
                server: &server,
                asked: &asked,
                stop: &stop,
                number,
            };
            scope.spawn(move || round.rotate());
            scope.spawn(move || round.hand_out());
            scope.spawn(move || round.hand_out());
            scope.spawn(move || round.suspend());
            let (moved, held) = (&moved, &held);
            scope.spawn(move || round.step(moved));
            scope.spawn(move || round.schedule(held));
            // A moment that differs from round to round, from right away to a second and a half.
            std::thread::park_timeout(Duration::from_millis(u64::from(number * 7919 % 1500)));
            let (killed, text) = run(Command::new("kill").args(["-9", &id]));
            assert!(killed, "{text}");
            stop.store(true, Ordering::Relaxed);
        });
        drop(server);

        let server = Mxpool::start(folder.path());
        let mut asked = asked.lock().unwrap();
        check(&server, &mut asked);
        check_serials(&server, &mut asked, &moved);
        verify(&server, folder.path(), &moved[..2]);
    }
    let asked = asked.into_inner().unwrap();
    let given: u64 = asked.handed_out.values().sum();
    println!(
        "{rounds} rounds, {given} addresses of {} domains, {} suspensions",
        asked.handed_out.len(),
        asked.suspensions.1
    );
}
