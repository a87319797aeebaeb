//! `[dns]`, beside addresses: what the node says of itself, and how it knows clients again.

use std::path::PathBuf;

use crate::server::{Identity, read_cookie_secrets};
use crate::zone::Nsid;

use super::entries::Entry;
use super::problem::Problem;
use super::settings::{Reader, text};
use super::watch::flag;

impl Reader {
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
pub(super) fn cookie_secrets(entry: &Entry) -> Result<PathBuf, String> {
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
