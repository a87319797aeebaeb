//! What an operator leans on: metrics from the first change on, and a way back to a lost token.

use serde_json::json;

use crate::process::Mxpool;

/// The operator's zone around the pool.
const ZONE: &str = "$TTL 1d\n@ SOA ns1 hostmaster 1 4h 1h 14d 15m\n@ NS ns1\n@ NS ns2\n\
                    ns1 A 192.0.2.53\nns2 A 198.51.100.53\n";

/// Returns the value of a series, if it is there.
fn series(server: &Mxpool, name: &str) -> Option<f64> {
    let (status, text) = server.try_call("GET", "/metrics", None).unwrap();
    assert_eq!(status, 200, "{text}");
    let mut lines = text.lines().filter_map(|line| line.rsplit_once(' '));
    let (_, value) = lines.find(|(found, _)| *found == name)?;
    Some(value.parse().unwrap())
}

#[test]
fn every_signature_has_its_expiry_as_soon_as_it_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let server = Mxpool::start(folder.path());
    let of = |pool| format!("mxpool_rrsig_earliest_expiry_timestamp_seconds{{pool=\"{pool}\"}}");
    assert_eq!(series(&server, &of("")), None);

    server.put_zone("infra.example", ZONE);
    assert!(series(&server, &of("")).unwrap() > 1e9);

    server.put_pool("main");
    assert_eq!(series(&server, &of("main")), None, "nothing is signed yet");
    server.add_domains("main", &["a.example".to_owned()]);
    assert!(series(&server, &of("main")).unwrap() > 1e9);
    assert_eq!(series(&server, "mxpool_changes_failed_total"), Some(0.0));

    server.ok("DELETE", "/v1/domains/a.example?force=true", None);
    assert_eq!(series(&server, &of("main")), None, "nothing is left");
}

#[test]
fn a_lost_token_is_replaced_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Mxpool::start(folder.path());
    let lost = server.token();
    server.program().stop();
    std::fs::remove_file(folder.path().join("data/admin.token")).unwrap();

    let mut server = Mxpool::start(folder.path());

    assert_ne!(server.token(), lost);
    server.put_pool("main");
    let file = folder.path().join("data/admin.token");
    std::fs::write(&file, &lost).unwrap();
    let (status, answer) = server.call("GET", "/v1/pools", None);
    assert_eq!((status, &answer["status"]), (401, &json!(401)), "{answer}");
    let printed = server.program().printed();
    assert!(printed.contains("a new token"), "{printed}");

    server.program().stop();
    let mut server = Mxpool::start(folder.path());
    assert_eq!(server.token(), lost, "it is left alone");
    let printed = server.program().printed();
    assert!(printed.contains("another token"), "{printed}");
}
