//! What mail hosts are told while a domain lives.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::json;

use crate::process::{Mxpool, free_port};

/// Asks one map on a connection of its own, as a look-up program does.
fn ask(socket: &Path, map: &str, key: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    let request = format!("{map} {key}");
    write!(stream, "{}:{request},", request.len()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let (length, reply) = reply.split_once(':').unwrap();
    let reply = reply.strip_suffix(',').unwrap();
    assert_eq!(length.parse(), Ok(reply.len()));
    reply.to_owned()
}

/// L6: standby domains are answered "later" and take postmaster's mail; A8: active ones take all.
#[test]
fn mail_hosts_follow_a_domains_life_and_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("run/routing.sock");
    let start = || {
        let dns = ([127, 0, 0, 1], free_port()).into();
        let routing = "[routing]\nlisten = \"unix:run/routing.sock\"\n";
        Mxpool::try_start_at(folder.path(), dns, routing).unwrap()
    };
    let mut server = start();
    assert_eq!(ask(&socket, "domains", "a.example"), "NOTFOUND ");
    server.put_pool("main");
    server.add_domains("main", &["a.example".to_owned(), "b.example".to_owned()]);

    assert_eq!(ask(&socket, "domains", "a.example"), "OK a.example");
    let later = ask(&socket, "recipients", "bob@a.example");
    assert!(later.starts_with("OK 450 4.2.1 "), "{later}");
    let office = ask(&socket, "recipients", "Postmaster@a.example");
    assert_eq!(office, "OK DUNNO");

    let to_active = json!({"to": "active"});
    server.ok("POST", "/v1/domains/a.example/transition", Some(&to_active));
    assert_eq!(ask(&socket, "recipients", "bob@a.example"), "OK DUNNO");
    let metrics = server.ok("GET", "/metrics", None).to_string();
    let counted = "mxpool_routing_lookups_total{map=\\\"recipients\\\",result=\\\"later\\\"} 1";
    assert!(metrics.contains(counted), "{metrics}");

    assert_eq!(server.program().stop(), Some(0));
    assert!(!socket.exists(), "a clean stop takes the socket away");
    let mut server = start();
    assert_eq!(ask(&socket, "recipients", "bob@a.example"), "OK DUNNO");

    // A socket that a killed server left is in nobody's way.
    server.program().kill();
    assert!(socket.exists());
    let _server = start();
    let later = ask(&socket, "recipients", "bob@b.example");
    assert!(later.starts_with("OK 450 4.2.1 "), "{later}");
}
