//! Holds the house in order: who may import whom, and what the pure rooms never touch.
//!
//! Each finding names file, line and the way out. There is no list of exceptions: when a rule is in
//! the way, the type moves or the module is split.

use std::fs;
use std::path::{Path, PathBuf};

use mxpool::lifecycle::Rule;

/// The rooms of `src/` and their ranks; a room imports from lower ranks only.
const RANKS: [(&str, u8); 21] = [
    ("clock", 0),
    ("document", 0),
    ("publication", 0),
    ("wire", 0),
    ("zone", 1),
    ("metrics", 1),
    ("history", 1),
    ("dnssec", 2),
    ("mail", 2),
    ("lifecycle", 3),
    ("store", 4),
    ("engine", 5),
    ("routing", 5),
    ("server", 5),
    ("watch", 5),
    ("api", 7),
    ("config", 8),
    ("cli", 8),
    ("daemon", 9),
    ("main", 9),
    ("lib", 9),
];

/// Words that only the named rooms may say, with the reason.
const DOORS: [(&str, &[&str], &str); 8] = [
    (
        "hickory_proto",
        &["wire"],
        "only `wire` is a door to it: ask for what you need there",
    ),
    (
        "domain::base",
        &["wire"],
        "only `wire` is a door to that crate",
    ),
    (
        "domain::rdata",
        &["wire"],
        "only `wire` is a door to that crate",
    ),
    (
        "domain::zonefile",
        &["wire"],
        "only `wire` is a door to that crate",
    ),
    (
        "hickory_server",
        &["server"],
        "only `server` is a door to it",
    ),
    (
        "toml::",
        &["config", "cli"],
        "only `config` and `cli` know TOML files",
    ),
    (
        "std::env",
        &["config", "cli", "main"],
        "only `config` and `cli` know the environment",
    ),
    ("heed::", &["store"], "only `store` is a door to it"),
];

/// What ranks 0 to 3 never touch, with the way out.
const IMPURE: [(&str, &str); 8] = [
    (
        "tokio",
        "bytes, data and `now` in, values out: let the caller run it",
    ),
    ("std::fs", "take the bytes as an argument"),
    ("std::thread", "let the caller run it"),
    ("UdpSocket", "let `server` hold the socket"),
    ("TcpStream", "let `server` hold the socket"),
    ("TcpListener", "let `server` hold the socket"),
    (
        "SystemTime",
        "take a `Timestamp`; only `clock::SystemClock` asks the machine",
    ),
    (
        "Instant::now",
        "take a `Timestamp`; only `clock::SystemClock` asks the machine",
    ),
];

/// Rooms that may use less than their rank allows, and all that they may use.
const CONFINED: [(&str, &[&str], &str); 5] = [
    (
        "routing",
        &["clock", "mail", "metrics", "publication", "wire"],
        "it answers mail hosts: no path to a key, a store or the writer",
    ),
    (
        "server",
        &["clock", "metrics", "publication", "wire", "zone"],
        "it answers the network: no path to a key, a store or the writer",
    ),
    (
        "watch",
        &["clock", "lifecycle", "mail", "metrics", "wire", "zone"],
        "it asks the outside: no path to a key, a store or the writer",
    ),
    (
        "api",
        &[
            "clock",
            "dnssec",
            "document",
            "engine",
            "lifecycle",
            "mail",
            "metrics",
            "wire",
            "zone",
        ],
        "it asks the engine, never the store or the data plane",
    ),
    ("cli", &["clock", "document", "wire"], "it speaks HTTP only"),
];

/// A source file, cut into code lines.
struct Source {
    /// The path, for the finding.
    path: PathBuf,
    /// The room it belongs to.
    room: String,
    /// How many modules it lies below the crate's root.
    depth: usize,
    /// Whether the whole file is tests.
    is_test: bool,
    /// Its lines without comments and texts, with their numbers.
    lines: Vec<(usize, String)>,
}

impl Source {
    /// Cuts a file's text.
    fn new(path: &Path, text: &str) -> Self {
        let parts: Vec<&str> = path
            .iter()
            .skip_while(|part| *part != "src")
            .skip(1)
            .map(|part| part.to_str().expect("our file names are UTF-8"))
            .collect();
        let room = parts[0].trim_end_matches(".rs").to_owned();
        let file = parts[parts.len() - 1];
        let depth = parts.len() - usize::from(matches!(file, "mod.rs" | "lib.rs" | "main.rs"));
        let is_test = parts[1..]
            .iter()
            .any(|part| matches!(*part, "tests.rs" | "tests"));
        let lines = text.lines().enumerate();
        let lines = lines.map(|(at, line)| (at + 1, code_of(line))).collect();
        Self {
            path: path.to_owned(),
            room,
            depth,
            is_test,
            lines,
        }
    }

    /// Returns the room's rank.
    fn rank(&self) -> Result<u8, String> {
        rank_of(&self.room).ok_or_else(|| {
            format!(
                "{}: room `{}` has no rank: add it to RANKS",
                self.path.display(),
                self.room
            )
        })
    }

    /// Returns the rooms that are named behind `crate::`, with the line, and whether in tests.
    fn uses(&self) -> Vec<(usize, String, bool)> {
        let text: Vec<&str> = self.lines.iter().map(|(_, line)| line.as_str()).collect();
        let text = text.join("\n");
        let tests = text.find("mod tests").unwrap_or(text.len());
        let named = imports(&text).into_iter();
        named
            .map(|(at, room)| {
                let line = text[..at].matches('\n').count() + 1;
                (line, room, self.is_test || at > tests)
            })
            .collect()
    }

    /// Returns what breaks a rule here.
    fn findings(&self) -> Vec<String> {
        let rank = match self.rank() {
            Ok(rank) => rank,
            Err(finding) => return vec![finding],
        };
        let mut findings = Vec::new();
        let mut report = |line: usize, what: String| {
            findings.push(format!("{}:{line}: {what}", self.path.display()));
        };
        let mut in_tests = self.is_test;
        for (number, target, in_tests) in self.uses() {
            let Some(other) = rank_of(&target) else {
                continue;
            };
            if target != self.room && other >= rank {
                report(
                    number,
                    format!(
                        "`{}` (rank {rank}) imports `{target}` (rank {other}): import from lower \
                         ranks only, move the type down or split the module",
                        self.room
                    ),
                );
            }
            // A test may build the whole house around its room.
            let confined = CONFINED
                .iter()
                .filter(|(room, ..)| *room == self.room && !in_tests);
            for (room, allowed, why) in confined {
                if target != *room && !allowed.contains(&target.as_str()) {
                    report(number, format!("`{room}` imports `{target}`: {why}"));
                }
            }
        }
        for (number, line) in &self.lines {
            in_tests |= line.contains("mod tests");
            let climbs = line.matches("super::").count();
            if climbs > 0 && climbs >= self.depth + usize::from(in_tests) && self.depth > 0 {
                report(
                    *number,
                    "`super::` leaves the room: write `crate::…`".to_owned(),
                );
            }
            for (word, rooms, why) in DOORS {
                // A test may start its own program again, in a state of its own.
                let is_own_program = in_tests && word == "std::env";
                if says(line, word) && !rooms.contains(&self.room.as_str()) && !is_own_program {
                    report(*number, format!("`{word}` in `{}`: {why}", self.room));
                }
            }
            let is_clock = self.path.ends_with("clock/source.rs");
            if rank <= 3 && !in_tests && !is_clock {
                for (word, way_out) in IMPURE {
                    if says(line, word) {
                        report(*number, format!("`{word}` in `{}`: {way_out}", self.room));
                    }
                }
            }
        }
        findings
    }
}

/// Returns a line without its comment and without what stands in double quotes.
fn code_of(line: &str) -> String {
    let mut code = String::new();
    let mut in_text = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if in_text => {
                chars.next();
            }
            '"' => in_text = !in_text,
            '/' if !in_text && chars.peek() == Some(&'/') => break,
            _ if in_text => {}
            other => code.push(other),
        }
    }
    code
}

/// Returns whether `line` says `word` with nothing but a boundary in front of it.
fn says(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

/// Returns the rooms that a text names behind `crate::`, those in braces too, and where.
fn imports(text: &str) -> Vec<(usize, String)> {
    let mut rooms = Vec::new();
    for (at, found) in text.match_indices("crate::") {
        let rest = &text[at + found.len()..];
        let word = |text: &str| -> String {
            text.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        };
        let Some(list) = rest.strip_prefix('{') else {
            rooms.push((at, word(rest)));
            continue;
        };
        let mut level = 0;
        let mut start = true;
        for (offset, c) in list.char_indices() {
            match c {
                '{' => level += 1,
                '}' if level == 0 => break,
                '}' => level -= 1,
                ',' if level == 0 => start = true,
                c if start && (c.is_alphanumeric() || c == '_') => {
                    rooms.push((at + offset, word(&list[offset..])));
                    start = false;
                }
                _ => {}
            }
        }
    }
    rooms
}

/// Returns a room's rank.
fn rank_of(room: &str) -> Option<u8> {
    RANKS
        .iter()
        .find(|(name, _)| *name == room)
        .map(|(_, rank)| *rank)
}

/// Collects every Rust file below a folder.
fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).expect("the folder is there");
    for entry in entries {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|end| end == "rs") {
            into.push(path);
        }
    }
}

#[test]
fn rooms_import_downward_and_the_pure_ones_stay_pure() {
    let mut files = Vec::new();
    rust_files(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut files,
    );
    assert!(
        files.len() > 20,
        "the source is there: {} files",
        files.len()
    );

    let findings: Vec<String> = files
        .iter()
        .flat_map(|path| {
            let text = fs::read_to_string(path).expect("the file can be read");
            Source::new(path, &text).findings()
        })
        .collect();

    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn every_room_in_the_table_is_there_and_tells_its_story() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let crate_doc = fs::read_to_string(src.join("lib.rs")).expect("lib.rs can be read");
    for (room, _) in RANKS
        .iter()
        .filter(|(room, _)| !matches!(*room, "main" | "lib"))
    {
        let path = src.join(room).join("mod.rs");
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(
            text.starts_with("//! "),
            "{} opens with its story",
            path.display()
        );
        assert!(
            crate_doc.contains(&format!("`{room}`")),
            "the crate doc names `{room}`"
        );
    }
}

/// Returns the names of the tests in a source text.
fn tests_in(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim_start) {
        match line.strip_prefix("fn ") {
            Some(rest) if is_test => {
                found.extend(rest.split('(').next());
                is_test = false;
            }
            _ => is_test |= line == "#[test]",
        }
    }
    found
}

/// Returns whether a test's name names a rule: `x5_…`, `…_a2_prime_…`.
fn names_rule(test: &str, rule: &str) -> bool {
    let rule = rule.to_lowercase().replace('\'', "_prime");
    format!("_{test}_").contains(&format!("_{rule}_"))
}

#[test]
fn every_rule_of_a_life_is_named_by_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    rust_files(&root.join("src"), &mut files);
    rust_files(&root.join("tests"), &mut files);
    let texts = files.iter().map(fs::read_to_string);
    let texts: Vec<String> = texts.map(|text| text.expect("it can be read")).collect();
    let tests: Vec<&str> = texts.iter().flat_map(|text| tests_in(text)).collect();

    let rules = Rule::ALL.iter().map(|rule| rule.id());
    let unnamed = rules.filter(|rule| !tests.iter().any(|test| names_rule(test, rule)));
    let unnamed: Vec<&str> = unnamed.collect();

    assert_eq!(
        unnamed, [""; 0],
        "no test says in its name what they are for"
    );
}

#[test]
fn the_look_for_rules_finds_tests_that_name_them_alone() {
    let text = "    #[test]\n    fn a2_prime_x5_it_waits() {}\n    fn x6_no_test() {}\n";

    let tests = tests_in(text);

    assert_eq!(tests, ["a2_prime_x5_it_waits"]);
    let names = |rule| tests.iter().any(|test| names_rule(test, rule));
    assert!(names("A2'") && names("X5"));
    assert!(!names("X6") && !names("X") && !names("X51"));
}

#[test]
fn the_check_itself_finds_what_it_should() {
    let finds = |path: &str, text: &str| Source::new(Path::new(path), text).findings().len();

    assert_eq!(finds("src/zone/a.rs", "use crate::store::Store;"), 1);
    assert_eq!(finds("src/zone/a.rs", "use crate::wire::Name;"), 0);
    assert_eq!(
        finds(
            "src/server/a.rs",
            "use crate::{wire::Name, dnssec::{A, B}};"
        ),
        1
    );
    assert_eq!(finds("src/server/a.rs", "let e: crate::engine::Engine;"), 2);
    assert_eq!(
        finds("src/zone/a.rs", "let t = std::time::SystemTime::now();"),
        1
    );
    assert_eq!(finds("src/zone/a.rs", "use std::time::{SystemTime};"), 1);
    assert_eq!(finds("src/mail/a.rs", "use std::fs;"), 1);
    assert_eq!(finds("src/mail/a.rs", "// use std::fs;"), 0);
    assert_eq!(finds("src/api/a.rs", "use hickory_proto::rr::Name;"), 1);
    assert_eq!(finds("src/mail/a.rs", "use super::super::wire::Name;"), 1);
    assert_eq!(finds("src/nowhere/a.rs", ""), 1);
}
