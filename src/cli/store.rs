//! `audit` and `backup`: what the store keeps.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::{Value, json};

use super::client::with_query;
use super::failure::Failure;
use super::output::{cell, summed};
use super::pool::items;
use super::run::Desk;

/// The header field that names the sealing key of a backup.
const SEALING_KEY: &str = "mxpool-sealing-key-id";

/// How many entries of the audit log are shown when nothing is said.
const LATEST: &str = "100";

/// Shows the audit log.
pub(super) fn audit(desk: &Desk, after: Option<u64>, limit: Option<u64>) -> Result<(), Failure> {
    let limit = limit.map(|limit| limit.to_string());
    // Who names no entry to begin after looks for what was done of late.
    let parameters = match after {
        Some(after) => [("after", Some(after.to_string())), ("limit", limit)],
        None => [("last", limit.or(Some(LATEST.to_owned()))), ("limit", None)],
    };
    let path = with_query("/v1/audit".to_owned(), &parameters);
    let answer = desk.client.get(&path)?;
    if desk.output.is_json() {
        return Ok(desk.output.octets(&answer)?);
    }
    let answer = desk.client.json(&answer)?;
    let rows = items(&answer).iter().map(|entry| {
        let mut row = ["n", "at", "revision", "actor"]
            .map(|key| cell(entry.get(key)))
            .to_vec();
        row.extend(changed(&entry["changes"]));
        row.push(cell(entry.get("reason")));
        row
    });
    let rows = rows.collect();
    let headings = ["N", "AT", "REVISION", "WHO", "WHAT", "TO", "WHY"];
    desk.output.table(&headings, rows)?;
    match answer["next"].as_u64() {
        Some(next) => Ok(desk
            .output
            .text(&format!("more: mxpool audit --after {next}"))?),
        None => Ok(()),
    }
}

/// Sums up what an entry changed: what was done how often, and to what.
fn changed(changes: &Value) -> [String; 2] {
    let changes = changes.as_array().map_or(&[][..], Vec::as_slice);
    let mut counts: Vec<(String, usize)> = Vec::new();
    for change in changes {
        let op = cell(change.get("op"));
        match counts.iter_mut().find(|(known, _)| *known == op) {
            Some((_, count)) => *count += 1,
            None => counts.push((op, 1)),
        }
    }
    let counts = counts.into_iter().map(|(op, count)| match count {
        1 => op,
        count => format!("{count} {op}"),
    });
    let subjects = changes.iter().map(|change| cell(change.get("subject")));
    [counts.collect::<Vec<_>>().join(", "), summed(subjects)]
}

/// Copies the running store into a new file.
///
/// A copy that breaks off leaves no file: half a backup must not pass for one.
pub(super) fn backup(desk: &Desk, file: &Path) -> Result<(), Failure> {
    let cannot = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::Usage(format!(
            "{} is there already, and a backup never overwrites a file: name another one",
            file.display()
        )),
        _ => Failure::Usage(format!("{}: {error}", file.display())),
    };
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
    let (octets, key) = copied?;
    if desk.output.is_json() {
        let answer = json!({"file": file, "octets": octets, "sealing_key_id": key});
        return Ok(desk.output.text(&answer.to_string())?);
    }
    let key = key.unwrap_or_else(|| "of the server".to_owned());
    Ok(desk.output.text(&format!(
        "wrote {octets} octets to {}\nthe sealing key {key} opens it and is not in it: keep a copy \
         of the key elsewhere, never beside the backup",
        file.display()
    ))?)
}

/// Copies the store into an open file and makes it durable; the id of its sealing key comes with it.
fn copy(desk: &Desk, to: &mut File) -> Result<(u64, Option<String>), Failure> {
    let mut from = desk.client.stream("/v1/backup", SEALING_KEY)?;
    let octets = io::copy(&mut from.body, to)?;
    to.flush()?;
    to.sync_all()?;
    Ok((octets, from.header))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_domains_are_one_row() {
        let added = (0..10_000).map(|n| json!({"op": "add_domain", "subject": format!("d{n}")}));
        let pool = json!({"op": "put_pool", "subject": "main"});
        let changes: Value = [pool].into_iter().chain(added).collect();

        let [what, to] = changed(&changes);

        assert_eq!(what, "put_pool, 10000 add_domain");
        assert_eq!(to, "main, d0 and 9999 more");
    }
}
