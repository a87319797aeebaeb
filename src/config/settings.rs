//! What the settings mean.

use std::fs;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::routing::RoutingConfig;
use crate::server::ServerConfig;
use crate::watch::WatchConfig;

use super::entries::Entries;
use super::problem::{Place, Problem, Problems};
use super::reader::Reader;

/// The configuration that is read when none is named, if it is there.
const DEFAULT_FILE: &str = "mxpool.toml";

/// One node's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The data plane's addresses and limits.
    pub server: ServerConfig,
    /// Where the admin API listens; always a loopback address.
    pub api: SocketAddr,
    /// Where metrics are shown, if not at the API's address.
    pub metrics: Option<SocketAddr>,
    /// Where mail hosts ask what they may accept, if they do.
    pub routing: Option<RoutingConfig>,
    /// The store's folder.
    pub store: PathBuf,
    /// The folder of the sealing key.
    pub keys: PathBuf,
    /// How the outside is watched; `None`: not at all.
    pub watch: Option<WatchConfig>,
    /// How events are told.
    pub log: LogConfig,
}

/// How events are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogConfig {
    /// The least important events that are told.
    pub level: LogLevel,
    /// How they are written.
    pub format: LogFormat,
}

/// How important an event is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Someone must act.
    Error,
    /// Someone will have to.
    Warn,
    /// Something has changed.
    #[default]
    Info,
    /// Why.
    Debug,
    /// Everything, even each query.
    Trace,
}

/// How events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Reads `file`, or `mxpool.toml` in the working folder where there is one, or takes the
    /// defaults; then the environment. Returns the name of the file beside it, if one was read.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, at once.
    pub fn load(file: Option<&Path>) -> Result<(Self, Option<String>), Problems> {
        let mut problems = Vec::new();
        let text = read(file).unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        let source = text
            .as_ref()
            .map(|(file, text)| (file.as_str(), text.as_str()));
        let config = Self::parse(Self::default(), source, environment(), problems)?;
        Ok((config, text.map(|(file, _)| file)))
    }

    /// Takes the demo's settings and the environment: the defaults, quieter.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the environment.
    pub fn demo() -> Result<Self, Problems> {
        let mut defaults = Self::default();
        defaults.log.level = LogLevel::Warn;
        Self::parse(defaults, None, environment(), Vec::new())
    }

    /// Reads a file's text without the environment.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, at once.
    pub fn read_text(file: &str, text: &str) -> Result<Self, Problems> {
        Self::parse(Self::default(), Some((file, text)), [], Vec::new())
    }

    /// Reads a file's name and text, and variables; `problems` are those found already.
    fn parse(
        defaults: Self,
        file: Option<(&str, &str)>,
        variables: impl IntoIterator<Item = (String, String)>,
        mut problems: Vec<Problem>,
    ) -> Result<Self, Problems> {
        let mut entries = Entries::default();
        if let Some((name, text)) = file {
            entries.read_file(name, text, &mut problems);
        }
        entries.read_environment(variables, &mut problems);
        let mut reader = Reader {
            entries,
            problems,
            running: None,
        };
        let config = reader.config(defaults);
        if reader.problems.is_empty() {
            Ok(config)
        } else {
            let mut problems = reader.problems;
            problems.sort_by_key(|problem| problem.place.order());
            Err(Problems(problems))
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: ServerConfig {
                listen: default_listen(),
                udp_workers: 0,
                ..ServerConfig::default()
            },
            api: SocketAddr::from(([127, 0, 0, 1], 8_053)),
            metrics: None,
            routing: None,
            store: "data".into(),
            keys: "keys".into(),
            watch: None,
            log: LogConfig::default(),
        }
    }
}

/// Returns the environment's variables; a name that is no text is none of ours.
pub(super) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
}

/// Returns loopback's addresses; a machine without IPv6 has one.
fn default_listen() -> Vec<SocketAddr> {
    let mut listen = vec![SocketAddr::from(([127, 0, 0, 1], 5_300))];
    if UdpSocket::bind("[::1]:0").is_ok() {
        listen.push(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 5_300)));
    }
    listen
}

/// Reads the text of `file`, or of the default one if it is there; returns it behind its name.
pub(super) fn read(file: Option<&Path>) -> Result<Option<(String, String)>, Problem> {
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    let name = path.display().to_string();
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some((name, text))),
        Err(error) if file.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Problem {
            place: Place::File { file: name },
            detail: format!("expected a readable configuration: {error}"),
        }),
    }
}

impl FromStr for LogLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "error" => Ok(Self::Error),
            "warn" => Ok(Self::Warn),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            "trace" => Ok(Self::Trace),
            _ => Err(format!(
                "expected error, warn, info, debug or trace, found {text:?}"
            )),
        }
    }
}

impl LogLevel {
    /// Returns the word for the level.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("expected text or json, found {text:?}")),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use crate::routing::RoutingListen;
    use crate::server::check_cores;

    use super::*;

    /// Asserts that there is one problem for each of these beginnings, and no other.
    #[track_caller]
    pub(in crate::config) fn assert_begin(problems: &[String], begins: &[&str]) {
        for begin in begins {
            let count = problems
                .iter()
                .filter(|found| found.starts_with(begin))
                .count();
            assert_eq!(count, 1, "{begin}\n{problems:#?}");
        }
        assert_eq!(problems.len(), begins.len(), "{problems:#?}");
    }

    /// Reads a file's text and variables; problems come as lines.
    fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let file = Some(("mxpool.toml", text));
        Config::parse(Config::default(), file, variables, Vec::new())
            .map_err(|problems| problems.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn an_empty_file_means_the_defaults() {
        assert_eq!(parse("", &[]), Ok(Config::default()));
    }

    #[test]
    fn every_setting_is_read() {
        let text = r#"
            [dns]
            listen = ["192.0.2.1:53", "[2001:db8::1]:53"]
            udp_workers = 3
            cores = [THERE]
            [api]
            listen = "[::1]:9000"
            [metrics]
            listen = "127.0.0.1:9153"
            [routing]
            listen = "unix:run/routing.sock"
            [store]
            path = "a/b"
            [keys]
            path = "c"
            [log]
            level = "debug"
            format = "json"
        "#;

        let (there, _) = cores();
        let text = text.replace("THERE", &there.to_string());

        let config = parse(&text, &[]).unwrap();

        let expected = Config {
            server: ServerConfig {
                listen: vec![
                    "192.0.2.1:53".parse().unwrap(),
                    "[2001:db8::1]:53".parse().unwrap(),
                ],
                udp_workers: 3,
                cores: vec![there],
                ..ServerConfig::default()
            },
            api: "[::1]:9000".parse().unwrap(),
            metrics: Some("127.0.0.1:9153".parse().unwrap()),
            routing: Some(RoutingListen::Unix("run/routing.sock".into()).into()),
            store: "a/b".into(),
            keys: "c".into(),
            watch: None,
            log: LogConfig {
                level: LogLevel::Debug,
                format: LogFormat::Json,
            },
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let text = "[dns]\nlisten = [\"192.0.2.1:53\"]\nudp_workers = 3\n";

        let config = parse(
            text,
            &[
                ("MXPOOL_DNS__LISTEN", "127.0.0.1:1, [::1]:2"),
                ("MXPOOL_LOG__LEVEL", "warn"),
                ("MXPOOL_API", "http://not.ours.example"),
                ("PATH", "/bin"),
            ],
        )
        .unwrap();

        let listen = ["127.0.0.1:1", "[::1]:2"].map(|text| text.parse().unwrap());
        assert_eq!(config.server.listen, listen);
        assert_eq!(config.server.udp_workers, 3);
        assert_eq!(config.log.level, LogLevel::Warn);
    }

    #[test]
    fn a_variable_with_too_few_underscores_is_not_passed_over() {
        let variables = [
            ("MXPOOL_DNS_LISTEN", "127.0.0.1:1"),
            ("MXPOOL_DNS_TCP_PER_SOURCE", "7"),
            // The client commands' own, and some that Kubernetes makes.
            ("MXPOOL_API", "http://not.ours.example"),
            ("MXPOOL_TOKEN", "x"),
            ("MXPOOL_TOKEN_FILE", "x"),
            ("MXPOOL_SERVICE_HOST", "192.0.2.1"),
            ("MXPOOL_DNS_PORT_53_UDP", "udp://192.0.2.1:53"),
        ];

        let problems = parse("", &variables).unwrap_err();

        let begins = [
            "MXPOOL_DNS_LISTEN: expected MXPOOL_DNS__LISTEN, with two",
            "MXPOOL_DNS_TCP_PER_SOURCE: expected MXPOOL_DNS__TCP__PER_SOURCE, with two",
        ];
        assert_begin(&problems, &begins);
    }

    #[test]
    fn a_variable_holds_a_list_as_toml_or_parted_by_commas() {
        for text in ["[\"127.0.0.1:1\", \"[::1]:2\"]", "127.0.0.1:1,[::1]:2"] {
            let config = parse("", &[("MXPOOL_DNS__LISTEN", text)]).unwrap();

            let listen = ["127.0.0.1:1", "[::1]:2"].map(|text| text.parse().unwrap());
            assert_eq!(config.server.listen, listen);
        }
        let config = parse("", &[("MXPOOL_DNS__LISTEN", "[::1]:2")]).unwrap();
        assert_eq!(config.server.listen, ["[::1]:2".parse().unwrap()]);
    }

    /// Returns a core that this process may use, and one that it may not.
    pub(in crate::config) fn cores() -> (usize, usize) {
        let mut cores = 0..1_024;
        let there = cores.find(|core| check_cores(&[*core]).is_ok()).unwrap();
        let absent = cores.find(|core| check_cores(&[*core]).is_err()).unwrap();
        (there, absent)
    }

    #[test]
    fn cores_are_numbers_that_there_are_each_once() {
        let in_file = |value: &str| parse(&format!("[dns]\ncores = {value}\n"), &[]);
        let (there, absent) = cores();
        for text in [format!("[{there}]"), there.to_string()] {
            let config = parse("", &[("MXPOOL_DNS__CORES", &text)]).unwrap();
            assert_eq!(config.server.cores, [there], "{text}");
        }
        assert_eq!(
            in_file(&format!("[{there}]")).unwrap().server.cores,
            [there]
        );

        for (value, found) in [
            (
                "[]",
                "expected a list of cores like [0, 1], found an empty list",
            ),
            ("2", "expected a list of cores like [0, 1], found 2"),
        ] {
            let problems = in_file(value).unwrap_err();
            assert_eq!(problems, [format!("mxpool.toml:2:9: dns.cores: {found}")]);
        }
        let value = format!("[\n-1,\n1024,\n\"0\",\n{there},\n{there},\n{absent},\n{absent}]");
        let problems = in_file(&value).unwrap_err();
        let number = "expected a list of cores like [0, 1], each from 0 to 1023, found";
        let allowed = "expected cores that this process may use, which are";
        let begins = [
            format!("3:1: dns.cores: {number} -1"),
            format!("4:1: dns.cores: {number} 1024"),
            format!("5:1: dns.cores: {number} \"0\""),
            format!("7:1: dns.cores: expected each core once, found {there} again"),
            format!("8:1: dns.cores: {allowed} {there}"),
            format!("9:1: dns.cores: {allowed} {there}"),
        ];
        let begins = begins.map(|begin| format!("mxpool.toml:{begin}"));
        assert_begin(&problems, &begins.each_ref().map(String::as_str));
        let found = format!(", found core {absent}");
        assert!(problems[5].ends_with(&found), "{problems:?}");
        let variable = [("MXPOOL_DNS__CORES", "a, b")];
        assert_eq!(parse("", &variable).unwrap_err().len(), 2);
    }

    #[test]
    fn everything_wrong_is_said_at_once_with_its_place() {
        let text = r#"[dns]
listen = ["127.0.0.1", "[::1]:5300", "[::1]:5300", 7]
udp_worker = 1
udp_workers = -1

[dns.tsl]
dot = ["127.0.0.1:853"]

[api]
listen = "0.0.0.0:8053"
[watching]
interval = "5m"
[store]
path = true
[log]
level = "loud"
"#;

        let problems = parse(
            text,
            &[
                ("MXPOOL_LOG__FORMAT", "xml"),
                ("MXPOOL_DNS__NAME", "x"),
                ("MXPOOL_NO__THING", "x"),
            ],
        )
        .unwrap_err();

        let begins = [
            "mxpool.toml:3:1: unknown key \"udp_worker\" in section [dns]; expected one of listen, udp_workers, cores, nsid",
            "mxpool.toml:6:6: unknown key \"tsl\" in section [dns]",
            "mxpool.toml:11:2: unknown section \"watching\"; expected one of dns, dns.cookies, dns.rrl, dns.tcp",
            "MXPOOL_DNS__NAME: unknown key \"name\" in section [dns]",
            "MXPOOL_NO__THING: unknown section \"no\"",
            "mxpool.toml:2:11: dns.listen: expected an address with a port like \"127.0.0.1:5300\" or \"[::1]:5300\", found \"127.0.0.1\"",
            "mxpool.toml:2:38: dns.listen: expected each address once, found [::1]:5300 again",
            "mxpool.toml:2:52: dns.listen: expected a text in quotes, found 7",
            "mxpool.toml:4:15: dns.udp_workers: expected a number from 0 to 1024 (0: one per core), found -1",
            "mxpool.toml:10:10: api.listen: expected a loopback address (127.0.0.0/8 or [::1]), found 0.0.0.0:8053",
            "mxpool.toml:14:8: store.path: expected a text in quotes, found a boolean",
            "mxpool.toml:16:9: log.level: expected error, warn, info, debug or trace, found \"loud\"",
            "MXPOOL_LOG__FORMAT: log.format: expected text or json, found \"xml\"",
        ];
        assert_begin(&problems, &begins);
    }

    #[test]
    fn broken_toml_is_named_with_its_line_beside_other_problems() {
        let text = "[dns]\nlisten = [1 2]\nudp_workers = \n[api]\nlistne = 1\n[api]\nlisten = 2\n";

        let problems = parse(text, &[]).unwrap_err();

        let lines: Vec<_> = problems
            .iter()
            .map(|found| found.split(':').nth(1).unwrap())
            .collect();
        assert_eq!(lines, ["2", "3", "5", "6", "7"], "{problems:#?}");
        assert!(
            problems[2].contains("unknown key \"listne\""),
            "{problems:#?}"
        );
    }

    #[test]
    fn a_named_file_must_be_there() {
        let problems = Config::load(Some(Path::new("/no/such/mxpool.toml"))).unwrap_err();

        assert!(
            problems
                .to_string()
                .starts_with("/no/such/mxpool.toml: expected a readable configuration: "),
            "{problems}"
        );
    }

    #[test]
    fn problems_are_told_in_the_order_of_lines_and_counted() {
        let text = "[log]\nlevel = \"loud\"\n[dns]\nudp_workers = true\nx = 1\n";
        let file = Some(("f", text));
        let variables = [("MXPOOL_LOG__FORMAT".to_owned(), "xml".to_owned())];

        let problems = Config::parse(Config::default(), file, variables, Vec::new()).unwrap_err();

        let text = problems.to_string();
        let begins: Vec<_> = text.lines().map(|line| line.split(": ").next()).collect();
        let wanted = [
            "f:2:9",
            "f:4:15",
            "f:5:1",
            "MXPOOL_LOG__FORMAT",
            "4 problems",
        ];
        assert_eq!(begins, wanted.map(Some));
    }

    #[test]
    fn a_path_that_is_no_folder_is_refused_at_its_place() {
        let problems = parse("[store]\npath = \"/dev/null\"\n", &[]).unwrap_err();

        assert_eq!(
            problems,
            [
                "mxpool.toml:2:8: store.path: expected a folder, found \"/dev/null\": it is something else"
            ]
        );
    }

    #[test]
    fn mail_hosts_ask_at_a_socket_or_on_loopback_alone() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().display().to_string();
        let long = format!("unix:{}", "a".repeat(108));
        let is_folder = format!("unix:{folder}");
        for (value, wanted) in [
            (
                "127.0.0.1",
                "expected the path of a socket like \"unix:run/routing.sock\" or",
            ),
            ("run/routing.sock", "expected the path of a socket like"),
            ("inet:127.0.0.1:5310", "expected the path of a socket like"),
            (
                "0.0.0.0:5310",
                "expected a loopback address (127.0.0.0/8 or [::1]) or the path",
            ),
            (
                "unix:",
                "expected the path of a socket behind \"unix:\", found \"unix:\"",
            ),
            ("unix:run/", "expected the path of a socket behind"),
            (&long, "expected a path of at most 107 octets"),
            (&is_folder, "expected the path of a socket, found"),
            ("unix:/dev/null/routing.sock", "expected a folder, found"),
        ] {
            let problems = parse(&format!("[routing]\nlisten = {value:?}\n"), &[]).unwrap_err();

            let wanted = format!("mxpool.toml:2:10: routing.listen: {wanted}");
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].starts_with(&wanted), "{problems:?}\n{wanted}");
        }
        let variables = [("MXPOOL_ROUTING__LISTEN", "[::1]:5310")];
        let listen = RoutingListen::Tcp("[::1]:5310".parse().unwrap());
        assert_eq!(parse("", &variables).unwrap().routing, Some(listen.into()));
    }

    #[test]
    fn listeners_need_addresses_of_their_own() {
        for (text, wanted) in [
            (
                "[metrics]\nlisten = \"127.0.0.1:8053\"\n",
                "mxpool.toml:2:10: metrics.listen: expected an address and port of its own, found \
                 127.0.0.1:8053 beside 127.0.0.1:8053 of api.listen; without",
            ),
            (
                "[metrics]\nlisten = \"0.0.0.0:8053\"\n",
                "mxpool.toml:2:10: metrics.listen: expected an address and port of its own",
            ),
            (
                "[routing]\nlisten = \"127.0.0.1:8053\"\n",
                "mxpool.toml:2:10: routing.listen: expected an address and port of its own",
            ),
            (
                "[dns]\nlisten = [\"127.0.0.1:8053\"]\n",
                "mxpool.toml:2:10: api.listen: expected an address and port of its own",
            ),
            (
                "[dns]\nlisten = [\"0.0.0.0:53\", \"127.0.0.1:53\"]\n",
                "mxpool.toml:2:10: dns.listen: expected an address and port of its own",
            ),
        ] {
            let problems = parse(text, &[]).unwrap_err();

            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].starts_with(wanted), "{problems:?}");
        }
        let apart = "[dns]\nlisten = [\"0.0.0.0:53\", \"[::]:53\", \"127.0.0.1:0\"]\n\
                     [metrics]\nlisten = \"127.0.0.2:8053\"\n";
        assert!(parse(apart, &[]).is_ok());
    }
}
