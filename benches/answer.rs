//! What one query costs: from its octets to those of its reply, without a socket.
//!
//! Before a kind of answer is measured it is held to allocating nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mxpool::clock::Timestamp;
use mxpool::publication::published;
use mxpool::server::{RateLimiter, RrlConfig};
use mxpool::wire::{
    Apex, CookieSecret, CookieSecrets, Name, Rdata, RelativeName, RelativeRdata, Rtype, Serial,
    SoaNumbers, Ttl,
};
use mxpool::zone::{
    Asker, Layouts, Nsid, RelativeRrset, ReplySettings, SIGNATURE_LENGTH, SignedZone,
    SigningKeyTag, Structure, Template, Transport, Validity, Verdict, ZoneImage, ZonePublisher,
    ZoneReader, answer, zone_set,
};

/// The system's allocator, with a count of what is asked of it.
struct Counting;

/// How often memory was asked for, by all threads.
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

/// What all memory of this program comes from.
#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is handed on as it came to the system's allocator, which keeps the contract;
// counting allocates nothing and cannot unwind.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are the system allocator's conditions.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` or `realloc` above, that is from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, length: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: `pointer` came from `alloc` or `realloc` above, that is from `System`.
        unsafe { System.realloc(pointer, layout, length) }
    }
}

/// What a server that says nothing of itself says.
static SETTINGS: ReplySettings = ReplySettings {
    nsid: None,
    id_server: false,
    cookies: None,
};

/// Returns who asks.
fn asker() -> Asker<'static> {
    Asker::new(Transport::Udp, Ipv4Addr::LOCALHOST.into(), &SETTINGS)
}

/// Answers every query and panics if that allocates, once `reply` has grown.
fn check_allocations(kind: &str, reader: &ZoneReader, queries: &[Vec<u8>], reply: &mut Vec<u8>) {
    let mut answer_all = || {
        for query in queries {
            black_box(answer(&reader.view(), query, &asker(), NOW, reply));
        }
    };
    answer_all();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    answer_all();
    let after = ALLOCATIONS.load(Ordering::Relaxed);
    assert_eq!(after - before, 0, "{kind}: answering allocates");
}

/// How many zones there are.
const ZONES: usize = 10_000;
/// When the queries come.
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Returns an RRset of one record, its names relative to `apex`.
fn rrset(owner: &str, rtype: Rtype, rdata: &Rdata, apex: &Name) -> RelativeRrset {
    RelativeRrset {
        owner: RelativeName::parse(owner).expect("a name"),
        rtype,
        ttl: Ttl::from_secs(3600),
        rdatas: vec![RelativeRdata::relative_to(rtype, rdata, apex)],
    }
}

/// Returns the template of a mail domain with two hosts of its own and a wildcard.
fn template() -> Arc<Template> {
    let apex = Name::parse("template.example").expect("a name");
    let name = |labels: &str| apex.child(labels).expect("a name");
    let address = Rdata::a([192, 0, 2, 1].into());
    let tlsa = Rdata::tlsa(3, 1, 1, &[7; 32]);
    let text = |text: &str| Rdata::txt(text.as_bytes());
    let mx = Rdata::mx(10, &name("mx1"));
    let records = [
        ("@", Rtype::NS, Rdata::name(&name("ns1"))),
        ("@", Rtype::MX, mx.clone()),
        ("@", Rtype::TXT, text("v=spf1 -all")),
        ("*", Rtype::MX, mx),
        ("_dmarc", Rtype::TXT, text("v=DMARC1; p=reject")),
        ("_smtp._tls", Rtype::TXT, text("v=TLSRPTv1")),
        ("_mta-sts", Rtype::TXT, text("v=STSv1; id=1")),
        ("mta-sts", Rtype::A, address.clone()),
        ("ns1", Rtype::A, address.clone()),
        ("sub", Rtype::NS, Rdata::name(&name("ns1.sub"))),
        ("ns1.sub", Rtype::A, address.clone()),
        ("mx1", Rtype::A, address.clone()),
        ("mx2", Rtype::A, address),
        ("_25._tcp.mx1", Rtype::TLSA, tlsa.clone()),
        ("_25._tcp.mx2", Rtype::TLSA, tlsa),
    ];
    let rrsets = records.iter();
    let rrsets = rrsets.map(|(owner, rtype, rdata)| rrset(owner, *rtype, rdata, &apex));
    Arc::new(Template::new(rrsets.collect()).expect("a template"))
}

/// Returns a zone with signatures of no meaning: here nobody verifies them.
fn zone(apex: &str, template: &Template) -> SignedZone {
    let apex = Apex::parse(apex).expect("a zone's name");
    let numbers = SoaNumbers {
        serial: Serial::new(1),
        refresh: 14_400,
        retry: 3600,
        expire: 1_209_600,
        minimum: Ttl::from_secs(900),
    };
    let host = apex.child("ns1").expect("a name");
    let records = [
        (Rtype::SOA, Rdata::soa(&host, &host, numbers)),
        (Rtype::DNSKEY, Rdata::dnskey(257, 13, &[1; 64])),
        (Rtype::CDS, Rdata::ds(1, 13, 2, &[1; 32])),
        (Rtype::CDNSKEY, Rdata::dnskey(257, 13, &[1; 64])),
    ];
    let own = records.iter();
    let own = own.map(|(rtype, rdata)| rrset("@", *rtype, rdata, &apex));
    let own: Vec<RelativeRrset> = own.collect();
    let key = |rrset: &'_ RelativeRrset| (rrset.owner.clone(), rrset.rtype);
    let keys: Vec<_> = template.rrsets().iter().chain(&own).map(key).collect();
    let structure = Structure::new(
        keys.iter().map(|(owner, rtype)| (owner, *rtype)),
        std::iter::empty(),
    );
    let items = structure.signing_order().len();
    SignedZone {
        apex,
        template: template.id(),
        own,
        keys: vec![SigningKeyTag {
            algorithm: 13,
            key_tag: 4711,
        }],
        validities: vec![Validity {
            inception: NOW.to_rrsig_time(),
            expiration: NOW.to_rrsig_time() + 1_000_000,
        }],
        validity_of: vec![0; items],
        signatures: vec![7; items * SIGNATURE_LENGTH],
    }
}

/// Serves the zones.
fn serve() -> (ZonePublisher, ZoneReader) {
    let (mut publisher, reader) = zone_set();
    let (template, layouts) = (template(), Layouts::new());
    let images = (0..ZONES).map(|number| {
        let zone = zone(&format!("burner-{number}.example"), &template);
        ZoneImage::compose(&zone, &template, &layouts).expect("a zone")
    });
    publisher.publish(images);
    (publisher, reader)
}

/// Returns queries with DO, one for each zone.
fn queries(labels: &str, qtype: Rtype) -> Vec<Vec<u8>> {
    let query = |number: usize| {
        // Not in the order in which the zones were made.
        let number = number * 7919 % ZONES;
        let qname = format!("{labels}burner-{number}.example");
        let qname = Name::parse(&qname).expect("a name");
        let mut query = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        query.extend_from_slice(qname.as_wire());
        query.extend_from_slice(&qtype.code().to_be_bytes());
        query.extend_from_slice(&[0, 1, 0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0]);
        query
    };
    (0..ZONES).map(query).collect()
}

/// Appends an option to queries.
fn with_option(mut queries: Vec<Vec<u8>>, code: u8, value: &[u8]) -> Vec<Vec<u8>> {
    for query in &mut queries {
        let end = query.len();
        query[end - 1] += value.len() as u8 + 4;
        query.extend_from_slice(&[0, code, 0, value.len() as u8]);
        query.extend_from_slice(value);
    }
    queries
}

/// Measures what options and rate limits add to the answer that is asked for most.
fn bench_options(criterion: &mut Criterion) {
    let (_publisher, reader) = serve();
    let secrets = || CookieSecrets::new(CookieSecret::new([7; 16]), Vec::new());
    let settings = ReplySettings {
        nsid: Nsid::new(b"ns1-fra"),
        id_server: false,
        cookies: Some(published(Arc::new(secrets())).1),
    };
    let address = Ipv4Addr::LOCALHOST.into();
    let asker = Asker::new(Transport::Udp, address, &settings);
    let cookie = secrets().check(b"a client", address, NOW.as_secs() as u32);
    let (_, cookie) = cookie.expect("a client's cookie");
    let mx = || queries("", Rtype::MX);
    let mut group = criterion.benchmark_group("options");
    group.throughput(Throughput::Elements(1));
    for (kind, queries) in [
        ("none", mx()),
        ("client_cookie", with_option(mx(), 10, b"a client")),
        ("valid_cookie", with_option(mx(), 10, &cookie)),
        ("nsid", with_option(mx(), 3, b"")),
    ] {
        let mut next = queries.iter().cycle();
        let mut reply = Vec::new();
        group.bench_function(kind, |bencher| {
            bencher.iter(|| {
                let query = next.next().expect("a cycle has no end");
                black_box(answer(&reader.view(), query, &asker, NOW, &mut reply))
            });
        });
    }
    group.finish();

    let queries = mx();
    let mut reply = Vec::new();
    let verdict = answer(&reader.view(), &queries[0], &asker, NOW, &mut reply);
    let Verdict::Reply(answered) = verdict else {
        panic!("no reply");
    };
    let mut group = criterion.benchmark_group("rrl");
    group.throughput(Throughput::Elements(1));
    let config = RrlConfig::default();
    let limiter = RateLimiter::new(config).expect("randomness");
    let mut now = Duration::ZERO;
    let mut next = queries.iter().cycle();
    // One in 10 000 queries is for the same zone: within the rate, each another stream.
    group.bench_function("within", |bencher| {
        bencher.iter(|| {
            now += Duration::from_micros(2);
            let query = next.next().expect("a cycle has no end");
            black_box(limiter.decide(address, query, &answered, now))
        });
    });
    group.bench_function("beyond", |bencher| {
        bencher.iter(|| {
            now += Duration::from_micros(2);
            black_box(limiter.decide(address, &queries[0], &answered, now))
        });
    });
    let mut prefix = 0_u32;
    group.bench_function("random_prefixes", |bencher| {
        bencher.iter(|| {
            now += Duration::from_micros(2);
            prefix = prefix.wrapping_add(0x9e37_79b1);
            let client = Ipv4Addr::from_bits(prefix).into();
            black_box(limiter.decide(client, &queries[0], &answered, now))
        });
    });
    group.finish();
}

/// Measures one kind of answer.
fn bench(criterion: &mut Criterion) {
    let (_publisher, reader) = serve();
    let mut group = criterion.benchmark_group("answer");
    group.throughput(Throughput::Elements(1));
    for (kind, labels, qtype) in [
        ("exact", "", Rtype::MX),
        ("exact_below", "_25._tcp.mx1.", Rtype::TLSA),
        ("no_data", "mx1.", Rtype::AAAA),
        ("nxdomain", "random-name.mx1.", Rtype::A),
        ("wildcard", "random-name.", Rtype::MX),
        ("wildcard_no_data", "random-name.", Rtype::A),
        ("referral", "www.sub.", Rtype::A),
    ] {
        let queries = queries(labels, qtype);
        let mut next = queries.iter().cycle();
        let mut reply = Vec::new();
        check_allocations(kind, &reader, &queries, &mut reply);
        group.bench_function(kind, |bencher| {
            bencher.iter(|| {
                let query = next.next().expect("a cycle has no end");
                black_box(answer(&reader.view(), query, &asker(), NOW, &mut reply))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench, bench_options);
criterion_main!(benches);
