//! Scheduled changes and steps back, as the program's users have them: over `kill -9`, over a backup,
//! on the command line.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use mxpool::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::process::{Mxpool, http, run, typed};

/// How long what is due may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server with a pool of two domains.
fn server(folder: &Path) -> Mxpool {
    let server = Mxpool::start(folder);
    server.put_pool("main");
    server.add_domains("main", &["a.example".to_owned(), "b.example".to_owned()]);
    server
}

/// Returns a moment so many seconds ahead.
pub(crate) fn ahead(seconds: u64) -> String {
    let now = SystemClock::new().now();
    let at = now.saturating_add(Duration::from_secs(seconds));
    at.to_string()
}

/// Schedules that a domain is held, and returns the change's id.
fn schedule(server: &Mxpool, domain: &str, at: &str) -> u64 {
    let body = json!({"at": at, "reason": "a test", "changes": [
        {"op": "hold", "domain": domain},
    ]});
    let (status, accepted) = server.call("POST", "/v1/changes", Some(&body));
    assert_eq!(status, 202, "{accepted}");
    accepted["id"].as_u64().unwrap()
}

/// Returns a change.
fn change(server: &Mxpool, id: u64) -> Value {
    server.ok("GET", &format!("/v1/changes/{id}"), None)
}

/// Waits until a change waits no more, and returns it.
fn ended(server: &Mxpool, id: u64) -> Value {
    let start = Instant::now();
    loop {
        let change = change(server, id);
        if change["state"] != "scheduled" {
            return change;
        }
        assert!(start.elapsed() < PATIENCE, "{change}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// Takes a change back under a key.
fn undo_keyed(server: &Mxpool, id: u64, key: &str) -> (u16, Value) {
    let request = ureq::http::Request::builder()
        .method("POST")
        .uri(format!("{}/v1/changes/{id}/undo", server.api))
        .header("authorization", format!("Bearer {}", server.token()))
        .header("content-type", "application/json")
        .header("idempotency-key", key)
        .body(r#"{"reason":"a mistake"}"#)
        .unwrap();
    let mut answer = http().run(request).unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    (
        answer.status().as_u16(),
        serde_json::from_str(&text).unwrap(),
    )
}

#[test]
fn what_is_scheduled_outlives_a_kill_and_is_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = server(folder.path());
    // One whose moment comes while nobody is there, and one far ahead.
    let soon = schedule(&server, "a.example", &ahead(2));
    let later = schedule(&server, "b.example", &ahead(86_400));
    server.program().kill();

    let mut server = Mxpool::start(folder.path());
    let made = ended(&server, soon);
    assert_eq!(made["state"], "applied", "{made}");
    assert_eq!(
        made["applied"]["steps"][0]["what"],
        "a.example was put on hold"
    );
    assert_eq!(change(&server, later)["state"], "scheduled");
    let (status, undone) = undo_keyed(&server, soon, "key");
    assert_eq!(status, 200, "{undone}");
    server.program().kill();

    let server = Mxpool::start(folder.path());
    let (status, again) = undo_keyed(&server, soon, "key");
    assert_eq!((status, &again["revision"]), (200, &undone["revision"]));
    let (status, other) = undo_keyed(&server, soon, "another key");
    assert_eq!(status, 409, "{other}");
    let domain = server.ok("GET", "/v1/domains/a.example", None);
    assert_eq!(
        domain["hold"],
        Value::Null,
        "it is neither made nor undone twice"
    );
    assert_eq!(change(&server, later)["state"], "scheduled");
}

#[test]
fn what_is_refused_at_its_moment_is_said_wherever_one_looks() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    let id = schedule(&server, "a.example", &ahead(2));
    server.ok("DELETE", "/v1/domains/a.example?force=true", None);

    let failed = ended(&server, id);

    assert_eq!(failed["state"], "failed", "{failed}");
    let why = "there is no domain \"a.example\"";
    assert_eq!(failed["failed"]["why"], json!([why]));
    assert_eq!(failed["undo"]["possible"], false);
    let audit = server.ok("GET", "/v1/audit", None);
    let last = audit["items"].as_array().unwrap().last().unwrap();
    assert_eq!(last["changes"][0]["op"], "fail_scheduled", "{last}");
    let (_, metrics) = server.try_call("GET", "/metrics", None).unwrap();
    assert!(
        metrics.contains("mxpool_changes_failed_total 1"),
        "{metrics}"
    );
    let log = server.log();
    assert!(log.contains("a scheduled change failed"), "{log}");
    let (code, shown) = typed(&server, &["change", "show", &id.to_string()]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains(why), "{shown}");
    assert!(
        shown.contains("failed: it was refused at its moment"),
        "{shown}"
    );
}

#[test]
fn a_backup_has_what_is_scheduled_and_what_came_due_since_is_not_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = server(folder.path());
    let soon = schedule(&server, "a.example", &ahead(2));
    let later = schedule(&server, "b.example", &ahead(86_400));
    let backup = folder.path().join("store.backup");
    let (code, printed) = typed(&server, &["backup", backup.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{printed}");
    // It is made, and that is lost with the store.
    assert_eq!(ended(&server, soon)["state"], "applied");
    server.program().stop();
    std::fs::remove_dir_all(folder.path().join("data")).unwrap();
    let config = folder.path().join("mxpool.toml");
    let (restored, printed) = run(Command::new(env!("CARGO_BIN_EXE_mxpool"))
        .arg("restore")
        .arg(&backup)
        .arg("--config")
        .arg(&config));
    assert!(restored, "{printed}");

    let server = Mxpool::start(folder.path());

    let failed = ended(&server, soon);
    assert_eq!(failed["state"], "failed", "{failed}");
    assert!(
        failed["failed"]["why"][0]
            .as_str()
            .unwrap()
            .contains("backup")
    );
    assert_eq!(change(&server, later)["state"], "scheduled");
}

#[test]
fn the_command_line_says_what_is_wrong_with_a_moment_or_a_way_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    let far = ahead(86_400);

    for (words, code, said) in [
        (
            vec!["domain", "hold", "a.example", "--at", "soon"],
            1,
            "error: --at: expected a time",
        ),
        (
            vec![
                "domain",
                "hold",
                "a.example",
                "--at",
                "2020-01-31T00:00:00Z",
            ],
            1,
            "error: --at: expected a moment after",
        ),
        (
            vec![
                "domain",
                "observed",
                "a.example",
                "--ds",
                "yes",
                "--at",
                "2020-01-31T00:00:00Z",
            ],
            0,
            "warning: 2020-01-31T00:00:00Z is before there was anything of a.example to be seen",
        ),
        (
            // A day would count from its first moment.
            vec![
                "domain",
                "observed",
                "a.example",
                "--ns",
                "yes",
                "--at",
                "2026-11-30",
            ],
            1,
            "error: --at: expected a time",
        ),
        (
            vec!["domain", "observed", "a.example", "--published", "no"],
            0,
            "warning: published no is not waited for",
        ),
        (
            vec!["domain", "set", "a.example", "--registrar", "a\u{1b}[31mb"],
            1,
            "error: --registrar: expected no control characters",
        ),
        (
            vec![
                "domain",
                "set",
                "a.example",
                "a.example",
                "--registrar",
                "a",
            ],
            2,
            "expected each domain once",
        ),
        (
            vec![
                "domain",
                "set",
                "a.example",
                "--registrar",
                "a",
                "--forget",
                "registrar",
            ],
            2,
            "expected --registrar or that it is forgotten",
        ),
        (
            vec!["domain", "hold", "no.example", "--at", &far],
            1,
            "error: there is no domain \"no.example\"",
        ),
        (
            vec![
                "pool",
                "rotate",
                "main",
                "--burn",
                "no.example",
                "--at",
                &far,
            ],
            1,
            "error: --burn: expected a domain of the pool main",
        ),
        (
            vec!["change", "show", "4711"],
            1,
            "error: there is no change \"4711\"",
        ),
        (
            vec!["change", "undo", "4711"],
            1,
            "error: there is no change \"4711\"",
        ),
        (vec!["change", "undo", "all"], 2, "invalid value 'all'"),
        (
            vec!["domain", "observed", "a.example", "--at", &far],
            2,
            "say at least one thing",
        ),
    ] {
        let (found, printed) = typed(&server, &words);
        assert_eq!(found, Some(code), "{words:?}: {printed}");
        assert!(printed.contains(said), "{words:?}: {printed}");
    }
    let hold = [
        "--output",
        "json",
        "domain",
        "hold",
        "a.example",
        "--at",
        &far,
    ];
    let (code, printed) = typed(&server, &hold);
    assert_eq!(code, Some(0), "{printed}");
    let accepted: Value = serde_json::from_str(&printed).unwrap();
    let id = accepted["id"].as_u64().unwrap();
    let (_, shown) = typed(
        &server,
        &["--output", "json", "change", "show", &id.to_string()],
    );
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown, change(&server, id));
    assert_eq!(shown["steps"][0]["what"], "a.example is on hold");
    let (code, undone) = typed(
        &server,
        &["--output", "json", "change", "undo", &id.to_string()],
    );
    assert_eq!(code, Some(0), "{undone}");
    let undone: Value = serde_json::from_str(&undone).unwrap();
    assert_eq!(undone["revision"], change(&server, id)["undone_by"]);
}
