//! The stored forms as files: what one release writes, every later one reads.
//!
//! `tests/golden/<record>-<version>.bin` is the stored form of the sample below. A file is never
//! changed and never removed. When a type changes, its version goes up, the old type stays to read
//! the old form, and a new file joins the old one: give the record its new sample here, run
//!
//! ```text
//! cargo test --lib golden -- --ignored
//! ```
//!
//! which writes the files that are missing and no others, and commit what it wrote.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::clock::{Span, Timestamp};
use crate::history::{Lapse, Timeline};
use crate::lifecycle::{
    DsSeen, Fact, HandedOut, LifecycleState, NsSeen, Observed, ParentTimes, ServersSeen, Suspension,
};
use crate::mail::{Form, RoutingAnswer, Staged};
use crate::store::{Batch, Memory, Store, meta, restore_into};
use crate::wire::{Apex, Name, Rdata, RelativeName, RelativeRdata, Rtype, Serial, Ttl};
use crate::zone::{RelativeRrset, SignedZone, SigningKeyTag, Template, TemplateId, Validity};

/// The moment that every sample speaks of.
const AT: Timestamp = Timestamp::from_secs(1_795_537_800);

/// Returns where a golden file lies.
fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(file)
}

/// Reads a golden file.
fn read(file: &str) -> Vec<u8> {
    let path = path(file);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Makes each sample a test that reads its file, and one of the writing of all of them.
macro_rules! golden {
    ($($test:ident $file:literal $sample:expr;)*) => {
        $(#[test]
        fn $test() {
            let octets = read($file);
            let sample = $sample;

            assert_eq!(decode_as(&sample, &octets), Ok(sample.clone()));
            assert_eq!(encode(&sample), octets, "the form has changed, but not its version");
        })*

        #[test]
        #[ignore = "writes the golden files that are missing"]
        fn write_missing_golden_files() {
            $(write_if_missing($file, &encode(&$sample));)*
            write_if_missing("backup-1-records-2.bin", &backup());
        }
    };
}

golden! {
    domain_form_2_is_read "domain-2.bin" domain();
    pool_form_2_is_read "pool-2.bin" pool();
    host_form_1_is_read "host-1.bin" host();
    change_form_1_is_read "change-1.bin" change();
    count_form_1_is_read "count-1.bin" count();
    operator_zone_form_1_is_read "operator-zone-1.bin" operator_zone();
    keys_form_1_is_read "keys-1.bin" keys();
    signed_zone_form_1_is_read "signed-zone-1.bin" signed_zone();
    template_form_1_is_read "template-1.bin" template();
    audit_form_1_is_read "audit-1.bin" audit();
    events_form_1_is_read "events-1.bin" events();
    idempotency_form_1_is_read "idempotency-1.bin" idempotency();
    token_form_1_is_read "token-1.bin" token();
}

/// Decodes a record of the type of a sample.
fn decode_as<R: Record>(_sample: &R, octets: &[u8]) -> Result<R, RecordError> {
    decode(octets)
}

/// Writes a golden file unless it is there.
fn write_if_missing(file: &str, octets: &[u8]) {
    let path = path(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    if !path.exists() {
        fs::write(path, octets).unwrap();
    }
}

/// Returns RRsets with every part filled.
fn rrsets() -> Vec<RelativeRrset> {
    let apex = Name::parse("burner.example").unwrap();
    let host = Name::parse("mx1.burner.example").unwrap();
    let mx = RelativeRdata::relative_to(Rtype::MX, &Rdata::mx(10, &host), &apex);
    let address = Rdata::from_wire(Rtype::A, &[192, 0, 2, 25]).unwrap();
    vec![
        RelativeRrset {
            owner: RelativeName::apex(),
            rtype: Rtype::MX,
            ttl: Ttl::from_secs(3600),
            rdatas: vec![mx],
        },
        RelativeRrset {
            owner: RelativeName::parse("mx1").unwrap(),
            rtype: Rtype::A,
            ttl: Ttl::from_secs(300),
            rdatas: vec![RelativeRdata::fixed(&address)],
        },
    ]
}

/// Returns what is known of a zone.
fn zone_fact() -> ZoneFact {
    ZoneFact {
        version: 7,
        serial: Serial::new(2_026_112_400),
        earliest_expiration: AT,
        ds: vec![DsFact {
            key_tag: 4711,
            algorithm: 13,
            digest: [0xd5; 32],
        }],
    }
}

fn domain() -> DomainRecord {
    DomainRecord {
        pool: "burners".to_owned(),
        state: LifecycleState::Active,
        since: AT,
        revision: 17,
        fresh: true,
        registrar: Some("Example Registrar".to_owned()),
        expires_at: Some(AT),
        labels: BTreeMap::from([("team".to_owned(), "red".to_owned())]),
        extra: rrsets(),
        zone: zone_fact(),
        added: AT,
        routed: 16,
        life: Some(Box::new(life())),
    }
}

/// Returns what the first release could say of the same domain.
fn domain_1() -> DomainRecord {
    DomainRecord {
        routed: domain().revision,
        life: None,
        ..domain()
    }
}

/// Returns a life with every part filled.
fn life() -> LifeRecord {
    let moment = |seconds| Timestamp::from_secs(AT.as_secs() + seconds);
    let mut observed = Observed::default();
    for fact in [
        Fact::Ns(NsSeen::Others, Some(Ttl::from_secs(60))),
        Fact::Ns(NsSeen::Ours, None),
        Fact::Ds(DsSeen::Foreign),
        Fact::Ds(DsSeen::Ours),
        Fact::Parent(ParentTimes {
            ns_ttl: Some(Ttl::from_secs(1)),
            ds_ttl: Some(Ttl::from_secs(2)),
            negative_ttl: Some(Ttl::from_secs(3)),
            refresh: Some(Span::from_secs(4)),
        }),
        Fact::Published(Serial::new(5)),
        Fact::Mail(true),
        Fact::Policy("6".to_owned()),
        Fact::Queries(7),
        Fact::Deferral,
        Fact::Servers(ServersSeen::None),
        Fact::Servers(ServersSeen::Some),
    ] {
        observed.learn(&fact, AT);
    }
    observed.departures.changed(AT);
    observed.departures.arrived(moment(60));
    observed.departures.changed(moment(120));
    let own = PolicyTurn::Own {
        acts: true,
        max_age: Span::from_secs(86_400),
    };
    let turn = |form, policy| Turn { form, policy };
    let mut turns = Timeline::since(AT, turn(Form::LIVE, PolicyTurn::Pool));
    turns.put(moment(1), turn(Form::NULL, own));
    turns.put(moment(2), turn(Form::BARE, PolicyTurn::Gone));
    LifeRecord {
        handed_out: Some(HandedOut {
            first: AT,
            last: moment(1),
            count: 2,
        }),
        suspension: Some(Suspension {
            answer: RoutingAnswer::Later,
            since: AT,
            until: Some(moment(9)),
            reason: "abuse".to_owned(),
        }),
        hold: Some(Hold {
            since: AT,
            reason: "court".to_owned(),
        }),
        restored: Some(AT),
        deferred: Some(AT),
        observed,
        form: Form::BARE,
        policy: ShownPolicy::Own {
            id: "3x00".to_owned(),
            acts: true,
            max_age: Span::from_secs(86_400),
        },
        turns,
        content: Some((Serial::new(5), Some(AT))),
        unanswered: true,
        dropped: Some(AT),
    }
}

/// Returns a change that waits for its moment, with every kind of step.
fn change() -> ChangeRecord {
    let name = || Apex::parse("one.example").unwrap();
    let plain = |what| StepRecord {
        what,
        if_match: None,
    };
    let rrset = || rrsets().remove(0);
    let steps = vec![
        plain(StepForm::PutZone {
            apex: name(),
            records: rrsets(),
        }),
        plain(StepForm::DeleteZone { apex: name() }),
        plain(StepForm::PutPool {
            name: "main".to_owned(),
            settings: "{}".to_owned(),
        }),
        plain(StepForm::DeletePool {
            name: "main".to_owned(),
        }),
        plain(StepForm::AddDomain {
            pool: "main".to_owned(),
            name: name(),
            if_absent: true,
            fresh: Some(true),
            registrar: Some("registrar".to_owned()),
            expires_at: Some(AT),
            labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        }),
        plain(StepForm::PatchDomain {
            name: name(),
            registrar: Some(None),
            expires_at: Some(Some(AT)),
            labels: None,
        }),
        StepRecord {
            what: StepForm::DeleteDomain {
                name: name(),
                force: true,
            },
            if_match: Some(MatchForm::Revision(7)),
        },
        StepRecord {
            what: StepForm::PutRrset {
                domain: name(),
                rrset: rrset(),
            },
            if_match: Some(MatchForm::Any),
        },
        StepRecord {
            what: StepForm::DeleteRrset {
                domain: name(),
                owner: rrset().owner,
                rtype: rrset().rtype,
            },
            if_match: Some(MatchForm::Never),
        },
        plain(StepForm::Transition {
            name: name(),
            to: LifecycleState::Draining,
            force: false,
        }),
        plain(StepForm::Suspend {
            name: name(),
            answer: RoutingAnswer::Later,
            until: Some(AT),
        }),
        plain(StepForm::Resume { name: name() }),
        plain(StepForm::Hold { name: name() }),
        plain(StepForm::Unhold { name: name() }),
        plain(StepForm::Rotate {
            pool: "main".to_owned(),
            burn: vec![name()],
            activate: 2,
        }),
    ];
    ChangeRecord {
        scheduled: Some(ScheduledChange {
            at: AT,
            accepted: AT,
            actor: "admin".to_owned(),
            reason: Some("the end of the month".to_owned()),
            expect_domains: Some(3),
            steps,
            fate: Fate::Failed {
                at: AT,
                why: vec!["it waits".to_owned()],
            },
        }),
        undone: Some(9),
    }
}

fn host() -> HostRecord {
    HostRecord {
        applied: Some((17, AT)),
        deferred: Some(AT),
    }
}

fn count() -> CountRecord {
    CountRecord {
        queries: 12,
        until: AT,
    }
}

#[test]
fn domain_form_1_is_read() {
    let octets = read("domain-1.bin");
    assert_eq!(decode::<DomainRecord>(&octets), Ok(domain_1()));
}

#[test]
fn pool_form_1_is_read() {
    let octets = read("pool-1.bin");
    let expected = PoolRecord {
        since: Timestamp::from_secs(0),
        earlier: Vec::new(),
        wish: None,
        ..pool()
    };
    assert_eq!(decode::<PoolRecord>(&octets), Ok(expected));
}

fn pool() -> PoolRecord {
    PoolRecord {
        revision: 3,
        settings: r#"{"mx":["mx1"]}"#.to_owned(),
        template: TemplateId([0x7e; 32]),
        policy: Some(PolicyAdoption {
            revision: 3,
            text: "version: STSv1\n".to_owned(),
        }),
        since: AT,
        earlier: vec![Lapse {
            what: PoolVersionRecord {
                settings: "{}".to_owned(),
                template: TemplateId([0x7f; 32]),
                policy: None,
            },
            on: Timestamp::from_secs(1),
            off: Some(AT),
        }],
        wish: Some(WishRecord {
            settings: r#"{"mx":["mx1","mx2"]}"#.to_owned(),
            staged: vec![Staged {
                part: "/subdomains".to_owned(),
                began: AT,
                bound: Span::from_secs(86_400),
            }],
            names_below: true,
        }),
    }
}

fn operator_zone() -> OperatorZoneRecord {
    OperatorZoneRecord {
        revision: 2,
        records: rrsets(),
        written_serial: Serial::new(1),
        zone: zone_fact(),
    }
}

fn keys() -> KeysRecord {
    KeysRecord {
        sealed: vec![serde_bytes::ByteBuf::from(vec![0x5e; 40])],
    }
}

fn signed_zone() -> SignedZoneRecord {
    let zone = SignedZone {
        apex: Apex::parse("burner.example").unwrap(),
        template: TemplateId([0x7e; 32]),
        own: rrsets(),
        keys: vec![SigningKeyTag {
            algorithm: 13,
            key_tag: 4711,
        }],
        validities: vec![Validity {
            inception: 1_795_534_200,
            expiration: 1_796_747_400,
        }],
        validity_of: vec![0, 0],
        signatures: (0..128).collect(),
    };
    SignedZoneRecord::from(zone)
}

fn template() -> TemplateRecord {
    TemplateRecord(Template::new(rrsets()).unwrap())
}

fn audit() -> AuditRecord {
    AuditRecord {
        at: AT,
        revision: 17,
        actor: "admin".to_owned(),
        reason: Some("burnt".to_owned()),
        changes: vec![AuditChange {
            op: "put_pool".to_owned(),
            subject: "burners".to_owned(),
            before: None,
            after: Some("{}".to_owned()),
        }],
    }
}

fn events() -> EventsRecord {
    EventsRecord {
        at: AT,
        events: vec![Event {
            kind: "domain_added".to_owned(),
            subject: "burner.example".to_owned(),
        }],
    }
}

fn idempotency() -> IdempotencyRecord {
    IdempotencyRecord {
        at: AT,
        digest: [0x1d; 32],
        revision: 17,
        changed: true,
    }
}

fn token() -> TokenRecord {
    TokenRecord {
        scope: "admin".to_owned(),
        created: AT,
        hash: [0x4a; 32],
    }
}

/// Returns a backup of one record of every kind.
fn backup() -> Vec<u8> {
    let store = Memory::new();
    let mut batch = Batch::new();
    meta::SEALING_KEY_ID.put(&mut batch, &"k-17".to_owned());
    meta::REVISION.put(&mut batch, &17);
    meta::LAST_SIGNING.put(&mut batch, &AT);
    let apex = Apex::parse("burner.example").unwrap();
    batch.put_record(apex.as_wire(), &domain());
    batch.put_record(b"burners", &pool());
    batch.put_record(b"\x05infra\x07example\0", &operator_zone());
    batch.put_record(apex.as_wire(), &keys());
    batch.put_record(&signed_zone_key(&apex, 7), &signed_zone());
    batch.put_record(&template().0.id().0, &template());
    batch.put_record(&growing_key(1), &audit());
    batch.put_record(&growing_key(17), &events());
    batch.put_record(b"client-key", &idempotency());
    batch.put_record(b"admin", &token());
    batch.put_record(b"mx1.infra.example", &host());
    store.commit(&batch).unwrap();
    let mut file = Vec::new();
    store.backup(&mut file).unwrap();
    file
}

#[test]
fn backup_form_1_is_read() {
    let file = read("backup-1.bin");
    let store = Memory::new();

    let report = restore_into(&store, &mut file.as_slice(), AT).unwrap();

    assert_eq!(report.sealing_key_id.as_deref(), Some("k-17"));
    let restored = meta::Restored {
        at: AT,
        backup_revision: 17,
    };
    assert_eq!(Some(report.revision), restored.revision());
    let apex = Apex::parse("burner.example").unwrap();
    assert_eq!(get(&store, apex.as_wire()).unwrap(), Some(domain_1()));
    assert_eq!(get(&store, b"admin").unwrap(), Some(token()));
    assert_eq!(meta::LAST_SIGNING.get(&store).unwrap(), Some(AT));
}

#[test]
fn backup_form_1_with_newer_records_is_read() {
    let file = read("backup-1-records-2.bin");
    let store = Memory::new();

    restore_into(&store, &mut file.as_slice(), AT).unwrap();

    let apex = Apex::parse("burner.example").unwrap();
    assert_eq!(get(&store, apex.as_wire()).unwrap(), Some(domain()));
    assert_eq!(backup(), file, "the form has changed, but not its version");
}

#[test]
fn another_version_and_damage_are_told_apart_and_say_where() {
    let store = Memory::new();
    let mut batch = Batch::new();
    let octets = encode(&token());
    let mut newer = octets.clone();
    newer[0] = 2;
    let longer = [octets.as_slice(), b"!"].concat();
    let values = [newer, Vec::new(), octets[..9].to_vec(), longer];
    for (key, value) in [b"newer", b"empty", b"short", b"long!"]
        .into_iter()
        .zip(values)
    {
        batch.put(Space::Token, key, value);
    }
    store.commit(&batch).unwrap();

    let error = |key| get::<TokenRecord>(&store, key).unwrap_err().to_string();

    assert_eq!(
        error(b"newer"),
        "the token record newer: expected form 1, found form 2; another release wrote it"
    );
    assert_eq!(
        error(b"empty"),
        "the token record empty is damaged: it is empty"
    );
    assert!(error(b"short").starts_with("the token record short is damaged: "));
    assert!(error(b"long!").ends_with("1 octets are left over"));
}

/// Decodes octets as a record; what can be read must be written the same.
fn try_form<R: Record + Debug + PartialEq>(octets: &[u8]) {
    if let Ok(record) = decode::<R>(octets) {
        assert_eq!(decode::<R>(&encode(&record)), Ok(record));
    }
}

/// Decodes octets as every record there is.
fn try_all(octets: &[u8]) {
    try_form::<DomainRecord>(octets);
    try_form::<PoolRecord>(octets);
    try_form::<OperatorZoneRecord>(octets);
    try_form::<KeysRecord>(octets);
    try_form::<SignedZoneRecord>(octets);
    try_form::<TemplateRecord>(octets);
    try_form::<AuditRecord>(octets);
    try_form::<EventsRecord>(octets);
    try_form::<IdempotencyRecord>(octets);
    try_form::<TokenRecord>(octets);
    try_form::<HostRecord>(octets);
}

proptest! {
    #[test]
    fn no_octets_make_a_decoder_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        try_all(&octets);
        try_all(&[&[1], octets.as_slice()].concat());
        try_all(&[&[2], octets.as_slice()].concat());
    }

    #[test]
    fn no_change_of_a_stored_form_makes_a_decoder_panic(
        which in 0..11_usize,
        at in any::<prop::sample::Index>(),
        octet in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let forms = [
            encode(&domain()),
            encode(&pool()),
            encode(&operator_zone()),
            encode(&keys()),
            encode(&signed_zone()),
            encode(&template()),
            encode(&audit()),
            encode(&events()),
            encode(&idempotency()),
            encode(&token()),
            encode(&host()),
        ];
        let mut form = forms[which].clone();
        let at = at.index(form.len());
        form[at] = octet;
        try_all(&form);
        form.truncate(cut.index(form.len()));
        try_all(&form);
    }
}
