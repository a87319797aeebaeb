//! Everything around the server, brought up in the order in which each needs the one before.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::certificate::Certificate;
use super::operator::Operator;
use super::parent::Parent;
use super::postfix::Postfix;
use super::sink::Sink;
use super::traffic::{Message, Traffic, Wanted};
use super::validator::Validator;
use super::verdict::{self, Counts, Outage};
use super::{addresses, maillog, manifest};
use crate::process::run;

/// A message and the attempt to deliver it may be on their way for so long when a step is taken.
const IN_FLIGHT: Duration = Duration::from_secs(1);

/// How long the queue may take to empty, after a restart and at the end.
const QUEUE: Duration = Duration::from_secs(90);

/// The test's own world, with mail flowing.
pub(super) struct World {
    pub(super) operator: Operator,
    pub(super) parent: Parent,
    pub(super) traffic: Traffic,
    sink: Sink,
    sender: Postfix,
    hosts: [Postfix; 2],
    outages: Vec<Outage>,
    _validator: Validator,
}

impl World {
    /// Brings it up: the operator's zone is delegated, the pool is there, no domain yet.
    pub(super) fn start(folder: &Path) -> Self {
        let parent = Parent::start(folder);
        let validator = Validator::start(folder, &parent.anchors());
        let names = [manifest::MX1, manifest::MX2];
        let certificates = names.map(|host| Certificate::make(folder, host));
        let operator = Operator::start(folder);
        operator.write("pools.toml", &manifest::text());
        operator.command(&["apply", "pools.toml"]);
        let ds = operator.server().ds_lines("zones", manifest::INFRA);
        parent.delegate(manifest::INFRA, &ds);
        let sink = Sink::start(folder);
        let sender = Postfix::sender(folder);
        let host = |at: usize, address| {
            let (certificate, routing) = (&certificates[at], operator.routing());
            Postfix::mail_host(
                folder,
                (names[at], address),
                certificate,
                &routing,
                sink.path(),
            )
        };
        let hosts = [host(0, addresses::MX1), host(1, addresses::MX2)];
        Self {
            operator,
            parent,
            traffic: Traffic::start(),
            sink,
            sender,
            hosts,
            outages: Vec::new(),
            _validator: validator,
        }
    }

    /// Adds a domain to the pool, has its registrar delegate it, and waits until it resolves.
    pub(super) fn add(&self, domain: &str) {
        self.operator.command(&["domain", "add", "main", domain]);
        let ds = self.operator.server().ds_lines("domains", domain);
        self.parent.delegate(domain, &ds);
        self.wait_for_mx(domain);
    }

    /// Kills the server without warning, starts it again and waits until mail is as before.
    pub(super) fn power_failure(&mut self) {
        let from = Instant::now();
        self.operator.kill();
        std::thread::sleep(Duration::from_secs(3));
        self.operator.restart();
        let sent = self.traffic.sent();
        let waiting = sent.iter().filter(|it| it.wanted == Wanted::Arrives);
        assert!(
            self.wait_until_over(waiting),
            "mail does not come back:\n{}",
            self.logs()
        );
        self.settle();
        let to = Instant::now();
        self.outages.push(Outage { from, to });
    }

    /// Lets land what is in flight.
    pub(super) fn settle(&self) {
        std::thread::sleep(IN_FLIGHT);
    }

    /// Lets every cache forget what was served before, and what is in flight then land.
    pub(super) fn wait_for_caches(&self) {
        std::thread::sleep(Duration::from_secs(manifest::TTL + 2));
        self.settle();
    }

    /// Returns how many messages of the flow a domain got since a moment.
    pub(super) fn delivered_since(&self, domain: &str, from: Instant) -> usize {
        let deliveries = self.sink.deliveries();
        let theirs = deliveries.iter().filter(|delivery| {
            let (id, at) = delivery.recipient.split_once('@').unwrap_or_default();
            at == domain && id != "postmaster"
        });
        theirs.filter(|delivery| delivery.at >= from).count()
    }

    /// Stops the flow, lets the queue empty and judges every message.
    ///
    /// # Panics
    ///
    /// When a single one did not end as it was to.
    pub(super) fn judge(mut self) -> Counts {
        let messages = self.traffic.stop();
        // Whether it did is part of the judgement.
        self.wait_until_over(messages.iter());
        let attempts = maillog::attempts(&self.sender.log());
        let deliveries = self.sink.deliveries();
        let (counts, wrong) = verdict::judge(&messages, &attempts, &deliveries, &self.outages);
        assert!(
            wrong.is_empty(),
            "{counts}\n{} messages ended otherwise than they were to:\n{}\n{}",
            wrong.len(),
            wrong.join("\n"),
            self.logs()
        );
        counts
    }

    /// Waits until the resolver gives a domain's MX, validated.
    fn wait_for_mx(&self, domain: &str) {
        let server = format!("@{}", addresses::RESOLVER);
        let start = Instant::now();
        loop {
            let mut dig = Command::new("dig");
            dig.args([&server, domain, "MX", "+dnssec", "+time=2"]);
            let (_, text) = run(&mut dig);
            if text.contains(" ad;") && text.contains(manifest::MX1) {
                return;
            }
            assert!(start.elapsed() < QUEUE, "{domain} is not there:\n{text}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Waits until nothing more will become of messages; says whether that came about.
    fn wait_until_over<'m>(&self, messages: impl Iterator<Item = &'m Message>) -> bool {
        let mut messages: Vec<&Message> = messages.collect();
        let start = Instant::now();
        while start.elapsed() < QUEUE {
            let attempts = maillog::attempts(&self.sender.log());
            messages.retain(|message| !verdict::is_over(attempts.get(&message.recipient)));
            if messages.is_empty() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        false
    }

    /// Returns the last of what the mail systems and the server logged, for the report.
    fn logs(&self) -> String {
        let [first, second] = &self.hosts;
        let logs = [
            ("sender", self.sender.log()),
            (manifest::MX1, first.log()),
            (manifest::MX2, second.log()),
            ("mxpool", self.operator.log()),
        ];
        let tails = logs.iter().map(|(name, log)| {
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(40)..];
            format!("== {name}\n{}\n", last.join("\n"))
        });
        tails.collect()
    }
}
