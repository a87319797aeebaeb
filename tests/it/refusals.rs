//! Bad input: a clear error that says where, and nothing that is served changes.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::dns::{MX, Query, udp};
use crate::process::{Mxpool, free_port, http, run, settings};

/// A server with a pool of two domains.
fn server(folder: &Path) -> Mxpool {
    let server = Mxpool::start(folder);
    server.put_pool("main");
    server.add_domains("main", &["a.example".to_owned(), "b.example".to_owned()]);
    server
}

/// Asserts that an answer is a problem document with faults at the given pointers.
fn assert_problem(answer: &(u16, Value), status: u16, pointers: &[&str]) {
    let (found, body) = answer;
    assert_eq!(*found, status, "{body}");
    for member in ["type", "title", "status", "detail"] {
        assert!(!body[member].is_null(), "no {member} in {body}");
    }
    assert_eq!(body["status"], status);
    let errors = body["errors"].as_array().cloned().unwrap_or_default();
    for pointer in pointers {
        let at = |error: &Value| error["pointer"] == *pointer;
        let fault = errors.iter().find(|error| at(error));
        let fault = fault.unwrap_or_else(|| panic!("no fault at {pointer} in {body}"));
        assert!(
            fault["detail"].as_str().is_some_and(|text| text.len() > 8),
            "{fault}"
        );
    }
}

#[test]
fn names_that_cannot_be_domains_are_refused_all_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    let long_label = format!("{}.example", "a".repeat(64));
    let long_name = format!("{}.example", ["a".repeat(60).as_str(); 5].join("."));
    let names = json!([
        "good.example",
        "double..dot.example",
        long_label,
        long_name,
        "",
        "under_score.example",
        "good.example",
        "a.example",
        "sub.a.example",
        "example",
        7
    ]);
    let answer = server.call(
        "POST",
        "/v1/domains",
        Some(&json!({"pool": "main", "names": names})),
    );

    let pointers = [
        "/names/1",
        "/names/2",
        "/names/3",
        "/names/4",
        "/names/5",
        "/names/10",
    ];
    assert!(matches!(answer.0, 409 | 422), "{answer:?}");
    assert_problem(&answer, answer.0, &pointers);

    // What is well formed but does not go together with what is there.
    for (names, at) in [
        (json!(["new.example", "new.example"]), "/names/1"),
        (json!(["x.example", "a.example"]), "/names/1"),
        (json!(["sub.a.example"]), "/names/0"),
        (json!(["example"]), "/names/0"),
        (json!(["y.example", "z.y.example"]), "/names/1"),
    ] {
        let answer = server.call(
            "POST",
            "/v1/domains",
            Some(&json!({"pool": "main", "names": names})),
        );
        assert!(matches!(answer.0, 409 | 422), "{names}: {answer:?}");
        assert_problem(&answer, answer.0, &[at]);
    }
    let page = server.ok("GET", "/v1/domains", None);
    assert_eq!(
        page["items"].as_array().unwrap().len(),
        2,
        "nothing of it took effect"
    );
}

#[test]
fn a_u_label_is_taken_as_its_a_label() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    let body = json!({"pool": "main", "name": "bücher.example"});
    let answer = server.ok("POST", "/v1/domains", Some(&body));

    assert_eq!(answer["name"], "xn--bcher-kva.example", "{answer}");
    assert_eq!(
        udp(server.dns, &Query::new("xn--bcher-kva.example", MX))
            .answers(MX)
            .len(),
        2
    );
}

#[test]
fn requests_that_are_no_documents_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    let send = |method: &str, path: &str, body: &str| {
        let (status, text) = server
            .try_send(method, path, "application/json", body)
            .unwrap();
        (
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    };

    assert_problem(&send("POST", "/v1/domains", "{\"pool\": "), 400, &[]);
    assert_problem(&send("POST", "/v1/domains", "[]"), 422, &[""]);
    assert_problem(&send("POST", "/v1/domains", "{}"), 422, &["/pool"]);
    let unknown = "{\"pool\":\"main\",\"name\":\"c.example\",\"colour\":1}";
    assert_problem(&send("POST", "/v1/domains", unknown), 422, &["/colour"]);
    let wrong = "{\"pool\":7,\"name\":[],\"expires_at\":\"tomorrow\",\"labels\":[]}";
    assert_problem(
        &send("POST", "/v1/domains", wrong),
        422,
        &["/pool", "/name", "/expires_at", "/labels"],
    );
    let nowhere = "{\"pool\":\"other\",\"name\":\"c.example\"}";
    let answer = send("POST", "/v1/domains", nowhere);
    assert!(matches!(answer.0, 404 | 422), "{answer:?}");
    let many: Vec<String> = (0..10_001).map(|n| format!("d{n}.example")).collect();
    let answer = server.call(
        "POST",
        "/v1/domains",
        Some(&json!({"pool": "main", "names": many})),
    );
    assert_problem(&answer, 422, &["/names"]);
    let huge = format!("{{\"pool\":\"{}\"}}", "x".repeat(40 << 20));
    let answer = server.try_send("POST", "/v1/domains", "application/json", &huge);
    // The server may close before it has read it all: then no answer comes through.
    if let Ok((status, body)) = answer {
        assert_eq!(status, 413, "{body}");
    }
    assert_eq!(
        server.call("GET", "/v1/pools/main", None).0,
        200,
        "and it lives on"
    );
    assert_problem(&server.call("GET", "/v1/nothing", None), 404, &[]);
    assert_problem(
        &server.call("PATCH", "/v1/pools", Some(&json!({}))),
        405,
        &[],
    );
    assert_problem(
        &server.call("GET", "/v1/domains/none.example", None),
        404,
        &[],
    );
    assert_problem(
        &server.call("GET", "/v1/domains?limit=1001", None),
        422,
        &[],
    );
}

#[test]
fn nothing_is_told_or_done_without_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    for (method, path) in [
        ("GET", "/v1/domains"),
        ("POST", "/v1/domains"),
        ("PUT", "/v1/pools/x"),
        ("GET", "/v1/backup"),
        ("GET", "/v1/audit"),
    ] {
        for token in [
            None,
            Some("Bearer nonsense"),
            Some("Basic YTpi"),
            Some("Bearer "),
        ] {
            let mut request = ureq::http::Request::builder()
                .method(method)
                .uri(format!("{}{path}", server.api));
            if let Some(token) = token {
                request = request.header("authorization", token);
            }
            let answer = http().run(request.body(()).unwrap()).unwrap();

            assert_eq!(answer.status().as_u16(), 401, "{method} {path}");
            assert!(answer.headers().contains_key("www-authenticate"));
        }
    }
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json"] {
        let answer = http().get(format!("{}{path}", server.api)).call().unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{path}");
    }
}

#[test]
fn pools_that_would_break_mail_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    let with = |pointer: &str, value: Value| {
        let mut pool = settings();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = pool.pointer_mut(parent).unwrap();
        match parent {
            Value::Object(object) => {
                object.insert(key.to_owned(), value);
            }
            Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
            _ => unreachable!("pointers lead into tables"),
        }
        server.call("PUT", "/v1/pools/trial", Some(&pool))
    };
    let digest = "8cb0fc6c527506a053f4f14c8464bebbd6dede2738d11468dd953d7d6a3021f1";

    for (pointer, value) in [
        ("/mail_host/0/tlsa/0", json!(format!("1 1 1 {digest}"))),
        ("/mail_host/0/tlsa/0", json!(format!("3 1 0 {digest}"))),
        ("/mail_host/0/tlsa/0", json!("3 1 1 8cb0")),
        ("/mail_host/0/name", json!("192.0.2.1")),
        ("/mail_host/0/addresses/0", json!("not an address")),
        ("/ttl", json!("1 hour")),
        ("/ttl", json!(3600)),
        ("/colour", json!("red")),
        ("/dnssec", json!({"algorithm": "rsasha1"})),
        ("/dnssec", json!({"denial": "nsec3"})),
        ("/mta_sts/mode", json!("strict")),
        ("/mta_sts/patterns", json!(["*.elsewhere.example"])),
        ("/extra", json!({"records": "@ MX 10 mx9"})),
        ("/extra", json!({"records": "_25._tcp.mx1 TLSA 3 1 1 00"})),
        ("/extra", json!({"records": "@ A 192.0.2.1"})),
        ("/extra", json!({"records": "www CNAM other.example."})),
        ("/mail_host", json!([])),
        ("/nameservers", json!([])),
        ("/caa", json!(["nonsense"])),
        ("/hostmaster", json!("nobody")),
        ("/ttl", json!("8d")),
    ] {
        let answer = with(pointer, value.clone());
        assert!(
            matches!(answer.0, 409 | 422),
            "{pointer} = {value}: {answer:?}"
        );
        let errors = answer.1["errors"].to_string();
        let top = pointer.split('/').nth(1).unwrap();
        assert!(
            errors.contains(&format!("/{top}")),
            "{pointer} = {value}: {errors}"
        );
    }
    // Two settings that do not go together: the fault is told at the host.
    let alias = with("/extra", json!({"records": "mx1 CNAME other.example."}));
    assert_problem(&alias, 422, &["/mail_host/0"]);
    assert_problem(&server.call("GET", "/v1/pools/trial", None), 404, &[]);
}

#[test]
fn what_waits_cannot_be_built_yet_is_refused_for_domains_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    let before = server.signed_zone("a.example");
    let change = |edit: &dyn Fn(&mut Value)| {
        let mut pool = settings();
        edit(&mut pool);
        server.call("PUT", "/v1/pools/main", Some(&pool))
    };
    for (what, answer) in [
        (
            "a host withdrawn",
            change(&|pool| drop(pool["mail_host"].as_array_mut().unwrap().pop())),
        ),
        (
            "an address replaced",
            change(&|pool| pool["mail_host"][0]["addresses"][0] = json!("192.0.2.99")),
        ),
        (
            "a TLSA record withdrawn",
            change(&|pool| drop(pool["mail_host"][0]["tlsa"].as_array_mut().unwrap().pop())),
        ),
        (
            "name servers",
            change(&|pool| pool["nameservers"][0] = json!("ns9.infra.example.")),
        ),
        (
            "algorithm",
            change(&|pool| pool["dnssec"] = json!({"algorithm": "ed25519"})),
        ),
    ] {
        assert_problem(&answer, 409, &[]);
        assert!(answer.1.to_string().len() > 80, "{what}: {answer:?}");
    }
    assert_eq!(
        server.signed_zone("a.example"),
        before,
        "nothing served changed"
    );

    let answer = change(&|pool| pool["subdomains"] = json!(true));
    assert_eq!(answer.0, 200, "{answer:?}");
    assert_eq!(
        udp(server.dns, &Query::new("user.a.example", MX))
            .answers(MX)
            .len(),
        2
    );
    // To take them away is accepted, and happens when nobody can miss them (T3).
    let answer = server.call("PUT", "/v1/pools/main", Some(&settings()));
    assert_eq!(answer.0, 200, "{answer:?}");
    assert_eq!(
        udp(server.dns, &Query::new("user.a.example", MX))
            .answers(MX)
            .len(),
        2
    );
    let pool = server.call("GET", "/v1/pools/main", None).1;
    assert_eq!(pool["plan"]["steps"][0]["step"], "R1", "{pool}");
}

#[test]
fn records_that_the_pool_owns_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    let put = |path: &str, records: Value| {
        let body = json!({"ttl": 300, "records": records});
        server.call(
            "PUT",
            &format!("/v1/domains/a.example/rrsets/{path}"),
            Some(&body),
        )
    };

    for (path, record) in [
        ("@/MX", "10 evil.example."),
        ("@/TXT", "\"v=spf1 +all\""),
        ("@/SOA", "a. b. 1 2 3 4 5"),
        ("@/DNSKEY", "257 3 13 AAAA"),
        ("mx1/A", "192.0.2.1"),
        (
            "_25._tcp.mx1/TLSA",
            "3 1 1 8cb0fc6c527506a053f4f14c8464bebbd6dede2738d11468dd953d7d6a3021f1",
        ),
        ("www/RRSIG", "\\# 1 00"),
        ("mx1/CNAME", "elsewhere.example."),
    ] {
        let answer = put(path, json!([record]));
        assert!(matches!(answer.0, 409 | 422), "{path}: {answer:?}");
    }
    for (path, records) in [
        ("www/A", json!(["192.0.2.256"])),
        ("www/A", json!([])),
        ("www/A", json!("192.0.2.1")),
        ("www/NOTYPE", json!(["1"])),
        ("a..b/A", json!(["192.0.2.1"])),
    ] {
        let answer = put(path, records);
        assert!((400..500).contains(&answer.0), "{path}: {answer:?}");
        assert!(answer.1["detail"].is_string(), "{path}: {answer:?}");
    }
    let answer = put("www/A", json!(["192.0.2.7"]));
    assert!(matches!(answer.0, 200 | 201), "{answer:?}");
    assert_eq!(
        udp(server.dns, &Query::new("www.a.example", 1)).answers(1)[0].rdata,
        [192, 0, 2, 7]
    );
}

#[test]
fn a_master_file_with_mistakes_names_every_line() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    let text = "$TTL 3600\n@ SOA ns1 h 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.999\nx CNAM y\n\
                y MX ten mx\nelsewhere.org. A 192.0.2.1\nw CNAME a\nw A 192.0.2.1\n@ DS 1 13 2 00\n";
    let (status, answer) = server
        .try_send("PUT", "/v1/zones/bad.example", "text/dns", text)
        .unwrap();

    assert_eq!(status, 422, "{answer}");
    for line in [4, 5, 6] {
        assert!(
            answer.contains(&format!("line {line}")) || answer.contains(&format!(":{line}")),
            "{line}: {answer}"
        );
    }
    let text = "$TTL 3600\n@ SOA ns1 h 1 2 3 4 5\n@ NS ns1\nelsewhere.org. A 192.0.2.1\nw CNAME a\nw A 192.0.2.1\n";
    let (status, answer) = server
        .try_send("PUT", "/v1/zones/bad.example", "text/dns", text)
        .unwrap();
    assert_eq!(status, 422, "{answer}");
    assert!(
        answer.contains("elsewhere.org") && answer.contains("CNAME"),
        "{answer}"
    );
    assert_problem(&server.call("GET", "/v1/zones/bad.example", None), 404, &[]);
}

#[test]
fn a_key_of_idempotency_stands_for_one_request() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    let post = |key: &str, name: &str| {
        let request = ureq::http::Request::builder()
            .method("POST")
            .uri(format!("{}/v1/domains", server.api))
            .header("authorization", format!("Bearer {}", server.token()))
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .body(json!({"pool": "main", "name": name}).to_string())
            .unwrap();
        let mut answer = http().run(request).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        (
            answer.status().as_u16(),
            serde_json::from_str::<Value>(&text).unwrap(),
        )
    };

    let first = post("k1", "c.example");
    let again = post("k1", "c.example");
    assert_eq!(first.0, 201);
    assert_eq!(again, first, "the same answer");
    assert_eq!(post("k1", "d.example").0, 422);
    assert_eq!(post("k2", "c.example").0, 409);
    let page = server.ok("GET", "/v1/domains", None);
    assert_eq!(page["items"].as_array().unwrap().len(), 3);
}

#[test]
fn a_change_against_an_old_tag_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    let uri = format!("{}/v1/pools/main", server.api);
    let get = || {
        let answer = http()
            .get(&uri)
            .header("authorization", format!("Bearer {}", server.token()))
            .call();
        answer.unwrap().headers()["etag"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    let put = |tag: &str, active: u64| {
        let mut pool = settings();
        pool["active"] = json!(active);
        let request = ureq::http::Request::builder()
            .method("PUT")
            .uri(&uri)
            .header("authorization", format!("Bearer {}", server.token()))
            .header("content-type", "application/json")
            .header("if-match", tag)
            .body(pool.to_string())
            .unwrap();
        http().run(request).unwrap().status().as_u16()
    };

    let tag = get();
    assert_eq!(put(&tag, 4), 200);
    assert_ne!(get(), tag);
    assert_eq!(put(&tag, 5), 412);
    assert_eq!(put("\"nonsense\"", 5), 412);
    assert_eq!(put("*", 6), 200);
}

#[test]
fn a_change_of_many_parts_is_all_or_nothing_and_can_be_tried() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    let zone = "$TTL 3600\n@ SOA ns1 h 1 14400 3600 1209600 900\n@ NS ns1\nns1 A 192.0.2.1\nns2 A 192.0.2.2\n";
    let good = json!([
        {"op": "put_zone", "zone": "infra.example", "records": zone},
        {"op": "add_domain", "pool": "main", "name": "c.example"},
        {"op": "put_rrset", "domain": "c.example", "owner": "www", "type": "A", "ttl": 300, "records": ["192.0.2.7"]},
    ]);
    let tried = server.ok(
        "POST",
        "/v1/changes",
        Some(&json!({"changes": good, "dry_run": true})),
    );
    assert_eq!(
        udp(server.dns, &Query::new("c.example", MX)).rcode(),
        5,
        "{tried}"
    );
    let mut bad = good.clone();
    bad.as_array_mut()
        .unwrap()
        .push(json!({"op": "add_domain", "pool": "main", "name": "a.example"}));
    bad.as_array_mut()
        .unwrap()
        .push(json!({"op": "rotate_everything"}));
    let answer = server.call("POST", "/v1/changes", Some(&json!({"changes": bad})));
    assert!(matches!(answer.0, 409 | 422), "{answer:?}");
    assert!(
        answer.1["errors"].to_string().contains("/changes/4"),
        "{answer:?}"
    );
    assert_eq!(udp(server.dns, &Query::new("c.example", MX)).rcode(), 5);

    server.ok("POST", "/v1/changes", Some(&json!({"changes": good})));
    assert_eq!(
        udp(server.dns, &Query::new("www.c.example", 1))
            .answers(1)
            .len(),
        1
    );
    assert_eq!(
        udp(server.dns, &Query::new("ns1.infra.example", 1))
            .answers(1)
            .len(),
        1
    );
}

/// Writes a configuration and returns what `check-config` and `serve` say of it.
fn config(folder: &Path, text: &str) -> (bool, String) {
    let file = folder.join("mxpool.toml");
    std::fs::write(&file, text).unwrap();
    let mut serve = Command::new(env!("CARGO_BIN_EXE_mxpool"));
    serve
        .args(["check-config", "--config"])
        .arg(&file)
        .current_dir(folder);
    run(&mut serve)
}

#[test]
fn a_check_tells_which_configuration_it_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut check = Command::new(env!("CARGO_BIN_EXE_mxpool"));
    check.arg("check-config").current_dir(folder.path());

    let (good, printed) = run(&mut check);
    assert!(good && printed.contains("no file was read"), "{printed}");
    std::fs::write(folder.path().join("mxpool.toml"), "[dns]\n").unwrap();
    let (good, printed) = run(&mut check);
    assert!(
        good && printed.contains("read from mxpool.toml"),
        "{printed}"
    );
}

#[test]
fn every_mistake_of_a_configuration_is_told_at_once_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[dns]\nlisten = [\"127.0.0.1:5300\", \"nowhere\"]\nworkers = 3\nudp_workers = -1\n\
                [api]\nlisten = \"192.0.2.1:8053\"\n[colour]\nred = 1\n[log]\nlevel = \"loud\"\n";
    let (good, printed) = config(folder.path(), text);

    assert!(!good);
    for line in [2, 3, 4, 6, 7, 10] {
        assert!(
            printed.contains(&format!("mxpool.toml:{line}")),
            "line {line}: {printed}"
        );
    }
    let (good, printed) = config(folder.path(), "[dns\n");
    assert!(!good && printed.contains("mxpool.toml:1"), "{printed}");
    let (good, printed) = config(folder.path(), "[dns]\nlisten = [\"127.0.0.1:5300\"]\n");
    assert!(good, "{printed}");
}

#[test]
fn a_store_is_not_opened_without_its_sealing_key() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    drop(server(folder.path()));
    let keys = folder.path().join("keys");
    let find = || {
        let mut files: Vec<_> = std::fs::read_dir(&keys)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        files.retain(|path| path.is_file() && path.extension().is_none_or(|end| end != "md"));
        files
    };
    let files = find();
    assert_eq!(files.len(), 1, "{files:?}");
    let (file, good) = (&files[0], std::fs::read(&files[0]).unwrap());
    assert_eq!(
        std::fs::metadata(file).unwrap().permissions().mode() & 0o777,
        0o600
    );

    std::fs::remove_file(file).unwrap();
    let error = Mxpool::try_start(folder.path())
        .err()
        .expect("no key, no start");
    assert!(error.contains("key"), "{error}");
    assert!(find().is_empty(), "no new key is made beside a store");

    let mut wrong = good.clone();
    let at = wrong.len() / 2;
    wrong[at] = if wrong[at] == b'0' { b'1' } else { b'0' };
    std::fs::write(file, &wrong).unwrap();
    std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
    let error = Mxpool::try_start(folder.path())
        .err()
        .expect("a wrong key, no start");
    assert!(error.contains("key"), "{error}");

    std::fs::write(file, &good).unwrap();
    std::fs::set_permissions(file, PermissionsExt::from_mode(0o644)).unwrap();
    let error = Mxpool::try_start(folder.path())
        .err()
        .expect("a readable key, no start");
    assert!(
        error.contains("644") || error.contains("readable"),
        "{error}"
    );

    std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
    let server = Mxpool::start(folder.path());
    assert_eq!(
        udp(server.dns, &Query::new("a.example", MX))
            .answers(MX)
            .len(),
        2
    );
}

#[test]
fn a_second_server_on_a_store_or_a_port_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = server(folder.path());
    let error = Mxpool::try_start(folder.path())
        .err()
        .expect("the store is taken");
    assert!(
        error.contains("another") || error.contains("process"),
        "{error}"
    );

    let other = tempfile::tempdir().unwrap();
    let text = format!(
        "[dns]\nlisten = [\"{}\"]\n[api]\nlisten = \"127.0.0.1:{}\"\n[store]\npath = {:?}\n[keys]\npath = {:?}\n",
        first.dns,
        free_port(),
        other.path().join("data"),
        other.path().join("keys"),
    );
    let file = other.path().join("mxpool.toml");
    std::fs::write(&file, text).unwrap();
    let mut serve = Command::new(env!("CARGO_BIN_EXE_mxpool"));
    serve
        .args(["serve", "--config"])
        .arg(&file)
        .current_dir(other.path());
    let (good, printed) = run(&mut serve);
    assert!(
        !good && printed.contains(&first.dns.to_string()),
        "{printed}"
    );
    for made in ["data", "keys"] {
        assert!(!other.path().join(made).exists(), "{made} was made");
    }
}

#[test]
fn a_backup_is_restored_into_an_empty_store_only() {
    let folder = tempfile::tempdir().unwrap();
    let (file, keys) = (
        folder.path().join("backup.mxpool"),
        folder.path().join("keys"),
    );
    let server = server(folder.path());
    let mut command = Command::new(env!("CARGO_BIN_EXE_mxpool"));
    command
        .arg("backup")
        .arg(&file)
        .args(["--api", &server.api, "--token", &server.token()]);
    let (good, text) = run(&mut command);
    assert!(good, "{text}");
    let ds = server.ds_lines("domains", "a.example");
    let serial = serial_of(&server, "a.example");
    let revision = server.ok("PUT", "/v1/pools/main", Some(&settings()))["revision"]
        .as_u64()
        .unwrap();
    drop(server);

    let restore = |target: &Path, file: &Path| {
        let config = target.join("mxpool.toml");
        let text = format!(
            "[store]\npath = {:?}\n[keys]\npath = {:?}\n",
            target.join("data"),
            target.join("keys")
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_mxpool"));
        command
            .arg("restore")
            .arg(file)
            .arg("--config")
            .arg(&config)
            .current_dir(target);
        run(&mut command)
    };
    let (good, text) = restore(folder.path(), &file);
    let into = format!(
        "into {}: a backup goes into an empty store only",
        folder.path().join("data").display()
    );
    assert!(!good && text.contains(&into), "{text}");

    let target = tempfile::tempdir().unwrap();
    let copied = run(Command::new("cp")
        .arg("-a")
        .arg(&keys)
        .arg(target.path().join("keys")));
    assert!(copied.0, "{}", copied.1);
    let mut broken = std::fs::read(&file).unwrap();
    let at = broken.len() / 2;
    broken[at] ^= 1;
    let damaged = target.path().join("damaged");
    std::fs::write(&damaged, &broken).unwrap();
    assert!(!restore(target.path(), &damaged).0, "a damaged backup");
    std::fs::write(&damaged, &broken[..at]).unwrap();
    assert!(!restore(target.path(), &damaged).0, "half a backup");
    let (good, text) = restore(target.path(), &file);
    assert!(good, "{text}");
    assert!(text.contains("opens it, and lies in"), "{text}");
    let keyless = tempfile::tempdir().unwrap();
    let (good, text) = restore(keyless.path(), &file);
    assert!(
        good && text.contains("it cannot start yet: sealing key"),
        "{text}"
    );
    let server = Mxpool::start(target.path());

    assert_eq!(server.ds_lines("domains", "a.example"), ds, "the same keys");
    let raised = serial_of(&server, "a.example").wrapping_sub(serial);
    assert!(
        raised > 100 && raised < 1 << 31,
        "the serial was raised by {raised}"
    );
    let answer = server.ok(
        "POST",
        "/v1/domains",
        Some(&json!({"pool": "main", "name": "new.example"})),
    );
    let now = answer["revision"].as_u64().unwrap();
    assert!(now >= revision + (1 << 32) - 2, "{now}");
}

/// Returns the serial that is served.
fn serial_of(server: &Mxpool, domain: &str) -> u32 {
    let reply = udp(server.dns, &Query::new(domain, crate::dns::SOA));
    let rdata = &reply.answers(crate::dns::SOA)[0].rdata;
    let at = rdata.len() - 20;
    u32::from_be_bytes([rdata[at], rdata[at + 1], rdata[at + 2], rdata[at + 3]])
}
