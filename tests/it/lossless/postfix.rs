//! Postfix, three times: each instance with settings, queue and log of its own.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::addresses;
use super::certificate::Certificate;
use crate::process::{Program, accepts};

/// The daemons that an instance needs; `smtp inet` is added with its address.
const MASTER: &str = "\
cleanup   unix       n - n - 0 cleanup
qmgr      unix       n - n 300 1 qmgr
tlsmgr    unix       - - n 1000? 1 tlsmgr
rewrite   unix       - - n - - trivial-rewrite
bounce    unix       - - n - 0 bounce
defer     unix       - - n - 0 bounce
trace     unix       - - n - 0 bounce
verify    unix       - - n - 1 verify
flush     unix       n - n 1000? 0 flush
proxymap  unix       - - n - - proxymap
smtp      unix       - - n - - smtp
relay     unix       - - n - - smtp
lmtp      unix       - - n - - lmtp
error     unix       - - n - - error
retry     unix       - - n - - error
discard   unix       - - n - - discard
anvil     unix       - - n - 1 anvil
postlog   unix-dgram n - n - 1 postlogd
";

/// A running instance.
pub(super) struct Postfix {
    _program: Program,
    log: PathBuf,
}

impl Postfix {
    /// Starts the sender: DANE where there is TLSA, retries within seconds.
    pub(super) fn sender(folder: &Path) -> Self {
        let settings = format!(
            "myhostname = sender.invalid\n\
             mynetworks = {address}/32\n\
             smtpd_relay_restrictions = permit_mynetworks, reject\n\
             transport_maps = inline:{{ {{sender.invalid = discard:}} }}\n\
             smtp_dns_support_level = dnssec\n\
             smtp_tls_security_level = dane\n\
             smtp_tls_loglevel = 1\n\
             smtp_connection_cache_on_demand = no\n\
             smtp_connect_timeout = 5s\n\
             queue_run_delay = 1s\n\
             minimal_backoff_time = 1s\n\
             maximal_backoff_time = 3s\n\
             transport_retry_time = 1s\n",
            address = addresses::SENDER,
        );
        Self::start(folder, "sender", addresses::SENDER, &settings)
    }

    /// Starts a mail host that takes what the socketmap says.
    pub(super) fn mail_host(
        folder: &Path,
        (name, address): (&str, Ipv4Addr),
        certificate: &Certificate,
        routing: &Path,
        sink: &Path,
    ) -> Self {
        let settings = format!(
            "myhostname = {name}\n\
             mynetworks =\n\
             relay_domains = socketmap:unix:{routing}:domains\n\
             smtpd_relay_restrictions =\n\
             smtpd_recipient_restrictions = check_recipient_access socketmap:unix:{routing}:recipients, reject_unauth_destination\n\
             relay_transport = lmtp:unix:{sink}\n\
             relay_recipient_maps =\n\
             smtpd_tls_security_level = may\n\
             smtpd_tls_cert_file = {certificate}\n\
             smtpd_tls_key_file = {key}\n\
             queue_run_delay = 1s\n\
             minimal_backoff_time = 1s\n\
             maximal_backoff_time = 3s\n",
            routing = routing.display(),
            sink = sink.display(),
            certificate = certificate.certificate.display(),
            key = certificate.key.display(),
        );
        Self::start(folder, name, address, &settings)
    }

    /// Returns what it logged.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Starts an instance in a folder of its own and waits until it takes mail.
    fn start(folder: &Path, name: &str, address: Ipv4Addr, settings: &str) -> Self {
        let home = folder.join(name);
        let [config, queue, data] = ["config", "queue", "data"].map(|part| home.join(part));
        for part in [&config, &queue, &data] {
            std::fs::create_dir_all(part).unwrap();
        }
        let owner = nix::unistd::User::from_name("postfix").unwrap();
        let owner = owner.expect("the package makes its user");
        nix::unistd::chown(&data, Some(owner.uid), None).unwrap();
        let log = home.join("log");
        let main = format!(
            "compatibility_level = 3.6\n\
             mail_owner = postfix\n\
             setgid_group = postdrop\n\
             queue_directory = {queue}\n\
             data_directory = {data}\n\
             maillog_file = {log}\n\
             maillog_file_prefixes = {home}\n\
             inet_interfaces = {address}\n\
             inet_protocols = ipv4\n\
             mydestination =\n\
             local_recipient_maps =\n\
             alias_maps =\n\
             alias_database =\n\
             smtputf8_enable = no\n\
             {settings}",
            queue = queue.display(),
            data = data.display(),
            log = log.display(),
            home = home.display(),
        );
        std::fs::write(config.join("main.cf"), main).unwrap();
        let master = format!("{address}:25 inet n - n - - smtpd\n{MASTER}");
        std::fs::write(config.join("master.cf"), master).unwrap();
        let mut command = Command::new("postfix");
        command.arg("-c").arg(&config).arg("start-fg");
        let mut program = Program::start(&mut command);
        program
            .wait_until(|| accepts(addresses::smtp(address)))
            .unwrap_or_else(|error| panic!("postfix {name} {error}"));
        Self {
            _program: program,
            log,
        }
    }
}
