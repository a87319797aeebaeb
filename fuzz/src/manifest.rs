//! What operators write: manifests and the configuration.

use std::path::Path;

use mxpool::cli::manifest_change;
use mxpool::config::Config;
use mxpool::mail::{Form, HostsForm, MailForm, PoolSettings, render};
use serde_json::Value;

/// Reads octets as a manifest and as `mxpool.toml`.
pub(crate) fn run(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    if let Err(problems) = Config::read_text("mxpool.toml", &text) {
        assert!(!problems.to_string().is_empty(), "what is wrong is told");
    }
    // Nothing lies in this folder, so nothing that it names is there.
    let file = Path::new("/nonexistent/mail.toml");
    match manifest_change(file, &text) {
        Err(faults) => assert!(!faults.is_empty(), "what is wrong is told"),
        Ok(change) => {
            let steps = change["changes"].as_array().expect("a change has steps");
            steps.iter().for_each(pool);
        }
    }
}

/// Reads a step's pool as the server does: what it accepts is the same when it was stored and is
/// read again, and can be rendered.
fn pool(step: &Value) {
    let settings = &step["settings"];
    if settings.is_null() {
        return;
    }
    match PoolSettings::from_document(settings) {
        Err(faults) => assert!(!faults.is_empty(), "what is wrong is told"),
        Ok(settings) => {
            let document = settings.to_document();
            let again = PoolSettings::from_document(&document);
            assert_eq!(again.as_ref(), Ok(&settings), "{document}");
            for (mail, hosts) in [
                (MailForm::Live, HostsForm::Kept),
                (MailForm::Null, HostsForm::Kept),
                (MailForm::Null, HostsForm::Gone),
            ] {
                let form = Form { mail, hosts };
                if let Err(faults) = render(&settings, form, Some("20260101")) {
                    panic!("what was accepted can be rendered: {faults:?} in {document}");
                }
            }
        }
    }
}
