//! `pool`: settings and counts.

use serde_json::Value;
use ureq::http::Method;

use super::change;
use super::client::{Payload, path};
use super::command::PoolCommand;
use super::failure::Failure;
use super::life::waits;
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
    facts.extend(on_its_way(&pool["plan"]));
    let shown = [
        "name",
        "counts",
        "ready",
        "retire_due",
        "suspended",
        "revision",
        "nameservers",
        "mail_host",
        "plan",
    ];
    let members = pool.as_object().into_iter().flatten();
    let others = members.filter(|(key, _)| !shown.contains(&key.as_str()));
    facts.extend(others.map(|(key, value)| (label(key), inline(value))));
    let facts: Vec<(&str, String)> = facts
        .iter()
        .map(|(name, what)| (name.as_str(), what.clone()))
        .collect();
    Ok(desk.output.facts(&facts)?)
}

/// Names a setting; how many domains are wanted must not be taken for how many there are.
fn label(key: &str) -> String {
    match key {
        "active" | "standby" => format!("{key} wanted"),
        key => key.replace('_', " "),
    }
}

/// Says which settings wait for their time, what is so meanwhile, and what they wait for.
fn on_its_way(plan: &Value) -> Vec<(String, String)> {
    let steps = plan["steps"].as_array().into_iter().flatten();
    let lines = steps.flat_map(|step| {
        let of = |key: &str| cell(step.get(key));
        let (setting, what, meanwhile) = (of("setting"), of("what"), of("meanwhile"));
        let coming = format!("{setting}: {what}; until then {meanwhile}");
        let rules = step["waiting_for"].as_array().into_iter().flatten();
        let rules = rules.map(|rule| ("it waits for".to_owned(), waits(rule)));
        [("on its way".to_owned(), coming)].into_iter().chain(rules)
    });
    lines.collect()
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
        for warning in change::warnings(&answer) {
            self.output.text(&warning)?;
        }
        Ok(self
            .output
            .text(&format!("{words} (revision {revision})"))?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_waits_of_a_change_is_told_with_its_rule_and_its_time() {
        let plan = json!({"kind": "settings", "steps": [{
            "step": "M4", "setting": "/mail_host/1", "what": "the host joins the MX",
            "meanwhile": "its addresses are published", "not_before": null,
            "waiting_for": [
                {"rule": "M4", "what": "caches", "not_before": "2000-01-01T00:00:00Z"},
                {"rule": "M5", "what": "policies", "not_before": null},
            ],
        }]});

        let lines = on_its_way(&plan);

        let expected =
            "/mail_host/1: the host joins the MX; until then its addresses are published";
        assert_eq!(lines[0], ("on its way".to_owned(), expected.to_owned()));
        assert!(
            lines[1]
                .1
                .starts_with("M4: caches, not before 2000-01-01T00:00:00Z (")
        );
        assert_eq!(lines[2].1, "M5: policies");
        assert!(on_its_way(&Value::Null).is_empty());
    }
}
