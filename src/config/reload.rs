//! The configuration read again for a node that runs.

use std::net::SocketAddr;
use std::path::Path;

use crate::server::{FilesAgain, ServerConfig, TlsConfig};

use super::entries::Entries;
use super::problem::{Problem, Problems};
use super::reader::Reader;
use super::settings::{Config, LogLevel, environment, read};
use super::values::parsed;

/// What a configuration that was read again comes to.
#[derive(Debug)]
pub struct Reread {
    /// What is right in it, and what the node runs with where something is wrong.
    pub config: Config,
    /// Its log level, unless that is what is wrong.
    pub level: Option<LogLevel>,
    /// The files that it names for the server to read again.
    pub files: FilesAgain,
    /// What is wrong in it.
    pub problems: Vec<Problem>,
}

impl Config {
    /// Reads file and environment again for a node that runs with `self`: each part by itself, so
    /// that what is wrong in one keeps no other from being taken over.
    ///
    /// What lies in the files of cookie secrets and certificate is not looked at where the node reads
    /// those itself, and says what is wrong with them; it has no certificate without TLS.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with a text that is no configuration: what is meant by a setting
    /// that is not there, or not known, is anybody's guess, so nothing of it is to be taken over.
    pub fn read_again(&self, file: Option<&Path>) -> Result<Reread, Problems> {
        let text = read(file).map_err(|problem| Problems(vec![problem]))?;
        let text = text
            .as_ref()
            .map(|(file, text)| (file.as_str(), text.as_str()));
        self.reread(text, environment())
    }

    /// Reads a file's name and text, and variables, again.
    fn reread(
        &self,
        file: Option<(&str, &str)>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Reread, Problems> {
        let mut problems = Vec::new();
        let mut entries = Entries::default();
        if let Some((name, text)) = file {
            entries.read_file(name, text, &mut problems);
        }
        entries.read_environment(variables, &mut problems);
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let mut reader = Reader {
            entries,
            problems,
            running: Some(self),
        };
        let config = reader.config(Self::default());
        let level = match reader.entries.get("log", "level") {
            Some(entry) => parsed(entry).ok(),
            None => Some(config.log.level),
        };
        let tls = reader.unless_wrong(Reader::tls).flatten();
        let files = FilesAgain {
            certificate: tls.map(|tls| tls.files),
            cookie_secrets: reader.unless_wrong(Reader::cookie_secrets),
        };
        Ok(Reread {
            config,
            level,
            files,
            problems: reader.problems,
        })
    }

    /// Returns the settings in which `again` differs from what a node runs with, as far as it takes
    /// them over at its next start alone.
    pub fn needs_restart(&self, again: &Self) -> Vec<&'static str> {
        // By name, so that a new setting is not forgotten here.
        let Self {
            server,
            api,
            metrics,
            routing,
            store,
            keys,
            watch,
            log,
        } = self;
        let ServerConfig {
            listen,
            udp_workers,
            cores,
            tcp,
            tls,
            identity,
            cookie_secrets: _,
            rrl,
        } = server;
        // The certificate's files are taken over, so of this section only addresses count.
        let [(dot, doq), (dot_again, doq_again)] = [tls, &again.server.tls].map(addresses);
        let settings = [
            ("dns.listen", *listen != again.server.listen),
            ("dns.udp_workers", *udp_workers != again.server.udp_workers),
            ("dns.cores", *cores != again.server.cores),
            ("dns.nsid", identity.nsid != again.server.identity.nsid),
            (
                "dns.id_server",
                identity.id_server != again.server.identity.id_server,
            ),
            ("dns.rrl", *rrl != again.server.rrl),
            ("dns.tcp", *tcp != again.server.tcp),
            ("dns.tls.dot", dot != dot_again),
            ("dns.tls.doq", doq != doq_again),
            ("api.listen", *api != again.api),
            ("metrics.listen", *metrics != again.metrics),
            ("routing.listen", *routing != again.routing),
            ("store.path", *store != again.store),
            ("keys.path", *keys != again.keys),
            ("watch", *watch != again.watch),
            ("log.format", log.format != again.log.format),
        ];
        let changed = settings.into_iter().filter(|(_, changed)| *changed);
        changed.map(|(setting, _)| setting).collect()
    }
}

/// Returns where DNS over TLS and over QUIC are served; nowhere without the section.
fn addresses(tls: &Option<TlsConfig>) -> (&[SocketAddr], &[SocketAddr]) {
    tls.as_ref()
        .map_or((&[], &[]), |tls| (tls.dot.as_slice(), tls.doq.as_slice()))
}

#[cfg(test)]
mod tests {
    use crate::config::settings::tests::{assert_begin, cores};
    use crate::server::CertificateFiles;

    use super::*;

    /// What a node runs with.
    const RUNNING: &str = "[dns]\nlisten = [\"127.0.0.1:1\"]\nnsid = \"ns1\"\n\
                           [log]\nlevel = \"warn\"\n";

    /// Reads a text again for a node that runs with `RUNNING`, cookie secrets and a certificate.
    fn reread(text: &str) -> (Config, Result<Reread, Problems>) {
        let mut running = Config::read_text("f", RUNNING).unwrap();
        running.server.cookie_secrets = Some("old.secrets".into());
        running.server.tls = Some(TlsConfig {
            dot: vec![([127, 0, 0, 1], 853).into()],
            doq: Vec::new(),
            files: CertificateFiles {
                certificate: "old.pem".into(),
                key: "old.key".into(),
            },
        });
        let again = running.reread(Some(("f", text)), []);
        (running, again)
    }

    /// The part that is about the certificate, with files that are not there.
    const TLS: &str =
        "[dns.tls]\ndot = [\"127.0.0.1:853\"]\ncertificate = \"new.pem\"\nkey = \"new.key\"\n";

    #[test]
    fn what_is_right_is_taken_over_beside_what_is_wrong() {
        let text = format!(
            "[dns]\nlisten = [\"127.0.0.1\"]\nudp_workers = -1\n[dns.rrl]\nrate = 0\n\
             [dns.cookies]\nsecrets = 7\n[log]\nlevel = \"debug\"\n{TLS}"
        );

        let (running, again) = reread(&text);

        let Reread {
            config,
            level,
            files,
            problems,
        } = again.unwrap();
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_begin(
            &problems,
            &[
                "f:2:11: dns.listen: expected an address with a port",
                "f:3:15: dns.udp_workers: expected a number from 0 to 1024",
                "f:5:8: dns.rrl.rate: expected a number from 1 to 100000, found 0",
                "f:7:11: dns.cookies.secrets: expected a text in quotes, found 7",
            ],
        );
        assert_eq!(config.log.level, LogLevel::Debug);
        assert_eq!(level, Some(LogLevel::Debug));
        let certificate = files.certificate.unwrap().certificate;
        assert_eq!(certificate, Path::new("new.pem"));
        assert_eq!(files.cookie_secrets, None, "nothing is to be read");
        assert_eq!(config.server.listen, running.server.listen);
        assert_eq!(config.server.udp_workers, 0);
        assert_eq!(config.server.rrl, None);
        assert_eq!(config.server.cookie_secrets, running.server.cookie_secrets);
    }

    #[test]
    fn tls_that_a_node_does_not_have_yet_is_looked_into_as_a_start_would() {
        let running = Config::read_text("f", RUNNING).unwrap();

        let again = running.reread(Some(("f", TLS)), []).unwrap();

        let problems: Vec<String> = again.problems.iter().map(ToString::to_string).collect();
        assert_begin(
            &problems,
            &[
                "f:3:15: dns.tls.certificate: expected a readable PEM file, found new.pem: ",
                "f:4:7: dns.tls.key: expected a readable PEM file, found new.key: ",
            ],
        );
        assert_eq!(again.config.server.tls, None);
    }

    #[test]
    fn listeners_that_cannot_be_had_together_stay_where_they_are() {
        let text = format!(
            "[dns]\nlisten = [\"127.0.0.1:853\"]\nnsid = \"ns1\"\n[api]\nlisten = \"[::1]:3\"\n\
             [metrics]\nlisten = \"127.0.0.1:4\"\n[routing]\nlisten = \"127.0.0.1:5\"\n\
             [log]\nlevel = \"debug\"\n{TLS}"
        );

        let (running, again) = reread(&text);

        let Reread {
            config,
            files,
            problems,
            ..
        } = again.unwrap();
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let wanted = "f:13:7: dns.tls.dot: expected an address and port of its own, found";
        assert_begin(&problems, &[wanted]);
        assert_eq!(running.needs_restart(&config), [""; 0]);
        assert_eq!(config.log.level, LogLevel::Debug);
        let certificate = files.certificate.unwrap().certificate;
        assert_eq!(certificate, Path::new("new.pem"));
    }

    #[test]
    fn a_level_or_certificate_that_is_wrong_stays_as_it_is() {
        let text = "[dns.tls]\ndot = [\"127.0.0.1:853\"]\ncertificate = \"new.pem\"\n\
                    [dns.cookies]\nsecrets = \"new.secrets\"\n[log]\nlevel = \"loud\"\n";

        let (running, again) = reread(text);

        let Reread {
            config,
            level,
            files,
            problems,
        } = again.unwrap();
        assert_eq!(level, None, "nothing is to be taken over");
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert_eq!(config.log.level, LogLevel::Warn);
        assert_eq!(config.server.tls, running.server.tls);
        // To read those that are shown again would keep a reading of others from counting that a
        // request before has begun.
        assert_eq!(files.certificate, None);
        assert_eq!(files.cookie_secrets, Some(Some("new.secrets".into())));
    }

    #[test]
    fn of_a_text_that_is_no_configuration_nothing_is_taken_over() {
        for text in ["[log]\nlevle = \"debug\"\n", "[log]\nlevel = \"debug\n"] {
            let (_, again) = reread(text);

            let problems = again.unwrap_err();

            assert_eq!(problems.0.len(), 1, "{problems}");
        }
    }

    #[test]
    fn what_waits_for_a_restart_is_known_by_name() {
        let (running, again) = reread(&format!(
            "{RUNNING}[dns.cookies]\nsecrets = \"new.secrets\"\n{TLS}"
        ));
        let config = again.unwrap().config;
        assert_eq!(running.needs_restart(&config), [""; 0]);

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let (there, _) = cores();
        let (running, again) = reread(&format!(
            "[dns]\nlisten = [\"127.0.0.1:2\"]\nudp_workers = 2\ncores = [{there}]\nnsid = \"ns2\"\n\
             id_server = true\n[dns.rrl]\n[dns.tcp]\nidle = \"1m\"\n[dns.tls]\n\
             doq = [\"127.0.0.1:853\"]\ncertificate = \"old.pem\"\nkey = \"old.key\"\n\
             [api]\nlisten = \"[::1]:3\"\n[metrics]\nlisten = \"127.0.0.1:4\"\n\
             [routing]\nlisten = \"127.0.0.1:5\"\n[store]\npath = {path:?}\n[keys]\npath = {path:?}\n\
             [watch]\nresolvers = [\"127.0.0.1:6\"]\n[log]\nformat = \"json\"\n"
        ));

        let config = again.unwrap().config;

        let all = [
            "dns.listen",
            "dns.udp_workers",
            "dns.cores",
            "dns.nsid",
            "dns.id_server",
            "dns.rrl",
            "dns.tcp",
            "dns.tls.dot",
            "dns.tls.doq",
            "api.listen",
            "metrics.listen",
            "routing.listen",
            "store.path",
            "keys.path",
            "watch",
            "log.format",
        ];
        assert_eq!(running.needs_restart(&config), all);
    }
}
