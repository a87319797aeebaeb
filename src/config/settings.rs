//! What the settings mean.

use std::fmt::Display;
use std::fs;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::routing::{RoutingConfig, RoutingListen};
use crate::server::ServerConfig;
use crate::watch::WatchConfig;

use super::entries::{Entries, Entry, Value};
use super::folder::usable;
use super::listeners;
use super::problem::{Place, Problem, Problems};

/// The configuration that is read when none is named, if it is there.
const DEFAULT_FILE: &str = "mxpool.toml";

/// More threads than this on one address is a typing error.
const MOST_WORKERS: i64 = 1_024;

/// How the path of a socket begins.
const UNIX: &str = "unix:";

/// The longest path of a socket (`unix(7)`: 108 octets with the final zero).
const LONGEST_SOCKET: usize = 107;

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
    /// defaults; then the environment.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, at once.
    pub fn load(file: Option<&Path>) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let text = read(file).unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        let source = text
            .as_ref()
            .map(|(file, text)| (file.as_str(), text.as_str()));
        Self::parse(Self::default(), source, environment(), problems)
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

/// Turns entries into settings and gathers what is wrong.
pub(super) struct Reader<'a> {
    /// What was found.
    pub(super) entries: Entries,
    /// What is wrong.
    pub(super) problems: Vec<Problem>,
    /// What a node already runs with, if it reads its configuration again: whatever is wrong stays
    /// as it is there, and files that it reads again by itself are not looked into here.
    pub(super) running: Option<&'a Config>,
}

impl Reader<'_> {
    /// Reads all settings over `config`; where one is wrong, a problem is noted and it stays.
    pub(super) fn config(&mut self, mut config: Config) -> Config {
        let defaults = config.server;
        config.server = ServerConfig {
            listen: self.part(
                |running| &running.server.listen,
                |it| it.addresses_at("dns", "listen").unwrap_or(defaults.listen),
            ),
            udp_workers: self.part(
                |running| &running.server.udp_workers,
                |it| {
                    it.get("dns", "udp_workers", number)
                        .unwrap_or(defaults.udp_workers)
                },
            ),
            cores: self.part(
                |running| &running.server.cores,
                |it| it.cores().unwrap_or(defaults.cores),
            ),
            tcp: self.part(|running| &running.server.tcp, Self::tcp),
            identity: self.part(|running| &running.server.identity, Self::identity),
            rrl: self.part(|running| &running.server.rrl, Self::rrl),
            cookie_secrets: self.part(
                |running| &running.server.cookie_secrets,
                Self::cookie_secrets,
            ),
            tls: self.part(|running| &running.server.tls, Self::tls),
        };
        config.api = self.part(
            |running| &running.api,
            |it| it.get("api", "listen", loopback).unwrap_or(config.api),
        );
        config.metrics = self.part(
            |running| &running.metrics,
            |it| it.get("metrics", "listen", address),
        );
        config.routing = self.part(
            |running| &running.routing,
            |it| {
                it.get("routing", "listen", routing_listen)
                    .map(RoutingConfig::from)
            },
        );
        let conflicts = listeners::conflicts(&config, |(section, key)| {
            let entry = self.entries.get(section, key)?;
            Some(entry.place.clone())
        });
        if let Some(running) = self.running
            && !conflicts.is_empty()
        {
            listeners::keep(&mut config, running);
        }
        self.problems.extend(conflicts);
        config.store = self.part(
            |running| &running.store,
            |it| it.folder_at("store", config.store),
        );
        config.keys = self.part(
            |running| &running.keys,
            |it| it.folder_at("keys", config.keys),
        );
        config.watch = self.part(|running| &running.watch, Self::watch);
        config.log.level = self.part(
            |running| &running.log.level,
            |it| it.get("log", "level", parsed).unwrap_or(config.log.level),
        );
        config.log.format = self.part(
            |running| &running.log.format,
            |it| it.get("log", "format", parsed).unwrap_or(config.log.format),
        );
        config
    }

    /// Reads one part of the configuration; if anything is wrong with it while a node runs, it stays
    /// what it is there.
    fn part<T: Clone>(
        &mut self,
        of: impl Fn(&Config) -> &T,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let known = self.problems.len();
        let found = read(self);
        match self.running {
            Some(running) if self.problems.len() > known => of(running).clone(),
            _ => found,
        }
    }

    /// Reads the path of a folder that is there or can be made; without the setting `default`.
    fn folder_at(&mut self, section: &'static str, default: PathBuf) -> PathBuf {
        if self.entries.get(section, "path").is_some() {
            return self.get(section, "path", folder).unwrap_or(default);
        }
        if let Err(detail) = usable(&default) {
            let setting = format!("{section}.path");
            let place = Place::Default { setting };
            self.problems.push(Problem { place, detail });
        }
        default
    }

    /// Reads one setting; a problem is noted at its place.
    pub(super) fn get<T>(
        &mut self,
        section: &'static str,
        key: &'static str,
        read: impl Fn(&Entry) -> Result<T, String>,
    ) -> Option<T> {
        let entry = self.entries.get(section, key)?;
        match read(entry) {
            Ok(value) => Some(value),
            Err(detail) => {
                let place = entry.place.clone();
                let detail = format!("{section}.{key}: {detail}");
                self.problems.push(Problem { place, detail });
                None
            }
        }
    }

    /// Reads a list of addresses: at least one, none twice.
    fn addresses_at(
        &mut self,
        section: &'static str,
        key: &'static str,
    ) -> Option<Vec<SocketAddr>> {
        let items = self.get(section, key, list)?;
        Some(self.addresses_of(section, key, items))
    }

    /// Reads the items of a list of addresses, none twice; each wrong one is a problem at its place.
    pub(super) fn addresses_of(
        &mut self,
        section: &'static str,
        key: &'static str,
        items: Vec<Entry>,
    ) -> Vec<SocketAddr> {
        let mut addresses = Vec::new();
        for item in items {
            let found = address(&item).and_then(|found| {
                // Port 0 is another free port each time.
                if found.port() != 0 && addresses.contains(&found) {
                    return Err(format!("expected each address once, found {found} again"));
                }
                Ok(found)
            });
            match found {
                Ok(found) => addresses.push(found),
                Err(detail) => self.problems.push(Problem {
                    place: item.place,
                    detail: format!("{section}.{key}: {detail}"),
                }),
            }
        }
        addresses
    }
}

/// Reads a list with at least one item; a variable's may be parted by commas alone.
pub(super) fn list(entry: &Entry) -> Result<Vec<Entry>, String> {
    let items = match &entry.value {
        Value::List(items) => items.clone(),
        Value::Variable(text) => text
            .split(',')
            .map(|item| Entry {
                place: entry.place.clone(),
                value: Value::Text(item.trim().to_owned()),
            })
            .collect(),
        other => {
            return Err(format!(
                "expected a list of addresses, found {}",
                show(other)
            ));
        }
    };
    if items.is_empty() {
        return Err("expected at least one address, found an empty list".to_owned());
    }
    Ok(items)
}

/// Reads a text.
pub(super) fn text(entry: &Entry) -> Result<&str, String> {
    match &entry.value {
        Value::Text(text) | Value::Variable(text) => Ok(text),
        other => Err(format!("expected a text in quotes, found {}", show(other))),
    }
}

/// Reads a number of workers.
fn number(entry: &Entry) -> Result<usize, String> {
    let wanted = || format!("expected a number from 0 to {MOST_WORKERS} (0: one per core)");
    let number = match &entry.value {
        Value::Number(number) => Some(*number),
        Value::Variable(text) => text.trim().parse().ok(),
        _ => None,
    };
    number
        .filter(|number| *number <= MOST_WORKERS)
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| format!("{}, found {}", wanted(), show(&entry.value)))
}

/// Reads an address with a port.
pub(super) fn address(entry: &Entry) -> Result<SocketAddr, String> {
    let text = text(entry)?;
    text.parse().map_err(|_| {
        format!("expected an address with a port like \"127.0.0.1:5300\" or \"[::1]:5300\", found {text:?}")
    })
}

/// Reads an address that only this machine reaches.
fn loopback(entry: &Entry) -> Result<SocketAddr, String> {
    let address = address(entry)?;
    if !address.ip().is_loopback() {
        return Err(format!(
            "expected a loopback address (127.0.0.0/8 or [::1]), found {address}: the API has no \
             TLS, and its token must not cross a network in the clear"
        ));
    }
    Ok(address)
}

/// Reads where mail hosts ask: the path of a socket, or an address that only this machine reaches.
fn routing_listen(entry: &Entry) -> Result<RoutingListen, String> {
    let text = text(entry)?;
    let Some(path) = text.strip_prefix(UNIX) else {
        let address: SocketAddr = text.parse().map_err(|_| {
            format!(
                "expected the path of a socket like \"unix:run/routing.sock\" or a loopback address \
                 with a port like \"127.0.0.1:5310\", found {text:?}"
            )
        })?;
        if !address.ip().is_loopback() {
            return Err(format!(
                "expected a loopback address (127.0.0.0/8 or [::1]) or the path of a socket, found \
                 {address}: look-ups are neither signed nor secret"
            ));
        }
        return Ok(RoutingListen::Tcp(address));
    };
    if path.is_empty() || path.ends_with('/') || path.contains('\0') {
        return Err(format!(
            "expected the path of a socket behind {UNIX:?}, found {text:?}"
        ));
    }
    if path.len() > LONGEST_SOCKET {
        return Err(format!(
            "expected a path of at most {LONGEST_SOCKET} octets, as no socket can have a longer \
             one, found {}",
            path.len()
        ));
    }
    let path = PathBuf::from(path);
    if path.is_dir() {
        return Err(format!(
            "expected the path of a socket, found {path:?}: it is a folder"
        ));
    }
    if let Some(folder) = path.parent() {
        usable(folder)?;
    }
    Ok(RoutingListen::Unix(path))
}

/// Reads the path of a folder that is there or can be made.
fn folder(entry: &Entry) -> Result<PathBuf, String> {
    let text = text(entry)?;
    if text.is_empty() {
        return Err("expected the path of a folder, found an empty text".to_owned());
    }
    let path = PathBuf::from(text);
    usable(&path)?;
    Ok(path)
}

/// Reads one of a few words.
pub(super) fn parsed<T: FromStr<Err: Display>>(entry: &Entry) -> Result<T, String> {
    text(entry)?
        .parse()
        .map_err(|error: T::Err| error.to_string())
}

/// Shows what was found.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::Text(text) | Value::Variable(text) => format!("{text:?}"),
        Value::Number(number) => number.to_string(),
        Value::Flag(_) => "a boolean".to_owned(),
        Value::List(items) if items.is_empty() => "an empty list".to_owned(),
        Value::List(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
        Value::Other(what) => with_article(what),
    }
}

/// Puts the article before what TOML calls a value.
pub(super) fn with_article(what: &str) -> String {
    match what {
        "integer" | "array" => format!("an {what}"),
        _ => format!("a {what}"),
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
