//! What `fuzz/` runs for hours, for a moment: its corpus, and some changes of it.
//!
//! A fuzzer finds what nobody thought of; this holds what it has found, and that its targets work.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use crate::process::full_size;

#[allow(unreachable_pub)]
#[path = "../../fuzz/src/lib.rs"]
mod targets;

/// A generator of numbers: the same sequence in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Returns a number below `bound`, which is not zero.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Changes octets in a few places, as a fuzzer does.
    fn change(&mut self, octets: &mut Vec<u8>, other: &[u8]) {
        const TELLING: [u8; 12] = [
            0, 1, 0x0c, 0x29, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff, b'.', b'"',
        ];
        for _ in 0..=self.below(4) {
            let at = self.below(octets.len() + 1);
            match self.below(7) {
                0 => octets.insert(at, self.next() as u8),
                1 => octets.insert(at, TELLING[self.below(TELLING.len())]),
                2 => octets.truncate(at),
                3 if at < octets.len() => octets[at] ^= 1 << self.below(8),
                4 if at < octets.len() => octets[at] = TELLING[self.below(TELLING.len())],
                5 if at < octets.len() => {
                    octets.remove(at);
                }
                // A piece of another file.
                _ if !other.is_empty() => {
                    let from = self.below(other.len());
                    let length = self.below((other.len() - from).min(64)) + 1;
                    let piece = other[from..from + length].iter().copied();
                    octets.splice(at..at, piece);
                }
                _ => {}
            }
        }
    }
}

/// Returns the files of a target's corpus.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Runs a target's corpus and changes of it.
fn smoke(target: &str, changes: usize) {
    let corpus = corpus(target);
    assert!(corpus.len() >= 5, "{target}: a corpus has files");
    let try_octets = |octets: &[u8]| {
        let tried = catch_unwind(AssertUnwindSafe(|| targets::run(target, octets)));
        assert!(
            tried.is_ok(),
            "{target} finds \"{}\"",
            octets.escape_ascii()
        );
    };
    corpus.iter().for_each(|octets| try_octets(octets));
    let mut random = Random(0x5eed);
    let changes = if full_size() { changes * 20 } else { changes };
    for _ in 0..changes {
        let mut octets = corpus[random.below(corpus.len())].clone();
        let other = &corpus[random.below(corpus.len())];
        random.change(&mut octets, other);
        try_octets(&octets);
    }
}

#[test]
fn every_target_has_a_binary_a_corpus_and_a_test() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let tests = include_str!("fuzzing.rs");
    for target in targets::TARGETS {
        let name = target.name;
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        let binary = folder.join(format!("fuzz_targets/{name}.rs"));
        let binary =
            fs::read_to_string(&binary).unwrap_or_else(|error| panic!("{binary:?}: {error}"));
        assert!(binary.contains(&format!("run(\"{name}\"")), "{name}");
        assert!(tests.contains(&format!("smoke(\"{name}\"")), "{name}");
        assert!(!corpus(name).is_empty(), "{name}");
    }
}

#[test]
fn any_query_is_answered_as_promised_over_every_transport() {
    smoke("answer", 20_000);
}

#[test]
fn only_cookies_of_the_server_are_valid() {
    smoke("cookie", 20_000);
}

#[test]
fn any_manifest_and_configuration_is_read_or_refused() {
    smoke("manifest", 2_000);
}

#[test]
fn any_master_file_is_read_or_refused() {
    smoke("master", 5_000);
}

#[test]
fn any_message_is_read_or_refused() {
    smoke("message", 50_000);
}

#[test]
fn any_stored_octets_are_read_or_refused() {
    smoke("stored", 10_000);
}

#[test]
fn any_text_of_names_and_data_is_read_or_refused() {
    smoke("text", 30_000);
}
