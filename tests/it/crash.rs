//! What is acknowledged survives; what is not is wholly there or wholly absent.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::dns::{MX, Query, TXT, udp};
use crate::process::{Mxpool, full_size, run};

/// What a writer asked for, and whether it was told that it is done.
#[derive(Clone, Debug)]
struct Wish {
    /// The domains of one call, all or none.
    names: Vec<String>,
    acknowledged: bool,
}

/// What the writers remember over all rounds.
#[derive(Default)]
struct Memory {
    wishes: Vec<Wish>,
    /// Per domain the last text that was acknowledged, and what may have come after it.
    texts: BTreeMap<String, (u64, u64)>,
}

/// Adds domains until told to stop or the server is gone.
fn add_domains(
    server: &Mxpool,
    memory: &Mutex<Memory>,
    stop: &AtomicBool,
    prefix: &str,
    size: usize,
) {
    for call in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let names: Vec<String> = (0..size)
            .map(|number| format!("{prefix}-{call}-{number}.example"))
            .collect();
        let at = {
            let mut memory = memory.lock().unwrap();
            memory.wishes.push(Wish {
                names: names.clone(),
                acknowledged: false,
            });
            memory.wishes.len() - 1
        };
        let body = if size == 1 {
            json!({"pool": "main", "name": names[0]})
        } else {
            json!({"pool": "main", "names": names})
        };
        match server.try_call("POST", "/v1/domains", Some(&body)) {
            Ok((201, _)) => memory.lock().unwrap().wishes[at].acknowledged = true,
            Ok((status, text)) => panic!("{status}: {text}"),
            Err(_) => return,
        }
    }
}

/// Writes ever higher numbers into a record of one domain.
fn write_texts(server: &Mxpool, memory: &Mutex<Memory>, stop: &AtomicBool, domain: &str) {
    loop {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let number = {
            let mut memory = memory.lock().unwrap();
            let entry = memory.texts.entry(domain.to_owned()).or_default();
            entry.1 += 1;
            entry.1
        };
        let body = json!({"ttl": 300, "records": [format!("\"{number}\"")]});
        let path = format!("/v1/domains/{domain}/rrsets/counter/TXT");
        match server.try_call("PUT", &path, Some(&body)) {
            Ok((200 | 201, _)) => {
                memory.lock().unwrap().texts.get_mut(domain).unwrap().0 = number;
            }
            Ok((status, text)) => panic!("{status}: {text}"),
            Err(_) => return,
        }
    }
}

/// Returns every domain that the server lists.
fn listed(server: &Mxpool) -> Vec<String> {
    let mut names = Vec::new();
    let mut after = String::new();
    loop {
        let page = server.ok("GET", &format!("/v1/domains?limit=1000{after}"), None);
        let items = page["items"].as_array().expect("a page has items");
        names.extend(
            items
                .iter()
                .map(|item| item["name"].as_str().unwrap().to_owned()),
        );
        match &page["next"] {
            Value::String(cursor) => after = format!("&after={cursor}"),
            _ => return names,
        }
    }
}

/// Asserts that the server serves what it promised, and nothing by halves.
fn check(server: &Mxpool, memory: &mut Memory) {
    let names = listed(server);
    let there = |name: &String| names.binary_search(name).is_ok();
    assert!(names.is_sorted(), "pages come in order");
    for wish in &mut memory.wishes {
        let found = wish.names.iter().filter(|name| there(name)).count();
        if wish.acknowledged {
            assert_eq!(found, wish.names.len(), "acknowledged and lost: {wish:?}");
        } else {
            assert!(
                found == 0 || found == wish.names.len(),
                "{found} of {wish:?}"
            );
            // From now on it counts as what it turned out to be.
            wish.acknowledged = found > 0;
            if found == 0 {
                wish.names.clear();
            }
        }
    }
    memory.wishes.retain(|wish| !wish.names.is_empty());
    for (domain, (acknowledged, asked)) in &mut memory.texts {
        let reply = udp(server.dns, &Query::new(&format!("counter.{domain}"), TXT));
        let number = reply.answers(TXT).first().map_or(0, |record| {
            String::from_utf8_lossy(&record.rdata[1..])
                .parse()
                .expect("a number was written")
        });
        assert!(
            (*acknowledged..=*asked).contains(&number),
            "{domain}: {number} is served, {acknowledged} was acknowledged, {asked} asked for"
        );
        (*acknowledged, *asked) = (number, number.max(*asked));
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

#[test]
fn an_acknowledged_change_survives_kill_9_and_others_are_whole_or_absent() {
    let rounds = if full_size() { 50 } else { 8 };
    let folder = tempfile::tempdir().unwrap();
    let memory = Mutex::new(Memory::default());
    {
        let server = Mxpool::start(folder.path());
        server.put_pool("main");
        server.add_domains("main", &["w0.example".to_owned(), "w1.example".to_owned()]);
    }
    let mut revision = 0;
    for round in 0..rounds {
        let mut server = Mxpool::start(folder.path());
        check(&server, &mut memory.lock().unwrap());
        let now = server.ok("GET", "/v1/pools/main", None);
        assert_eq!(now["counts"]["standby"], listed(&server).len(), "{now}");
        let stop = AtomicBool::new(false);
        let id = server.program().id().to_string();
        std::thread::scope(|scope| {
            for (worker, size) in [(0, 1), (1, 1), (2, 40), (3, 300)] {
                let (server, memory, stop) = (&server, &memory, &stop);
                let prefix = format!("r{round}-{worker}");
                scope.spawn(move || add_domains(server, memory, stop, &prefix, size));
            }
            for domain in ["w0.example", "w1.example"] {
                let (server, memory, stop) = (&server, &memory, &stop);
                scope.spawn(move || write_texts(server, memory, stop, domain));
            }
            // A moment that differs from round to round, from right away to a second and a half.
            let moment = Duration::from_millis(u64::from(round * 7919 % 1500_u32));
            std::thread::park_timeout(moment);
            assert!(
                Command::new("kill")
                    .args(["-9", &id])
                    .status()
                    .unwrap()
                    .success()
            );
            stop.store(true, Ordering::Relaxed);
        });
        drop(server);

        let server = Mxpool::start(folder.path());
        check(&server, &mut memory.lock().unwrap());
        let audit = server.ok("GET", "/v1/audit?limit=1000", None);
        let last = audit["items"]
            .as_array()
            .and_then(|items| items.last())
            .cloned();
        let at = last
            .and_then(|entry| entry["revision"].as_u64())
            .unwrap_or_default();
        assert!(at >= revision, "the revision went from {revision} to {at}");
        revision = at;
        let names = listed(&server);
        let sample: Vec<String> = names
            .iter()
            .rev()
            .step_by(names.len() / 20 + 1)
            .cloned()
            .collect();
        verify(&server, folder.path(), &sample);
        for name in &sample {
            assert_eq!(
                udp(server.dns, &Query::new(name, MX)).answers(MX).len(),
                2,
                "{name}"
            );
        }
    }
    let server = Mxpool::start(folder.path());
    let names = listed(&server);
    let step = if full_size() {
        1
    } else {
        names.len() / 200 + 1
    };
    let sample: Vec<String> = names.iter().step_by(step).cloned().collect();
    verify(&server, folder.path(), &sample);
}

/// A small file system in memory, unmounted when its test ends.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Mounts one of so many megabytes; `None` where that is not allowed.
    fn mount(megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m");
        let mut command = Command::new("mount");
        command
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(folder.path());
        run(&mut command).0.then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_refuses_changes_and_goes_on_serving() {
    let Some(disk) = SmallDisk::mount(16) else {
        println!("SKIPPED: a small file system can be mounted by root only");
        return;
    };
    let mut server = Mxpool::start(disk.0.path());
    server.put_pool("main");
    let mut kept: Vec<String> = Vec::new();
    let mut refused = None;
    for call in 0..400 {
        let names: Vec<String> = (0..50).map(|n| format!("d{call}-{n}.example")).collect();
        let body = json!({"pool": "main", "names": names});
        let (status, answer) = server.call("POST", "/v1/domains", Some(&body));
        if status == 201 {
            kept.extend(names);
            continue;
        }
        assert_eq!(status, 507, "{answer}");
        assert!(
            answer["detail"]
                .as_str()
                .is_some_and(|text| text.contains("full")),
            "{answer}"
        );
        refused = Some(names);
        break;
    }
    let refused = refused.expect("16 MB fill up");
    assert!(!kept.is_empty());

    for name in kept.iter().step_by(kept.len() / 50 + 1) {
        assert_eq!(
            udp(server.dns, &Query::new(name, MX)).answers(MX).len(),
            2,
            "{name}"
        );
    }
    assert_eq!(
        udp(server.dns, &Query::new(&refused[0], MX)).rcode(),
        5,
        "nothing of it is served"
    );
    assert_eq!(listed(&server).len(), kept.len());

    // More room: the next change is taken, by the same process.
    let (good, text) = run(Command::new("mount")
        .args(["-o", "remount,size=64m"])
        .arg(disk.0.path()));
    assert!(good, "{text}");
    server.add_domains("main", &refused);
    assert_eq!(
        udp(server.dns, &Query::new(&refused[0], MX))
            .answers(MX)
            .len(),
        2
    );
    server.program().kill();
    let server = Mxpool::start(disk.0.path());
    assert_eq!(listed(&server).len(), kept.len() + refused.len());
}
