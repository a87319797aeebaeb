//! `[dns.tcp]` and `[dns.tls]`: what those who ask over connections may take, and where they do so
//! encrypted.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::Span;
use crate::server::{CertificateFile, CertificateFiles, TcpLimits, TlsConfig};

use super::entries::{Entry, Value};
use super::problem::{Place, Problem};
use super::reader::Reader;
use super::replies::items;
use super::values::{parsed, show, text};

/// More connections than this no process has descriptors for.
const MOST_CONNECTIONS: i64 = 1_000_000;

/// Shorter, and a query on its way would find its connection closed.
const SHORTEST_IDLE: Span = Span::from_secs(1);

/// The longest time that a connection can be told it may idle (RFC 7828, section 3.1: 65 535 tenths
/// of a second), in whole minutes.
const LONGEST_IDLE: Span = Span::from_secs(109 * 60);

impl Reader<'_> {
    /// Reads the limits of connections.
    pub(super) fn tcp(&mut self) -> TcpLimits {
        let mut limits = TcpLimits::default();
        let known = self.problems.len();
        if let Some(total) = self.get("dns.tcp", "connections", connections) {
            limits.connections = total;
            limits.per_source = limits.per_source.min(total);
        }
        // Of how many it is a part is not known where that is wrong.
        let total = (self.problems.len() == known).then_some(limits.connections);
        let per_source = self.get("dns.tcp", "per_source", |entry| per_source(entry, total));
        if let Some(per_source) = per_source {
            limits.per_source = per_source;
        }
        if let Some(idle) = self.get("dns.tcp", "idle", idle) {
            limits.idle = idle;
        }
        limits
    }

    /// Reads where encrypted transports are served; `None` without the section.
    pub(super) fn tls(&mut self) -> Option<TlsConfig> {
        if !self.entries.has_section("dns.tls") {
            return None;
        }
        let known = self.problems.len();
        let [dot, doq] = ["dot", "doq"].map(|key| self.served_at(key));
        // What is wrong with one has been said.
        if dot.is_empty() && doq.is_empty() && self.problems.len() == known {
            let detail = "expected addresses in dot, doq or both, found none in [dns.tls]";
            self.missing("dot", detail);
        }
        let certificate = self.file("certificate");
        let key = self.file("key");
        // A node that shows a certificate says itself what is wrong in another one.
        if self.running.is_none_or(|it| it.server.tls.is_none()) {
            for (file, fault) in CertificateFiles::faults(certificate.as_deref(), key.as_deref()) {
                let key = match file {
                    CertificateFile::Certificate => "certificate",
                    CertificateFile::Key => "key",
                };
                self.get("dns.tls", key, |_| Err::<(), _>(fault.to_string()));
            }
        }
        let files = CertificateFiles {
            certificate: certificate?,
            key: key?,
        };
        Some(TlsConfig { dot, doq, files })
    }

    /// Reads where one encrypted transport is served, be it nowhere.
    fn served_at(&mut self, key: &'static str) -> Vec<SocketAddr> {
        let items = self.get("dns.tls", key, |entry| items(entry, "addresses"));
        self.addresses_of("dns.tls", key, items.unwrap_or_default())
    }

    /// Reads the path of a file that there must be.
    fn file(&mut self, key: &'static str) -> Option<PathBuf> {
        if self.entries.get("dns.tls", key).is_none() {
            let detail = format!("expected the path of a PEM file in dns.tls.{key}, found none");
            self.missing(key, &detail);
        }
        self.get("dns.tls", key, |entry| text(entry).map(PathBuf::from))
    }

    /// Notes that a setting of `[dns.tls]` is missing, where another one of it stands.
    fn missing(&mut self, key: &str, detail: &str) {
        let others = ["dot", "doq", "certificate", "key"].into_iter();
        let place = others
            .filter_map(|other| self.entries.get("dns.tls", other))
            .map(|entry| entry.place.clone())
            .next();
        let setting = format!("dns.tls.{key}");
        self.problems.push(Problem {
            place: place.unwrap_or(Place::Default { setting }),
            detail: detail.to_owned(),
        });
    }
}

/// Reads a number of connections.
fn connections(entry: &Entry) -> Result<usize, String> {
    let number = match &entry.value {
        Value::Number(number) => Some(*number),
        Value::Variable(text) => text.trim().parse().ok(),
        _ => None,
    };
    number
        .filter(|number| (1..=MOST_CONNECTIONS).contains(number))
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| {
            format!(
                "expected a number from 1 to {MOST_CONNECTIONS}, found {}",
                show(&entry.value)
            )
        })
}

/// Reads how many connections one source gets, of so many if that is known.
fn per_source(entry: &Entry, total: Option<usize>) -> Result<usize, String> {
    let per_source = connections(entry)?;
    match total {
        Some(total) if per_source > total => Err(format!(
            "expected at most as many as dns.tcp.connections, which is {total}, found {per_source}"
        )),
        _ => Ok(per_source),
    }
}

/// Reads how long a connection may idle.
fn idle(entry: &Entry) -> Result<Duration, String> {
    let idle: Span = parsed(entry)?;
    if (SHORTEST_IDLE..=LONGEST_IDLE).contains(&idle) {
        return Ok(idle.as_duration());
    }
    Err(format!(
        "expected a span from {SHORTEST_IDLE} to {LONGEST_IDLE}, found {idle}"
    ))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use crate::config::Config;
    use crate::config::settings::tests::assert_begin;
    use crate::server::TcpLimits;

    use super::*;

    /// Reads a text; problems come as lines.
    fn read(text: &str) -> Result<Config, Vec<String>> {
        Config::read_text("f", text)
            .map_err(|problems| problems.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn limits_of_connections_are_read() {
        let text = "[dns.tcp]\nconnections = 5000\nper_source = 30\nidle = \"1m\"\n";

        let limits = read(text).unwrap().server.tcp;

        let wanted = TcpLimits {
            connections: 5_000,
            per_source: 30,
            idle: Duration::from_secs(60),
            ..TcpLimits::default()
        };
        assert_eq!(limits, wanted);
        assert_eq!(
            read("[dns]\ntcp = { idle = \"1m\" }\n")
                .unwrap()
                .server
                .tcp
                .idle,
            wanted.idle
        );
    }

    #[test]
    fn one_source_gets_no_more_than_there_are() {
        let limits = read("[dns.tcp]\nconnections = 7\n").unwrap().server.tcp;

        assert_eq!(limits.per_source, 7);
        for (total, wanted) in [("connections = 20\n", 20), ("", 150)] {
            let text = format!("[dns.tcp]\nper_source = 151\n{total}");
            let wanted = format!(
                "f:2:14: dns.tcp.per_source: expected at most as many as dns.tcp.connections, \
                 which is {wanted}, found 151"
            );
            assert_eq!(read(&text).unwrap_err(), [wanted]);
        }
        // What is wrong with the total is said once.
        let text = "[dns.tcp]\nper_source = 151\nconnections = 0\n";
        let wanted = "f:3:15: dns.tcp.connections: expected a number from 1";
        assert_begin(&read(text).unwrap_err(), &[wanted]);
    }

    #[test]
    fn impossible_limits_are_refused() {
        let text = "[dns.tcp]\nconnections = 0\nper_source = \"many\"\nidle = \"2h\"\nidel = 1\n";

        assert_begin(
            &read(text).unwrap_err(),
            &[
                "f:2:15: dns.tcp.connections: expected a number from 1 to 1000000, found 0",
                "f:3:14: dns.tcp.per_source: expected a number from 1 to 1000000, found \"many\"",
                "f:4:8: dns.tcp.idle: expected a span from 1s to 1h49m, found 2h",
                "f:5:1: unknown key \"idel\" in section [dns.tcp]; expected one of connections,",
            ],
        );
        assert_begin(
            &read("[dns]\ntcp = 5\n").unwrap_err(),
            &["f:2:1: expected a section [dns.tcp], found an integer"],
        );
    }

    /// Writes a certificate and its key into a folder, and returns the lines that name them.
    fn files(folder: &tempfile::TempDir) -> (CertificateFiles, String) {
        let [certificate, key] = ["dns.pem", "dns.key"].map(|name| folder.path().join(name));
        let made = rcgen::generate_simple_self_signed(["ns1.example".to_owned()]).unwrap();
        fs::write(&certificate, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        let lines = format!("certificate = {certificate:?}\nkey = {key:?}\n");
        (CertificateFiles { certificate, key }, lines)
    }

    #[test]
    fn encrypted_transports_are_read_with_their_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let (files, lines) = files(&folder);
        let text = format!(
            "[dns.tls]\ndot = [\"127.0.0.1:853\"]\ndoq = [\"127.0.0.1:853\", \"[::1]:853\"]\n{lines}"
        );

        let tls = read(&text).unwrap().server.tls.unwrap();

        assert_eq!(tls.dot, ["127.0.0.1:853".parse().unwrap()]);
        assert_eq!(tls.doq.len(), 2);
        assert_eq!(tls.files, files);
        fs::set_permissions(&files.key, Permissions::from_mode(0o644)).unwrap();
        let wanted =
            "f:5:7: dns.tls.key: expected a private key that nobody but its owner can write";
        assert_begin(&read(&text).unwrap_err(), &[wanted]);
        fs::set_permissions(&files.key, Permissions::from_mode(0o600)).unwrap();
        fs::write(&files.key, "no key").unwrap();
        let wanted = "f:5:7: dns.tls.key: expected a private key in PEM, found none in ";
        assert_begin(&read(&text).unwrap_err(), &[wanted]);
        fs::remove_file(&files.key).unwrap();
        let wanted = "f:5:7: dns.tls.key: expected a readable PEM file, found ";
        assert_begin(&read(&text).unwrap_err(), &[wanted]);
    }

    #[test]
    fn encrypted_transports_need_addresses_and_a_certificate() {
        assert_begin(
            &read("[dns.tls]\n").unwrap_err(),
            &[
                "default of dns.tls.dot: expected addresses in dot, doq or both, found none",
                "default of dns.tls.certificate: expected the path of a PEM file in",
                "default of dns.tls.key: expected the path of a PEM file in dns.tls.key,",
            ],
        );
        let folder = tempfile::tempdir().unwrap();
        let (_, lines) = files(&folder);
        let none = "f:2:7: expected addresses in dot, doq or both, found none in [dns.tls]";
        for text in ["dot = []\ndoq = []\n", "dot = []\n"] {
            let problems = read(&format!("[dns.tls]\n{text}{lines}")).unwrap_err();
            assert_begin(&problems, &[none]);
        }
        let text = format!("[dns.tls]\ndot = []\ndoq = [\"127.0.0.1:853\"]\n{lines}");
        assert!(read(&text).unwrap().server.tls.unwrap().dot.is_empty());
        let text = "[dns.tls]\ndot = [\"127.0.0.1\"]\nkey = \"/no/such/file\"\n";
        assert_begin(
            &read(text).unwrap_err(),
            &[
                "f:2:8: dns.tls.dot: expected an address with a port like",
                "f:2:7: expected the path of a PEM file in dns.tls.certificate, found none",
                "f:3:7: dns.tls.key: expected a readable PEM file, found /no/such/file: ",
            ],
        );
        let text = "[dns.tls]\ndot = [\"127.0.0.1:853\"]\ncertificate = \"/no/such.pem\"\n\
                    key = \"/no/such.key\"\n";
        assert_begin(
            &read(text).unwrap_err(),
            &[
                "f:3:15: dns.tls.certificate: expected a readable PEM file, found /no/such.pem: ",
                "f:4:7: dns.tls.key: expected a readable PEM file, found /no/such.key: ",
            ],
        );
        // One file may hold both; each setting is told for itself.
        let both = text.replace("such.key", "such.pem");
        assert_begin(
            &read(&both).unwrap_err(),
            &["f:3:15: dns.tls.certificate: ", "f:4:7: dns.tls.key: "],
        );
    }

    #[test]
    fn tls_and_quic_share_a_port_but_with_no_other_listener_of_theirs() {
        let folder = tempfile::tempdir().unwrap();
        let (_, lines) = files(&folder);
        let conflicts = |dot: &str, doq: &str| {
            let text = format!("[dns.tls]\ndot = [{dot:?}]\ndoq = [{doq:?}]\n{lines}");
            read(&text).err().unwrap_or_default()
        };

        assert!(conflicts("127.0.0.1:853", "127.0.0.1:853").is_empty());
        // QUIC takes no port of the API's, nor TLS.
        assert!(conflicts("127.0.0.1:853", "127.0.0.1:8053").is_empty());
        let wanted =
            "f:2:7: api.listen: expected an address and port of its own, found 127.0.0.1:8053";
        assert_begin(&conflicts("127.0.0.1:8053", "127.0.0.1:853"), &[wanted]);
        let wanted =
            "f:3:7: dns.tls.doq: expected an address and port of its own, found 127.0.0.1:5300";
        assert_begin(&conflicts("127.0.0.1:853", "127.0.0.1:5300"), &[wanted]);
    }
}
