//! Messages flow while domains rotate, and none is lost: with Knot, unbound and Postfix.
//!
//! Knot is the parent, unbound validates, one Postfix sends with DANE and two more are the mail
//! hosts, which take their accept list from mxpool. All of them run in namespaces of the test's
//! own, on ports 53 and 25, with time to live of seconds.
//!
//! Start reading at [`story`]; [`verdict`] says what counts as lost.

mod addresses;
mod certificate;
mod maillog;
mod manifest;
mod namespace;
mod operator;
mod parent;
mod postfix;
mod sink;
mod story;
mod traffic;
mod validator;
mod verdict;
mod world;

use std::io::Write as _;

/// Marks the lines that are shown whether the test passes or not.
const ALOUD: &str = "lossless: ";

#[test]
fn no_message_is_lost_while_domains_rotate() {
    if let Some(folder) = namespace::inside() {
        namespace::settle(&folder);
        story::run(&folder);
        return;
    }
    if let Some(reason) = namespace::refused() {
        say(&format!("SKIPPED, nothing of it was shown: {reason}"));
        return;
    }
    let test = concat!(module_path!(), "::no_message_is_lost_while_domains_rotate");
    let (_, test) = test.split_once("::").expect("it is in a crate");

    let (passed, lines) = namespace::run_inside(test);

    let aloud = lines.iter().filter_map(|line| line.strip_prefix(ALOUD));
    aloud.for_each(say);
    assert!(passed, "{}", lines.join("\n"));
    assert!(
        lines.iter().any(|line| line.contains("lost 0")),
        "it ran: {}",
        lines.join("\n")
    );
}

/// Prints a line that the test harness does not keep to itself.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{ALOUD}{line}");
}
