//! `[dns]`, beside addresses: what the node says of itself, how it knows clients again, and how many
//! answers they get.

use std::path::PathBuf;

use crate::server::{Identity, RrlConfig, read_cookie_secrets};
use crate::zone::Nsid;

use super::entries::{Entry, Value};
use super::problem::Problem;
use super::reader::Reader;
use super::values::{parsed, show, text};
use super::watch::flag;

impl Reader<'_> {
    /// Reads what the node says of itself.
    pub(super) fn identity(&mut self) -> Identity {
        let nsid = self.get("dns", "nsid", nsid);
        let id_server = self.get("dns", "id_server", flag).unwrap_or_default();
        if let Some(entry) = self.entries.get("dns", "id_server")
            && id_server
            && self.entries.get("dns", "nsid").is_none()
        {
            self.problems.push(Problem {
                place: entry.place.clone(),
                detail: "dns.id_server: expected dns.nsid beside it, which is the answer, found \
                         none"
                    .to_owned(),
            });
        }
        Identity { nsid, id_server }
    }

    /// Reads how answers are limited; without the section they are not.
    pub(super) fn rrl(&mut self) -> Option<RrlConfig> {
        if !self.entries.has_section("dns.rrl") {
            return None;
        }
        let mut config = RrlConfig::default();
        if let Some(rate) = self.get("dns.rrl", "rate", |entry| number(entry, 1, MOST_RATE)) {
            config.rate = rate;
        }
        if let Some(slip) = self.get("dns.rrl", "slip", |entry| number(entry, 0, MOST_SLIP)) {
            config.slip = slip;
        }
        if let Some(dry_run) = self.get("dns.rrl", "dry_run", flag) {
            config.dry_run = dry_run;
        }
        if let Some(items) = self.get("dns.rrl", "allow", |entry| items(entry, "prefixes")) {
            config.allow = self.each("dns.rrl", "allow", items, |item, _| parsed(item));
        }
        Some(config)
    }

    /// Reads where the cookie secrets are, if they are in a file.
    pub(super) fn cookie_secrets(&mut self) -> Option<PathBuf> {
        // A node that runs says itself what is wrong in it.
        if self.running.is_some() {
            return self.get("dns.cookies", "secrets", |entry| {
                text(entry).map(PathBuf::from)
            });
        }
        self.get("dns.cookies", "secrets", cookie_secrets)
    }
}

/// More answers of one kind to one prefix, and nothing is limited.
const MOST_RATE: u32 = 100_000;

/// Rarer, and a client whose address is forged waits too long for its turn (BIND's bound).
const MOST_SLIP: u32 = 10;

/// Reads a number from `least` to `most`.
fn number(entry: &Entry, least: u32, most: u32) -> Result<u32, String> {
    let number = match &entry.value {
        Value::Number(number) => u32::try_from(*number).ok(),
        Value::Variable(text) => text.trim().parse().ok(),
        _ => None,
    };
    number
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| {
            format!(
                "expected a number from {least} to {most}, found {}",
                show(&entry.value)
            )
        })
}

/// Reads a list, which may be empty, of what errors call so; a variable's are parted by commas.
pub(super) fn items(entry: &Entry, called: &str) -> Result<Vec<Entry>, String> {
    match &entry.value {
        Value::List(items) => Ok(items.clone()),
        Value::Variable(text) => {
            let items = text.split(',').map(str::trim);
            let items = items.filter(|item| !item.is_empty()).map(|item| Entry {
                place: entry.place.clone(),
                value: Value::Text(item.to_owned()),
            });
            Ok(items.collect())
        }
        other => Err(format!(
            "expected a list of {called}, found {}",
            show(other)
        )),
    }
}

/// Reads the name of the node.
fn nsid(entry: &Entry) -> Result<Nsid, String> {
    let text = text(entry)?;
    // It is shown by tools as text, and is the data of a TXT record.
    let nsid = text.bytes().all(|octet| matches!(octet, b' '..=b'~'));
    nsid.then(|| Nsid::new(text.as_bytes()))
        .flatten()
        .ok_or_else(|| {
            format!(
                "expected a name of 1 to {} printable ASCII characters, found {text:?}",
                Nsid::MOST
            )
        })
}

/// Reads the path of the cookie secrets, which must be there and right.
fn cookie_secrets(entry: &Entry) -> Result<PathBuf, String> {
    let path = PathBuf::from(text(entry)?);
    match read_cookie_secrets(&path) {
        Ok(_) => Ok(path),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use crate::config::Config;
    use crate::config::settings::tests::assert_begin;

    use super::*;

    /// Reads a text; problems come as lines.
    fn read(text: &str) -> Result<Config, Vec<String>> {
        Config::read_text("f", text)
            .map_err(|problems| problems.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_node_says_of_itself_what_it_is_told_to() {
        assert_eq!(
            read("[dns]\n").unwrap().server.identity,
            Identity::default()
        );
        let text = "[dns]\nnsid = \"ns1-fra\"\nid_server = true\n";

        let identity = read(text).unwrap().server.identity;

        let nsid = Nsid::new(b"ns1-fra");
        let wanted = Identity {
            nsid,
            id_server: true,
        };
        assert_eq!(identity, wanted);
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        let long = "x".repeat(65);
        for name in ["", "caf\u{e9}", "two\\nlines", &long] {
            let problems = read(&format!("[dns]\nnsid = \"{name}\"\n")).unwrap_err();

            let begin = "f:2:8: dns.nsid: expected a name of 1 to 64 printable ASCII characters";
            assert_begin(&problems, &[begin]);
        }
        let problems = read("[dns]\nid_server = true\n").unwrap_err();
        assert_begin(
            &problems,
            &["f:2:13: dns.id_server: expected dns.nsid beside it"],
        );
        let problems = read("[dns]\nid_server = \"yes\"\nnsid = 7\n").unwrap_err();
        assert_begin(
            &problems,
            &[
                "f:2:13: dns.id_server: expected true or false, found \"yes\"",
                "f:3:8: dns.nsid: expected a text in quotes, found 7",
            ],
        );
    }

    #[test]
    fn answers_are_limited_where_there_is_the_section() {
        assert_eq!(read("[dns]\n").unwrap().server.rrl, None);
        let defaults = RrlConfig::default();
        assert_eq!(read("[dns.rrl]\n").unwrap().server.rrl, Some(defaults));
        let text = "[dns.rrl]\nrate = 50\nslip = 0\ndry_run = true\n\
                    allow = [\"192.0.2.0/24\", \"2001:db8::53\"]\n";

        let rrl = read(text).unwrap().server.rrl;

        let wanted = RrlConfig {
            rate: 50,
            slip: 0,
            dry_run: true,
            allow: vec![
                "192.0.2.0/24".parse().unwrap(),
                "2001:db8::53/128".parse().unwrap(),
            ],
        };
        assert_eq!(rrl, Some(wanted));
    }

    #[test]
    fn impossible_limits_of_answers_are_refused() {
        let text = "[dns.rrl]\nrate = 0\nslip = 11\ndry_run = 1\n\
                    allow = [\"192.0.2.1/24\", \"here\", 7]\nrates = 1\n";

        assert_begin(
            &read(text).unwrap_err(),
            &[
                "f:2:8: dns.rrl.rate: expected a number from 1 to 100000, found 0",
                "f:3:8: dns.rrl.slip: expected a number from 0 to 10, found 11",
                "f:4:11: dns.rrl.dry_run: expected true or false, found 1",
                "f:5:10: dns.rrl.allow: expected 192.0.2.0/24, found 192.0.2.1/24",
                "f:5:26: dns.rrl.allow: expected an address or a prefix like 192.0.2.0/24",
                "f:5:34: dns.rrl.allow: expected a text in quotes, found 7",
                "f:6:1: unknown key \"rates\" in section [dns.rrl]; expected one of rate, slip",
            ],
        );
        assert_begin(
            &read("[dns.rrl]\nallow = \"all\"\n").unwrap_err(),
            &["f:2:9: dns.rrl.allow: expected a list of prefixes, found \"all\""],
        );
    }

    #[test]
    fn cookie_secrets_must_be_there_and_right() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cookie.secrets");
        let text = format!("[dns.cookies]\nsecrets = {path:?}\n");
        let missing = format!(
            "f:2:11: dns.cookies.secrets: the cookie secrets {}",
            path.display()
        );
        assert_begin(&read(&text).unwrap_err(), &[&missing]);

        fs::write(&path, "00112233445566778899aabbccddeeff\nshort\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let wrong = format!(
            "f:2:11: dns.cookies.secrets: {}:2: expected a cookie secret of 32 hexadecimal digits, \
             found 5 characters",
            path.display()
        );
        assert_begin(&read(&text).unwrap_err(), &[&wrong]);

        fs::write(&path, "00112233445566778899aabbccddeeff\n").unwrap();
        assert_eq!(read(&text).unwrap().server.cookie_secrets, Some(path));
    }
}
