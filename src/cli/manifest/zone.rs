//! The `[zone.<name>]` tables and the master files they name.

use std::path::Path;
use std::rc::Rc;

use serde_json::{Value, json};

use super::document::Document;
use super::folder::Folder;
use super::origin::{Origin, at, line_of};
use crate::cli::failure::{Failure, FileFault};
use crate::document::Pointer;
use crate::wire::{Apex, Name, Place, Ttl, parse_master, write_master};

/// The TTL of records that state none; the server takes the same.
const DEFAULT_TTL: Ttl = Ttl::from_secs(3_600);

/// Reads a zone's table of a manifest and returns the step that puts it.
pub(super) fn read(
    name: &str,
    document: &Rc<Document>,
    folder: &Folder,
    faults: &mut Vec<FileFault>,
) -> Option<(Value, Origin)> {
    let table = Pointer::root().member("zone").member(name);
    let apex = match Apex::parse_unicode(name) {
        Ok(apex) => apex,
        Err(error) => {
            faults.push(document.fault(&table, error.to_string()));
            return None;
        }
    };
    let (text, file) = source(name, document, folder, faults)?;
    let shift = match file {
        Some(_) => 0,
        None => document.text_line(table.member("records").as_str()) - 1,
    };
    let shown = file.unwrap_or_else(|| document.file.to_string());
    let flat = match flatten(&text, &shown, apex.as_name(), folder) {
        Ok(flat) => flat,
        Err(found) => {
            let found = found.into_iter().map(|mut fault| {
                if fault.file == shown {
                    fault.line += shift;
                }
                fault
            });
            faults.extend(found);
            return None;
        }
    };
    let lines = flat.lines.into_iter().map(|mut place| {
        if place.file.as_deref() == Some(&shown) {
            place.line += shift;
        }
        place
    });
    let origin = Origin::Zone {
        document: Rc::clone(document),
        table,
        lines: lines.collect(),
    };
    let step = json!({"op": "put_zone", "zone": apex.to_api_text(), "records": flat.text});
    Some((step, origin))
}

/// Reads a master file with all that it includes and returns it as one text.
///
/// # Errors
///
/// When the file cannot be read, and everything that is wrong in it.
pub(crate) fn read_master(zone: &str, file: &Path) -> Result<Flat, Failure> {
    let apex = Apex::parse_unicode(zone)
        .map_err(|error| Failure::Usage(format!("the zone's name: {error}")))?;
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::Usage(format!("cannot read {}: {error}", file.display())))?;
    let shown = file.display().to_string();
    let flat = flatten(&text, &shown, apex.as_name(), &Folder::of(file));
    flat.map_err(Failure::Files)
}

/// A master file with what it includes, one complete record a line.
pub(crate) struct Flat {
    /// The text.
    pub(crate) text: String,
    /// Where each line was written.
    lines: Vec<Place>,
}

impl Flat {
    /// Returns where what the server says of a line of the text was written.
    pub(crate) fn locate(&self, detail: &str) -> Option<FileFault> {
        let (line, rest) = line_of(detail)?;
        let place = self.lines.get(line.checked_sub(1)?)?;
        Some(at(place, rest))
    }
}

/// Reads a master file and writes it again in one piece.
fn flatten(
    text: &str,
    shown: &str,
    origin: &Name,
    folder: &Folder,
) -> Result<Flat, Vec<FileFault>> {
    let records =
        parse_master(text, Some(shown), origin, DEFAULT_TTL, folder).map_err(|errors| {
            let errors = errors.iter();
            errors
                .map(|error| at(&error.place, &error.reason))
                .collect::<Vec<_>>()
        })?;
    let lines = records.iter().map(|record| record.place.clone()).collect();
    let records = records.iter();
    let text = write_master(records.map(|r| (&r.owner, r.rtype, r.ttl, &r.rdata)));
    Ok(Flat { text, lines })
}

/// Returns the text of a zone's table and the file it comes from, if it comes from one.
fn source(
    name: &str,
    document: &Rc<Document>,
    folder: &Folder,
    faults: &mut Vec<FileFault>,
) -> Option<(String, Option<String>)> {
    let pointer = Pointer::root().member("zone").member(name);
    let mut refuse = |key: Option<&str>, detail: String| {
        let place = key.map_or(pointer.clone(), |key| pointer.member(key));
        faults.push(document.fault(&place, detail));
    };
    let Some(table) = document.value["zone"][name].as_object() else {
        refuse(
            None,
            format!("expected a table [zone.{name:?}] with file or records"),
        );
        return None;
    };
    for key in table
        .keys()
        .filter(|key| !["file", "records"].contains(&key.as_str()))
    {
        refuse(
            Some(key),
            format!("unknown key {key:?}, known are file and records"),
        );
    }
    match (table.get("file"), table.get("records")) {
        (Some(Value::String(file)), None) => match folder.read(file) {
            Ok(text) => Some((text, Some(folder.path(file).display().to_string()))),
            Err(reason) => {
                refuse(Some("file"), reason);
                None
            }
        },
        (None, Some(Value::String(records))) => Some((records.clone(), None)),
        (Some(_), Some(_)) => {
            refuse(
                Some("file"),
                "expected file or records, found both".to_owned(),
            );
            None
        }
        (Some(_), None) => {
            refuse(
                Some("file"),
                "expected the path of a master file".to_owned(),
            );
            None
        }
        (None, Some(_)) => {
            refuse(
                Some("records"),
                "expected the text of a master file".to_owned(),
            );
            None
        }
        (None, None) => {
            refuse(None, "expected file or records, found neither".to_owned());
            None
        }
    }
}
