//! The `[pool.<name>]` tables.

use std::rc::Rc;

use serde_json::{Value, json};

use super::document::Document;
use super::folder::Folder;
use super::origin::Origin;
use crate::cli::failure::FileFault;
use crate::document::Pointer;

/// Reads a pool's table of a manifest and returns the step that puts it.
///
/// Certificates are read here and sent as PEM texts; all else is the server's to judge.
pub(super) fn read(
    name: &str,
    document: &Rc<Document>,
    folder: &Folder,
    faults: &mut Vec<FileFault>,
) -> (Value, Origin) {
    let table = Pointer::root().member("pool").member(name);
    let mut settings = document.value["pool"][name].clone();
    if let Some(hosts) = settings.get_mut("mail_host").and_then(Value::as_array_mut) {
        for (index, host) in hosts.iter_mut().enumerate() {
            let place = table.member("mail_host").item(index).member("certificates");
            read_certificates(host, &place, document, folder, faults);
        }
    }
    let origin = Origin::Pool {
        document: Rc::clone(document),
        table,
    };
    let step = json!({"op": "put_pool", "pool": name, "settings": settings});
    (step, origin)
}

/// Puts the text of each certificate in the place of its file's name.
fn read_certificates(
    host: &mut Value,
    place: &Pointer,
    document: &Document,
    folder: &Folder,
    faults: &mut Vec<FileFault>,
) {
    let certificates = host.get_mut("certificates").and_then(Value::as_array_mut);
    for (index, certificate) in certificates.into_iter().flatten().enumerate() {
        let Value::String(file) = certificate else {
            continue;
        };
        if file.starts_with("-----BEGIN ") {
            continue;
        }
        match folder.read(file) {
            Ok(pem) => *file = pem,
            Err(reason) => faults.push(document.fault(&place.item(index), reason)),
        }
    }
}
