//! What RFCs ask of an authoritative server, one test a rule, named by RFC, section and behaviour.
//!
//! All of them ask one server over real sockets. It serves the zones of [`zones`]; `conf.example`
//! holds one of everything that an answer can be made of.

mod answers;
mod denial;
mod edns;
mod encrypted;
mod header;
mod limits;
mod options;
mod transport;

use std::net::SocketAddr;
use std::sync::OnceLock;

use crate::lab::Lab;

/// One of everything: the SOA's MINIMUM is below its TTL, so that it decides negative TTLs.
const CONF: &str = r#"
$TTL 3600
@            900 SOA  ns1 hostmaster 2026112300 14400 3600 1209600 600
@                NS   ns1
@                NS   ns2.other.test.
@                MX   10 mx1
@                MX   20 mx.elsewhere.test.
@                TXT  "v=spf1 -all"
ns1              A    192.0.2.1
ns1              AAAA 2001:db8::1
mx1              A    192.0.2.25
mx1              AAAA 2001:db8::25
_25._tcp.mx1     TLSA 3 1 1 8cb0fc6c527506a053f4f14c8464bebbd6dede2738d11468dd953d7d6a3021f1
www              CNAME web
web              A    192.0.2.80
chain1           CNAME chain2
chain2           CNAME chain3
chain3           A    192.0.2.81
loop1            CNAME loop2
loop2            CNAME loop1
dangling         CNAME nothere
out              CNAME www.elsewhere.test.
tocut            CNAME host.secure
*.wild           TXT  "from the wildcard"
*.wild           MX   10 mx1
exists.wild      A    192.0.2.82
a.ent.wild       A    192.0.2.83
*.cnamewild      CNAME web
sub.*.literal    TXT  "a star in the middle is a label like others"
host.*.sub       TXT  "below a wildcard that owns nothing"
dname            DNAME target
x.target         A    192.0.2.84
todname          CNAME x.dname
hidden.dname     TXT  "below a DNAME"
secure           NS   ns1.secure
secure           NS   ns.sibling
secure           DS   12345 13 2 8cb0fc6c527506a053f4f14c8464bebbd6dede2738d11468dd953d7d6a3021f1
ns1.secure       A    192.0.2.53
ns1.secure       AAAA 2001:db8::53
ns.sibling       A    192.0.2.54
insecure         NS   ns1.insecure
ns1.insecure     A    192.0.2.55
txt.insecure     TXT  "below a cut"
manyglue         NS   a-name-server-with-a-rather-long-name-number-01.manyglue
manyglue         NS   a-name-server-with-a-rather-long-name-number-02.manyglue
manyglue         NS   a-name-server-with-a-rather-long-name-number-03.manyglue
manyglue         NS   a-name-server-with-a-rather-long-name-number-04.manyglue
manyglue         NS   a-name-server-with-a-rather-long-name-number-05.manyglue
a-name-server-with-a-rather-long-name-number-01.manyglue A 192.0.2.61
a-name-server-with-a-rather-long-name-number-02.manyglue A 192.0.2.62
a-name-server-with-a-rather-long-name-number-03.manyglue A 192.0.2.63
a-name-server-with-a-rather-long-name-number-04.manyglue A 192.0.2.64
a-name-server-with-a-rather-long-name-number-05.manyglue A 192.0.2.65
a-name-server-with-a-rather-long-name-number-01.manyglue AAAA 2001:db8::61
a-name-server-with-a-rather-long-name-number-02.manyglue AAAA 2001:db8::62
a-name-server-with-a-rather-long-name-number-03.manyglue AAAA 2001:db8::63
a-name-server-with-a-rather-long-name-number-04.manyglue AAAA 2001:db8::64
a-name-server-with-a-rather-long-name-number-05.manyglue AAAA 2001:db8::65
child            NS   ns1.child
child            DS   23456 13 2 9cb0fc6c527506a053f4f14c8464bebbd6dede2738d11468dd953d7d6a3021f1
ns1.child        A    192.0.2.56
lonely           NS   ns1.lonely
ns1.lonely       A    192.0.2.57
a.b.c.deep       TXT  "three empty non-terminals above"
unknown          TYPE65400 \# 4 01020304
mid              TXT  "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789" "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789" "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
"#;

/// Returns a TXT RRset of more than a UDP answer holds.
fn big() -> String {
    (0..12)
        .map(|number| format!("big TXT \"{number:02} {}\"\n", "x".repeat(150)))
        .collect()
}

/// The zones that the server hosts.
pub(crate) fn zones() -> Vec<(&'static str, String)> {
    let small = |text: &str| {
        format!(
            "$TTL 3600\n@ 900 SOA ns1 hostmaster 1 14400 3600 1209600 900\n@ NS ns1\nns1 A 192.0.2.9\n{text}"
        )
    };
    vec![
        ("conf.test", format!("{CONF}{}", big())),
        // Hosted beside its parent.
        ("child.conf.test", small("www A 192.0.2.90\n")),
        // Hosted below a name that the parent does not delegate in the usual way: deeper.
        ("deep.below.orphan.test", small("www A 192.0.2.91\n")),
        // Hosted without its parent.
        ("orphan.test", small("www A 192.0.2.92\n")),
    ]
}

/// Returns the address of the one server, which runs until the tests end.
fn server() -> SocketAddr {
    static LAB: OnceLock<Lab> = OnceLock::new();
    LAB.get_or_init(|| Lab::start(&zones())).address()
}
