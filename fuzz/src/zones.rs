//! The zones that queries are answered from: a mail domain, and one of everything.

use std::sync::{Arc, LazyLock};

use mxpool::clock::Timestamp;
use mxpool::dnssec::{SigningKey, SigningPolicy, key_rrsets, sign};
use mxpool::wire::{Algorithm, Apex, NoIncludes, Ttl, parse_master};
use mxpool::zone::{
    Layouts, Template, UnsignedZone, ZoneData, ZoneImage, ZonePublisher, ZoneReader, zone_set,
};

/// When queries come, a while after the zones were signed.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// What every zone has.
const HEAD: &str = "$TTL 3600\n@ 900 SOA ns1 hostmaster 1 14400 3600 1209600 600\n@ NS ns1\n\
                    @ NS ns2.elsewhere.test.\nns1 A 192.0.2.1\n";

/// A pool's mail domain, with a wildcard.
const MAIL: &str = r#"
@ MX 10 mx1
@ MX 20 mx2
* MX 10 mx1
@ TXT "v=spf1 -all"
_dmarc TXT "v=DMARC1; p=reject; adkim=s; aspf=s"
_smtp._tls TXT "v=TLSRPTv1; rua=mailto:tlsrpt@infra.example"
_mta-sts TXT "v=STSv1; id=20260101"
mta-sts A 192.0.2.80
mx1 A 192.0.2.25
mx1 AAAA 2001:db8::25
mx2 A 192.0.2.26
_25._tcp.mx1 TLSA 3 1 1 8cb0fc6c527506a053f4f14c8464bebbd6dede2738d11468dd953d7d6a3021f1
@ CAA 0 issue "letsencrypt.org"
"#;

/// One of everything that an answer can be made of.
const ALL: &str = r#"
www CNAME web
web A 192.0.2.80
loop1 CNAME loop2
loop2 CNAME loop1
out CNAME www.elsewhere.test.
tochild CNAME www.child
tomail CNAME x.mail.example.
tocut CNAME host.cut
*.wild TXT "from the wildcard"
exists.wild A 192.0.2.82
*.cnamewild CNAME web
host.*.sub TXT "below a wildcard that owns nothing"
dname DNAME target
x.target A 192.0.2.84
loopdname DNAME x.loopdname
a.b.c.deep TXT "three empty non-terminals above"
cut NS ns1.cut
cut NS ns.sibling
cut DS 12345 13 2 8cb0fc6c527506a053f4f14c8464bebbd6dede2738d11468dd953d7d6a3021f1
ns1.cut A 192.0.2.53
ns.sibling A 192.0.2.54
plain NS ns1.plain
ns1.plain A 192.0.2.55
child NS ns1.child
ns1.child A 192.0.2.56
unknown TYPE65400 \# 4 01020304
svc HTTPS 1 . alpn=h2
srv SRV 0 0 25 mx
a\.b\000c TXT "odd octets in a name"
"#;

/// How many zones there are besides: with fewer nothing is read ahead for.
const POOL: usize = 300;

/// Returns the published set; it is made once in a process.
pub(crate) fn zones() -> &'static ZoneReader {
    static ZONES: LazyLock<(ZonePublisher, ZoneReader)> = LazyLock::new(|| {
        let (mut publisher, reader) = zone_set();
        let layouts = Layouts::new();
        let zones = [
            ("mail.example", MAIL.to_owned()),
            ("all.test", format!("{ALL}{}{}", big(), glue())),
            ("child.all.test", "www A 192.0.2.90\n".to_owned()),
            ("deep.below.orphan.test", "* A 192.0.2.91\n".to_owned()),
        ];
        publisher.publish(zones.map(|(apex, text)| image(apex, &text, &layouts)));
        let pool = (0..POOL).map(|number| image(&format!("z{number}.pool.test"), "", &layouts));
        publisher.publish(pool);
        (publisher, reader)
    });
    &ZONES.1
}

/// Returns an RRset that no datagram holds.
fn big() -> String {
    let record = |number| format!("big TXT \"{number:02} {}\"\n", "x".repeat(150));
    (0..12).map(record).collect()
}

/// Returns a delegation whose glue no datagram holds.
fn glue() -> String {
    let name = |number| format!("a-name-server-with-a-rather-long-name-number-{number:02}.glue");
    let server = |number| {
        let name = name(number);
        format!("glue NS {name}\n{name} A 192.0.2.{number}\n{name} AAAA 2001:db8::{number}\n")
    };
    (60..72).map(server).collect()
}

/// Signs one zone with a key of its own.
fn image(apex: &str, text: &str, layouts: &Layouts) -> ZoneImage {
    let apex = Apex::parse(apex).expect("a zone's name");
    let text = format!("{HEAD}{text}");
    let records = parse_master(&text, None, &apex, Ttl::from_secs(3600), &NoIncludes)
        .unwrap_or_else(|errors| panic!("{errors:?}"));
    let data = ZoneData::from_master(&apex, records).unwrap_or_else(|errors| panic!("{errors:?}"));
    let policy = SigningPolicy::default();
    let (key, _) = SigningKey::generate(Algorithm::EcdsaP256Sha256, &[]).expect("randomness");
    let template = Arc::new(Template::new(Vec::new()).expect("nothing is there twice"));
    let mut own = data.rrsets;
    own.extend(key_rrsets(&[&key], &apex, policy.dnskey_ttl()));
    let zone = UnsignedZone::new(apex, Arc::clone(&template), own).expect("a zone");
    let signed = sign(&zone, &[&key], &policy, NOW, None).expect("signatures");
    ZoneImage::compose(&signed, &template, layouts).expect("an image")
}
