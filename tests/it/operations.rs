//! What an operator leans on: metrics from the first change on, registrations that end and are renewed,
//! and a way back to a lost token.

use serde_json::{Value, json};

use crate::moments::ahead;
use crate::process::{Mxpool, settings, typed};

/// A day, in seconds.
const DAY: u64 = 86_400;

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
fn a9_a_domain_whose_registration_has_lapsed_is_used_once_it_is_renewed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Mxpool::start(folder.path());
    server.put_pool("main");
    let add = [
        "domain",
        "add",
        "main",
        "a.example",
        "--expires-at",
        "2020-01-31",
    ];
    let (code, printed) = typed(&server, &add);
    assert_eq!(code, Some(0), "{printed}");
    let domain = || server.ok("GET", "/v1/domains/a.example", None);
    assert_eq!(domain()["expires_at"], "2020-01-31T00:00:00Z");

    let (code, printed) = typed(&server, &["pool", "rotate", "main", "--dry-run"]);
    assert_eq!(code, Some(0), "{printed}");
    let why = "A9: the registration ended at 2020-01-31T00:00:00Z; when it is renewed, say until \
               when with `mxpool domain set a.example --expires-at TIME`";
    assert!(printed.contains(why), "{printed}");
    let renew = [
        "domain",
        "set",
        "a.example",
        "--expires-at",
        "2100-01-31",
        "--label",
        "k=v",
    ];
    let (code, printed) = typed(&server, &renew);
    assert_eq!(code, Some(0), "{printed}");
    assert!(
        printed.contains("what is said about a.example was changed"),
        "{printed}"
    );
    let (_, printed) = typed(&server, &renew);
    assert!(printed.contains("nothing was changed"), "{printed}");
    let (code, printed) = typed(&server, &["pool", "rotate", "main"]);
    assert_eq!(code, Some(0), "{printed}");

    assert_eq!(domain()["state"], "active");
    assert_eq!(domain()["labels"], json!({"k": "v"}));
    let forget = [
        "domain",
        "set",
        "a.example",
        "--forget",
        "expires-at",
        "--forget",
        "labels",
    ];
    let (code, printed) = typed(&server, &forget);
    assert_eq!(code, Some(0), "{printed}");
    assert_eq!(domain()["expires_at"], Value::Null);
    assert_eq!(domain()["labels"], json!({}));
    let (code, printed) = typed(&server, &["domain", "set", "a.example"]);
    assert_eq!(code, Some(2), "{printed}");
}

#[test]
fn a9_a_registration_that_ends_too_soon_is_warned_of_before_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let server = Mxpool::start(folder.path());
    server.put_pool("main");
    let (soon, later) = (ahead(DAY), ahead(2 * DAY));
    let add = ["domain", "add", "main", "a.example", "--expires-at", &soon];
    let (code, printed) = typed(&server, &add);
    assert_eq!(code, Some(0), "{printed}");

    let late = ["domain", "activate", "a.example", "--at", &later];
    let (code, refused) = typed(&server, &late);
    let (rotated, printed) = typed(&server, &["pool", "rotate", "main"]);

    assert_eq!(code, Some(1), "{refused}");
    assert!(
        refused.contains(&format!("A9: the registration ended at {soon}")),
        "{refused}"
    );
    assert_eq!(rotated, Some(0), "{printed}");
    let warned = format!("the registration of a.example ends at {soon}, before addresses");
    assert!(printed.contains(&warned), "{printed}");
    let (_, again) = typed(&server, &["domain", "activate", "a.example"]);
    assert!(
        again.contains("nothing was changed: a.example is active already"),
        "{again}"
    );
    let (_, set) = typed(
        &server,
        &["domain", "set", "a.example", "--expires-at", "2020-01-31"],
    );
    assert!(
        set.contains("warning: the registration of a.example ended at 2020-01-31"),
        "{set}"
    );
}

#[test]
fn rfc5321_4_5_4_1_a_suspension_that_outlasts_senders_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let server = Mxpool::start(folder.path());
    server.put_pool("main");
    server.add_domains("main", &["a.example".to_owned()]);
    let suspend = |until: &str| {
        let (code, printed) = typed(
            &server,
            &[
                "domain",
                "suspend",
                "a.example",
                "--answer",
                "later",
                "--reason",
                "r",
                "--until",
                until,
            ],
        );
        assert_eq!(code, Some(0), "{printed}");
        printed
    };

    let [short, long] = [DAY, 30 * DAY].map(|span| suspend(&ahead(span)));

    assert!(!short.contains("warning"), "{short}");
    assert!(
        long.contains("senders give up after 5d (queue_max)"),
        "{long}"
    );
}

#[test]
fn the_certificates_of_hosts_inside_the_domains_are_watched_by_pool() {
    let folder = tempfile::tempdir().unwrap();
    let server = Mxpool::start(folder.path());
    let made = rcgen::generate_simple_self_signed(["mx1.a.example".to_owned()]).unwrap();
    let mut pool = settings();
    let host = &mut pool["mail_host"][0];
    host["tlsa"].take();
    host["certificates"] = json!([made.cert.pem()]);

    server.ok("PUT", "/v1/pools/main", Some(&pool));

    let of = "mxpool_certificate_expiry_timestamp_seconds{host=\"mx1@main\"}";
    assert!(series(&server, of).unwrap() > 1e9);
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
