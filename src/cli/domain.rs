//! `domain` and `record`: the domains of the pools.

use std::fs;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use ureq::http::Method;

use super::client::{Payload, path, with_query};
use super::command::{DomainCommand, RecordCommand, Step};
use super::failure::{Failure, FileFault};
use super::names::{BATCH, Listed, parse_list};
use super::output::cell;
use super::pool::items;
use super::run::Desk;
use super::zone::show_ds;
use crate::wire::Place;

/// From how many names on a progress bar is shown.
const LONG: usize = 1_000;
/// How many domains a page of a list has.
const PAGE: usize = 1_000;
/// How many names are sent at a time when their progress is shown.
const SHOWN_BATCH: usize = 1_000;

/// Does a command about domains.
pub(super) fn run(desk: &Desk, command: DomainCommand) -> Result<(), Failure> {
    match command {
        DomainCommand::Add {
            pool,
            names,
            from_file,
        } => add(desk, &pool, names, from_file.as_deref()),
        DomainCommand::List { pool, state } => list(desk, pool, state),
        DomainCommand::Show { name } => {
            let answer = desk.client.get(&path(&["v1", "domains", &name]))?;
            if desk.output.is_json() {
                return Ok(desk.output.octets(&answer)?);
            }
            Ok(desk.output.document(&desk.client.json(&answer)?)?)
        }
        DomainCommand::Ds { name } => show_ds(desk, &path(&["v1", "domains", &name, "ds"])),
        DomainCommand::Zone { name, signed } => {
            let path = path(&["v1", "domains", &name, "zone"]);
            let signed = signed.then(|| "true".to_owned());
            let text = desk.client.get(&with_query(path, &[("signed", signed)]))?;
            Ok(desk.output.octets(&text)?)
        }
        DomainCommand::Standby(step) => transition(desk, &step, "standby"),
        DomainCommand::Activate(step) => transition(desk, &step, "active"),
        DomainCommand::Delete { name, force } => {
            let force = force.then(|| "true".to_owned());
            let path = with_query(path(&["v1", "domains", &name]), &[("force", force)]);
            let answer = desk.client.send(Method::DELETE, &path, Payload::Nothing)?;
            desk.done(&answer, &format!("deleted {name}"))
        }
    }
}

/// Does a command about the records of one domain.
pub(super) fn run_record(desk: &Desk, command: RecordCommand) -> Result<(), Failure> {
    match command {
        RecordCommand::Set {
            name,
            owner,
            rtype,
            ttl,
            values,
        } => {
            let path = path(&["v1", "domains", &name, "rrsets", &owner, &rtype]);
            let body = json!({"ttl": ttl, "records": values});
            let answer = desk.client.send(Method::PUT, &path, Payload::Json(&body))?;
            desk.done(&answer, &format!("{name} has {owner} {rtype}"))
        }
        RecordCommand::Delete { name, owner, rtype } => {
            let path = path(&["v1", "domains", &name, "rrsets", &owner, &rtype]);
            let answer = desk.client.send(Method::DELETE, &path, Payload::Nothing)?;
            desk.done(
                &answer,
                &format!("{name} has no {owner} {rtype} of its own"),
            )
        }
    }
}

/// Moves a domain to another state.
fn transition(desk: &Desk, step: &Step, to: &str) -> Result<(), Failure> {
    let path = path(&["v1", "domains", &step.name, "transition"]);
    let mut body = json!({"to": to, "force": step.force});
    if let Some(reason) = &step.reason {
        body["reason"] = json!(reason);
    }
    let answer = desk
        .client
        .send(Method::POST, &path, Payload::Json(&body))?;
    desk.done(&answer, &format!("{} is {to}", step.name))
}

/// Adds domains, in as many calls as it takes.
fn add(
    desk: &Desk,
    pool: &str,
    names: Vec<String>,
    from_file: Option<&Path>,
) -> Result<(), Failure> {
    let listed = match from_file {
        Some(file) => {
            let text = fs::read_to_string(file).map_err(|error| {
                Failure::Usage(format!("cannot read {}: {error}", file.display()))
            })?;
            parse_list(&text, &file.display().to_string())
        }
        None => names.into_iter().map(typed).collect(),
    };
    let bar = progress(listed.len());
    // One call is all or none; small calls are for the progress that people watch.
    let batch = if bar.is_hidden() { BATCH } else { SHOWN_BATCH };
    let (mut created, mut revision) = (0, Value::Null);
    let mut domains = Vec::new();
    for batch in listed.chunks(batch) {
        let names: Vec<&str> = batch.iter().map(|listed| listed.name.as_str()).collect();
        let body = json!({"pool": pool, "names": names});
        let sent = desk
            .client
            .send(Method::POST, "/v1/domains", Payload::Json(&body));
        let answer = sent.map_err(|failure| {
            bar.abandon();
            with_places(failure, batch, created)
        })?;
        let mut answer = desk.client.json(&answer)?;
        created += answer["created"].as_u64().unwrap_or(0);
        revision = answer["revision"].take();
        if let Value::Array(items) = answer["items"].take() {
            domains.extend(items);
        }
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    if desk.output.is_json() {
        let answer = json!({"revision": revision, "created": created, "items": domains});
        return Ok(desk.output.text(&answer.to_string())?);
    }
    let records = domains.iter().flat_map(|domain| domain["ds"].as_array());
    let lines = records.flatten().map(|ds| cell(ds.get("text")));
    let lines: Vec<String> = lines.collect();
    desk.output.text(&lines.join("\n"))?;
    let revision = cell(Some(&revision));
    Ok(desk
        .output
        .text(&format!("added {created} domains (revision {revision})"))?)
}

/// Wraps a name of the command line.
fn typed(name: String) -> Listed {
    Listed {
        name,
        place: Place {
            file: None,
            line: 0,
        },
    }
}

/// Shows faults of names that came from a file where they stand, and says what was done before.
fn with_places(failure: Failure, batch: &[Listed], created: u64) -> Failure {
    let Failure::Refused(mut refusal) = failure else {
        return failure;
    };
    let mut faults = Vec::new();
    for (pointer, detail) in &refusal.errors {
        let index = pointer.strip_prefix("/names/").and_then(|i| i.parse().ok());
        let listed = index.and_then(|index: usize| batch.get(index));
        if let Some(Place {
            file: Some(file),
            line,
        }) = listed.map(|listed| &listed.place)
        {
            faults.push(FileFault {
                file: file.clone(),
                line: *line,
                detail: detail.clone(),
            });
        }
    }
    if created > 0 {
        refusal
            .detail
            .push_str(&format!("; {created} domains before these were added"));
    }
    if faults.is_empty() || faults.len() < refusal.errors.len() || created > 0 {
        refusal.errors.extend(faults.into_iter().map(|fault| {
            let place = format!("{}:{}", fault.file, fault.line);
            (place, fault.detail)
        }));
        return Failure::Refused(refusal);
    }
    Failure::Files(faults)
}

/// Makes a progress bar for long lists; hidden for short ones and where nobody looks.
fn progress(length: usize) -> ProgressBar {
    if length < LONG {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length as u64);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} domains, {eta} left");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

/// Lists domains, page after page.
fn list(desk: &Desk, pool: Option<String>, state: Option<String>) -> Result<(), Failure> {
    let mut domains = Vec::new();
    desk.each_domain(pool, state, |domain| domains.push(domain))?;
    if desk.output.is_json() {
        let answer = json!({"items": domains, "next": null});
        return Ok(desk.output.text(&answer.to_string())?);
    }
    let rows = domains.iter().map(|domain| {
        ["name", "pool", "state", "since", "serial"]
            .map(|key| cell(domain.get(key)))
            .to_vec()
    });
    let headings = ["DOMAIN", "POOL", "STATE", "SINCE", "SERIAL"];
    Ok(desk.output.table(&headings, rows.collect())?)
}

impl Desk {
    /// Hands every domain of a pool or a state to `take`, page after page.
    pub(super) fn each_domain(
        &self,
        pool: Option<String>,
        state: Option<String>,
        mut take: impl FnMut(Value),
    ) -> Result<(), Failure> {
        let mut after: Option<String> = None;
        loop {
            let parameters = [
                ("pool", pool.clone()),
                ("state", state.clone()),
                ("after", after),
                ("limit", Some(PAGE.to_string())),
            ];
            let path = with_query("/v1/domains".to_owned(), &parameters);
            let page = self.client.get_json(&path)?;
            items(&page).iter().cloned().for_each(&mut take);
            match page["next"].as_str() {
                Some(next) => after = Some(next.to_owned()),
                None => return Ok(()),
            }
        }
    }
}
