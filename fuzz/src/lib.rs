//! What is fuzzed: functions that take any octets and panic where a promise is broken.
//!
//! cargo-fuzz runs them for hours (`fuzz/run`), one binary each. The test suite compiles the same
//! functions, runs the corpus through them, and some changes of it.

mod answer;
mod cookie;
mod manifest;
mod master;
mod message;
mod stored;
mod text;
mod zones;

/// One thing that is fuzzed.
pub struct Target {
    /// The name of its binary and of its corpus.
    pub name: &'static str,
    /// Takes any octets.
    pub run: fn(&[u8]),
}

/// Everything that is fuzzed.
pub const TARGETS: [Target; 7] = [
    target("answer", answer::run),
    target("cookie", cookie::run),
    target("manifest", manifest::run),
    target("master", master::run),
    target("message", message::run),
    target("stored", stored::run),
    target("text", text::run),
];

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// Runs one target by its name.
///
/// # Panics
///
/// When there is no such target, and when it finds something.
pub fn run(name: &str, octets: &[u8]) {
    let mut targets = TARGETS.iter();
    let target = targets.find(|target| target.name == name);
    let target = target.unwrap_or_else(|| panic!("there is no target {name:?}"));
    (target.run)(octets);
}
