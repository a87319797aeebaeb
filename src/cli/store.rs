//! `audit` and `backup`: what the store keeps.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::client::with_query;
use super::failure::Failure;
use super::output::cell;
use super::pool::items;
use super::run::Desk;

/// Shows the audit log.
pub(super) fn audit(desk: &Desk, after: Option<u64>, limit: Option<u64>) -> Result<(), Failure> {
    let parameters = [
        ("after", after.map(|after| after.to_string())),
        ("limit", limit.map(|limit| limit.to_string())),
    ];
    let path = with_query("/v1/audit".to_owned(), &parameters);
    let answer = desk.client.get(&path)?;
    if desk.output.is_json() {
        return Ok(desk.output.octets(&answer)?);
    }
    let answer = desk.client.json(&answer)?;
    let mut rows = Vec::new();
    for entry in items(&answer) {
        for change in entry["changes"].as_array().into_iter().flatten() {
            let mut row = ["n", "at", "revision", "actor"]
                .map(|key| cell(entry.get(key)))
                .to_vec();
            row.push(cell(change.get("op")));
            row.push(cell(change.get("subject")));
            row.push(cell(entry.get("reason")));
            rows.push(row);
        }
    }
    let headings = ["N", "AT", "REVISION", "WHO", "WHAT", "TO", "WHY"];
    Ok(desk.output.table(&headings, rows)?)
}

/// Copies the running store into a new file.
///
/// A copy that breaks off leaves no file: half a backup must not pass for one.
pub(super) fn backup(desk: &Desk, file: &Path) -> Result<(), Failure> {
    let cannot = |error: io::Error| Failure::Usage(format!("{}: {error}", file.display()));
    let mut written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .map_err(cannot)?;
    let copied = copy(desk, &mut written);
    if copied.is_err() {
        fs::remove_file(file).map_err(cannot)?;
    }
    let octets = copied?;
    Ok(desk.output.text(&format!(
        "wrote {octets} octets to {}; keep the sealing key that it needs beside it, not in it",
        file.display()
    ))?)
}

/// Copies the store into an open file and makes it durable.
fn copy(desk: &Desk, to: &mut File) -> Result<u64, Failure> {
    let mut from = desk.client.stream("/v1/backup")?;
    let octets = io::copy(&mut from, to)?;
    to.flush()?;
    to.sync_all()?;
    Ok(octets)
}
