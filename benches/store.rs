//! What the embedded store costs: a durable commit, and the reading of all signed zones at start.
//!
//! `cargo bench --bench store`. The folder is made below `CARGO_TARGET_TMPDIR`, so that it is the
//! disk that is measured and not a file system in memory.

use std::hint::black_box;
use std::ops::{Bound, ControlFlow};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mxpool::store::record::{SignedZoneRecord, decode, encode, signed_zone_key};
use mxpool::store::{Batch, Direction, Embedded, Space, Store};
use mxpool::wire::{Apex, Name, Rdata, RelativeName, RelativeRdata, Rtype, Ttl};
use mxpool::zone::{RelativeRrset, SignedZone, SigningKeyTag, TemplateId, Validity};
use tempfile::TempDir;

/// How many signed zones are read.
const ZONES: u32 = 100_000;
/// How many signatures each has: the two-host zone's.
const SIGNATURES: usize = 28;

/// Returns an empty store and the folder it lives in.
fn store() -> (TempDir, Embedded) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"));
    let folder = folder.expect("the target folder is writable");
    let store = Embedded::open(folder.path()).expect("the folder is empty");
    (folder, store)
}

/// Returns the name of a zone.
fn apex(number: u32) -> Apex {
    Apex::parse(&format!("d{number:06}.example")).expect("digits make a label")
}

/// Returns a zone as it is stored: RRsets of its own as a signer makes them, and signatures.
fn signed_zone(apex: Apex) -> SignedZone {
    let name: &Name = apex.as_name();
    let own = [
        (
            Rtype::SOA,
            [name.as_wire(), name.as_wire(), &[0; 20]].concat(),
        ),
        (Rtype::DNSKEY, [[1, 1, 3, 13].as_slice(), &[7; 64]].concat()),
        (Rtype::CDS, [[0, 1, 13, 2].as_slice(), &[7; 32]].concat()),
        (
            Rtype::CDNSKEY,
            [[1, 1, 3, 13].as_slice(), &[7; 64]].concat(),
        ),
    ];
    let own = own.map(|(rtype, wire)| {
        let rdata = Rdata::from_wire(rtype, &wire).expect("the octets fit the type");
        RelativeRrset {
            owner: RelativeName::apex(),
            rtype,
            ttl: Ttl::from_secs(3600),
            rdatas: vec![RelativeRdata::relative_to(rtype, &rdata, name)],
        }
    });
    SignedZone {
        apex,
        template: TemplateId([7; 32]),
        own: own.into(),
        keys: vec![SigningKeyTag {
            algorithm: 13,
            key_tag: 1,
        }],
        validities: vec![Validity {
            inception: 1_795_534_200,
            expiration: 1_796_747_400,
        }],
        validity_of: vec![0; SIGNATURES],
        signatures: vec![9; SIGNATURES * 64],
    }
}

/// Measures commits as a single small change makes them: each waits for the disk.
fn commit(criterion: &mut Criterion) {
    let (_folder, store) = store();
    let value = encode(&SignedZoneRecord::from(signed_zone(apex(0))));
    let mut number = 0_u64;
    criterion.bench_function("commit of one domain", |bencher| {
        bencher.iter(|| {
            number += 1;
            let key = number.to_be_bytes();
            let mut batch = Batch::new();
            batch.put(Space::SignedZone, &key, value.clone());
            batch.put(Space::Domain, &key, vec![1; 200]);
            batch.put(Space::Key, &key, vec![2; 200]);
            batch.put(Space::Audit, &key, vec![3; 200]);
            store.commit(&batch).expect("the disk has room")
        });
    });
}

/// Measures the start of a server: all signed zones read, and read and decoded.
fn load(criterion: &mut Criterion) {
    let (_folder, store) = store();
    for first in (0..ZONES).step_by(5000) {
        let mut batch = Batch::new();
        for number in first..first + 5000 {
            let apex = apex(number);
            let key = signed_zone_key(&apex, 1);
            batch.put_record(&key, &SignedZoneRecord::from(signed_zone(apex)));
        }
        store.commit(&batch).expect("the disk has room");
    }
    let scan = |visit: &mut dyn FnMut(&[u8])| {
        let mut each = |_: &[u8], value: &[u8]| {
            visit(value);
            ControlFlow::Continue(())
        };
        store
            .scan(
                Space::SignedZone,
                Bound::Unbounded,
                Direction::Ascending,
                &mut each,
            )
            .expect("the store is readable");
        store.release_pages();
    };
    let mut group = criterion.benchmark_group("load of 100 000 signed zones");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(ZONES.into()));
    group.bench_function("copied", |bencher| {
        bencher.iter(|| scan(&mut |value| drop(black_box(value.to_vec()))));
    });
    group.bench_function("decoded", |bencher| {
        bencher.iter(|| {
            scan(&mut |value| {
                let record = decode::<SignedZoneRecord>(value);
                drop(black_box(record.expect("it was written as a record")));
            });
        });
    });
    group.finish();
}

/// Measures the decoding of one signed zone.
fn decode_one(criterion: &mut Criterion) {
    let value = encode(&SignedZoneRecord::from(signed_zone(apex(0))));
    criterion.bench_function("decode of one signed zone", |bencher| {
        bencher.iter(|| decode::<SignedZoneRecord>(black_box(&value)));
    });
}

criterion_group!(benches, decode_one, commit, load);
criterion_main!(benches);
