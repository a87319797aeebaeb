//! The server over real sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::mail::{Route, RoutingAnswer, RoutingPublisher, RoutingReader, routing_set};
use crate::metrics::Metrics;
use crate::wire::Apex;

use super::{RoutingConfig, RoutingLimits, RoutingListen, Running, Socketmap};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Returns a set with a domain for each answer.
pub(super) fn routes() -> (RoutingPublisher, RoutingReader) {
    let (mut publisher, reader) = routing_set();
    let routes = [
        ("accept.example", RoutingAnswer::Accept, true, false),
        ("later.example", RoutingAnswer::Later, true, false),
        ("never.example", RoutingAnswer::Never, true, false),
        ("strict.example", RoutingAnswer::Never, false, false),
        ("gone.example", RoutingAnswer::Gone, true, true),
        ("wide.example", RoutingAnswer::Later, true, true),
        ("narrow.wide.example", RoutingAnswer::Accept, true, false),
    ];
    publisher.publish(routes.map(|(name, answer, postmaster, subdomains)| {
        let route = Route {
            answer,
            postmaster,
            subdomains,
        };
        (Apex::parse(name).unwrap(), Some(route))
    }));
    (publisher, reader)
}

/// Starts a server on a socket in a folder of its own.
fn start(limits: RoutingLimits) -> (Server, RoutingPublisher) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("routing.sock");
    let config = RoutingConfig {
        listen: RoutingListen::Unix(path.clone()),
        limits,
    };
    let (publisher, reader) = routes();
    let running = Socketmap::start(config, reader, Arc::new(Metrics::new())).unwrap();
    let server = Server {
        running,
        path,
        _folder: folder,
    };
    (server, publisher)
}

/// A server under test.
struct Server {
    /// The server.
    running: Running,
    /// Its socket.
    path: PathBuf,
    /// The folder of the socket.
    _folder: TempDir,
}

impl Server {
    /// Connects a client.
    fn connect(&self) -> UnixStream {
        let client = UnixStream::connect(&self.path).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.set_write_timeout(Some(PATIENCE)).unwrap();
        client
    }
}

/// Returns a request as a netstring.
fn request(text: &str) -> Vec<u8> {
    format!("{}:{text},", text.len()).into_bytes()
}

/// Writes a request and reads its reply, which has `expected` in it.
fn ask(mut client: impl Read + Write, text: &str, expected: &str) {
    client.write_all(&request(text)).unwrap();
    read(&mut client, &request(expected));
}

/// Reads as many octets as are expected.
fn read(client: &mut impl Read, expected: &[u8]) {
    let mut found = vec![0; expected.len()];
    client.read_exact(&mut found).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&found),
        String::from_utf8_lossy(expected)
    );
}

/// Reads until the server closes the connection; returns what came.
fn rest(client: &mut impl Read) -> Vec<u8> {
    let mut found = Vec::new();
    match client.read_to_end(&mut found) {
        Ok(_) => {}
        // What we sent and it had not read makes the kernel say so.
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    found
}

#[test]
fn look_ups_follow_what_is_published() {
    let (server, mut publisher) = start(RoutingLimits::default());
    let client = server.connect();

    ask(&client, "recipients bob@accept.example", "OK DUNNO");
    let gone = Route {
        answer: RoutingAnswer::Gone,
        postmaster: false,
        subdomains: false,
    };
    publisher.publish([(Apex::parse("accept.example").unwrap(), Some(gone))]);

    ask(&client, "recipients bob@accept.example", "NOTFOUND ");
    ask(&client, "domains accept.example", "NOTFOUND ");
    server.running.stop();
}

#[test]
fn thousands_of_requests_at_once_get_their_replies_in_order() {
    let (server, _publisher) = start(RoutingLimits::default());
    let client = server.connect();
    let (mut requests, mut replies) = (Vec::new(), Vec::new());
    for _ in 0..5_000 {
        requests.extend(request("domains accept.example"));
        replies.extend(request("OK accept.example"));
        requests.extend(request("recipients bob@never.example"));
        replies.extend(request("OK 556 5.1.10 This domain takes no mail"));
        requests.extend(request("recipients never.example"));
        replies.extend(request("NOTFOUND "));
    }

    std::thread::scope(|scope| {
        // In pieces that end where no request does.
        scope.spawn(|| {
            for piece in requests.chunks(7_919) {
                (&client).write_all(piece).unwrap();
            }
        });
        read(&mut &client, &replies);
    });
    server.running.stop();
}

#[test]
fn a_request_may_come_octet_by_octet() {
    let (server, _publisher) = start(RoutingLimits::default());
    let mut client = server.connect();

    for octet in request("domains accept.example") {
        client.write_all(&[octet]).unwrap();
    }

    read(&mut client, &request("OK accept.example"));
    server.running.stop();
}

#[test]
fn garbage_and_what_is_too_long_close_the_connection() {
    let (server, _publisher) = start(RoutingLimits::default());
    let good = request("domains accept.example");
    let reply = request("OK accept.example");
    for garbage in ["GET / HTTP/1.1\r\n", "3:abcd,", ":", "01:a,"] {
        let mut client = server.connect();
        client.write_all(&good).unwrap();
        read(&mut client, &reply);
        client.write_all(garbage.as_bytes()).unwrap();
        assert_eq!(rest(&mut client), b"", "{garbage}");
    }
    let mut client = server.connect();
    client.write_all(b"9999:recipients a").unwrap();
    let found = String::from_utf8(rest(&mut client)).unwrap();
    assert!(
        found.contains(":PERM expected at most 4096 octets"),
        "{found}"
    );
    server.running.stop();
}

#[test]
fn connections_end_where_the_limit_is_and_room_comes_back() {
    let limits = RoutingLimits {
        connections: 2,
        ..RoutingLimits::default()
    };
    let (server, _publisher) = start(limits);
    let one = server.connect();
    let two = server.connect();
    for client in [&one, &two] {
        ask(client, "domains accept.example", "OK accept.example");
    }

    assert_eq!(rest(&mut server.connect()), b"", "a third is closed");
    ask(&one, "domains accept.example", "OK accept.example");
    drop(two);

    let begun = Instant::now();
    loop {
        let mut client = server.connect();
        let asked = client.write_all(&request("domains accept.example"));
        if asked.is_ok() && !rest_of_one(&mut client).is_empty() {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "its place comes back");
    }
    server.running.stop();
}

/// Reads what comes first, or nothing when the connection is closed.
fn rest_of_one(client: &mut UnixStream) -> Vec<u8> {
    let mut octets = [0; 64];
    let read = client.read(&mut octets).unwrap_or(0);
    octets[..read].to_vec()
}

#[test]
fn who_is_silent_or_too_slow_is_closed() {
    let limits = RoutingLimits {
        idle: Duration::from_millis(50),
        ..RoutingLimits::default()
    };
    let (server, _publisher) = start(limits);

    assert_eq!(rest(&mut server.connect()), b"", "silent");
    let mut client = server.connect();
    client.write_all(b"22:domains").unwrap();
    assert_eq!(rest(&mut client), b"", "cut off");
    // Each octet is in time, the request is not.
    let client = server.connect();
    let begun = Instant::now();
    let slow = std::iter::once(b"999:".as_slice()).chain(std::iter::repeat(b"a".as_slice()));
    for octets in slow {
        if (&client).write_all(octets).is_err() {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "it is closed in the end");
        std::thread::yield_now();
    }
    server.running.stop();
}

#[test]
fn who_never_reads_is_dropped() {
    let limits = RoutingLimits {
        write: Duration::from_millis(50),
        ..RoutingLimits::default()
    };
    let (server, _publisher) = start(limits);
    let mut client = server.connect();
    let requests = request("recipients bob@later.example").repeat(1_000);

    // Its own buffers fill up, then it is told.
    let begun = Instant::now();
    while client.write_all(&requests).is_ok() {
        assert!(begun.elapsed() < PATIENCE, "it is dropped in the end");
    }
    assert!(begun.elapsed() < PATIENCE, "it is dropped in the end");
    let other = server.connect();
    ask(&other, "domains accept.example", "OK accept.example");
    server.running.stop();
}

#[test]
fn a_stop_ends_silent_and_stuck_clients_and_takes_the_socket_away() {
    let (server, _publisher) = start(RoutingLimits::default());
    let mut silent = server.connect();
    ask(&silent, "domains accept.example", "OK accept.example");
    let stuck = server.connect();
    stuck
        .set_write_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let requests = request("recipients bob@later.example").repeat(1_000);
    while (&stuck).write_all(&requests).is_ok() {}
    let begun = Instant::now();

    server.running.stop();

    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
    assert_eq!(rest(&mut silent), b"");
    assert!(!server.path.exists());
    assert!(UnixStream::connect(&server.path).is_err());
}

#[test]
fn loopback_tcp_answers_too() {
    let listen = RoutingListen::Tcp("127.0.0.1:0".parse().unwrap());
    let (_publisher, reader) = routes();
    let running = Socketmap::start(listen.into(), reader, Arc::default()).unwrap();
    let RoutingListen::Tcp(address) = running.listen().clone() else {
        panic!("a TCP address");
    };
    let client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();

    ask(&client, "domains wide.example", "OK wide.example");
    running.stop();

    assert_eq!(rest(&mut &client), b"");
    assert!(TcpStream::connect(address).is_err());
}
