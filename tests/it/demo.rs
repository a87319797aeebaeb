//! The first minute of a new user: the demo, and the commands of the README.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::dns::{MX, Query, TLSA, TXT, udp};
use crate::process::{Mxpool, Program, free_port, http, run};
use crate::resolver::delv;

/// The demo on ports of its own.
struct Demo {
    program: Program,
    dns: u16,
    api: String,
}

impl Demo {
    /// Starts the demo in a folder and waits until its pool is served.
    fn start(folder: &Path) -> Self {
        let (dns, api) = (free_port(), free_port());
        let mut command = Command::new(env!("CARGO_BIN_EXE_mxpool"));
        command
            .arg("demo")
            .env("MXPOOL_DNS__LISTEN", format!("[\"127.0.0.1:{dns}\"]"))
            .env("MXPOOL_API__LISTEN", format!("127.0.0.1:{api}"))
            .current_dir(folder);
        let mut program = Program::start(&mut command);
        let api = format!("http://127.0.0.1:{api}");
        let token = folder.join("data/admin.token");
        program
            .wait_until(|| {
                let Ok(token) = std::fs::read_to_string(&token) else {
                    return false;
                };
                domains(&api, token.trim()).is_some_and(|names| names.len() >= 3)
            })
            .unwrap_or_else(|error| panic!("the demo {error}"));
        Self { program, dns, api }
    }

    /// Returns the admin token.
    fn token(&self, folder: &Path) -> String {
        std::fs::read_to_string(folder.join("data/admin.token"))
            .unwrap()
            .trim()
            .to_owned()
    }
}

/// Calls the API.
fn get(api: &str, token: &str, path: &str) -> Option<Value> {
    let answer = http()
        .get(format!("{api}{path}"))
        .header("authorization", format!("Bearer {token}"))
        .call();
    let text = answer.ok()?.body_mut().read_to_string().ok()?;
    serde_json::from_str(&text).ok()
}

/// Returns the demo's domains.
fn domains(api: &str, token: &str) -> Option<Vec<String>> {
    let page = get(api, token, "/v1/domains")?;
    let items = page["items"].as_array()?;
    items
        .iter()
        .map(|item| item["name"].as_str().map(str::to_owned))
        .collect()
}

#[test]
fn the_demo_serves_a_pool_that_validates_and_comes_back_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Demo::start(folder.path());
    let token = demo.token(folder.path());
    let names = domains(&demo.api, &token).unwrap();
    let look = |demo: &Demo| -> Vec<Value> {
        let mut seen: Vec<Value> = names
            .iter()
            .map(|name| get(&demo.api, &token, &format!("/v1/domains/{name}")).unwrap())
            .collect();
        seen.push(get(&demo.api, &token, "/v1/audit?limit=1000").unwrap());
        seen
    };
    let before = look(&demo);

    let server = ([127, 0, 0, 1], demo.dns).into();
    let validate = |kind: &str, zone: &str, questions: &[(&str, &str)]| {
        let ds = get(&demo.api, &token, &format!("/v1/{kind}/{zone}/ds")).unwrap();
        let ds = ds["ds"][0]["text"]
            .as_str()
            .unwrap_or_else(|| panic!("{ds}"));
        for (prefix, qtype) in questions {
            let qname = format!("{prefix}{zone}");
            let printed = delv(folder.path(), server, zone, ds, &qname, qtype);
            assert!(
                printed.contains("fully validated"),
                "{qname} {qtype}: {printed}"
            );
        }
    };
    for name in &names {
        validate("domains", name, &[("", "MX"), ("_mta-sts.", "TXT")]);
    }
    validate("zones", "infra.example", &[("_25._tcp.mx1.", "TLSA")]);
    demo.program.stop();
    let again = Demo::start(folder.path());
    assert_eq!(look(&again), before, "the same keys, domains and revision");
}

#[test]
fn the_demo_prints_lines_that_work() {
    let folder = tempfile::tempdir().unwrap();
    let (dns, api) = (free_port(), free_port());
    let log = folder.path().join("printed");
    let mut command = Command::new("sh");
    // Started through a shell, so that what it prints lands in a file; `exec` keeps the process id.
    command
        .args([
            "-c",
            &format!(
                "exec {} demo >{} 2>&1",
                env!("CARGO_BIN_EXE_mxpool"),
                log.display()
            ),
        ])
        .env("MXPOOL_DNS__LISTEN", format!("[\"127.0.0.1:{dns}\"]"))
        .env("MXPOOL_API__LISTEN", format!("127.0.0.1:{api}"))
        .current_dir(folder.path());
    let mut program = Program::start(&mut command);
    let printed = || std::fs::read_to_string(&log).unwrap_or_default();
    program
        .wait_until(|| printed().matches("dig ").count() >= 3)
        .unwrap_or_else(|error| panic!("the demo {error} {}", printed()));
    let text = printed();

    assert!(text.contains(&format!("http://127.0.0.1:{api}")), "{text}");
    assert!(text.contains("admin.token"), "{text}");
    let lines: Vec<&str> = text
        .lines()
        .filter_map(|line| line.find("dig ").map(|at| &line[at..]))
        .collect();
    for (line, rtype) in lines.iter().zip(["MX", "TLSA", "TXT"]) {
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        assert!(words.contains(&"+dnssec"), "{line}");
        let (_, printed) = run(Command::new("dig").args(&words));
        assert!(
            printed.contains("status: NOERROR") && printed.contains(&format!("\t{rtype}\t")),
            "{line}\n{printed}"
        );
        assert!(printed.contains("RRSIG"), "{line}\n{printed}");
    }
    assert_eq!(program.stop(), Some(0), "SIGTERM stops it cleanly");
}

/// Runs a client command.
fn client(server: &Mxpool, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mxpool"))
        .args(arguments)
        .env("MXPOOL_API", &server.api)
        .env("MXPOOL_TOKEN", server.token())
        .output()
        .unwrap()
}

/// Runs a client command that must succeed and returns what it prints.
fn printed(server: &Mxpool, arguments: &[&str]) -> String {
    let output = client(server, arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{arguments:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

#[test]
fn the_commands_of_the_readme_do_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let server = Mxpool::start(folder.path());
    server.put_pool("main");
    let list = folder.path().join("names.txt");
    std::fs::write(&list, "c.example\n# a comment\n\nd.example\n").unwrap();

    printed(
        &server,
        &["domain", "add", "main", "a.example", "b.example"],
    );
    printed(
        &server,
        &[
            "domain",
            "add",
            "main",
            "--from-file",
            list.to_str().unwrap(),
        ],
    );
    let listing = printed(&server, &["domain", "list"]);
    for name in ["a.example", "b.example", "c.example", "d.example"] {
        assert!(listing.contains(name), "{listing}");
        assert_eq!(udp(server.dns, &Query::new(name, MX)).answers(MX).len(), 2);
    }
    assert!(!listing.contains('\u{1b}'), "no colour where nobody looks");
    let json: Value = serde_json::from_str(&printed(
        &server,
        &["domain", "show", "a.example", "--output", "json"],
    ))
    .unwrap();
    assert_eq!(json, server.ok("GET", "/v1/domains/a.example", None));
    assert!(
        printed(&server, &["domain", "ds", "a.example"]).contains(" DS ")
            || printed(&server, &["domain", "ds", "a.example"]).contains("\tDS\t")
    );
    assert!(printed(&server, &["domain", "zone", "a.example", "--signed"]).contains("RRSIG"));
    printed(&server, &["domain", "activate", "a.example"]);
    assert!(printed(&server, &["domain", "list", "--state", "active"]).contains("a.example"));
    printed(&server, &["domain", "standby", "a.example"]);
    printed(
        &server,
        &[
            "record",
            "set",
            "a.example",
            "note",
            "TXT",
            "--ttl",
            "60",
            "\"hello\"",
        ],
    );
    assert_eq!(
        udp(server.dns, &Query::new("note.a.example", TXT)).answers(TXT)[0].ttl,
        60
    );
    printed(&server, &["record", "delete", "a.example", "note", "TXT"]);
    assert_eq!(
        udp(server.dns, &Query::new("note.a.example", TXT)).rcode(),
        3
    );
    assert!(printed(&server, &["pool", "list"]).contains("main"));
    assert!(printed(&server, &["pool", "show", "main"]).contains("mx1"));
    assert!(printed(&server, &["audit"]).contains("add_domain"));
    assert!(printed(&server, &["openapi"]).contains("/v1/domains/{name}"));
    assert!(printed(&server, &["completions", "bash"]).contains("mxpool"));
    assert_eq!(
        udp(server.dns, &Query::new("_25._tcp.mx1.a.example", TLSA))
            .answers(TLSA)
            .len(),
        2
    );
}

#[test]
fn exit_codes_tell_who_is_at_fault() {
    let folder = tempfile::tempdir().unwrap();
    let server = Mxpool::start(folder.path());
    let code = |arguments: &[&str]| client(&server, arguments).status.code();

    assert_eq!(code(&["pool", "list"]), Some(0));
    assert_eq!(code(&["domain", "add", "nowhere", "a.example"]), Some(1));
    assert_eq!(code(&["domain", "shwo", "a.example"]), Some(2));
    let mut command = Command::new(env!("CARGO_BIN_EXE_mxpool"));
    command
        .args(["pool", "list", "--token", "x", "--api"])
        .arg(format!("http://127.0.0.1:{}", free_port()));
    assert_eq!(command.output().unwrap().status.code(), Some(3));
}

#[test]
fn apply_makes_pools_be_what_a_manifest_says_and_removes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Mxpool::start(folder.path());
    let manifest = folder.path().join("pool.toml");
    let text = |names: &str, ttl: &str| {
        format!(
            "[pool.main]\nnameservers = [\"ns1.infra.example.\"]\nhostmaster = \"h@infra.example\"\nttl = \"{ttl}\"\n\
             [[pool.main.mail_host]]\nname = \"mx1\"\npreference = 10\naddresses = [\"192.0.2.25\"]\n\
             [domains]\nmain = [{names}]\n"
        )
    };
    let apply = |more: &[&str]| {
        let mut arguments = vec!["apply", manifest.to_str().unwrap()];
        arguments.extend(more);
        let output = client(&server, &arguments);
        let all = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(all).unwrap())
    };
    std::fs::write(&manifest, text("\"a.example\", \"b.example\"", "1h")).unwrap();

    let (code, plan) = apply(&["--dry-run"]);
    assert_eq!(code, Some(0), "{plan}");
    assert!(plan.contains("a.example"), "{plan}");
    assert_eq!(
        udp(server.dns, &Query::new("a.example", MX)).rcode(),
        5,
        "a dry run does nothing"
    );
    assert_eq!(apply(&[]).0, Some(0));
    assert_eq!(
        udp(server.dns, &Query::new("a.example", MX))
            .answers(MX)
            .len(),
        1
    );
    let revision = |server: &Mxpool| {
        server.ok("GET", "/v1/audit?limit=1000", None)["items"]
            .as_array()
            .unwrap()
            .len()
    };
    let before = revision(&server);
    let (code, printed) = apply(&[]);
    assert_eq!(code, Some(0));
    let wanted = "nothing was changed: all is as the manifests say (revision 1)\n";
    assert!(printed.ends_with(wanted), "{printed}");
    assert_eq!(
        revision(&server),
        before,
        "an apply that changes nothing is no change"
    );

    std::fs::write(&manifest, text("\"b.example\", \"c.example\"", "2h")).unwrap();
    let (code, printed) = apply(&[]);
    assert_eq!(code, Some(0), "{printed}");
    assert!(
        printed.contains("a.example"),
        "what it does not name is listed: {printed}"
    );
    let reply = udp(server.dns, &Query::new("a.example", MX));
    assert_eq!(
        (reply.answers(MX).len(), reply.answers(MX)[0].ttl),
        (1, 7200),
        "and kept"
    );

    // One fault that only the server finds is told as it stands, at its place.
    std::fs::write(&manifest, text("\"b.example\"", "100d")).unwrap();
    let (code, printed) = apply(&[]);
    assert_eq!(code, Some(1), "{printed}");
    let wanted = format!(
        "error: {}:4: ttl: expected a TTL below a third of signature_lifetime = 21d, found 8640000 \
         seconds (RFC 6781, section 4.4.1)\n",
        manifest.display()
    );
    assert!(printed.ends_with(&wanted), "{printed}\n{wanted}");

    for list in [
        "{ fil = \"x\" }",
        "{ file = 7 }",
        "{ file = \"names\", pool = \"x\" }",
        "\"a.example\"",
    ] {
        std::fs::write(&manifest, format!("[domains]\nmain = {list}\n")).unwrap();
        let (code, printed) = apply(&[]);
        assert_eq!(code, Some(1), "{list}: {printed}");
        assert!(printed.contains("pool.toml:2"), "{list}: {printed}");
    }

    std::fs::write(&manifest, text("\"b.example\", \"bad..name\"", "soon")).unwrap();
    let (code, printed) = apply(&[]);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("pool.toml:4"), "{printed}");
    assert!(printed.contains("pool.toml:10"), "{printed}");
}
