//! Mail hosts, which apply late what they may accept, and policy hosts, which copy late.

use std::collections::BTreeMap;

use super::product::Reply;

/// A mail host: one machine, whatever names point to it.
#[derive(Clone, Debug)]
pub(crate) struct MailHost {
    /// Its first label.
    pub(crate) label: String,
    /// Its boxes: an address as the wire shows it, and the TLSA data of the key it presents.
    pub(crate) boxes: Vec<(String, String)>,
    /// Whether it answers on port 25.
    pub(crate) up: bool,
    /// How long it takes until routing is applied; zero: the socketmap, which is never late.
    pub(crate) late: u64,
    /// What it was told of each domain and has applied.
    pub(crate) table: BTreeMap<String, Reply>,
    /// The routing that it fetched and applies next, with its revision.
    pub(crate) fetched: Option<(BTreeMap<String, Reply>, u64)>,
    /// The revision it has applied.
    pub(crate) applied: u64,
}

impl MailHost {
    /// Makes a host that was told nothing yet.
    pub(crate) fn new(label: &str, boxes: Vec<(String, String)>, late: u64) -> Self {
        Self {
            label: label.to_owned(),
            boxes,
            up: true,
            late,
            table: BTreeMap::new(),
            fetched: None,
            applied: 0,
        }
    }

    /// Returns the key at an address, if that is one of its boxes.
    pub(crate) fn key_at(&self, address: &str) -> Option<&str> {
        let mut boxes = self.boxes.iter();
        Some(&boxes.find(|(at, _)| at == address)?.1)
    }

    /// Returns what it answers to RCPT for a domain; `None`: relay access denied.
    pub(crate) fn answer(&self, domain: &str) -> Option<Reply> {
        self.table.get(domain).copied()
    }
}

/// A web server that serves policy files.
#[derive(Clone, Debug, Default)]
pub(crate) struct PolicyHost {
    /// How long it takes until it has copied a file.
    pub(crate) late: u64,
    /// The file of each domain.
    pub(crate) files: BTreeMap<String, Option<String>>,
}

impl PolicyHost {
    /// Returns the file it serves for a domain.
    pub(crate) fn file(&self, domain: &str) -> Option<String> {
        self.files.get(domain).cloned().flatten()
    }
}
