//! `zone`: the operator's own zones.

use ureq::http::Method;

use super::client::{Payload, path, with_query};
use super::command::ZoneCommand;
use super::failure::Failure;
use super::manifest::{Flat, read_master};
use super::output::cell;
use super::pool::items;
use super::run::Desk;

/// Does a command about the operator's own zones.
pub(super) fn run(desk: &Desk, command: ZoneCommand) -> Result<(), Failure> {
    match command {
        ZoneCommand::List => {
            let answer = desk.client.get("/v1/zones")?;
            if desk.output.is_json() {
                return Ok(desk.output.octets(&answer)?);
            }
            let answer = desk.client.json(&answer)?;
            let rows = items(&answer).iter().map(|zone| {
                ["name", "serial", "signatures_expire_at"]
                    .map(|key| cell(zone.get(key)))
                    .to_vec()
            });
            let headings = ["ZONE", "SERIAL", "SIGNATURES EXPIRE"];
            Ok(desk.output.table(&headings, rows.collect())?)
        }
        ZoneCommand::Show { zone, signed } => {
            let path = path(&["v1", "zones", &zone]);
            let signed = signed.then(|| "true".to_owned());
            let text = desk.client.get(&with_query(path, &[("signed", signed)]))?;
            Ok(desk.output.octets(&text)?)
        }
        ZoneCommand::Ds { zone } => show_ds(desk, &path(&["v1", "zones", &zone, "ds"])),
        ZoneCommand::Set {
            zone,
            file,
            confirm,
        } => {
            let master = read_master(&zone, &file)?;
            let confirm = confirm.map(|domains| domains.to_string());
            let path = with_query(
                path(&["v1", "zones", &zone]),
                &[("expect_domains", confirm)],
            );
            let payload = Payload::MasterFile(&master.text);
            let answer = desk.client.send(Method::PUT, &path, payload);
            let answer = answer.map_err(|failure| with_places(failure, &master))?;
            desk.done(&answer, &format!("the zone {zone} is served"))
        }
        ZoneCommand::Delete { zone, confirm } => {
            let confirm = confirm.map(|domains| domains.to_string());
            let path = with_query(
                path(&["v1", "zones", &zone]),
                &[("expect_domains", confirm)],
            );
            let answer = desk.client.send(Method::DELETE, &path, Payload::Nothing)?;
            desk.done(&answer, &format!("deleted the zone {zone}"))
        }
    }
}

/// Shows what the server found wrong where it was written.
fn with_places(mut failure: Failure, master: &Flat) -> Failure {
    if let Failure::Refused(refusal) = &mut failure {
        for wrong in &mut refusal.errors {
            if let Some(fault) = master.locate(&wrong.detail) {
                wrong.found_at(&fault);
            }
        }
    }
    failure
}

/// Shows DS, DNSKEY and CDS records, one a line, as a registrar's form wants them.
pub(super) fn show_ds(desk: &Desk, path: &str) -> Result<(), Failure> {
    let answer = desk.client.get(path)?;
    if desk.output.is_json() {
        return Ok(desk.output.octets(&answer)?);
    }
    let answer = desk.client.json(&answer)?;
    let mut lines = Vec::new();
    for rtype in ["ds", "dnskey", "cds", "cdnskey"] {
        let records = answer[rtype].as_array().into_iter().flatten();
        lines.extend(records.map(|record| cell(record.get("text"))));
    }
    Ok(desk.output.text(&lines.join("\n"))?)
}
