//! A pool in use changes step by step, and says what waits.

use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::dns::{MX, Query, udp};
use crate::process::{Mxpool, run, settings};

/// The type of IPv4 addresses.
const A: u16 = 1;

/// Returns a pool of one host, with waits of seconds.
fn hasty() -> Value {
    let mut pool = settings();
    pool["mail_host"].as_array_mut().unwrap().pop();
    pool["negative_ttl"] = json!("1s");
    pool["timing"] = json!({"guard": "0s", "propagation": "1s"});
    pool.as_object_mut().unwrap().remove("mta_sts");
    pool
}

#[test]
fn m4_a_host_that_joins_is_published_at_once_and_gets_its_mx_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let server = Mxpool::start(folder.path());
    server.ok("PUT", "/v1/pools/main", Some(&hasty()));
    server.add_domains("main", &["a.example".to_owned()]);
    let count = |name: &str, rtype| {
        udp(server.dns, &Query::new(name, rtype))
            .answers(rtype)
            .len()
    };
    let mut more = hasty();
    more["mail_host"] = settings()["mail_host"].clone();

    let answer = server.ok("PUT", "/v1/pools/main?expect_domains=1", Some(&more));

    let warning = answer["warnings"].to_string();
    assert!(warning.contains("/mail_host/1 waits for M4"), "{warning}");
    assert_eq!((count("mx2.a.example", A), count("a.example", MX)), (1, 1));
    let pool = server.ok("GET", "/v1/pools/main", None);
    assert_eq!(pool["mail_host"][1]["name"], "mx2", "{pool}");
    let step = &pool["plan"]["steps"][0];
    assert_eq!(
        (&step["step"], &step["setting"]),
        (&json!("M4"), &json!("/mail_host/1"))
    );
    assert_eq!(step["waiting_for"][0]["rule"], "M4", "{step}");
    let mut show = Command::new(env!("CARGO_BIN_EXE_mxpool"));
    show.args([
        "pool",
        "show",
        "main",
        "--api",
        &server.api,
        "--token",
        &server.token(),
    ]);
    let (shown, text) = run(&mut show);
    assert!(
        shown && text.contains("/mail_host/1: the host joins the MX; until then"),
        "{text}"
    );
    assert!(text.contains("M4: "), "{text}");

    let began = Instant::now();
    while count("a.example", MX) < 2 {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "the MX never comes"
        );
        sleep(Duration::from_millis(100));
    }
    let pool = server.ok("GET", "/v1/pools/main", None);
    assert_eq!(pool["plan"], Value::Null, "{pool}");
    assert_eq!(server.ok("GET", "/v1/counts", None)["items"], json!([]));
}
