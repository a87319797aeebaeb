//! Mail hosts: ready, deferring, deaf, with wrong keys, endless.

use std::sync::Mutex;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::task::JoinSet;

use super::authority::{Authority, Identity};
use super::name_server::{NameServers, Say};
use super::*;
use crate::lifecycle::{Fact, MailHostQuestion, MailQuestion};
use crate::mail::TlsaRecord;
use crate::watch::mail_hosts::MailHosts;
use crate::watch::resolver::Resolvers;
use crate::watch::tls::Tls;
use crate::wire::{Rdata, Rtype, Section};

/// How a mail host behaves.
#[derive(Clone)]
struct Behaviour {
    /// What it says first.
    banner: String,
    /// Whether it offers STARTTLS.
    starttls: bool,
    /// What it says behind its yes to STARTTLS, in the clear.
    injected: &'static str,
    /// What it says to a recipient of a domain, if not yes.
    refusals: Vec<(&'static str, &'static str)>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            banner: "220 mx1.infra.example ESMTP\r\n".to_owned(),
            starttls: true,
            injected: "",
            refusals: Vec::new(),
        }
    }
}

/// What mail hosts were told, line by line, a connection's beginning being `CONNECT`.
type Heard = Arc<Mutex<Vec<String>>>;

/// Serves as a mail host.
fn serve(
    listener: TcpListener,
    identity: &Identity,
    behaviour: Behaviour,
    heard: &Heard,
) -> JoinSet<()> {
    let acceptor = identity.acceptor();
    let heard = heard.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            heard.lock().unwrap().push("CONNECT".to_owned());
            if stream.write_all(behaviour.banner.as_bytes()).await.is_err() {
                continue;
            }
            let mut plain = BufReader::new(stream);
            if !talk(&mut plain, &behaviour, behaviour.starttls, &heard).await {
                continue;
            }
            let Ok(stream) = acceptor.accept(plain.into_inner()).await else {
                continue;
            };
            talk(&mut BufReader::new(stream), &behaviour, false, &heard).await;
        }
    });
    tasks
}

/// Talks until the client leaves; returns whether TLS is to begin.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
    behaviour: &Behaviour,
    offers: bool,
    heard: &Heard,
) -> bool {
    loop {
        let mut line = String::new();
        if !matches!(stream.read_line(&mut line).await, Ok(1..)) {
            return false;
        }
        let line = line.trim_end().to_owned();
        heard.lock().unwrap().push(line.clone());
        let mut refusals = behaviour.refusals.iter();
        let refusal = refusals.find(|(domain, _)| line.ends_with(&format!("@{domain}>")));
        let reply = match (line.split(' ').next(), refusal) {
            (Some("EHLO"), _) if offers => "250-mx1\r\n250-STARTTLS\r\n250 SIZE 1\r\n".to_owned(),
            (Some("EHLO"), _) => "250-mx1\r\n250 SIZE 1\r\n".to_owned(),
            (Some("STARTTLS"), _) => format!("220 go\r\n{}", behaviour.injected),
            (Some("RCPT"), Some((_, refusal))) => format!("{refusal}\r\n"),
            _ => "250 ok\r\n".to_owned(),
        };
        if stream.get_mut().write_all(reply.as_bytes()).await.is_err() {
            return false;
        }
        if line == "STARTTLS" {
            return true;
        }
    }
}

/// What is wanted of the host.
struct Wanted {
    /// Its TLSA.
    tlsa: Vec<TlsaRecord>,
    /// Whether a policy asks for its certificate.
    in_policy: bool,
    /// Whether the domains take mail.
    accepts: bool,
    /// How many addresses of loopback it has.
    addresses: u8,
}

/// The facts of a domain whose mail is ready.
fn ready() -> Vec<Fact> {
    vec![Fact::Mail(true)]
}

/// The facts of a domain whose mail is not ready.
fn not_ready() -> Vec<Fact> {
    vec![Fact::Mail(false)]
}

/// The facts of a domain whose mail is deferred.
fn defers() -> Vec<Fact> {
    vec![Fact::Mail(false), Fact::Deferral]
}

/// Returns what is learnt of the mail of domains; `mx` is the host that the resolver shows.
async fn look(
    port: u16,
    wanted: &Wanted,
    trust: &Authority,
    domains: &[&str],
    mx: Option<&'static str>,
) -> Vec<Vec<Fact>> {
    let script = move |qname: &Name, qtype: Rtype, _: u16| match (qtype, mx) {
        (Rtype::MX, Some(mx)) => {
            let mx = Rdata::mx(10, &name(mx));
            Say::default().with(Section::Answer, qname, Rtype::MX, 60, mx)
        }
        (_, None) => Say::nothing(),
        _ => Say::default(),
    };
    let resolver = NameServers::start(vec![(1, Box::new(script))]).await;
    let mut config = config(resolver.at(1));
    config.ports.smtp = port;
    config.limits.smtp_timeout = Duration::from_millis(800);
    let trust = Trust::Only(vec![trust.certificate.clone()]);
    let tls = Arc::new(Tls::new(&trust, standing()).unwrap());
    let patience = config.limits.dns_timeout;
    let resolvers = Arc::new(Resolvers::new(config.resolvers.clone(), patience));
    let hosts = MailHosts::new(&config, resolvers, tls);
    let question = MailQuestion {
        hosts: vec![MailHostQuestion {
            name: name("mx1.infra.example"),
            addresses: (1..=wanted.addresses).map(local).collect(),
            tlsa: wanted.tlsa.clone(),
            in_policy: wanted.in_policy,
        }],
        accepts: wanted.accepts,
    };
    let questions: Vec<_> = domains
        .iter()
        .map(|domain| (apex(domain), question.clone()))
        .collect();
    let seen = hosts.look(&questions).await;
    seen.into_iter().map(|(_, facts)| facts).collect()
}

/// Returns what is learnt of a domain at one host that behaves so; its key is the one wanted.
async fn behaves(behaviour: Behaviour) -> Vec<Fact> {
    let authority = Authority::new();
    let identity = authority.issue("mx1.infra.example");
    let wanted = Wanted {
        tlsa: vec![tlsa_of(&identity)],
        in_policy: false,
        accepts: true,
        addresses: 1,
    };
    let listener = listener(1).await;
    let port = listener.local_addr().unwrap().port();
    let _tasks = serve(listener, &identity, behaviour, &Heard::default());
    let domains = ["burner.example"];
    let mx = Some("mx1.infra.example");
    look(port, &wanted, &authority, &domains, mx)
        .await
        .remove(0)
}

/// Returns the TLSA `3 1 1` of a certificate's key.
fn tlsa_of(identity: &Identity) -> TlsaRecord {
    let (_, certificate) = x509_parser::parse_x509_certificate(&identity.chain[0]).unwrap();
    let key = certificate.tbs_certificate.subject_pki.raw;
    let digest = ring::digest::digest(&ring::digest::SHA256, key);
    TlsaRecord::new(3, 1, 1, digest.as_ref().to_vec()).unwrap()
}

#[tokio::test]
async fn a4_one_visit_asks_for_all_domains_of_a_host() {
    let authority = Authority::new();
    let identity = authority.issue("mx1.infra.example");
    let heard = Heard::default();
    let behaviour = Behaviour {
        refusals: vec![
            ("b.example", "450 4.2.1 not yet"),
            ("c.example", "550 5.1.1 who"),
            ("d.example", "450 4.2.0 Greylisted, see you"),
        ],
        ..Behaviour::default()
    };
    let listener = listener(1).await;
    let port = listener.local_addr().unwrap().port();
    let _tasks = serve(listener, &identity, behaviour, &heard);
    let wanted = Wanted {
        tlsa: vec![tlsa_of(&identity)],
        in_policy: false,
        accepts: true,
        addresses: 1,
    };

    let domains = ["a.example", "b.example", "c.example", "d.example"];
    let mx = Some("mx1.infra.example");
    let facts = look(port, &wanted, &authority, &domains, mx).await;

    assert_eq!(facts, [ready(), defers(), not_ready(), vec![]]);
    let heard = heard.lock().unwrap();
    let connections = heard.iter().filter(|line| *line == "CONNECT").count();
    assert_eq!(connections, 1, "{heard:?}");
    assert!(heard.contains(&"RCPT TO:<postmaster@a.example>".to_owned()));
    assert!(heard.contains(&"MAIL FROM:<>".to_owned()));
    assert!(!heard.iter().any(|line| line.starts_with("DATA")));
}

/// R2: what makes senders try again counts from when mail is taken, not before.
#[tokio::test]
async fn r2_a_deferral_counts_only_where_mail_is_taken() {
    let authority = Authority::new();
    let closed = listener(1).await.local_addr().unwrap();
    let wanted = |accepts| Wanted {
        tlsa: Vec::new(),
        in_policy: false,
        accepts,
        addresses: 1,
    };
    let mx = Some("mx1.infra.example");

    let active = look(closed.port(), &wanted(true), &authority, &["a.example"], mx).await;
    let standby = look(
        closed.port(),
        &wanted(false),
        &authority,
        &["a.example"],
        mx,
    )
    .await;

    assert_eq!((active, standby), (vec![defers()], vec![not_ready()]));
}

#[tokio::test]
async fn a_host_that_senders_cannot_use_is_seen_to_defer() {
    let with = |change: fn(&mut Behaviour)| {
        let mut behaviour = Behaviour::default();
        change(&mut behaviour);
        behaviour
    };
    for (behaviour, what) in [
        (with(|it| it.starttls = false), "no STARTTLS"),
        (
            with(|it| it.injected = "250 early\r\n"),
            "plain text after STARTTLS",
        ),
        (with(|it| it.banner = "421 too busy\r\n".to_owned()), "421"),
        (with(|it| it.banner = "SSH-2.0-x\r\n".to_owned()), "no SMTP"),
        (with(|it| it.banner = String::new()), "silence"),
        (
            with(|it| it.banner = "220-hello\r\n".repeat(100_000)),
            "an endless banner",
        ),
        (
            with(|it| it.banner = "2".repeat(1_000_000)),
            "an endless line",
        ),
    ] {
        assert_eq!(behaves(behaviour).await, defers(), "{what}");
    }
    assert_eq!(behaves(Behaviour::default()).await, ready());
}

/// Returns what is learnt of a host with a certificate when something else is wanted of it.
async fn with_key(
    identity: &Identity,
    tlsa: Vec<TlsaRecord>,
    policy_of: Option<&Authority>,
) -> Vec<Fact> {
    let listener = listener(1).await;
    let port = listener.local_addr().unwrap().port();
    let _tasks = serve(listener, identity, Behaviour::default(), &Heard::default());
    let wanted = Wanted {
        tlsa,
        in_policy: policy_of.is_some(),
        accepts: true,
        addresses: 1,
    };
    let stranger = Authority::new();
    let trust = policy_of.unwrap_or(&stranger);
    let mx = Some("mx1.infra.example");
    look(port, &wanted, trust, &["burner.example"], mx)
        .await
        .remove(0)
}

#[tokio::test]
async fn a_certificate_is_judged_as_senders_judge_it() {
    let (authority, other) = (Authority::new(), Authority::new());
    let good = authority.issue("mx1.infra.example");
    let misnamed = authority.issue("mx2.infra.example");
    let issuer = |of: &Authority| {
        let digest = ring::digest::digest(&ring::digest::SHA256, &of.certificate);
        vec![TlsaRecord::new(2, 0, 1, digest.as_ref().to_vec()).unwrap()]
    };

    // DANE-EE: the key alone counts (RFC 7671, section 5.1).
    assert_eq!(
        with_key(&misnamed, vec![tlsa_of(&misnamed)], None).await,
        ready()
    );
    assert_eq!(
        with_key(&good, vec![tlsa_of(&misnamed)], None).await,
        defers()
    );
    // Current and next key: one of them is enough.
    let both = vec![tlsa_of(&misnamed), tlsa_of(&good)];
    assert_eq!(with_key(&good, both, None).await, ready());
    // DANE-TA: issuer and name count (RFC 7672, section 3.1.2).
    assert_eq!(with_key(&good, issuer(&authority), None).await, ready());
    assert_eq!(
        with_key(&misnamed, issuer(&authority), None).await,
        defers()
    );
    assert_eq!(with_key(&good, issuer(&other), None).await, defers());
    // MTA-STS: authority and name count (RFC 8461, section 4.2).
    assert_eq!(with_key(&good, vec![], Some(&authority)).await, ready());
    assert_eq!(
        with_key(&misnamed, vec![], Some(&authority)).await,
        defers()
    );
    assert_eq!(with_key(&good, vec![], Some(&other)).await, defers());
    // Neither: nobody looks at it.
    assert_eq!(with_key(&misnamed, vec![], None).await, ready());
}

#[tokio::test]
async fn every_address_of_a_host_counts() {
    let authority = Authority::new();
    let identity = authority.issue("mx1.infra.example");
    let first = listener(1).await;
    let port = first.local_addr().unwrap().port();
    let heard = Heard::default();
    let _tasks = serve(first, &identity, Behaviour::default(), &heard);
    let wanted = Wanted {
        tlsa: vec![tlsa_of(&identity)],
        in_policy: false,
        accepts: true,
        addresses: 2,
    };
    let mx = Some("mx1.infra.example");

    let one_is_down = look(port, &wanted, &authority, &["a.example"], mx).await;
    let second = TcpListener::bind((local(2), port)).await.unwrap();
    let _second = serve(second, &identity, Behaviour::default(), &heard);
    let both_are_up = look(port, &wanted, &authority, &["a.example"], mx).await;

    assert_eq!(one_is_down, [defers()]);
    assert_eq!(both_are_up, [ready()]);
}

#[tokio::test]
async fn the_mx_must_be_what_resolvers_see() {
    let authority = Authority::new();
    let identity = authority.issue("mx1.infra.example");
    let listener = listener(1).await;
    let port = listener.local_addr().unwrap().port();
    let _tasks = serve(listener, &identity, Behaviour::default(), &Heard::default());
    let wanted = Wanted {
        tlsa: vec![tlsa_of(&identity)],
        in_policy: false,
        accepts: true,
        addresses: 1,
    };
    let domains = ["a.example"];

    let other = look(
        port,
        &wanted,
        &authority,
        &domains,
        Some("mx.parking.example"),
    )
    .await;
    let unknown = look(port, &wanted, &authority, &domains, None).await;

    assert_eq!((other, unknown), (vec![not_ready()], vec![vec![]]));
}

#[tokio::test]
async fn more_recipients_than_a_visit_takes_are_asked_for_in_several() {
    let authority = Authority::new();
    let identity = authority.issue("mx1.infra.example");
    let listener = listener(1).await;
    let port = listener.local_addr().unwrap().port();
    let heard = Heard::default();
    // All of one group are refused: the host would hang up on a visit that goes on.
    let names: Vec<String> = (0..120).map(|index| format!("d{index}.example")).collect();
    let _tasks = serve(listener, &identity, Behaviour::default(), &heard);
    let wanted = Wanted {
        tlsa: vec![tlsa_of(&identity)],
        in_policy: false,
        accepts: true,
        addresses: 1,
    };
    let domains: Vec<&str> = names.iter().map(String::as_str).collect();

    let mx = Some("mx1.infra.example");
    let facts = look(port, &wanted, &authority, &domains, mx).await;

    assert!(facts.iter().all(|facts| *facts == ready()), "{facts:?}");
    let heard = heard.lock().unwrap();
    assert_eq!(heard.iter().filter(|line| *line == "CONNECT").count(), 3);
}
