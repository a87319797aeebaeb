//! `pool`: settings and counts.

use serde_json::Value;
use ureq::http::Method;

use super::client::{Payload, path};
use super::command::PoolCommand;
use super::failure::{Failure, warning as told};
use super::output::{cell, inline};
use super::rotation;
use super::run::Desk;

/// The states of a domain's life, in their order.
const STATES: [&str; 5] = ["standby", "active", "draining", "retired", "released"];

/// Does a command about pools.
pub(super) fn run(desk: &Desk, command: PoolCommand) -> Result<(), Failure> {
    match command {
        PoolCommand::List => list(desk),
        PoolCommand::Show { pool } => {
            let answer = desk.client.get(&path(&["v1", "pools", &pool]))?;
            if desk.output.is_json() {
                return Ok(desk.output.octets(&answer)?);
            }
            show(desk, &desk.client.json(&answer)?)
        }
        PoolCommand::Rotate(arguments) => rotation::rotate(desk, &arguments),
        PoolCommand::Handout { pool } => rotation::hand_out(desk, &pool),
        PoolCommand::Delete { pool } => {
            let path = path(&["v1", "pools", &pool]);
            let answer = desk.client.send(Method::DELETE, &path, Payload::Nothing)?;
            desk.done(&answer, &format!("deleted the pool {pool}"))
        }
    }
}

/// Shows a pool: its domains and hosts first, then its other settings, a line each.
fn show(desk: &Desk, pool: &Value) -> Result<(), Failure> {
    let counts = STATES.iter().filter_map(|state| {
        let count = pool["counts"][state].as_u64().filter(|count| *count > 0)?;
        Some(format!("{count} {state}"))
    });
    let counts: Vec<String> = counts.collect();
    let counts = match counts.as_slice() {
        [] => "none".to_owned(),
        counts => counts.join(", "),
    };
    let mut facts = vec![
        ("pool".to_owned(), cell(pool.get("name"))),
        ("domains".to_owned(), counts),
        ("ready to be activated".to_owned(), cell(pool.get("ready"))),
        ("can be retired".to_owned(), some(&pool["retire_due"])),
        ("suspended".to_owned(), some(&pool["suspended"])),
        ("revision".to_owned(), cell(pool.get("revision"))),
        ("nameservers".to_owned(), inline(&pool["nameservers"])),
    ];
    for host in pool["mail_host"].as_array().into_iter().flatten() {
        let name = cell(host.get("name"));
        let mut rest = host.clone();
        if let Some(members) = rest.as_object_mut() {
            members.remove("name");
        }
        facts.push(("mail host".to_owned(), format!("{name}: {}", inline(&rest))));
    }
    let shown = [
        "name",
        "counts",
        "ready",
        "retire_due",
        "suspended",
        "revision",
        "nameservers",
        "mail_host",
    ];
    let members = pool.as_object().into_iter().flatten();
    let others = members.filter(|(key, _)| !shown.contains(&key.as_str()));
    facts.extend(others.map(|(key, value)| (key.replace('_', " "), inline(value))));
    let facts: Vec<(&str, String)> = facts
        .iter()
        .map(|(name, what)| (name.as_str(), what.clone()))
        .collect();
    Ok(desk.output.facts(&facts)?)
}

/// Shows a count that is worth a line only where it is not zero.
fn some(count: &Value) -> String {
    let count = count.as_u64().filter(|count| *count > 0);
    count.map_or_else(String::new, |count| count.to_string())
}

/// Lists the pools with the number of their domains in each state.
fn list(desk: &Desk) -> Result<(), Failure> {
    let answer = desk.client.get("/v1/pools")?;
    if desk.output.is_json() {
        return Ok(desk.output.octets(&answer)?);
    }
    let answer = desk.client.json(&answer)?;
    let rows = items(&answer).iter().map(|pool| {
        let counts = STATES.iter().map(|state| cell(pool["counts"].get(state)));
        let ready = ["ready", "retire_due"].map(|key| cell(pool.get(key)));
        let name = [cell(pool.get("name"))].into_iter();
        name.chain(counts).chain(ready).collect()
    });
    let headings = [
        "POOL",
        "STANDBY",
        "ACTIVE",
        "DRAINING",
        "RETIRED",
        "RELEASED",
        "READY",
        "RETIRE DUE",
    ];
    Ok(desk.output.table(&headings, rows.collect())?)
}

/// Returns the items of a list that the API answered with.
pub(super) fn items(answer: &Value) -> &[Value] {
    answer["items"].as_array().map_or(&[], Vec::as_slice)
}

impl Desk {
    /// Shows the answer to a change: the API's own, or in words with its revision.
    pub(super) fn done(&self, answer: &[u8], words: &str) -> Result<(), Failure> {
        if self.output.is_json() {
            return Ok(self.output.octets(answer)?);
        }
        let answer = self.client.json(answer)?;
        let revision = cell(answer.get("revision"));
        for warning in answer["warnings"].as_array().into_iter().flatten() {
            self.output.text(&told(&cell(Some(warning))))?;
        }
        Ok(self
            .output
            .text(&format!("{words} (revision {revision})"))?)
    }
}
