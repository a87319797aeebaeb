//! `pool`: settings and counts.

use serde_json::Value;
use ureq::http::Method;

use super::client::{Payload, path};
use super::command::PoolCommand;
use super::failure::Failure;
use super::output::cell;
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
            Ok(desk.output.document(&desk.client.json(&answer)?)?)
        }
        PoolCommand::Delete { pool } => {
            let path = path(&["v1", "pools", &pool]);
            let answer = desk.client.send(Method::DELETE, &path, Payload::Nothing)?;
            desk.done(&answer, &format!("deleted the pool {pool}"))
        }
    }
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
        [cell(pool.get("name"))].into_iter().chain(counts).collect()
    });
    let headings = [
        "POOL", "STANDBY", "ACTIVE", "DRAINING", "RETIRED", "RELEASED",
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
            self.output
                .text(&format!("warning: {}", cell(Some(warning))))?;
        }
        Ok(self
            .output
            .text(&format!("{words} (revision {revision})"))?)
    }
}
