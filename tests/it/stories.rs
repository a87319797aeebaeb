//! The stories that README tells: every command of them is run, in its order, on the demo's pool.

use std::path::Path;
use std::process::Command;

use crate::process::{Mxpool, run};

/// Where in README the stories stand.
const HEADING: &str = "## A domain's life, as an operator lives it";
/// What ends a line that has to be refused.
const REFUSED: &str = "# refused";

/// Returns the command lines of README's stories.
fn commands() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (_, stories) = readme.split_once(HEADING).expect("README tells stories");
    let stories = stories.split("\n## ").next().unwrap();
    let mut fenced = false;
    let lines = stories.lines().filter(|line| {
        let fence = line.starts_with("```");
        fenced ^= fence;
        fenced && !fence && !line.trim().is_empty()
    });
    lines.map(str::to_owned).collect()
}

/// What a command of the stories has to say, by its beginning.
const SAYS: [(&str, &str); 9] = [
    ("mxpool domain ds", " IN DS "),
    ("mxpool delegations", "set the name servers and the DS"),
    ("mxpool domain show burner-four", "next step"),
    ("mxpool pool handout", "burner-one.example"),
    (
        "mxpool pool rotate main --burn burner-one.example --activate 1 --dry-run",
        "nothing has been changed",
    ),
    ("mxpool domain retire burner-one.example # refused", "R1"),
    ("mxpool domain release burner-one.example # refused", "X5"),
    ("mxpool domain caches", "MX"),
    ("mxpool domain show burner-one", "released"),
];

#[test]
fn every_command_of_readmes_stories_does_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let server = Mxpool::start(folder.path());
    let binary = Path::new(env!("CARGO_BIN_EXE_mxpool"));
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("zones/demo.toml");
    let shell = |line: &str| {
        let folder_of_binary = binary.parent().unwrap().display();
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new("sh");
        command
            .args(["-c", line])
            .current_dir(folder.path())
            .env("PATH", format!("{folder_of_binary}:{path}"))
            .env("MXPOOL_API", &server.api)
            .env("MXPOOL_TOKEN", server.token());
        run(&mut command)
    };
    let (applied, said) = shell(&format!("mxpool apply {}", manifest.display()));
    assert!(applied, "{said}");

    let commands = commands();

    assert!(commands.len() >= 20, "found {}", commands.len());
    let mut heard = Vec::new();
    for line in &commands {
        assert!(line.starts_with("mxpool "), "{line}");
        let (good, said) = shell(line);
        assert_eq!(good, !line.ends_with(REFUSED), "{line}: {said}");
        for (beginning, words) in SAYS.iter().filter(|(it, _)| line.starts_with(it)) {
            assert!(said.contains(words), "{line}: {said}");
            heard.push(*beginning);
        }
    }
    for (beginning, _) in SAYS {
        assert!(heard.contains(&beginning), "README has no {beginning}");
    }
}
