//! A master file of everything survives import, serving and export.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::dns::{Query, TXT, tcp};
use crate::process::{Mxpool, run};

/// Wildcard, delegation with glue, DNAME, long TXT, escapes, SVCB, an unknown type, and more.
const EVERYTHING: &str = r#"
$ORIGIN everything.example.
$TTL 1h
@       1d IN SOA ns1 host\.master ( 7      ; serial
                 4h 1h 2w               ; refresh, retry, expire
                 15m )
        IN 1d NS ns1
        1d NS ns2.elsewhere.example.
ns1     A 192.0.2.1
        AAAA 2001:db8::1
@       MX 10 mx1
        MX 20 MX2.Elsewhere.example.
mx1     A 192.0.2.25
*       MX 10 mx1
*.wild  TXT "wild"
cut     NS ns.cut
        NS ns.other.cut2
        DS 12345 13 2 ( 8cb0fc6c527506a053f4f14c8464bebb
                        d6dede2738d11468dd953d7d6a3021f1 )
ns.cut  A 192.0.2.53
old     DNAME new
long    TXT ( "first string, quoted in parentheses; with a semicolon"
              "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789abcde" )
escapes TXT "a \"quote\", a back\\slash, a tab \009 and \195\188" plain\ word
a\.dot  A 192.0.2.77
_sip._tcp SRV 1 2 5060 sip
sip     A 192.0.2.60
svc     SVCB 1 svc.target ( alpn="h2,h3" port=8443 ipv4hint=192.0.2.8 )
web     HTTPS 1 . alpn=h3,h2
@       CAA 0 issue "letsencrypt.org; validationmethods=dns-01"
_25._tcp.mx1 TLSA 3 1 1 8cb0fc6c527506a053f4f14c8464bebbd6dede2738d11468dd953d7d6a3021f1
naptr   NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:info@example.com!" .
unknown TYPE65400 \# 4 0102 0304
known   TYPE1 \# 4 C0000207
empty   TYPE65401 \# 0
alias   CNAME mx1
host    RP admin.everything.example. txt.everything.example.
"#;

/// The same in two files, the second beside the first.
const WITH_INCLUDE: &str = "$TTL 3600\n@ SOA ns1 hostmaster 1 14400 3600 1209600 900\n@ NS ns1\n\
                            ns1 A 192.0.2.1\n$INCLUDE more.zone sub\nafter A 192.0.2.3\n";

/// Returns a zone's records as BIND reads them, without the SOA, whose serial moves.
fn as_bind_reads_it(folder: &Path, zone: &str, text: &str) -> BTreeSet<String> {
    let (file, out) = (folder.join("in.zone"), folder.join("out.zone"));
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new("named-checkzone");
    command
        .args(["-i", "none", "-k", "ignore", "-s", "full", "-D", "-o"])
        .arg(&out);
    let (good, printed) = run(command.arg(zone).arg(&file));
    assert!(good, "{printed}\n{text}");
    let signer_made = ["SOA", "RRSIG", "NSEC", "DNSKEY", "CDS", "CDNSKEY"];
    std::fs::read_to_string(&out)
        .unwrap()
        .lines()
        .filter(|line| {
            line.split_whitespace()
                .nth(3)
                .is_some_and(|rtype| !signer_made.contains(&rtype))
        })
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        // The case of names does not matter (RFC 4343, section 3), and ours are in lower case.
        .map(|line| {
            if line.contains(" MX ") {
                line.to_ascii_lowercase().replace(" in mx ", " IN MX ")
            } else {
                line
            }
        })
        .collect()
}

#[test]
fn a_master_file_of_everything_survives_import_serving_and_export() {
    let folder = tempfile::tempdir().unwrap();
    let server = Mxpool::start(folder.path());
    let zone = "everything.example";
    let meant = as_bind_reads_it(folder.path(), zone, EVERYTHING);
    assert!(meant.len() >= 28, "{meant:#?}");
    server.put_zone(zone, EVERYTHING);

    let get = |path: &str| {
        let (status, text) = server.try_call("GET", path, None).unwrap();
        assert_eq!(status, 200, "{text}");
        text
    };
    let exported = get(&format!("/v1/zones/{zone}"));
    let signed = get(&format!("/v1/zones/{zone}?signed=true"));

    assert_eq!(
        as_bind_reads_it(folder.path(), zone, &exported),
        meant,
        "{exported}"
    );
    assert_eq!(
        as_bind_reads_it(folder.path(), zone, &signed),
        meant,
        "{signed}"
    );
    std::fs::write(folder.path().join("signed"), &signed).unwrap();
    let (good, text) = run(Command::new("ldns-verify-zone").arg(folder.path().join("signed")));
    assert!(good, "{text}\n{signed}");

    // What is exported is taken again, and nothing moves by it but the serial.
    server.put_zone(zone, &exported);
    assert_eq!(
        as_bind_reads_it(folder.path(), zone, &get(&format!("/v1/zones/{zone}"))),
        meant
    );
    server.put_zone(zone, &signed);
    assert_eq!(
        as_bind_reads_it(folder.path(), zone, &get(&format!("/v1/zones/{zone}"))),
        meant
    );
}

#[test]
fn what_is_served_is_what_the_master_file_says() {
    let folder = tempfile::tempdir().unwrap();
    let server = Mxpool::start(folder.path());
    server.put_zone("everything.example", EVERYTHING);
    let ask = |qname: &str, qtype: u16| -> Vec<Vec<u8>> {
        let reply = tcp(server.dns, &Query::new(qname, qtype));
        reply
            .answers(qtype)
            .iter()
            .map(|record| record.rdata.clone())
            .collect()
    };

    let long = ask("long.everything.example", TXT);
    assert_eq!(long[0].len(), 1 + 53 + 1 + 255);
    assert_eq!(long[0][0], 53);
    assert_eq!(
        ask("escapes.everything.example", TXT)[0],
        [
            &[39][..],
            b"a \"quote\", a back\\slash, a tab \x09 and \xc3\xbc",
            &[10],
            b"plain word"
        ]
        .concat()
    );
    assert_eq!(ask("unknown.everything.example", 65_400), [[1, 2, 3, 4]]);
    assert_eq!(ask("known.everything.example", 1), [[192, 0, 2, 7]]);
    assert_eq!(ask("empty.everything.example", 65_401), [Vec::<u8>::new()]);
    let svcb = &ask("svc.everything.example", 64)[0];
    assert!(
        svcb.ends_with(&[0, 4, 0, 4, 192, 0, 2, 8]),
        "ipv4hint is the last key: {svcb:?}"
    );
}

#[test]
fn a_manifest_includes_files_beside_it_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let server = Mxpool::start(folder.path());
    let manifest = folder.path().join("m/pool.toml");
    std::fs::create_dir(folder.path().join("m")).unwrap();
    std::fs::write(folder.path().join("m/a.zone"), WITH_INCLUDE).unwrap();
    std::fs::write(folder.path().join("m/more.zone"), "in A 192.0.2.2\n").unwrap();
    std::fs::write(&manifest, "[zone.\"inc.example\"]\nfile = \"a.zone\"\n").unwrap();
    let apply = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mxpool"));
        command.arg("apply").arg(&manifest).args([
            "--api",
            &server.api,
            "--token",
            &server.token(),
        ]);
        run(&mut command)
    };

    let (good, text) = apply();
    assert!(good, "{text}");
    for (qname, address) in [("in.sub.inc.example", 2), ("after.inc.example", 3)] {
        let reply = tcp(server.dns, &Query::new(qname, 1));
        assert_eq!(reply.answers(1)[0].rdata, [192, 0, 2, address], "{qname}");
    }

    let secret = folder.path().join("secret");
    std::fs::write(&secret, "root:x:0:0\n").unwrap();
    for outside in ["../secret".to_owned(), secret.display().to_string()] {
        let text = format!("{WITH_INCLUDE}$INCLUDE {outside}\n");
        std::fs::write(folder.path().join("m/a.zone"), text).unwrap();
        let (good, text) = apply();
        assert!(!good && text.contains("a.zone:7"), "{text}");
        assert!(!text.contains("root:x"), "{text}");
    }
    // Over the API there is no folder, and so no file to include.
    let (status, answer) = server
        .try_send("PUT", "/v1/zones/inc.example", "text/dns", WITH_INCLUDE)
        .unwrap();
    assert_eq!(status, 422, "{answer}");
    assert!(
        answer.contains("include") && answer.contains("line 5"),
        "{answer}"
    );
}
