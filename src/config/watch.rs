//! `[watch]`: how the outside is observed.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::clock::Span;
use crate::watch::{CountsSource, CountsToken, ListedServer, Trust, WatchConfig};
use crate::wire::Name;

use super::entries::{Entry, Value};
use super::problem::{Place, Problem};
use super::reader::Reader;
use super::values::{address, list, parsed, show, text};

/// Where the system says which resolvers it uses.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Looking more often than this shows nothing new and costs others (K29).
const SHORTEST_INTERVAL: Span = Span::from_secs(1);
/// Looking less often than this is a typing error.
const LONGEST_INTERVAL: Span = Span::from_secs(86_400);
/// The keys of `[[watch.server]]`.
const SERVER: [&str; 4] = ["name", "probe", "counts", "counts_token_file"];

impl Reader<'_> {
    /// Reads how the outside is watched; `None` without the section.
    pub(super) fn watch(&mut self) -> Option<WatchConfig> {
        if !self.entries.has_section("watch") {
            return None;
        }
        let mut config = WatchConfig::new(self.resolvers());
        if let Some(interval) = self.get("watch", "interval", interval) {
            config.interval = interval;
        }
        if let Some(probe) = self.get("watch", "smtp_probe", flag) {
            config.smtp_probe = probe;
        }
        if let Some(authorities) = self.get("watch", "policy_ca", authorities) {
            config.trust = Trust::Only(authorities);
        }
        config.servers = self.listed_servers();
        Some(config)
    }

    /// Reads the resolvers to look through; without the setting, those of the system.
    fn resolvers(&mut self) -> Vec<SocketAddr> {
        if self.entries.get("watch", "resolvers").is_some() {
            let items = self.get("watch", "resolvers", list).unwrap_or_default();
            return self.addresses("resolvers", &items);
        }
        let found = match fs::read_to_string(RESOLV_CONF) {
            Ok(text) => resolvers_in(&text),
            Err(_) => Vec::new(),
        };
        if found.is_empty() {
            self.problems.push(Problem {
                place: Place::Default {
                    setting: "watch.resolvers".to_owned(),
                },
                detail: format!(
                    "expected a line \"nameserver 192.0.2.1\" in {RESOLV_CONF}, found none; set \
                     watch.resolvers to validating resolvers"
                ),
            });
        }
        found
    }

    /// Reads a list of addresses with ports; each wrong one is a problem at its place.
    fn addresses(&mut self, key: &str, items: &[Entry]) -> Vec<SocketAddr> {
        let mut addresses = Vec::new();
        for item in items {
            match address(item) {
                Ok(address) => addresses.push(address),
                Err(detail) => self.wrong(&item.place, key, &detail),
            }
        }
        addresses
    }

    /// Reads every `[[watch.server]]`.
    fn listed_servers(&mut self) -> Vec<ListedServer> {
        let Some(entry) = self.entries.get("watch", "server").cloned() else {
            return Vec::new();
        };
        let Value::List(items) = &entry.value else {
            let detail = format!(
                "expected tables [[watch.server]], found {}",
                show(&entry.value)
            );
            self.wrong(&entry.place, "server", &detail);
            return Vec::new();
        };
        let mut servers: Vec<ListedServer> = Vec::new();
        for item in items {
            let Value::Table(fields) = &item.value else {
                let detail = format!(
                    "expected a table [[watch.server]], found {}",
                    show(&item.value)
                );
                self.wrong(&item.place, "server", &detail);
                continue;
            };
            let Some(server) = self.listed_server(&item.place, fields) else {
                continue;
            };
            if servers.iter().any(|known| known.name == server.name) {
                let detail = format!("expected each server once, found {} again", server.name);
                self.wrong(&item.place, "server", &detail);
                continue;
            }
            servers.push(server);
        }
        servers
    }

    /// Reads one `[[watch.server]]`.
    fn listed_server(
        &mut self,
        place: &Place,
        fields: &[(String, Place, Entry)],
    ) -> Option<ListedServer> {
        for (key, place, _) in fields {
            if !SERVER.contains(&key.as_str()) {
                let detail = format!("unknown key {key:?}; expected one of {}", SERVER.join(", "));
                self.wrong(place, "server", &detail);
            }
        }
        let field = |key: &str| {
            let mut fields = fields.iter();
            fields.find(|(name, ..)| name == key).map(|(.., it)| it)
        };
        let name = match field("name") {
            Some(entry) => self.field("server.name", entry, name),
            None => {
                self.wrong(place, "server", "expected a name, found none");
                None
            }
        };
        let probe = field("probe").map(|entry| {
            let items = self.field("server.probe", entry, list);
            self.addresses("server.probe", &items.unwrap_or_default())
        });
        let counts = field("counts");
        let mut source = counts.and_then(|entry| self.field("server.counts", entry, counts_source));
        if let Some(entry) = field("counts_token_file") {
            let token = self.field("server.counts_token_file", entry, token);
            match (&mut source, counts) {
                (Some(source), _) => source.token = token,
                (None, Some(_)) => {}
                (None, None) => self.wrong(
                    &entry.place,
                    "server.counts_token_file",
                    "expected it beside counts, found no counts",
                ),
            }
        }
        Some(ListedServer {
            name: name?,
            probe: probe.unwrap_or_default(),
            counts: source,
        })
    }

    /// Reads one field of a table; a problem is noted at its place.
    fn field<T>(
        &mut self,
        key: &str,
        entry: &Entry,
        read: impl Fn(&Entry) -> Result<T, String>,
    ) -> Option<T> {
        read(entry)
            .map_err(|detail| self.wrong(&entry.place, key, &detail))
            .ok()
    }

    /// Notes a problem with a setting of `[watch]`.
    fn wrong(&mut self, place: &Place, key: &str, detail: &str) {
        self.problems.push(Problem {
            place: place.clone(),
            detail: format!("watch.{key}: {detail}"),
        });
    }
}

/// Returns the resolvers that a `resolv.conf` names, at port 53.
fn resolvers_in(text: &str) -> Vec<SocketAddr> {
    let servers = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        if words.next()? != "nameserver" {
            return None;
        }
        // An address of a link has its interface behind it, which cannot be asked through here.
        let address: IpAddr = words.next()?.parse().ok()?;
        Some(SocketAddr::new(address, 53))
    });
    servers.collect()
}

/// Reads yes or no.
pub(super) fn flag(entry: &Entry) -> Result<bool, String> {
    let flag = match &entry.value {
        Value::Flag(flag) => Some(*flag),
        Value::Variable(text) => text.trim().parse().ok(),
        _ => None,
    };
    flag.ok_or_else(|| format!("expected true or false, found {}", show(&entry.value)))
}

/// Reads how often what is waited for is looked at.
fn interval(entry: &Entry) -> Result<Span, String> {
    let interval: Span = parsed(entry)?;
    if (SHORTEST_INTERVAL..=LONGEST_INTERVAL).contains(&interval) {
        return Ok(interval);
    }
    Err(format!(
        "expected a span from {SHORTEST_INTERVAL} to {LONGEST_INTERVAL}, found {interval}"
    ))
}

/// Reads the certificates of the authorities that are trusted.
fn authorities(entry: &Entry) -> Result<Vec<CertificateDer<'static>>, String> {
    let path = text(entry)?;
    let pem = fs::read(path)
        .map_err(|error| format!("expected a readable PEM file, found {path:?}: {error}"))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => {
            let mut roots = RootCertStore::empty();
            for certificate in &certificates {
                roots.add(certificate.clone()).map_err(|error| {
                    format!("expected certificates in PEM, found in {path:?}: {error}")
                })?;
            }
            Ok(certificates)
        }
        Ok(_) => Err(format!(
            "expected certificates in PEM, found none in {path:?}"
        )),
        Err(error) => Err(format!(
            "expected certificates in PEM, found {path:?}: {error:?}"
        )),
    }
}

/// Reads the name of a name server.
fn name(entry: &Entry) -> Result<Name, String> {
    let name = Name::parse(text(entry)?).map_err(|error| error.to_string())?;
    if name.is_root() || !name.is_host_name() {
        return Err(format!("expected the name of a host, found {name}"));
    }
    Ok(name)
}

/// Reads where query counts come from.
fn counts_source(entry: &Entry) -> Result<CountsSource, String> {
    let found = text(entry)?;
    let wanted = || {
        format!(
            "expected a URL like \"https://192.0.2.53:8053/v1/counts\" with an address and a \
             port, found {found:?}"
        )
    };
    let (tls, rest) = match (
        found.strip_prefix("https://"),
        found.strip_prefix("http://"),
    ) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return Err(wanted()),
    };
    let slash = rest.find('/').ok_or_else(wanted)?;
    let (authority, path) = rest.split_at(slash);
    let address: SocketAddr = authority.parse().map_err(|_| wanted())?;
    if !path.bytes().all(|octet| octet.is_ascii_graphic()) {
        return Err(wanted());
    }
    if !tls && !address.ip().is_loopback() {
        return Err(format!(
            "expected https:// for another machine, found {found:?}: the token must not cross a \
             network in the clear"
        ));
    }
    Ok(CountsSource {
        address,
        host: address.ip().to_string(),
        path: path.to_owned(),
        tls,
        token: None,
    })
}

/// Reads a token out of its file.
fn token(entry: &Entry) -> Result<CountsToken, String> {
    let path = text(entry)?;
    let token = fs::read_to_string(Path::new(path))
        .map_err(|error| format!("expected a readable token file, found {path:?}: {error}"))?;
    let token = token.trim();
    if token.is_empty() || !token.bytes().all(|octet| octet.is_ascii_graphic()) {
        return Err(format!(
            "expected one token in {path:?}, found another text"
        ));
    }
    Ok(CountsToken::new(token.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::settings::tests::assert_begin;

    /// Reads a file's text; problems come as lines.
    fn parse(text: &str) -> Result<Option<WatchConfig>, Vec<String>> {
        Config::read_text("mxpool.toml", text)
            .map(|config| config.watch)
            .map_err(|problems| problems.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn without_the_section_nothing_is_asked_of_anyone() {
        assert_eq!(parse("[log]\nlevel = \"info\"\n"), Ok(None));
    }

    #[test]
    fn every_setting_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("ns1.token");
        fs::write(&token, "secret\n").unwrap();
        let text = format!(
            r#"
            [watch]
            resolvers = ["127.0.0.1:5353", "[::1]:53"]
            interval = "30s"
            smtp_probe = false
            [[watch.server]]
            name = "ns1.infra.example."
            probe = ["192.0.2.53:53", "[2001:db8::53]:53"]
            counts = "https://192.0.2.53:8053/v1/counts"
            counts_token_file = {token:?}
            [[watch.server]]
            name = "ns2.infra.example"
        "#
        );

        let config = parse(&text).unwrap().unwrap();

        let mut wanted = WatchConfig::new(
            ["127.0.0.1:5353", "[::1]:53"]
                .map(|text| text.parse().unwrap())
                .into(),
        );
        wanted.interval = Span::from_secs(30);
        wanted.smtp_probe = false;
        wanted.servers = vec![
            ListedServer {
                name: Name::parse("ns1.infra.example").unwrap(),
                probe: ["192.0.2.53:53", "[2001:db8::53]:53"]
                    .map(|text| text.parse().unwrap())
                    .into(),
                counts: Some(CountsSource {
                    address: "192.0.2.53:8053".parse().unwrap(),
                    host: "192.0.2.53".to_owned(),
                    path: "/v1/counts".to_owned(),
                    tls: true,
                    token: Some(CountsToken::new("secret".to_owned())),
                }),
            },
            ListedServer {
                name: Name::parse("ns2.infra.example").unwrap(),
                probe: Vec::new(),
                counts: None,
            },
        ];
        assert_eq!(config, wanted);
    }

    #[test]
    fn everything_wrong_is_said_at_its_place() {
        let text = r#"[watch]
resolvers = ["127.0.0.1", 7]
interval = "0s"
smtp_probe = "no"
policy_ca = "/no/such.pem"
colour = 1
[[watch.server]]
probe = []
counts = "ftp://192.0.2.53"
[[watch.server]]
name = "ns1.infra.example"
counts = "http://192.0.2.53:8053/v1/counts"
tokens = 1
[[watch.server]]
name = "ns1.infra.example"
counts_token_file = "/no/such.token"
[[watch.server]]
name = "_x.example"
counts = "https://ns1.infra.example/v1/counts"
"#;

        let problems = parse(text).unwrap_err();

        let begins = [
            "mxpool.toml:2:14: watch.resolvers: expected an address with a port",
            "mxpool.toml:2:27: watch.resolvers: expected a text in quotes, found 7",
            "mxpool.toml:3:12: watch.interval: expected a span from 1s to 1d, found 0s",
            "mxpool.toml:4:14: watch.smtp_probe: expected true or false, found \"no\"",
            "mxpool.toml:5:13: watch.policy_ca: expected a readable PEM file, found \"/no/such.pem\"",
            "mxpool.toml:6:1: unknown key \"colour\" in section [watch]; expected one of resolvers",
            "mxpool.toml:7:1: watch.server: expected a name, found none",
            "mxpool.toml:8:9: watch.server.probe: expected at least one address, found an empty list",
            "mxpool.toml:9:10: watch.server.counts: expected a URL like",
            "mxpool.toml:12:10: watch.server.counts: expected https:// for another machine",
            "mxpool.toml:13:1: watch.server: unknown key \"tokens\"; expected one of name, probe",
            "mxpool.toml:14:1: watch.server: expected each server once, found ns1.infra.example.",
            "mxpool.toml:16:21: watch.server.counts_token_file: expected a readable token file",
            "mxpool.toml:16:21: watch.server.counts_token_file: expected it beside counts",
            "mxpool.toml:18:8: watch.server.name: expected the name of a host, found _x.example.",
            "mxpool.toml:19:10: watch.server.counts: expected a URL like",
        ];
        assert_begin(&problems, &begins);
    }

    #[test]
    fn a_section_alone_looks_through_the_systems_resolvers() {
        let text = "# a comment\nsearch example\nnameserver 192.0.2.1\nnameserver 2001:db8::1\n\
                    nameserver fe80::1%eth0\noptions edns0\n";

        let resolvers = resolvers_in(text);

        let wanted = ["192.0.2.1:53", "[2001:db8::1]:53"].map(|text| text.parse().unwrap());
        assert_eq!(resolvers, wanted);
    }

    #[test]
    fn a_file_without_certificates_is_no_authority() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        fs::write(&path, "hello\n").unwrap();

        let text = format!("[watch]\nresolvers = [\"[::1]:53\"]\npolicy_ca = {path:?}\n");
        let problems = parse(&text).unwrap_err();

        assert!(
            problems[0].contains("expected certificates in PEM, found none"),
            "{problems:?}"
        );
        // The start would be refused by it.
        let begin = "-----BEGIN CERTIFICATE-----";
        fs::write(
            &path,
            format!("{begin}\nMAMCAQE=\n-----END CERTIFICATE-----\n"),
        )
        .unwrap();
        let problems = parse(&text).unwrap_err();
        let wanted = "mxpool.toml:3:13: watch.policy_ca: expected certificates in PEM, found in";
        assert_begin(&problems, &[wanted]);
    }
}
