//! Policy hosts, and servers that count: honest, redirecting, huge, slow, with wrong certificates.

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use super::authority::{Authority, Identity};
use super::*;
use crate::lifecycle::{Fact, OTHER_POLICY, PolicyQuestion};
use crate::watch::counts::Counts;
use crate::watch::policy::Policies;
use crate::watch::tls::Tls;

const TEXT: &str =
    "version: STSv1\r\nmode: enforce\r\nmx: mx1.infra.example\r\nmax_age: 604800\r\n";

/// Returns an answer of HTTP.
fn answer(status: &str, media_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// Serves an answer by TLS to everybody; `None` never answers.
async fn host(last: u8, identity: &Identity, answer: Option<String>) -> (SocketAddr, JoinSet<()>) {
    serve(listener(last).await, identity, answer)
}

/// Serves an answer at a listener.
fn serve(
    listener: TcpListener,
    identity: &Identity,
    answer: Option<String>,
) -> (SocketAddr, JoinSet<()>) {
    let acceptor = identity.acceptor();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // Clients that do not like the certificate go away.
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let Ok(octet) = stream.read_u8().await else {
                    break;
                };
                request.push(octet);
            }
            match &answer {
                Some(answer) => {
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let _ = stream.shutdown().await;
                }
                None => std::future::pending().await,
            }
        }
    });
    (address, tasks)
}

/// Returns what is learnt of policy hosts at several addresses of one port.
async fn look(port: u16, addresses: Vec<IpAddr>, trust: &CertificateDer<'static>) -> Vec<Fact> {
    let mut config = config(SocketAddr::new(local(1), 1));
    config.ports.https = port;
    config.trust = Trust::Only(vec![trust.clone()]);
    config.limits.https_timeout = Duration::from_millis(500);
    let tls = Arc::new(Tls::new(&config.trust, standing()).unwrap());
    let wanted = PolicyQuestion {
        id: "7x1".to_owned(),
        text: TEXT.to_owned(),
        addresses,
    };
    let policies = Policies::new(&config, tls);
    policies.look(&apex("burner.example"), &wanted).await
}

/// Returns what is learnt of one policy host that answers so.
async fn answered(answer: Option<String>) -> Vec<Fact> {
    let authority = Authority::new();
    let identity = authority.issue("mta-sts.burner.example");
    let (address, _tasks) = host(1, &identity, answer).await;
    look(address.port(), vec![local(1)], &authority.certificate).await
}

/// What is learnt of a host that serves something else.
fn other() -> Vec<Fact> {
    vec![Fact::Policy(OTHER_POLICY.to_owned())]
}

#[tokio::test]
async fn s3_the_wanted_text_on_every_host_is_served() {
    let served = answered(Some(answer("200 OK", "text/plain; charset=utf-8", TEXT))).await;

    assert_eq!(served, [Fact::Policy("7x1".to_owned())]);
}

/// S3: no redirect is followed, and nothing but 200 and text/plain counts.
#[tokio::test]
async fn s3_redirects_errors_and_other_texts_are_something_else() {
    let redirect =
        "HTTP/1.1 301 Moved\r\nLocation: https://burner.example/\r\nContent-Length: 0\r\n\r\n";
    let huge = "x".repeat(100_000);
    for said in [
        redirect.to_owned(),
        answer("404 Not Found", "text/plain", TEXT),
        answer("200 OK", "text/html", TEXT),
        answer("200 OK", "text/plain", &TEXT.replace("enforce", "testing")),
        answer("200 OK", "text/plain", &huge),
    ] {
        assert_eq!(answered(Some(said.clone())).await, other(), "{said:.60}");
    }
}

#[tokio::test]
async fn s3_a_host_that_fails_is_unknown() {
    for said in [
        None,
        Some(answer("503 Service Unavailable", "text/plain", "")),
        Some("SSH-2.0-x\r\n".to_owned()),
        Some(format!(
            "HTTP/1.1 200 OK\r\nX: {}\r\n\r\n",
            "x".repeat(100_000)
        )),
        Some(String::new()),
    ] {
        assert_eq!(answered(said).await, []);
    }
    let closed = listener(1).await.local_addr().unwrap();
    let trust = Authority::new().certificate;
    assert_eq!(look(closed.port(), vec![local(1)], &trust).await, []);
}

/// S3: senders want a certificate for the policy host of an authority that they trust.
#[tokio::test]
async fn s3_a_wrong_certificate_is_something_else() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let good = answer("200 OK", "text/plain", TEXT);
    for identity in [
        authority.issue("burner.example"),
        stranger.issue("mta-sts.burner.example"),
    ] {
        let (address, _tasks) = host(1, &identity, Some(good.clone())).await;

        let seen = look(address.port(), vec![local(1)], &authority.certificate).await;

        assert_eq!(seen, other());
    }
}

/// S9: one host of several that lags, or is silent, holds the id back.
#[tokio::test]
async fn s9_every_policy_host_counts() {
    let authority = Authority::new();
    let identity = authority.issue("mta-sts.burner.example");
    let good = answer("200 OK", "text/plain", TEXT);
    let (first, _tasks) = host(1, &identity, Some(good.clone())).await;
    let port = first.port();
    let both = || vec![local(1), local(2)];

    let silent = look(port, both(), &authority.certificate).await;
    let second = TcpListener::bind((local(2), port)).await.unwrap();
    let old = answer("200 OK", "text/plain", &TEXT.replace("mx1", "mx0"));
    let (_, lagging) = serve(second, &identity, Some(old));
    let lags = look(port, both(), &authority.certificate).await;
    drop(lagging);

    assert_eq!((silent, lags), (vec![], other()));
    assert_eq!(look(port, vec![], &authority.certificate).await, []);
}

#[tokio::test]
async fn an_address_without_a_route_is_left_out_beside_one_that_was_tried() {
    let authority = Authority::new();
    let identity = authority.issue("mta-sts.burner.example");
    let good = answer("200 OK", "text/plain", TEXT);
    let (address, _tasks) = host(1, &identity, Some(good)).await;
    // No connection leads to a broadcast address.
    let nowhere = IpAddr::from([255, 255, 255, 255]);
    let trust = &authority.certificate;

    let beside = look(address.port(), vec![nowhere, local(1)], trust).await;
    let alone = look(address.port(), vec![nowhere], trust).await;

    assert_eq!(beside, [Fact::Policy("7x1".to_owned())]);
    assert_eq!(alone, []);
}

/// X5: the counts of all listed servers together, or nothing.
#[tokio::test]
async fn x5_counts_are_added_up_only_when_every_listed_server_counts() {
    let authority = Authority::new();
    let identity = authority.issue("127.0.0.1");
    let list = r#"{"items":[{"name":"old.example","queries_per_day":3}]}"#;
    let (address, _tasks) = host(
        1,
        &identity,
        Some(answer("200 OK", "application/json", list)),
    )
    .await;
    let source = |address| CountsSource {
        address,
        host: "127.0.0.1".to_owned(),
        path: "/v1/counts".to_owned(),
        tls: true,
        token: Some(CountsToken::new("secret".to_owned())),
    };
    let closed = listener(1).await.local_addr().unwrap();
    let mut config = config(address);
    config.servers = [
        ("ns1.infra.example", address),
        ("ns2.infra.example", address),
        ("ns3.infra.example", closed),
    ]
    .map(|(server, address)| ListedServer {
        name: name(server),
        probe: Vec::new(),
        counts: Some(source(address)),
    })
    .into();
    let trust = Trust::Only(vec![authority.certificate.clone()]);
    let tls = Arc::new(Tls::new(&trust, standing()).unwrap());
    let counts = Counts::new(&config, tls, standing());
    let (one, two, three) = (
        name("ns1.infra.example"),
        name("ns2.infra.example"),
        name("ns3.infra.example"),
    );
    let old = apex("old.example");

    let both = counts.look(&old, &[one.clone(), two.clone()]).await;
    let silent = counts.look(&old, &[one.clone(), three]).await;
    let unlisted = counts.look(&old, &[one.clone(), name("ns4.example")]).await;
    let uncounted = counts.look(&apex("new.example"), &[one, two]).await;

    assert_eq!(both, [Fact::Queries(6)]);
    assert_eq!((silent, unlisted, uncounted), (vec![], vec![], vec![]));
}
