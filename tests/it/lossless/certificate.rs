//! Self-made certificates of the mail hosts; what makes them trusted is TLSA alone.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::run;

/// A certificate and its key.
pub(super) struct Certificate {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Certificate {
    /// Makes one for a host.
    pub(super) fn make(folder: &Path, host: &str) -> Self {
        let (certificate, key) = (
            folder.join(format!("{host}.pem")),
            folder.join(format!("{host}.key")),
        );
        let mut command = Command::new("openssl");
        command
            .args(["req", "-x509", "-newkey", "ec", "-noenc", "-days", "2"])
            .args(["-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .args(["-subj", &format!("/CN={host}")])
            .args(["-addext", &format!("subjectAltName=DNS:{host}")])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate);
        let (good, text) = run(&mut command);
        assert!(good, "{host}: {text}");
        Self { certificate, key }
    }
}
