//! The stories that the README tells, run as they are written.
//!
//! What stands in a `console` block is typed into a shell beside a started server; the lines below a
//! command are what it must print. Times, revisions and white space may differ, `…` stands for
//! anything. A command fails exactly where its last words are an error's.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use crate::process::{Mxpool, free_port};

/// The README.
const README: &str = include_str!("../../README.md");
/// Where the README's server lives; a test's lives in a folder of its own.
const HOME: &str = "/var/lib/mxpool";
/// A key of a mail host: `mx1.pem` of the README.
const KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
                   MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAENAhL2Qx7owY/C1hsr6xQYvtukjGe\n\
                   +86I4wPvEQzgBvPJP6OPnsaz3hCEEIo2eJUx2Q6jOQP3EtP/jhS7Nnyltg==\n\
                   -----END PUBLIC KEY-----\n";
/// Commands of fenced blocks that are run elsewhere: the demo by `demo`, the tests by themselves.
const ELSEWHERE: [&str; 2] = ["cargo run --release -- demo", "tests/run"];

/// A fenced block of the README.
struct Block {
    /// The section that it stands in.
    section: &'static str,
    /// What it is said to be.
    kind: &'static str,
    /// Its lines, without the indent of the block.
    lines: Vec<&'static str>,
    /// The line on which it begins.
    line: usize,
}

/// A command, and what it must print.
struct Step {
    /// The line on which it stands.
    line: usize,
    /// What is typed.
    command: &'static str,
    /// What it prints.
    expected: Vec<&'static str>,
}

/// Returns the fenced blocks.
fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut section = "";
    let mut open: Option<(Block, usize)> = None;
    for (number, line) in README.lines().enumerate() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        match &mut open {
            Some((_, begun)) if text == "```" && indent == *begun => {
                blocks.extend(open.take().map(|(block, _)| block));
            }
            Some((block, begun)) => block.lines.push(line.get(*begun..).unwrap_or_default()),
            None => {
                if let Some(title) = line.strip_prefix("## ") {
                    section = title;
                }
                if let Some(kind) = text.strip_prefix("```") {
                    let block = Block {
                        section,
                        kind,
                        lines: Vec::new(),
                        line: number + 1,
                    };
                    open = Some((block, indent));
                }
            }
        }
    }
    assert!(open.is_none(), "a block of the README does not end");
    blocks
}

/// Returns the steps of a section, in their order.
fn steps(title: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let blocks = blocks().into_iter();
    for block in blocks.filter(|block| block.section == title && block.kind == "console") {
        for (index, line) in block.lines.iter().enumerate() {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => steps.push(Step {
                    line: block.line + index + 1,
                    command,
                    expected: Vec::new(),
                }),
                (None, Some(step)) if index > 0 => step.expected.push(line),
                (None, _) => panic!("README:{}: output of no command", block.line),
            }
        }
    }
    assert!(!steps.is_empty(), "the README has no section {title:?}");
    steps
}

/// Returns the one block of a section that has a line.
fn block_with(title: &str, line: &str) -> String {
    let blocks = blocks().into_iter();
    let mut found = blocks.filter(|block| block.section == title && block.lines.contains(&line));
    let block = found.next();
    block
        .unwrap_or_else(|| panic!("no block with {line:?}"))
        .lines
        .join("\n")
        + "\n"
}

/// Runs the steps of a section beside a server, in a folder.
fn run(title: &str, server: &Mxpool, folder: &Path) {
    let home = folder.to_str().unwrap();
    for step in steps(title) {
        let bin = Path::new(env!("CARGO_BIN_EXE_mxpool")).parent().unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let command = step.command.replace(HOME, home);
        if command.starts_with("postmap ") && !Path::new("/usr/sbin/postmap").exists() {
            eprintln!("SKIPPED: {command}: postfix is not installed");
            continue;
        }
        let output = Command::new("sh")
            .args(["-c", &command])
            .env("PATH", path)
            .env("MXPOOL_API", &server.api)
            .env("MXPOOL_TOKEN", server.token())
            .env("MAIL_CONFIG", folder.join("postfix"))
            .current_dir(folder)
            .output()
            .unwrap();
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8(printed).unwrap();
        let place = format!("README:{}: {}", step.line, step.command);
        let is_refused = step.expected.iter().any(|line| line.starts_with("error: "));
        assert_eq!(
            output.status.code(),
            Some(i32::from(is_refused)),
            "{place}\n{printed}"
        );
        let found: Vec<String> = printed.lines().map(plain).collect();
        let wanted: Vec<String> = step.expected.iter().map(|line| plain(line)).collect();
        assert!(
            fits(&wanted, &found),
            "{place}\nthe README says:\n{}\nit prints:\n{printed}",
            step.expected.join("\n")
        );
    }
}

/// Returns a line without what differs from run to run: times, how far away they are, revisions,
/// the width of columns.
fn plain(line: &str) -> String {
    let mut plain = String::new();
    let mut words = line.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let bare = word.trim_end_matches(|c: char| c.is_ascii_punctuation());
        let is_time = bare.len() == 20 && bare.ends_with('Z') && bare.as_bytes()[10] == b'T';
        let (word, tail) = word.split_at(bare.len());
        let shown = if is_time { "<time>" } else { word };
        write!(plain, "{shown}{tail} ").unwrap();
        if is_time && words.peek().is_some_and(|next| next.starts_with('(')) {
            while words.next().is_some_and(|word| !word.contains(')')) {}
        }
        if word == "(revision" {
            words.next();
        }
    }
    plain.trim_end().to_owned()
}

/// Returns whether lines are what is wanted: `…` alone is any number of them, within one it is any
/// text.
fn fits(wanted: &[String], found: &[String]) -> bool {
    match (wanted.split_first(), found.split_first()) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some((first, rest)), _) if first == "…" => {
            (0..=found.len()).any(|skipped| fits(rest, &found[skipped..]))
        }
        (Some((first, rest)), Some((line, others))) => line_fits(first, line) && fits(rest, others),
        (Some(_), None) => false,
    }
}

/// Returns whether a line is what is wanted.
fn line_fits(wanted: &str, found: &str) -> bool {
    let mut parts = wanted.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = found.strip_prefix(first.trim_end()) else {
        return false;
    };
    let mut is_open = false;
    for part in parts {
        let part = part.trim();
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
        is_open = part.is_empty();
    }
    is_open || rest.is_empty()
}

#[test]
fn a_domains_life_is_what_the_readme_says() {
    let folder = tempfile::tempdir().unwrap();
    let server = Mxpool::start(folder.path());
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/zones/demo.toml");
    let applied = Command::new(env!("CARGO_BIN_EXE_mxpool"))
        .args(["apply", demo])
        .env("MXPOOL_API", &server.api)
        .env("MXPOOL_TOKEN", server.token())
        .output()
        .unwrap();
    assert!(applied.status.success(), "{applied:?}");

    run("Try a domain's life", &server, folder.path());
}

#[test]
fn a_real_domain_is_served_step_by_step() {
    let title = "Serve a real domain, step by step";
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    let config = block_with(title, "[dns]").replace(HOME, home);
    let (dns, address) = config
        .lines()
        .find_map(|line| line.split_once(" = "))
        .expect("the first key of the README's configuration says where DNS is served");
    assert_eq!(dns, "listen", "{address}");
    std::fs::write(folder.path().join("readme.toml"), &config).unwrap();
    let checked = Command::new(env!("CARGO_BIN_EXE_mxpool"))
        .args(["check-config", "--config", "readme.toml"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
    let routing = config
        .split_once("[routing]")
        .expect("the README connects Postfix")
        .1;
    let server = Mxpool::try_start_at(
        folder.path(),
        ([127, 0, 0, 1], free_port()).into(),
        &format!("[routing]{routing}"),
    )
    .unwrap();
    let manifest = block_with(title, "[zone.\"infra.example\"]");
    std::fs::write(folder.path().join("pools.toml"), manifest).unwrap();
    std::fs::write(folder.path().join("mx1.pem"), KEY).unwrap();
    std::fs::create_dir(folder.path().join("postfix")).unwrap();
    // What the README says of Postfix' main.cf is read by Postfix' own programs.
    let main = block_with(title, "parent_domain_matches_subdomains =").replace(HOME, home);
    let main = format!("compatibility_level = 3.6\n{main}");
    std::fs::write(folder.path().join("postfix/main.cf"), main).unwrap();

    run(title, &server, folder.path());
}

#[test]
fn no_command_of_the_readme_goes_untested() {
    let run = ["Try a domain's life", "Serve a real domain, step by step"];
    for block in blocks() {
        let is_run = block.kind == "console" && run.contains(&block.section);
        for line in &block.lines {
            let typed = line.split(" # ").next().unwrap_or_default().trim();
            let typed = typed.trim_start_matches("$ ");
            let program = typed.split(' ').next().unwrap_or_default();
            let is_command = line.starts_with("$ ")
                || ["mxpool", "cargo", "dig", "curl", "tests/run"].contains(&program);
            assert!(
                !is_command || is_run || ELSEWHERE.contains(&typed),
                "README:{}: no test runs {typed:?}",
                block.line
            );
        }
    }
}

#[test]
fn every_command_that_the_readme_names_is_there() {
    let mut named = 0;
    for span in README.split('`').filter(|span| span.starts_with("mxpool ")) {
        let words = span.split_whitespace().skip(1);
        let is_word = |word: &&str| {
            let mut letters = word.trim_end_matches(',').chars();
            letters.all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-')
        };
        let words: Vec<&str> = words
            .take_while(is_word)
            .map(|word| word.trim_end_matches(','))
            .take(2)
            .collect();
        let single = [
            "serve",
            "demo",
            "check-config",
            "apply",
            "audit",
            "backup",
            "restore",
        ];
        let single = single.contains(&words[0]) || words[0] == "delegations";
        let words = if single { &words[..1] } else { &words[..] };
        let output = Command::new(env!("CARGO_BIN_EXE_mxpool"))
            .args(words)
            .arg("--help")
            .output()
            .unwrap();
        assert!(output.status.success(), "{span:?}: {output:?}");
        named += 1;
    }
    assert!(named > 20, "the README names commands");
}
