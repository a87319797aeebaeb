//! Signing: the raw limit of the curve, and whole zones beside it.
//!
//! The zone is a mail domain with two hosts of its own: 28 signatures. Read `zone` against 28
//! times `raw`: what is above is keys, canonical forms and lists.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mxpool::clock::Timestamp;
use mxpool::dnssec::{
    Extent, Previous, SealingKey, SigningKey, SigningPolicy, check, key_rrsets, sign,
};
use mxpool::wire::{
    Algorithm, Apex, KeyPair, Name, Rdata, RelativeName, RelativeRdata, Rtype, Serial, SoaNumbers,
    Ttl,
};
use mxpool::zone::{RelativeRrset, SignedZone, Template, UnsignedZone};

/// The signatures of the zone.
const SIGNATURES: usize = 28;
/// When everything is signed.
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Makes an RRset of one record below the apex.
fn rrset(apex: &Apex, owner: &str, rtype: Rtype, rdata: &Rdata) -> RelativeRrset {
    RelativeRrset {
        owner: RelativeName::parse(owner).expect("a name"),
        rtype,
        ttl: Ttl::from_secs(3_600),
        rdatas: vec![RelativeRdata::relative_to(rtype, rdata, apex)],
    }
}

/// Makes what all domains of the pool share.
fn template(apex: &Apex) -> Arc<Template> {
    let name = |text: &str| Name::parse(text).expect("a name");
    let text = |text: &str| Rdata::txt(text.as_bytes());
    let rrset = |owner: &str, rtype, rdata: Rdata| rrset(apex, owner, rtype, &rdata);
    let mut rrsets = vec![
        rrset("@", Rtype::NS, Rdata::name(&name("ns1.infra.example"))),
        rrset("@", Rtype::MX, Rdata::mx(10, &name("mx1.b.example"))),
        rrset("@", Rtype::TXT, text("v=spf1 -all")),
        rrset(
            "_dmarc",
            Rtype::TXT,
            text("v=DMARC1; p=reject; rua=mailto:d@r.example"),
        ),
        rrset("_mta-sts", Rtype::TXT, text("v=STSv1; id=20261124163000")),
        rrset(
            "_smtp._tls",
            Rtype::TXT,
            text("v=TLSRPTv1; rua=mailto:t@r.example"),
        ),
        rrset("mta-sts", Rtype::A, Rdata::a([192, 0, 2, 3].into())),
        rrset("mta-sts", Rtype::AAAA, Rdata::aaaa([0x20; 16].into())),
    ];
    let caa = Rdata::from_wire(Rtype::CAA, b"\x00\x05issueca.example");
    rrsets.push(rrset("@", Rtype::CAA, caa.expect("a CAA record")));
    for host in ["mx1", "mx2"] {
        rrsets.push(rrset(host, Rtype::A, Rdata::a([192, 0, 2, 1].into())));
        rrsets.push(rrset(host, Rtype::AAAA, Rdata::aaaa([0x20; 16].into())));
        let tlsa = Rdata::tlsa(3, 1, 1, &[7; 32]);
        rrsets.push(rrset(&format!("_25._tcp.{host}"), Rtype::TLSA, tlsa));
    }
    Arc::new(Template::new(rrsets).expect("no RRset twice"))
}

/// Makes the SOA RRset.
fn soa(apex: &Apex, serial: u32) -> RelativeRrset {
    let name = Name::parse("ns1.infra.example").expect("a name");
    let numbers = SoaNumbers {
        serial: Serial::new(serial),
        refresh: 14_400,
        retry: 3_600,
        expire: 1_209_600,
        minimum: Ttl::from_secs(900),
    };
    rrset(apex, "@", Rtype::SOA, &Rdata::soa(&name, &name, numbers))
}

/// Joins template, SOA and keys.
fn unsigned(apex: &Apex, template: &Arc<Template>, key: &SigningKey, serial: u32) -> UnsignedZone {
    let mut own = key_rrsets(&[key], apex, Ttl::from_secs(3_600));
    own.push(soa(apex, serial));
    UnsignedZone::new(apex.clone(), Arc::clone(template), own).expect("a zone")
}

/// Makes a domain's key and its zone, signs it and seals the key.
fn create(apex: &Apex, template: &Arc<Template>, sealing: &SealingKey) -> (SignedZone, Vec<u8>) {
    let (key, secret) = SigningKey::generate(Algorithm::EcdsaP256Sha256, &[]).expect("a key");
    let zone = unsigned(apex, template, &key, 1);
    let signed = sign(&zone, &[&key], &SigningPolicy::default(), NOW, None).expect("signatures");
    let sealed = sealing.seal(apex, &secret).expect("a sealed key");
    (signed, sealed)
}

/// Measures everything.
fn signing(criterion: &mut Criterion) {
    let apex = Apex::parse("b.example").expect("a name");
    let template = template(&apex);
    let sealing = SealingKey::generate().expect("a key");
    let policy = SigningPolicy::default();

    let mut group = criterion.benchmark_group("sign");
    group.throughput(Throughput::Elements(SIGNATURES as u64));
    for algorithm in Algorithm::ALL {
        let (pair, _) = KeyPair::generate(algorithm).expect("a key");
        let message = [5; 200];
        group.bench_function(format!("raw/{algorithm}/{SIGNATURES}"), |bencher| {
            bencher.iter(|| {
                for _ in 0..SIGNATURES {
                    black_box(pair.sign(black_box(&message)).expect("a signature"));
                }
            });
        });
    }

    let (key, _) = SigningKey::generate(Algorithm::EcdsaP256Sha256, &[]).expect("a key");
    let zone = unsigned(&apex, &template, &key, 1);
    let signed = sign(&zone, &[&key], &policy, NOW, None).expect("signatures");
    assert_eq!(signed.validity_of.len(), SIGNATURES);
    group.bench_function("zone/again", |bencher| {
        bencher.iter(|| sign(black_box(&zone), &[&key], &policy, NOW, None));
    });
    group.bench_function("zone/new, key and sealing included", |bencher| {
        bencher.iter(|| create(black_box(&apex), &template, &sealing));
    });
    group.finish();

    let next = unsigned(&apex, &template, &key, 2);
    criterion.bench_function("sign/zone with a new serial alone", |bencher| {
        let previous = Previous {
            signed: &signed,
            unsigned: &zone,
        };
        bencher.iter(|| sign(black_box(&next), &[&key], &policy, NOW, Some(previous)));
    });
    criterion.bench_function("sign/key", |bencher| {
        bencher.iter(|| SigningKey::generate(Algorithm::EcdsaP256Sha256, &[]));
    });
    criterion.bench_function("sign/data without signatures", |bencher| {
        bencher.iter(|| unsigned(black_box(&apex), &template, &key, 1).rrsets_to_sign());
    });
    for (name, extent) in [("one", Extent::OneOfEachKey), ("all", Extent::All)] {
        criterion.bench_function(&format!("check/{name}"), |bencher| {
            bencher.iter(|| check(black_box(&signed), &zone, extent, NOW));
        });
    }
}

criterion_group!(benches, signing);
criterion_main!(benches);
