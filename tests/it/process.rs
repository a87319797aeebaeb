//! Programs that tests start: each on loopback ports of its own, each ended by its process id.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long a program may take to come up.
const START: Duration = Duration::from_secs(120);

/// A program that ends when its test does.
pub(crate) struct Program {
    child: Child,
    /// What it printed on standard error, for the report.
    printed: Arc<Mutex<Vec<String>>>,
    /// Who reads it.
    reader: Option<JoinHandle<()>>,
}

impl Program {
    /// Starts a program.
    pub(crate) fn start(command: &mut Command) -> Self {
        let name = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let printed = Arc::new(Mutex::new(Vec::new()));
        let stderr = child.stderr.take().expect("standard error is piped");
        let into = Arc::clone(&printed);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                into.lock().expect("nothing panics here").push(line);
            }
        });
        Self {
            child,
            printed,
            reader: Some(reader),
        }
    }

    /// Ends it at once, as a power failure would.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to stop and waits until it has.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        self.child.wait().ok().and_then(|status| status.code())
    }

    /// Returns its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns what it printed on standard error.
    pub(crate) fn printed(&self) -> String {
        self.printed.lock().expect("nothing panics here").join("\n")
    }

    /// Waits until it has printed `text` so many times.
    pub(crate) fn wait_until_printed(&mut self, text: &str, times: usize) -> Result<(), String> {
        let printed = Arc::clone(&self.printed);
        let count = || {
            let printed = printed.lock().expect("nothing panics here");
            printed.iter().filter(|line| line.contains(text)).count()
        };
        self.wait_until(|| count() >= times)
    }

    /// Waits until `ready` says so, or the program ended, or patience did.
    pub(crate) fn wait_until(&mut self, mut ready: impl FnMut() -> bool) -> Result<(), String> {
        let start = Instant::now();
        while !ready() {
            if let Ok(Some(status)) = self.child.try_wait() {
                // Its last words may still be on their way.
                let _ = self.reader.take().map(JoinHandle::join);
                return Err(format!("ended with {status}:\n{}", self.printed()));
            }
            if start.elapsed() > START {
                return Err(format!("not ready in {START:?}:\n{}", self.printed()));
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The ports that servers get: below those that the system gives to clients (Linux: from 32768 on),
/// one of which may come along before a server has started.
const PORTS: std::ops::Range<u32> = 10_000..32_000;

/// Returns a port that is free for UDP and TCP on 127.0.0.1, another one each time, as whoever got the
/// last one may not have taken it yet.
pub(crate) fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Another run of these tests, whose process id may be the next one, begins a thousand further.
    let begin = std::process::id().wrapping_mul(1_009);
    loop {
        let next = begin.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + next % (PORTS.end - PORTS.start);
        let port = u16::try_from(port).expect("all are below 32000");
        let is_free = TcpListener::bind(("127.0.0.1", port)).is_ok()
            && UdpSocket::bind(("127.0.0.1", port)).is_ok();
        if is_free {
            return port;
        }
    }
}

/// The program under test, with a folder of its own.
pub(crate) struct Mxpool {
    program: Program,
    folder: PathBuf,
    /// Where it answers DNS.
    pub(crate) dns: SocketAddr,
    /// Where its API is.
    pub(crate) api: String,
}

impl Mxpool {
    /// Starts a server in `folder` and waits until it is ready.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::try_start(folder).unwrap_or_else(|error| panic!("mxpool {error}"))
    }

    /// Starts a server in `folder`.
    pub(crate) fn try_start(folder: &Path) -> Result<Self, String> {
        Self::try_start_at(folder, ([127, 0, 0, 1], free_port()).into(), "")
    }

    /// Starts a server that answers DNS at an address, with more in its configuration: of `[dns]`
    /// first, then other sections.
    pub(crate) fn try_start_at(folder: &Path, dns: SocketAddr, more: &str) -> Result<Self, String> {
        let command = Command::new(env!("CARGO_BIN_EXE_mxpool"));
        Self::try_run(folder, dns, more, command)
    }

    /// Starts the same with a limit of open files.
    pub(crate) fn start_limited(folder: &Path, dns: SocketAddr, more: &str, files: usize) -> Self {
        let mut command = Command::new("sh");
        // The program becomes what the shell was, so that it ends by the same process id.
        command
            .args(["-c", "ulimit -n \"$0\" && exec \"$@\""])
            .args([&files.to_string(), env!("CARGO_BIN_EXE_mxpool")]);
        Self::try_run(folder, dns, more, command).unwrap_or_else(|error| panic!("mxpool {error}"))
    }

    /// Starts a server by a command that its arguments are added to.
    fn try_run(
        folder: &Path,
        dns: SocketAddr,
        more: &str,
        mut command: Command,
    ) -> Result<Self, String> {
        let api = free_port();
        let config = folder.join("mxpool.toml");
        let text = format!(
            "[api]\nlisten = \"127.0.0.1:{api}\"\n[store]\npath = {:?}\n[keys]\npath = {:?}\n\
             [dns]\nlisten = [\"{dns}\"]\n{more}",
            folder.join("data"),
            folder.join("keys"),
        );
        std::fs::write(&config, text).expect("the folder can be written");
        command
            .args(["serve", "--config"])
            .arg(&config)
            .current_dir(folder);
        let mut program = Program::start(&mut command);
        let api = format!("http://127.0.0.1:{api}");
        let ready = format!("{api}/readyz");
        program.wait_until(|| {
            http()
                .get(&ready)
                .call()
                .is_ok_and(|answer| answer.status().as_u16() == 200)
        })?;
        Ok(Self {
            program,
            folder: folder.to_owned(),
            dns,
            api,
        })
    }

    /// Returns the program.
    pub(crate) fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Returns what the server printed so far.
    pub(crate) fn log(&self) -> String {
        self.program.printed()
    }

    /// Returns the path of the configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder.join("mxpool.toml")
    }

    /// Sends SIGHUP and waits until the server says what it has done.
    pub(crate) fn hang_up(&mut self, done: &str) {
        let log = self.log();
        let before = log.lines().filter(|line| line.contains(done)).count();
        let id = self.program.id().to_string();
        let (ok, text) = run(Command::new("kill").args(["-HUP", &id]));
        assert!(ok, "{text}");
        let waited = self.program.wait_until_printed(done, before + 1);
        waited.unwrap_or_else(|error| panic!("{done}: {error}"));
    }

    /// Returns the admin token.
    pub(crate) fn token(&self) -> String {
        let path = self.folder.join("data/admin.token");
        let text = std::fs::read_to_string(&path);
        text.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
            .trim()
            .to_owned()
    }

    /// Calls the API and returns status and body.
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let (status, text) = self.try_call(method, path, body).expect("the API answers");
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        (status, value)
    }

    /// Calls the API; an error when no answer came.
    pub(crate) fn try_call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, String), ureq::Error> {
        let text = body.map(Value::to_string).unwrap_or_default();
        self.try_send(method, path, "application/json", &text)
    }

    /// Sends a body of any type.
    pub(crate) fn try_send(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &str,
    ) -> Result<(u16, String), ureq::Error> {
        let uri = format!("{}{path}", self.api);
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(&uri)
            .header("authorization", format!("Bearer {}", self.token()))
            .header("content-type", content_type)
            .body(body.to_owned())
            .expect("the request is well formed");
        let mut answer = http().run(request)?;
        let status = answer.status().as_u16();
        let text = answer
            .body_mut()
            .with_config()
            .limit(1 << 30)
            .read_to_string()?;
        Ok((status, text))
    }

    /// Calls the API and asserts success.
    pub(crate) fn ok(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (status, value) = self.call(method, path, body);
        assert!(
            (200..300).contains(&status),
            "{method} {path}: {status} {value}"
        );
        value
    }

    /// Puts an operator zone.
    pub(crate) fn put_zone(&self, zone: &str, text: &str) {
        let (status, answer) = self
            .try_send("PUT", &format!("/v1/zones/{zone}"), "text/dns", text)
            .expect("the API answers");
        assert!((200..300).contains(&status), "{zone}: {status} {answer}");
    }

    /// Puts a pool that needs nothing around it.
    pub(crate) fn put_pool(&self, pool: &str) {
        self.ok("PUT", &format!("/v1/pools/{pool}"), Some(&settings()));
    }

    /// Adds domains to a pool, in calls of at most 10 000.
    pub(crate) fn add_domains(&self, pool: &str, names: &[String]) {
        for names in names.chunks(10_000) {
            self.ok(
                "POST",
                "/v1/domains",
                Some(&json!({"pool": pool, "names": names})),
            );
        }
    }

    /// Returns a zone as a master file.
    pub(crate) fn signed_zone(&self, domain: &str) -> String {
        let path = format!("/v1/domains/{domain}/zone?signed=true");
        let (status, text) = self.try_call("GET", &path, None).expect("the API answers");
        assert_eq!(status, 200, "{text}");
        text
    }

    /// Returns the DS records of a domain or zone as master file lines.
    pub(crate) fn ds_lines(&self, kind: &str, name: &str) -> Vec<String> {
        let answer = self.ok("GET", &format!("/v1/{kind}/{name}/ds"), None);
        let records = answer["ds"]
            .as_array()
            .unwrap_or_else(|| panic!("no ds in {answer}"));
        records
            .iter()
            .map(|ds| {
                let text = ds["text"]
                    .as_str()
                    .unwrap_or_else(|| panic!("no text in {ds}"));
                text.to_owned()
            })
            .collect()
    }
}

/// Returns the settings of a pool with two hosts in each domain, MTA-STS and reports.
pub(crate) fn settings() -> Value {
    json!({
        "nameservers": ["ns1.infra.example.", "ns2.infra.example."],
        "hostmaster": "hostmaster@infra.example",
        "mail_host": [
            {"name": "mx1", "preference": 10, "addresses": ["192.0.2.25", "2001:db8::25"],
             "tlsa": ["3 1 1 8cb0fc6c527506a053f4f14c8464bebbd6dede2738d11468dd953d7d6a3021f1",
                      "3 1 1 9cb0fc6c527506a053f4f14c8464bebbd6dede2738d11468dd953d7d6a3021f1"]},
            {"name": "mx2", "preference": 20, "addresses": ["192.0.2.26", "2001:db8::26"],
             "tlsa": ["3 1 1 8cb0fc6c527506a053f4f14c8464bebbd6dede2738d11468dd953d7d6a3021f1"]},
        ],
        "mta_sts": {"mode": "enforce", "max_age": "7d", "addresses": ["192.0.2.80", "2001:db8::80"]},
        "reports": {"tlsrpt": "mailto:tlsrpt@infra.example", "dmarc": "mailto:dmarc@infra.example"},
        "caa": ["0 issue \"letsencrypt.org\""],
        "readiness": {"delegated": false, "secured": "no", "mail_ready": false},
    })
}

/// Types a command beside a server; returns the exit code and what it printed.
pub(crate) fn typed(server: &Mxpool, words: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_mxpool"))
        .args(words)
        .env("MXPOOL_API", &server.api)
        .env("MXPOOL_TOKEN", server.token())
        .output()
        .expect("the program starts");
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8(printed).expect("it prints text");
    (output.status.code(), printed)
}

/// Returns an HTTP client that reports statuses instead of making errors of them.
pub(crate) fn http() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(120)))
        .build()
        .into()
}

/// Returns whether something accepts TCP there.
pub(crate) fn accepts(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
}

/// Runs a program to its end and returns whether it succeeded and what it printed.
pub(crate) fn run(command: &mut Command) -> (bool, String) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// Returns whether the suites run at their full size.
pub(crate) fn full_size() -> bool {
    std::env::var("MXPOOL_TEST_SIZE").is_ok_and(|size| size == "full")
}
